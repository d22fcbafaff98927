"""`resume=true`: the record that did not end goes on; a finished one is left alone; with none it starts."""

import json
import re
import time
from pathlib import Path

import mlflow
import pytest
from omegaconf import OmegaConf

from conftest import local_store
from deepmine.commands import evaluate, train
from deepmine.config import compose, running
from deepmine.config.errors import UserError
from deepmine.models import pipelines
from deepmine.runs import cross_validation, record


class Killed(SystemExit):
    """As by a signal."""


def lost(*_: object, **__: object) -> None:
    raise Killed(143)


def tree(out: Path, *overrides: str, name: str = "ferry_tree", resume: str = "true") -> Path:
    track = [] if "tracking=mlflow" in overrides else ["tracking=none"]
    cfg = compose.compose(f"experiment={name}", f"paths.out={out}", f"resume={resume}", *track, *overrides)
    return train.train(cfg)


def identity(folder: Path) -> str:
    return record.find(folder).provenance["record_id"]


@pytest.mark.parametrize("place", [(), ("model.max_depth=2",)], ids=["of the pipeline", "of its own"])
@pytest.mark.parametrize(("of", "what"), [(pipelines, "fit"), (pipelines, "save"), (evaluate, "evaluate")])
def test_it_goes_on_in_the_same_record(of, what, place, tmp_path: Path, monkeypatch, capsys) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(of, what, lost)
        tree(tmp_path, *place)
    [begun] = record.find_all(tmp_path)
    assert "it starts" in capsys.readouterr().out
    before = identity(begun.folder)
    folder = tree(tmp_path, *place)
    [run] = record.find_all(tmp_path)
    assert run.folder == folder == begun.folder and identity(folder) == before
    assert run.status["status"] == "FINISHED" and run.metrics["test/accuracy"] > 0.5
    assert "it goes on" in capsys.readouterr().out or what == "evaluate"


def test_a_finished_run_is_left_alone(tmp_path: Path, monkeypatch, capsys) -> None:
    folder = tree(tmp_path, "model.max_depth=2")
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(pipelines, "fit", lost)
    assert tree(tmp_path, "model.max_depth=2") == folder
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
    assert f"{folder} is fitted" in capsys.readouterr().out


@pytest.mark.parametrize("other", ["seed=1", "data.train_fraction=0.5", "cv=2"])
def test_other_settings_or_data_are_another_run(other: str, tmp_path: Path) -> None:
    one, two = tree(tmp_path, "model.max_depth=2"), tree(tmp_path, "model.max_depth=2", other)
    assert one != two and identity(one) != identity(two)


def test_without_resume_each_run_is_a_new_one(tmp_path: Path) -> None:
    one, two = (tree(tmp_path, "model.max_depth=2", resume=again) for again in ("true", "false"))
    assert one != two


def test_a_run_that_is_under_way_is_named(tmp_path: Path, monkeypatch) -> None:
    folder = tree(tmp_path, "model.max_depth=2")
    alive = json.loads((folder / "status.json").read_text()) | {"status": "RUNNING"}
    monkeypatch.setattr(record, "read_status", lambda _: alive)
    with pytest.raises(UserError, match=f"{folder} runs since .* Wait for it"):
        tree(tmp_path, "model.max_depth=2")


def test_epochs_are_logged_once_and_half_a_line_is_cut_off(tmp_path: Path, monkeypatch) -> None:
    net = {"name": "ferry_mlp"}, ("trainer.max_epochs=3",)
    whole = record.find(tree(tmp_path / "whole", *net[1], **net[0]))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(pipelines, "save", lost)
        tree(tmp_path, *net[1], **net[0])
    [run] = record.find_all(tmp_path)
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "tr')
    first = run.curves
    run = record.find(tree(tmp_path, *net[1], **net[0]))
    assert run.curves == first and [line["epoch"] for line in first] == [1, 2, 3]
    assert (run.folder / "model.skops").read_bytes() == (whole.folder / "model.skops").read_bytes()
    assert len(run.provenance["resumed"]) == 1 and not (run.folder / record.CHECKPOINT).exists()


def test_folds_that_are_done_are_not_fitted_again(tmp_path: Path, monkeypatch) -> None:
    whole = record.find(tree(tmp_path / "whole", "cv=3")).cross_validation
    fit, count = pipelines.fit, []

    def counted(*arguments, dies_at: int = 0):
        count.append(1)
        if len(count) == dies_at:
            raise Killed
        fit(*arguments)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(cross_validation.pipelines, "fit", lambda *given: counted(*given, dies_at=3))
        tree(tmp_path, "cv=3")
    [run] = record.find_all(tmp_path)
    assert [fold["fold"] for fold in run.cross_validation["folds"]] == [1, 2] and not run.cross_validation["scores"]
    count.clear()
    monkeypatch.setattr(pipelines, "fit", counted)
    assert record.find(tree(tmp_path, "cv=3")).cross_validation == whole
    assert len(count) == 2  # the third fold, and the final fit


def test_a_sweep_is_found_by_its_command(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, words in (("20260101-1", "seed=1,2"), ("20260102-1", "seed=1,2"), ("20260103-1", "seed=1")):
        (tmp_path / "multirun" / name).mkdir(parents=True)
        (tmp_path / "multirun" / name / running.COMMAND).write_text(words)
    assert running._last_sweep("seed=1,2") == Path("multirun/20260102-1")
    assert running._last_sweep("seed=1,2,3") is None


def test_a_sweep_that_was_killed_while_it_began_is_no_sweep(tmp_path: Path) -> None:
    whole = OmegaConf.to_yaml(compose.compose("experiment=ferry_tree"))
    whole = "\n".join(sorted(re.split(r"\n(?=\w)", whole.strip()), key=lambda text: text.startswith("tracking")))
    (tmp_path / "multirun.yaml").write_text(whole)
    assert running._swept(tmp_path / "multirun.yaml").tracking.model
    for share in range(1, 10):
        (tmp_path / "multirun.yaml").write_text(whole[: len(whole) * share // 10])
        assert running._swept(tmp_path / "multirun.yaml") is None
    assert running._swept(tmp_path / "absent.yaml") is None


@pytest.mark.slow
def test_mlflow_has_one_run_and_each_point_once(tmp_path: Path, monkeypatch) -> None:
    uri = local_store(tmp_path)
    given = ("trainer.max_epochs=3", "tracking=mlflow", f"tracking.uri={uri}", "tracking.model=false")

    def sent(status: str) -> list[int]:
        """The epochs of the one run, once it has this status: nobody waits for what is sent after a signal."""
        client, end = mlflow.MlflowClient(uri), time.monotonic() + 120
        while time.monotonic() < end:
            runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
            if [run.info.status for run in runs] == [status]:
                return [point.step for point in client.get_metric_history(runs[0].info.run_id, "train_loss")]
            time.sleep(0.2)
        raise AssertionError([run.info.status for run in runs])

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(pipelines, "save", lost)
        tree(tmp_path, *given, name="ferry_mlp")
    assert sent("KILLED") == [1, 2, 3]
    tree(tmp_path, *given, name="ferry_mlp")
    assert sent("FINISHED") == [1, 2, 3]
