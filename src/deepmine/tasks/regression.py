"""What number does a row have? For a series: what comes next?

Every score is scikit-learn's: https://scikit-learn.org/stable/modules/model_evaluation.html#regression-metrics
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.figures import COLOURS
from deepmine.tasks import Knowledge, readable
from deepmine.tasks.explain import importance

SCORES = {
    "mae": False,
    "rmse": False,
    "r2": True,
    "median_absolute_error": False,
    "max_error": False,
}
COLUMNS = ("mae", "rmse", "r2", "median_absolute_error", "max_error")
OVERFIT, UNDERFIT = 0.1, 0.5  # see `fit_in_words`


def predict(pipeline: Pipeline, part: Part) -> dict[str, Any]:
    """True and predicted numbers."""
    return {"y": part.y, "predicted": pipeline.predict(part.X)}


def enrich(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> None:
    """What the model leans on, measured on the test rows (`importance`)."""
    outcomes["test"]["importance"] = importance.importance(pipeline, data.test, data.info, "r2")


def baseline(data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> dict[str, Any]:
    """Always the mean of the training rows (scikit-learn's `DummyRegressor`); for a series, as last time.

    A series is a data set whose info names the feature that is the target's own past, as `persistence`.
    """
    if _is_series(data):
        return {"y": data.test.y, "predicted": _last_values(data, data.test)}
    from sklearn.dummy import DummyRegressor

    dummy = DummyRegressor(strategy="mean").fit(np.zeros((len(data.train), 1)), data.train.y)
    return predict(dummy, Part(np.zeros((len(data.test), 1)), data.test.y, data.test.rows))


def score(y: NDArray, predicted: NDArray, **_: Any) -> dict[str, float]:
    """Scores of predicted numbers.

    Args:
        y: true numbers, `(n,)`.
        predicted: `(n,)`.
    """
    return {
        "mae": metrics.mean_absolute_error(y, predicted),
        "rmse": metrics.root_mean_squared_error(y, predicted),
        "r2": metrics.r2_score(y, predicted) if len(y) > 1 else float("nan"),  # undefined for one row
        "median_absolute_error": metrics.median_absolute_error(y, predicted),
        "max_error": metrics.max_error(y, predicted),
    }


def figures(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """Predicted against actual, what is left over, a series over time, and what the model leans on."""
    target, test = data.info["target"], outcomes["test"]
    yield "predictions", predictions(target, **test)
    yield "residuals", residuals(target, **test)
    if _is_series(data):
        yield "forecast", forecast(target, data.test.rows, _last_values(data, data.test), **test)
    yield from importance.figures(pipeline, data, test, "r2")


def knowledge(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Knowledge:
    """How it fits, how much better it is than the baseline, and the test rows that it is most wrong about."""
    scores = {part: score(**arrays) for part, arrays in outcomes.items()}
    guess = score(**baseline(data, outcomes, 0))["mae"]
    found = scores["test"]["mae"]
    named = "the value before" if _is_series(data) else "the mean of the training rows"
    word = "better" if found < guess else "worse"
    share = f" ({abs(1 - found / guess):.0%})" if guess > 0 else ""
    y, predicted = outcomes["test"]["y"], outcomes["test"]["predicted"]
    worst = np.argsort(-np.abs(y - predicted), kind="stable")[:20]
    table = pd.DataFrame({"actual": y, "predicted": predicted, "residual": y - predicted})
    errors = pd.concat([readable(data.test, worst), table.iloc[worst].reset_index(drop=True)], axis=1)
    shift = float(np.mean(y - predicted))
    findings = [
        fit_in_words(scores["train"]["r2"], scores["val"]["r2"]),
        f"On the test rows it is wrong by {found:.4g} on average; {named} by {guess:.4g}. It is {word}{share}.",
        f"Its predictions of them are too {'low' if shift > 0 else 'high'} by {abs(shift):.4g} on average.",
    ]
    leans = importance.knowledge(pipeline, data, outcomes["test"], "r2")
    return Knowledge({"largest_errors": errors} | leans.tables, findings + leans.findings)


def fit_in_words(train: float, val: float) -> str:
    """Whether a model over- or underfits, from R2 on training and validation rows: what it explains of the variance.

    Overfit: validation is more than `OVERFIT` below training. Underfit: it is not, and training is below `UNDERFIT`.
    """
    gap = f"R2 {train:.3f} on training rows, {val:.3f} on validation rows, a gap of {train - val:.3f}"
    if train - val > OVERFIT:
        return f"It overfits: {gap} (more than {OVERFIT})."
    if train < UNDERFIT:
        return f"It underfits: {gap}, and less than {UNDERFIT:.0%} of the variance is explained."
    return f"It fits: {gap} (at most {OVERFIT}), at least {UNDERFIT:.0%} of the variance is explained."


def predictions(target: str, y: NDArray, predicted: NDArray, **_: Any) -> Figure:
    """Predicted against actual numbers; on the line they are equal."""
    figure = Figure(figsize=(4.8, 4.6))
    axes = figure.add_subplot()
    ends = [min(y.min(), predicted.min()), max(y.max(), predicted.max())]
    axes.plot(ends, ends, color="#999999", linewidth=1)
    axes.scatter(predicted, y, s=20, alpha=0.7)
    axes.set(xlabel=f"predicted {target}", ylabel=f"actual {target}", aspect="equal")
    scores = score(y, predicted)
    axes.set_title(f"{len(y)} test rows: MAE {scores['mae']:.4g}, R2 {scores.get('r2', np.nan):.3f}")
    return figure


def residuals(target: str, y: NDArray, predicted: NDArray, **_: Any) -> Figure:
    """What is left over (actual less predicted), over the prediction, and how often each amount."""
    figure = Figure(figsize=(7.2, 3.6))
    axes, counts = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    axes.axhline(0, color="#999999", linewidth=1)
    axes.scatter(predicted, y - predicted, s=20, alpha=0.7)
    axes.set(xlabel=f"predicted {target}", ylabel="actual less predicted", title="Residuals of the test rows")
    counts.hist(y - predicted, bins=20, orientation="horizontal")
    counts.set(xlabel="test rows")
    return figure


def forecast(target: str, rows: NDArray[np.str_], last: NDArray, y: NDArray, predicted: NDArray, **_: Any) -> Figure:
    """A series over time, its forecast, and the baseline that says the value before."""
    time = pd.to_numeric(pd.Series(rows), errors="coerce")
    figure = Figure(figsize=(9, 3.8))
    axes = figure.add_subplot()
    at = np.arange(len(rows)) if time.isna().any() else time.to_numpy()
    axes.plot(at, y, color="black", linewidth=1.5, label="actual")
    axes.plot(at, predicted, color=COLOURS[0], marker="o", markersize=3, linewidth=1, label="forecast")
    axes.plot(at, last, color=COLOURS[1], linewidth=1, linestyle=":", label="the value before")
    axes.set(ylabel=target, title="One step ahead, test rows")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _is_series(data: Dataset) -> bool:
    return "persistence" in data.info


def _last_values(data: Dataset, part: Part) -> NDArray:
    """The last value of each window, in the units of the target."""
    return part.X[:, -1, data.info["persistence"]].astype(float)
