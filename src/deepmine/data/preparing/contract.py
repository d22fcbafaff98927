"""What a data set promised: inferred once, frozen as YAML, read by a person, and checked with pandera ever after."""

import math
from collections.abc import Collection, Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any, cast

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.privacy import personal

CATEGORIES = 20  # at most so many different texts, each ten times on average, are categories
KEYS = 20  # at least so many different values, and no other, promise to be unique


def infer(frame: pd.DataFrame, protected: Collection[str] = ()) -> dict[str, Any]:
    """The contract that these rows keep (`schema_data.Contract`, without defaults).

    Limits are rounded outward to three significant digits, shares upward to hundredths. Of a column that is `protected`
    or looks personal neither texts nor limits are told: a contract lies in git.
    """
    hidden = {*personal(frame), *protected}
    columns = {str(name): _promise(column, name in hidden) for name, column in frame.items()}
    return {"repeated_rows": _share(frame.duplicated()), "columns": columns}


def check(frame: pd.DataFrame, contract: Mapping[str, Any]) -> pd.DataFrame:
    """What breaks a contract: `row`, `column` and `rule` of each violation, row None where no row alone is to blame.

    Args:
        frame: `(n, columns)`, indexed by row id.
        contract: `schema_data.Contract`.
    """
    found = pd.DataFrame(_columns(frame, contract["columns"]), columns=["row", "column", "rule"])
    if len(found):  # rules about values make no sense of other columns
        return found
    return pd.concat(
        [
            pd.DataFrame(_rows(frame, contract), columns=["row", "column", "rule"]),
            _values(frame, contract["columns"]),
        ],
        ignore_index=True,
    )


def enforce(frame: pd.DataFrame, contract: Mapping[str, Any], ledger: Ledger) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that keep a contract, and what the others broke: `row`, `column`, `rule`.

    A new column stops as one that is missing does: it would become a feature that nobody looked at.

    Raises:
        UserError: a rule is broken and `on_violation` is `stop`, or no row alone is to blame, or no row is left. It
            names columns, rules and row ids, and no value, since privacy comes later.
    """
    broken = check(frame, contract)
    rejects = broken["row"].unique()
    if len(broken) and (contract["on_violation"] == "stop" or broken["row"].isna().any() or len(rejects) == len(frame)):
        raise UserError(_message(broken))
    kept = frame[~frame.index.isin(rejects)] if len(rejects) else frame
    told = f"{len(rejects)} rows that break it set aside" if len(rejects) else "every row keeps it"
    ledger.add("contract", told, len(frame), len(kept))
    return kept, broken


def _promise(column: pd.Series, hidden: bool) -> dict[str, Any]:
    """What one column keeps, without what is the default."""
    values, kind = column.dropna(), _type(column)
    promise = {"text": _texts, "date": _dates, "number": _numbers}[kind](values)
    promise = {key: promise[key] for key in ("type", "infinite") if key in promise} if hidden else promise
    if promise["type"] in ("integer", "text") and len(values) >= KEYS and values.is_unique:
        promise["unique"] = True
    if missing := _share(column.isna()):
        promise["missing"] = missing
    return promise


def _numbers(values: pd.Series) -> dict[str, Any]:
    """Limits; of numbers that are not whole also the quartiles, between which another delivery's median lies."""
    finite = values[np.isfinite(values)]
    infinite = {"infinite": True} if len(finite) < len(values) else {}
    if finite.empty:
        return {"type": "number", **infinite}
    limits = {"min": _rounded(finite.min(), ROUND_FLOOR), "max": _rounded(finite.max(), ROUND_CEILING)}
    if (finite % 1 == 0).all():
        return {"type": "integer", **limits, **infinite}
    low, high = finite.quantile([0.25, 0.75])
    median = {"median": [_rounded(low, ROUND_FLOOR), _rounded(high, ROUND_CEILING)]}
    return {"type": "number", **limits, **median, **infinite}


def _dates(values: pd.Series) -> dict[str, Any]:
    """Limits, to whole years."""
    if values.empty:
        return {"type": "date"}
    return {"type": "date", "min": f"{values.min().year:04}-01-01", "max": f"{values.max().year:04}-12-31"}


def _texts(values: pd.Series) -> dict[str, Any]:
    """Categories of texts that are few; else a pattern where all have one shape, such as P0001."""
    distinct = values.unique()
    if 0 < len(distinct) <= CATEGORIES and len(values) >= 10 * len(distinct):
        return {"type": "text", "categories": sorted(map(str, distinct))}
    shapes = pd.Series(distinct, dtype="str").str.replace(r"[0-9]+", "0", regex=True).unique()
    if len(shapes) != 1 or "0" not in shapes[0] or not shapes[0].replace("0", "").isalnum():
        return {"type": "text"}
    return {"type": "text", "pattern": shapes[0].replace("0", "[0-9]+")}


