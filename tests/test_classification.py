"""Scores and pictures of classifiers, against examples worked out by hand."""

import numpy as np
import pytest

from deepmine.tasks import classification
from deepmine.tasks import classification_figures as pictures

CLASSES = np.array(["a", "b"])


def of(*p: float) -> np.ndarray:
    """Probabilities of two classes, given those of the second."""
    return np.column_stack([1 - np.array(p), np.array(p)])


def test_calibration_is_that_of_an_example_by_hand() -> None:
    """Confidences .9, .9, .6, .6 in bins 14 and 9: right 1 of 2 and 2 of 2, so (2 * .4 + 2 * .4) / 4 = .4."""
    y, p = np.array(["b", "a", "b", "a"]), of(0.9, 0.9, 0.6, 0.4)
    bins = classification.calibration(y, p, CLASSES)
    assert np.array(bins) == pytest.approx(np.array([(0.6, 1.0, 2), (0.9, 0.5, 2)]))
    scores = classification.score(y=y, predicted=CLASSES[p.argmax(axis=1)], probabilities=p, classes=CLASSES)
    assert scores["calibration_error"] == pytest.approx(0.4)
    assert scores["brier"] == pytest.approx((0.1**2 + 0.9**2 + 0.4**2 + 0.4**2) / 4)


def test_average_precision_is_that_of_an_example_by_hand() -> None:
    """Ranked b, a, b: precision 1 at recall 1/2 and 2/3 at recall 1."""
    y, p = np.array(["b", "a", "b"]), of(0.9, 0.8, 0.7)
    scores = classification.score(y=y, predicted=y, probabilities=p, classes=CLASSES)
    assert scores["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not() -> None:
    p, right, wrong = of(0.0, 1.0), np.array(["a", "b"]), np.array(["b", "a"])
    for y, error in ((right, 0.0), (wrong, 1.0)):
        scores = classification.score(y=y, predicted=right, probabilities=p, classes=CLASSES)
        assert (scores["calibration_error"], scores["brier"]) == (error, error)


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_scores_of_rows_of_a_single_class(n_classes: int) -> None:
    classes, y = np.arange(n_classes), np.zeros(5, int)
    p = np.full((5, n_classes), 1 / n_classes)
    scores = classification.score(y=y, predicted=y, probabilities=p, classes=classes)
    assert not {"roc_auc", "average_precision"} & set(scores)
    assert {"calibration_error"} <= set(scores) <= set(classification.SCORES)
    bins = classification.calibration(y, p, classes)
    assert len(pictures.curves(y, p, classes, bins).axes) == 3


@pytest.mark.parametrize(("n_classes", "curves"), [(2, 1), (3, 3), (14, 10)])
def test_a_frame_holds_at_most_ten_curves(n_classes: int, curves: int) -> None:
    rng = np.random.default_rng(0)
    classes, y = np.arange(n_classes), rng.permutation(np.arange(200) % n_classes)
    p = rng.dirichlet(np.ones(n_classes), 200)
    roc = pictures.curves(y, p, classes, classification.calibration(y, p, classes)).axes[0]
    assert len(roc.get_legend_handles_labels()[1]) == curves
