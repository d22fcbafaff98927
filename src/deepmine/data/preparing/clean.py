"""Cleaning that is declared; what is learned from training rows (outliers, filling) belongs to the model."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError, nearest
from deepmine.data.ledger import Ledger


def clean(frame: pd.DataFrame, settings: Mapping[str, Any], ledger: Ledger) -> pd.DataFrame:
    """Spelling, impossible values, duplicates, rows with missing values, in this order; `frame` is not changed."""
    drop_rows = settings["missing"]["drop_rows"]
    require(frame, [*settings["spelling"], *settings["impossible"], *drop_rows], "data.clean")
    frame = frame.copy(deep=False)
    for name, rule in settings["spelling"].items():
        _spell(frame, name, rule, ledger)
    for name, rule in settings["impossible"].items():
        frame = _limit(frame, name, rule, ledger)
    if settings["duplicates"] == "drop":
        frame = _keep(frame, ~frame.duplicated(), "rows that repeat an earlier one (row id aside)", ledger)
    for name in drop_rows:
        frame = _keep(frame, frame[name].notna(), f"rows where {name} is missing", ledger)
    if frame.empty:
        raise UserError("No row is left after cleaning. Loosen `impossible` or `missing` in `data.clean`.")
    return frame


def require(frame: pd.DataFrame, names: Iterable[str], where: str) -> None:
    """Raise `UserError` for the first name that is not a column."""
    for name in names:
        if name not in frame:
            raise UserError(f"`{where}` names `{name}`, which is not a column. {nearest(name, map(str, frame))}")


def each(column: pd.Series, change: Callable[[str], str | None]) -> pd.Series:
    """Apply a function to every value as text, once for each distinct value; whole numbers have no decimal point."""
    codes, values = pd.factorize(column)
    texts = [f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value) for value in values]
    changed = pd.array([change(text) for text in texts] + [None], dtype="str")  # a missing value has code -1, the last
    return pd.Series(changed.take(codes), column.index, name=column.name)


def _spell(frame: pd.DataFrame, name: str, rule: Mapping[str, Any], ledger: Ledger) -> None:
    before = frame[name]
    if before.dtype.kind in "fM":
        raise UserError(f"`data.clean.spelling.{name}` is for text, but `{name}` holds numbers or dates.")

    def spelled(text: str) -> str | None:
        text = text.strip() if rule["strip"] else text
        text = text.lower() if rule["lower"] else text
        return rule["map"].get(text, text)

    frame[name] = each(before, spelled)
    changed = int(((before != frame[name]) & before.notna()).sum())
    ledger.add("clean", f"{name}: changed the spelling of {changed} values", len(frame), len(frame), changed)


def _limit(frame: pd.DataFrame, name: str, rule: Mapping[str, Any], ledger: Ledger) -> pd.DataFrame:
    values = frame[name]
    if values.dtype.kind != "f":
        raise UserError(f"`data.clean.impossible.{name}` is for numbers, but `{name}` does not hold numbers.")
    low, high = (near if limit is None else limit for limit, near in ((rule["min"], -np.inf), (rule["max"], np.inf)))
    outside = (values < low) | (values > high)
    which = f"outside {low:g} to {high:g}, of which {np.isinf(values[outside]).sum()} are infinite"
    if rule["action"] == "drop":
        return _keep(frame, ~outside, f"rows with {name} {which}", ledger)
    frame[name] = values.clip(low, high) if rule["action"] == "clip" else values.mask(outside)
    done, cells = "clipped" if rule["action"] == "clip" else "emptied", int(outside.sum())
    ledger.add("clean", f"{name}: {done} {cells} values {which}", len(frame), len(frame), cells)
    return frame


def _keep(frame: pd.DataFrame, keep: pd.Series, others: str, ledger: Ledger) -> pd.DataFrame:
    kept = int(keep.sum())
    ledger.add("clean", f"dropped {len(frame) - kept} {others}", len(frame), kept)
    return frame if kept == len(frame) else frame[keep.to_numpy()]
