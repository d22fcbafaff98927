"""No tracker slows or fails a run, and whatever it lost comes with the next `make publish`: a real `mlflow server`.

With the environment variable FAULTS=400, so many requests fail, one in each publication: with 100 each of them, with 400
in each way; every kind of sick tracker is tried, and 32 runs at once. In CI a sample.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import mlflow
import pytest

from conftest import ROOT, environment
from deepmine.commands import publish as sending
from deepmine.commands import train
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.runs import provenance, record
from deepmine.runs.tracking import follower, publishing, store
from faults import sick
from test_team import free_port, mlflow_server, wait_until

pytestmark = pytest.mark.slow
FAULTS = int(os.environ.get("FAULTS", 12))
ALL = FAULTS > 12
ENDLESS = range(1, 10**9)
RUNS, POINTS = (32, 200) if ALL else (4, 100)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real server."""
    number = free_port()
    with mlflow_server(tmp_path_factory.mktemp("server"), number):
        yield number


@pytest.fixture
def proxy(port: int) -> Iterator[sick.Proxy]:
    with sick.before(port) as found:
        yield found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> record.Record:
    """A record with all there can be: curves, folds, a model with classes of ours, a sweep above it."""
    out = tmp_path_factory.mktemp("out")
    settings = ("experiment=digits_mlp", "trainer.max_epochs=3", "cv=2", "tracking=none", f"paths.out={out}")
    return record.Record(train.train(compose.compose(*settings)))


def copy(trained: record.Record, folder: Path) -> record.Record:
    """The record of another run, with the same files."""
    run = record.Record(Path(shutil.copytree(trained.folder, folder)))
    trial = {"sweep": secrets.token_hex(4), "number": 0}
    record.write_json(folder / "provenance.json", run.provenance | {"record_id": secrets.token_hex(8), "trial": trial})
    return run


def publish(run: record.Record, uri: str) -> str:
    return publishing.publish(run, uri, True, [])


def require_whole(run: record.Record, uri: str) -> None:
    """Read back all that a record is in MLflow, and that nothing is there twice."""
    client = store.connect(uri)
    experiments = [found.experiment_id for found in client.search_experiments()]

    def tagged(key: str, value: str) -> list[Any]:
        return list(client.search_runs(experiments, f"tags.`{key}` = '{value}'"))

    [found] = tagged("record_id", run.provenance["record_id"])
    [above] = tagged("record_id", run.provenance["trial"]["sweep"])
    assert found.info.status == above.info.status == "FINISHED"
    assert above.data.metrics.items() >= {k: x for k, x in run.metrics.items() if k.startswith("test/")}.items()
    assert found.info.end_time == publishing._milliseconds(run.training["ended"])
    assert set(found.data.params) == set(dict(publishing._flat(run.config)))
    [used] = found.inputs.dataset_inputs
    assert used.dataset.digest == run.provenance["data"]["digest"]
    assert found.data.metrics.items() >= run.metrics.items()
    for key in found.data.metrics:
        sent = [(line["epoch"], line[key], int(line["time"] * 1000)) for line in run.curves if key in line]
        points = [(p.step, p.value, p.timestamp) for p in client.get_metric_history(found.info.run_id, key)]
        assert sorted(points) == sent if sent else len(points) == 1, key
    [output] = found.outputs.model_outputs
    [model] = client.search_logged_models(experiments, f"source_run_id = '{found.info.run_id}'")
    assert (model.model_id, model.status) == (output.model_id, "READY")
    assert Counter(metric.key for metric in model.metrics) == Counter([*run.metrics, "fit_seconds"])
    assert {"MLmodel", "model.skops"} <= {file.path for file in client.list_logged_model_artifacts(model.model_id)}
    files = {file.path for file in client.list_artifacts(found.info.run_id)}
    assert files >= {"config.yaml", "metrics.json", "evaluation", "patch.diff", "data"}
    folds = tagged("mlflow.parentRunId", found.info.run_id)
    assert [fold.info.status for fold in folds] == ["FINISHED"] * 2
    for fold in folds:
        assert {len(client.get_metric_history(fold.info.run_id, key)) for key in fold.data.metrics} == {1}


