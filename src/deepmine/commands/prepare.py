"""Raw files to a prepared data set in out/datasets/<name>: read, check, clean, protect, split, audit, report.

make prepare data=titanic
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from deepmine import ROOT
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import dataset
from deepmine.data.digests import compare_with_dvc, file_digest, folder_digest
from deepmine.data.folders import locked
from deepmine.data.raw import RESTORE, require_inside

ACCOUNT, REJECTS = "preparation.json", "rejects.csv"


def main(cfg: DictConfig) -> None:
    """Write the data set, its report and what its contract rejected; print what was done, and what to look at."""
    from deepmine.data.preparing import prepare, report

    settings, raw_folder, folder = compose.plain(cfg)["data"], require_raw(cfg), Path(cfg.folders.dataset)
    made = prepare.prepare(cfg.choices.data, settings, raw_folder)
    account = {"made_from": _made_from(settings, raw_folder), "ledger": [entry._asdict() for entry in made.ledger]}
    page, rejects = report.page(made.dataset, made.ledger), made.rejects.to_csv(index=False)
    files = {ACCOUNT: json.dumps(account, indent=2), REJECTS: rejects, report.FILE: page}
    dataset.save(made.dataset, folder, files)
    for entry in made.ledger:
        change = entry.rows_before - entry.rows_after
        print(f"{entry.step:>10}: {entry.what}" + (f" ({change} row{'s' * (change > 1)})" if change > 0 else ""))
    for finding in made.dataset.info["audit"]:
        print(f"{'warning':>10}: {finding['message']}")
    print(f"{folder}: " + ", ".join(f"{len(part)} {name}" for name, part in made.dataset.parts()))


def ensure(cfg: DictConfig) -> None:
    """Prepare the data set, unless it was made from the same files, settings and code already."""
    raw_folder, folder = require_raw(cfg), Path(cfg.folders.dataset)
    with locked(folder):  # of two trials of a sweep the second finds what the first made
        account: dict[str, Any] = {}
        with suppress(OSError, ValueError):  # absent or damaged: it is prepared again
            account = json.loads((folder / ACCOUNT).read_text())
        if account.get("made_from") != _made_from(compose.plain(cfg)["data"], raw_folder):
            main(cfg)


def require_raw(cfg: DictConfig) -> Path:
    """The folder of a data set's raw files, downloaded first where its settings say from where."""
    data, origin = Path(cfg.paths.data), cfg.data.get("download")
    folder = require_inside(data / cfg.data.folder, data)
    if origin is not None:
        from deepmine.data.readers import download

        download.fetch(folder, origin.files, [*cfg.paths.mirrors, *origin.mirrors])
    if not folder.is_dir():
        raise UserError(f"{folder if data.is_dir() else data}/ does not exist. Restore what data.dvc lists: {RESTORE}")
    compare_with_dvc(folder)
    return folder


def _made_from(settings: Any, raw_folder: Path) -> dict[str, str]:
    """What a prepared data set depends on: raw files, settings with the contract, and code."""
    code = [file_digest(path) for path in sorted((ROOT / "src/deepmine/data").rglob("*.py"))]
    return {"raw": folder_digest(raw_folder), "settings": compose.digest(settings), "code": compose.digest(code)}
