"""Clusters, components, anomalies and trees: what they find on made-up data where the answer is known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from deepmine.data.dataset import Dataset, Part
from deepmine.figures import learning_curves
from deepmine.models.clusters import NearestCluster
from deepmine.tasks import anomalies, clustering, decomposition
from deepmine.tasks.clustering import Clustered, stability


def blobs(n: int = 150, centers: int = 3) -> tuple[np.ndarray, np.ndarray]:
    return make_blobs(n, 3, centers=np.eye(3)[:centers] * 20, random_state=0)


def noise(n: int = 150) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(n, 3))


def table(n: int = 60) -> tuple[pd.DataFrame, np.ndarray]:
    """Heights around 10 and 20 by group, weights that say nothing, a colour for each group."""
    rng, group = np.random.default_rng(0), np.arange(n) % 2
    X = pd.DataFrame({"height": 10.0 + 10 * group + rng.normal(size=n), "weight": rng.normal(50, 5, n)})
    return X.assign(colour=np.where(group, "red", "blue")), group


# ---- estimators


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [NearestCluster(), NearestCluster(HDBSCAN(3, copy=True))],
    ids=["agglomerative", "hdbscan"],
)
def test_an_estimator_passes_scikit_learns_checks(estimator) -> None:
    assert sum(result["status"] == "passed" for result in check_estimator(estimator, on_skip=None)) > 40


def test_clusters_far_apart_are_stable_and_those_of_noise_are_not() -> None:
    X, _ = blobs()
    three = KMeans(3, random_state=0)
    np.testing.assert_array_equal(stability(three, X, three.fit_predict(X), 5, 0), np.ones(5))
    assert stability(three, noise(), three.fit_predict(noise()), 10, 0).mean() < 0.75


def test_the_seed_decides_the_resamples() -> None:
    labels = KMeans(4, random_state=0).fit_predict(noise())
    one, two, other = (stability(KMeans(4, random_state=0), noise(), labels, 3, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_a_new_row_gets_the_label_of_the_nearest_training_row() -> None:
    X, y = blobs()
    found = NearestCluster(AgglomerativeClustering(3)).fit(X)
    np.testing.assert_array_equal(found.predict(X), found.labels_)
    np.testing.assert_array_equal(found.labels_, AgglomerativeClustering(3).fit_predict(X))
    assert adjusted_rand_score(y, found.predict(X + 0.01)) == 1


def test_noise_stays_noise() -> None:
    X = np.vstack([blobs()[0], [[500.0, 500, 500], [-500, -500, -500]]])
    found = NearestCluster(HDBSCAN(10, copy=True)).fit(X)
    assert found.labels_[-2:].tolist() == [-1, -1]
    assert found.predict([[490.0, 490, 490], X[0]]).tolist() == [-1, found.labels_[0]]


# ---- clusters


def test_noise_is_no_cluster_and_buys_no_silhouette() -> None:
    X, y = blobs()
    predicted = np.where(np.arange(len(y)) < 30, -1, y)
    scores = clustering.measure(Clustered(y, predicted, X))
    assert scores["n_clusters"] == 3 and scores["noise_share"] == pytest.approx(0.2)
    assert scores["silhouette"] == pytest.approx(0.8 * silhouette_score(X[30:], y[30:]))
    assert scores["adjusted_rand"] == adjusted_rand_score(y, predicted)


@pytest.mark.parametrize("predicted", [np.full(150, -1), np.zeros(150, int), np.arange(150)])
def test_scores_that_are_not_defined_are_left_out(predicted: np.ndarray) -> None:
    scores = clustering.TASK.score(Clustered(None, predicted, noise()))
    assert set(scores) == {"n_clusters", "noise_share"}


def test_profiles_are_in_original_units_with_sizes_and_majority_classes() -> None:
    X, group = table()
    X.loc[0, "weight"] = np.nan
    part = Part(X, np.where(np.arange(60) < 30, "a", "b"), np.arange(60).astype(str))
    found = clustering.profiles(part, np.where(np.arange(60) < 2, -1, group)).set_index("cluster")
    assert list(found.index) == ["noise", "0", "1", "all"] and found["rows"].tolist() == [2, 29, 29, 60]
    assert found.loc["1", "height mean"] == X["height"][2:][group[2:] == 1].mean()
    assert (
        found["colour mode"].tolist()[1:3] == ["blue", "red"] and found.loc["all", "weight mean"] == X["weight"].mean()
    )
    assert found.loc["0", "majority_class"] == "b" and found.loc["0", "class_share"] == pytest.approx(15 / 29)


# ---- components


def components_of(X: np.ndarray, **settings: object) -> tuple:
    data = dataset_of(X)
    pipeline = make_pipeline(StandardScaler(), PCA(**settings)).fit(data.train.X)
    parts = {name: decomposition.predict(pipeline, part) for name, part in data.parts()}
    return pipeline, data, decomposition.enrich(pipeline, data, parts, 0)


def dataset_of(X: np.ndarray | pd.DataFrame, kind: str = "table") -> Dataset:
    frame = pd.DataFrame(X).rename(columns=str) if kind == "table" else X
    rows = np.arange(len(frame)).astype(str)
    cuts = np.split(np.arange(len(frame)), [len(frame) * 3 // 5, len(frame) * 4 // 5])
    return Dataset({"kind": kind}, *(Part(frame.iloc[c] if kind == "table" else X[c], None, rows[c]) for c in cuts))


def test_scores_of_components_are_those_of_scikit_learn() -> None:
    X = np.random.default_rng(0).normal(size=(100, 5)) @ np.random.default_rng(1).normal(size=(5, 5))
    pipeline, data, outcomes = components_of(X, n_components=2)
    scores = decomposition.measure(outcomes["train"])
    assert scores["variance_explained"] == pytest.approx(pipeline[-1].explained_variance_ratio_.sum())
    every = PCA().fit(outcomes["train"].X).explained_variance_ratio_
    np.testing.assert_allclose(outcomes["train"].spectrum, every)
    assert scores["components_90"] == PCA(0.9, svd_solver="full").fit(outcomes["train"].X).n_components_
    missed = PCA().fit(outcomes["train"].X).explained_variance_[2:].sum() * 59 / 60 / 5
    assert scores["reconstruction_error"] == pytest.approx(missed)
    guesses = decomposition.measure(decomposition.baseline(data, outcomes, 0))
    assert guesses["variance_explained"] == 0 and guesses["components"] == 0


def test_parallel_analysis_finds_the_directions_that_are_not_chance() -> None:
    hidden = np.random.default_rng(0).normal(size=(200, 2))
    X = np.hstack([hidden, hidden, hidden]) + 0.3 * np.random.default_rng(1).normal(size=(200, 6))
    assert decomposition.measure(components_of(X)[2]["train"])["components_parallel"] == 2
    assert decomposition.measure(components_of(noise(200))[2]["train"])["components_parallel"] == 0


# ---- what is said and drawn


@pytest.mark.parametrize(
    ("task", "model", "tables", "figures"),
    [
        (clustering, KMeans(2, random_state=0), {"clusters"}, {"clusters"}),
        (clustering, GaussianMixture(2, random_state=0), {"clusters"}, {"clusters"}),
        (clustering, NearestCluster(HDBSCAN(8, copy=True)), {"clusters"}, {"clusters"}),
        (decomposition, PCA(2), {"variance", "loadings"}, {"variance", "components"}),
        (decomposition, PCA(1), {"variance", "loadings"}, {"variance"}),
        (anomalies, IsolationForest(random_state=0), {"anomalies"}, {"scores"}),
    ],
)
def test_what_was_found_is_said_and_drawn(task, model, tables: set, figures: set, monkeypatch) -> None:
    monkeypatch.setattr(clustering, "RESAMPLES", 1)
    X, group = table(120)
    X = X.drop(columns="colour")
    parts = [Part(X[n::3], None if task is anomalies else group[n::3], X.index[n::3].to_numpy()) for n in range(3)]
    data, pipeline = Dataset({"kind": "table", "columns": list(X)}, *parts), make_pipeline(StandardScaler(), model)
    pipeline.fit(data.train.X)
    parts = {name: task.predict(pipeline, rows) for name, rows in data.parts()}
    parts = task.TASK.enrich(pipeline, data, parts, 0)
    scores = task.TASK.scores(data, parts, 0)
    assert all(np.isfinite(value) for value in scores.values()) and not task.TASK.no_better(scores)
    found = task.report(pipeline, data, parts, scores)
    assert 1 <= len(found.findings) <= 3 and not any("nan" in finding for finding in found.findings)
    assert set(found.tables) == tables and {name for name, _ in found.figures} == figures


@pytest.mark.parametrize("n", [2, 3, 40])
def test_components_and_epochs_are_whole_numbers_on_their_axes(n: int) -> None:
    X = np.random.default_rng(0).normal(size=(100, n))
    pipeline, data, parts = components_of(X, n_components=1)
    found = decomposition.report(pipeline, data, parts, decomposition.TASK.scores(data, parts, 0))
    epochs = [{"epoch": number, "train_loss": 1 / number, "val_loss": 2 / number} for number in range(1, n + 1)]
    for _, figure in [*found.figures, *learning_curves(epochs)]:
        assert all(tick == int(tick) for tick in figure.axes[0].get_xticks())


def test_clusters_without_a_silhouette_are_counted(monkeypatch) -> None:
    """As where DBSCAN finds a single one."""
    X, _ = table()
    parts = [Part(X, None, np.char.add(n, np.arange(60).astype(str))) for n in "abc"]
    data, some = Dataset({"kind": "table"}, *parts), Clustered(None, np.zeros(60, int), X[["weight"]].to_numpy())
    parts = {"train": some, "test": some}
    found = clustering.report(None, data, parts, clustering.TASK.scores(data, parts, 0))
    assert found.findings[0] == "1 clusters."


def test_the_silhouette_of_many_rows_is_that_of_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    X, labels = make_blobs(900, centers=3, cluster_std=2.0, random_state=0)
    whole = silhouette(X, labels)
    assert whole == silhouette_score(X, labels)
    monkeypatch.setattr(clustering, "SILHOUETTE_ROWS", 300)
    some = silhouette(X, labels)
    assert some != whole and abs(some - whole) < 0.05 and some == silhouette(X, labels)
    alone = np.arange(900) == 0  # and the sample holds one cluster only
    assert "silhouette" not in clustering.measure(Clustered(None, alone.astype(int), X))


def silhouette(X: np.ndarray, labels: np.ndarray) -> float:
    return clustering.measure(Clustered(None, labels, X))["silhouette"]
