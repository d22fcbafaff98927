"""Clusters, components, anomalies and trees: what they find on made-up data where the answer is known."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import check_estimator

from conftest import EXPERIMENTS, cut, prepared
from deepmine import tasks
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data.dataset import Dataset, Part
from deepmine.models import clusters, pipelines
from deepmine.models.clusters import NearestCluster, stability
from deepmine.tasks import anomalies, cluster_profiles, clustering, decomposition, metrics
from deepmine.tasks.explain import trees

MINING = [
    name
    for name in EXPERIMENTS
    if compose.compose(f"experiment={name}").task in ("clustering", "decomposition", "anomalies")
]


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
    [NearestCluster(), NearestCluster(HDBSCAN(3, copy=True), 3)],
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


def test_a_value_that_an_algorithm_inside_refuses_is_named() -> None:
    settings = compose.decisive(compose.compose("experiment=penguins_hdbscan", "model.clusterer.min_cluster_size=0"))
    with pytest.raises(UserError, match=re.escape("(`model.clusterer`)")):
        pipelines.build(settings["steps"], settings["model"])


# ---- clusters


def test_noise_is_no_cluster_and_buys_no_silhouette() -> None:
    X, y = blobs()
    predicted = np.where(np.arange(len(y)) < 30, -1, y)
    scores = clustering.score(X, predicted, y)
    assert scores["n_clusters"] == 3 and scores["noise_share"] == pytest.approx(0.2)
    assert scores["silhouette"] == pytest.approx(0.8 * silhouette_score(X[30:], y[30:]))
    assert scores["adjusted_rand"] == adjusted_rand_score(y, predicted)


@pytest.mark.parametrize("predicted", [np.full(150, -1), np.zeros(150, int), np.arange(150)])
def test_scores_that_are_not_defined_are_left_out(predicted: np.ndarray) -> None:
    scores = metrics.score("clustering", X=noise(), predicted=predicted)
    assert set(scores) == {"n_clusters", "noise_share"}


def test_profiles_are_in_original_units() -> None:
    X, group = table()
    X.loc[0, "weight"] = np.nan
    found = cluster_profiles.profiles(X, group).set_index("cluster")
    assert found.loc["0", "height mean"] == X["height"][group == 0].mean()
    assert found.loc["1", "weight median"] == X["weight"][group == 1].median()
    assert found["colour most frequent"].tolist()[:2] == ["blue", "red"]
    assert found.loc["all", "weight mean"] == X["weight"].mean()


def test_sizes_and_majority_classes() -> None:
    labels, y = np.array([0, 0, 0, 1, -1]), np.array(["a", "a", "b", "b", "b"])
    found = cluster_profiles.sizes(labels, y).set_index("cluster")
    assert found["rows"].to_dict() == {"noise": 1, "0": 3, "1": 1}
    assert found.loc["0", "majority_class"] == "a" and found.loc["0", "class_share"] == pytest.approx(2 / 3)


def test_the_column_that_separates_is_named() -> None:
    X, group = table()
    differences = cluster_profiles.standardised_differences(X, group)
    a, b = X["height"][group == 1], X["height"][group == 0]
    assert differences.loc["1", "height"] == pytest.approx((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2))
    outcome = {"predicted": group, "y": None, "resampled": np.ones(3)}
    part = Part(X, None, np.arange(60).astype(str))
    found = cluster_profiles.knowledge(None, part, {"train": outcome, "test": outcome})
    text = "\n".join(found.findings)
    assert "separates the clusters most is height" in text and "most its own in height" in text
    assert set(found.tables) == {"clusters", "profiles", "standardised_differences"}


def test_a_column_that_never_changes_separates_nothing() -> None:
    X, group = table()
    differences = cluster_profiles.standardised_differences(X.assign(height=1.0), group)
    assert differences["height"].isna().all()


# ---- components


def components_of(X: np.ndarray, **settings: object) -> tuple:
    data = dataset_of(X)
    pipeline = make_pipeline(StandardScaler(), PCA(**settings)).fit(data.train.X)
    outcomes = {name: decomposition.predict(pipeline, part) for name, part in data.parts()}
    decomposition.enrich(pipeline, data, outcomes, 0)
    return pipeline, data, outcomes


def dataset_of(X: np.ndarray | pd.DataFrame, kind: str = "table") -> Dataset:
    frame = pd.DataFrame(X).rename(columns=str) if kind == "table" else X
    rows = np.arange(len(frame)).astype(str)
    cuts = np.split(np.arange(len(frame)), [len(frame) * 3 // 5, len(frame) * 4 // 5])
    return Dataset({"kind": kind}, *(Part(frame.iloc[c] if kind == "table" else X[c], None, rows[c]) for c in cuts))


def test_scores_of_components_are_those_of_scikit_learn() -> None:
    X = np.random.default_rng(0).normal(size=(100, 5)) @ np.random.default_rng(1).normal(size=(5, 5))
    pipeline, data, outcomes = components_of(X, n_components=2)
    scores = decomposition.score(**outcomes["train"])
    assert scores["variance_explained"] == pytest.approx(pipeline[-1].explained_variance_ratio_.sum())
    every = PCA().fit(outcomes["train"]["X"]).explained_variance_ratio_
    np.testing.assert_allclose(outcomes["train"]["spectrum"], every)
    assert scores["components_90"] == PCA(0.9, svd_solver="full").fit(outcomes["train"]["X"]).n_components_
    missed = PCA().fit(outcomes["train"]["X"]).explained_variance_[2:].sum() * 59 / 60 / 5
    assert scores["reconstruction_error"] == pytest.approx(missed)
    guesses = decomposition.score(**decomposition.baseline(data, outcomes, 0))
    assert guesses["variance_explained"] == 0 and guesses["components"] == 0


def test_parallel_analysis_finds_the_directions_that_are_not_chance() -> None:
    hidden = np.random.default_rng(0).normal(size=(200, 2))
    X = np.hstack([hidden, hidden, hidden]) + 0.3 * np.random.default_rng(1).normal(size=(200, 6))
    assert decomposition.score(**components_of(X)[2]["train"])["components_parallel"] == 2
    assert decomposition.score(**components_of(noise(200))[2]["train"])["components_parallel"] == 0


def test_penguins_have_the_known_components() -> None:
    _, _, outcomes = components_of(pd.concat([part.X for _, part in prepared("penguins").parts()]).to_numpy())
    np.testing.assert_allclose(outcomes["train"]["spectrum"][:2], [0.69, 0.19], atol=0.05)


# ---- anomalies


def test_the_reasons_name_the_column_that_was_spoiled() -> None:
    X, _ = table()
    spoiled = X.iloc[[3, 4, 5]].copy()
    spoiled.loc[3, "weight"], spoiled.loc[4, "colour"] = 500.0, "green"
    weight, colour, neither = anomalies.reasons(X, spoiled)
    assert weight.startswith("weight 500 (z +") and "height" not in weight
    assert colour == "colour green (in 0.0% of the rows)"
    assert neither.startswith("no column alone is strange; farthest out: ")


def test_robust_z_scores() -> None:
    train = pd.DataFrame({"a": [1.0, 2, 3, 4, 5], "mostly": [0.0, 0, 0, 0, 5], "never": [1.0] * 5})
    z = anomalies.robust_z(train, pd.DataFrame({"a": [10.0, np.nan], "mostly": [5.0, 0], "never": [7.0, 1]}))
    assert z.loc[0, "a"] == pytest.approx(0.6745 * 7)
    assert z.loc[0, "mostly"] == pytest.approx(5 / 1.2533)
    assert np.isnan(z.loc[1, "a"]) and z["never"].isna().all()


# ---- trees


def test_rules_are_in_the_units_and_words_of_the_data() -> None:
    cfg = compose.decisive(compose.compose("experiment=titanic_tree", "model.max_depth=3"))
    data = cut(prepared("titanic"), 1000)
    pipeline = pipelines.build(cfg["steps"], cfg["model"])
    pipelines.fit(pipeline, "classification", data.train, data.val, lambda *_: None)
    rules = trees.rules_table(pipeline, data.train.X)
    assert rules["rows"].sum() == len(data.train)
    assert rules["rule"].str.contains("sex = female|sex != female|sex = male|sex != male").all()
    for rule in rules.itertuples():
        here = data.train.X.fillna(data.train.X.median(numeric_only=True))
        for column, way, value in re.findall(r"(\w+) (<=|>|=|!=) (\S+)", rule.rule):
            compare = {"<=": "le", ">": "gt", "=": "eq", "!=": "ne"}[way]
            here = here[getattr(here[column], compare)(value if way in ("=", "!=") else float(value))]
        assert abs(len(here) - rule.rows) <= 2  # a threshold is shown with four digits
    assert "age <=" in trees.rules_text(pipeline, data.train.X)
    assert isinstance(trees.tree_figure(pipeline, data.train.X), Figure)


def test_a_regression_tree_has_rules_too() -> None:
    X, group = table()
    pipeline = make_pipeline(StandardScaler(), DecisionTreeRegressor(max_depth=1)).fit(X[["height"]], group * 7.0)
    rules = trees.rules_table(pipeline, X[["height"]])
    assert set(rules["prediction"]) == {0.0, 7.0}
    assert re.fullmatch(r"height (<=|>) 1[3-7]\.?\d*", rules["rule"][0])


def test_pixels_have_names() -> None:
    X = np.random.default_rng(0).integers(0, 255, (40, 1, 3, 4), dtype=np.uint8)
    pipeline = pipelines.build(
        {"flatten": {"_target_": "deepmine.models.transformers.Flatten"}},
        {"_target_": "sklearn.tree.DecisionTreeClassifier"},
    )
    pipeline.fit(X, X[:, 0, 1, 2] > 100)
    assert trees.rules_table(pipeline, X)["rule"].str.startswith("pixel 1,2 ").all()
    assert trees.is_tree(pipeline) and isinstance(pipeline[-1], DecisionTreeClassifier)


# ---- every experiment


@pytest.mark.parametrize("name", MINING)
def test_every_mining_experiment_says_and_draws_what_it_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "RESAMPLES", 1)
    cfg = compose.compose(f"experiment={name}")
    settings, data, task = compose.decisive(cfg), cut(prepared(cfg.choices.data)), tasks.find(cfg.task)
    pipeline = pipelines.build(settings["steps"], settings["model"])
    pipelines.fit(pipeline, cfg.task, data.train, data.val, lambda *_: None)
    outcomes = {part: task.predict(pipeline, rows) for part, rows in data.parts()}
    if hasattr(task, "enrich"):
        task.enrich(pipeline, data, outcomes, 0)
    assert all(np.isfinite(value) for value in metrics.score(cfg.task, **outcomes["train"]).values())
    found = task.knowledge(pipeline, data, outcomes)
    assert found.findings and found.tables and not any("nan" in finding for finding in found.findings)
    assert dict(task.figures(pipeline, data, outcomes))


def test_the_silhouette_of_many_rows_is_that_of_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    X, labels = make_blobs(900, centers=3, cluster_std=2.0, random_state=0)
    whole = clusters.silhouette(X, labels)
    assert whole == silhouette_score(X, labels)
    monkeypatch.setattr(clusters, "SILHOUETTE_ROWS", 300)
    some = clusters.silhouette(X, labels)
    assert some != whole and abs(some - whole) < 0.05 and some == clusters.silhouette(X, labels)
    assert clusters.silhouette(X, np.zeros(900, int)) is None and clusters.silhouette(X, np.arange(900)) is None
