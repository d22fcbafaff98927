"""Which rows belong together? A target, if there is one, is used here alone, never in `fit`.

Scores are scikit-learn's, https://scikit-learn.org/stable/modules/clustering.html#clustering-evaluation, except
`stability`, see below, and `noise_share`, the share of rows in no cluster (label -1).

Noise counts as follows: it is not a cluster (`n_clusters`); its silhouette is 0, as of a cluster of one (Rousseeuw
1987), so that leaving rows out gains nothing; Davies-Bouldin and Calinski-Harabasz ignore it; compared with classes,
it is one more group.
"""

from collections.abc import Iterator
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

NOISE = -1  # scikit-learn's label of a row that belongs to no cluster
RESAMPLES, RESAMPLE_ROWS = 10, 2000  # for `stability`; some algorithms are quadratic in the rows,
SILHOUETTE_ROWS = 10_000  # at most: so is the silhouette
SHOWN = 2000  # test rows in a figure, at most


@dataclass(frozen=True, eq=False)
class Clustered(Predicted):
    """A cluster for each row, `(n,)`; -1 is none.

    Attributes:
        X: what the clusters were found in, `(n, features)`.
        resampled: of the training rows, see `stability`.
    """

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
    if (found := silhouette(X, labels)) is not None:
        scores["silhouette"] = found * inside.mean()
    if 1 < scores["n_clusters"] < len(X):
        scores["davies_bouldin"] = metrics.davies_bouldin_score(X, labels)
        scores["calinski_harabasz"] = metrics.calinski_harabasz_score(X, labels)
    if some.y is not None:
        scores["adjusted_rand"] = metrics.adjusted_rand_score(some.y, some.predicted)
        scores["normalized_mutual_info"] = metrics.normalized_mutual_info_score(some.y, some.predicted)
    if some.resampled is not None:
        scores["stability"] = some.resampled.mean()
    return scores


def silhouette(X: NDArray, labels: NDArray) -> float | None:
    """Mean silhouette of the rows, of the same 10,000 of them where there are more; None where it is not defined."""
    rows = _sample(len(X), SILHOUETTE_ROWS)
    defined = 1 < len(np.unique(labels[rows])) < len(rows)
    return float(metrics.silhouette_score(X[rows], labels[rows])) if defined else None


def stability(clusterer: Any, X: NDArray, labels: NDArray, n_resamples: int, seed: int | None) -> NDArray:
    """How well the clusters of one half of the rows, clustered alone, agree with those of all rows.

    Halves are drawn without replacement: a row drawn twice would look like a dense region. The agreement is the
    adjusted Rand index on the rows of the half: 1 is the same clusters, 0 is chance. Ben-Hur, Elisseeff and Guyon, "A
    stability based method for discovering structure in clustered data" (2002); halves as in Lange et al.,
    "Stability-based validation of clustering solutions" (2004).

    Returns:
        The index of each half, `(n_resamples,)`.
    """
    rng, size = np.random.default_rng(seed), min(len(X) // 2, RESAMPLE_ROWS)
    draws = [np.sort(rng.choice(len(X), size, replace=False)) for _ in range(n_resamples)]
    return np.array([metrics.adjusted_rand_score(labels[d], clone(clusterer).fit_predict(X[d])) for d in draws])


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Clustered]) -> Report:
    """Size and content of each cluster of the training rows, and what separates the clusters."""
    train, test = parts["train"], parts["test"]
    tables, labels = {"clusters": profiles(data.train, train.predicted)}, train.predicted
    noise = f"; {np.mean(labels == NOISE):.1%} of the rows are noise, in no cluster" if NOISE in labels else ""
    scores, guess = measure(test), measure(baseline(data, parts, 0))
    distinct = (scores.get("silhouette", np.nan), guess.get("silhouette", np.nan))
    findings = [
        f"{len(np.unique(labels[labels != NOISE]))} clusters{noise}. Silhouette on test rows: {distinct[0]:.3f}; random "
        f"clusters have {distinct[1]:.3f}."
    ]
    if train.resampled is not None:
        findings.append(
            f"Refitted on halves of the training rows, the clusters agree to an adjusted Rand index of "
            f"{train.resampled.mean():.3f} (worst half {train.resampled.min():.3f}; 1 is equal, 0 is chance)."
        )
    if isinstance(data.train.X, pd.DataFrame):
        tables["standardised_differences"] = differences = standardised_differences(data.train.X, labels)
        strength = differences.drop(columns="cluster").abs().mean().dropna()
        if len(differences) > 1 and len(strength):
            findings.append(
                f"The clusters differ most in {strength.idxmax()}: on average, the mean of a cluster is "
                f"{strength.max():.1f} standard deviations from that of the other rows."
            )
    return Report(tables, findings, _figures(test))


def profiles(part: Part, labels: NDArray) -> pd.DataFrame:
    """Rows and share of each cluster; the most frequent class; of a table, mean or most frequent value by column.

    The last line is of all rows.
    """
    lines = []
    for name, here in [*((name_of(label), labels == label) for label in np.unique(labels)), ("all", labels == labels)]:
        line: dict[str, Any] = {"cluster": name, "rows": here.sum(), "share": here.mean()}
        if part.y is not None:
            classes = pd.Series(part.y[here]).value_counts(normalize=True)
            line |= {"majority_class": str(classes.index[0]), "class_share": classes.iloc[0]}
        if isinstance(part.X, pd.DataFrame):
            numbers, texts = part.X[here].select_dtypes("number"), part.X[here].select_dtypes(exclude="number")
            line |= {f"{column} mean": mean for column, mean in numbers.mean().items()}
            line |= {f"{column} most frequent": next(iter(texts[column].mode()), None) for column in texts}
        lines.append(line)
    return pd.DataFrame(lines)


def standardised_differences(X: pd.DataFrame, labels: NDArray) -> pd.DataFrame:
    """How far the mean of each cluster is from that of the other rows, by numeric column, in standard deviations.

    Difference of the means over the pooled standard deviation: Cohen's d, "Statistical Power Analysis for the
    Behavioral Sciences" (1988), 2.5. NaN for a column that is constant in both, and for a cluster of one row. Noise has
    no line.
    """
    numbers, found = X.select_dtypes("number"), {}
    for label in np.unique(labels[labels != NOISE]):
        one, rest = numbers[labels == label], numbers[labels != label]
        weights = np.array([len(one) - 1, len(rest) - 1]) / max(len(numbers) - 2, 1)
        pooled = np.sqrt(weights[0] * one.var() + weights[1] * rest.var())
        found[name_of(label)] = (one.mean() - rest.mean()) / pooled.where(pooled > 0)
    return pd.DataFrame(found).T.rename_axis("cluster").reset_index()


def name_of(label: Any) -> str:
    """How a person calls a cluster."""
    return "noise" if label == NOISE else str(label)


def _sample(n: int, most: int) -> NDArray[np.int64]:
    """All of `n` rows, or always the same `most` of them, in their order."""
    return np.sort(np.random.default_rng(0).choice(n, most, replace=False)) if n > most else np.arange(n)


def _figures(test: Clustered) -> Iterator[tuple[str, Figure]]:
    """Some test rows in their first two principal components, coloured by cluster."""
    X, labels = (values[_sample(len(test.X), SHOWN)] for values in (test.X, test.predicted))
    if X.shape[1] > 1 and len(X) > 1:
        pca = PCA(2, svd_solver="full").fit(X)
        groups = np.array([name_of(label) for label in labels])
        yield (
            "clusters",
            two_components(pca.transform(X), pca.explained_variance_ratio_, "Clusters of test rows", groups),
        )


SCORES = {
    **{"silhouette": True, "davies_bouldin": False, "calinski_harabasz": True, "adjusted_rand": True},
    **{"normalized_mutual_info": True, "stability": True, "n_clusters": None, "noise_share": None},
}
TASK = Task(SCORES, predict, measure, baseline, report, enrich, in_transformed_space=True)
