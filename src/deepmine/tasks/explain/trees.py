"""What a scikit-learn decision tree has learned, for a person: rules as a table and as text, the tree as a picture.

The steps before a tree scale numbers; here thresholds are given back in the units that the data came in.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import BaseDecisionTree, export_text, plot_tree

DEPTH = 3  # of the tree that a picture shows


def is_tree(pipeline: Pipeline) -> bool:
    """Whether the model of a pipeline is one decision tree."""
    return isinstance(pipeline[-1], BaseDecisionTree)


def rules_table(pipeline: Pipeline, X: Any, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """One line for each leaf: the way there, what it says, how many training rows came there, the largest first.

    Args:
        pipeline: fitted, with a decision tree at the end.
        X: the training rows, as the pipeline takes them.
        columns: names of the features of a sequence.

    Returns:
        Columns `rule`, `prediction`, `rows`, and for classes `share`: of the prediction among the leaf's rows.
    """
    tree, names = _readable(pipeline, X), feature_names(pipeline, X, columns)
    is_a = _categories(names, X)
    lines = [
        _leaf(tree, node, [_condition(names, is_a, *step) for step in _tightest(way)])
        for node, way in _ways(tree.tree_)
    ]
    return pd.DataFrame(lines).sort_values("rows", ascending=False, kind="stable", ignore_index=True)


def rules_text(pipeline: Pipeline, X: Any, max_depth: int = 10) -> str:
    """The tree as indented text: scikit-learn's `export_text`, with the names and units of the data."""
    names = feature_names(pipeline, X)
    return export_text(_readable(pipeline, X), feature_names=names, max_depth=max_depth, decimals=3)


def tree_figure(pipeline: Pipeline, X: Any, columns: Sequence[str] | None = None) -> Figure:
    """The first splits: scikit-learn's `plot_tree`, with the names and units of the data; see `rules_table`."""
    tree, names = _readable(pipeline, X), feature_names(pipeline, X, columns)
    depth = min(DEPTH, tree.get_depth())
    figure = FigureCanvasAgg(Figure()).figure  # plot_tree measures its text, which needs a canvas
    figure.set_size_inches(max(5, 2.1 * 2**depth), 1.6 + 1.35 * (depth + 1))
    axes = figure.add_subplot()
    classes = [str(name) for name in tree.classes_] if hasattr(tree, "classes_") else None
    boxes = plot_tree(
        tree,
        max_depth=depth,
        feature_names=names,
        class_names=classes,
        filled=True,
        rounded=True,
        impurity=False,
        precision=3,
        fontsize=9,
        ax=axes,
    )
    is_a = _categories(names, X)
    for box in boxes:
        box.set_text("\n".join(_in_words(box.get_text(), is_a)))
    left_out = f", the first {depth} levels of {tree.get_depth()}" if tree.get_depth() > depth else ""
    axes.set_title(f"Decision tree with {tree.get_n_leaves()} leaves{left_out}")
    return figure


def feature_names(pipeline: Pipeline, X: Any, columns: Sequence[str] | None = None) -> list[str]:
    """The names of the numbers that the model gets: columns, pixels by row and column, or their number."""
    steps: Any
    for steps in (pipeline[:-1], pipeline[-2] if len(pipeline) > 1 else None):
        try:
            return [str(name) for name in steps.get_feature_names_out(columns if np.ndim(X) == 3 else None)]
        except (AttributeError, ValueError):  # a step that has no names for its columns
            continue
    n, shape = pipeline[-1].n_features_in_, np.shape(X)
    if len(shape) == 4 and shape[1] == 1 and np.prod(shape[1:]) == n:
        return [f"pixel {place // shape[3]},{place % shape[3]}" for place in range(n)]
    return [f"x{number}" for number in range(n)]


def _readable(pipeline: Pipeline, X: Any) -> Any:
    """A copy of the tree with its thresholds in the units of the data, where a feature is a scaled column.

    Or, where a `StandardScaler` stands right before the tree, in the units that this scaler was given.
    """
    tree = deepcopy(pipeline[-1])
    feature, threshold = tree.tree_.feature, tree.tree_.threshold
    if len(pipeline) > 1 and isinstance(pipeline[-2], StandardScaler):
        nodes = np.flatnonzero(feature >= 0)
        scaled = np.zeros((len(nodes), tree.n_features_in_))
        places = np.arange(len(nodes)), feature[nodes]
        scaled[places] = threshold[nodes]
        threshold[nodes] = pipeline[-2].inverse_transform(scaled)[places]
    elif isinstance(X, pd.DataFrame):
        for number, (shift, scale) in _scaled(pipeline, X).items():
            threshold[feature == number] = (threshold[feature == number] - shift) / scale
    return tree


