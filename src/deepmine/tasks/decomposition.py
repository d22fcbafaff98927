"""In how many directions do the rows differ, and what are they?

- `variance_explained`: 1 - squared error of the reconstruction / squared distance from the mean of the training rows.
  On training rows this is the sum of scikit-learn's `explained_variance_ratio_`.
- `reconstruction_error`: the mean squared error of a number, in the units that the components were sought in.
- `components`: how many the model keeps; `components_90`, `components_95`: how many explain 90 and 95 % of the
  variance of the training rows; `components_parallel`: how many stand out from chance, by Horn's rule
  ("A rationale and test for the number of factors in factor analysis", 1965).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.tasks import Knowledge, decomposition_figures

SCORES = {
    "variance_explained": True,
    "reconstruction_error": False,
    "components": None,
    "components_90": None,
    "components_95": None,
    "components_parallel": None,
}
COLUMNS = ("variance_explained", "reconstruction_error", "components")
PERMUTATIONS = 10


def predict(pipeline: Pipeline, part: Part) -> dict[str, Any]:
    """The numbers that components are sought in (`X`), the components (`predicted`), what they give back, the mean."""
    X, model = np.asarray(pipeline[:-1].transform(part.X), float), pipeline[-1]
    Z = model.transform(X)
    columns = {f"component_{number}": values for number, values in enumerate(Z.T, 1)}
    return {
        "X": X,
        "y": part.y,
        "predicted": Z,
        "restored": model.inverse_transform(Z),
        "mean": model.mean_,
        "columns": columns,
    }


def enrich(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> None:
    """The share of the variance of every component there is, of the training rows and of the same rows shuffled."""
    train = outcomes["train"]
    train["spectrum"], train["chance"] = spectrum(train["X"]), chance(train["X"], seed)


def baseline(data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> dict[str, Any]:
    """No component: each row is the mean of the training rows."""
    test = outcomes["test"]
    return {**test, "restored": np.broadcast_to(test["mean"], test["X"].shape), "predicted": test["predicted"][:, :0]}


def score(
    X: NDArray,
    restored: NDArray,
    mean: NDArray,
    predicted: NDArray,
    spectrum: NDArray | None = None,
    chance: NDArray | None = None,
    **_: Any,
) -> dict[str, float]:
    """Scores of components.

    Args:
        X: the numbers that the components were sought in, `(n, features)`.
        restored: what the components give back, `(n, features)`.
        mean: of the training rows, `(features,)`.
        predicted: the components of each row, `(n, components)`.
        spectrum: share of the variance of each component of the training rows, falling, or None.
        chance: the same of rows without any relation between the columns, or None.
    """
    error, total = np.square(X - restored).mean(), np.square(X - mean).mean()
    scores = {"reconstruction_error": error, "components": predicted.shape[1]}
    if total > 0:
        scores["variance_explained"] = 1 - error / total
    if spectrum is not None and chance is not None:
        scores |= {f"components_{share}": components_for(spectrum, share / 100) for share in (90, 95)}
        scores["components_parallel"] = standing_out(spectrum, chance)
    return scores


def figures(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """Variance by component; loadings; the test rows in two components."""
    train, test = outcomes["train"], outcomes["test"]
    kept = test["predicted"].shape[1]
    yield "variance", decomposition_figures.variance(train["spectrum"], train["chance"], kept)
    table = loadings(pipeline, data.train)
    if len(table) <= decomposition_figures.MOST_ROWS:
        yield "loadings", decomposition_figures.loadings(table)
    elif np.ndim(data.train.X) == 4 and len(table) == np.prod(data.train.X.shape[2:]):
        yield "loadings", decomposition_figures.pictures(pipeline[-1].components_, data.train.X.shape[2:])
    if kept > 1:
        yield "components", decomposition_figures.rows(test["predicted"], test["y"], train["spectrum"])


def knowledge(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Knowledge:
    """Loadings, the variance of each component, and how many to keep."""
    train, test = outcomes["train"], outcomes["test"]
    shares, table = train["spectrum"], loadings(pipeline, data.train)
    variance = pd.DataFrame(
        {
            "component": np.arange(1, len(shares) + 1),
            "share": shares,
            "cumulative": np.cumsum(shares),
            "share by chance": train["chance"],
        }
    )
    at = {part: score(**outcomes[part]) for part in ("train", "test")}
    findings = [
        f"The model keeps {test['predicted'].shape[1]} of {len(shares)} components; they hold "
        f"{at['train']['variance_explained']:.1%} of the variance of the training rows and "
        f"{at['test'].get('variance_explained', np.nan):.1%} of that of the test rows.",
        f"How many to keep: {components_for(shares, 0.9)} explain 90 % of the variance, {components_for(shares, 0.95)} "
        f"explain 95 %. By Horn's parallel analysis: {standing_out(shares, train['chance'])} (more variance than the "
        f"95th percentile of {PERMUTATIONS} shuffles of the columns).",
        *(_component(table, shares, number) for number in range(1, min(3, table.shape[1] - 1) + 1)),
    ]
    return Knowledge({"variance": variance, "loadings": table}, findings)


def spectrum(X: NDArray) -> NDArray:
    """The share of the variance of each principal component, falling, `(min(n - 1, features),)`."""
    values = np.square(np.linalg.svd(X - X.mean(axis=0), compute_uv=False))[: min(len(X) - 1, X.shape[1])]
    return values / values.sum() if values.sum() > 0 else values


def chance(X: NDArray, seed: int) -> NDArray:
    """The 95th percentile of `spectrum` when each column is shuffled alone, so that no two have to do with each other.

    Permutations instead of Horn's normal numbers: Buja and Eyuboglu, "Remarks on parallel analysis" (1992).
    """
    rng = np.random.default_rng(seed)
    return np.percentile([spectrum(rng.permuted(X, axis=0)) for _ in range(PERMUTATIONS)], 95, axis=0)


def components_for(spectrum: NDArray, share: float) -> int:
    """How many of the first components explain at least this share of the variance."""
    return int(np.searchsorted(np.cumsum(spectrum), share - 1e-9) + 1)


def standing_out(spectrum: NDArray, chance: NDArray) -> int:
    """How many of the first components hold more variance than by chance: Horn's rule."""
    return int(np.argmin([*(spectrum > chance), False]))


def loadings(pipeline: Pipeline, train: Part) -> pd.DataFrame:
    """The weight of each column in each component: unit vectors, `components_` of scikit-learn's PCA, transposed."""
    from deepmine.tasks.explain.trees import feature_names

    vectors = pipeline[-1].components_.T
    table = pd.DataFrame(vectors, columns=[f"component_{n}" for n in range(1, vectors.shape[1] + 1)])
    table.insert(0, "column", feature_names(pipeline, train.X))
    return table


def _component(table: pd.DataFrame, spectrum: NDArray, number: int) -> str:
    """The columns that make up a component: those with the largest weights."""
    weights = table.set_index("column")[f"component_{number}"]
    strongest = weights.loc[weights.abs().sort_values(ascending=False).index[:4]]
    made = ", ".join(f"{name} ({weight:+.2f})" for name, weight in strongest.items())
    return f"Component {number}, {spectrum[number - 1]:.1%} of the variance: {made}."
