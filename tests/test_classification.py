"""Scores, figures and findings of classifiers, against examples worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.tasks import classification
from deepmine.tasks.classification import Classified

CLASSES = np.array(["a", "b"])


def of(*p: float) -> np.ndarray:
    """Probabilities of two classes, given those of the second."""
    return np.column_stack([1 - np.array(p), np.array(p)])


def score(y: np.ndarray, p: np.ndarray, classes: np.ndarray = CLASSES) -> dict[str, float]:
    return classification.TASK.score(Classified(y, classes[p.argmax(axis=1)], classes, p))


def test_calibration_is_that_of_an_example_by_hand() -> None:
    """Confidences .9, .9, .6, .6 in bins 14 and 9: right 1 of 2 and 2 of 2, so (2 * .4 + 2 * .4) / 4 = .4."""
    scores = score(np.array(["b", "a", "b", "a"]), of(0.9, 0.9, 0.6, 0.4))
    assert scores["calibration_error"] == pytest.approx(0.4)
    assert scores["brier"] == pytest.approx((0.1**2 + 0.9**2 + 0.4**2 + 0.4**2) / 4)


def test_average_precision_is_that_of_an_example_by_hand() -> None:
    """Ranked b, a, b: precision 1 at recall 1/2 and 2/3 at recall 1."""
    scores = score(np.array(["b", "a", "b"]), of(0.9, 0.8, 0.7))
    assert scores["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_confident_and_right_is_calibrated_and_confident_and_wrong_is_not() -> None:
    p, right, wrong = of(0.0, 1.0), np.array(["a", "b"]), np.array(["b", "a"])
    for y, error in ((right, 0.0), (wrong, 1.0)):
        assert (score(y, p)["calibration_error"], score(y, p)["brier"]) == (error, error)


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_scores_of_rows_of_a_single_class(n_classes: int) -> None:
    classes, y = np.arange(n_classes), np.zeros(5, int)
    p = np.full((5, n_classes), 1 / n_classes)
    scores = score(y, p, classes)
    assert not {"roc_auc", "average_precision"} & set(scores)
    assert {"calibration_error"} <= set(scores) <= set(classification.SCORES)
    assert len(classification.curves(y, p, classes).axes) == 3


@pytest.mark.parametrize(("n_classes", "curves"), [(2, 1), (3, 3), (14, 10)])
def test_a_frame_holds_at_most_ten_curves(n_classes: int, curves: int) -> None:
    rng = np.random.default_rng(0)
    classes, y = np.arange(n_classes), rng.permutation(np.arange(200) % n_classes)
    roc = classification.curves(y, rng.dirichlet(np.ones(n_classes), 200), classes).axes[0]
    assert len(roc.get_legend_handles_labels()[1]) == curves


def test_of_many_classes_the_most_confused_ones_are_shown() -> None:
    """150 classes, of which 7 and 142 are mixed up: a figure of all took ten seconds and two gigabytes."""
    y = np.repeat(np.arange(150), 2)
    predicted = np.where(y == 7, 142, y)
    [axes] = classification.confusion_matrix(y, predicted).axes
    shown = [text.get_text() for text in axes.get_xticklabels()]
    assert len(shown) == classification.MOST and {"7", "142"} <= set(shown)
    assert "the 20 of 150 classes with the most mistakes" in axes.get_title(loc="center") + axes.get_title(loc="left")


def test_what_a_classifier_found_is_said_without_a_verdict() -> None:
    rows = [Part(pd.DataFrame({"x": np.zeros(10)}), np.repeat([0, 1], 5), np.char.add(n, np.arange(10).astype(str)))
            for n in "abc"]  # fmt: skip
    data = Dataset({"kind": "table", "columns": ["x"]}, *rows)
    pipeline = make_pipeline(DummyClassifier()).fit(data.train.X, data.train.y)
    parts = {name: classification.predict(pipeline, part) for name, part in data.parts()}
    parts["train"] = Classified(data.train.y, np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 0]), np.arange(2))
    found = classification.report(pipeline, data, parts, classification.TASK.scores(data, parts, 0))
    assert found.findings[0] == (
        "Accuracy: 0.800 on training rows, 0.500 on validation rows, 0.500 on test rows; "
        "always answering 0 has 0.500 on test rows."
    )
    assert found.findings[1] == "Most frequent mistake: 1 predicted as 0, in 5 of 10 test rows."
    assert len(found.findings) == 3 and "no more than chance" in found.findings[2]
    assert found.tables["confident_mistakes"]["row"].tolist() == ["c5", "c6", "c7", "c8", "c9"]
