"""Pictures of a run, and the tables that `dvc plots` draws."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler

matplotlib.use("agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.metrics import ConfusionMatrixDisplay

STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "axes.prop_cycle": cycler(color=["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"]),
    "figure.constrained_layout.use": True,
}  # colours that most colour-blind people can tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/)
DPI = 110


def draw(folder: Path, task: str, arrays: Mapping[str, Any], curves: list[dict[str, Any]]) -> None:
    """Write the figures of a run to `folder`/figures, and its curves to `folder`/curves.

    Args:
        folder: of the evaluation.
        task: which figures make sense.
        arrays: what was predicted for the test rows, as `metrics.score` takes it.
        curves: one dict per epoch, as in metrics.jsonl; none for a model without epochs.
    """
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "curves").mkdir(exist_ok=True)
    with matplotlib.rc_context(STYLE):
        for name, figure in FIGURES[task].items():
            figure(**arrays).savefig(folder / f"figures/{name}.png", dpi=DPI)
        if curves:
            learning_curves(curves).savefig(folder / "figures/learning_curves.png", dpi=DPI)
    for quantity in _quantities(curves):
        write_curve(folder / f"curves/{quantity}.csv", curves, quantity)


def confusion_matrix(y: np.ndarray, predicted: np.ndarray, **_: Any) -> Figure:
    """Counts of true against predicted classes, coloured by the share of the true class."""
    from sklearn.metrics import confusion_matrix as counts

    classes = np.unique(np.concatenate([y, predicted]))
    matrix = counts(y, predicted, labels=classes)
    size = 3.2 + 0.42 * len(classes)
    figure = Figure(figsize=(size, size))
    axes = figure.add_subplot()
    axes.grid(False)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shown = ConfusionMatrixDisplay(shares, display_labels=classes).plot(
        ax=axes, cmap="Blues", colorbar=False, include_values=False, im_kw={"vmin": 0, "vmax": 1}
    )
    shown.ax_.set(xlabel="predicted", ylabel="actual")
    for (row, column), n in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.5 else "black" if n else "#b0b0b0"
        axes.text(column, row, str(n), ha="center", va="center", color=colour)
    axes.set_title(f"{np.trace(matrix)} of {len(y)} test rows right ({np.trace(matrix) / len(y):.1%})")
    return figure


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


def clusters(X: np.ndarray, predicted: np.ndarray, y: np.ndarray | None = None, **_: Any) -> Figure:
    """The test rows in their first two principal components: colour = cluster, shape = class."""
    pca = PCA(2, svd_solver="full").fit(X)
    points, shares = pca.transform(X), pca.explained_variance_ratio_
    classes = np.unique(y) if y is not None else np.array([""])
    figure = Figure(figsize=(7, 4.6))
    axes = figure.add_subplot()
    colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    for number, cluster in enumerate(np.unique(predicted)):
        for marker, name in zip("os^DvPX*" * 4, classes, strict=False):
            here = (predicted == cluster) & (True if y is None else y == name)
            if here.any():
                label = f"cluster {cluster}" + (f", {name}" if y is not None else "") + f" ({here.sum()})"
                axes.scatter(
                    points[here, 0],
                    points[here, 1],
                    s=34,
                    marker=marker,
                    color=colours[number % len(colours)],
                    alpha=0.75,
                    label=label,
                )
    axes.set(
        xlabel=f"first component, {shares[0]:.0%} of the variance",
        ylabel=f"second component, {shares[1]:.0%}",
        title="Clusters of the test rows",
    )
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def write_curve(path: Path, curves: list[dict[str, Any]], quantity: str) -> None:
    """One quantity as a table: epoch, part, value."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["epoch", "part", quantity])
        for line in curves:
            writer.writerows(
                [line["epoch"], part, line[f"{part}_{quantity}"]]
                for part in ("train", "val")
                if f"{part}_{quantity}" in line
            )


def _mark_best(axes: Axes, curves: list[dict[str, Any]], quantity: str) -> None:
    """A line at the epoch whose weights were kept."""
    losses = [line.get("val_loss", float("nan")) for line in curves]
    if not np.isnan(losses).any():
        axes.axvline(curves[int(np.argmin(losses))]["epoch"], color="#999999", linewidth=1, linestyle=":", label="kept")


def _quantities(curves: list[dict[str, Any]]) -> list[str]:
    """What was measured each epoch, without the part: loss, accuracy."""
    return list(dict.fromkeys(k.partition("_")[2] for line in curves for k in line if k.startswith(("train_", "val_"))))


FIGURES: dict[str, dict[str, Callable[..., Figure]]] = {
    "classification": {"confusion_matrix": confusion_matrix},
    "clustering": {"clusters": clusters},
}