def test_whatever_request_fails_the_next_publish_completes_it(
    trained: record.Record, proxy: sick.Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # else MLflow mends it itself
    uri = f"http://127.0.0.1:{proxy.port}"
    publish(copy(trained, tmp_path / "first"), uri)
    requests, kinds = proxy.seen, ("500", "reset", "html", "lost")
    told = Counter[str]()
    for case in range(FAULTS):
        n, kind = 1 + case * requests // FAULTS, kinds[case % 4]
        run = copy(trained, tmp_path / f"{n}-{kind}")
        proxy.sends(kind, range(n, n + 1))
        try:
            publish(run, uri)
        except UserError as error:
            assert not (run.folder / publishing.LOG).exists(), error
            told[kind] += 1
        proxy.sends("", range(0))
        publish(run, uri)
        require_whole(run, uri)
    print(f"\n{FAULTS} of {requests} requests failed, one at a time: {dict(told)} were told, all are whole")


def test_publishing_twice_or_twice_at_once_changes_nothing(trained: record.Record, port: int, tmp_path: Path) -> None:
    run, uri = copy(trained, tmp_path / "run"), f"http://127.0.0.1:{port}"
    with ProcessPoolExecutor(2) as pool:
        for done in [pool.submit(publish, run, uri) for _ in range(4)]:
            done.result()
    require_whole(run, uri)


SICK = [(kind, healthy) for kind in (*sick.KINDS, "absent") for healthy in (0, 12)]


@pytest.mark.parametrize(("kind", "healthy"), SICK if ALL else [("hang", 12), ("slow", 0)])
def test_a_sick_tracker_costs_ten_seconds_in_all(
    trained: record.Record, proxy: sick.Proxy, tmp_path: Path, capsys: pytest.CaptureFixture, kind: str, healthy: int
) -> None:
    run, number = copy(trained, tmp_path / "run"), free_port() if kind == "absent" else proxy.port
    cfg = compose.compose("experiment=digits_mlp", f"tracking.uri=http://127.0.0.1:{number}")
    proxy.sends(kind, ENDLESS[healthy:])
    with sending.following(run, cfg):
        time.sleep(5)
        begin = time.monotonic()
    took, said = time.monotonic() - begin, capsys.readouterr().err
    with capsys.disabled():
        print(f"\n{kind} after {healthy} requests: {took:.1f} s")
    assert took < follower.WAIT + 1
    assert said.count("make publish") == 1 and len(said.splitlines()) == 2, said
    proxy.sends("", range(0))
    publish(run, f"http://127.0.0.1:{proxy.port}")
    require_whole(run, f"http://127.0.0.1:{proxy.port}")


def long_training(out: Path, uri: str) -> subprocess.Popen[str]:
    """A training in a process of its own that would not end."""
    settings = ["trainer.max_epochs=100000", f"paths.out={out}", f"tracking.uri={uri}"]
    command = [sys.executable, "-m", "deepmine", "train", "experiment=digits_mlp", *settings]
    return subprocess.Popen(command, env=environment(), cwd=ROOT, stderr=subprocess.PIPE, text=True)


def points(uri: str) -> tuple[str, list[int]]:
    """The status of the only run in MLflow, and the epochs that it has."""
    client = mlflow.MlflowClient(uri)
    found = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    if not found:
        return "", []
    steps = [point.step for point in client.get_metric_history(found[0].info.run_id, "train_loss")]
    return (found[0].info.status, steps) if len(found) == 1 else ("several", [])


def test_a_run_is_seen_while_it_lasts_and_called_killed_after_kill_9(tmp_path: Path) -> None:
    with mlflow_server(tmp_path / "server", free_port()) as uri:
        training = long_training(tmp_path / "out", uri)
        try:
            wait_until(lambda: len(points(uri)[1]) > 5, 90, lambda: str(points(uri)))
            assert points(uri)[0] == "RUNNING"
        finally:
            training.kill()
            training.wait()
        wait_until(lambda: points(uri)[0] == "KILLED", 60, lambda: str(points(uri)))
        [run] = record.find_all(tmp_path / "out")
        assert points(uri)[1] == [line["epoch"] for line in run.curves]


def test_a_server_that_stops_in_the_middle_and_hangs_holds_up_no_signal(proxy: sick.Proxy, tmp_path: Path) -> None:
    uri = f"http://joe:hunter2@127.0.0.1:{proxy.port}"
    training = long_training(tmp_path / "out", uri)
    try:
        wait_until(lambda: proxy.seen > 15, 90, lambda: str(proxy.seen))
        proxy.sends("hang", ENDLESS)
        [publisher] = Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text().split()
        assert b"hunter2" not in Path(f"/proc/{publisher}/cmdline").read_bytes()
        wait_until(lambda: proxy.seen > 0, 30, lambda: "no request")
        begin = time.monotonic()
        training.send_signal(signal.SIGTERM)
        assert training.wait(timeout=30) == 143 and time.monotonic() - begin < follower.WAIT - 1  # on a busy machine
    finally:
        training.kill()
        os.kill(int(publisher), signal.SIGKILL)
    [run] = record.find_all(tmp_path / "out")
    assert run.status["status"] == "KILLED"
    proxy.sends("", range(0))
    publish(run, uri)
    publish(run, uri)
    client = store.connect(uri)
    found = client.get_run(publish(run, uri))
    steps = [point.step for point in client.get_metric_history(found.info.run_id, "train_loss")]
    assert found.info.status == "KILLED" and sorted(steps) == [line["epoch"] for line in run.curves]


def many(folder: Path, number: int, uri: str) -> str:
    """Write and follow a run of `POINTS` epochs in this process, without a model."""
    settings = compose.compose("experiment=digits_mlp", f"tracking.uri={uri}", "tracking.model=false")
    origin = provenance.collect(folder / "data", "some", ROOT / "data/digits", name=f"run {number}")
    run = record.start(
        folder / f"run-{number}", {"choices": dict(settings.choices), **compose.decisive(settings)}, *origin
    )
    with sending.following(run, settings), record.status(run.folder / "status.json", "train"):
        for epoch in range(POINTS):
            run.log(epoch, {"train_loss": 1 / (epoch + 1)})
            time.sleep(0.02)
    return run.provenance["record_id"]


@pytest.mark.parametrize("kind", ["sqlite", "server"])
def test_many_runs_at_once_lose_no_point(kind: str, port: int, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db" if kind == "sqlite" else f"http://127.0.0.1:{port}"
    begin = time.monotonic()
    with ProcessPoolExecutor(RUNS, get_context("spawn")) as pool:
        ids = list(pool.map(many, [tmp_path] * RUNS, range(RUNS), [uri] * RUNS))
    client = store.connect(uri)
    experiments = [found.experiment_id for found in client.search_experiments()]

    def whole(identity: str) -> bool:
        found = client.search_runs(experiments, f"tags.record_id = '{identity}'")
        return [run.info.status for run in found] == ["FINISHED"]

    wait_until(lambda: all(map(whole, ids)), 120, lambda: "not all are there")
    counts = set()
    for identity in ids:
        [run] = client.search_runs(experiments, f"tags.record_id = '{identity}'")
        counts.add(len(client.get_metric_history(run.info.run_id, "train_loss")))
    assert len(set(ids)) == RUNS and counts == {POINTS}
    print(f"\n{RUNS} runs of {POINTS} points, {kind}: {time.monotonic() - begin:.0f} s")
