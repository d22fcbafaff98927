"""Which class is a row of?

Every score is scikit-learn's: https://scikit-learn.org/stable/modules/model_evaluation.html#classification-metrics;
but the calibration error, see `calibration`. `average_precision` is the area below the curve of precision and recall.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.tasks import Knowledge, readable
from deepmine.tasks import classification_figures as pictures
from deepmine.tasks.explain import importance

SCORES = {
    "accuracy": True,
    "balanced_accuracy": True,
    "precision_macro": True,
    "recall_macro": True,
    "f1_macro": True,
    "f1_weighted": True,
    "roc_auc": True,
    "average_precision": True,
    "log_loss": False,
    "brier": False,
    "calibration_error": False,
}
MISTAKES = 20  # in the table of the most confident
BINS = 15  # of confidence, for the calibration error
OVERFIT, UNDERFIT = 0.05, 0.5  # see `fit_in_words`
COLUMNS = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss")


def predict(pipeline: Pipeline, part: Part) -> dict[str, Any]:
    """True and predicted classes, and where the model has them the probabilities of its `classes`."""
    arrays = {"y": part.y, "predicted": pipeline.predict(part.X)}
    if hasattr(pipeline, "predict_proba"):
        arrays |= {"probabilities": pipeline.predict_proba(part.X), "classes": pipeline.classes_}
    return arrays


def enrich(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> None:
    """What the model leans on, measured on the test rows (`importance`)."""
    outcomes["test"]["importance"] = importance.importance(pipeline, data.test, data.info, "accuracy")


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
        scores |= _probability_scores(y, exact, classes)
    return scores


def calibration(y: NDArray, probabilities: NDArray, classes: NDArray, **_: Any) -> list[tuple[float, float, int]]:
    """How far confidence can be believed: mean confidence, accuracy and number of rows, for each bin that has any.

    The confidence is the probability of the most probable class; `BINS` bins of equal width, ((m-1)/15, m/15]. The
    expected calibration error is the mean of |accuracy - confidence| over the bins, weighted by their rows.
    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015;
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, equations 2 and 3.

    Args:
        y: true classes, `(n,)`.
        probabilities: `(n, len(classes))`, of which each row sums to 1.
        classes: in the order of the columns.
    """
    confidence, right = probabilities.max(axis=1), classes[probabilities.argmax(axis=1)] == y
    bins = np.clip(np.ceil(confidence * BINS).astype(int), 1, BINS)
    filled = [bins == number for number in np.unique(bins)]
    return [(float(confidence[here].mean()), float(right[here].mean()), int(here.sum())) for here in filled]


def figures(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """Of the test rows: what is mixed up, how well it ranks, the worst mistakes, and what the model leans on."""
    test = outcomes["test"]
    yield "confusion_matrix", pictures.confusion_matrix(**test)
    if "probabilities" in test:
        yield "roc_pr_calibration", pictures.curves(**test, calibration=calibration(**test))
    if "probabilities" in test and data.info["kind"] == "image":
        worst = pictures.confident_mistakes(data.test, **test)
        if worst is not None:
            yield "confident_mistakes", worst
    yield from importance.figures(pipeline, data, test, "accuracy")


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
    tables = {"classes": table}
    if "probabilities" in outcomes["test"]:
        tables["confident_mistakes"] = confident_mistakes(data.test, **outcomes["test"])
    leans = importance.knowledge(pipeline, data, outcomes["test"], "accuracy")
    return Knowledge(tables | leans.tables, findings + leans.findings)


def confident_mistakes(part: Part, y: NDArray, predicted: NDArray, probabilities: NDArray, **_: Any) -> pd.DataFrame:
    """The rows that the model was most sure of and wrong about, at most `MISTAKES`: what they are and what they say.

    Args:
        part: the rows.
        y: true classes, `(n,)`.
        predicted: `(n,)`.
        probabilities: `(n, classes)`.
    """
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(y != predicted)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    table = pd.DataFrame({"actual": y[worst], "predicted": predicted[worst], "confidence": confidence[worst]})
    return pd.concat([readable(part, worst), table], axis=1)


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


def _probability_scores(y: NDArray, probabilities: NDArray, classes: NDArray) -> dict[str, float]:
    """The scores of probabilities; for two classes, the second is the one that is ranked."""
    bins = calibration(y, probabilities, classes)
    scores = {"calibration_error": sum(abs(accuracy - sure) * rows for sure, accuracy, rows in bins) / len(y)}
    if len(classes) > 1:
        scores["log_loss"] = metrics.log_loss(y, probabilities, labels=classes)
        p = probabilities[:, 1] if len(classes) == 2 else probabilities
        names = {"pos_label": classes[1]} if len(classes) == 2 else {"labels": classes}
        scores["brier"] = metrics.brier_score_loss(y, p, **names)
    if len(np.unique(y)) == len(classes) > 1:  # undefined where a class is missing
        truth = y == classes[1] if len(classes) == 2 else y[:, None] == classes
        scores["roc_auc"] = metrics.roc_auc_score(y, p, multi_class="ovr", labels=classes)
        scores["average_precision"] = metrics.average_precision_score(truth, p)
    return scores
