"""Which rows belong together? The target, if there is one, is only looked at here, never in `fit`.

Every score is scikit-learn's: https://scikit-learn.org/stable/modules/clustering.html#clustering-evaluation
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline

from deepmine.dataset import Dataset, Part
from deepmine.figures import COLOURS
from deepmine.tasks import Knowledge

SCORES = {
    "silhouette": True,
    "davies_bouldin": False,
    "calinski_harabasz": True,
    "adjusted_rand": True,
    "normalized_mutual_info": True,
    "n_clusters": None,
}
COLUMNS = ("silhouette", "davies_bouldin", "calinski_harabasz", "adjusted_rand", "normalized_mutual_info")


def predict(pipeline: Pipeline, part: Part) -> dict[str, Any]:
    """The numbers that clusters are sought in (`X`), the cluster of each row (`predicted`), its class (`y`)."""
    X = pipeline[:-1].transform(part.X)
    return {"X": X, "y": part.y, "predicted": pipeline[-1].predict(X)}


def baseline(data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> dict[str, Any]:
    """As many clusters, at random."""
    names = np.unique(outcomes["train"]["predicted"])
    return {**outcomes["test"], "predicted": np.random.default_rng(seed).choice(names, len(data.test))}


def score(X: NDArray, predicted: NDArray, y: NDArray | None = None, **_: Any) -> dict[str, float]:
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


def figures(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """The clusters of the test rows in two components."""
    yield "clusters", clusters(**outcomes["test"])


def knowledge(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Knowledge:
    """Nothing yet but the scores."""
    return Knowledge({}, [])


def clusters(X: np.ndarray, predicted: np.ndarray, y: np.ndarray | None = None, **_: Any) -> Figure:
    """The test rows in their first two principal components: colour = cluster, shape = class."""
    pca = PCA(2, svd_solver="full").fit(X)
    points, shares = pca.transform(X), pca.explained_variance_ratio_
    classes = np.unique(y) if y is not None else np.array([""])
    figure = Figure(figsize=(7, 4.6))
    axes = figure.add_subplot()
    for number, cluster in enumerate(np.unique(predicted)):
        for marker, name in zip("os^DvPX*" * 4, classes, strict=False):
            here = (predicted == cluster) & (True if y is None else y == name)
            if here.any():
                label = f"cluster {cluster}" + (f", {name}" if y is not None else "") + f" ({here.sum()})"
                axes.scatter(
                    points[here, 0],
                    points[here, 1],
                    s=34,
                    marker=marker,
                    color=COLOURS[number % len(COLOURS)],
                    alpha=0.75,
                    label=label,
                )
    axes.set(
        xlabel=f"first component, {shares[0]:.0%} of the variance",
        ylabel=f"second component, {shares[1]:.0%}",
        title="Clusters of the test rows",
    )
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure
