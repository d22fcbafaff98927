"""What is in a cluster, in the units that the data came in: tables and sentences."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from deepmine.data.dataset import Part
from deepmine.models.clusters import NOISE
from deepmine.tasks import Knowledge

IN_WORDS = 10  # clusters that get a sentence, the largest first


def knowledge(model: Any, train: Part, outcomes: dict[str, dict[str, Any]]) -> Knowledge:
    """The profile of each cluster of the training rows, and the findings that stand out.

    Args:
        model: the fitted clusterer; one with `choice_` gets a table of it.
        train: the training rows, before any step.
        outcomes: as the task's `predict` and `enrich` give them.
    """
    labels = outcomes["train"]["predicted"]
    tables = {"clusters": sizes(labels, train.y)}
    differences = pd.DataFrame()
    if isinstance(train.X, pd.DataFrame):
        tables["profiles"] = profiles(train.X, labels)
        differences = standardised_differences(train.X, labels)
        if not differences.empty:
            tables["standardised differences"] = differences.rename_axis("cluster").reset_index()
    if hasattr(model, "choice_"):
        tables["choice of k"] = pd.DataFrame(model.choice_)
    findings = [*_overall(model, outcomes), *_separating(differences), *_each(tables, differences)]
    return Knowledge({name.replace(" ", "_"): table for name, table in tables.items()}, findings)


def sizes(labels: NDArray, y: NDArray | None = None) -> pd.DataFrame:
    """Rows and share of each cluster, and where there are classes the most frequent one and its share in it."""
    rows = []
    for label in np.unique(labels):
        here = labels == label
        row = {"cluster": name_of(label), "rows": here.sum(), "share": here.mean()}
        if y is not None:
            classes, counts = np.unique(y[here], return_counts=True)
            row |= {"majority_class": str(classes[counts.argmax()]), "class_share": counts.max() / here.sum()}
        rows.append(row)
    return pd.DataFrame(rows)


def profiles(X: pd.DataFrame, labels: NDArray) -> pd.DataFrame:
    """Mean and median of each numeric column, and the most frequent text of each other one, by cluster.

    Missing values are left out. The last row is of all rows.
    """
    groups = [(name_of(label), X[labels == label]) for label in np.unique(labels)] + [("all", X)]
    return pd.DataFrame([{"cluster": name, **_profile(group)} for name, group in groups])


def standardised_differences(X: pd.DataFrame, labels: NDArray) -> pd.DataFrame:
    """How far each cluster lies from the other rows, by numeric column, in standard deviations.

    Difference of the means over the pooled standard deviation: Cohen's d, "Statistical Power Analysis for the
    Behavioral Sciences" (1988), 2.5. A column that is constant in both, or a cluster of one row, has none (NaN).

    Returns:
        A row for each cluster (noise is none), a column for each numeric one.
    """
    numbers, found = X.select_dtypes("number"), {}
    for label in [label for label in np.unique(labels) if label != NOISE]:
        one, rest = numbers[labels == label], numbers[labels != label]
        weights = np.array([len(one) - 1, len(rest) - 1]) / max(len(numbers) - 2, 1)
        pooled = np.sqrt(weights[0] * one.var() + weights[1] * rest.var())
        found[name_of(label)] = (one.mean() - rest.mean()) / pooled.where(pooled > 0)
    return pd.DataFrame(found).T


def name_of(label: Any) -> str:
    """A cluster as a person calls it."""
    return "noise" if label == NOISE else str(label)


def _profile(group: pd.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in group.items():
        if pd.api.types.is_numeric_dtype(values):
            found |= {f"{name} mean": values.mean(), f"{name} median": values.median()}
        else:
            found[f"{name} most frequent"] = next(iter(values.mode()), None)
    return found


def _overall(model: Any, outcomes: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Number of clusters, noise, stability, how k was chosen, agreement with classes."""
    train, test = outcomes["train"], outcomes["test"]
    labels = train["predicted"]
    n, noise = len(np.unique(labels[labels != NOISE])), int(np.sum(labels == NOISE))
    left = f"; {noise} of them ({noise / len(labels):.1%}) are noise, in no cluster" if noise else ""
    yield f"{n} clusters in {len(labels)} training rows{left}."
    if hasattr(model, "choice_"):
        table = pd.DataFrame(model.choice_).set_index("k")
        k, best = table.index[table["chosen"]][0], table["silhouette"].idxmax()
        yield (
            f"{k} clusters were chosen from {table.index.min()} to {table.index.max()}: silhouette "
            f"{table.silhouette[k]:.3f}, stability {table.stability[k]:.3f} (wanted: at least {model.min_stability}; "
            f"the highest silhouette is that of {best})."
        )
    if "resampled" in train:
        again = train["resampled"]
        yield (
            f"Clustering halves of the training rows again gives the same clusters to an adjusted Rand index of "
            f"{again.mean():.3f} (lowest of {len(again)}: {again.min():.3f}; 1 is the same, 0 is chance)."
        )
    if test["y"] is not None:
        rand = adjusted_rand_score(test["y"], test["predicted"])
        yield f"The clusters of the test rows match their classes, never seen by `fit`: adjusted Rand index {rand:.3f}."


def _separating(differences: pd.DataFrame) -> Iterator[str]:
    """The column in which the clusters differ most: by the mean size of its standardised differences."""
    strength = differences.abs().mean().dropna().sort_values(ascending=False)
    if len(differences) > 1 and len(strength):
        yield (
            f"The column that separates the clusters most is {strength.index[0]}: a cluster's mean lies on average "
            f"{strength.iloc[0]:.1f} standard deviations from that of the other rows."
        )


def _each(tables: dict[str, pd.DataFrame], differences: pd.DataFrame) -> Iterator[str]:
    """A sentence for each cluster."""
    largest = tables["clusters"].sort_values("rows", ascending=False, kind="stable")
    for row in largest[largest["cluster"] != "noise"].head(IN_WORDS).to_dict("records"):
        parts = [f"{row['rows']} rows ({row['share']:.0%})"]
        if "majority_class" in row:
            parts.append(f"{row['class_share']:.0%} of class {row['majority_class']}")
        if row["cluster"] in differences.index:
            parts += _most_its_own(tables["profiles"].set_index("cluster"), differences, row["cluster"])
        yield f"Cluster {row['cluster']}: {'; '.join(parts)}."


def _most_its_own(profiles: pd.DataFrame, differences: pd.DataFrame, cluster: str) -> list[str]:
    """The column in which a cluster differs most from the other rows."""
    own = differences.loc[cluster].dropna()
    if own.empty:
        return []
    column: Any = own.abs().idxmax()
    mean, every = (profiles[f"{column} mean"][name] for name in (cluster, "all"))
    return [
        f"most its own in {column}: mean {mean:.4g} (all rows {every:.4g}), "
        f"{abs(own[column]):.1f} standard deviations {'above' if own[column] > 0 else 'below'} the others"
    ]
