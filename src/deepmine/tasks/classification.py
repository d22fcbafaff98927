"""Which class is a row of?

Every score is scikit-learn's: https://scikit-learn.org/stable/modules/model_evaluation.html#classification-metrics
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.pipeline import Pipeline

from deepmine.dataset import Dataset, Part
from deepmine.tasks import Knowledge

SCORES = {
    "accuracy": True,
    "balanced_accuracy": True,
    "precision_macro": True,
    "recall_macro": True,
    "f1_macro": True,
    "f1_weighted": True,
    "roc_auc": True,
    "log_loss": False,
}
OVERFIT, UNDERFIT = 0.05, 0.5  # see `fit_in_words`
COLUMNS = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss")


def predict(pipeline: Pipeline, part: Part) -> dict[str, Any]:
    """True and predicted classes, and where the model has them the probabilities of its `classes`."""
    arrays = {"y": part.y, "predicted": pipeline.predict(part.X)}
    if hasattr(pipeline, "predict_proba"):
        arrays |= {"probabilities": pipeline.predict_proba(part.X), "classes": pipeline.classes_}
    return arrays


def baseline(data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> dict[str, Any]:
    """Always the most frequent class of the training rows, with their shares as probabilities.

    scikit-learn's `DummyClassifier(strategy="prior")`.
    """
    from sklearn.dummy import DummyClassifier

    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(data.train), 1)), data.train.y)
    return predict(dummy, Part(np.zeros((len(data.test), 1)), data.test.y, data.test.rows))


def score(
    y: NDArray,
    predicted: NDArray,
    probabilities: NDArray | None = None,
    classes: NDArray | None = None,
    **_: Any,
) -> dict[str, float]:
    """Scores of predicted classes.

    Args:
        y: true classes, `(n,)`.
        predicted: `(n,)`.
        probabilities: `(n, len(classes))`, for the scores that need them.
        classes: in the order of the columns of `probabilities`.
    """
    scores = {
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
        "precision_macro": metrics.precision_score(y, predicted, average="macro", zero_division=0),
        "recall_macro": metrics.recall_score(y, predicted, average="macro", zero_division=0),
        "f1_macro": metrics.f1_score(y, predicted, average="macro", zero_division=0),
        "f1_weighted": metrics.f1_score(y, predicted, average="weighted", zero_division=0),
    }
    if probabilities is not None and classes is not None:
        exact = probabilities.astype(float) / probabilities.sum(axis=1, keepdims=True, dtype=float)
        scores["log_loss"] = metrics.log_loss(y, exact, labels=classes)
        if len(np.unique(y)) == len(classes) > 1:  # undefined where a class is missing
            p = exact[:, 1] if len(classes) == 2 else exact
            scores["roc_auc"] = metrics.roc_auc_score(y, p, multi_class="ovr", labels=classes)
    return scores


def figures(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """The confusion matrix of the test rows."""
    yield "confusion_matrix", confusion_matrix(**outcomes["test"])


def knowledge(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Knowledge:
    """Precision, recall and F1 of each class on the test rows; the gap to the training rows; what is mixed up most."""
    y, predicted = outcomes["test"]["y"], outcomes["test"]["predicted"]
    classes = np.unique(np.concatenate([y, predicted]))
    scores = metrics.precision_recall_fscore_support(y, predicted, labels=classes, zero_division=0)
    table = pd.DataFrame(dict(zip(("class", "precision", "recall", "f1", "rows"), (classes, *scores), strict=True)))
    accuracy = {part: float(np.mean(arrays["y"] == arrays["predicted"])) for part, arrays in outcomes.items()}
    most_frequent = float(np.unique(data.train.y, return_counts=True)[1].max() / len(data.train))
    findings = [fit_in_words(accuracy["train"], accuracy["val"], most_frequent)]
    mistakes = pd.Series(list(zip(y[y != predicted], predicted[y != predicted], strict=True))).value_counts()
    if len(mistakes):
        actual, guess = mistakes.index[0]
        findings.append(f"Mixed up most: {actual} taken for {guess}, {mistakes.iloc[0]} of {len(y)} test rows.")
    return Knowledge({"classes": table}, findings)


def fit_in_words(train: float, val: float, baseline: float) -> str:
    """Whether a model over- or underfits, from the accuracy on training and validation rows.

    Overfit: validation is more than `OVERFIT` below training. Underfit: it is not, and training gets less than
    `UNDERFIT` of what the baseline, always the most frequent class, leaves to win.
    """
    gap = f"accuracy {train:.3f} on training rows, {val:.3f} on validation rows, a gap of {train - val:.3f}"
    won = (train - baseline) / (1 - baseline) if baseline < 1 else 1.0
    if train - val > OVERFIT:
        return f"It overfits: {gap} (more than {OVERFIT})."
    if won < UNDERFIT:
        return f"It underfits: {gap}, and only {won:.0%} of what the baseline leaves is won (less than {UNDERFIT:.0%})."
    return f"It fits: {gap} (at most {OVERFIT}), {won:.0%} of what the baseline leaves is won."


def confusion_matrix(y: np.ndarray, predicted: np.ndarray, **_: Any) -> Figure:
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
    shown.ax_.set(xlabel="predicted", ylabel="actual")
    for (row, column), n in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.5 else "black" if n else "#b0b0b0"
        axes.text(column, row, str(n), ha="center", va="center", color=colour)
    axes.set_title(f"{np.trace(matrix)} of {len(y)} test rows right ({np.trace(matrix) / len(y):.1%})")
    return figure
