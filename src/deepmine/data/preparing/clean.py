"""Cleaning that a person declared; every cell and row that is touched is counted."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError, nearest
from deepmine.data.ledger import Ledger


def clean(frame: pd.DataFrame, settings: Mapping[str, Any], ledger: Ledger) -> pd.DataFrame:
    """Spelling, impossible values, duplicates, rows that lack values, in this order; the given frame stays as it is.

    Args:
        frame: `(n, columns)`, indexed by row id.
        settings: `schema_data.Clean`.
        ledger: what was done is added here.

    Raises:
        UserError: a column is not there or of the wrong type, or no row is left.
    """
    missing = settings["missing"]
    require(frame, [*settings["spelling"], *settings["impossible"], *missing["drop_rows"]], "data.clean")
    frame = frame.copy(deep=False)
    for name, rule in settings["spelling"].items():
        _spell(frame, name, rule, ledger)
    for name, rule in settings["impossible"].items():
        frame = _limit(frame, name, rule, ledger)
    if settings["duplicates"] == "drop":
        frame = _keep(
            frame, ~frame.duplicated(), "{} rows that equal an earlier one in all but the row id dropped", ledger
        )
    for name in missing["drop_rows"]:
        frame = _keep(frame, frame[name].notna(), f"{name}: {{}} rows without a value dropped", ledger)
    if frame.empty:
        raise UserError("Cleaning leaves no row. `data.clean` drops all: loosen `impossible` or `missing`.")
    return frame


def drop_columns(frame: pd.DataFrame, train: NDArray, share: float | None, ledger: Ledger) -> pd.DataFrame:
    """Leave out columns by what they lack in the training rows, given by number: more than a share, or every value.

    A column without any value says nothing, and some models refuse it.
    """
    lacking = {name: column.iloc[train].isna().mean() for name, column in frame.items()}
    dropped = [name for name, lack in lacking.items() if lack == 1 or (share is not None and lack > share)]
    for name in dropped:
        what = "none" if lacking[name] == 1 else f"less than {1 - (share or 0):.0%}"
        said = f"{name}: dropped, {what} of its values is there in the training rows"
        ledger.add("clean", said, len(frame), len(frame), int(frame[name].notna().sum()))
    return frame.drop(columns=dropped)


def outliers(
    frame: pd.DataFrame,
    train: NDArray[np.bool_],
    settings: Mapping[str, Any],
    ledger: Ledger,
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Values far from the others: their training rows dropped, or clipped or flagged in every row.

    Limits are learned on the training rows alone. `iqr`: Tukey, "Exploratory Data Analysis" (1977). `robust_z`:
    0.6745 (x - median) / MAD, Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993). `isolation_forest`:
    Liu, Ting and Zhou (2008), a missing value as the median.

    Args:
        frame: `(n, columns)`, indexed by row id.
        train: `(n,)`, the training rows.
        settings: `schema_data.Outliers`.
        ledger: what was done is added here.

    Returns:
        The frame, and the training rows in it.

    Raises:
        UserError: a column is not there or holds no numbers, or no training row is left.
    """
    numbers = frame.select_dtypes("float")
    names = list(map(str, numbers)) if settings["columns"] is None else settings["columns"]
    require(numbers, names, "data.clean.outliers.columns")
    if not names:
        raise UserError("`data.clean.outliers` looks at numbers, but there is no column of numbers.")
    if settings["method"] == "isolation_forest":
        found = _isolated(numbers[names], train, settings)
        return _act(frame, train, found, f"by an isolation forest of {', '.join(names)}", settings, ledger)
    limits = {name: _limits(frame[name].to_numpy()[train], settings) for name in names}
    for name in [name for name, limit in limits.items() if limit is None]:
        ledger.add("clean", f"{name}: no outliers sought, half of its values are equal", len(frame), len(frame))
    known = {name: limit for name, limit in limits.items() if limit}
    if settings["action"] == "clip":
        return _clip(frame, known, ledger), train
    found = np.zeros(len(frame), bool)
    for name, (low, high) in known.items():
        values = frame[name].to_numpy()
        found |= (values < low) | (values > high)
    return _act(frame, train, found, f"in {', '.join(known)}", settings, ledger)


def require(frame: pd.DataFrame, names: Iterable[str], where: str) -> None:
    """Raise `UserError` for the first name that is no column."""
    for name in names:
        if name not in frame:
            raise UserError(
                f"`{where}` names `{name}`, which is not among the columns there. {nearest(name, map(str, frame))}"
            )


def each(column: pd.Series, change: Callable[[str], str | None]) -> pd.Series:
    """A function of every value as text, called once for equal ones; a whole number has no decimal point."""
    codes, values = pd.factorize(column)
    texts = [f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value) for value in values]
    changed = pd.array([change(text) for text in texts] + [None], dtype="str")  # code -1, missing, takes the last
    return pd.Series(changed.take(codes), column.index, name=column.name)