def _scaled(pipeline: Pipeline, X: pd.DataFrame) -> dict[int, tuple[float, float]]:
    """Features that are `shift + scale * column` for one numeric column, found by changing one column at a time."""
    steps, found = pipeline[:-1], {}
    touched = np.zeros(pipeline[-1].n_features_in_, int)
    for name in X.select_dtypes("number"):
        low, high = X[name].min(), X[name].max()
        probes = X.iloc[[0, 0, 0]].copy()
        probes[name] = [low, (low + high) / 2, high]
        Z = np.asarray(steps.transform(probes), float)
        changes = np.flatnonzero(~np.isclose(Z[0], Z[2], rtol=0, atol=1e-12))
        touched[changes] += 1
        for number in changes:
            scale = (Z[2, number] - Z[0, number]) / (high - low)
            if scale > 0 and np.isclose(Z[1, number], (Z[0, number] + Z[2, number]) / 2):
                found[int(number)] = (Z[0, number] - scale * low, scale)
    return {number: line for number, line in found.items() if touched[number] == 1}


def _categories(names: list[str], X: Any) -> dict[str, str]:
    """For each feature that says whether a text column has some value: `column = value`."""
    texts = X.select_dtypes(exclude="number") if isinstance(X, pd.DataFrame) else pd.DataFrame()
    return {
        f"{column}_{value}": f"{column} = {value}"
        for column in texts
        for value in texts[column].dropna().unique()
        if f"{column}_{value}" in names
    }


def _in_words(box: str, is_a: dict[str, str]) -> list[str]:
    """The lines in a box of `plot_tree`: categories by name, and no counts where there are many classes."""
    head, _, values = box.partition("value = ")
    values, _, kind = values.replace("\n", " ").partition(" class = ")
    values = f"predicts {values}" if values and not kind else values
    lines = [*head.strip().split("\n"), *([values] if len(values) < 24 else []), *([f"class {kind}"] if kind else [])]
    first = lines[0].removesuffix(" <= 0.5")
    lines[0] = is_a[first].replace(" = ", " != ") if first in is_a else lines[0]
    return [line.replace("samples = ", "rows ") for line in lines]


def _tightest(way: list[tuple[int, float, bool]]) -> list[tuple[int, float, bool]]:
    """Without the conditions that a later one on the same feature contains."""
    return list({(feature, left): (feature, threshold, left) for feature, threshold, left in way}.values())


def _condition(names: list[str], is_a: dict[str, str], feature: int, threshold: float, left: bool) -> str:
    name = names[feature]
    if name in is_a:
        return is_a[name].replace(" = ", " != ") if left else is_a[name]
    return f"{name} {'<=' if left else '>'} {threshold:.4g}"


def _ways(tree: Any) -> list[tuple[int, list[tuple[int, float, bool]]]]:
    """Each leaf with the way there: feature, threshold, and whether it goes left."""
    found, todo = [], [(0, [])]  # type: ignore[var-annotated]
    while todo:
        node, way = todo.pop()
        if tree.children_left[node] == -1:
            found.append((node, way))
            continue
        split = (int(tree.feature[node]), float(tree.threshold[node]))
        todo += [
            (tree.children_right[node], [*way, (*split, False)]),
            (tree.children_left[node], [*way, (*split, True)]),
        ]
    return found


def _leaf(tree: Any, node: int, conditions: list[str]) -> dict[str, Any]:
    values: NDArray = tree.tree_.value[node][0]
    line = {"rule": " and ".join(conditions) or "always", "rows": int(tree.tree_.n_node_samples[node])}
    if not hasattr(tree, "classes_"):
        return {**line, "prediction": float(values[0])}
    return {**line, "prediction": str(tree.classes_[values.argmax()]), "share": values.max() / values.sum()}
