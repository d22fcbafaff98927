"""Raw files to a prepared data set: read, check, clean, protect, split once, audit; keep the row ids.

make prepare data=titanic
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from deepmine import config, dataset
from deepmine.data import RESTORE, Raw, clean, contract, privacy
from deepmine.data.audit import audit, refuse, require_target
from deepmine.data.facts import describe
from deepmine.data.ledger import Entry, Ledger
from deepmine.data.split import Index, split
from deepmine.dataset import Dataset, Part
from deepmine.errors import UserError
from deepmine.schema import Data
from deepmine.schema_data import Clean, Privacy

ACCOUNT, REJECTS = "preparation.json", "rejects.csv"
STEER = {"groups": "group", "times": "time", "parts": "part"}  # field of `Raw`: setting of `split` that names a column


class Prepared(NamedTuple):
    """A data set, how it was made (`ledger`, `made_from`), and what its contract refused (`row`, `column`, `rule`)."""

    dataset: Dataset
    account: dict[str, Any]
    rejects: pd.DataFrame


def main(cfg: DictConfig) -> None:
    """Write out/datasets/<name>."""
    folder = Path(cfg.folders.dataset)
    settings = OmegaConf.to_container(cfg.data, resolve=True)
    raw_folder = require_raw(cfg)
    made = prepare(cfg.choices.data, settings, raw_folder)
    save(made, folder)
    show(made, folder)


def save(made: Prepared, folder: Path) -> None:
    """Write the data set, its report and its rejects, whole or not at all."""
    from deepmine.data import report

    account = {ACCOUNT: json.dumps(made.account, indent=2), REJECTS: made.rejects.to_csv(index=False)}
    dataset.save(made.dataset, folder, {**account, report.FILE: report.page(*made)})


def show(made: Prepared, folder: Path) -> None:
    """Print what was done to the rows, and what to look at."""
    for entry in made.account["ledger"]:
        change = entry["rows_before"] - entry["rows_after"]
        print(f"{entry['step']:>10}: {entry['what']}" + (f" ({change} rows)" if change > 0 else ""))
    for finding in made.dataset.info["audit"]:
        print(f"{'warning':>10}: {finding['message']}")
    print(f"{folder}: " + ", ".join(f"{len(part)} {name}" for name, part in made.dataset.parts()))


def ensure(cfg: DictConfig) -> None:
    """Prepare the data set unless it is there and made from the same files, settings and code."""
    raw_folder, folder = require_raw(cfg), Path(cfg.folders.dataset)
    with dataset.locked(folder):  # two trials of a sweep at once: the second finds what the first made
        account = json.loads((folder / ACCOUNT).read_text()) if (folder / ACCOUNT).is_file() else {}
        if account.get("made_from") != _made_from(OmegaConf.to_container(cfg.data, resolve=True), raw_folder):
            main(cfg)


def prepare(name: str, settings: Any, raw_folder: Path) -> Prepared:
    """Read, check, clean, protect, split and audit the raw files of one data set.

    Args:
        name: of the data set.
        settings: conf/data/<name>.yaml, resolved.
        raw_folder: where its raw files lie.

    Raises:
        UserError: the files cannot be used, break their contract, or the audit refuses them.
    """
    declared, source = Data(**settings).model_dump(), dict(settings["source"])
    raw: Raw = hydra.utils.get_method(source.pop("_target_"))(folder=raw_folder, **source)
    ledger = Ledger(raw.facts.get("ledger") or [Entry("read", f"{len(raw.rows)} rows", 0, len(raw.rows))])
    raw = _with_protected_ids(raw, source.get("row_id"), declared["privacy"], ledger)
    is_table = isinstance(raw.X, pd.DataFrame)
    target = source.get("target") or ("target" if is_table and raw.y is not None else None)
    raw, rejects = _checked(raw, describe(raw, target), declared["contract"], ledger)
    if is_table:
        raw = _cleaned(raw, target, declared, ledger)
    else:
        _refuse_columns(declared)
    require_target(raw, target)
    # whole numbers to predict are no classes whose shares are kept
    by = raw if raw.y is None or settings["task"] != "regression" else raw._replace(y=raw.y.astype(float))
    index = split(settings["split"], by, settings["train_fraction"])
    raw, index = _without_outliers(raw, index, declared["clean"]["outliers"], ledger)
    findings = audit(raw, index, settings["task"], declared["audit"])
    refuse(findings, name)
    info = {
        "name": name,
        "kind": settings["kind"],
        "target": target,
        "columns": list(getattr(raw.X, "columns", [])) or None,
        "classes": np.unique(raw.y).tolist() if raw.y is not None and settings["task"] != "regression" else None,
        "split": settings["split"],
        "train_fraction": settings["train_fraction"],
        **{key: value for key, value in raw.facts.items() if key != "ledger"},
        "audit": [finding._asdict() for finding in findings],
    }
    account = {"made_from": _made_from(settings, raw_folder), "ledger": [entry._asdict() for entry in ledger]}
    parts = {part: _part(raw, rows) for part, rows in index.items()}
    return Prepared(Dataset(info, **parts), account, rejects)


def require_raw(cfg: DictConfig) -> Path:
    """The folder of one data set's raw files, downloaded first where its settings say from where.

    Raises:
        UserError: it is not there.
    """
    data, folder = Path(cfg.paths.data), Path(cfg.paths.data, cfg.data.folder)
    if "download" in cfg.data and cfg.data.download is not None:
        from deepmine.data import download

        download.fetch(folder, cfg.data.download.files, [*cfg.paths.mirrors, *cfg.data.download.mirrors])
    if not folder.is_dir():
        have = f"{data}/ is not there" if not data.is_dir() else f"{folder}/ is not there"
        raise UserError(f"{have}. Restore what data.dvc lists: {RESTORE}")
    return folder


def _made_from(settings: Any, raw_folder: Path) -> dict[str, str]:
    """What a prepared data set depends on: raw files, settings, code."""
    here = Path(__file__).parent
    code = [here / "prepare.py", here / "dataset.py", *sorted((here / "data").glob("*.py"))]
    return {
        "raw": dataset.folder_digest(raw_folder),
        "settings": config.digest(settings),
        "code": config.digest([dataset.file_digest(path) for path in code]),
    }


def _with_protected_ids(raw: Raw, row_id: str | None, settings: Any, ledger: Ledger) -> Raw:
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


def _checked(raw: Raw, frame: pd.DataFrame, declared: Any, ledger: Ledger) -> tuple[Raw, pd.DataFrame]:
    """Rows that keep the contract, and those set aside."""
    if declared is None:
        ledger.add("contract", "none is frozen (make contract data=...)", len(frame), len(frame))
        return raw, pd.DataFrame(columns=["row", "column", "rule"])
    kept, rejects = contract.enforce(frame, declared, ledger)
    return (raw if len(kept) == len(frame) else raw.take(frame.index.isin(kept.index))), rejects


def _cleaned(raw: Raw, target: str | None, declared: Mapping[str, Any], ledger: Ledger) -> Raw:
    """Clean and protect a table, take out the columns that only steer the split, and turn dates into numbers."""
    frame = clean.clean(describe(raw, target), declared["clean"], ledger, [target] if target else [])
    frame = privacy.protect(frame, declared["privacy"], ledger)
    steer = {field: declared["split"][name] for field, name in STEER.items() if declared["split"][name]}
    clean.require(frame, steer.values(), "data.split")
    popped = {field: _steering(frame[name], field) for field, name in steer.items()}
    frame = frame.drop(columns=list(steer.values()))
    clean.require(frame, [target] if target else [], "data.source.target")
    y = None if target is None else _plain(frame.pop(target))
    rows = frame.index.to_numpy(raw.rows.dtype if raw.rows.dtype.kind == "i" else np.str_)
    return raw._replace(X=frame.reset_index(drop=True).apply(_number), y=y, rows=rows, **popped)


def _refuse_columns(declared: Any) -> None:
    """Rules about columns are for tables: elsewhere nothing would be cleaned or protected, and nobody be told."""
    plain = {"clean": Clean().model_dump(), "privacy": Privacy(key=declared["privacy"]["key"]).model_dump()}
    plain["split"] = declared["split"] | dict.fromkeys(STEER.values())
    for section, without in plain.items():
        if declared[section] != without:
            raise UserError(
                f"`data.{section}` has rules about columns, but data of kind {declared['kind']} have none. Take them "
                "out, and change the raw files instead; a row id is protected where `source.row_id` names it."
            )


def _without_outliers(raw: Raw, index: Index, declared: Any, ledger: Ledger) -> tuple[Raw, Index]:
    """Learn from the training rows what is usual, and drop, clip or flag what is not."""
    if declared is None:
        return raw, index
    train = np.zeros(len(raw.rows), bool)
    train[index["train"]] = True
    X, train = clean.outliers(raw.X, train, declared, ledger, [])
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
        raise UserError(
            f"`{column.name}` holds infinite numbers, or some beyond {largest:.0e}. Empty them: clean: {{impossible: "
            f"{{{column.name}: {{min: ..., max: ...}}}}}}"
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


def _part(raw: Raw, index: NDArray) -> Part:
    some = raw.take(index)
    return Part(some.X, some.y, some.rows, some.groups)


if __name__ == "__main__":
    config.run(main, trains=False)
