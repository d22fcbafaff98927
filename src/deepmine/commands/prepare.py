"""Raw files to a prepared data set: read, check, clean, protect, split once, audit; keep the row ids.

make prepare data=titanic
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from deepmine import ROOT
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.config.schema.config import Data
from deepmine.data import dataset
from deepmine.data.dataset import Dataset, Part
from deepmine.data.ledger import Entry, Ledger
from deepmine.data.preparing import steps
from deepmine.data.preparing.audit import audit, refuse, require_classes, require_target
from deepmine.data.preparing.examples import describe
from deepmine.data.preparing.split import split
from deepmine.data.raw import RESTORE, Raw, require_inside

ACCOUNT, REJECTS = "preparation.json", "rejects.csv"


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
    from deepmine.data.preparing import report

    account = {ACCOUNT: json.dumps(made.account, indent=2), REJECTS: made.rejects.to_csv(index=False)}
    dataset.save(made.dataset, folder, {**account, report.FILE: report.page(*made)})


def show(made: Prepared, folder: Path) -> None:
    """Print what was done to the rows, and what to look at."""
    for entry in made.account["ledger"]:
        change = entry["rows_before"] - entry["rows_after"]
        print(f"{entry['step']:>10}: {entry['what']}" + (f" ({change} row{'s' * (change > 1)})" if change > 0 else ""))
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
    raw = steps.with_protected_ids(raw, source.get("row_id"), declared["privacy"], ledger)
    is_table = isinstance(raw.X, pd.DataFrame)
    target = source.get("target") or ("target" if is_table and raw.y is not None else None)
    raw, rejects = steps.checked(raw, describe(raw, target), declared["contract"], ledger)
    if is_table:
        raw = steps.cleaned(raw, target, declared, ledger)
    else:
        steps.refuse_columns(declared)
    require_target(raw, target)
    # whole numbers to predict are no classes whose shares are kept
    by = raw if raw.y is None or settings["task"] != "regression" else raw._replace(y=raw.y.astype(float))
    index = split(settings["split"], by, settings["train_fraction"])
    raw, index = steps.learned(raw, index, declared["clean"], ledger)
    if settings["task"] == "classification":
        require_classes(raw, index)
    findings = audit(raw, index, settings["task"], declared["audit"])
    refuse(findings, name)
    account = {"made_from": _made_from(settings, raw_folder), "ledger": [entry._asdict() for entry in ledger]}
    parts = {part: _part(raw, rows) for part, rows in index.items()}
    info = {**_info(name, target, settings, raw), "audit": [finding._asdict() for finding in findings]}
    return Prepared(Dataset(info, **parts), account, rejects)


def _info(name: str, target: str | None, settings: Any, raw: Raw) -> dict[str, Any]:
    """What a model, a figure or a cross-validation must know of the rows."""
    return {
        "name": name,
        "kind": settings["kind"],
        "target": target,
        "columns": list(getattr(raw.X, "columns", [])) or None,
        "classes": np.unique(raw.y).tolist() if raw.y is not None and settings["task"] != "regression" else None,
        "split": settings["split"],
        "train_fraction": settings["train_fraction"],
        **{key: value for key, value in raw.facts.items() if key != "ledger"},
    }


def require_raw(cfg: DictConfig) -> Path:
    """The folder of one data set's raw files, downloaded first where its settings say from where.

    Raises:
        UserError: it is not there.
    """
    data = Path(cfg.paths.data)
    folder = require_inside(data / cfg.data.folder, data)
    if "download" in cfg.data and cfg.data.download is not None:
        from deepmine.data.readers import download

        download.fetch(folder, cfg.data.download.files, [*cfg.paths.mirrors, *cfg.data.download.mirrors])
    if not folder.is_dir():
        have = f"{data}/ is not there" if not data.is_dir() else f"{folder}/ is not there"
        raise UserError(f"{have}. Restore what data.dvc lists: {RESTORE}")
    return folder


def _made_from(settings: Any, raw_folder: Path) -> dict[str, str]:
    """What a prepared data set depends on: raw files, settings, code."""
    code = [Path(__file__), *sorted((ROOT / "src/deepmine/data").rglob("*.py"))]
    return {
        "raw": dataset.folder_digest(raw_folder),
        "settings": compose.digest(settings),
        "code": compose.digest([dataset.file_digest(path) for path in code]),
    }


def _part(raw: Raw, index: NDArray) -> Part:
    some = raw.take(index)
    return Part(some.X, some.y, some.rows, some.groups)


def run() -> None:
    """Run this verb with the overrides of the command line."""
    compose.run(main, trains=False)
