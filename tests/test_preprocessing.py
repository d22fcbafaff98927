"""conf/preprocessing: what a model gets of tables and texts, for each file and each thing that a model takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import issparse

from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data.dataset import Part
from deepmine.models import pipelines

TRUSTED = compose.compose().trusted
DATA = {"table": "ferry", "text": "first_names", "sequence": "voices", "image": "digits"}
ROWS = ("matrix", "sparse", "unscaled")
KINDS, OPTIONAL = ("image", "sequence", "text", "table"), {"scale", "dense"}
TEXTS = np.array(["the net learns fast", "the tree learns", "a net of trees", "fast trees"] * 5)


def table(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": rng.integers(1, 80, n).astype(float), "fare": rng.lognormal(3, 1, n)})
    X.loc[::7, "age"] = np.nan
    return X.assign(port=np.where(rng.random(n) < 0.5, "Cork", "Cherbourg"))


def fitted(X: Any, kind: str, *overrides: str) -> Any:
    """The steps of a config, and a model behind them, fitted on made-up rows of two classes."""
    settings = compose.decisive(compose.compose("~experiment", f"data={DATA[kind]}", *overrides))
    y, rows = np.where(np.arange(len(X)) % 2, "a", "b"), np.arange(len(X)).astype(str)
    pipeline = pipelines.build(settings["steps"], settings["model"])
    pipelines.fit(pipeline, "classification", Part(X, y, rows), Part(X, y, rows), lambda *_: None)
    return pipeline


def test_trees_get_numbers_in_their_units_and_linear_models_scaled() -> None:
    X = table()
    filled = X["age"].fillna(X["age"].median())
    for model, wanted in {"tree": filled, "logistic": (filled - filled.mean()) / filled.std(ddof=0)}.items():
        steps = fitted(X, "table", f"model={model}")[:-1]
        assert steps.get_feature_names_out().tolist() == ["age", "fare", "port_Cherbourg", "port_Cork"]
        np.testing.assert_allclose(steps.transform(X)[:, 0], wanted, atol=1e-12)


def test_texts_are_words_and_pairs_or_runs_of_characters() -> None:
    words = fitted(TEXTS, "text", "model=logistic")
    assert {"net", "net learns", "the"} <= set(words[0].get_feature_names_out())
    runs = fitted(TEXTS, "text", "model=logistic", "preprocessing=characters")
    assert {" ", "t", "th", "the", " th"} <= set(runs[0].get_feature_names_out())
    assert issparse(words[:-1].transform(TEXTS))  # 10,000 words of many texts do not fit into memory otherwise


@pytest.mark.parametrize("model", ["tree", "boosting", "kmeans"])
def test_other_models_get_texts_dense_with_the_names_of_their_columns(model: str) -> None:
    steps = fitted(TEXTS, "text", f"model={model}", *(["task=clustering"] if model == "kmeans" else []))[:-1]
    X = steps.transform(TEXTS)
    assert X.dtype == np.float32 and X.shape == (20, len(steps.get_feature_names_out()))
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-6)


def test_a_list_in_yaml_is_a_tuple_where_scikit_learn_accepts_no_list() -> None:
    scale = {"_target_": "sklearn.preprocessing.MinMaxScaler", "feature_range": [0, 2]}
    pipeline = pipelines.build({"scale": scale}, {"_target_": "sklearn.tree.DecisionTreeClassifier"})
    assert pipeline[0].fit_transform([[1.0], [3.0]]).max() == 2


@pytest.mark.parametrize("model", ["logistic", "tree"])
def test_skrub_encodes_a_table_with_dates_and_is_saved(model: str, tmp_path: Path) -> None:
    X = table().assign(day=pd.date_range("2026-01-01", periods=40))
    pipeline = fitted(X, "table", f"model={model}", "preprocessing=skrub")
    assert {"age", "day_month", "port_Cork"} <= set(pipeline[0].get_feature_names_out())
    pipelines.save(pipeline, tmp_path / "model.skops")
    again = pipelines.load(tmp_path / "model.skops", TRUSTED)
    np.testing.assert_array_equal(again.predict_proba(X), pipeline.predict_proba(X))


def test_an_embedding_is_for_images() -> None:
    with pytest.raises(UserError, match="preprocessing=embedding does not take data of kind table"):
        compose.compose("experiment=ferry_tree", "preprocessing=embedding")


@pytest.mark.parametrize("name", ["code", "embedding", "pca", "skrub"])
def test_a_step_is_added_for_all_models_that_take_rows_of_numbers(name: str) -> None:
    groups = compose.compose(f"preprocessing={name}", trains=False).preprocessing
    names = [{kind: set(steps) - OPTIONAL for kind, steps in groups[takes].items() if kind in KINDS} for takes in ROWS]
    assert names[0] == names[1] == names[2]