def _spell(frame: pd.DataFrame, name: str, rule: Mapping[str, Any], ledger: Ledger) -> None:
    before = frame[name]
    if before.dtype.kind in "fM":
        raise UserError(f"`data.clean.spelling.{name}` is for texts, but `{name}` holds numbers or dates.")

    def spelled(text: str) -> str | None:
        text = text.strip() if rule["strip"] else text
        text = text.lower() if rule["lower"] else text
        return rule["map"].get(text, text)

    after = each(before, spelled)
    frame[name] = after
    changed = int(((before != after) & before.notna()).sum())
    ledger.add("clean", f"{name}: {changed} spellings changed", len(frame), len(frame), changed)


def _limit(frame: pd.DataFrame, name: str, rule: Mapping[str, Any], ledger: Ledger) -> pd.DataFrame:
    values = frame[name]
    if values.dtype.kind != "f":
        raise UserError(f"`data.clean.impossible.{name}` is for numbers, but `{name}` holds none.")
    low = -np.inf if rule["min"] is None else rule["min"]
    high = np.inf if rule["max"] is None else rule["max"]
    outside = (values < low) | (values > high)
    infinite = int(np.isinf(values[outside]).sum())
    what = f"{name}: {{}} values outside {low:g} to {high:g} " + (f"({infinite} infinite) " if infinite else "")
    if rule["action"] == "drop":
        return _keep(frame, ~outside, what + "and their rows dropped", ledger)
    clips = rule["action"] == "clip"
    frame[name] = values.clip(low, high) if clips else values.mask(outside)
    cells = int(outside.sum())
    ledger.add("clean", (what + ("clipped" if clips else "emptied")).format(cells), len(frame), len(frame), cells)
    return frame


def _keep(frame: pd.DataFrame, keep: pd.Series, what: str, ledger: Ledger) -> pd.DataFrame:
    """The rows to keep; `what` has a place for the number of the others."""
    after = int(keep.sum())
    ledger.add("clean", what.format(len(frame) - after), len(frame), after)
    return frame if after == len(frame) else frame[keep.to_numpy()]  # a Series would be aligned, slowly


def _limits(values: NDArray[np.float64], settings: Mapping[str, Any]) -> tuple[float, float] | None:
    """Below and above which a value is an outlier; None where the spread is 0 and so everything else would be one."""
    values, threshold = values[~np.isnan(values)], settings["threshold"]
    if not len(values):
        return None
    if settings["method"] == "iqr":
        low, high = np.quantile(values, [0.25, 0.75])
        reach = threshold * (high - low)
    else:
        low = high = np.median(values)
        reach = threshold * np.median(np.abs(values - low)) / 0.6745
    return (float(low - reach), float(high + reach)) if reach > 0 else None


def _isolated(numbers: pd.DataFrame, train: NDArray[np.bool_], settings: Mapping[str, Any]) -> NDArray[np.bool_]:
    from sklearn.ensemble import IsolationForest

    X = numbers.fillna(numbers[train].median()).to_numpy()
    forest = IsolationForest(random_state=settings["seed"]).fit(X[train])
    scores = forest.score_samples(X)
    return scores < np.quantile(scores[train], settings["threshold"])


def _act(
    frame: pd.DataFrame,
    train: NDArray[np.bool_],
    found: NDArray[np.bool_],
    which: str,
    settings: Mapping[str, Any],
    ledger: Ledger,
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Flag the rows that were found, or drop those among them that are to train."""
    if settings["action"] == "flag":
        if "outlier" in frame:
            raise UserError("There is a column `outlier` already, where the flag should go. Rename it in the query.")
        ledger.add("clean", f"outlier: {found.sum()} rows flagged, {which}", len(frame), len(frame), int(found.sum()))
        return frame.assign(outlier=found.astype(float)), train
    keep = ~(found & train)
    if not (keep & train).any():
        raise UserError("Every training row has an outlier. Raise `data.clean.outliers.threshold`, or take `clip`.")
    what = f"{(~keep).sum()} training rows with outliers dropped, {which}"
    ledger.add("clean", what, len(frame), int(keep.sum()))
    return (frame, train) if keep.all() else (frame[keep], train[keep])


def _clip(frame: pd.DataFrame, limits: Mapping[str, tuple[float, float]], ledger: Ledger) -> pd.DataFrame:
    frame = frame.copy(deep=False)
    for name, (low, high) in limits.items():
        values = frame[name]
        cells = int(((values < low) | (values > high)).sum())
        frame[name] = values.clip(low, high)
        ledger.add("clean", f"{name}: {cells} outliers clipped", len(frame), len(frame), cells)
    return frame
