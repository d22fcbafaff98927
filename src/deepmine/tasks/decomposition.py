"""In how many directions do the rows differ, and which?

- `variance_explained`: 1 - squared error of the reconstruction / squared distance from the mean of the training rows;
  on training rows, the sum of scikit-learn's `explained_variance_ratio_`.
- `reconstruction_error`: mean squared error, in the units of the input of the model.
- `components`: how many the model keeps; `components_90`, `components_95`: how many explain 90 and 95 % of the variance
  of the training rows; `components_parallel`: how many exceed chance, by Horn's rule ("A rationale and test for the
  number of factors in factor analysis", 1965).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.figures import two_components
from deepmine.tasks import Predicted, Report, Task
from deepmine.tasks.explain import feature_names

PERMUTATIONS, CLASSES = 10, 20  # for `shares_by_chance`; classes with a colour of their own, at most


@dataclass(frozen=True, eq=False)
class Decomposed(Predicted):
    """The components of each row, `(n, components)`.

    Attributes:
        X: the input of the model, `(n, features)`; `restored`: from the components; `mean`: of the training rows.
        spectrum: of the training rows, share of the variance of each component, falling; `chance`: if shuffled.
    """

    X: NDArray
    restored: NDArray
    mean: NDArray
    spectrum: NDArray | None = None
    chance: NDArray | None = None


def predict(pipeline: Pipeline, part: Part) -> Decomposed:
    """The components of each row, and what they restore."""
    X, model = np.asarray(pipeline[:-1].transform(part.X), float), pipeline[-1]
    Z = model.transform(X)
    columns = {f"component_{number}": values for number, values in enumerate(Z.T, 1)}
    return Decomposed(part.y, Z, X, model.inverse_transform(Z), model.mean_, columns=columns)


def enrich(pipeline: Pipeline, data: Dataset, parts: dict[str, Decomposed], seed: int) -> dict[str, Decomposed]:
    """The variance of every component of the training rows, and of the same rows shuffled."""
    train = parts["train"]
    chance = shares_by_chance(train.X, seed)
    return parts | {"train": replace(train, spectrum=variance_shares(train.X), chance=chance)}


def baseline(data: Dataset, parts: dict[str, Decomposed], seed: int) -> Decomposed:
    """No component: each row is restored as the mean of the training rows."""
    test = parts["test"]
    return replace(test, restored=np.broadcast_to(test.mean, test.X.shape), predicted=test.predicted[:, :0])


def measure(some: Decomposed) -> dict[str, float]:
    """What the components restore, and how many are needed."""
    error, total = np.square(some.X - some.restored).mean(), np.square(some.X - some.mean).mean()
    scores = {"reconstruction_error": error, "components": some.predicted.shape[1]}
    if total > 0:
        scores["variance_explained"] = 1 - error / total
    if some.spectrum is not None and some.chance is not None:
        reached = np.cumsum(some.spectrum)
        scores |= {f"components_{n}": int(np.searchsorted(reached, n / 100 - 1e-9) + 1) for n in (90, 95)}
        scores["components_parallel"] = int(np.argmin([*(some.spectrum > some.chance), False]))
    return scores


def variance_shares(X: NDArray) -> NDArray:
    """The share of the variance of each principal component, falling, `(min(n - 1, features),)`."""
    values = np.square(np.linalg.svd(X - X.mean(axis=0), compute_uv=False))[: min(len(X) - 1, X.shape[1])]
    return values / values.sum() if values.sum() > 0 else values


def shares_by_chance(X: NDArray, seed: int) -> NDArray:
    """The 95th percentile of `variance_shares` when each column is shuffled alone, so that none are related.

    Permutations instead of Horn's normal numbers: Buja and Eyuboglu, "Remarks on parallel analysis" (1992).
    """
    rng = np.random.default_rng(seed)
    return np.percentile([variance_shares(rng.permuted(X, axis=0)) for _ in range(PERMUTATIONS)], 95, axis=0)


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Decomposed], scores: dict[str, float]) -> Report:
    """Loadings, the variance of each component, and how many to keep."""
    train = parts["train"]
    assert train.spectrum is not None
    vectors = pipeline[-1].components_
    loadings = pd.DataFrame(vectors.T, columns=[f"component_{n}" for n in range(1, len(vectors) + 1)])
    loadings.insert(0, "column", feature_names(pipeline, data.train.X))
    shares = {"share": train.spectrum, "cumulative": np.cumsum(train.spectrum), "share_by_chance": train.chance}
    variance = pd.DataFrame({"component": np.arange(1, len(train.spectrum) + 1), **shares})
    first = loadings.set_index("column")["component_1"].sort_values(key=abs, ascending=False)[:4]
    made_of = ", ".join(f"{name} {weight:+.2f}" for name, weight in first.items())
    findings = [
        f"{len(vectors)} of {len(variance)} components hold {scores['train/variance_explained']:.1%} of the variance "
        f"of the training rows and {scores['test/variance_explained']:.1%} of that of the test rows.",
        f"Components that explain 90 % of the variance: {scores['train/components_90']:.0f}; "
        f"95 %: {scores['train/components_95']:.0f}; "
        f"that exceed chance (Horn's parallel analysis): {scores['train/components_parallel']:.0f}.",
        f"Component 1, {train.spectrum[0]:.1%} of the variance: {made_of}.",
    ]
    return Report({"variance": variance, "loadings": loadings}, findings, _figures(variance, parts["test"]))


def _figures(variance: pd.DataFrame, test: Decomposed) -> Iterator[tuple[str, Figure]]:
    """Variance by component; the test rows in two components."""
    figure = Figure(figsize=(5.6, 3.4))
    axes = figure.add_subplot(xlabel="component", ylabel="share of the variance")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    shown = variance[: max(20, 2 * test.predicted.shape[1])]
    axes.plot(shown["component"], shown["share"], marker="o", markersize=4, label="training rows")
    axes.plot(shown["component"], shown["share_by_chance"], linestyle="--", label="columns shuffled")
    axes.legend(frameon=False)
    yield "variance", figure
    if test.predicted.shape[1] > 1:
        many = test.y is None or len(np.unique(test.y)) > CLASSES
        groups = np.repeat("all", len(test.X)) if many else np.asarray(test.y)
        yield "components", two_components(test.predicted, variance["share"].to_numpy(), "Test rows", groups)


SCORES = {
    **{"variance_explained": True, "reconstruction_error": False, "components": None},
    **dict.fromkeys(("components_90", "components_95", "components_parallel")),
}
TASK = Task(
    SCORES, predict, measure, report, baseline, enrich, shown=3, in_transformed_space=True, first_models=("pca",)
)
