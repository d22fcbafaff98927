"""Predict the rows of a CSV file with the model of a run, in pieces, so that it may be larger than memory.

make predict run=out/runs/titanic_tree input=new.csv output=scored.csv

It has the columns that the model was given, as `data.test.X` has them; others are kept. A row with a value that cannot be a
number gets no prediction, and the reason in the column `problem`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from deepmine import tasks
from deepmine.config.errors import UserError
from deepmine.data import folders
from deepmine.data.dataset import Part
from deepmine.runs import record

ROWS = 100_000  # of a piece
LARGEST = np.finfo("f4").max  # that nets and trees take


def main(cfg: DictConfig) -> None:
    """Write the rows of `input` with their predictions to a new file `output`, whole or not at all."""
    if not (cfg.run and cfg.input and cfg.output):
        raise UserError(
            "predict needs a run, a CSV file and the name of a new one: run=out/runs/... input=... output=..."
        )
    source, target = Path(cfg.input), Path(cfg.output)
    if target.exists():
        raise UserError(f"{target} exists. Delete it, or choose another name: output=...")
    run = record.find(Path(cfg.run))
    pipeline, data = run.opened(cfg.trusted)
    if data.info["kind"] != "table":
        raise UserError(
            f"{cfg.run} predicts data of kind {data.info['kind']}, and predict takes tables. In Python: load."
        )
    answer = partial(answers, pipeline, tasks.find(run.config["task"]))
    given = answer(like := data.test.X.head(1)).columns
    rows = problems = 0
    with folders.written(target) as new:
        for piece in pieces(source, like):
            table = scored(piece.reset_index(drop=True), like, given, answer)
            table.to_csv(new, mode="a", header=rows == 0, index=False, lineterminator="\n")
            rows, problems = rows + len(table), problems + int((table["problem"] != "").sum())
    print(f"{target}: {rows} rows, {problems} of them without a prediction (column `problem`).")


def pieces(source: Path, like: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """A CSV file in pieces, columns that are no numbers in `like` as text; UserError: it cannot be read, or lacks some."""
    try:
        names = list(map(str, pd.read_csv(source, nrows=0)))
        if lacking := [str(name) for name in like if name not in names]:
            raise UserError(f"{source} has no {', '.join(lacking)}. The model was given: {', '.join(map(str, like))}.")
        text = dict.fromkeys(set(names) - set(like.select_dtypes("number")), "str")
        options: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
        yield from pd.read_csv(source, dtype=text, chunksize=ROWS, low_memory=False, **options)
    except (OSError, ValueError) as error:
        raise UserError(f"{source} is no CSV file that can be read: {error}") from None


def scored(piece: pd.DataFrame, like: pd.DataFrame, given: pd.Index, answer: Callable[..., Any]) -> pd.DataFrame:
    """The piece with the answers, whose columns are `given`, empty where `problem` says why there is none."""
    X, problem = piece[list(like)].copy(), np.full(len(piece), "", object)
    for name in like.select_dtypes("number"):
        values = pd.to_numeric(X[name], errors="coerce").astype(float)
        bad = X[name].notna().to_numpy() & ~(np.abs(values.to_numpy()) <= LARGEST)
        problem[bad] = [f"{name} is {str(value)!r}: not a number, or too large" for value in X[name][bad]]
        X[name] = values
    good = np.flatnonzero(problem == "")
    found = answer(X.iloc[good].reset_index(drop=True)) if len(good) else pd.DataFrame()
    if X.empty or len(good) < len(X):  # as objects, so that whole numbers beside empty cells stay whole
        found = found.astype(object).set_axis(good).reindex(X.index, columns=given)
    return pd.concat([piece.drop(columns=[*given, "problem"], errors="ignore"), found], axis=1).assign(problem=problem)


def answers(pipeline: Any, task: tasks.Task[Any], X: pd.DataFrame) -> pd.DataFrame:
    """What the model says about some rows, with the columns of predictions.csv."""
    return pd.DataFrame(task.predict(pipeline, Part(X, None, np.arange(len(X)))).answers)
