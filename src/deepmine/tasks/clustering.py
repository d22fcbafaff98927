"""Which rows belong together? The target, if there is one, is only looked at here, never in `fit`.

Every score but two is scikit-learn's: https://scikit-learn.org/stable/modules/clustering.html#clustering-evaluation
`stability` is described in `deepmine.models.clusters`; `noise_share` is the share of rows in no cluster (label -1).

How noise is counted: it is no cluster (`n_clusters`); it has silhouette 0, the value of a cluster of one (Rousseeuw
1987), so that leaving rows out buys nothing; Davies-Bouldin and Calinski-Harabasz are those of the other rows; for
the comparison with classes it is one more group.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.models.clusters import NOISE, draw, silhouette, stability
from deepmine.tasks import Knowledge, cluster_figures, cluster_profiles

SCORES = {
    "silhouette": True,
    "davies_bouldin": False,
    "calinski_harabasz": True,
    "adjusted_rand": True,
    "normalized_mutual_info": True,
    "stability": True,
    "n_clusters": None,
    "noise_share": None,
}
COLUMNS = ("silhouette", "davies_bouldin", "calinski_harabasz", "adjusted_rand", "normalized_mutual_info")
RESAMPLES = 10
SHOWN = 2000  # test rows in a picture, at most


def predict(pipeline: Pipeline, part: Part) -> dict[str, Any]:
    """The numbers that clusters are sought in (`X`), the cluster of each row (`predicted`), its class (`y`)."""
    X = pipeline[:-1].transform(part.X)
    return {"X": X, "y": part.y, "predicted": pipeline[-1].predict(X)}


def enrich(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> None:
    """Cluster halves of the training rows anew: do the same clusters come again (`resampled`)?"""
    train = outcomes["train"]
    train["resampled"] = stability(pipeline[-1], train["X"], train["predicted"], RESAMPLES, seed)


def baseline(data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> dict[str, Any]:
    """As many clusters, at random."""
    names = np.unique(outcomes["train"]["predicted"])
    return {**outcomes["test"], "predicted": np.random.default_rng(seed).choice(names, len(data.test))}


def score(
    X: NDArray, predicted: NDArray, y: NDArray | None = None, resampled: NDArray | None = None, **_: Any
) -> dict[str, float]:
    """Scores of clusters: internal ones from the geometry, external ones against classes that `fit` never saw.

    Args:
        X: the numbers that the clusters were sought in, `(n, features)`.
        predicted: the cluster of each row, `(n,)`; -1 is none.
        y: classes, `(n,)`, or None.
        resampled: agreement with the clusters of other rows, one for each resample, or None.
    """
    inside = predicted != NOISE
    members, labels = X[inside], predicted[inside]
    scores: dict[str, float] = {"n_clusters": len(np.unique(labels)), "noise_share": 1 - inside.mean()}
    if (distinct := silhouette(members, labels)) is not None:
        scores["silhouette"] = distinct * inside.mean()
    if 1 < scores["n_clusters"] < len(members):
        scores |= {
            "davies_bouldin": metrics.davies_bouldin_score(members, labels),
            "calinski_harabasz": metrics.calinski_harabasz_score(members, labels),
        }
    if y is not None:
        scores["adjusted_rand"] = metrics.adjusted_rand_score(y, predicted)
        scores["normalized_mutual_info"] = metrics.normalized_mutual_info_score(y, predicted)
    if resampled is not None:
        scores["stability"] = resampled.mean()
    return scores


def figures(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """The clusters of the test rows in two components; their silhouettes; how their number was chosen, if it was."""
    X, predicted, y = (outcomes["test"][name] for name in ("X", "predicted", "y"))
    shown = draw(len(X), SHOWN)
    X, predicted, y = X[shown], predicted[shown], None if y is None else y[shown]
    if X.shape[1] > 1 and len(X) > 1:
        yield "clusters", cluster_figures.in_two_components(X, predicted, y)
    if 1 < len(np.unique(predicted[predicted != NOISE])) < np.sum(predicted != NOISE):
        yield "silhouettes", cluster_figures.silhouettes(X, predicted)
    if hasattr(pipeline[-1], "choice_"):
        yield "choice", cluster_figures.choice(**pipeline[-1].choice_)


def knowledge(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Knowledge:
    """What is in each cluster of the training rows, in original units, and what sets it apart."""
    return cluster_profiles.knowledge(pipeline[-1], data.train, outcomes)
