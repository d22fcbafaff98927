"""The style of every figure, those that several tasks share, and the tables that `dvc plots` draws."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

PALETTE = "petroff10"  # matplotlib's, of colours that most colour-blind people can tell apart: arXiv:2107.02270
STYLE: Any = {"axes.titlelocation": "left", "grid.color": "#e6e6e6", "savefig.dpi": 110}
STYLE |= dict.fromkeys(("axes.spines.top", "axes.spines.right"), False)
STYLE |= dict.fromkeys(("axes.grid", "axes.axisbelow", "figure.constrained_layout.use"), True)
EXAMPLES = 8  # rows in a figure of images


def draw(folder: Path, figures: Iterable[tuple[str, Figure]]) -> None:
    """Write figures to `folder`/<name>.png; each is made only now, inside the style."""
    folder.mkdir(parents=True, exist_ok=True)
    with style.context([PALETTE, STYLE]):
        for name, figure in figures:
            figure.savefig(folder / f"{name}.png")


def curves(epochs: list[dict[str, Any]]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each quantity measured by epoch, without its part: columns `epoch`, `part` (train, val) and the quantity."""
    keys = (key for line in epochs for key in line if key.startswith(("train_", "val_")))
    for name in dict.fromkeys(key.partition("_")[2] for key in keys):
        parts = [(line["epoch"], part, line.get(f"{part}_{name}")) for line in epochs for part in ("train", "val")]
        yield name, pd.DataFrame(parts, columns=["epoch", "part", name]).dropna()


def learning_curves(epochs: list[dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """Each quantity over the epochs, training and validation in one frame; nothing for a model without epochs."""
    if tables := dict(curves(epochs)):
        figure = Figure(figsize=(4.2 * len(tables), 3.2))
        best = min(epochs, key=lambda line: line.get("val_loss", np.inf))["epoch"]
        for axes, (name, table) in zip(figure.subplots(1, len(tables), squeeze=False)[0], tables.items(), strict=True):
            table.pivot(index="epoch", columns="part", values=name).plot(ax=axes, style="o-", markersize=3, title=name)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if "val_loss" in epochs[0]:
                axes.axvline(best, color="#999999", linewidth=1, linestyle=":", label="kept")
            axes.legend(frameon=False)
        yield "learning_curves", figure


def two_components(points: NDArray, shares: NDArray, title: str, groups: NDArray) -> Figure:
    """Rows by their first two components, coloured by group; `shares` are those of the variance."""
    axes = (figure := Figure(figsize=(7, 4.6))).add_subplot(title=title)
    for group in np.unique(groups):
        here = points[groups == group]
        axes.scatter(here[:, 0], here[:, 1], s=28, alpha=0.75, label=f"{group} ({len(here)})")
    axes.set(xlabel=f"first component, {shares[0]:.0%} of the variance", ylabel=f"second component, {shares[1]:.0%}")
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def image_figure(titles: list[str], heading: str, images: NDArray | None = None, maps: NDArray | None = None) -> Figure:
    """Images `(n, channels, height, width)`, 0 to 255, above maps of numbers of either sign `(n, height, width)`."""
    shown = [rows for rows in (images, maps) if rows is not None]
    figure = Figure(figsize=(max(4, 1.45 * len(titles) + 0.4), 1.75 * len(shown) + 0.5))
    frames = figure.subplots(len(shown), len(titles), squeeze=False)
    for axes, picture in zip(frames.flat, [one for rows in shown for one in rows], strict=True):
        axes.axis("off")
        if picture.ndim == 2:
            limit = max(float(np.nanmax(np.abs(picture))), 1e-12)
            axes.imshow(picture, cmap="RdBu", vmin=-limit, vmax=limit, aspect="equal" if images is not None else "auto")
        elif len(picture) == 1:
            axes.imshow(picture[0], cmap="gray_r", vmin=0, vmax=255)
        else:
            axes.imshow(np.moveaxis(picture[:3], 0, -1).astype(np.uint8))
    for axes, title in zip(frames[0], titles, strict=True):
        axes.set_title(title, fontsize=8, loc="center")
    figure.suptitle(heading, x=0.01, ha="left", fontsize=10)
    return figure
