"""Pictures of principal components."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from deepmine.figures import palette

MOST_ROWS = 40  # columns in a heat map that can still be read
MOST_COMPONENTS = 12  # beside each other in it
MOST_CLASSES = 20  # with a colour of their own


def variance(spectrum: NDArray, chance: NDArray, kept: int) -> Figure:
    """The share of each component, beside that of shuffled columns (scree), and their sum."""
    shown = min(len(spectrum), max(20, 2 * kept))
    number, figure = np.arange(1, shown + 1), Figure(figsize=(8.4, 3.4))
    scree, total = figure.subplots(1, 2)
    scree.plot(number, spectrum[:shown], marker="o", markersize=4, label="training rows")
    scree.plot(number, chance[:shown], linestyle="--", label="columns shuffled")
    scree.set(xlabel="component", title="Share of the variance", ylim=(0, None))
    total.plot(number, np.cumsum(spectrum)[:shown], marker="o", markersize=4, label="sum")
    total.axvline(kept, color="#999999", linestyle=":", label=f"kept: {kept}")
    total.set(xlabel="components", title="Share of the first components", ylim=(0, 1.03))
    for axes in (scree, total):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False)
    return figure


def loadings(table: pd.DataFrame) -> Figure:
    """The weight of each column in each component: red is positive, blue is negative."""
    values = table.set_index("column").iloc[:, :MOST_COMPONENTS]
    figure = Figure(figsize=(3.4 + 0.62 * values.shape[1], 1.5 + 0.36 * len(values)))
    axes = figure.add_subplot()
    axes.grid(False)
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), weight in np.ndenumerate(values.to_numpy()):
        colour = "white" if abs(weight) > 0.6 else "black"
        axes.text(column, row, f"{round(weight, 2) + 0.0:.2f}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(values.shape[1]), [name.removeprefix("component_") for name in values.columns])
    axes.set_yticks(range(len(values)), [str(name) for name in values.index])
    axes.set(xlabel="component", title="Loadings")
    figure.colorbar(image, ax=axes)
    return figure


def pictures(components: NDArray, shape: tuple[int, int]) -> Figure:
    """The first components of images as images: red is positive, blue is negative."""
    shown = components[:MOST_COMPONENTS]
    across = min(6, len(shown))
    down = -(-len(shown) // across)
    figure = Figure(figsize=(1.35 * across, 1.6 * down))
    for number, axes in enumerate(figure.subplots(down, across, squeeze=False).flat):
        axes.set_axis_off()
        if number < len(shown):
            limit = np.abs(shown[number]).max()
            axes.imshow(shown[number].reshape(shape), cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes.set_title(f"component {number + 1}", fontsize=8)
    return figure


def rows(components: NDArray, y: NDArray | None, spectrum: NDArray) -> Figure:
    """The test rows in the first two components, coloured by class where there are few."""
    figure = Figure(figsize=(7, 4.4))
    axes = figure.add_subplot()
    classes = np.unique(y) if y is not None else np.array([])
    if 0 < len(classes) <= MOST_CLASSES:
        for colour, name in zip(palette(len(classes)), classes, strict=True):
            points = components[np.asarray(y) == name]
            axes.scatter(points[:, 0], points[:, 1], s=26, color=colour, alpha=0.75, label=f"{name} ({len(points)})")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    else:
        axes.scatter(components[:, 0], components[:, 1], s=26, alpha=0.75)
    axes.set(
        xlabel=f"first component, {spectrum[0]:.0%} of the variance",
        ylabel=f"second component, {spectrum[1]:.0%}",
        title="Test rows in two components",
    )
    return figure
