"""Scores: arrays in, a flat dict of floats out, the same key for the same thing, for nets and mining alike.

Every definition is scikit-learn's, https://scikit-learn.org/stable/modules/model_evaluation.html
and https://scikit-learn.org/stable/modules/clustering.html#clustering-evaluation.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

HIGHER_IS_BETTER = {
    "accuracy": True,
    "balanced_accuracy": True,
    "precision_macro": True,
    "recall_macro": True,
    "f1_macro": True,
    "f1_weighted": True,
    "roc_auc": True,
    "log_loss": False,
    "silhouette": True,
    "davies_bouldin": False,
    "calinski_harabasz": True,
    "adjusted_rand": True,
    "normalized_mutual_info": True,
    "n_clusters": None,
}
COLUMNS = {  # what a table of runs shows, the score that ranks them first
    "classification": ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss"),
    "clustering": (
        "silhouette",
        "davies_bouldin",
        "calinski_harabasz",
        "adjusted_rand",
        "normalized_mutual_info",
    ),
}


def score(task: str, **arrays: Any) -> dict[str, float]:
    """The scores of one set of rows.

    Args:
        task: see the functions below, one for each.
        arrays: their arguments.
    """
    scores = SCORES[task](**arrays)
    assert set(scores) <= set(HIGHER_IS_BETTER)
    return {key: float(value) for key, value in scores.items() if not math.isnan(value)}


def classification(
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


def clustering(X: NDArray, predicted: NDArray, y: NDArray | None = None, **_: Any) -> dict[str, float]:
    """Scores of clusters: internal ones from the geometry, external ones against classes that `fit` never saw.

    Args:
        X: the numbers that the clusters were sought in, `(n, features)`.
        predicted: the cluster of each row, `(n,)`.
        y: classes, `(n,)`, or None.
    """
    scores: dict[str, float] = {"n_clusters": len(np.unique(predicted))}
    if 1 < scores["n_clusters"] < len(X):
        scores |= {
            "silhouette": metrics.silhouette_score(X, predicted),
            "davies_bouldin": metrics.davies_bouldin_score(X, predicted),
            "calinski_harabasz": metrics.calinski_harabasz_score(X, predicted),
        }
    if y is not None:
        scores["adjusted_rand"] = metrics.adjusted_rand_score(y, predicted)
        scores["normalized_mutual_info"] = metrics.normalized_mutual_info_score(y, predicted)
    return scores


SCORES: dict[str, Callable[..., dict[str, float]]] = {"classification": classification, "clustering": clustering}
