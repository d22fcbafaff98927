"""What a decision tree has learned: its rules as a table, its first splits as a figure, in the units that it gets."""

from typing import Any

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.tree import plot_tree

DEPTH = 3  # of the tree in the figure


def rules(model: Any, names: list[str]) -> pd.DataFrame:
    """One line for each leaf, the largest first: `rule`, training `rows`, `prediction`, and of a class its `share`."""
    tree, lines, todo = model.tree_, [], [(0, dict[tuple[str, str], float]())]
    while todo:
        node, way = todo.pop()
        values, split = tree.value[node][0], (names[tree.feature[node]], float(tree.threshold[node]))
        if tree.children_left[node] >= 0:  # a later threshold on the same side of a feature replaces a wider one
            todo.append((tree.children_right[node], way | {(split[0], ">"): split[1]}))
            todo.append((tree.children_left[node], way | {(split[0], "<="): split[1]}))
            continue
        conditions = [f"{name} {sign} {threshold:.4g}" for (name, sign), threshold in way.items()]
        rule, rows = " and ".join(conditions) or "always", int(tree.n_node_samples[node])
        answer = str(model.classes_[values.argmax()]) if hasattr(model, "classes_") else float(values[0])
        lines.append({"rule": rule, "rows": rows, "prediction": answer, "share": values.max() / values.sum()})
    table = pd.DataFrame(lines).sort_values("rows", ascending=False, kind="stable", ignore_index=True)
    return table if hasattr(model, "classes_") else table.drop(columns="share")


def figure(tree: Any, names: list[str]) -> Figure:
    """The first splits, drawn by scikit-learn's `plot_tree`."""
    depth = min(DEPTH, tree.get_depth())
    picture = FigureCanvasAgg(Figure()).figure  # plot_tree measures its text, which needs a canvas
    picture.set_size_inches(max(5, 2.3 * 2**depth), 1.6 + 1.35 * (depth + 1))
    axes = picture.add_subplot(
        title=f"Decision tree with {tree.get_n_leaves()} leaves, {depth} of {tree.get_depth()} levels"
    )
    classes = [str(name) for name in getattr(tree, "classes_", [])] or None
    style: Any = {"filled": True, "rounded": True, "impurity": False, "fontsize": 9, "max_depth": depth, "ax": axes}
    plot_tree(tree, feature_names=names, class_names=classes, **style)
    return picture
