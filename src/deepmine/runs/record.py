"""The run record: a run is a folder of plain files, and MLflow is published from it.

config.yaml       what decided the numbers, resolved               train
provenance.json   code, data, environment; `record_id`             train
patch.diff        uncommitted changes; empty if there were none    train
metrics.jsonl     curves: one line per epoch                       train
model.skops       the fitted pipeline; see pipelines.save          train
cv.csv, cv.json   the scores of each fold, if asked for            train
status.json       RUNNING, FINISHED, FAILED or KILLED, and why     train
checkpoint.skops  how far a network is, until it is fitted         train
metrics.json      final scores, by part                            evaluate
evaluation/       predictions, figures, curves, status.json        evaluate
publish.log       a defect of ours while it was published          publish

A run is built in its folder if that is free. Else it is built in out/adhoc/<name>-<time>, and replaces the older record
when it has ended well: one that fails or is killed stays there.
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from io import StringIO
from pathlib import Path
from secrets import token_hex
from typing import Any

import yaml

from deepmine import ROOT
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import digests, folders
from deepmine.runs.status import read, read_status, running, status, write_json

STAGE = '"stage"'  # in every status.json
EVALUATION = {"status.json": STAGE, "*": ""}
FILES = {"provenance.json": '"record_id"', "status.json": STAGE, "evaluation/status.json": STAGE}
FILES |= dict.fromkeys(("config.yaml", "patch.diff", "metrics.json", "metrics.jsonl", "cv.csv", "cv.json"), "")
CHECKPOINT = "checkpoint.skops"
FILES |= {"model.skops": "", "model.pickle": "", CHECKPOINT: "", "publish.log": ""}


@dataclass
class Record:
    """The record in a folder; what it holds is read from the files each time. UserError: a file is damaged."""

    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """What decided the numbers, with `choices`, the file taken in each group of conf/."""
        return read(self.folder / "config.yaml", yaml.safe_load, digest=self.provenance["config"])

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the run comes from."""
        return read(self.folder / "provenance.json", keys=("record_id", "config", "data"))

    @property
    def overrides(self) -> list[str]:
        """The settings of its command line, but not where it is written and sent; those chosen by name come last."""
        elsewhere = r"(paths|run|config|chain|tracking|resume)\b"
        words = [word for word in self.provenance["command"][2:] if not re.match(elsewhere, word)]
        return sorted(words, key=lambda word: word.startswith(("experiment=", "data=", "model=")))

    @property
    def metrics(self) -> dict[str, float]:
        """Final scores, `{"test/accuracy": ...}`; empty before `evaluate`."""
        return read(self.folder / "metrics.json") if (self.folder / "metrics.json").exists() else {}

    @property
    def predictions(self) -> Any:
        """A table with the text of `row`, `actual` and `predicted`, of test rows; for tasks that have these."""
        import pandas as pd

        def parse(text: str) -> Any:
            return pd.read_csv(StringIO(text), usecols=["row", "actual", "predicted"], dtype=str, keep_default_na=False)

        return read(self.folder / "evaluation/predictions.csv", parse)

    @property
    def curves(self) -> list[dict[str, Any]]:
        """One dict for each epoch: `epoch`, `time` (seconds since 1970) and its values."""
        return list(read(self.folder / "metrics.jsonl", _epochs).values())

    @property
    def cross_validation(self) -> dict[str, Any]:
        """`folds`, a dict for each, and `scores`, their means and deviations; empty without."""
        return read(self.folder / "cv.json") if (self.folder / "cv.json").exists() else {}

    @property
    def status(self) -> dict[str, Any]:
        """That of the stage that came last: `status`, `stage`, `started`, `ended`, `reason`."""
        evaluation, training = self.folder / "evaluation/status.json", self.training
        return read_status(evaluation) if evaluation.exists() and training["status"] == "FINISHED" else training

    @property
    def training(self) -> dict[str, Any]:
        """The status of `train` alone, with `fit_seconds` once the model is fitted."""
        return read_status(self.folder / "status.json")

    def opened(self, trusted: Sequence[str] | None = None) -> tuple[Any, Any]:
        """The fitted pipeline, and the data set that it was trained on. UserError: one is damaged, or has changed."""
        from deepmine.data import dataset
        from deepmine.models import pipelines

        made_on = self.provenance["data"]
        data = dataset.load(ROOT / made_on["dataset"])
        if data.info["digest"] != made_on["digest"]:
            raise UserError(f"{made_on['dataset']} has changed since {self.folder} was trained on it. Train again.")
        may_hold = compose.compose(trains=False).trusted if trusted is None else trusted
        return pipelines.load(self.folder / "model.skops", may_hold), data

    def log(self, epoch: int, values: dict[str, float]) -> None:
        """Append one epoch's values to the curves, unless they hold it: a resumed run comes to some epochs again."""
        if epoch not in self._logged:
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps({"epoch": epoch, "time": time.time(), **values}) + "\n")
            self._logged.add(epoch)

    @cached_property
    def _logged(self) -> set[int]:
        """The epochs of metrics.jsonl, after its last line is cut if a killed run left half of it."""
        with (self.folder / "metrics.jsonl").open("a+b") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        return {line["epoch"] for line in self.curves}

    def move(self, place: Path) -> None:
        """Take the place that `claimed` holds; an older record there is replaced."""
        if self.folder != place:
            folders.replace(place, self.folder, FILES)
            self.folder = place


