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
from deepmine.figures import EXAMPLES, image_figure
from deepmine.tasks import Predicted, Report, Task, readable
from deepmine.tasks.explain import by_part, explain

BINS = 15  # of confidence, for the calibration error
MOST, CURVES = 20, 10  # classes in the confusion matrix and rows in the table of mistakes; classes with curves


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
    of_classes = metrics.precision_recall_fscore_support(y, predicted, average="macro", zero_division=0)
    scores = {
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
        **dict(zip(("precision_macro", "recall_macro", "f1_macro"), of_classes[:3], strict=True)),
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


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Classified], scores: dict[str, float]) -> Report:
    """Scores by class, the wrong rows with the highest confidence, and what the model bases its answers on."""
    test, wrong = parts["test"], np.flatnonzero(parts["test"].y != parts["test"].predicted)
    answers = pd.DataFrame({"actual": test.y, "predicted": test.predicted})
    classes = np.unique([test.y, test.predicted])
    by_class = metrics.precision_recall_fscore_support(test.y, test.predicted, labels=classes, zero_division=0)
    named = dict(zip(("class", "precision", "recall", "f1", "rows"), (classes, *by_class), strict=True))
    tables = {"classes": pd.DataFrame(named)}
    if test.probabilities is not None:
        answers["confidence"] = test.probabilities.max(axis=1)
        wrong = wrong[np.argsort(-answers["confidence"].to_numpy()[wrong], kind="stable")]
        tables["confident_mistakes"] = readable(data.test, wrong[:MOST], answers)
    findings = [
        f"Accuracy: {by_part(scores, 'accuracy')}; always answering {baseline(data, parts, 0).predicted[0]} has "
        f"{scores['baseline/test/accuracy']:.3f} on test rows.",
    ]
    if len(wrong):
        counts = answers.iloc[wrong][["actual", "predicted"]].value_counts()
        (actual, answer), n = counts.index[0], counts.iloc[0]
        findings.append(f"Most frequent mistake: {actual} predicted as {answer}, in {n} of {len(test.y)} test rows.")
    more = explain(pipeline, data, test.predicted, "accuracy")
    figures = chain(_figures(data, test, wrong[:EXAMPLES]), more.figures)
    return Report(tables | more.tables, findings + more.findings, figures)


def _figures(data: Dataset, test: Classified, wrong: NDArray) -> Iterator[tuple[str, Figure]]:
    yield "confusion_matrix", confusion_matrix(test.y, test.predicted)
    if test.probabilities is not None:
        yield "roc_pr_calibration", curves(test.y, test.probabilities, test.classes)
        if data.info["kind"] == "image" and len(wrong):
            titles = [f"{test.y[n]} as {test.predicted[n]}\nrow {data.test.rows[n]}" for n in wrong]
            heading = "The most confident mistakes on test rows: actual as predicted class"
            yield "confident_mistakes", image_figure(titles, heading, data.test.X[wrong])


def confusion_matrix(y: NDArray, predicted: NDArray) -> Figure:
    """Counts of actual against predicted classes; of many classes, the `MOST` with the most mistakes."""
    wrong, classes = y != predicted, np.unique([y, predicted])
    counts = [np.sum((y == name) & wrong) + np.sum((predicted == name) & wrong) for name in classes]
    shown = np.sort(classes[np.argsort(-np.array(counts), kind="stable")[:MOST]])
    axes = (figure := Figure(figsize=(3.2 + 0.42 * len(shown),) * 2)).add_subplot()
    axes.grid(False)
    style = {"cmap": "Blues", "colorbar": False, "xticks_rotation": 90 if max(map(len, map(str, shown))) > 5 else 0}
    metrics.ConfusionMatrixDisplay.from_predictions(y, predicted, labels=shown, ax=axes, **style)
    left_out = f"\nthe {MOST} of {len(classes)} classes with the most mistakes" if len(classes) > MOST else ""
    axes.set_title(f"{np.sum(~wrong)} of {len(y)} test rows are right ({np.mean(~wrong):.1%}){left_out}")
    return figure


def curves(y: NDArray, probabilities: NDArray, classes: NDArray) -> Figure:
    """ROC and precision-recall curves, each class against the rest, and the calibration of the predicted class.

    Of two classes the second one has a curve; of many, the most frequent ones in `y`.
    """
    figure = Figure(figsize=(12.6, 4.3))
    roc, pr, calibration = figure.subplots(1, 3)
    found, counts = np.unique(y, return_counts=True)
    shown = classes[1:] if len(classes) == 2 else np.sort(found[np.argsort(-counts, kind="stable")][:CURVES])
    for name in shown if len(found) > 1 else []:
        p = probabilities[:, classes == name][:, 0]
        metrics.RocCurveDisplay.from_predictions(y == name, p, name=str(name), ax=roc)
        metrics.PrecisionRecallDisplay.from_predictions(y == name, p, name=str(name), ax=pr)
    right = classes[probabilities.argmax(axis=1)] == y
    CalibrationDisplay.from_predictions(right, probabilities.max(axis=1), n_bins=BINS, pos_label=True, ax=calibration)
    title = f" of the {CURVES} most frequent classes" if len(found) > CURVES else ""
    roc.set(title=f"ROC{title}", xlabel="false positive rate", ylabel="true positive rate")
    pr.set(title=f"Precision and recall{title}", xlabel="recall", ylabel="precision")
    calibration.set(title="Calibration", xlabel="confidence in the predicted class", ylabel="share of right rows")
    return figure


SCORES: dict[str, bool | None] = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "f1_macro", "roc_auc"), True),
    "log_loss": False,
    **dict.fromkeys(("average_precision", "f1_weighted", "precision_macro", "recall_macro"), True),
    **dict.fromkeys(("brier", "calibration_error"), False),
}
MODELS = ("logistic", "boosting", "mlp")
TASK = Task(SCORES, predict, measure, report, baseline, first_models=MODELS, by_row=np.equal)
