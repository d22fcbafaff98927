"""What a model is for: every module in this folder is one task, named as in the configs, and defines its `TASK`.

So a new task is one new file. What several tasks share is in the folder `explain/`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pandas as pd

if TYPE_CHECKING:  # a command that only asks for the names of scores imports no scikit-learn
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from deepmine.data.dataset import Dataset, Part


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model says about some rows; each task adds what its scores need.

    Attributes:
        y: the target, `(n,)`, or None.
        predicted: `(n,)`, or `(n, k)` where a row gets several numbers.
        columns: of predictions.csv, besides the row id, `y` and a one-dimensional `predicted`; by name, `(n,)` each.
    """

    y: NDArray | None
    predicted: NDArray
    columns: Mapping[str, NDArray] = field(default_factory=dict, kw_only=True)

    @property
    def answers(self) -> dict[str, NDArray]:
        """What a table has of each row: a one-dimensional `predicted`, and the `columns`."""
        return {**({"predicted": self.predicted} if self.predicted.ndim == 1 else {}), **self.columns}


@dataclass(frozen=True)
class Report:
    """What a run found, for a person: tables and figures by name, at most three findings, a hint that comes first.

    The figures are made when they are asked for, inside the plot style.
    """

    tables: dict[str, pd.DataFrame]
    findings: list[str]
    figures: Iterable[tuple[str, Figure]]
    hint: str = ""


P = TypeVar("P", bound=Predicted)


@dataclass(frozen=True)
class Task(Generic[P]):
    """The functions of a task.

    Attributes:
        directions: every score, and whether higher is better (None: neither); the first one ranks the runs.
        predict: what a fitted pipeline says about some rows; `measure`: the scores of that, NaN where not defined.
        report: what the run found; it gets the `scores` too, which may have taken long.
        baseline: what a model that learned nothing would say about the test rows; gets a seed. None without labels.
        enrich: the predictions of all parts, with what takes long or needs several parts; gets a seed.
        first_models: of conf/model, for new data: a linear one, boosting and a net, where the task has them.
        shown: how many scores, from the first, a table of runs shows.
        by_row: what each row adds to the first score, which is their mean; of the target and `predicted`, as text in
            predictions.csv. None where that score is no mean over rows: then nothing says which difference is noise.
        in_transformed_space: scores are measured after the steps before the model, so other steps mean other scores.
    """

    directions: Mapping[str, bool | None]
    predict: Callable[[Pipeline, Part], P]
    measure: Callable[[P], dict[str, float]]
    report: Callable[[Pipeline, Dataset, dict[str, P], dict[str, float]], Report]
    baseline: Callable[[Dataset, dict[str, P], int], P | None] = lambda data, parts, seed: None
    enrich: Callable[[Pipeline, Dataset, dict[str, P], int], dict[str, P]] = lambda pipeline, data, parts, seed: parts
    first_models: tuple[str, ...] = ()
    shown: int = 5
    by_row: Callable[[NDArray, NDArray], NDArray] | None = None
    in_transformed_space: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The scores that a table of runs shows; the first one ranks the runs."""
        return tuple(self.directions)[: self.shown]

    def score(self, predicted: P) -> dict[str, float]:
        """The scores of some rows, those that are defined, in the same order for every model."""
        scores = self.measure(predicted)
        assert set(scores) <= set(self.directions), "a score without a direction"
        return {key: float(value) for key, value in scores.items() if not math.isnan(value)}

    def no_better(self, scores: Mapping[str, float]) -> str:
        """Which scores that a table of runs shows are no better than the baseline's, as a sentence; empty for none."""
        found = []
        for name in self.columns:
            own, guess = (scores.get(f"{part}/{name}", math.nan) for part in ("test", "baseline/test"))
            higher = self.directions[name]
            if (higher and own <= guess) or (higher is False and own >= guess):
                found.append(f"{name.replace('_', ' ')} {own:.4g} (baseline {guess:.4g})")
        return f"No better than the baseline on test rows: {', '.join(found)}." if found else ""

    def scores(self, data: Dataset, parts: dict[str, P], seed: int) -> dict[str, float]:
        """The scores of all parts, `<part>/<score>`, and those of the baseline, `baseline/test/<score>`."""
        guess = self.baseline(data, parts, seed)
        scored = parts | ({"baseline/test": guess} if guess else {})
        return {f"{name}/{key}": value for name, part in scored.items() for key, value in self.score(part).items()}


def find(name: str) -> Task[Any]:
    """The task of this name."""
    task: Task[Any] = import_module(f"deepmine.tasks.{name}").TASK
    return task


def readable(part: Part, index: NDArray, answers: pd.DataFrame) -> pd.DataFrame:
    """Some rows for a person: the id as `row`, the columns of a table or the `text`, and their lines of `answers`."""
    some = part.take(index)
    shown: dict[str, Any] = {"row": some.rows.astype(str)} | ({"text": some.X} if some.X.ndim == 1 else {})
    columns = some.X if isinstance(some.X, pd.DataFrame) else None
    return pd.concat([pd.DataFrame(shown), columns, answers.iloc[index].reset_index(drop=True)], axis=1)


def markdown(table: pd.DataFrame) -> list[str]:
    """The lines of a Markdown table: numbers to four digits, aligned right."""
    rules = ["---:" if pd.api.types.is_numeric_dtype(kind) else "---" for kind in table.dtypes]
    lines = [[escaped(name) for name in table.columns], rules]
    lines += [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def escaped(value: object) -> str:
    """A value as one line of Markdown text: no table cell, HTML or link can begin or end in it."""
    text = " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"[\\|`*\[]", r"\\\g<0>", text)


def _cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    return escaped(value)