def find(folder: Path) -> Record:
    """The record in a folder; UserError: there is none, or it is damaged."""
    if not (folder / "provenance.json").is_file():
        raise UserError(f"There is no run record in {folder}. Train it first, or name another folder: run=out/...")
    run = Record(folder)
    _ = run.config, run.metrics, run.curves, run.cross_validation, run.status
    return run


def find_all(out: Path, kinds: Sequence[str] = ("runs", "adhoc")) -> list[Record]:
    """The records below `out`, pipeline's runs first, by name; damaged ones are named on stderr and left out."""
    found = []
    for path in [path for kind in kinds for path in sorted(out.glob(f"{kind}/[!.]*/provenance.json"))]:
        try:
            found.append(find(path.parent))
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)
    return found


@contextmanager
def claimed(place: Path, drafts: Path, begun: Path | None = None) -> Iterator[Path]:
    """Where to build the record of a run that will end in `place`: the folder where it has `begun`, or a free one.

    UserError: another run or other files are there.
    """
    folders.require_ours(place, FILES)
    folders.sweep(place.parent)
    hint = f"Wait for it, or give this run a folder of its own: run={drafts / place.name}-2"
    with folders.locked(place, 0, hint):
        free = begun == place or not place.exists() or not any(place.iterdir())
        draft = drafts / f"{place.name}-{datetime.now():%Y%m%d-%H%M%S}-{token_hex(2)}"
        folder = begun or (place if free else draft)
        try:
            yield folder
        except BaseException:
            if not (folder / "provenance.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
            elif not free:
                print(f"The record of this run is {folder}; {place} is as it was before.", file=sys.stderr)
            raise


def start(folder: Path, settings: dict[str, Any], provenance: dict[str, Any], patch: bytes) -> Record:
    """A new record in a free folder; provenance.json comes last and makes it one."""
    write_json(folder / "status.json", running("train"))
    compose.dump(folder / "config.yaml", settings)
    (folder / "metrics.jsonl").touch()
    (folder / "patch.diff").write_bytes(patch)
    folders.sync(folder)
    write_json(folder / "provenance.json", provenance | {"config": digests.file_digest(folder / "config.yaml")})
    return Record(folder)


@contextmanager
def evaluation(run: Record) -> Iterator[Path]:
    """The folder for a new evaluation. The last one, if it is good, is replaced only when this one ends well."""
    place = run.folder / "evaluation"
    good = (place / "status.json").exists() and run.status["status"] == "FINISHED"
    if not good:
        folders.require_ours(place, EVALUATION)
        shutil.rmtree(place, ignore_errors=True)
    folder = folders.rebuilt(place, EVALUATION) if good else nullcontext(place)
    with folder as new, status(new / "status.json", "evaluate"):
        yield new
        folders.sync(new)


def _epochs(text: str) -> dict[int, dict[str, Any]]:
    return dict(enumerate(map(json.loads, text.rpartition("\n")[0].splitlines())))  # the last may be half-written
