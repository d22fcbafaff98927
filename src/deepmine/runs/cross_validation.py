"""Cross-validation: how much does the score depend on which rows were there to learn from?

The folds are cut from the training rows by the rule that split the data set; test rows are never used. The same
validation rows, which belong to no fold, choose a network's epoch in every fold. Only in a time split, where they come
after every fold, the last of the rows before the held-out ones do so instead: a fold never sees its own future.

make train experiment=titanic_tree cv=5
"""

import json
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import Pipeline

from deepmine import tasks
from deepmine.config.errors import UserError
from deepmine.data.dataset import Dataset, Part
from deepmine.models import pipelines
from deepmine.runs import record


def run(folder: Path, pipeline: Pipeline, task: str, data: Dataset, folds: int) -> None:
    """Fit a copy of the pipeline for each fold, score it on the rows held out, and write cv.csv and cv.json.

    A line is a fold: `fold`, from 1; `rows`, how many were held out; its scores. cv.json adds mean, `cv/<score>`, and
    sample standard deviation, `cv/<score>_std`, of the scores that all folds have. Each fold is written when it is
    done, and those that are there are not fitted again.
    """
    written, checkpoint, found = folder / "cv.json", folder / record.CHECKPOINT, tasks.find(task)
    lines = json.loads(written.read_text())["folds"] if written.is_file() else []
    for number, (learn, val, held_out) in islice(enumerate(cut(data, task, folds), start=1), len(lines), None):
        fresh = clone(pipeline)
        pipelines.fit(fresh, task, learn, val, lambda *_: None, checkpoint)
        checkpoint.unlink(missing_ok=True)  # before the fold is written: it would start the next one
        scores = found.score(found.predict(fresh, held_out))
        lines.append({"fold": number, "rows": len(held_out), **scores})
        table = pd.DataFrame(lines)
        table.to_csv(folder / "cv.csv", index=False, lineterminator="\n")
        record.write_json(written, {"folds": lines, "scores": _summary(table) if number == folds else {}})


def _summary(table: pd.DataFrame) -> dict[str, float]:
    whole = table.drop(columns=["fold", "rows"]).dropna(axis=1).add_prefix("cv/")
    return whole.mean().to_dict() | whole.std(ddof=1).add_suffix("_std").to_dict()


def cut(data: Dataset, task: str, folds: int) -> Iterator[tuple[Part, Part, Part]]:
    """For each fold: the rows to learn from, those that choose the epoch, and those held out.

    Classes keep their shares where the data set was split so, or came with a split of its own; groups stay together
    where they did. UserError: there are too few rows, groups or rows of a class.
    """
    train, strategy = data.train, data.info["split"]["strategy"]
    kind = StratifiedKFold if strategy in ("stratified", "published") and task == "classification" else KFold
    kind = GroupKFold if strategy == "group" else kind
    shuffled = {"shuffle": True, "random_state": data.info["split"]["seed"]}
    cutter = TimeSeriesSplit(folds) if strategy == "time" else kind(folds, **shuffled)
    try:
        with warnings.catch_warnings(action="error"):  # it only warns of a class smaller than the number of folds
            found = list(cutter.split(train.rows, train.y, train.groups if strategy == "group" else None))
        if strategy == "time" and len(found[0][0]) < 2:
            raise ValueError(f"the first fold would learn from a single row of {len(train)}.")
    except (ValueError, UserWarning) as error:
        raise UserError(f"cv={folds} does not suit the training rows: {error}") from None
    share = len(data.val) / (len(train) + len(data.val))
    for learn, held_out in found:
        val = data.val
        if strategy == "time":
            last = len(learn) - max(1, round(len(learn) * share))
            learn, val = learn[:last], train.take(learn[last:])
        yield train.take(learn), val, train.take(held_out)
