"""Pictures of a classifier: what it mixes up, how well it ranks, whether its probabilities can be believed."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics

from deepmine.data.dataset import Part
from deepmine.figures import COLOURS, show_image

LEGIBLE = 10  # curves in one frame
WIDTH = 6  # letters of a class below a column of the confusion matrix
LINES = [(colour, line) for line in ("-", "--") for colour in COLOURS]


def confusion_matrix(y: NDArray, predicted: NDArray, **_: Any) -> Figure:
    """Counts of true against predicted classes, coloured by the share of the true class."""
    classes = np.unique(np.concatenate([y, predicted]))
    matrix = metrics.confusion_matrix(y, predicted, labels=classes)
    size = 3.2 + 0.42 * len(classes)
    figure = Figure(figsize=(size, size))
    axes = figure.add_subplot()
    axes.grid(False)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shown = metrics.ConfusionMatrixDisplay(shares, display_labels=classes).plot(
        ax=axes, cmap="Blues", colorbar=False, include_values=False, im_kw={"vmin": 0, "vmax": 1}
    )
    axes.tick_params("x", rotation=90 if max(len(str(name)) for name in classes) > WIDTH else 0)
    shown.ax_.set(xlabel="predicted", ylabel="actual")
    for (row, column), n in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.5 else "black" if n else "#b0b0b0"
        axes.text(
            column, row, str(n) if n or len(classes) <= 2 * LEGIBLE else "", ha="center", va="center", color=colour
        )
    axes.set_title(f"{np.trace(matrix)} of {len(y)} test rows right ({np.trace(matrix) / len(y):.1%})")
    return figure


def curves(y: NDArray, probabilities: NDArray, classes: NDArray, calibration: list[tuple], **_: Any) -> Figure:
    """ROC and precision-recall curves, each class against the rest, and the calibration of the predicted class.

    Args:
        y: true classes, `(n,)`.
        probabilities: `(n, len(classes))`.
        classes: in the order of the columns.
        calibration: for each bin with rows in it, mean confidence, accuracy and number of rows.
    """
    figure = Figure(figsize=(12.6, 4.3))
    roc, pr, trust = figure.subplots(1, 3)
    for (colour, line), name in zip(LINES, _shown(y, classes), strict=False):
        p, positive = probabilities[:, classes == name][:, 0], y == name
        style = {"color": colour, "linestyle": line, "linewidth": 1.4}
        x, up, _limits = metrics.roc_curve(positive, p)
        roc.plot(x, up, label=f"{name} ({metrics.auc(x, up):.3f})", **style)
        precision, recall, _limits = metrics.precision_recall_curve(positive, p)
        area = metrics.average_precision_score(positive, p)
        pr.plot(recall, precision, label=f"{name} ({area:.3f})", drawstyle="steps-post", **style)
    roc.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC (area)")
    pr.set(xlabel="recall", ylabel="precision", ylim=(-0.02, 1.05), title="Precision and recall (average precision)")
    if len(np.unique(y)) > LEGIBLE and len(classes) > 2:
        figure.suptitle(f"The {LEGIBLE} most frequent classes of {len(classes)}", x=0.01, ha="left", fontsize=10)
    for axes in (roc, pr):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8, loc="lower right" if axes is roc else "lower left")
    _draw_calibration(trust, calibration)
    return figure


def confident_mistakes(
    part: Part, y: NDArray, predicted: NDArray, probabilities: NDArray, classes: NDArray, **_: Any
) -> Figure | None:
    """The images that the model was most sure of and wrong about, at most 12; None where it was never wrong.

    Args:
        part: its rows, `X` uint8 `(n, channels, height, width)`.
        y: true classes, `(n,)`.
        predicted: `(n,)`.
        probabilities: `(n, len(classes))`.
        classes: in the order of the columns.
    """
    wrong = np.flatnonzero(y != predicted)
    confidence = probabilities.max(axis=1)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:12]
    if not len(worst):
        return None
    height = -(-len(worst) // 6)
    figure = Figure(figsize=(10.2, 2.2 * height + 0.5))
    frames = figure.subplots(height, 6, squeeze=False).flat
    for axes in frames:
        axes.axis("off")
    for axes, row in zip(figure.axes, worst, strict=False):
        show_image(axes, part.X[row])
        title = f"{y[row]}, taken for {predicted[row]}\n{confidence[row]:.1%} sure, row {part.rows[row]}"
        axes.set_title(title, fontsize=8, loc="center")
    figure.suptitle(f"The most confident of {len(wrong)} mistakes on {len(y)} test images", x=0.01, ha="left")
    return figure


def _shown(y: NDArray, classes: NDArray) -> list[Any]:
    """The classes that get a curve: of two the second; else those that occur, the most frequent where there are many.

    One that never occurs, or that is all there is, has no curve.
    """
    found, counts = np.unique(y, return_counts=True)
    if len(found) < 2:
        return []
    if len(classes) == 2:
        return [classes[1]]
    return sorted(found[np.argsort(-counts, kind="stable")][:LEGIBLE])


def _draw_calibration(axes: Axes, calibration: list[tuple]) -> None:
    """Accuracy over confidence; the area of a point is its share of the rows."""
    confidence, accuracy, rows = np.array(calibration, float).T
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
    axes.plot(confidence, accuracy, linewidth=1)
    axes.scatter(confidence, accuracy, s=15 + 400 * rows / rows.sum(), alpha=0.5)
    error = (np.abs(accuracy - confidence) * rows).sum() / rows.sum()
    axes.set(xlabel="confidence in the predicted class", ylabel="share of rows that are right")
    axes.set(xlim=(-0.02, 1.06), ylim=(-0.02, 1.06), title=f"Calibration (expected error {error:.3f})")
