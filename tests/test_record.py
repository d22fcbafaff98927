"""The run record and its provenance, and what MLflow makes of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import LoggedModelOutput
from omegaconf import DictConfig

from conftest import cut, environment, local_store, prepared, stage
from deepmine import ROOT
from deepmine.commands import evaluate, train
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import dataset, digests, folders
from deepmine.models import pipelines
from deepmine.runs import provenance, record, status
from deepmine.runs.tracking import publishing, store


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> record.Record:
    """The record of a small net on a small cut of the birds, trained and evaluated; a test may copy it."""
    out = tmp_path_factory.mktemp("out")
    cfg = compose.compose("data=birds", "task=classification", "trainer.max_epochs=3", f"paths.out={out}")
    dataset.save(cut(prepared("birds")), Path(cfg.folders.dataset))
    settings, data = compose.decisive(cfg), dataset.load(Path(cfg.folders.dataset))
    pipeline = pipelines.build(settings["steps"], settings["model"])
    origin = provenance.collect(Path(cfg.folders.dataset), data.info["digest"], ROOT / "data/birds", name="small")
    run = record.start(out / "runs/small", {"choices": dict(cfg.choices), **settings}, *origin)
    with record.status(run.folder / "status.json", "train") as status:
        pipelines.fit(pipeline, cfg.task, data.train, data.val, run.log)
        status["fit_seconds"] = 1.5
        pipelines.save(pipeline, run.folder / "model.skops")
    evaluate.evaluate(run, cfg.trusted)
    return run


def test_a_record_is_whole(finished: record.Record) -> None:
    files = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()}
    assert files == {
        "config.yaml", "provenance.json", "patch.diff", "metrics.jsonl", "metrics.json", "model.skops", "status.json",
        "evaluation/status.json", "evaluation/predictions.csv", "evaluation/curves/loss.csv",
        "evaluation/curves/accuracy.csv", "evaluation/figures/confusion_matrix.png",
        "evaluation/figures/learning_curves.png", "evaluation/figures/roc_pr_calibration.png",
        "evaluation/figures/importance.png",
        "evaluation/knowledge/importance.csv", "evaluation/knowledge/knowledge.md",
        "evaluation/knowledge/classes.csv", "evaluation/knowledge/confident_mistakes.csv",
    }  # fmt: skip
    assert finished.status["status"] == "FINISHED"
    assert [line["epoch"] for line in finished.curves] == [1, 2, 3]
    assert {"train/accuracy", "val/accuracy", "test/accuracy", "baseline/test/accuracy"} <= set(finished.metrics)


def test_predictions_name_their_rows(finished: record.Record) -> None:
    lines = (finished.folder / "evaluation/predictions.csv").read_text().splitlines()
    assert lines[0] == "row,actual,predicted,p_Auk,p_Coot,p_Gull"
    assert lines[1].split(",")[0] in set(cut(prepared("birds")).test.rows)


def test_provenance_says_where_a_run_comes_from(finished: record.Record) -> None:
    origin = finished.provenance
    assert origin["data"]["raw"] == digests.folder_digest(ROOT / "data/birds")
    assert origin["data"]["data.dvc"] == digests.folder_digest(ROOT / "data")
    assert origin["lock"] == digests.file_digest(ROOT / "constraints.txt")
    assert origin["name"] == "small" and origin["versions"]["scikit-learn"] and origin["device"]


def test_provenance_counts_downloaded_data_that_dvc_ignores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["deepmine", "train", "tracking.uri=http://joe:hunter2@host"])
    (tmp_path / ".dvcignore").write_text("/data/remote\n")
    (tmp_path / "data/remote").mkdir(parents=True)
    of = []
    for content in "ab":
        (tmp_path / "data/remote/x").write_text(content)
        of.append(provenance.collect(tmp_path, "some", tmp_path / "data/remote")[0])
    assert of[0]["data"]["raw"] != of[1]["data"]["raw"]
    assert of[0]["command"] == ["deepmine", "train", "tracking.uri=http://***@host"]


@pytest.fixture
def copied(finished: record.Record, tmp_path: Path) -> record.Record:
    return record.Record(shutil.copytree(finished.folder, tmp_path / "out/runs/copied"))


@pytest.fixture
def cfg(finished: record.Record, tmp_path: Path) -> DictConfig:
    """The settings of a quick run on the data of `finished`, in the place of `copied`."""
    shutil.copytree(finished.folder.parents[1] / "datasets", tmp_path / "out/datasets")
    settings = ("data=birds", "task=classification", "model=tree", "chain=false", "tracking=none")
    return compose.compose(*settings, f"paths.out={tmp_path}/out", f"run={tmp_path}/out/runs/copied")


@pytest.mark.parametrize("error", [RuntimeError("too cold"), KeyboardInterrupt()])
def test_a_run_that_fails_keeps_its_record_and_the_last_good_one(
    copied: record.Record, cfg: DictConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, error
) -> None:
    before, seen = digests.folder_digest(copied.folder), []

    def fit(*_: object) -> None:
        seen.extend(run.status["status"] for run in record.find_all(Path(cfg.paths.out)))
        raise error

    monkeypatch.setattr(pipelines, "fit", fit)
    with pytest.raises(type(error)):
        train.train(cfg)
    assert seen == ["FINISHED", "RUNNING"]  # the last good one, and the new one, meanwhile
    assert digests.folder_digest(copied.folder) == before
    _, failed = record.find_all(Path(cfg.paths.out))
    assert failed.folder.parent.name == "adhoc" and failed.provenance["name"] == "copied"
    assert failed.status["status"] == ("FAILED" if isinstance(error, RuntimeError) else "KILLED")
    assert f"record of this run is {failed.folder}" in capsys.readouterr().err


def test_a_run_that_ends_well_takes_the_place_of_the_last(copied: record.Record, cfg: DictConfig) -> None:
    before = copied.provenance["record_id"]
    assert train.train(cfg) == copied.folder
    assert copied.provenance["record_id"] != before and copied.status["status"] == "FINISHED" and not copied.metrics
    assert record.find_all(Path(cfg.paths.out)) == [copied]


def test_what_dvc_and_git_leave_of_a_record_gives_way(copied: record.Record, cfg: DictConfig) -> None:
    for path in copied.folder.iterdir():  # DVC deletes what `train` writes before it runs it
        path.unlink() if path.name not in ("metrics.json", "evaluation") else None
    train.train(cfg)
    assert copied.status["status"] == "FINISHED" and not copied.metrics
    shutil.rmtree(copied.folder)
    (copied.folder / "evaluation/curves").mkdir(parents=True)
    train.train(cfg)
    assert copied.status["status"] == "FINISHED"
    other = copied.folder.with_name("other")
    other.mkdir()
    (other / "metrics.json").write_text('{"accuracy": 1}')  # of another project
    with pytest.raises(UserError, match="is not replaced"), record.claimed(other, other):
        pass


def test_a_run_that_is_killed_at_its_start_is_no_record_and_gives_way(
    copied: record.Record, cfg: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copied.folder)
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(digests, "file_digest", lambda _: sys.exit(143))
        record.start(copied.folder, {}, {}, b"")
    assert (copied.folder / "status.json").is_file() and record.find_all(Path(cfg.paths.out)) == []
    train.train(cfg)
    assert copied.status["status"] == "FINISHED"


@pytest.mark.parametrize("spoil", [lambda text: text[: len(text) // 2], lambda _: "", lambda _: "[1]"])
@pytest.mark.parametrize(
    "name", ["config.yaml", "provenance.json", "status.json", "metrics.json", "evaluation/status.json"]
)
def test_a_damaged_record_is_named_and_the_others_are_found(
    copied: record.Record, name: str, spoil, capsys: pytest.CaptureFixture
) -> None:
    good = shutil.copytree(copied.folder, copied.folder.with_name("good"))
    path = copied.folder / name
    path.write_text(spoil(path.read_text()))
    with pytest.raises(UserError, match=f"{path} is damaged"):
        record.find(copied.folder)
    assert record.find_all(good.parents[1]) == [record.Record(good)]
    assert str(path) in capsys.readouterr().err


def test_evaluation_refuses_other_data_and_keeps_the_last_good_one(copied: record.Record) -> None:
    before = digests.folder_digest(copied.folder / "evaluation")
    origin = {**copied.provenance, "data": {**copied.provenance["data"], "digest": "other"}}
    record.write_json(copied.folder / "provenance.json", origin)
    with pytest.raises(UserError, match="has changed since"):
        evaluate.evaluate(copied, compose.compose().trusted)
    assert copied.status["status"] == "FINISHED" and copied.metrics
    assert digests.folder_digest(copied.folder / "evaluation") == before
    shutil.rmtree(copied.folder / "evaluation")
    with pytest.raises(UserError, match="has changed since"):
        evaluate.evaluate(copied, compose.compose().trusted)
    assert copied.status["status"] == "FAILED" and "has changed since" in copied.status["reason"]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("too cold"), "FAILED", "ValueError: too cold"),
        (KeyboardInterrupt(), "KILLED", "SIGINT"),
        (SystemExit(143), "KILLED", "SIGTERM"),
        (SystemExit(129), "KILLED", "SIGHUP"),
        (SystemExit(1), "FAILED", "SystemExit: 1"),  # of a package that ends the program
        (MemoryError("of 3 TiB"), "FAILED", "MemoryError: of 3 TiB"),
    ],
)
def test_a_status_tells_how_it_ended(tmp_path: Path, error: BaseException, status: str, reason: str) -> None:
    with pytest.raises(type(error)), record.status(tmp_path / "status.json", "train"):
        assert record.read_status(tmp_path / "status.json")["status"] == "RUNNING"
        raise error
    found = record.read_status(tmp_path / "status.json")
    assert (found["status"], found["reason"]) == (status, reason)


def running(folder: Path, silent: float = 0, **facts: object) -> str:
    """What is read of a status that says RUNNING, with other facts, without a sign of life for some seconds."""
    path = folder / "status.json"
    with record.status(path, "train"):
        found = json.loads(path.read_text())
    record.write_json(path, {**found, **facts})
    os.utime(path, (time.time() - silent,) * 2)
    return record.read_status(path)["status"]


def test_a_process_that_vanished_was_killed(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    assert running(tmp_path) == "RUNNING"
    wait_for(lambda: running(tmp_path, pid=ended.pid) == "KILLED")  # nobody has asked yet how it ended
    ended.wait()
    assert running(tmp_path, pid=ended.pid) == "KILLED"


def test_another_process_of_the_same_number_is_another(tmp_path: Path) -> None:
    assert running(tmp_path, silent=3600) == "RUNNING"  # it has been stopped, perhaps
    assert running(tmp_path, silent=3600, create_time=1.5) == "KILLED"
    assert running(tmp_path, create_time=1.5) == "RUNNING"  # the clock has been set


def test_a_process_elsewhere_lives_while_it_gives_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert running(tmp_path, silent=300, host="elsewhere") == "RUNNING"
    assert running(tmp_path, silent=3600, host="elsewhere") == "KILLED"
    assert "no sign of life since" in record.read_status(tmp_path / "status.json")["reason"]
    monkeypatch.setattr(status, "BEAT", 0.01)
    with record.status(tmp_path / "status.json", "train"):
        os.utime(tmp_path / "status.json", (0, 0))
        wait_for(lambda: (tmp_path / "status.json").stat().st_mtime > 0)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SystemExit(143)])
def test_a_full_disk_keeps_no_status_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """However long the reason is: the file has room for it before."""
    error.args = (*error.args[:1], "№" * 9999) if isinstance(error, OSError) else error.args
    with pytest.raises(type(error)), record.status(tmp_path / "status.json", "train"):
        before = (tmp_path / "status.json").stat().st_size

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(folders, "sync", full)
        raise error
    found = record.read_status(tmp_path / "status.json")
    assert found["status"] == ("FAILED" if isinstance(error, OSError) else "KILLED") and found["ended"]
    assert (tmp_path / "status.json").stat().st_size == before


def test_an_end_that_cannot_be_written_is_no_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), record.status(tmp_path / "status.json", "train"):
        monkeypatch.setattr(folders, "sync", full)
    assert record.read_status(tmp_path / "status.json")["reason"] == "OSError: [Errno 28] No space left on device"


def test_a_half_written_line_is_no_epoch_and_the_next_one_is_whole(tmp_path: Path) -> None:
    record.Record(tmp_path).log(1, {"train_loss": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "train')
    run = record.Record(tmp_path)
    assert [line["epoch"] for line in run.curves] == [1]
    run.log(2, {"train_loss": 0.25})
    assert [line["train_loss"] for line in run.curves] == [0.5, 0.25]


def test_an_epoch_that_comes_again_is_logged_once(tmp_path: Path) -> None:
    for run in (record.Record(tmp_path), record.Record(tmp_path)):
        for epoch in (1, 2, 2):
            run.log(epoch, {"train_loss": 0.5})
    assert [line["epoch"] for line in run.curves] == [1, 2]


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run record"):
        record.find(tmp_path)


@pytest.mark.parametrize("chain", [True, False])
def test_git_keeps_scores_of_the_pipeline_alone_with_digits_that_hold_elsewhere(
    copied: record.Record, cfg: DictConfig, chain: bool
) -> None:
    cfg.chain = chain
    evaluate.main(cfg)
    kept = Path(cfg.paths.out) / "scores/small.json"
    assert kept.exists() != chain and json.loads(json.dumps(copied.metrics)) == copied.metrics
    if not chain:
        scores = json.loads(kept.read_text())
        assert scores.pop("made_on") == copied.provenance["device"]
        assert scores == pytest.approx(copied.metrics, rel=5e-4, abs=1e-9)


@pytest.mark.parametrize(
    ("measured", "kept"),
    [
        (0.97541234, 0.9754), (0.9754000001, 0.9754), (263.73168, 263.7), (0.000123456, 0.0001235),
        (1.4e-17, 0.0), (12345.0, 12345.0),
    ],
)  # fmt: skip
def test_a_kept_score_has_four_digits_and_counts_all(tmp_path: Path, measured: float, kept: float) -> None:
    run = record.Record(tmp_path)
    record.write_json(tmp_path / "provenance.json", {"record_id": "x", "config": "", "data": {}, "device": None})
    record.write_json(tmp_path / "metrics.json", {"test/score": measured})
    assert evaluate.lasting(run) == {"test/score": kept}


def test_what_a_model_refuses_is_a_message_in_evaluate_too(
    copied: record.Record, cfg: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("X has 3 features")

    monkeypatch.setattr(pipelines, "load", refuse)
    with pytest.raises(UserError, match="The model refuses its settings or the data: X has 3 features"):
        evaluate.main(cfg)


def publish(run: record.Record, uri: str) -> mlflow.entities.Run:
    return mlflow.MlflowClient(uri).get_run(publishing.publish(run, uri, True, compose.compose().trusted))


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return local_store(tmp_path_factory.mktemp("mlflow"))


def test_mlflow_gets_the_whole_record(finished: record.Record, uri: str) -> None:
    run = publish(finished, uri)
    client = mlflow.MlflowClient(uri)
    assert run.info.status == "FINISHED"
    experiment = client.get_experiment(run.info.experiment_id)
    view = json.loads(experiment.tags["mlflow.sharedViewState.classification"])
    assert experiment.name == "birds" and view["orderByKey"] == "attributes.start_time"  # else nothing is folded
    _, *shown, overrides = view["selectedColumns"]
    assert overrides == "tags.`overrides`" and {key[len("metrics.`") : -1] for key in shown} <= set(run.data.metrics)
    assert sum(view["columnWidths"].values()) <= 710  # pixels that a window of 1280 leaves for them
    assert [found.info.run_id for found in client.search_runs([experiment.experiment_id], view["searchFilter"])] == [
        run.info.run_id
    ]
    assert finished.metrics.items() <= run.data.metrics.items() and run.data.metrics["fit_seconds"] == 1.5
    assert [point.step for point in client.get_metric_history(run.info.run_id, "val_loss")] == [1, 2, 3]
    assert run.data.params["model.lr"] == "0.001" and run.data.params["model.net_params.hidden"] == "[128]"
    assert run.data.tags["model"] == "mlp" and run.data.tags["task"] == "classification"
    assert run.data.tags["record_id"] == finished.provenance["record_id"]
    [used] = run.inputs.dataset_inputs
    assert used.dataset.digest == finished.provenance["data"]["digest"]
    loaded = mlflow.pyfunc.load_model(f"models:/{run.outputs.model_outputs[0].model_id}")
    assert set(loaded.predict(loaded.input_example)) <= {"Auk", "Coot", "Gull"}


def test_publishing_again_sends_only_what_is_new(finished: record.Record, uri: str) -> None:
    before = publish(finished, uri)
    again = publish(finished, uri)
    assert again.info.run_id == before.info.run_id
    assert (again.data.metrics, again.data.tags) == (before.data.metrics, before.data.tags)
    client = mlflow.MlflowClient(uri)
    assert len(client.get_metric_history(again.info.run_id, "test/accuracy")) == 1
    assert len(again.outputs.model_outputs) == 1
    finished.log(4, {"val_loss": 0.1})
    publish(finished, uri)
    assert [point.step for point in client.get_metric_history(again.info.run_id, "val_loss")] == [1, 2, 3, 4]


def test_no_report_or_example_of_data_that_became_others(finished: record.Record, tmp_path: Path) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    origin = json.loads((folder / "provenance.json").read_text())
    origin["record_id"], origin["data"]["digest"] = "another", "of older rows.dir"
    (folder / "provenance.json").write_text(json.dumps(origin))
    run = publish(record.Record(folder), uri := local_store(tmp_path))
    assert run.data.metrics["fit_seconds"] == 1.5 and (finished.folder / "model.skops").is_file()
    files = mlflow.MlflowClient(uri).list_artifacts(run.info.run_id)
    assert "metrics.json" in {file.path for file in files} and "data" not in {file.path for file in files}
    loaded = mlflow.sklearn.load_model(f"models:/{run.outputs.model_outputs[0].model_id}")
    assert loaded.steps


def test_a_long_setting_stands_whole_in_the_config(finished: record.Record) -> None:
    flat = dict(publishing._flat({"model": {"words": "x" * 7000, "depth": None, "options": {}}}))
    assert flat["model.words"].startswith("see config.yaml") and flat["model.depth"] == "null"
    assert flat["model.options"] == "{}"


def test_a_tracker_that_is_away_is_named_at_once() -> None:
    begin = time.monotonic()
    with pytest.raises(UserError, match="does not answer"):
        store.connect("http://127.0.0.1:9")
    assert time.monotonic() - begin < 10


class Hanging(BaseHTTPRequestHandler):
    """Answers `/health`, and nothing else: as an MLflow server whose database is stuck."""

    def do_GET(self) -> None:
        if self.path != "/health":
            self.server.over.wait()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_tracker_that_hangs_costs_a_message(finished: record.Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.5)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hanging)
    server.over = threading.Event()
    threading.Thread(target=server.serve_forever).start()
    uri, begin = f"http://127.0.0.1:{server.server_port}", time.monotonic()
    try:
        with pytest.raises(UserError, match=f"The MLflow server {uri} does not answer: timed out"):
            publishing.publish(finished, uri, True, [])
        assert time.monotonic() - begin < 20  # a client that waits for an answer takes 4 minutes
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


def test_a_defect_of_ours_is_told_as_one_and_kept_until_it_is_mended(
    copied: record.Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("http://joe:hunter2@host")

    uri, log = local_store(tmp_path), copied.folder / "publish.log"
    with monkeypatch.context() as patched, pytest.raises(UserError, match="A defect of ours, .* KeyError") as told:
        patched.setattr(publishing, "_send_files", fail)
        publish(copied, uri)
    assert "Traceback" in log.read_text() and "hunter2" not in log.read_text() + str(told.value)
    run = publish(copied, uri)
    files = {file.path for file in mlflow.MlflowClient(uri).list_artifacts(run.info.run_id)}
    assert "config.yaml" in files and "publish.log" not in files and not log.exists()


def test_a_model_that_was_begun_and_a_second_run_of_a_lost_answer_are_deleted(
    copied: record.Record, tmp_path: Path
) -> None:
    uri = local_store(tmp_path)
    client = mlflow.MlflowClient(uri)
    publishing.publish(copied, uri, False, [])
    [first] = runs_of(uri)
    client.create_run(first.info.experiment_id, 1, first.data.tags)
    torn = client.create_logged_model(first.info.experiment_id, "model", first.info.run_id)
    client.log_outputs(first.info.run_id, [LoggedModelOutput(torn.model_id, step=0)])
    run = publish(copied, uri)
    assert [run.info.run_id for run in runs_of(uri)] == [first.info.run_id]
    [model] = client.search_logged_models([run.info.experiment_id])
    assert model.status == "READY" and model.model_id != torn.model_id
    assert {metric.key: metric.value for metric in model.metrics} == copied.metrics | {"fit_seconds": 1.5}
    assert {metric.dataset_digest for metric in model.metrics} == {copied.provenance["data"]["digest"]}
    assert mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").input_example is not None


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_killed_run_is_killed_in_the_record_and_in_mlflow(tmp_path: Path, sign: int, code: int) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    overrides = ["trainer.max_epochs=100000", f"paths.out={tmp_path}/out", f"tracking.uri={uri}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "deepmine", "train", *overrides],
        cwd=ROOT,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's `&` has it ignored
    )
    try:
        wait_for(lambda: [path for path in tmp_path.rglob("metrics.jsonl") if path.stat().st_size])
        os.kill(process.pid, sign)
        assert process.wait(timeout=60) == code
    finally:
        process.kill()
    [run] = record.find_all(tmp_path / "out")
    assert run.status["status"] == "KILLED"
    wait_for((tmp_path / "mlflow.db").exists)  # nobody waits for the publisher
    wait_for(lambda: [run.info.status for run in runs_of(uri)] == ["KILLED"])
    [published] = runs_of(uri)
    assert published.data.metrics["train_loss"] > 0


@pytest.mark.slow
def test_an_error_in_fit_is_failed_in_the_record_and_in_mlflow(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    overrides = ["trainer.precision=8-true", f"paths.out={tmp_path}/out", f"tracking.uri={uri}"]
    done = stage("train", *overrides)
    assert done.returncode == 1 and "8-true" in done.stderr
    [run] = record.find_all(tmp_path / "out")
    assert run.status["status"] == "FAILED" and "8-true" in run.status["reason"]
    [published] = runs_of(uri)
    assert published.info.status == "FAILED" and "8-true" in published.data.tags["reason"]


def runs_of(uri: str) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(uri)
    return list(client.search_runs([found.experiment_id for found in client.search_experiments()]))


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)
