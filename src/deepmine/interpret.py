"""Why does a model say what it says? What it leans on, column by column or pixel by pixel.

Columns are those of the data set, before any encoding, because the pipeline takes them so.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.dataset import Part
from deepmine.figures import COLOURS

ROWS = 1000  # that are looked at, evenly spread, where there are more
REPEATS = 5  # shuffles of each column
FEW = 8  # values of a column, of which each is marked
STEPS = 32  # of the way from an empty to the full image
EXAMPLES = 8  # images whose pixels are explained


def table_figures(
    pipeline: Pipeline, part: Part, scoring: str, outputs: Sequence[Any] | None = None
) -> Iterator[tuple[str, Figure]]:
    """For a model on a table: the importance of its columns, and the partial dependence on the two best numeric ones.

    The arguments are those of `importance` and `dependence_figure`.
    """
    table = importance(pipeline, part, scoring)
    yield "importance", importance_figure(table, scoring)
    if numbers := most_important_numbers(table, part):
        yield "partial_dependence", dependence_figure(pipeline, part, numbers, outputs)


def image_figures(pipeline: Pipeline, part: Part, predicted: NDArray) -> Iterator[tuple[str, Figure]]:
    """For a network on images: what speaks for the predicted class, in the first images of each class."""
    rank = pd.Series(part.y).groupby(part.y).cumcount()
    rows = np.lexsort((part.y, rank))[:EXAMPLES]
    X, y, guesses = np.asarray(part.X[rows]), part.y[rows], predicted[rows]
    added = attributions(pipeline, X, guesses)
    if added is not None:
        titles = [str(a) if a == g else f"{a}, taken for {g}" for a, g in zip(y, guesses, strict=True)]
        yield "attributions", attribution_figure(X, added, titles)


def importance(pipeline: Pipeline, part: Part, scoring: str) -> pd.DataFrame:
    """How much the score falls when one column is shuffled: `column`, `importance`, `deviation`, highest first.

    Mean and standard deviation of `REPEATS` shuffles. A column whose content another one repeats seems less important
    than it is. scikit-learn's `permutation_importance`; Breiman, "Random forests", Machine Learning 45, 2001.

    Args:
        pipeline: fitted, on a frame.
        part: rows that the model was not fitted on, `X` a frame.
        scoring: name of a score of scikit-learn, higher is better: "accuracy", "r2".
    """
    from sklearn.inspection import permutation_importance

    X, y = _some(part)
    found = permutation_importance(pipeline, X, y, scoring=scoring, n_repeats=REPEATS, random_state=0)
    table = {"column": X.columns, "importance": found.importances_mean, "deviation": found.importances_std}
    return pd.DataFrame(table).sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def importance_figure(table: pd.DataFrame, scoring: str) -> Figure:
    """The twenty most important columns as bars."""
    shown = table.head(20).iloc[::-1]
    figure = Figure(figsize=(6.4, 1.3 + 0.32 * len(shown)))
    axes = figure.add_subplot()
    axes.barh(shown["column"], shown["importance"], xerr=shown["deviation"], ecolor="#777777")
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.grid(False, axis="y")
    axes.set(xlabel=f"fall of the test {scoring} when the column is shuffled", title="What the model leans on")
    return figure


def in_words(table: pd.DataFrame, scoring: str) -> str:
    """The three columns that matter most, of those whose importance is above twice its deviation."""
    matter = table[table["importance"] > 2 * table["deviation"]]
    if matter.empty:
        return f"Shuffling any single column changes the test {scoring} by no more than chance does."
    most = ", ".join(f"{row['column']} ({row['importance']:.3f})" for row in matter.head(3).to_dict("records"))
    return f"It leans most on {most}: so much the test {scoring} falls when that column alone is shuffled."


def dependence_figure(
    pipeline: Pipeline, part: Part, columns: Sequence[str], outputs: Sequence[Any] | None = None
) -> Figure:
    """Partial dependence: the mean prediction over the rows, were a column the same in all of them.

    From the 5th to the 95th percentile; the marks at the bottom are the tenths of the rows. scikit-learn's
    `partial_dependence`; Friedman, "Greedy function approximation", Annals of Statistics 29, 2001.

    Args:
        pipeline: fitted, on a frame.
        part: its rows; a row in which the column is missing is left out.
        columns: numeric ones.
        outputs: classes, in the model's order, or None for a regression.
    """
    figure = Figure(figsize=(4.4 * len(columns), 3.5))
    frames = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    for axes, column in zip(frames, columns, strict=True):
        X, _ = _some(part)
        known = X[X[column].notna()]
        grid, lines = _dependence(pipeline, known, column)
        names = [None] if outputs is None else outputs[-len(lines) :]  # of two classes, the second
        for number, (line, name) in enumerate(zip(lines, names, strict=True)):
            axes.plot(
                grid, line, color=COLOURS[number % len(COLOURS)], marker="o" if len(grid) <= FEW else "", label=name
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
    if outputs is not None:
        frames[0].legend(frameon=False, fontsize=8, title=None if len(outputs) > 2 else "class")
    return figure


def most_important_numbers(table: pd.DataFrame, part: Part, n: int = 2) -> list[str]:
    """The most important numeric columns of which shuffling costs anything, at most `n`, that vary."""
    numeric = _some(part)[0].select_dtypes("number")
    varied = [name for name, column in numeric.items() if column.quantile(0.05) < column.quantile(0.95)]
    matter = table.loc[table["importance"] > 0, "column"]
    return [column for column in matter if column in varied][:n]


def attributions(pipeline: Pipeline, X: NDArray, classes: NDArray) -> NDArray | None:
    """What each pixel adds to the output of a class: integrated gradients from an empty image, shaped like `X`.

    Captum's `IntegratedGradients` with `STEPS` steps; Sundararajan, Taly and Yan, "Axiomatic attribution for deep
    networks", ICML 2017. None where the model is no network on arrays of this shape.

    Args:
        pipeline: fitted.
        X: `(n, channels, height, width)`.
        classes: the class to explain, for each row.
    """
    model = pipeline[-1]
    if not hasattr(model, "net_"):
        return None
    inputs = pipeline[:-1].transform(X) if len(pipeline) > 1 else X
    if np.shape(inputs) != X.shape:
        return None
    import torch
    from captum.attr import IntegratedGradients

    targets = torch.from_numpy(np.searchsorted(model.classes_, classes))
    tensor = torch.from_numpy(np.asarray(inputs, np.float32))
    return IntegratedGradients(model.net_).attribute(tensor, target=targets, n_steps=STEPS).numpy()


def attribution_figure(X: NDArray, added: NDArray, titles: Sequence[str]) -> Figure:
    """Each image above what its pixels add to the output of the predicted class: blue for it, red against it."""
    figure = Figure(figsize=(1.45 * len(X) + 0.2, 3.6))
    frames = figure.subplots(2, len(X), squeeze=False)
    for (above, below), image, values, title in zip(frames.T, X, added.sum(axis=1), titles, strict=True):
        show_image(above, image)
        above.set_title(title, fontsize=8, loc="center")
        below.axis("off")
        limit = max(float(np.abs(values).max()), 1e-12)
        below.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit)
    text = "Integrated gradients: pixels that speak for (blue) and against (red) what was predicted"
    figure.suptitle(text, x=0.01, ha="left", fontsize=10)
    return figure


def show_image(axes: Axes, image: NDArray) -> None:
    """Draw one image `(channels, height, width)`, grey or in colour."""
    axes.axis("off")
    if len(image) == 1:
        axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=255)
    else:
        axes.imshow(np.moveaxis(image[:3], 0, -1))


def _some(part: Part) -> tuple[pd.DataFrame, NDArray]:
    """At most `ROWS` rows, evenly spread."""
    index = np.linspace(0, len(part) - 1, min(len(part), ROWS)).astype(int)
    return part.X.iloc[index], part.y[index]


def _dependence(pipeline: Pipeline, X: pd.DataFrame, column: str) -> tuple[NDArray, NDArray]:
    """Values of a column `(g,)`, and the mean prediction at each `(outputs, g)`."""
    from sklearn.inspection import partial_dependence

    found = partial_dependence(pipeline, X, [column], grid_resolution=25, kind="average", method="brute")
    return found["grid_values"][0], found["average"]
