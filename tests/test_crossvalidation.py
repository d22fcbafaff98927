"""Cross-validation: folds of the training rows alone, the same each time, and child runs in MLflow."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from conftest import cut, prepared
from deepmine import ROOT
from deepmine.commands import evaluate
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import dataset
from deepmine.data.dataset import Part
from deepmine.models import pipelines
from deepmine.runs import cross_validation, provenance, record
from deepmine.runs.tracking import publishing


class Spy(LogisticRegression):
    """Remembers the rows that it sees: the first column is the row's number."""

    seen: list[tuple[str, set]] = []  # noqa: RUF012 (shared with the clones on purpose)

    def fit(self, X, y):
        Spy.seen.append(("fit", set(X[:, 0])))
        return super().fit(X, y)

    def predict_proba(self, X):
        Spy.seen.append(("predict", set(X[:, 0])))
        return super().predict_proba(X)


def part(n: int = 60, start: int = 0, classes: int = 2) -> Part:
    numbers = np.arange(start, start + n)
    return Part(numbers[:, None].astype(float), numbers % classes, numbers.astype(str))


def splitting(strategy: str = "stratified", seed: int = 0) -> dict:
    return {"strategy": strategy, "seed": seed}


def folds_of(name: str, folds: int = 3) -> pd.DataFrame:
    cfg = compose.compose(f"experiment={name}", "trainer.max_epochs=2")
    settings, data = compose.decisive(cfg), cut(prepared(cfg.choices.data))
    pipeline = pipelines.build(settings["steps"], settings["model"])
    return cross_validation.cross_validate(pipeline, cfg.task, data.train, data.val, data.info["split"], folds)


def test_each_training_row_is_held_out_once_and_no_other_row_is_seen() -> None:
    Spy.seen.clear()
    train, val = part(), part(10, start=100)
    pipeline = Pipeline([("model", Spy())])
    scores = cross_validation.cross_validate(pipeline, "classification", train, val, splitting(), 4)
    fits = [rows for what, rows in Spy.seen if what == "fit"]
    held_out = [rows for what, rows in Spy.seen if what == "predict"]
    assert len(fits) == 4 and all(not learn & held for learn, held in zip(fits, held_out, strict=True))
    assert set.union(*held_out) == set(range(60)) and sum(map(len, held_out)) == 60
    assert list(scores["fold"]) == [1, 2, 3, 4] and list(scores["rows"]) == [15] * 4
    assert not hasattr(pipeline[-1], "coef_")


@pytest.mark.parametrize("name", ["titanic_tree", "titanic_mlp", "mnist_mlp"])
def test_a_tree_and_a_net_give_the_same_folds_each_time(name: str) -> None:
    one = folds_of(name)
    pd.testing.assert_frame_equal(one, folds_of(name))
    assert {"fold", "rows", "accuracy", "log_loss"} <= set(one) and one["accuracy"].between(0, 1).all()


@pytest.mark.parametrize("strategy", ["stratified", "published"])
def test_classes_keep_their_shares(strategy: str) -> None:
    train = part(60, classes=3)
    for _, held_out in cross_validation.cut(train, "classification", splitting(strategy), 5):
        assert np.bincount(train.y[held_out]).tolist() == [4, 4, 4]


def test_another_seed_of_the_split_gives_other_folds() -> None:
    one, two = (cross_validation.cut(part(), "classification", splitting("random", seed), 3) for seed in (0, 1))
    assert not np.array_equal(one[0][1], two[0][1])


def test_a_series_is_only_scored_on_what_comes_later() -> None:
    for learn, held_out in cross_validation.cut(part(), "regression", splitting("time"), 4):
        assert learn.max() < held_out.min()


