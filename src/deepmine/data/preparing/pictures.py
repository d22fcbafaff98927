"""Pictures of a prepared data set, by its kind. Features are those of the training rows."""

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from deepmine.data.dataset import Dataset
from deepmine.figures import STYLE, show_image

MOST = 24  # columns, classes or items in one picture
LEGIBLE = 80  # letters beside each other
FEW = 10  # values that are drawn one by one
SOME = 100_000  # rows that a picture looks at, evenly spread


def draw(dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """Each picture with its title."""
    with matplotlib.rc_context(STYLE):
        if dataset.train.y is not None:
            yield "Target in each part", _balance(dataset)
        yield from KINDS[dataset.info["kind"]](dataset, _some(dataset.train.X))


def _table(dataset: Dataset, X: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    yield "Distributions", _grid(X)
    missing = X.isna().mean()[lambda share: share > 0].sort_values(ascending=False)
    if len(missing):
        yield "Missing values", _bars(missing * 100, "% of the training rows")
    numbers = X.select_dtypes("number")
    target = _some(dataset.train.y) if dataset.train.y is not None else np.array([], str)
    if target.dtype.kind in "fiu":
        numbers = numbers.assign(**{str(dataset.info["target"]): target})
    numbers = numbers.loc[:, numbers.nunique() > 1].iloc[:, -MOST:]
    if numbers.shape[1] > 1:
        yield "Correlations (Spearman)", _heat(numbers.corr("spearman"))


def _image(dataset: Dataset, X: NDArray) -> Iterator[tuple[str, Figure]]:
    y = dataset.train.y if dataset.train.y is not None else np.zeros(len(dataset.train), int)
    classes = np.unique(y)[:MOST]
    figure = Figure(figsize=(8, 0.85 * len(classes)))
    for name, row in zip(classes, figure.subplots(len(classes), 10, squeeze=False), strict=True):
        for axes, image in zip(row, dataset.train.X[np.flatnonzero(y == name)[:10]], strict=False):
            show_image(axes, image)
        for axes in row:
            axes.axis("off")
        row[0].text(-0.1, 0.5, _short(name), transform=row[0].transAxes, ha="right", va="center")
    yield "The first images of each class", figure
    yield "Brightness", _histogram(np.asarray(X).reshape(len(X), -1).mean(axis=1), "mean of an image, 0 to 255")


def _sequence(dataset: Dataset, X: NDArray) -> Iterator[tuple[str, Figure]]:
    lengths = (~np.isnan(X[:, :, 0])).sum(axis=1)
    if len(np.unique(lengths)) > 1:
        yield "Lengths", _histogram(lengths, "steps of a sequence")
    names = dataset.info.get("columns") or range(X.shape[2])
    yield "Values of each feature", _grid(pd.DataFrame(X.reshape(-1, X.shape[2]), columns=list(map(str, names))))
    figure = Figure(figsize=(9, 2.8))
    for axes, row in zip(figure.subplots(1, 4, sharey=True), X[:: max(1, len(X) // 4)][:4], strict=False):
        axes.plot(row[:, :MOST], linewidth=1)
        axes.set(xlabel="step")
    yield "Four sequences", figure


def _text(dataset: Dataset, X: NDArray) -> Iterator[tuple[str, Figure]]:
    yield "Lengths", _histogram(np.char.str_len(X), "characters of a text")
    counts = pd.Series(list("".join(X))).value_counts().head(MOST)
    yield "The most frequent characters", _bars(counts, "times in the training rows")


def _baskets(dataset: Dataset, X: Any) -> Iterator[tuple[str, Figure]]:
    yield "Sizes", _histogram(np.asarray(X.sum(axis=1)).ravel(), "items of a basket")
    counts = pd.Series(np.asarray(X.sum(axis=0)).ravel(), dataset.info["columns"]).nlargest(MOST)
    yield "The most frequent items", _bars(counts / X.shape[0] * 100, "% of the training baskets")


KINDS: dict[str, Callable[[Dataset, Any], Iterator[tuple[str, Figure]]]] = {
    "table": _table,
    "image": _image,
    "sequence": _sequence,
    "text": _text,
    "baskets": _baskets,
}


def _balance(dataset: Dataset) -> Figure:
    """Shares of the classes in each part, or the distribution of a number in it."""
    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    parts = list(dataset.parts())
    if dataset.info["classes"] is None:
        edges: Any = np.histogram_bin_edges(np.concatenate([part.y for _, part in parts]), 30)
        for part_name, part in parts:
            axes.hist(part.y, edges, density=True, histtype="step", linewidth=1.6, label=part_name)
        axes.set(xlabel=dataset.info["target"], ylabel="density")
    else:
        shares = {name: pd.Series(part.y).value_counts(normalize=True) for name, part in parts}
        table = pd.DataFrame(shares).fillna(0) * 100
        which = f": the {MOST} most frequent of {len(table)}" if len(table) > MOST else ""
        table = table.nlargest(MOST, "train") if which else table
        for number, name in enumerate(table):
            axes.bar(np.arange(len(table)) + (number - 1) * 0.27, table[name], 0.25, label=name)
        names = [_short(value) for value in table.index]
        crowded = sum(map(len, names)) > LEGIBLE
        axes.set_xticks(range(len(table)), names, rotation=90 if crowded else 0)
        figure.set_figheight(4 if crowded else 3)
        axes.grid(False, axis="x")
        axes.set(ylabel="% of the part", xlabel=(dataset.info["target"] or "class") + which)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _grid(X: pd.DataFrame) -> Figure:
    """The distribution of each column, in small frames."""
    shown = X.iloc[:, :MOST]
    rows = -(-shown.shape[1] // 4)
    figure = Figure(figsize=(9, 2.1 * rows))
    frames = figure.subplots(rows, 4, squeeze=False).ravel()
    for axes, (name, column) in zip(frames, shown.items(), strict=False):
        _distribution(axes, column.dropna())
        axes.set_title(_short(name, 26), fontsize=9)
        axes.tick_params(labelsize=7)
    for axes in frames[shown.shape[1] :]:
        axes.axis("off")
    return figure


def _distribution(axes: Axes, column: pd.Series) -> None:
    """Bars of few values, a histogram of many numbers, the most frequent of many texts."""
    numeric = pd.api.types.is_numeric_dtype(column)
    counts = column.value_counts()
    if numeric and len(counts) > FEW:
        axes.hist(column, bins=30)
    elif numeric:
        axes.bar(counts.index, counts, width=0.8 * np.diff(np.sort(counts.index)).min(initial=1))
    else:
        counts = counts.head(FEW).iloc[::-1]
        axes.barh([_short(value) for value in counts.index], counts)
        axes.grid(False, axis="y")


def _bars(values: pd.Series, label: str) -> Figure:
    shown = values.head(MOST).iloc[::-1]
    figure = Figure(figsize=(8, 0.8 + 0.26 * len(shown)))
    axes = figure.add_subplot()
    axes.barh([_short(name, 40) for name in shown.index], shown)
    axes.grid(False, axis="y")
    axes.set(xlabel=label)
    return figure


def _histogram(values: NDArray, label: str) -> Figure:
    figure = Figure(figsize=(8, 2.6))
    axes = figure.add_subplot()
    whole = values.dtype.kind in "iu" and np.ptp(values) < 60
    edges: Any = np.arange(values.min(), values.max() + 2) - 0.5 if whole else 40
    axes.hist(values, edges)
    axes.set(xlabel=label, ylabel="training rows")
    return figure


def _heat(table: pd.DataFrame) -> Figure:
    size = 1.8 + 0.42 * len(table)
    figure = Figure(figsize=(size + 1.2, size))
    axes = figure.add_subplot()
    image = axes.imshow(table, cmap="RdBu", vmin=-1, vmax=1)
    names = [_short(name) for name in table]
    axes.set_xticks(range(len(table)), names, rotation=90)
    axes.set_yticks(range(len(table)), names)
    axes.grid(False)
    if len(table) <= 12:
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            colour = "white" if abs(value) > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(image, shrink=0.8)
    return figure


def _some(X: Any) -> Any:
    step = max(1, X.shape[0] // SOME)
    return X.iloc[::step] if hasattr(X, "iloc") else X[::step]


def _short(value: Any, length: int = 16) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= length else text[: length - 1] + "…"
