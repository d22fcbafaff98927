"""How do the predictions of a model on a table change with a single column?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.figures import COLOURS

LEGIBLE = 10  # lines in one frame
FEW = 8  # values of a column, of which each is marked


def figure(pipeline: Pipeline, X: pd.DataFrame, columns: Sequence[str]) -> Figure:
    """Partial dependence: the mean prediction over the rows, were a column the same in all of them.

    From the 5th to the 95th percentile; the marks at the bottom are the tenths of the rows. scikit-learn's
    `partial_dependence`; Friedman, "Greedy function approximation", Annals of Statistics 29, 2001.

    Args:
        pipeline: fitted, on a frame.
        X: its rows; a row in which the column is missing is left out.
        columns: numeric ones.
    """
    classes = getattr(pipeline, "classes_", None)
    crowded = classes is not None and len(classes) > LEGIBLE
    picture = Figure(figsize=(4.4 * len(columns) + (2 if crowded else 0), 3.5))
    frames = picture.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    rows = [X[X[column].notna()] for column in columns]
    found = [_dependence(pipeline, known, column) for known, column in zip(rows, columns, strict=True)]
    shown = _most_moved([lines for _, lines in found])
    for axes, column, known, (grid, lines) in zip(frames, columns, rows, found, strict=True):
        names = [None] * len(lines) if classes is None else classes[-len(lines) :]  # of two classes, the second
        for number, output in enumerate(shown):
            style = {"color": COLOURS[number % len(COLOURS)], "marker": "o" if len(grid) <= FEW else ""}
            axes.plot(
                grid, lines[output], label=names[output], linestyle="--" if number >= len(COLOURS) else "-", **style
            )
        deciles = known[column].quantile(np.arange(1, 10) / 10)
        if len(grid) <= FEW:
            axes.set_xticks(grid)
        axes.plot(deciles, np.zeros(9), "|", color="#555555", transform=axes.get_xaxis_transform(), clip_on=False)
        axes.set(xlabel=column)
    frames[0].set(
        ylabel="mean probability" if hasattr(pipeline, "predict_proba") else "mean prediction",
        title="Partial dependence",
    )
    if classes is not None:
        if crowded:
            handles = frames[0].get_legend_handles_labels()
            title = f"most moved of {len(classes)} classes"
            picture.legend(*handles, loc="outside right upper", frameon=False, fontsize=8, title=title)
        else:
            frames[0].legend(frameon=False, fontsize=8, title="class" if len(classes) == 2 else None)
    return picture


def most_important_numbers(table: pd.DataFrame, X: pd.DataFrame, n: int = 2) -> list[str]:
    """The most important numeric columns whose exchange costs anything, at most `n`, that vary.

    Args:
        table: as `deepmine.interpret.importance` makes it.
        X: the rows that it was measured on.
        n: how many.
    """
    numeric = X.select_dtypes("number")
    varied = [name for name, column in numeric.items() if column.quantile(0.05) < column.quantile(0.95)]
    matter = table[(table["importance"] > 0) & table["input"].isin(varied)]
    return matter.sort_values("importance", ascending=False, kind="stable")["input"].head(n).tolist()


def _most_moved(outputs: list[NDArray]) -> list[int]:
    """At most `LEGIBLE` of the outputs, those whose lines `(outputs, g)` rise or fall most, in their order."""
    moved = np.max([np.ptp(lines, axis=1) for lines in outputs], axis=0)
    return sorted(np.argsort(-moved, kind="stable")[:LEGIBLE])


def _dependence(pipeline: Pipeline, X: pd.DataFrame, column: str) -> tuple[NDArray, NDArray]:
    """Values of a column `(g,)`, and the mean prediction at each `(outputs, g)`."""
    from sklearn.inspection import partial_dependence

    found = partial_dependence(pipeline, X, [column], grid_resolution=25, kind="average", method="brute")
    return found["grid_values"][0], found["average"]
