"""Cleaning that is declared; what is learned from training rows (outliers, filling) belongs to the model."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError, nearest
from deepmine.data.ledger import Ledger


def clean(frame: pd.DataFrame, settings: Mapping[str, Any], ledger: Ledger) -> pd.DataFrame:
    """Impossible values, duplicates, rows with missing values, in this order; `frame` is not changed."""
    drop_rows = settings["missing"]["drop_rows"]
    require(frame, [*settings["impossible"], *drop_rows], "data.clean")
    frame = frame.copy(deep=False)
    for name, rule in settings["impossible"].items():
        values = frame[name]
        if values.dtype.kind != "f":
            raise UserError(f"`data.clean.impossible.{name}` is for numbers, but `{name}` does not hold numbers.")
        outside = (values < rule["min"]) | (values > rule["max"])
        frame[name], cells, infinite = values.mask(outside), int(outside.sum()), np.isinf(values[outside]).sum()
        what = f"emptied {cells} values outside {rule['min']:g} to {rule['max']:g}, of which {infinite} are infinite"
        ledger.add("clean", f"{name}: {what}", len(frame), len(frame), cells)
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


def _keep(frame: pd.DataFrame, keep: pd.Series, others: str, ledger: Ledger) -> pd.DataFrame:
    kept = int(keep.sum())
    ledger.add("clean", f"dropped {len(frame) - kept} {others}", len(frame), kept)
    return frame if kept == len(frame) else frame[keep.to_numpy()]
