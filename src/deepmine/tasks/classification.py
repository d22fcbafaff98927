"""Which class does a row belong to?

Scores are scikit-learn's, https://scikit-learn.org/stable/modules/model_evaluation.html#classification-metrics, except
the calibration error, see `calibration_error`. `average_precision` is the area below the precision-recall curve.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.calibration import CalibrationDisplay
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.tasks import Predicted, Report, Task, readable
from deepmine.tasks.explain import EXAMPLES, explain, fit_in_words, image_figure

BINS = 15  # of confidence, for the calibration error
MOST = 20  # classes in the confusion matrix, and rows in the table of mistakes
CURVES = 10  # classes with a ROC and a precision-recall curve of their own
GAP = 0.05  # between training and validation accuracy, from which on a model overfits


@dataclass(frozen=True, eq=False)
class Classified(Predicted):
    """Classes `(n,)` and, where the model has them, their probabilities, `(n, len(classes))`."""

    y: NDArray
    classes: NDArray
    probabilities: NDArray | None = None


def predict(pipeline: Pipeline, part: Part) -> Classified:
    """The class of each row, with probabilities where the model has them."""
    predicted, classes = pipeline.predict(part.X), pipeline.classes_
    if not hasattr(pipeline, "predict_proba"):
        return Classified(part.y, predicted, classes)
    p = pipeline.predict_proba(part.X)
    return Classified(part.y, predicted, classes, p, columns={f"p_{c}": p[:, n] for n, c in enumerate(classes)})


def baseline(data: Dataset, parts: dict[str, Classified], seed: int) -> Classified:
    """The most frequent class of the training rows, with the share of each class as its probability."""
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(data.train), 1)), data.train.y)
    return predict(dummy, Part(np.zeros((len(data.test), 1)), data.test.y, data.test.rows))


def measure(some: Classified) -> dict[str, float]:
    """Scores of predicted classes, and of probabilities where there are any."""
    y, predicted = some.y, some.predicted
    scores = {
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
        "precision_macro": metrics.precision_score(y, predicted, average="macro", zero_division=0),
        "recall_macro": metrics.recall_score(y, predicted, average="macro", zero_division=0),
        "f1_macro": metrics.f1_score(y, predicted, average="macro", zero_division=0),
        "f1_weighted": metrics.f1_score(y, predicted, average="weighted", zero_division=0),
    }
    if some.probabilities is not None:
        p = some.probabilities
        scores |= _probability_scores(y, p.astype(float) / p.sum(axis=1, keepdims=True, dtype=float), some.classes)
    return scores


def _probability_scores(y: NDArray, probabilities: NDArray, classes: NDArray) -> dict[str, float]:
    """The scores of probabilities; of two classes, the second one is the positive one."""
    two = len(classes) == 2
    scores = {"calibration_error": calibration_error(y, probabilities, classes)}
    if len(classes) > 1:
        scores["log_loss"] = metrics.log_loss(y, probabilities, labels=classes)
        p = probabilities[:, 1] if two else probabilities
        names = {"pos_label": classes[1]} if two else {"labels": classes}
        scores["brier"] = metrics.brier_score_loss(y, p, **names)
    if len(np.unique(y)) == len(classes) > 1:  # undefined where a class is missing
        truth = y == classes[1] if two else y[:, None] == classes
        scores["roc_auc"] = metrics.roc_auc_score(y, p, multi_class="ovr", labels=classes)
        scores["average_precision"] = metrics.average_precision_score(truth, p)
    return scores


def calibration_error(y: NDArray, probabilities: NDArray, classes: NDArray) -> float:
    """Expected calibration error: the mean of |accuracy - confidence| over `BINS` bins, weighted by their rows.

    The confidence is the largest probability of a row; bins have equal width, ((m-1)/15, m/15]. Guo, Pleiss, Sun and
    Weinberger, "On calibration of modern neural networks", ICML 2017, equations 2 and 3.
    """
    confidence, right = probabilities.max(axis=1), classes[probabilities.argmax(axis=1)] == y
    bins = np.clip(np.ceil(confidence * BINS).astype(int), 1, BINS)
    filled = [bins == number for number in np.unique(bins)]
    return sum(abs(float(right[b].mean()) - float(confidence[b].mean())) * int(b.sum()) for b in filled) / len(y)


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Classified]) -> Report:
    """Scores by class, the most confident mistakes, and what the model bases its answers on."""
    test, more = parts["test"], explain(pipeline, data, parts["test"].predicted, "accuracy")
    classes = np.unique(np.concatenate([test.y, test.predicted]))
    scores = metrics.precision_recall_fscore_support(test.y, test.predicted, labels=classes, zero_division=0)
    tables = {"classes": pd.DataFrame(dict(zip(("class", "precision", "recall", "f1", "rows"), (classes, *scores))))}
    if test.probabilities is not None:
        tables["confident_mistakes"] = confident_mistakes(data.test, test)
    accuracy = {name: float(np.mean(part.y == part.predicted)) for name, part in parts.items()}
    error = np.sqrt(accuracy["val"] * (1 - accuracy["val"]) / len(data.val))  # standard error of a share
    guess = baseline(data, parts, 0)
    findings = [
        f"{fit_in_words('accuracy', accuracy['train'], accuracy['val'], max(GAP, 2 * error))} On test rows it is "
        f"{accuracy['test']:.3f}; always answering {guess.predicted[0]} gives {np.mean(guess.y == guess.predicted):.3f}."
    ]
    wrong = test.y != test.predicted
    if wrong.any():
        mistakes = pd.DataFrame({"actual": test.y[wrong], "predicted": test.predicted[wrong]}).value_counts()
        actual, answer = mistakes.index[0]
        findings.append(
            f"Most frequent mistake: {actual} predicted as {answer}, in {mistakes.iloc[0]} of {len(wrong)} test rows."
        )
    figures = chain(_figures(data, test), more.figures)
    return Report(tables | more.tables, findings + more.findings, figures)


def confident_mistakes(part: Part, some: Classified) -> pd.DataFrame:
    """The wrong rows with the highest confidence, at most `MOST`: what they are, and what the model says."""
    rows = _mistakes(some, MOST)
    table = {"actual": some.y[rows], "predicted": some.predicted[rows], "confidence": _confidence(some)[rows]}
    return pd.concat([readable(part, rows), pd.DataFrame(table)], axis=1)


def _figures(data: Dataset, test: Classified) -> Iterator[tuple[str, Figure]]:
    yield "confusion_matrix", confusion_matrix(test.y, test.predicted)
    if test.probabilities is not None:
        yield "roc_pr_calibration", curves(test)
        rows, sure = _mistakes(test, EXAMPLES), _confidence(test)
        if data.info["kind"] == "image" and len(rows):
            titles = [f"{test.y[n]} as {test.predicted[n]}\n{sure[n]:.1%}, row {data.test.rows[n]}" for n in rows]
            heading = "The most confident mistakes on test rows: actual as predicted class, confidence"
            yield "confident_mistakes", image_figure(titles, heading, data.test.X[rows])


def confusion_matrix(y: NDArray, predicted: NDArray) -> Figure:
    """Counts of actual against predicted classes; of many classes, the `MOST` with the most mistakes."""
    classes = np.unique(np.concatenate([y, predicted]))
    wrong = np.concatenate([y[y != predicted], predicted[y != predicted]])
    worst = np.argsort(-np.array([np.sum(wrong == name) for name in classes]), kind="stable")[:MOST]
    shown = classes[np.sort(worst)]
    figure = Figure(figsize=(3.2 + 0.42 * len(shown),) * 2)
    axes = figure.add_subplot()
    axes.grid(False)
    rotation = "vertical" if max(len(str(name)) for name in shown) > 5 else "horizontal"
    metrics.ConfusionMatrixDisplay.from_predictions(
        y, predicted, labels=shown, cmap="Blues", colorbar=False, xticks_rotation=rotation, ax=axes
    )
    left_out = f"\nthe {MOST} of {len(classes)} classes with the most mistakes" if len(classes) > MOST else ""
    axes.set_title(
        f"{np.sum(y == predicted)} of {len(y)} test rows are right ({np.mean(y == predicted):.1%}){left_out}"
    )
    return figure


def curves(test: Classified) -> Figure:
    """ROC and precision-recall curves, each class against the rest, and the calibration of the predicted class.

    Of two classes the second one has a curve; of many, the most frequent ones in `test`.
    """
    assert test.probabilities is not None
    figure = Figure(figsize=(12.6, 4.3))
    roc, pr, calibration = figure.subplots(1, 3)
    found, counts = np.unique(test.y, return_counts=True)
    shown = test.classes[1:] if len(test.classes) == 2 else np.sort(found[np.argsort(-counts, kind="stable")][:CURVES])
    for name in shown if len(found) > 1 else []:
        truth, p = test.y == name, test.probabilities[:, test.classes == name][:, 0]
        metrics.RocCurveDisplay.from_predictions(truth, p, name=str(name), ax=roc)
        metrics.PrecisionRecallDisplay.from_predictions(truth, p, name=str(name), ax=pr)
    confidence, right = _confidence(test), test.predicted == test.y
    CalibrationDisplay.from_predictions(right, confidence, n_bins=BINS, pos_label=True, ax=calibration)
    calibration.set(xlabel="confidence in the predicted class", ylabel="share of rows that are right")
    title = f" of the {CURVES} most frequent classes" if len(found) > CURVES else ""
    for axes, text in ((roc, f"ROC{title}"), (pr, f"Precision and recall{title}"), (calibration, "Calibration")):
        axes.set_title(text)
        if legend := axes.get_legend():
            legend.set(frame_on=False)
    return figure


def _confidence(some: Classified) -> NDArray:
    assert some.probabilities is not None
    return some.probabilities.max(axis=1)


def _mistakes(some: Classified, n: int) -> NDArray[np.int64]:
    """The wrong rows by number, the most confident ones first, at most `n`."""
    wrong = np.flatnonzero(some.y != some.predicted)
    return wrong[np.argsort(-_confidence(some)[wrong], kind="stable")][:n]


SCORES: dict[str, bool | None] = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "f1_macro", "roc_auc"), True),
    "log_loss": False,
    **dict.fromkeys(("average_precision", "f1_weighted", "precision_macro", "recall_macro"), True),
    **dict.fromkeys(("brier", "calibration_error"), False),
}
TASK = Task(SCORES, predict, measure, baseline, report)
