"""Why that answer? What a supervised model bases it on, and what the reports of several tasks share."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset
from deepmine.figures import show_image
from deepmine.tasks import Report

EXAMPLES = 8  # rows in a figure


def explain(pipeline: Pipeline, data: Dataset, predicted: NDArray, scoring: str) -> Report:
    """The importance of each input to the test rows, and what suits the model and the data.

    Args:
        pipeline: fitted.
        data: what it was fitted on.
        predicted: for the test rows, `(n,)`.
        scoring: name of a score of scikit-learn, higher is better: "accuracy", "r2".
    """
    from deepmine.tasks.explain import attributions, importance, trees

    found = importance.importance(pipeline, data.test, data.info, scoring)
    ranked = found.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    names = feature_names(pipeline, data.train.X, data.info["columns"]) if trees.is_tree(pipeline) else []
    tables = {"importance": ranked} | ({"rules": trees.rules(pipeline[-1], names)} if names else {})

    def figures() -> Iterator[tuple[str, Figure]]:
        yield "importance", importance.figure(found, data.test.X, scoring)
        if names:
            yield "tree", trees.figure(pipeline[-1], names)
        if dependence := importance.partial_dependence(pipeline, data.test.X, found):
            yield "partial_dependence", dependence
        if attributions.applies(pipeline, data.test.X):
            yield "attributions", attributions.figure(pipeline, data, predicted)

    return Report(tables, [importance.in_words(ranked, scoring)], figures())


def fit_in_words(score: str, train: float, val: float, gap: float) -> str:
    """Whether a model overfits: whether its score is more than `gap` lower on validation rows than on training rows."""
    verdict = "Overfitting" if train - val > gap else "No sign of overfitting"
    return f"{verdict}: {score} is {train:.3f} on training rows and {val:.3f} on validation rows."


def feature_names(pipeline: Pipeline, X: Any, columns: Sequence[str] | None = None) -> list[str]:
    """The names of the numbers that the model gets: columns, pixels by row and column, or their position."""
    steps: Any
    for steps in (pipeline[:-1], pipeline[-2] if len(pipeline) > 1 else None):
        try:
            return [str(name) for name in steps.get_feature_names_out(columns if np.ndim(X) == 3 else None)]
        except (AttributeError, ValueError):  # a step that has no names for its columns
            continue
    n, width = pipeline[-1].n_features_in_, np.shape(X)[-1]
    if np.ndim(X) == 4 and n == np.prod(X.shape[2:]):
        return [f"pixel {place // width},{place % width}" for place in range(n)]
    return [f"x{number}" for number in range(n)]


def image_figure(titles: list[str], heading: str, images: NDArray, maps: NDArray | None = None) -> Figure:
    """Images `(n, channels, height, width)`, above maps of positive and negative numbers `(n, height, width)`."""
    rows = 1 if maps is None else 2
    figure = Figure(figsize=(max(4, 1.45 * len(titles) + 0.4), 1.75 * rows + 0.5))
    frames = figure.subplots(rows, len(titles), squeeze=False)
    for axes, image, title in zip(frames[0], images, titles, strict=True):
        show_image(axes, image)
        axes.set_title(title, fontsize=8, loc="center")
    for axes, values in zip(frames[1] if rows == 2 else [], maps if maps is not None else [], strict=True):
        axes.axis("off")
        axes.imshow(values, **diverging(values))
    figure.suptitle(heading, x=0.01, ha="left", fontsize=10)
    return figure


def diverging(values: NDArray) -> dict[str, Any]:
    """Arguments of `imshow`: blue above 0, red below, white at 0."""
    limit = max(float(np.nanmax(np.abs(values))), 1e-12)
    return {"cmap": "RdBu", "vmin": -limit, "vmax": limit}
