"""Sweeps: each trial is a run of its own, below one parent; one that fails does not end the others."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import mlflow
import numpy as np
import pytest
from omegaconf import OmegaConf

from conftest import local_store, stage
from deepmine import ROOT
from deepmine.commands import sweep as sweep_verb
from deepmine.config import compose
from deepmine.data import dataset
from deepmine.data.dataset import Dataset, Part
from deepmine.runs import provenance, ranking, record
from deepmine.runs.tracking import publishing


def runs_of(uri: str) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(uri)
    return client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])


def trial(folder: Path, number: int, fails: bool = False) -> record.Record:
    """The record of a trial that fitted nothing, better on the validation rows the higher its number."""
    overrides = ["experiment=ferry_tree", f"model.max_depth={number + 1}", "paths.out=elsewhere"]
    cfg = compose.compose(*overrides)
    place = {"sweep": "20260101-120000-abcd", "number": number}
    papers = provenance.collect(
        folder / "data", "some", ROOT / "data/ferry", place, f"ferry-tree-20260101-12000{number}-abcd"
    )
    papers[0]["command"] = ["deepmine", "sweep", *overrides]
    run = record.start(folder / f"trial-{number}", {"choices": dict(cfg.choices), **compose.decisive(cfg)}, *papers)
    scores = {"val/accuracy": 0.7 + number / 100, "test/accuracy": 0.8 - number / 100, "train/accuracy": 0.9}
    record.write_json(run.folder / "metrics.json", scores)
    try:
        with record.status(run.folder / "status.json", "train"):
            assert not fails
    except AssertionError:
        pass
    return run


def test_trials_stand_below_one_parent_and_stay_as_many(tmp_path: Path) -> None:
    uri = local_store(tmp_path)
    trials = [trial(tmp_path, number) for number in range(2)]
    for run in [*trials, *trials]:
        (run.folder / "note.txt").write_text("something new to send")
        publishing.publish(run, uri, False, [])
    [parent] = [run for run in runs_of(uri) if run.data.tags.get("kind") == "sweep"]
    children = [run for run in runs_of(uri) if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(runs_of(uri)) == 1 + len(children) == 3
    assert parent.info.run_name == "sweep 20260101-120000-abcd" and parent.info.status == "FINISHED"
    assert {run.data.tags["trial"]: (run.info.run_name, run.data.tags["overrides"]) for run in children} == {
        str(n): (f"ferry-tree max_depth={n + 1}", f"model.max_depth={n + 1}\nexperiment=ferry_tree") for n in (0, 1)
    }
    publishing.publish(trial(tmp_path, 2, fails=True), uri, False, [])
    [parent] = [run for run in runs_of(uri) if run.data.tags.get("kind") == "sweep"]
    assert parent.info.status == "FAILED"


def test_the_parent_says_which_trial_the_validation_rows_choose(tmp_path: Path) -> None:
    uri = local_store(tmp_path)
    for number in (1, 0, 2):
        publishing.publish(trial(tmp_path, number), uri, False, [])
    [parent] = [run for run in runs_of(uri) if run.data.tags.get("kind") == "sweep"]
    assert parent.data.metrics == {"val/accuracy": 0.72, "test/accuracy": 0.78, "train/accuracy": 0.9}
    assert (parent.data.tags["best_trial"], parent.data.tags["overrides"]) == ("2", "model.max_depth=3")


def test_the_terminal_names_the_winner_and_the_run_above_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = OmegaConf.create({"paths": {"out": str(tmp_path)}, "tracking": {"uri": "sqlite:///mlflow.db"}})
    for number in range(3):
        trial(tmp_path / "adhoc", number)
    sweep_verb.conclude(out, "20260101-120000-abcd")
    assert capsys.readouterr().out.splitlines()[:5] == [
        "ferry: of 3 trials with scores, the validation rows choose number 2: model.max_depth=3",
        "  val/accuracy 0.7200, test/accuracy 0.7800",
        f"  record: {tmp_path}/adhoc/trial-2",
        "In MLflow the trials are below the run sweep 20260101-120000-abcd. Next:",
        "  make compare      all runs in one table for each data set",
    ]
    sweep_verb.conclude(out, "another sweep")
    assert capsys.readouterr().out == ""


def test_the_best_trial_has_the_lowest_error_where_lower_is_better() -> None:
    trials = [ranking.Trial(n, [f"seed={n}"], {"val/mae": error}) for n, error in enumerate((0.5, 0.2, 0.9))]
    unscored = ranking.Trial(3, ["seed=3"], {})
    assert ranking.best("regression", [*trials, unscored]) == trials[1]
    assert ranking.best("regression", [unscored]) is None


def test_a_run_of_its_own_has_no_parent(tmp_path: Path) -> None:
    single = trial(tmp_path, 0)
    record.write_json(single.folder / "provenance.json", {**single.provenance, "trial": None})
    publishing.publish(single, uri := local_store(tmp_path), False, [])
    [run] = runs_of(uri)
    assert "mlflow.parentRunId" not in run.data.tags


def small(start: int) -> Dataset:
    def part(first: int) -> Part:
        rows = np.arange(first, first + 5)
        return Part(np.zeros((5, 1, 2, 2), np.uint8), rows % 2, rows.astype(str))

    return Dataset({"kind": "image", "start": start}, *(part(start + first) for first in (0, 10, 20)))


def save_often(folder: Path, start: int) -> None:
    for _ in range(30):
        dataset.save(small(start), folder)


def test_two_processes_may_save_the_same_data_set_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(save_often, [tmp_path / "same"] * 2, [0, 100]))
    whole = dataset.load(tmp_path / "same")
    assert whole.train.rows[0] == str(whole.info["start"])
    assert [path.name for path in tmp_path.iterdir()] == ["same"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep_goes_on_after_a_trial_that_failed(tmp_path: Path, launcher: str) -> None:
    """With joblib the two trials run at once, and each would prepare the data."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    settings = [
        f"paths.out={tmp_path}/out",
        f"tracking.uri={uri}",
        "tracking.model=false",
        f"hydra/launcher={launcher}",
    ]
    done = stage("sweep", "experiment=ferry_tree", "model.max_depth=bad,5", *settings)
    assert done.returncode == 1 and "Trial 0 (experiment=ferry_tree model.max_depth=bad" in done.stderr, done.stderr
    [run] = record.find_all(tmp_path / "out")
    assert run.status["status"] == "FINISHED" and run.folder.parent.name == "adhoc"
    assert run.provenance["trial"]["number"] == 1 and "model.max_depth=5" in run.provenance["command"]
    assert run.metrics["test/accuracy"] > run.metrics["baseline/test/accuracy"]
    assert sorted(published.data.tags.get("kind", "trial") for published in runs_of(uri)) == ["sweep", "trial"]
