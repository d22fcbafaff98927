"""Estimators of other packages: labels, validation rows, early stopping, and what is saved; with the real packages."""

import pickle
import re
import textwrap
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from deepmine import ROOT
from deepmine.config.errors import UserError
from deepmine.config.signature import signature
from deepmine.data.dataset import Part
from deepmine.models import outside, pipelines

STOPS = {  # a class, its settings, and how many trees it has
    "lightgbm.LGBMClassifier": ({"early_stopping_round": 5, "verbosity": -1, "n_jobs": 1}, "best_iteration_"),
    "lightgbm.LGBMRegressor": ({"early_stopping_round": 5, "verbosity": -1, "n_jobs": 1}, "best_iteration_"),
    "xgboost.XGBClassifier": ({"early_stopping_rounds": 5, "n_jobs": 1}, "best_iteration"),
    "xgboost.XGBRegressor": ({"early_stopping_rounds": 5, "n_jobs": 1}, "best_iteration"),
    "catboost.CatBoostClassifier": ({"early_stopping_rounds": 5, "allow_writing_files": False}, "tree_count_"),
    "catboost.CatBoostRegressor": ({"early_stopping_rounds": 5, "allow_writing_files": False}, "tree_count_"),
}

TREES = ("best_iteration_", "best_iteration", "tree_count_", "n_iter_")


