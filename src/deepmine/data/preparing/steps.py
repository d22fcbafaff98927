"""The steps of preparing between a reader and the split, each on all rows of a source."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.config.schema.data import Clean, Privacy
from deepmine.data.ledger import Ledger
from deepmine.data.preparing import clean, contract, privacy
from deepmine.data.preparing.examples import describe
from deepmine.data.preparing.split import Index
from deepmine.data.raw import Raw

STEER = {"groups": "group", "times": "time", "parts": "part"}  # field of `Raw`: setting of `split` that names a column


def with_protected_ids(raw: Raw, row_id: str | None, settings: Any, ledger: Ledger) -> Raw:
    """Row ids stand in messages, predictions and rejects: so they are protected first of all, by the rule of theirs."""
    if row_id is None:
        return raw
    ids = pd.DataFrame({row_id: raw.rows}, dtype="str")
    rule = {row_id: settings["columns"].pop(row_id)} if row_id in settings["columns"] else {}
    kept = privacy.protect(ids, {**settings, "columns": rule, "k_anonymity": None}, ledger)
    rows = (kept[row_id] if row_id in kept else pd.Series(kept.index)).to_numpy(np.str_)
    if len(np.unique(rows)) != len(rows):
        raise UserError(
            f"After its rule in `data.privacy`, `{row_id}` names no single row. Take pseudonymise, or drop."
        )
    return raw._replace(rows=rows)


def checked(raw: Raw, frame: pd.DataFrame, declared: Any, ledger: Ledger) -> tuple[Raw, pd.DataFrame]:
    """Rows that keep the contract, and those set aside."""
    if declared is None:
        ledger.add("contract", "none is frozen (make contract data=...)", len(frame), len(frame))
        return raw, pd.DataFrame(columns=["row", "column", "rule"])
    kept, rejects = contract.enforce(frame, declared, ledger)
    return (raw if len(kept) == len(frame) else raw.take(frame.index.isin(kept.index))), rejects


def cleaned(raw: Raw, target: str | None, declared: Mapping[str, Any], ledger: Ledger) -> Raw:
    """Clean and protect a table, take out the columns that only steer the split, and turn dates into numbers."""
    frame = clean.clean(describe(raw, target), declared["clean"], ledger)
    frame = privacy.protect(frame, declared["privacy"], ledger)
    steer = {field: declared["split"][name] for field, name in STEER.items() if declared["split"][name]}
    clean.require(frame, steer.values(), "data.split")
    popped = {field: _steering(frame[name], field) for field, name in steer.items()}
    frame = frame.drop(columns=list(steer.values()))
    clean.require(frame, [target] if target else [], "data.source.target")
    y = None if target is None else _plain(frame.pop(target))
    rows = frame.index.to_numpy(raw.rows.dtype if raw.rows.dtype.kind == "i" else np.str_)
    return raw._replace(X=frame.reset_index(drop=True).apply(_number), y=y, rows=rows, **popped)


def refuse_columns(declared: Any) -> None:
    """Rules about columns are for tables: elsewhere nothing would be cleaned or protected, and nobody be told."""
    plain = {"clean": Clean().model_dump(), "privacy": Privacy(key=declared["privacy"]["key"]).model_dump()}
    plain["split"] = declared["split"] | dict.fromkeys(STEER.values())
    for section, without in plain.items():
        if declared[section] != without:
            raise UserError(
                f"`data.{section}` has rules about columns, but data of kind {declared['kind']} have none. Take them "
                "out, and change the raw files instead; a row id is protected where `source.row_id` names it."
            )


def learned(raw: Raw, index: Index, settings: Any, ledger: Ledger) -> tuple[Raw, Index]:
    """Learn from the training rows which columns hold enough, and what is usual: drop, clip or flag what is not."""
    if not isinstance(raw.X, pd.DataFrame):
        return raw, index
    raw = raw._replace(X=clean.drop_columns(raw.X, index["train"], settings["missing"]["drop_columns"], ledger))
    if raw.X.empty:
        raise UserError("No column is left to learn from. Change `data.source.query`, `data.clean` or `data.privacy`.")
    declared = settings["outliers"]
    if declared is None:
        return raw, index
    train = np.zeros(len(raw.rows), bool)
    train[index["train"]] = True
    X, train = clean.outliers(raw.X, train, declared, ledger)
    usual = X.index.to_numpy()[train]
    changed = raw._replace(X=X) if len(X) == len(raw.rows) else raw
    return changed, {**index, "train": index["train"][np.isin(index["train"], usual)]}


def _steering(column: pd.Series, field: str) -> Any:
    """A column that steers the split, as array."""
    if column.isna().any():
        raise UserError(f"`{column.name}`, by which `data.split` goes, is missing in {column.isna().sum()} rows.")
    if pd.api.types.is_numeric_dtype(column) or column.dtype.kind == "M":
        return column.to_numpy()
    if field == "times":
        raise UserError(
            f"`{column.name}`, the `data.split.time`, holds texts. Make dates of it: strptime in the query."
        )
    return column.to_numpy(np.str_)


def _number(column: pd.Series) -> pd.Series:
    """Dates as days since 1970-01-01; others as they are, if models can hold them."""
    largest = float(np.finfo(np.float32).max)  # in which trees and nets count
    if column.dtype.kind == "f" and max(column.max(), -column.min()) > largest:
        infinite = int(np.isinf(column).sum())
        found = f"is infinite in {infinite} rows" if infinite else f"holds numbers beyond {largest:.0e}"
        raise UserError(
            f"`{column.name}` {found}, which no model can learn from. Empty them: "
            f"clean: {{impossible: {{{column.name}: {{min: ..., max: ...}}}}}}"
        )
    if not pd.api.types.is_datetime64_any_dtype(column):
        return column
    return (column - pd.Timestamp(0)) / pd.Timedelta(days=1)


def _plain(target: pd.Series) -> NDArray:
    """A target as array: whole numbers as such, texts without a length; missing ones stay so for the audit to find."""
    if pd.api.types.is_numeric_dtype(target):
        values = target.to_numpy(float)
        return values.astype(np.int64) if (values % 1 == 0).all() else values
    return target.to_numpy(object) if target.isna().any() else target.astype(str).to_numpy(np.str_)
