"""Pictures of a run, and the tables that `dvc plots` draws."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler

matplotlib.use("agg")

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

# colours that most colour-blind people can tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "axes.prop_cycle": cycler(color=COLOURS),
    "figure.constrained_layout.use": True,
}
DPI = 110


def palette(n: int) -> Any:
    """`n` colours; from 11 on some are pale, from 21 on they come again."""
    if n <= len(COLOURS):
        return COLOURS[:n]
    many: Any = matplotlib.colormaps["tab10" if n <= 10 else "tab20"]
    return [many.colors[number % len(many.colors)] for number in range(n)]


def draw(folder: Path, figures: Iterable[tuple[str, Figure]]) -> None:
    """Write figures to `folder`/<name>.png, in the style of the house."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        for name, figure in figures:  # drawn one by one, inside the style
            figure.savefig(folder / f"{name}.png", dpi=DPI)


def curves_of(curves: list[dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """The figure of a model's epochs; none for a model without."""
    if curves:
        yield "learning_curves", learning_curves(curves)


def learning_curves(curves: list[dict[str, Any]]) -> Figure:
    """Each quantity over the epochs, training and validation in one frame."""
    quantities = _quantities(curves)
    figure = Figure(figsize=(4.2 * len(quantities), 3.2))
    for axes, quantity in zip(figure.subplots(1, len(quantities), squeeze=False)[0], quantities, strict=True):
        for part in ("train", "val"):
            points = [(line["epoch"], line[f"{part}_{quantity}"]) for line in curves if f"{part}_{quantity}" in line]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=part)
        _mark_best(axes, curves, quantity)
        axes.set(xlabel="epoch", title=quantity)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False)
    return figure


def write_curves(folder: Path, curves: list[dict[str, Any]]) -> None:
    """Each quantity as a table for `dvc plots`: epoch, part, value."""
    folder.mkdir(parents=True, exist_ok=True)
    for quantity in _quantities(curves):
        rows = [
            {"epoch": line["epoch"], "part": part, quantity: line[f"{part}_{quantity}"]}
            for line in curves
            for part in ("train", "val")
            if f"{part}_{quantity}" in line
        ]
        pd.DataFrame(rows).to_csv(folder / f"{quantity}.csv", index=False, lineterminator="\n")


def show_image(axes: Axes, image: NDArray) -> None:
    """Draw one image `(channels, height, width)`, values 0 to 255, grey or in colour."""
    axes.axis("off")
    if len(image) == 1:
        axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=255)
    else:
        axes.imshow(np.moveaxis(image[:3], 0, -1).astype(np.uint8))


def _mark_best(axes: Axes, curves: list[dict[str, Any]], quantity: str) -> None:
    """A line at the epoch whose weights were kept."""
    losses = [line.get("val_loss", float("nan")) for line in curves]
    if not np.isnan(losses).any():
        axes.axvline(curves[int(np.argmin(losses))]["epoch"], color="#999999", linewidth=1, linestyle=":", label="kept")


def _quantities(curves: list[dict[str, Any]]) -> list[str]:
    """What was measured each epoch, without the part: loss, accuracy."""
    return list(dict.fromkeys(k.partition("_")[2] for line in curves for k in line if k.startswith(("train_", "val_"))))