def rows(labels: list, n: int = 120, seed: int = 0) -> Part:
    """Rows whose first number tells the label, three times of four."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    place = np.searchsorted(np.linspace(-1, 1, len(labels) + 1)[1:-1], X[:, 0])
    return Part(
        X, np.array(labels)[np.where(rng.random(n) < 0.25, rng.integers(0, len(labels), n), place)], np.arange(n)
    )


def fitted(name: str, train: Part, val: Part, **more: object) -> Pipeline:
    package = name.partition(".")[0]
    pytest.importorskip(package)
    model = {"_target_": name, "_tasks_": [], "_takes_": "unscaled", "n_estimators": 400, **STOPS[name][0], **more}
    pipeline = pipelines.build({}, model, [f"{package}."])
    task = "classification" if "Classifier" in name else "regression"
    pipelines.fit(pipeline, task, train, val, lambda *_: None)
    return pipeline


@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c"], [1, 2, 4], [False, True]], ids=str)
@pytest.mark.parametrize("name", [name for name in STOPS if "Classifier" in name])
def test_a_classifier_of_another_package_answers_in_the_labels_of_the_data(
    name: str, labels: list, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    train, val = rows(labels), rows(labels, seed=1)
    pipeline = fitted(name, train, val)
    assert pipeline.classes_.tolist() == labels and clone(pipeline).get_params()
    predicted, shares = pipeline.predict(val.X), pipeline.predict_proba(val.X)
    assert predicted.shape == (120,) and shares.shape == (120, len(labels))
    np.testing.assert_array_equal(predicted, np.array(labels)[shares.argmax(1)])
    assert pipeline.score(val.X, val.y) > 0.65
    assert getattr(pipeline[-1].estimator_, STOPS[name][1]) < 200
    assert capfd.readouterr() == ("", "")
    pipelines.save(pipeline, tmp_path / "model.skops")
    loaded = pipelines.load(tmp_path / "model.skops", [f"{name.partition('.')[0]}."])
    np.testing.assert_array_equal(loaded.predict_proba(val.X), shares)


@pytest.mark.parametrize("name", [name for name in STOPS if "Regressor" in name])
def test_a_regressor_of_another_package_stops_early(name: str, tmp_path: Path) -> None:
    train, val = rows([0.0, 10.0, 20.0]), rows([0.0, 10.0, 20.0], seed=1)
    pipeline = fitted(name, train, val)
    assert pipeline.predict(val.X).shape == (120,) and pipeline.score(val.X, val.y) > 0.3
    assert getattr(pipeline[-1].estimator_, STOPS[name][1]) < 200
    pipelines.save(pipeline, tmp_path / "model.skops")
    loaded = pipelines.load(tmp_path / "model.skops", [f"{name.partition('.')[0]}."])
    np.testing.assert_array_equal(loaded.predict(val.X), pipeline.predict(val.X))


@pytest.mark.parametrize("name", [name for name in STOPS if "Classifier" in name])
def test_validation_rows_of_a_class_that_is_never_learned_are_left_out(name: str) -> None:
    train, val = rows(["a", "b"]), rows(["a", "b", "c"], seed=1)
    assert set(fitted(name, train, val).predict(val.X)) == {"a", "b"}


@pytest.mark.parametrize("name", STOPS)
def test_the_public_name_of_a_class_is_enough(name: str) -> None:
    pytest.importorskip(name.partition(".")[0])
    signature(name)  # a LookupError: there is no such class


@pytest.mark.parametrize(("stops", "trees"), [(True, 60), ("auto", 300), (False, 300)])
@pytest.mark.parametrize("kind", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
def test_validation_rows_stop_boosting_of_scikit_learn(kind: type, stops: object, trees: int) -> None:
    train, val = rows([0, 1]), rows([0, 1], seed=1)
    model = kind(max_iter=300, min_samples_leaf=5, max_leaf_nodes=4, early_stopping=stops)
    pipelines.fit(Pipeline([("model", model)]), "regression", train, val, lambda *_: None)
    assert model.n_iter_ <= trees and (stops is True or model.n_iter_ == trees)


class Column(ClassifierMixin, BaseEstimator):
    """Wants class numbers and pairs, and answers in a column; as other packages do."""

    def fit(self, X, y, eval_set=None, verbose=True):
        self.classes_, self.seen = np.unique(y), [pair[1].tolist() for pair in eval_set]
        assert y.tolist() == [0, 1, 0] and verbose is False
        return self

    def predict(self, X):
        return np.ones((len(X), 1))


def test_any_package_gets_numbers_and_a_list_of_pairs() -> None:
    Column.__module__ = "another.package"
    model = outside.adapted(Column())
    part = Part(np.zeros((3, 1)), np.array(["no", "yes", "no"]), np.arange(3))
    pipelines.fit(Pipeline([("model", model)]), "classification", part, part, lambda *_: None)
    assert model.estimator_.seen == [[0, 1, 0]] and model.predict(part.X).tolist() == ["yes"] * 3
    assert not hasattr(model, "predict_proba")


class Kept(Column):
    """Holds what skops cannot write, or not so that it can be read."""

    def fit(self, X, y, what: object = None):
        self.classes_, self.what = np.unique(y), what
        return self


@pytest.mark.parametrize("what", [lambda: 0, re.compile("a"), 1j], ids=["local", "not read", "not written"])
def test_a_fit_is_kept_when_it_cannot_be_saved(what: object, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "model.skops"
    pipeline = Pipeline([("model", Kept().fit(np.zeros((3, 1)), [0, 1, 1], what))])
    pipelines.save(pipeline, path, ["test_outside."])
    assert "model.skops is not written: " in capsys.readouterr().err
    with pytest.raises(UserError, match=r"as model\.pickle.*without a second fit"):
        pipelines.load(path)
    kept = pickle.loads(path.with_suffix(".pickle").read_bytes())
    np.testing.assert_array_equal(kept.predict(np.zeros((2, 1))), [[1], [1]])
    kept[-1].what = "plain"  # as the page in docs says
    pipelines.save(kept, path)
    assert pipelines.load(path, ["test_outside."])[-1].what == "plain"


def test_what_a_file_may_hold_is_asked_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    pipelines.save(Pipeline([("model", Kept().fit(np.zeros((3, 1)), [0, 1, 1], 1 / Fraction(3)))]), path)
    with pytest.raises(UserError) as asked:
        pipelines.load(path, ["lightgbm."])
    [line] = re.findall(r"^  trusted: \[(.*)\]$", str(asked.value), re.M)
    assert line == "lightgbm., fractions.Fraction, test_outside.Kept" and f"run={tmp_path}" in str(asked.value)
    assert pipelines.load(path, line.split(", "))[-1].what == 1 / Fraction(3)


PAGE = (ROOT / "docs/guides/outside-packages.md").read_text()
BLOCKS = [textwrap.dedent(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("block", [text for text in BLOCKS if "_target_" in text])
def test_every_model_on_the_page_fits_and_stops_early(block: str) -> None:
    model = yaml.safe_load(block.replace("${seed}", "0").replace("${threads}", "1"))
    package = model["_target_"].partition(".")[0]
    pytest.importorskip(package)
    pipeline = pipelines.build({}, model, [f"{package}."])
    train, val = rows(["no", "yes"]), rows(["no", "yes"], seed=1)
    pipelines.fit(pipeline, "classification", train, val, lambda *_: None)
    assert pipeline.score(val.X, val.y) > 0.65
    learned = getattr(pipeline[-1], "estimator_", pipeline[-1])
    assert next(n for name in TREES if (n := getattr(learned, name, None)) is not None) < 500
