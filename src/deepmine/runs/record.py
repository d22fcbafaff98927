"""The run record: a run is a folder of plain files, and MLflow is published from it.

config.yaml       what decided the numbers, resolved           train
passport.json     code, data, environment, seed; `record_id`   train
patch.diff        uncommitted changes; empty if there were none  train
metrics.jsonl     curves: one line per epoch                   train
model.skops       the fitted pipeline                          train
cv.csv, cv.json   the scores of each fold, if it was asked for    train
status.json       RUNNING, FINISHED, FAILED or KILLED, why     train
metrics.json      final scores, by part                        evaluate
evaluation/       predictions, figures, curves, status.json    evaluate
"""

import json
import os
import platform
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from deepmine.config import compose
from deepmine.config.errors import UserError


@dataclass(frozen=True)
class Record:
    """The record in a folder; what it holds is read from the files each time."""

    folder: Path

    @property
    def config(self) -> dict[str, Any]:
        """What decided the numbers, with `experiment` and `choices`."""
        return yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))

    @property
    def passport(self) -> dict[str, Any]:
        """Where the run comes from."""
        return json.loads((self.folder / "passport.json").read_text())

    @property
    def metrics(self) -> dict[str, float]:
        """Final scores, `{"test/accuracy": ...}`; empty before `evaluate`."""
        path = self.folder / "metrics.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    @property
    def curves(self) -> list[dict[str, Any]]:
        """One dict for each epoch: `epoch`, `time` (seconds since 1970) and its values."""
        path = self.folder / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be half-written

    @property
    def cross_validation(self) -> dict[str, Any]:
        """`folds`, a dict for each, and `scores`, their means and deviations; empty without."""
        path = self.folder / "cv.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    @property
    def status(self) -> dict[str, Any]:
        """That of the stage that came last: `status`, `stage`, `started`, `ended`, `reason`."""
        evaluation = read_status(self.folder / "evaluation/status.json")
        return evaluation if evaluation and self.training["status"] == "FINISHED" else self.training

    @property
    def training(self) -> dict[str, Any]:
        """The status of `train` alone, with `fit_seconds` once the model is fitted."""
        return read_status(self.folder / "status.json") or {"status": "UNKNOWN"}

    def log(self, epoch: int, values: dict[str, float]) -> None:
        """Append one epoch's values to the curves."""
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"epoch": epoch, "time": time.time(), **values}) + "\n")


def find(folder: Path) -> Record:
    """The record in a folder.

    Raises:
        UserError: there is none.
    """
    if not (folder / "passport.json").is_file():
        raise UserError(f"There is no run record in {folder}. Train it first, or name another folder: run=out/...")
    return Record(folder)


def find_all(out: Path, kinds: Sequence[str] = ("runs", "adhoc")) -> list[Record]:
    """All records below `out`: those of the pipeline (`runs`), then those of single runs (`adhoc`), by name."""
    return [Record(path.parent) for kind in kinds for path in sorted(out.glob(f"{kind}/*/passport.json"))]


def start(folder: Path, settings: dict[str, Any], passport: dict[str, Any], patch: str) -> Record:
    """A new record; an older one in the same folder is gone."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    compose.dump(folder / "config.yaml", settings)
    write_json(folder / "passport.json", passport)
    (folder / "metrics.jsonl").touch()
    (folder / "patch.diff").write_text(patch)
    return Record(folder)


@contextmanager
def status(path: Path, stage: str) -> Iterator[dict[str, Any]]:
    """Keep the status file of a stage true: RUNNING, then FINISHED, FAILED (an error) or KILLED (a signal).

    What the block puts into the dict stands in the file at the end.
    """
    now = {
        "status": "RUNNING",
        "stage": stage,
        "started": _now(),
        "pid": os.getpid(),
        "host": platform.node(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, now)
    try:
        yield now
        now["status"] = "FINISHED"
    except Exception as error:
        now |= {
            "status": "FAILED",
            "reason": f"{type(error).__name__}: {error}",
            "traceback": traceback.format_exc(),
        }
        raise
    except BaseException as end:  # Ctrl-C, SIGTERM
        now |= {
            "status": "KILLED",
            "reason": "Ctrl-C" if isinstance(end, KeyboardInterrupt) else f"exit: {end}",
        }
        raise
    finally:
        write_json(path, {**now, "ended": _now()})


def read_status(path: Path) -> dict[str, Any] | None:
    """The status of a stage; one that still says RUNNING although its process is gone was KILLED."""
    if not path.is_file():
        return None
    found = json.loads(path.read_text())
    if found["status"] == "RUNNING" and found["host"] == platform.node() and not _alive(found["pid"]):
        found |= {"status": "KILLED", "reason": "its process ended without a word (killed, or out of memory)"}
    return found


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(value, indent=2) + "\n")
    new.replace(path)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
