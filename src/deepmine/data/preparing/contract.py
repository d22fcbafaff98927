"""The data contract: inferred once, corrected by a person, checked at every preparation."""

import math
from collections.abc import Collection, Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any, cast

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.privacy import personal

CATEGORIES = 20  # texts with at most this many distinct values, ten rows each on average, are categories
KEYS = 20  # a column with at least this many values, all distinct, is expected to stay unique
BROKEN = ["row", "column", "rule"]
Violation = tuple[str | None, str, Any]  # column, rule, and a mask of rows; None: no single row is at fault


def infer(frame: pd.DataFrame, protected: Collection[str] = ()) -> dict[str, Any]:
    """The contract that these rows keep (`config.schema.data.Contract`, defaults left out), limits rounded outward.

    Of a `protected` or personal column it holds no values and no limits, because it is committed to git.
    """
    hidden = {*personal(frame), *protected}
    columns = {str(name): _infer_column(column, name in hidden) for name, column in frame.items()}
    return {"repeated_rows": _share(frame.duplicated()), "columns": columns}


def check(frame: pd.DataFrame, contract: Mapping[str, Any]) -> pd.DataFrame:
    """The violations: `row` (None where no single row is at fault), `column`, `rule`; `frame` is indexed by row id."""
    # rules about values need columns of the right type
    found = list(_columns(frame, contract["columns"])) or list(_contents(frame, contract))
    rows = [(row, *rule) for *rule, which in found for row in ([None] if which is None else frame.index[which])]
    return pd.DataFrame(rows, columns=BROKEN, dtype=object)  # ids stay as they are, beside None too


def enforce(frame: pd.DataFrame, contract: Mapping[str, Any], on_violation: str, ledger: Ledger) -> pd.DataFrame:
    """The violations (see `check`); a `UserError` unless rows may be rejected, each is to blame, and some are left.

    It names columns, rules and row ids but no values, because it is raised before privacy rules apply.
    """
    broken = check(frame, contract)
    rejects = broken["row"].unique()
    if len(broken) and (on_violation == "stop" or broken["row"].isna().any() or len(rejects) == len(frame)):
        raise UserError(_message(broken))
    what = f"{len(rejects)} rows break it, see rejects.csv" if len(rejects) else "all rows keep it"
    ledger.add("contract", what, len(frame), len(frame) - len(rejects))
    return broken


def _infer_column(column: pd.Series, hidden: bool) -> dict[str, Any]:
    values, kind = column.dropna(), _type(column)
    rule: dict[str, Any] = _numbers(values) if kind == "number" else {"type": kind}
    if kind == "date" and len(values):
        rule |= {"min": f"{values.min().year:04}-01-01", "max": f"{values.max().year:04}-12-31"}
    if kind == "text" and 0 < (distinct := values.nunique()) <= CATEGORIES and len(values) >= 10 * distinct:
        rule["categories"] = sorted(map(str, values.unique()))
    rule = {"type": rule["type"]} if hidden else rule
    if rule["type"] in ("integer", "text") and len(values) >= KEYS and values.is_unique:
        rule["unique"] = True
    return rule | ({"missing": _share(column.isna())} if column.isna().any() else {})


def _numbers(values: pd.Series) -> dict[str, Any]:
    """Limits, if all are finite; of fractions also the quartiles, which the median leaves when the unit changes."""
    if values.empty or not np.isfinite(values).all():
        return {"type": "number"}
    least, low = (_rounded(float(values.quantile(q)), ROUND_FLOOR) for q in (0, 0.25))
    most, high = (_rounded(float(values.quantile(q)), ROUND_CEILING) for q in (1, 0.75))
    rule = {"type": "integer" if (whole := (values % 1 == 0).all()) else "number", "min": least, "max": most}
    return rule if whole else rule | {"median": [low, high]}


def _rounded(value: float, rounding: str) -> float | int:
    """To three significant digits, in decimals, so that 0.17 stays 0.17."""
    number = float(Context(3, rounding).create_decimal(repr(value)))
    return int(number) if number.is_integer() else number


def _share(which: pd.Series) -> float:
    return math.ceil(which.mean() * 100) / 100


def _type(column: pd.Series) -> str:
    return {"M": "date"}.get(column.dtype.kind, "number" if column.dtype.kind in "biuf" else "text")


def _columns(frame: pd.DataFrame, columns: Mapping[str, Any]) -> Iterator[Violation]:
    yield from ((str(name), "is not in the contract", None) for name in frame if name not in columns)
    for name, rule in columns.items():
        found = _type(frame[name]) if name in frame else None
        if found != {"integer": "number"}.get(rule["type"], rule["type"]):
            yield name, f"must be of type {rule['type']}, is {found}" if found else "is not in the data", None


def _contents(frame: pd.DataFrame, contract: Mapping[str, Any]) -> Iterator[Violation]:
    repeated, share = frame.duplicated().to_numpy(), contract["repeated_rows"]
    if repeated.mean() > share:
        yield None, f"must not repeat an earlier row in more than {share:.0%}", None if share else repeated
    for name, rule in contract["columns"].items():
        yield from ((name, *broken) for broken in _values(frame[name], rule))


def _values(x: pd.Series, rule: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The rules about the values of a column, with a mask of the rows that break each."""
    there, missing, median = x.notna(), rule["missing"], rule["median"]
    yield "must not be missing", ~there & (missing == 0)
    yield "must be unique", there & x.duplicated() & rule["unique"]
    if missing and (~there).mean() > missing:
        yield f"must not be missing in more than {missing:.0%} of the rows", None
    if rule["type"] == "integer":
        yield "must be a whole number", there & (x % 1 != 0)
    if median and not (median[0] <= (middle := x.median()) <= median[1] or np.isnan(middle)):
        yield f"must have a median from {median[0]:.12g} to {median[1]:.12g} (another unit?)", None
    if rule["categories"] is not None:
        yield "must be one of the categories", there & ~x.isin(rule["categories"])
    x = x.dt.normalize() if rule["type"] == "date" else x  # the last day is included
    for words, limit, outside in (("least", rule["min"], x.lt), ("most", rule["max"], x.gt)):
        if limit is not None:
            yield f"must be at {words} {limit if isinstance(limit, str) else f'{limit:.12g}'}", outside(limit)


def _message(broken: pd.DataFrame) -> str:
    """Each broken rule, with the ids of the first five rows."""
    lines = ["The data break their contract in conf/data/contract:"]
    for group, rows in broken.groupby(["column", "rule"], dropna=False, sort=False)["row"]:
        column, rule = cast(tuple[Any, str], group)
        ids = rows.dropna().astype(str)
        which = f": {', '.join(ids.head(5))}" + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
        lines.append(f"  {'rows' if pd.isna(column) else f'`{column}`'} {rule}{which if len(ids) else ''}")
    reject = "" if broken["row"].isna().any() else " To leave these rows out: data.on_violation=reject"
    advice = "Correct the data or, if they are right, the contract (make contract data=... overwrite=true)."
    return "\n".join([*lines, advice + reject])
