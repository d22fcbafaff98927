"""Cross-validation: how much does the score depend on which rows were there to learn from?

The folds are cut from the training rows, by the rule that split the data set. The validation part belongs to no fold:
it chooses the epoch of a net in each of them, as it does in the final fit, so the held-out rows choose nothing. The
test rows do not come here at all.

make train experiment=titanic_tree cv=5
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import Pipeline

from deepmine import tasks
from deepmine.config.errors import UserError
from deepmine.data.dataset import Dataset, Part
from deepmine.models import pipelines
from deepmine.runs import record


def run(folder: Path, pipeline: Pipeline, task: str, data: Dataset, folds: int) -> None:
    """Cross-validate on the training rows of a data set, and write cv.csv and cv.json."""
    write(folder, cross_validate(pipeline, task, data.train, data.val, data.info["split"], folds))


def cross_validate(
    pipeline: Pipeline, task: str, train: Part, val: Part, split: Mapping[str, Any], folds: int
) -> pd.DataFrame:
    """Fit a fresh copy of the pipeline on all folds but one, and score it on that one; for each fold in turn.

    Args:
        pipeline: not changed.
        task: name of a module in `deepmine.tasks`.
        train: the rows that are cut into folds.
        val: the validation rows, for models that take an `eval_set`.
        split: how the data set was split, `info["split"]`: `strategy` and `seed`.
        folds: how many, at least 2.

    Returns:
        A row for each fold: `fold`, from 1; `rows`, how many were held out; its scores.

    Raises:
        UserError: there are too few rows, or too few of a class.
    """
    lines, found = [], tasks.find(task)
    for number, (learn, held_out) in enumerate(cut(train, task, split, folds), start=1):
        fresh = clone(pipeline)
        pipelines.fit(fresh, task, train.take(learn), val, lambda *_: None)
        scores = found.score(found.predict(fresh, train.take(held_out)))
        lines.append({"fold": number, "rows": len(held_out), **scores})
    return pd.DataFrame(lines)


def cut(train: Part, task: str, split: Mapping[str, Any], folds: int) -> list[tuple[NDArray, NDArray]]:
    """The rows to learn from and those held out, by number, for each fold.

    Classes keep their shares where the data set was split so, or came with a split of its own; groups stay together
    where they did; a series is cut in its order, and what is held out lies after what was learned from.

    Raises:
        UserError: there are too few rows or groups, or too few rows of a class.
    """
    strategy, shuffled = split["strategy"], {"shuffle": True, "random_state": split["seed"]}
    if strategy == "time":
        _enough(folds, folds + 1, len(train), "training rows")
        return list(TimeSeriesSplit(folds).split(train.rows))
    if train.groups is not None and strategy == "group":
        _enough(folds, folds, len(np.unique(train.groups)), "groups of training rows")
        return list(GroupKFold(folds, **shuffled).split(train.rows, groups=train.groups))
    if task == "classification" and strategy in ("stratified", "published"):
        _enough(folds, folds, np.unique(train.y, return_counts=True)[1].min(), "training rows of the smallest class")
        return list(StratifiedKFold(folds, **shuffled).split(train.rows, train.y))
    _enough(folds, folds, len(train), "training rows")
    return list(KFold(folds, **shuffled).split(train.rows))


def _enough(folds: int, wanted: int, found: int, of: str) -> None:
    if found < wanted:
        raise UserError(f"cv={folds} needs {wanted} {of}, but there are {found}.")


def summarise(scores: pd.DataFrame) -> dict[str, float]:
    """`cv/<score>`, the mean over the folds, and `cv/<score>_std`, their sample standard deviation (n - 1).

    A score that is not defined in every fold is left out.
    """
    whole = scores.drop(columns=["fold", "rows"]).dropna(axis=1)
    summary = {f"cv/{key}": float(column.mean()) for key, column in whole.items()}
    return summary | {f"cv/{key}_std": float(column.std(ddof=1)) for key, column in whole.items()}


def write(folder: Path, scores: pd.DataFrame) -> None:
    """cv.csv, a line for each fold, and cv.json, which also says mean and standard deviation."""
    scores.to_csv(folder / "cv.csv", index=False, lineterminator="\n")
    folds = [{key: value for key, value in line.items() if value == value} for line in scores.to_dict("records")]
    record.write_json(folder / "cv.json", {"folds": folds, "scores": summarise(scores)})