def test_a_group_is_held_out_whole() -> None:
    train = part()
    grouped = Part(train.X, train.y, train.rows, train.y * 30 + np.arange(60) // 5)
    for learn, held_out in cross_validation.cut(grouped, "classification", splitting("group"), 4):
        assert not set(grouped.groups[learn]) & set(grouped.groups[held_out])


@pytest.mark.parametrize(
    ("train", "strategy", "says"),
    [
        (part(60, classes=30), "stratified", "cv=5 needs 5 training rows of the smallest class, but there are 2"),
        (part(3), "random", "cv=5 needs 5 training rows, but there are 3"),
        (part(5), "time", "cv=5 needs 6 training rows, but there are 5"),
    ],
)
def test_too_few_rows_are_named(train: Part, strategy: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        cross_validation.cut(train, "classification", splitting(strategy), 5)


def test_mean_and_deviation_are_those_of_the_folds(tmp_path: Path) -> None:
    scores = pd.DataFrame({"fold": [1, 2, 3], "rows": 5, "accuracy": [0.5, 0.7, 0.9], "roc_auc": [0.5, np.nan, 0.6]})
    summary = cross_validation.summarise(scores)
    assert summary == pytest.approx({"cv/accuracy": 0.7, "cv/accuracy_std": 0.2})
    cross_validation.write(tmp_path, scores)
    written = json.loads((tmp_path / "cv.json").read_text())
    assert written["folds"][1] == {"fold": 2, "rows": 5, "accuracy": 0.7} and written["scores"] == summary
    assert pd.read_csv(tmp_path / "cv.csv")["accuracy"].tolist() == [0.5, 0.7, 0.9]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ("cv=1", "`cv` is 1: it should be greater than or equal to 2"),
        ("cv=2.5", "`cv` is 2.5"),
        ("experiment=penguins_kmeans cv=3", "cv=3 needs a target"),
    ],
)
def test_a_wrong_number_of_folds_is_named(overrides: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        compose.compose(*overrides.split())


def test_a_run_with_folds_never_takes_the_place_of_one_without() -> None:
    assert compose.compose("experiment=titanic_tree", "cv=5").folders.run.startswith("out/adhoc/titanic-tree-")
    assert "cv" not in compose.decisive(compose.compose("experiment=titanic_tree"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> record.Record:
    """The record of a tree with three folds."""
    out = tmp_path_factory.mktemp("out")
    cfg = compose.compose("experiment=titanic_tree", "cv=3", f"paths.out={out}")
    folder, settings = Path(cfg.folders.dataset), compose.decisive(cfg)
    dataset.save(cut(prepared("titanic")), folder)
    data = dataset.load(folder)
    papers = provenance.collect(0, 1, folder, data.info, ROOT / "data")
    run = record.start(out / "adhoc/folded", {**compose.names(cfg), **settings}, *papers)
    pipeline = pipelines.build(settings["steps"], settings["model"])
    with record.status(run.folder / "status.json", "train"):
        cross_validation.run(run.folder, pipeline, cfg.task, data, cfg.cv)
        pipelines.fit(pipeline, cfg.task, data.train, data.val, run.log)
        pipelines.save(pipeline, run.folder / "model.skops")
    evaluate.evaluate(run, cfg.trusted)
    return run


def test_the_record_has_the_folds_beside_the_final_fit(finished: record.Record) -> None:
    folds = finished.cross_validation["folds"]
    assert finished.config["cv"] == 3 and [fold["fold"] for fold in folds] == [1, 2, 3]
    assert finished.metrics["cv/accuracy"] == pytest.approx(np.mean([fold["accuracy"] for fold in folds]))
    assert {"cv/accuracy_std", "test/accuracy"} <= set(finished.metrics)


def test_folds_are_children_in_mlflow_and_stay_as_many(finished: record.Record, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    for _ in range(2):
        parent = client.get_run(publishing.publish(finished, uri, False, []))
        (finished.folder / "note.txt").write_text("something new to send")
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert len(client.search_runs([parent.info.experiment_id])) == 1 + len(children) == 4
    identity = finished.provenance["record_id"]
    assert {run.data.tags["deepmine.record_id"] for run in children} == {f"{identity}-fold-{k}" for k in (1, 2, 3)}
    mean = np.mean([run.data.metrics["cv/accuracy"] for run in children])
    assert parent.data.metrics["cv/accuracy"] == pytest.approx(mean)
    assert {run.info.status for run in children} == {"FINISHED"}