def _rounded(value: float, rounding: str) -> float | int:
    number = float(Context(3, rounding).create_decimal(repr(float(value))))  # in decimals: 0.17 stays 0.17
    return int(number) if number.is_integer() else number


def _share(which: pd.Series) -> float:
    return math.ceil(which.mean() * 100) / 100


def _type(column: pd.Series) -> str:
    return {"M": "date"}.get(column.dtype.kind, "number" if column.dtype.kind in "biuf" else "text")


def _columns(frame: pd.DataFrame, columns: Mapping[str, Any]) -> Iterator[tuple[None, str, str]]:
    for name in [*columns, *(str(name) for name in frame if name not in columns)]:
        wanted = columns.get(name, {"type": None})["type"]
        found = _type(frame[name]) if name in frame else None
        if found is None or wanted is None:
            yield None, name, "is not there" if found is None else "is new; the contract does not name it"
        elif found != {"integer": "number"}.get(wanted, wanted):
            yield None, name, f"is of type {found}, wanted {wanted}"


def _rows(frame: pd.DataFrame, contract: Mapping[str, Any]) -> Iterator[tuple[str | None, str | None, str]]:
    if len(frame) < contract["rows"]:
        yield None, None, f"has {len(frame)} rows, wanted {contract['rows']}"
    share = contract["repeated_rows"]
    if share < 1 and (repeated := frame.duplicated()).mean() > share:
        rule = f"rows that equal an earlier one: at most {share:.0%}"
        yield from ((row, None, rule) for row in (frame.index[repeated.to_numpy()] if share == 0 else [None]))


def _values(frame: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """The rules for values, checked by pandera: https://pandera.readthedocs.io"""
    import pandera.pandas as pa

    schema = pa.DataFrameSchema(
        {name: pa.Column(checks=_checks(rule), nullable=True) for name, rule in columns.items()}
    )
    try:
        schema.validate(frame, lazy=True, inplace=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        return pd.DataFrame({"row": cases["index"], "column": cases["column"], "rule": cases["check"]})
    return pd.DataFrame(columns=["row", "column", "rule"])


def _checks(rule: Mapping[str, Any]) -> list[Any]:
    """One column's rules. A check of every value says which rows; one of the whole column says none."""
    from pandera.pandas import Check

    date, low, high = rule["type"] == "date", rule["min"], rule["max"]
    missing, median = rule["missing"], rule["median"] or (None, None)
    day = pd.Timedelta(days=1)
    possible = {
        "not infinite": rule["type"] in ("integer", "number") and not rule["infinite"] and Check(np.isfinite),
        "a whole number": rule["type"] == "integer" and Check(lambda x: (x % 1 == 0) | np.isinf(x)),
        f"at least {_plain(low)}": low is not None
        and Check(lambda x: (x >= pd.Timestamp(low)) if date else (x >= low) | np.isinf(x)),
        f"at most {_plain(high)}": high is not None
        and Check(lambda x: (x < pd.Timestamp(high) + day) if date else (x <= high) | np.isinf(x)),
        f"the median from {_plain(median[0])} to {_plain(median[1])} (another unit?)": rule["median"]
        and Check(lambda x: np.isnan(_median(x)) or median[0] <= _median(x) <= median[1], ignore_na=False),
        "one of the categories": rule["categories"] is not None and Check.isin(rule["categories"]),
        f"like {rule['pattern']}": rule["pattern"] is not None and Check(lambda x: x.str.fullmatch(rule["pattern"])),
        "unique": rule["unique"] and Check(lambda x: ~x.duplicated()),
        "not missing": missing == 0 and Check(lambda x: x.notna(), ignore_na=False),
        f"missing in at most {missing:.0%}": 0 < missing < 1
        and Check(lambda x: x.isna().mean() <= missing, ignore_na=False),
    }
    for name, check_ in possible.items():
        if check_:
            check_.error = name
    return [check_ for check_ in possible.values() if check_]


def _median(column: pd.Series) -> Any:
    """Of the finite values; NaN without any."""
    return column[np.isfinite(column)].median()


def _plain(limit: float | str | None) -> str:
    return f"{limit:.12g}" if isinstance(limit, float) else str(limit)


def _message(broken: pd.DataFrame) -> str:
    """Each rule that is broken, with the ids of the first five rows."""
    lines = []
    for group, rows in broken.groupby(["column", "rule"], dropna=False, sort=False)["row"]:
        column, rule = cast(tuple[Any, str], group)
        ids = rows.dropna()
        more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
        which = f"; not so in {', '.join(map(str, ids.head(5)))}{more}" if len(ids) else ""
        lines.append(f"  {'the rows' if pd.isna(column) else f'`{column}`'}: {rule}{which}")
    aside = "" if broken["row"].isna().any() else " To set such rows aside: data.contract.on_violation=reject"
    return "\n".join(
        [
            "The data break their contract, which stands in conf/data/contract:",
            *lines,
            "Correct the data, or the contract if the data and the query are right: by hand, or with "
            f"make contract data=... overwrite=true.{aside}",
        ]
    )
