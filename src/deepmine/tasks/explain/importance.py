"""What does a supervised model lean on? What it loses when a part of its input comes from other rows.

A part is what a person can name in the data set, before any step of the pipeline: a column of a table, a feature or a
step of a sequence, a patch of an image, a letter of a text by its place. So every model can be asked.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.figures import show_image
from deepmine.tasks import Knowledge
from deepmine.tasks.explain import attributions, dependence, trees

REPEATS = 5  # exchanges of each part
ROWS = 1000  # that are looked at, evenly spread, where there are more
VALUES = 16_000_000  # that the model is given in all: of large inputs with many parts, it gets fewer rows,
FEW = 50  # but not fewer than these
PATCHES = 7  # of an image, along each side
RUNS = 24  # of steps of a sequence
LETTERS = 6  # of a text, from its start and from its end
SHOWN = 20  # bars in a frame

Exchange = Callable[[Any, NDArray[np.int64]], Any]  # rows, and their order, to rows in which one part is another's


def importance(pipeline: Pipeline, part: Part, info: dict[str, Any], scoring: str) -> pd.DataFrame:
    """How much the score falls when one part of the input is exchanged between rows; in the order of the input.

    Mean and standard deviation of `REPEATS` exchanges. A part whose content another one repeats seems less important
    than it is. Breiman, "Random forests", Machine Learning 45, 2001; with values that belong together as one part.

    Args:
        pipeline: fitted.
        part: rows that the model was not fitted on.
        info: of the data set: `kind`, and for a sequence the names of its features, `columns`.
        scoring: name of a score of scikit-learn, higher is better: "accuracy", "r2".

    Returns:
        Columns `kind` (column, feature, step, patch, letter), `input` (its name), `importance`, `deviation`.
    """
    from sklearn.metrics import get_scorer

    inputs = list(_inputs(part.X, info))
    n = VALUES // (REPEATS * len(inputs) * math.prod(part.X.shape[1:]))
    X, y = _some(part, max(FEW, min(ROWS, n)))
    score, rng = get_scorer(scoring), np.random.default_rng(0)
    orders = [rng.permutation(len(y)) for _ in range(REPEATS)]
    whole = score(pipeline, X, y)
    falls = [[whole - score(pipeline, exchange(X, order), y) for order in orders] for _, _, exchange in inputs]
    table = pd.DataFrame([(kind, name) for kind, name, _ in inputs], columns=["kind", "input"])
    return table.assign(importance=np.mean(falls, axis=1), deviation=np.std(falls, axis=1))


def figures(pipeline: Pipeline, data: Dataset, test: dict[str, Any], scoring: str) -> Iterator[tuple[str, Figure]]:
    """The importances, and what suits the model and the data: a tree, partial dependence, attributions.

    Args:
        pipeline: fitted.
        data: its test rows are looked at.
        test: arrays of the test rows: `importance`, `predicted`.
        scoring: what `importance` was measured by.
    """
    table = test["importance"]
    yield "importance", importance_figure(table, data.test.X, scoring)
    if trees.is_tree(pipeline):
        yield "tree", trees.tree_figure(pipeline, data.train.X, data.info["columns"])
    if data.info["kind"] == "table":
        X, _ = _some(data.test, ROWS)
        if numbers := dependence.most_important_numbers(table, X):
            yield "partial_dependence", dependence.figure(pipeline, X, numbers)
    if attributions.explains(pipeline, data.test.X):
        yield "attributions", attributions.figure(pipeline, data, test["predicted"])


def knowledge(pipeline: Pipeline, data: Dataset, test: dict[str, Any], scoring: str) -> Knowledge:
    """The importances, highest first, in words too; the rules of a tree. The arguments are those of `figures`."""
    table = test["importance"].sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    tables = {"importance": table}
    if trees.is_tree(pipeline):
        tables["rules"] = trees.rules_table(pipeline, data.train.X, data.info["columns"])
    return Knowledge(tables, [in_words(table, scoring)])


def in_words(table: pd.DataFrame, scoring: str) -> str:
    """The three parts that matter most, of those whose importance is above twice its deviation.

    Args:
        table: as `importance` makes it, highest first.
        scoring: what it was measured by.
    """
    matter = table[table["importance"] > 2 * table["deviation"]]
    kinds = " or ".join(table["kind"].unique())
    if matter.empty:
        return f"To exchange any single {kinds} between rows changes the test {scoring} by no more than chance does."
    most = ", ".join(f"{row['input']} ({row['importance']:.3f})" for row in matter.head(3).to_dict("records"))
    return f"It leans most on {most}: so much the test {scoring} falls when that {kinds} alone comes from other rows."


def importance_figure(table: pd.DataFrame, X: Any, scoring: str) -> Figure:
    """A frame for each kind of part: the most important columns or features as bars, steps and letters in their order.

    The patches of an image are a map, beside the mean of the images.

    Args:
        table: as `importance` makes it.
        X: the rows, of which the images are shown.
        scoring: what it was measured by.
    """
    label = f"fall of the test {scoring} when it comes from other rows"
    if table["kind"].iloc[0] == "patch":
        return _patch_figure(table, X, label)
    kinds = list(table.groupby("kind", sort=False))
    lines = max(7 if kind == "step" else min(len(rows), SHOWN) for kind, rows in kinds)
    figure = Figure(figsize=(6.4 * len(kinds), 1.3 + 0.32 * lines))
    figure.suptitle("What the model leans on", x=0.01, ha="left")
    for axes, (kind, rows) in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        (_steps if kind == "step" else _bars)(axes, rows, label)
    return figure


def patches(height: int, width: int) -> Iterator[tuple[slice, slice, slice]]:
    """The places of the patches of an image `(channels, height, width)`, row by row, `PATCHES` along each side."""
    rows, columns = (-(-length // PATCHES) for length in (height, width))
    for row in range(0, height, rows):
        for column in range(0, width, columns):
            yield slice(None), slice(row, row + rows), slice(column, column + columns)


def _bars(axes: Axes, rows: pd.DataFrame, label: str) -> None:
    """Lying bars, from the top: columns and features by importance, letters as they stand in a text."""
    most = rows.nlargest(SHOWN, "importance")
    shown = (rows if rows["kind"].iloc[0] == "letter" else most).iloc[::-1]
    axes.barh(shown["input"], shown["importance"], xerr=shown["deviation"], ecolor="#777777")
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.grid(False, axis="y")
    axes.set_xlabel(label)
    if len(rows) > len(shown):
        axes.set_title(f"the {SHOWN} most important of {len(rows)}", fontsize=10)


def _steps(axes: Axes, rows: pd.DataFrame, label: str) -> None:
    """Standing bars, the first step at the left."""
    names = rows["input"].str.removeprefix("steps ").str.removeprefix("step ")
    axes.bar(names, rows["importance"], yerr=rows["deviation"], ecolor="#777777")
    axes.axhline(0, color="#555555", linewidth=0.8)
    axes.grid(False, axis="x")
    axes.tick_params("x", labelrotation=90, labelsize=8)
    axes.set(xlabel="step", ylabel=label)


def _patch_figure(table: pd.DataFrame, X: NDArray, label: str) -> Figure:
    """The mean image, and the importance of its patches in the same places."""
    values = np.zeros(X.shape[2:])
    for place, value in zip(patches(*X.shape[2:]), table["importance"], strict=True):
        values[place[1:]] = value
    figure = Figure(figsize=(8.2, 3.9))
    mean, leans = figure.subplots(1, 2)
    show_image(mean, X.mean(axis=0))
    mean.set_title("The mean of the test images", fontsize=10)
    drawn = leans.imshow(values, **attributions.colours(values))
    leans.axis("off")
    leans.set_title("What the model leans on", fontsize=10)
    figure.colorbar(drawn, ax=leans).set_label(label, fontsize=8)
    return figure


def _some(part: Part, n: int) -> tuple[Any, NDArray]:
    """At most `n` rows, evenly spread."""
    index = np.linspace(0, len(part) - 1, min(len(part), n)).astype(int)
    return part.X.iloc[index] if isinstance(part.X, pd.DataFrame) else part.X[index], part.y[index]


def _inputs(X: Any, info: dict[str, Any]) -> Iterator[tuple[str, str, Exchange]]:
    """The parts of an input: kind, name, and how it is exchanged."""
    if info["kind"] == "table":
        yield from (("column", name, partial(_column, name)) for name in X)
    elif info["kind"] == "image":
        for place in patches(*X.shape[2:]):
            yield "patch", f"patch at pixel {place[1].start},{place[2].start}", partial(_values, [place])
    elif info["kind"] == "sequence":
        steps, features, size = range(X.shape[1]), list(enumerate(info["columns"])), -(-X.shape[1] // RUNS)
        if len(features) > 1:
            yield from (("feature", name, partial(_values, [(step, n) for step in steps])) for n, name in features)
        for run in (steps[first : first + size] for first in steps[::size]):
            name = f"step {run[0]}" if size == 1 else f"steps {run[0]}-{run[-1]}"
            yield "step", name, partial(_values, [(step,) for step in run])
    else:
        yield from (("letter", f"letter {n + 1}", partial(_letter, n)) for n in range(LETTERS))
        yield from (("letter", f"letter {n} from the end", partial(_letter, -n)) for n in range(LETTERS, 1, -1))
        yield "letter", "last letter", partial(_letter, -1)


def _column(name: str, X: pd.DataFrame, order: NDArray[np.int64]) -> pd.DataFrame:
    donors = np.empty_like(order)
    donors[order] = np.roll(order, 1)
    return X.assign(**{name: X[name].array[donors]})


def _values(places: list[tuple], X: NDArray, order: NDArray[np.int64]) -> NDArray:
    """Each place of each row from the row before it in the order, of those that have it: padding stays where it is."""
    new = X.copy()
    for place in places:
        padding = np.isnan(X[(slice(None), *place)].reshape(len(X), -1)).any(axis=1)
        rows = order[~padding[order]]
        new[(rows, *place)] = X[(np.roll(rows, 1), *place)]
    return new


def _letter(place: int, X: NDArray[np.str_], order: NDArray[np.int64]) -> NDArray[np.str_]:
    """The letter at a place, from -1 backwards those at the end, as `_values` does it."""
    texts = [list(text) for text in X]
    rows = [row for row in order if -len(texts[row]) <= place < len(texts[row])]
    letters = [texts[row][place] for row in rows]
    for row, letter in zip(rows, letters[-1:] + letters[:-1], strict=True):
        texts[row][place] = letter
    return np.array(["".join(text) for text in texts])
