"""Pictures of clusters."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_samples

from deepmine.figures import palette
from deepmine.models.clusters import NOISE
from deepmine.tasks.cluster_profiles import name_of

GREY = "#9a9a9a"
MARKERS = "os^DvP"  # a picture with more classes than this shows none


def in_two_components(X: NDArray, predicted: NDArray, y: NDArray | None) -> Figure:
    """The test rows in their first two principal components: colour = cluster, shape = class where they are few."""
    pca = PCA(2, svd_solver="full").fit(X)
    points, shares = pca.transform(X), pca.explained_variance_ratio_
    classes = np.unique(y) if y is not None else np.array([])
    shown = 0 < len(classes) <= len(MARKERS)
    figure = Figure(figsize=(7, 4.6))
    axes = figure.add_subplot()
    for cluster, colour in colours(predicted).items():
        for marker, kind in zip(MARKERS, classes if shown else [None], strict=False):
            here = (predicted == cluster) & (y == kind if shown else True)
            if here.any():
                label = f"{_title(cluster)}{f', {kind}' if shown else ''} ({here.sum()})"
                first, second = points[here].T
                axes.scatter(first, second, s=34, marker=marker, color=colour, alpha=0.75, label=label)
    axes.set(
        xlabel=f"first component, {shares[0]:.0%} of the variance",
        ylabel=f"second component, {shares[1]:.0%}",
        title="Clusters of the test rows",
    )
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def silhouettes(X: NDArray, predicted: NDArray) -> Figure:
    """The silhouette of each test row, by cluster: long and even is good, below 0 is nearer to another cluster."""
    inside = predicted != NOISE
    values, labels = silhouette_samples(X[inside], predicted[inside]), predicted[inside]
    figure = Figure(figsize=(6, 4.2))
    axes, bottom, gap = figure.add_subplot(), 0.0, max(1, len(values) // 40)
    for cluster, colour in colours(labels).items():
        own = -np.sort(-values[labels == cluster])
        axes.barh(bottom + np.arange(len(own)), own, height=1.0, color=colour)
        axes.text(
            -0.02, bottom + len(own) / 2, _title(cluster), ha="right", va="center", transform=axes.get_yaxis_transform()
        )
        bottom += len(own) + gap
    axes.axvline(values.mean(), color="black", linewidth=1, linestyle=":")
    axes.invert_yaxis()
    axes.margins(y=0.02)
    left = "" if inside.all() else f" ({np.sum(~inside)} of noise left out)"
    axes.set(yticks=[], xlabel="silhouette", title=f"Silhouettes of the test rows{left}, mean {values.mean():.3f}")
    return figure


def choice(k: NDArray, silhouette: NDArray, stability: NDArray, chosen: NDArray) -> Figure:
    """Silhouette and stability for each number of clusters that was tried."""
    figure = Figure(figsize=(5.6, 3.6))
    axes = figure.add_subplot()
    axes.plot(k, silhouette, marker="o", label="silhouette")
    axes.plot(k, stability, marker="s", label="stability (adjusted Rand)")
    axes.axvline(k[chosen][0], color=GREY, linestyle=":", label="chosen")
    axes.set(xlabel="number of clusters", title=f"{k[chosen][0]} clusters chosen, on training rows", ylim=(0, 1.03))
    axes.set_xticks(k)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def colours(labels: NDArray) -> dict[int, Any]:
    """A colour for each cluster; noise is grey."""
    clusters = [int(label) for label in np.unique(labels) if label != NOISE]
    found = dict(zip(clusters, palette(len(clusters)), strict=True))
    return {**found, NOISE: GREY} if NOISE in labels else found


def _title(cluster: int) -> str:
    return "noise" if cluster == NOISE else f"cluster {name_of(cluster)}"
