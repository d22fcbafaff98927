"""Which rows belong together? A target, if there is one, is used here alone, never in `fit`.

Scores are scikit-learn's, https://scikit-learn.org/stable/modules/clustering.html#clustering-evaluation, except
`stability` and `noise_share`, the share of rows in no cluster (label -1). Noise is not a cluster (`n_clusters`); its
silhouette is 0, as of a cluster of one (Rousseeuw 1987), so that leaving rows out gains nothing; Davies-Bouldin and
Calinski-Harabasz ignore it; compared with classes, it is one more group.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.figures import two_components
from deepmine.tasks import Predicted, Report, Task
from deepmine.tasks.explain import by_part

NOISE = -1  # scikit-learn's label of a row that belongs to no cluster
RESAMPLES, RESAMPLE_ROWS = 10, 2000  # for `stability`; some algorithms are quadratic in the rows,
SILHOUETTE_ROWS, SHOWN = 10_000, 2000  # so is the silhouette; test rows in a figure, about


@dataclass(frozen=True, eq=False)
class Clustered(Predicted):
    """A cluster for each row, `(n,)`, -1 is none, of `X`, `(n, features)`; `resampled` see `stability`."""

    X: NDArray
    resampled: NDArray | None = None


def predict(pipeline: Pipeline, part: Part) -> Clustered:
    """The cluster of each row."""
    X = pipeline[:-1].transform(part.X)
    return Clustered(part.y, pipeline[-1].predict(X), X)


def enrich(pipeline: Pipeline, data: Dataset, parts: dict[str, Clustered], seed: int) -> dict[str, Clustered]:
    """The stability of the clusters of the training rows."""
    train = parts["train"]
    resampled = stability(pipeline[-1], train.X, train.predicted, RESAMPLES, seed)
    return parts | {"train": replace(train, resampled=resampled)}


def baseline(data: Dataset, parts: dict[str, Clustered], seed: int) -> Clustered:
    """The same clusters, assigned at random."""
    names = np.unique(parts["train"].predicted)
    return replace(parts["test"], predicted=np.random.default_rng(seed).choice(names, len(data.test)))


def measure(some: Clustered) -> dict[str, float]:
    """Internal scores, from distances, and external ones, against classes that `fit` never saw."""
    inside = some.predicted != NOISE
    X, labels = some.X[inside], some.predicted[inside]
    scores: dict[str, float] = {"n_clusters": len(np.unique(labels)), "noise_share": 1 - inside.mean()}
    if 1 < scores["n_clusters"] < len(X):
        size = SILHOUETTE_ROWS if len(X) > SILHOUETTE_ROWS else None
        with suppress(ValueError):  # a sample may hold one cluster only
            found = metrics.silhouette_score(X, labels, sample_size=size, random_state=0)
            scores["silhouette"] = found * inside.mean()
        scores["davies_bouldin"] = metrics.davies_bouldin_score(X, labels)
        scores["calinski_harabasz"] = metrics.calinski_harabasz_score(X, labels)
    if some.y is not None:
        scores["adjusted_rand"] = metrics.adjusted_rand_score(some.y, some.predicted)
        scores["normalized_mutual_info"] = metrics.normalized_mutual_info_score(some.y, some.predicted)
    if some.resampled is not None:
        scores["stability"] = some.resampled.mean()
    return scores


def stability(clusterer: Any, X: NDArray, labels: NDArray, n_resamples: int, seed: int | None) -> NDArray:
    """How well the clusters of one half of the rows, clustered alone, agree with those of all rows.

    Halves are drawn without replacement: a row drawn twice would look like a dense region. The agreement is the
    adjusted Rand index on the rows of each half, `(n_resamples,)`: 1 is the same clusters, 0 is chance. Ben-Hur,
    Elisseeff and Guyon, "A stability based method for discovering structure in clustered data" (2002); halves as in
    Lange et al., "Stability-based validation of clustering solutions" (2004).
    """
    rng, size = np.random.default_rng(seed), min(len(X) // 2, RESAMPLE_ROWS)
    draws = [np.sort(rng.choice(len(X), size, replace=False)) for _ in range(n_resamples)]
    return np.array([metrics.adjusted_rand_score(labels[d], clone(clusterer).fit_predict(X[d])) for d in draws])


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Clustered], scores: dict[str, float]) -> Report:
    """Size and content of each cluster of the training rows."""
    train, labels = parts["train"], parts["train"].predicted
    noise = f"; {np.mean(labels == NOISE):.1%} of the rows are noise, in no cluster" if NOISE in labels else ""
    findings = [f"{len(np.unique(labels[labels != NOISE]))} clusters{noise}."]
    if (by_chance := scores.get("baseline/test/silhouette")) is not None:
        findings[0] += f" Silhouette: {by_part(scores, 'silhouette')}; of random clusters {by_chance:.3f} on test rows."
    if train.resampled is not None:
        findings.append(
            f"Refitted on halves of the training rows, the clusters agree to an adjusted Rand index of "
            f"{train.resampled.mean():.3f} (worst half {train.resampled.min():.3f}; 1 is equal, 0 is chance)."
        )
    return Report({"clusters": profiles(data.train, labels)}, findings, _figures(parts["test"]))


def profiles(part: Part, labels: NDArray) -> pd.DataFrame:
    """Rows, share and most frequent class of each cluster, and of all; of a table each column's mean or top value."""
    lines, groups = [], {"noise" if label == NOISE else str(label): labels == label for label in np.unique(labels)}
    for name, here in {**groups, "all": labels == labels}.items():
        line: dict[str, Any] = {"cluster": name, "rows": here.sum(), "share": here.mean()}
        if part.y is not None:
            classes = pd.Series(part.y[here]).value_counts(normalize=True)
            line |= {"majority_class": str(classes.index[0]), "class_share": classes.iloc[0]}
        for column, x in part.X[here].items() if isinstance(part.X, pd.DataFrame) else ():
            is_number = pd.api.types.is_numeric_dtype(x)
            line[f"{column} {'mean' if is_number else 'mode'}"] = x.mean() if is_number else next(iter(x.mode()), None)
        lines.append(line)
    return pd.DataFrame(lines)


def _figures(test: Clustered) -> Iterator[tuple[str, Figure]]:
    """Some test rows in their first two principal components, coloured by cluster."""
    step = 1 + len(test.X) // SHOWN
    X, labels = test.X[::step], test.predicted[::step]
    if X.shape[1] > 1 and len(X) > 1:
        pca, groups = PCA(2, svd_solver="full").fit(X), np.where(labels == NOISE, "noise", labels.astype(str))
        shares = pca.explained_variance_ratio_
        yield "clusters", two_components(pca.transform(X), shares, "Clusters of test rows", groups)


SCORES = {
    **{"silhouette": True, "davies_bouldin": False, "calinski_harabasz": True, "adjusted_rand": True},
    **{"normalized_mutual_info": True, "stability": True, "n_clusters": None, "noise_share": None},
}
TASK = Task(
    SCORES, predict, measure, report, baseline, enrich, in_transformed_space=True, first_models=("kmeans", "gmm")
)
