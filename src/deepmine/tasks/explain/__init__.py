"""Why that answer? What a supervised model bases it on, for the reports of several tasks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.inspection import PartialDependenceDisplay
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree, plot_tree

from deepmine.data.dataset import PARTS, Dataset
from deepmine.tasks import Report
from deepmine.tasks.explain import attributions, importance

DEPTH, CLASSES = 3, 6  # of a tree's figure; lines of partial dependence


def explain(pipeline: Pipeline, data: Dataset, predicted: NDArray, scoring: str) -> Report:
    """The importance of each input to a score of the test rows ("accuracy", "r2"), and what else suits the model."""
    found = importance.importance(pipeline, data.test, data.info, scoring)
    ranked = found.sort_values("importance", ascending=False, kind="stable", ignore_index=True)

    def figures() -> Iterator[tuple[str, Figure]]:
        yield "importance", importance.figure(found, data.test.X, scoring)
        if isinstance(pipeline[-1], BaseDecisionTree):
            yield "tree", tree(pipeline[-1], feature_names(pipeline, data.train.X, data.info["columns"]))
        if data.info["kind"] == "table":
            numbers = ranked["input"].isin(data.test.X.select_dtypes("number")) & (ranked["importance"] > 0)
            if columns := ranked["input"][numbers].head(2).tolist():
                yield "partial_dependence", partial_dependence(pipeline, data.test.X, columns)
        if len(getattr(pipeline[-1], "input_shape_", ())) > 1:  # a network on images, sequences or texts
            yield "attributions", attributions.figure(pipeline, data, predicted)

    return Report({"importance": ranked}, [importance.in_words(ranked, scoring)], figures())


def by_part(scores: Mapping[str, float], name: str) -> str:
    """A score of the model on each part, for a person to judge: how large a gap matters depends on the data."""
    return ", ".join(f"{scores[key]:.3f} on {part} rows" for part in PARTS if (key := f"{part}/{name}") in scores)


def feature_names(pipeline: Pipeline, X: Any, columns: Sequence[str] | None = None) -> list[str]:
    """The names of the numbers that the model gets: columns, pixels by row and column, or their position."""
    for steps in (pipeline[:-1], pipeline[-2:-1]):
        with suppress(AttributeError, ValueError):  # a step that has no names for its columns
            return [str(name) for name in steps.get_feature_names_out(columns if np.ndim(X) == 3 else None)]
    n, width = pipeline[-1].n_features_in_, np.shape(X)[-1]
    is_image = np.ndim(X) == 4 and n == np.prod(X.shape[2:])
    return [f"pixel {place // width},{place % width}" if is_image else f"x{place}" for place in range(n)]


def tree(model: Any, names: list[str]) -> Figure:
    """The first splits of a decision tree, in the units that it gets."""
    depth = min(DEPTH, model.get_depth())
    FigureCanvasAgg(figure := Figure(figsize=(max(5, 2.3 * 2**depth), 1.6 + 1.35 * (depth + 1))))  # plot_tree needs it
    axes = figure.add_subplot()
    axes.set_title(f"Decision tree with {model.get_n_leaves()} leaves, {depth} of {model.get_depth()} levels")
    classes = [str(name) for name in getattr(model, "classes_", [])] or None
    style: Any = {"filled": True, "rounded": True, "impurity": False, "fontsize": 9, "max_depth": depth, "ax": axes}
    plot_tree(model, feature_names=names, class_names=classes, **style)
    return figure


def partial_dependence(pipeline: Pipeline, X: pd.DataFrame, columns: list[str]) -> Figure:
    """The mean prediction, were a column the same in all rows (Friedman 2001), of a few classes at most."""
    classes = getattr(pipeline, "classes_", [None])
    figure = Figure(figsize=(4.6 * len(columns), 3.6))
    frames = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    for name in classes[-1:] if len(classes) == 2 else classes[:CLASSES]:
        style: Any = {"line_kw": {"label": str(name)}, "grid_resolution": 50, "percentiles": (0, 1), "ax": frames}
        PartialDependenceDisplay.from_estimator(pipeline, X.dropna(subset=columns), columns, target=name, **style)
    return figure
