"""Why that answer? What a supervised model bases it on, and what the reports of several tasks share."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree

from deepmine.data.dataset import Dataset
from deepmine.figures import show_image
from deepmine.tasks import Report

EXAMPLES = 8  # rows in a figure


def explain(pipeline: Pipeline, data: Dataset, predicted: NDArray, scoring: str) -> Report:
    """The importance of each input to a score of the test rows ("accuracy", "r2"), and what else suits the model."""
    from deepmine.tasks.explain import attributions, importance, trees

    found = importance.importance(pipeline, data.test, data.info, scoring)
    ranked = found.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    is_tree = isinstance(pipeline[-1], BaseDecisionTree)
    names = feature_names(pipeline, data.train.X, data.info["columns"]) if is_tree else []
    tables = {"importance": ranked} | ({"rules": trees.rules(pipeline[-1], names)} if names else {})

    def figures() -> Iterator[tuple[str, Figure]]:
        yield "importance", importance.figure(found, data.test.X, scoring)
        if names:
            yield "tree", trees.figure(pipeline[-1], names)
        if data.info["kind"] == "table":
            numbers = ranked["input"].isin(data.test.X.select_dtypes("number")) & (ranked["importance"] > 0)
            if columns := ranked["input"][numbers].head(2).tolist():
                yield "partial_dependence", importance.partial_dependence(pipeline, data.test.X, columns)
        if len(getattr(pipeline[-1], "input_shape_", ())) > 1:  # a network on images, sequences or texts
            yield "attributions", attributions.figure(pipeline, data, predicted)

    return Report(tables, [importance.in_words(ranked, scoring)], figures())


def fit_in_words(score: str, train: float, val: float, gap: float) -> str:
    """Whether a model overfits: whether its score is more than `gap` lower on validation rows than on training rows."""
    verdict = "Overfitting" if train - val > gap else "No sign of overfitting"
    return f"{verdict}: {score} is {train:.3f} on training rows and {val:.3f} on validation rows."


def feature_names(pipeline: Pipeline, X: Any, columns: Sequence[str] | None = None) -> list[str]:
    """The names of the numbers that the model gets: columns, pixels by row and column, or their position."""
    for steps in (pipeline[:-1], pipeline[-2:-1]):
        with suppress(AttributeError, ValueError):  # a step that has no names for its columns
            return [str(name) for name in steps.get_feature_names_out(columns if np.ndim(X) == 3 else None)]
    n, width = pipeline[-1].n_features_in_, np.shape(X)[-1]
    is_image = np.ndim(X) == 4 and n == np.prod(X.shape[2:])
    return [f"pixel {place // width},{place % width}" if is_image else f"x{place}" for place in range(n)]


def image_figure(titles: list[str], heading: str, images: NDArray | None = None, maps: NDArray | None = None) -> Figure:
    """Images `(n, channels, height, width)`, above maps of positive and negative numbers `(n, height, width)`."""
    shown = [rows for rows in (images, maps) if rows is not None]
    figure = Figure(figsize=(max(4, 1.45 * len(titles) + 0.4), 1.75 * len(shown) + 0.5))
    frames = figure.subplots(len(shown), len(titles), squeeze=False)
    for axes, picture in zip(frames.flat, [one for rows in shown for one in rows], strict=True):
        axes.axis("off")
        if picture.ndim == 3:
            show_image(axes, picture)
        else:
            limit = max(float(np.nanmax(np.abs(picture))), 1e-12)
            axes.imshow(picture, cmap="RdBu", vmin=-limit, vmax=limit, aspect="equal" if images is not None else "auto")
    for axes, title in zip(frames[0], titles, strict=True):
        axes.set_title(title, fontsize=8, loc="center")
    figure.suptitle(heading, x=0.01, ha="left", fontsize=10)
    return figure
