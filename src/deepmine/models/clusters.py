"""Clustering estimators: what scikit-learn's lack on one path with the rest.

`NearestCluster` labels new rows for an algorithm that cannot; `KMeansRange` chooses the number of clusters;
`stability` says whether a clustering would come again with other rows, `silhouette` how far its clusters lie apart.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import NonNegativeInt, PositiveInt
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin, clone
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import check_random_state
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
    """Any clustering algorithm, with `predict`: a new row gets the label of the training row that is nearest.

    With `n_neighbors` above 1, the most frequent label among so many (scikit-learn's `KNeighborsClassifier`).
    Noise is a label like the others: a new row whose nearest training row is noise, is noise (-1).

    Args:
        clusterer: the algorithm, which needs `fit_predict` alone.
        n_neighbors: how many training rows vote.

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
        """The label of each row, `(n,)`; for a training row its own, with one neighbour."""
        check_is_fitted(self)
        return self.neighbours_.predict(validate_data(self, X, dtype=float, reset=False))


class KMeansRange(TransformerMixin, ClusterMixin, BaseEstimator):
    """k-means with the number of clusters chosen from a range.

    The rule: of the numbers whose clusters come again on other rows (mean `stability` at least `min_stability`), the
    one with the highest silhouette (Rousseeuw 1987); if none is stable, the most stable one. A number that the rows
    are too few for is not tried. Why both: the silhouette alone also ranks clusters that are chance (Hennig,
    "Cluster-wise assessment of cluster stability", 2007).

    Args:
        k_min: the smallest number of clusters, at least 2.
        k_max: the largest.
        min_stability: adjusted Rand index from which on clusters count as stable.
        n_resamples: halves of the rows that are clustered for each number.
        n_init: starts of each k-means.
        random_state: seed of the starts and the halves.

    Attributes:
        choice_: `k`, `silhouette`, `stability` and `chosen`, an array each, one value for each number tried.
        n_clusters_: the number chosen.
        kmeans_: the fitted `KMeans`.
        labels_: of the training rows, `(n,)`.
    """

    def __init__(
        self,
        k_min: PositiveInt = 2,
        k_max: PositiveInt = 8,
        min_stability: float = 0.8,
        n_resamples: PositiveInt = 10,
        n_init: PositiveInt = 10,
        random_state: NonNegativeInt | None = None,
    ) -> None:
        self.k_min = k_min
        self.k_max = k_max
        self.min_stability = min_stability
        self.n_resamples = n_resamples
        self.n_init = n_init
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "KMeansRange":
        """Cluster `(n, features)` with each number and keep one; `y` is ignored."""
        X = validate_data(self, X, dtype=float, ensure_min_samples=3)
        if not 2 <= self.k_min <= self.k_max:
            raise ValueError(f"k_min={self.k_min}, k_max={self.k_max}: wanted 2 <= k_min <= k_max")
        largest = min(self.k_max, max(2, len(X) // 2))  # half of the rows must hold k clusters
        if self.k_min > largest:
            raise ValueError(f"k_min={self.k_min} is more than half of n_samples={len(X)}")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        numbers = np.arange(self.k_min, largest + 1)
        tried = [self._kmeans(k, seed).fit(X) for k in numbers]
        values = [silhouette(X, fitted.labels_) for fitted in tried]
        silhouettes = np.array([-1.0 if value is None else value for value in values])
        stabilities = np.array([stability(m, X, m.labels_, self.n_resamples, seed).mean() for m in tried])
        best = choose(silhouettes, stabilities, self.min_stability)
        self.choice_ = {
            "k": numbers,
            "silhouette": silhouettes,
            "stability": stabilities,
            "chosen": np.arange(len(numbers)) == best,
        }
        self.kmeans_, self.n_clusters_, self.labels_ = tried[best], int(numbers[best]), tried[best].labels_
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int32]:
        """The nearest centre of each row, `(n,)`."""
        check_is_fitted(self)
        return self.kmeans_.predict(validate_data(self, X, dtype=float, reset=False))

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """The distance to each centre, `(n, n_clusters_)`."""
        check_is_fitted(self)
        return self.kmeans_.transform(validate_data(self, X, dtype=float, reset=False))

    def _kmeans(self, k: Any, seed: int) -> KMeans:
        return KMeans(int(k), n_init=self.n_init, random_state=seed)


def choose(silhouettes: NDArray, stabilities: NDArray, min_stability: float) -> int:
    """The place of the number of clusters that the rule of `KMeansRange` takes."""
    stable = stabilities >= min_stability
    return int(np.argmax(np.where(stable, silhouettes, -np.inf)) if stable.any() else np.argmax(stabilities))
