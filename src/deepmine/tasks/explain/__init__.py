"""Why that answer? What a supervised model bases it on, for the reports of several tasks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.inspection import permutation_importance
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree, plot_tree

from deepmine.data.dataset import Dataset, Part
from deepmine.figures import EXAMPLES, image_figure
from deepmine.tasks import Report

DEPTH, BARS = 3, 20  # of a tree's figure; columns in the figure of importance
REPEATS, MOST = 5, 1000  # shuffles of each column; rows that are looked at
ROWS = {"train": "training", "val": "validation", "test": "test"}  # what a person calls the rows of a part
STEPS = 32  # of the way from an empty input to the full one


def explain(pipeline: Pipeline, data: Dataset, predicted: NDArray, scoring: str) -> Report:
    """The importance of a table's columns to a score of the test rows ("accuracy", "r2"), and what suits the model."""
    is_table = data.info["kind"] == "table"
    found = importance(pipeline, data.test, scoring) if is_table else pd.DataFrame()

    def figures() -> Iterator[tuple[str, Figure]]:
        if is_table:
            yield "importance", importance_figure(found, scoring)
        if isinstance(pipeline[-1], BaseDecisionTree):
            yield "tree", tree(pipeline[-1], feature_names(pipeline, data.train.X, data.info["columns"]))
        if len(getattr(pipeline[-1], "input_shape_", ())) > 1:  # a network on images, sequences or texts
            yield "attributions", attribution_figure(pipeline, data, predicted)

    tables, findings = ({"importance": found}, [in_words(found, scoring)]) if is_table else ({}, [])
    return Report(tables, findings, figures())


def importance(pipeline: Pipeline, part: Part, scoring: str) -> pd.DataFrame:
    """How much a score falls when a column is shuffled between rows, most first: `column`, `importance`, `deviation`.

    A column that repeats another one seems less important than it is.
    """
    part = part.take(np.linspace(0, len(part) - 1, min(len(part), MOST)).astype(int))
    fall: Any = permutation_importance(pipeline, part.X, part.y, scoring=scoring, n_repeats=REPEATS, random_state=0)
    measured = {"column": list(part.X), "importance": fall.importances_mean, "deviation": fall.importances_std}
    return pd.DataFrame(measured).sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def in_words(found: pd.DataFrame, scoring: str) -> str:
    """The most important columns, at most three, of those whose importance is above twice its deviation."""
    matter = found[found["importance"] > 2 * found["deviation"]].head(3)
    if matter.empty:
        return f"Shuffling any single column changes test {scoring} no more than chance."
    fall = f"Shuffling the first lowers test {scoring} by {matter['importance'].iloc[0]:.3f}."
    return f"Most important, in this order: {', '.join(matter['column'])}. {fall}"


def importance_figure(found: pd.DataFrame, scoring: str) -> Figure:
    """The most important columns as bars."""
    shown, label = found.head(BARS), f"fall of test {scoring} when shuffled"
    axes = (figure := Figure(figsize=(6, 1.3 + 0.28 * len(shown)))).add_subplot(title="Importance", xlabel=label)
    axes.barh(shown["column"], shown["importance"], xerr=shown["deviation"], ecolor="#777777")
    axes.invert_yaxis()
    return figure


def by_part(scores: Mapping[str, float], name: str) -> str:
    """A score of the model on each part, for a person to judge: how large a gap matters depends on the data."""
    parts = [part for part in ROWS if f"{part}/{name}" in scores]
    return ", ".join(f"{scores[f'{part}/{name}']:.3f} on {ROWS[part]} rows" for part in parts)


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
    classes = [str(name) for name in getattr(model, "classes_", [])] or None
    style: Any = {"filled": True, "rounded": True, "impurity": False, "fontsize": 9, "max_depth": depth, "ax": axes}
    for box in plot_tree(model, feature_names=names, class_names=classes, **style):  # without counts of many classes
        box.set_text(re.sub(r"value = \[[^]]{25,}\]\n", "", box.get_text()))
    axes.set_title(f"Decision tree with {model.get_n_leaves()} leaves, {depth} of {model.get_depth()} levels")
    return figure


def attributions(pipeline: Pipeline, encoded: NDArray, predicted: NDArray) -> NDArray:
    """What each input of a network adds to its output for a class, or to a predicted number in its unit.

    Integrated gradients, Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017: they sum to
    the difference from the output for an empty input, of black pixels, mean steps or unknown letters. `encoded` is as
    the network takes it, `(n, *input_shape)`, and so is the result; NaN where a sequence is padded.
    """
    import torch
    from captum.attr import IntegratedGradients

    model, inputs = pipeline[-1], torch.from_numpy(np.asarray(encoded, np.float32))
    classes = getattr(model, "classes_", None)
    targets = 0 if classes is None else torch.from_numpy(np.searchsorted(classes, predicted))
    empty = torch.where(inputs.isnan(), inputs, 0.0)  # a sequence keeps its length
    added = IntegratedGradients(model.net_).attribute(inputs, empty, target=targets, n_steps=STEPS).detach().numpy()
    return added * getattr(model, "scale_", 1.0)


def attribution_figure(pipeline: Pipeline, data: Dataset, predicted: NDArray) -> Figure:
    """Some test rows, spread over the classes or the numbers, with what their inputs add to the prediction."""
    kind, y = data.info["kind"], data.test.y
    rows = np.argsort(y, kind="stable")[np.linspace(0, len(y) - 1, min(len(y), EXAMPLES)).astype(int)]
    encoded = pipeline[:-1].transform(data.test.X[rows]) if len(pipeline) > 1 else data.test.X[rows]
    added = attributions(pipeline, encoded, predicted[rows])
    form = "{:.4g} as {:.4g}" if y.dtype.kind == "f" else "{} as {}"
    titles = [form.format(y[row], predicted[row]) for row in rows]
    heading = "What raises (blue) or lowers (red) the output, by integrated gradients; actual as predicted"
    if kind == "image":
        return image_figure(titles, heading, data.test.X[rows], added.sum(axis=1))
    if kind == "text":
        titles = [f"{title}\n{text[:20]}" for title, text in zip(titles, data.test.X[rows], strict=True)]
        added = added.sum(axis=2, keepdims=True)  # of a letter, not of its code
    return image_figure(titles, f"{heading}; steps from left to right", maps=added.transpose(0, 2, 1))
