"""Clustering algorithms with a `predict` for new rows where scikit-learn has none."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import AgglomerativeClustering
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_is_fitted, validate_data


@dataclass(eq=False, repr=False)
class NearestCluster(ClusterMixin, BaseEstimator):
    """Any clustering algorithm, with `predict`: a new row gets the label of the nearest training row.

    `labels_` `(n,)` are those of the training rows; noise, -1, is a label like any other.
    """

    clusterer: Any = None  # it needs `fit_predict` only; None: `AgglomerativeClustering()`

    def fit(self, X: Any, y: Any = None) -> "NearestCluster":
        X = validate_data(self, X, dtype=float, ensure_min_samples=2)
        clusterer = AgglomerativeClustering() if self.clusterer is None else self.clusterer
        self.labels_ = clone(clusterer).fit_predict(X)
        self.neighbours_ = KNeighborsClassifier(1, algorithm="brute").fit(X, self.labels_)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        check_is_fitted(self)
        return self.neighbours_.predict(validate_data(self, X, dtype=float, reset=False))
