"""Which number does a row have? For a series: which number comes next?

Scores are scikit-learn's, https://scikit-learn.org/stable/modules/model_evaluation.html#regression-metrics. `max_error`
is that of a single row, which noise decides: it is neither better nor worse than a baseline's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.tasks import Predicted, Report, Task, readable
from deepmine.tasks.explain import by_part, explain


@dataclass(frozen=True, eq=False)
class Estimated(Predicted):
    """Numbers, `(n,)`, in the units of the target."""

    y: NDArray


def predict(pipeline: Pipeline, part: Part) -> Estimated:
    """The number of each row."""
    return Estimated(part.y, pipeline.predict(part.X))


def baseline(data: Dataset, parts: dict[str, Estimated], seed: int) -> Estimated:
    """The mean of the training rows; for a series, the value before.

    A data set is a series if its info names the feature that is the target's own past, as `persistence`.
    """
    if "persistence" in data.info:
        return Estimated(data.test.y, data.test.X[:, -1, data.info["persistence"]].astype(float))
    return Estimated(data.test.y, np.full(len(data.test), data.train.y.mean()))


def measure(some: Estimated) -> dict[str, float]:
    """Scores of predicted numbers; R2 is not defined for a single row."""
    y, predicted = some.y, some.predicted
    return {
        "mae": metrics.mean_absolute_error(y, predicted),
        "rmse": metrics.root_mean_squared_error(y, predicted),
        "r2": metrics.r2_score(y, predicted) if len(y) > 1 else float("nan"),
        "median_absolute_error": metrics.median_absolute_error(y, predicted),
        "max_error": metrics.max_error(y, predicted),
    }


def absolute_error(y: NDArray, predicted: NDArray) -> NDArray:
    """Of each row."""
    return np.abs(y.astype(float) - predicted.astype(float))


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Estimated], scores: dict[str, float]) -> Report:
    """The test rows with the largest errors, and what the model bases its answers on."""
    test, guess = parts["test"], baseline(data, parts, 0)
    more = explain(pipeline, data, test.predicted, "r2")
    table = pd.DataFrame({"actual": test.y, "predicted": test.predicted, "residual": test.y - test.predicted})
    worst = np.argsort(-np.abs(table["residual"].to_numpy()), kind="stable")[:20]
    named = "the value before" if "persistence" in data.info else "the mean of the training rows"
    findings = [
        f"R2: {by_part(scores, 'r2')}.",
        f"Mean absolute error on test rows: {scores['test/mae']:.4g}; predicting {named} gives "
        f"{scores['baseline/test/mae']:.4g}.",
    ]
    figures = chain(_figures(data, test, guess), more.figures)
    return Report(
        {"largest_errors": readable(data.test, worst, table)} | more.tables, findings + more.findings, figures
    )


def _figures(data: Dataset, test: Estimated, guess: Estimated) -> Iterator[tuple[str, Figure]]:
    """Predicted against actual numbers, residuals, and a series over time."""
    figure = Figure(figsize=(9.2, 4.2))
    for axes, kind in zip(figure.subplots(1, 2), ("actual_vs_predicted", "residual_vs_predicted"), strict=True):
        metrics.PredictionErrorDisplay.from_predictions(test.y, test.predicted, kind=kind, random_state=0, ax=axes)
    figure.suptitle(f"{data.info['target']}, test rows", x=0.01, ha="left")
    yield "predictions", figure
    if "persistence" in data.info:
        lines = {"actual": test.y, "forecast": test.predicted, "the value before": guess.predicted}
        axes = (figure := Figure(figsize=(9, 3.8))).add_subplot(title="One step ahead, test rows")
        table = pd.DataFrame(lines, index=data.test.rows)
        table.plot(ax=axes, style=["k-", "o-", ":"], markersize=3, linewidth=1, ylabel=data.info["target"], rot=0)
        yield "forecast", figure


SCORES = {"mae": False, "rmse": False, "r2": True, "median_absolute_error": False, "max_error": None}
MODELS = ("ridge", "regression_boosting", "regression_mlp")
TASK = Task(SCORES, predict, measure, report, baseline, first_models=MODELS, by_row=absolute_error)
