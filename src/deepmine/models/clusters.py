"""Clustering algorithms with a `predict` for new rows where scikit-learn has none; scores of clusters."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import PositiveInt
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_is_fitted, validate_data

NOISE = -1  # scikit-learn's label of a row that belongs to no cluster
MOST_ROWS = 2000  # of a resample: some algorithms are quadratic in the rows
SILHOUETTE_ROWS = 10_000  # at most: it is quadratic too


def silhouette(X: NDArray, labels: NDArray) -> float | None:
    """Mean silhouette (Rousseeuw 1987) of the rows, or of 10,000 of them, always the same, where there are more.

    Args:
        X: `(n, features)`.
        labels: `(n,)`.

    Returns:
        -1 to 1, or None where the rows are of one cluster, or each of its own.
    """
    rows = draw(len(X), SILHOUETTE_ROWS)
    several = 1 < len(np.unique(labels[rows])) < len(rows)
    return float(silhouette_score(X[rows], labels[rows])) if several else None


def draw(n: int, most: int) -> NDArray[np.int64]:
    """All of `n` rows, or `most` of them drawn at random, always the same, in their order."""
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False)) if n > most else np.arange(n)


def stability(clusterer: Any, X: ArrayLike, labels: ArrayLike, n_resamples: int, seed: int | None) -> NDArray:
    """How much the clusters of one half of the rows, clustered alone, agree with those of all rows.

    Halves are drawn without replacement, so that no row is twice in one (a copy would look like a dense place).
    The agreement is the adjusted Rand index on the rows of the half: 1 is the same clusters, 0 is chance.
    Method: Ben-Hur, Elisseeff and Guyon, "A stability based method for discovering structure in clustered data"
    (2002); halves as in Lange et al., "Stability-based validation of clustering solutions" (2004).

    Args:
        clusterer: is cloned and fitted anew for each resample.
        X: `(n, features)`.
        labels: those of `clusterer` for all rows, `(n,)`.
        n_resamples: how often.
        seed: of the draws.

    Returns:
        The index of each resample, `(n_resamples,)`.
    """
    X, labels = np.asarray(X), np.asarray(labels)
    rng, size = np.random.default_rng(seed), min(len(X) // 2, MOST_ROWS)
    draws = [np.sort(rng.choice(len(X), size, replace=False)) for _ in range(n_resamples)]
    return np.array([adjusted_rand_score(labels[rows], clone(clusterer).fit_predict(X[rows])) for rows in draws])


class NearestCluster(ClusterMixin, BaseEstimator):
    """Any clustering algorithm, with `predict`: a new row gets the label of the nearest training row.

    Noise (-1) is a label like any other: a new row next to noise is noise.

    Args:
        clusterer: the algorithm; it needs `fit_predict` only.
        n_neighbors: training rows that vote for the label of a new one.

    Attributes:
        labels_: of the training rows, `(n,)`, as the algorithm gave them.
        neighbours_: the fitted `KNeighborsClassifier`.
    """

    def __init__(self, clusterer: Any = None, n_neighbors: PositiveInt = 1) -> None:
        self.clusterer = clusterer
        self.n_neighbors = n_neighbors

    def fit(self, X: Any, y: Any = None) -> "NearestCluster":
        """Cluster `(n, features)` and remember the rows; `y` is ignored."""
        X = validate_data(self, X, dtype=float, ensure_min_samples=2)
        clusterer = AgglomerativeClustering() if self.clusterer is None else self.clusterer
        self.labels_ = clone(clusterer).fit_predict(X)
        self.neighbours_ = KNeighborsClassifier(self.n_neighbors, algorithm="brute").fit(X, self.labels_)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """The label of each row, `(n,)`; with one neighbour, a training row keeps its own."""
        check_is_fitted(self)
        return self.neighbours_.predict(validate_data(self, X, dtype=float, reset=False))
