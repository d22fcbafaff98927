"""From raw rows to a prepared data set: read, check, clean, protect, split once, audit. Nothing is learned here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.config.schema.config import Data
from deepmine.data.dataset import Dataset, Part
from deepmine.data.ledger import Entry, Ledger
from deepmine.data.preparing import audit, clean, contract, privacy
from deepmine.data.preparing.examples import describe
from deepmine.data.preparing.split import split
from deepmine.data.raw import Raw

STEERING = {"groups": "group", "times": "time", "parts": "part"}  # field of `Raw`: setting of `split` naming its column
LARGEST = float(np.finfo(np.float32).max)  # the type in which models count


class Prepared(NamedTuple):
    """A data set, what was done to its rows, and what its contract rejected (`row`, `column`, `rule`)."""

    dataset: Dataset
    ledger: Ledger
    rejects: pd.DataFrame


def prepare(name: str, settings: Any, raw_folder: Path) -> Prepared:
    """Prepare the raw files of a data set; `settings` are conf/data/<name>.yaml as `compose.plain` gives them."""
    declared, source = Data(**settings).model_dump(), dict(settings["source"])
    raw: Raw = hydra.utils.get_method(source.pop("_target_"))(folder=raw_folder, **source)
    ledger = Ledger(raw.facts.get("ledger") or [Entry("read", f"{len(raw.rows)} rows", 0, len(raw.rows))])
    raw = _with_protected_ids(raw, source.get("row_id"), declared["privacy"], ledger)
    is_table = isinstance(raw.X, pd.DataFrame)
    target = source.get("target") or ("target" if is_table and raw.y is not None else None)
    rejects = pd.DataFrame(columns=contract.BROKEN)
    if declared["contract"] is None:
        ledger.add("contract", "there is none (make contract data=...)", len(raw.rows), len(raw.rows))
    else:
        rejects = contract.enforce(describe(raw, target), declared["contract"], declared["on_violation"], ledger)
        raw = raw.take(~np.isin(raw.rows, rejects["row"].to_numpy(raw.rows.dtype))) if len(rejects) else raw
    read = raw
    if is_table:
        raw = clean_table(raw, target, declared, ledger)
    audit.require_target(raw, target)
    classes = settings["task"] != "regression"  # integers to predict by regression are not classes
    by = raw if raw.y is None or classes else raw._replace(y=raw.y.astype(float))
    if declared["privacy"]["columns"].get(target) == "pseudonymise":  # another key must give the same split
        by = raw._replace(y=pd.factorize(np.asarray(raw.y))[0])
    index = split(settings["split"], by, settings["train_fraction"])
    if settings["task"] == "classification":
        audit.require_classes(raw, index)
    findings = audit.audit(read, raw, index, declared)
    audit.refuse(findings, name)
    info = {
        "name": name,
        "target": target,
        "columns": list(raw.X) if is_table else None,
        "classes": np.unique(raw.y).tolist() if raw.y is not None and classes else None,
        **{key: settings[key] for key in ("kind", "split", "train_fraction")},
        **{key: value for key, value in raw.facts.items() if key != "ledger"},
        "audit": findings,
    }
    everything = Part(raw.X, raw.y, raw.rows, raw.groups)
    parts = {part: everything.take(rows) for part, rows in index.items()}
    return Prepared(Dataset(info, **parts), ledger, rejects)


def clean_table(raw: Raw, target: str | None, declared: Mapping[str, Any], ledger: Ledger) -> Raw:
    """Clean and protect a table, take out the columns that steer the split, and turn dates into numbers."""
    frame = clean.clean(describe(raw, target), declared["clean"], ledger)
    frame = privacy.protect(frame, declared["privacy"], ledger)
    names = {field: declared["split"][key] for field, key in STEERING.items() if declared["split"][key]}
    clean.require(frame, names.values(), "data.split")
    steering: Any = {field: _steering(frame[name], field) for field, name in names.items()}
    frame = frame.drop(columns=list(names.values()))
    clean.require(frame, [target] if target else [], "data.source.target")
    y = None if target is None else _target(frame.pop(target))
    if frame.empty:
        raise UserError("No column is left to learn from. Change `data.source.query` or `data.privacy`.")
    rows = frame.index.to_numpy(raw.rows.dtype if raw.rows.dtype.kind == "i" else np.str_)
    return raw._replace(X=frame.reset_index(drop=True).apply(_number), y=y, rows=rows, **steering)


def _with_protected_ids(raw: Raw, row_id: str | None, settings: Any, ledger: Ledger) -> Raw:
    """Row ids appear in messages, predictions and rejects, so their privacy rule is applied first."""
    if row_id is None:
        return raw
    rule = {row_id: settings["columns"].pop(row_id)} if row_id in settings["columns"] else {}
    kept = privacy.protect(pd.DataFrame({row_id: raw.rows}, dtype="str"), {**settings, "columns": rule}, ledger)
    rows = (kept[row_id] if row_id in kept else pd.Series(kept.index)).to_numpy(np.str_)
    if len(np.unique(rows)) != len(rows):
        raise UserError(f"`{row_id}` does not identify each row under its rule in `data.privacy`. Use pseudonymise.")
    return raw._replace(rows=rows)


def _steering(column: pd.Series, field: str) -> NDArray:
    if missing := column.isna().sum():
        raise UserError(f"`{column.name}`, used in `data.split`, is missing in {missing} rows.")
    if field == "groups":  # numbered by first appearance, so that another key for pseudonyms gives the same split
        return pd.factorize(column)[0]
    if field == "times" and column.dtype.kind not in "biufM":
        raise UserError(f"`{column.name}`, the `data.split.time`, holds text. Make it a date: strptime in the query.")
    return column.to_numpy(np.str_ if field == "parts" else None)


def _number(column: pd.Series) -> pd.Series:
    """Dates as days since 1970-01-01; other columns unchanged, if models can represent them."""
    if column.dtype.kind == "f" and max(column.max(), -column.min()) > LARGEST:
        raise UserError(
            f"`{column.name}` is infinite or beyond {LARGEST:.0e} in {(column.abs() > LARGEST).sum()} rows, too large "
            f"for models. To empty these values, set clean: {{impossible: {{{column.name}: {{min: ..., max: ...}}}}}}"
        )
    return (column - pd.Timestamp(0)) / pd.Timedelta(days=1) if column.dtype.kind == "M" else column


def _target(column: pd.Series) -> NDArray:
    """Whole numbers as integers, texts as such; missing values stay for `require_target` to find."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(np.int64 if (column % 1 == 0).all() else float)
    return column.to_numpy(object) if column.isna().any() else column.astype(str).to_numpy(np.str_)
