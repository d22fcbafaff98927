"""Cross-validation: folds of the training rows alone, the same each time, and child runs in MLflow."""

import dataclasses
import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from conftest import cut, local_store, prepared
from deepmine import ROOT, tasks
from deepmine.commands import configure, evaluate
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import dataset
from deepmine.data.dataset import Dataset, Part
from deepmine.models import pipelines
from deepmine.runs import cross_validation, provenance, record
from deepmine.runs.tracking import publishing


class Spy(LogisticRegression):
    """Remembers the rows that it sees: the first column is the row's number."""

    seen: list[tuple[set, set]] = []  # noqa: RUF012 (shared with the clones on purpose)

    def fit(self, X, y, X_val, y_val):
        Spy.seen.append((set(X[:, 0]), set(X_val[:, 0])))
        return super().fit(X, y)


def part(n: int = 60, start: int = 0, classes: int = 2, groups: bool = False) -> Part:
    numbers = np.arange(start, start + n)
    X, y = numbers[:, None].astype(np.float32), numbers % classes
    return Part(pd.DataFrame(X.astype(float)), y, numbers.astype(str), y * 30 + numbers // 5 if groups else None)


def split(strategy: str, train: Part | None = None, seed: int = 0) -> Dataset:
    """A data set of 60 training rows, 20 validation rows and 20 test rows, in this order."""
    info = {"kind": "table", "split": {"strategy": strategy, "seed": seed}}
    return Dataset(info, train or part(), part(20, 1000), part(20, 2000))


def numbers(rows: Part) -> set:
    return set(rows.X[0])


def cv(pipeline: Pipeline, data: Dataset, folds: int, folder: Path, task: str = "classification") -> pd.DataFrame:
    cross_validation.run(folder, pipeline, task, data, folds)
    return pd.read_csv(folder / "cv.csv")


@pytest.mark.parametrize("strategy", ["stratified", "random", "published"])
def test_each_training_row_is_held_out_once_and_no_other_row_is_seen(strategy: str, tmp_path: Path) -> None:
    Spy.seen.clear()
    pipeline, data = (
        Pipeline([("array", FunctionTransformer(pd.DataFrame.to_numpy)), ("model", Spy())]),
        split(strategy),
    )
    scores = cv(pipeline, data, 4, tmp_path)
    held_out = [numbers(rows) for _, _, rows in cross_validation.cut(data, "classification", 4)]
    assert [learn for learn, _ in Spy.seen] == [set(range(60)) - rows for rows in held_out]
    assert all(val == set(range(1000, 1020)) for _, val in Spy.seen)
    assert set.union(*held_out) == set(range(60)) and sum(map(len, held_out)) == 60
    assert list(scores["fold"]) == [1, 2, 3, 4] and list(scores["rows"]) == [15] * 4
    assert not hasattr(pipeline[-1], "coef_")


@pytest.mark.parametrize("name", ["ferry_tree", "ferry_mlp", "digits_mlp"])
def test_a_tree_and_a_net_give_the_same_folds_each_time(name: str, tmp_path: Path) -> None:
    cfg = compose.compose(f"experiment={name}", "trainer.max_epochs=2")
    settings, data = compose.decisive(cfg), cut(prepared(cfg.choices.data))
    pipeline = pipelines.build(settings["steps"], settings["model"])
    one = cv(pipeline, data, 3, tmp_path)
    pd.testing.assert_frame_equal(one, cv(pipeline, data, 3, tmp_path))
    assert {"fold", "rows", "accuracy", "log_loss"} <= set(one) and one["accuracy"].between(0, 1).all()


@pytest.mark.parametrize("strategy", ["stratified", "published"])
def test_classes_keep_their_shares(strategy: str) -> None:
    for _, _, held_out in cross_validation.cut(split(strategy, part(classes=3)), "classification", 5):
        assert np.bincount(held_out.y).tolist() == [4, 4, 4]


def test_another_seed_of_the_split_gives_other_folds() -> None:
    one, two = (next(cross_validation.cut(split("random", seed=seed), "classification", 3)) for seed in (0, 1))
    assert numbers(one[2]) != numbers(two[2])


def test_a_fold_of_a_time_series_never_sees_its_own_future() -> None:
    folds = list(cross_validation.cut(split("time"), "regression", 4))
    assert len(folds) == 4
    for learn, val, held_out in folds:
        assert max(numbers(learn)) < min(numbers(val)) and max(numbers(val)) < min(numbers(held_out))
        assert len(val) == round((len(learn) + len(val)) * 20 / 80)  # the share of the data set's own validation rows


def test_a_group_is_held_out_whole() -> None:
    for learn, _, held_out in cross_validation.cut(split("group", part(groups=True)), "classification", 4):
        assert not set(learn.groups) & set(held_out.groups)


@pytest.mark.parametrize(
    ("train", "strategy", "says"),
    [
        (part(60, classes=30), "stratified", "number of members in each class"),
        (Part(part().X, (np.arange(60) > 57) * 1, part().rows), "stratified", "has only 2 members"),
        (part(3), "random", "number of samples: n_samples=3"),
        (part(5), "time", "number of samples=5"),
        (part(6), "time", "learn from a single row of 6"),
        (part(10, groups=True), "group", "number of groups: 4"),
    ],
)
def test_too_few_rows_are_named(train: Part, strategy: str, says: str) -> None:
    with pytest.raises(UserError, match=f"cv=5 does not suit the training rows: .*{says}"):
        next(cross_validation.cut(split(strategy, train), "classification", 5))


def test_mean_and_deviation_are_those_of_the_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter(
        [{"accuracy": 0.5, "roc_auc": 0.5}, {"accuracy": 0.7, "roc_auc": np.nan}, {"accuracy": 0.9, "roc_auc": 0.6}]
    )
    classification = dataclasses.replace(tasks.find("classification"), measure=lambda _: next(scores))
    monkeypatch.setattr(tasks, "find", lambda _: classification)
    table = cv(Pipeline([("model", DummyClassifier())]), split("random"), 3, tmp_path)
    written = json.loads((tmp_path / "cv.json").read_text())
    assert written["scores"] == pytest.approx({"cv/accuracy": 0.7, "cv/accuracy_std": 0.2})
    assert written["folds"][1] == {"fold": 2, "rows": 20, "accuracy": 0.7}
    assert table["accuracy"].tolist() == [0.5, 0.7, 0.9]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ("cv=1", "`cv` is 1: it should be greater than or equal to 2"),
        ("cv=2.5", "`cv` is 2.5"),
        ("experiment=birds_kmeans cv=3", "cv=3 needs a target"),
    ],
)
def test_a_wrong_number_of_folds_is_named(overrides: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        compose.compose(*overrides.split())


def test_a_run_with_folds_never_takes_the_place_of_one_without() -> None:
    assert compose.compose("experiment=ferry_tree", "cv=5").folders.run.startswith("out/adhoc/ferry-tree-")
    assert "cv" not in compose.decisive(compose.compose("experiment=ferry_tree"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> record.Record:
    """The record of a tree with three folds."""
    out = tmp_path_factory.mktemp("out")
    cfg = compose.compose("experiment=ferry_tree", "cv=3", f"paths.out={out}")
    folder, settings = Path(cfg.folders.dataset), compose.decisive(cfg)
    dataset.save(cut(prepared("ferry")), folder)
    data = dataset.load(folder)
    papers = provenance.collect(folder, data.info["digest"], ROOT / "data", name="folded")
    run = record.start(out / "adhoc/folded", {"choices": dict(cfg.choices), **settings}, *papers)
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
    uri = local_store(tmp_path)
    client = mlflow.MlflowClient(uri)
    for _ in range(2):
        parent = client.get_run(publishing.publish(finished, uri, False, []))
        (finished.folder / "note.txt").write_text("something new to send")
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert len(client.search_runs([parent.info.experiment_id])) == 1 + len(children) == 4
    identity = finished.provenance["record_id"]
    assert {run.data.tags["record_id"] for run in children} == {f"{identity}-fold-{k}" for k in (1, 2, 3)}
    assert {run.info.run_name for run in children} == {"fold 1", "fold 2", "fold 3"}
    mean = np.mean([run.data.metrics["cv/accuracy"] for run in children])
    assert parent.data.metrics["cv/accuracy"] == pytest.approx(mean)
    assert {run.info.status for run in children} == {"FINISHED"}


def test_the_pipeline_takes_no_folds_which_dvc_would_lose() -> None:
    cfg = compose.compose("experiment=ferry_tree", "cv=3")
    with pytest.raises(UserError, match="ferry_tree.yaml sets `cv`. DVC tracks no folds: set it on the command line"):
        configure._check("ferry_tree", cfg, compose.pipeline())
