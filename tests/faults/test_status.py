"""However a stage ends, its status says so, its exit code too, and the next one finds nothing torn.

Longer campaigns are the same tests with more moments: FAULTS=20 pytest tests/faults/test_status.py -m ''
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import psutil
import pytest

from conftest import PROJECT, environment, stage
from deepmine.runs import record

pytestmark = pytest.mark.slow
MOMENTS = int(os.environ.get("FAULTS", "2"))
TREE = ("experiment=ferry_tree", "tracking=none")
PATIENCE = 5  # seconds from a signal to the end
Hit = Callable[..., dict]


@pytest.fixture(scope="module")
def hit() -> Iterator[Hit]:
    """Run a stage that is hit, see stages.py."""
    command = [sys.executable, Path(__file__).with_name("stages.py")]
    with subprocess.Popen(command, cwd=PROJECT, env=environment(), stdin=-1, stdout=-1, text=True) as stages:

        def run(*words: str, **case: object) -> dict:
            stages.stdin.write(json.dumps({"words": words, **case}) + "\n")
            stages.stdin.flush()
            return json.loads(stages.stdout.readline())

        yield run
        stages.stdin.close()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, hit: Hit) -> Path:
    """The folder of a stage's outputs, with a prepared data set and no run."""
    out = tmp_path_factory.mktemp("good") / "out"
    assert hit("prepare", "data=ferry", f"paths.out={out}", "tracking=none")["code"] == 0
    return out


@pytest.fixture
def out(good: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good, tmp_path / "out")


def left_over(out: Path) -> list[str]:
    return [str(path) for path in out.rglob(".*")]


def require_true(ended: dict, out: Path, number: int) -> None:
    """An end by a signal: its code, in time, without a traceback, and no record that says anything else."""
    assert ended["code"] == 128 + number and ended["seconds"] < PATIENCE, ended
    assert "Traceback" not in ended["said"] and "ignored" not in ended["said"], ended
    for run in record.find_all(out):
        assert run.status["status"] in ("KILLED", "FINISHED")
        if run.status["status"] == "KILLED":
            assert number == signal.SIGKILL or run.status["reason"] == signal.Signals(number).name


AT = {  # before which function, what the status of the one record says then; None: there is no record
    "deepmine.data.preparing.prepare:prepare": None,
    "deepmine.runs.provenance:collect": None,
    "deepmine.data.digests:file_digest": None,  # when all of the record is written but what makes it one
    "deepmine.data.dataset:load": "KILLED",
    "deepmine.models.pipelines:fit": "KILLED",
    "deepmine.models.pipelines:save": "KILLED",
    "deepmine.figures:draw": "KILLED",
    "deepmine.commands.evaluate:show": "FINISHED",
    "deepmine.runs.record:Record.move": "FINISHED",
}


KILLED = [at for at in AT if at.endswith((":prepare", ":file_digest", ":fit", ":draw", ":Record.move"))]


@pytest.mark.parametrize(
    ("at", "number"), [(at, signal.SIGTERM) for at in AT] + [(at, signal.SIGKILL) for at in KILLED]
)
def test_a_signal_is_told_wherever_it_comes(hit: Hit, out: Path, at: str, number: int) -> None:
    if AT[at] is None:
        shutil.rmtree(out)
    ended = hit("train", *TREE, f"paths.out={out}", at=at, number=number)
    require_true(ended, out, number)
    assert [run.status["status"] for run in record.find_all(out)] == [AT[at]] * (AT[at] is not None)
    if number == signal.SIGTERM:
        assert not left_over(out) and (AT[at] or not (out / "runs/ferry_tree").exists())
    assert hit("train", *TREE, f"paths.out={out}")["code"] == 0
    assert not left_over(out) and record.find(out / "runs/ferry_tree").status["status"] == "FINISHED"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_may_come_at_any_moment(hit: Hit, out: Path, number: int) -> None:
    """The moments are spread over a run that prepares, trains and evaluates."""
    shutil.rmtree(out)
    begin = time.monotonic()
    assert hit("train", *TREE, f"paths.out={out}")["code"] == 0
    whole = time.monotonic() - begin
    for moment in range(MOMENTS):
        shutil.rmtree(out, ignore_errors=True)
        ended = hit("train", *TREE, f"paths.out={out}", after=whole * (moment + 0.5) / MOMENTS, number=number)
        if ended["code"] != 0:  # it had ended
            require_true(ended, out, number)
            assert not left_over(out)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_may_come_while_all_is_imported(tmp_path: Path, number: int) -> None:
    for moment in range(MOMENTS):
        command = [sys.executable, "-m", "deepmine", "train", *TREE, f"paths.out={tmp_path}/out"]
        process = start(*command)
        while psutil.Process(process.pid).num_threads() == 1:  # Python itself is not up yet
            time.sleep(0.01)
        time.sleep(moment / MOMENTS)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        assert (process.returncode, said) == (128 + number, "")
        assert not list(tmp_path.rglob("provenance.json"))


STUCK = """
import hashlib, sys, time
from deepmine.config import signals
signals.watch()
if sys.argv[1] == "compiled":
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10**9)
while True:
    try:
        print("ready", flush=True)
        time.sleep(60)
    except BaseException:
        pass
"""


def test_what_does_not_let_a_stage_end_does_not_keep_it() -> None:
    """Python cannot act on a signal in compiled code, and a library may catch what it raises."""
    stuck = [start(sys.executable, "-c", STUCK, what) for what in ("compiled", "caught")]
    for process, number in zip(stuck, (signal.SIGTERM, signal.SIGINT), strict=True):
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
    assert [process.wait(timeout=PATIENCE + 1) for process in stuck] == [143, 130]


def test_the_end_of_a_worker_is_not_ours() -> None:
    """A forked process has our handlers, and must not wake what ends us."""
    code = "import os, signal, time; from deepmine.config import signals; signals.GRACE = 0.5; signals.watch()\n" + (
        "if (worker := os.fork()) == 0:\n    time.sleep(60)\n"
        "time.sleep(0.2); os.kill(worker, signal.SIGTERM); os.wait(); time.sleep(1.5); print('well')"
    )
    assert start(sys.executable, "-c", code).communicate(timeout=20) == ("well\n", "")


def start(*command: str) -> subprocess.Popen[str]:
    """Start a process that does not share its signals with the tests."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=PROJECT, env=environment(), process_group=0, **streams)


def test_no_memory_is_a_failure_with_its_reason(hit: Hit, out: Path) -> None:
    ended = hit("train", *TREE, f"paths.out={out}", at="deepmine.models.pipelines:fit", number=0)
    assert ended["code"] == 1 and ended["said"].startswith("error: The memory is full (Unable to allocate 3 TiB)")
    [run] = record.find_all(out)
    assert (run.status["status"], run.status["reason"]) == ("FAILED", "MemoryError: Unable to allocate 3 TiB")


def require_full(ended: dict, out: Path) -> None:
    """A full disk costs a message, and no record says anything else."""
    assert ended["code"] == 1 and "The disk is full" in ended["said"] and "Traceback" not in ended["said"], ended
    for run in record.find_all(out):
        assert run.status["status"] == "FAILED", run.status
        assert "File too large" in run.status["reason"] or "No space left" in run.status["reason"], run.status
    assert not left_over(out)


@pytest.mark.parametrize("largest", [2_000, 20_000, 150_000])
def test_a_file_that_may_not_grow_is_a_failure_with_its_reason(hit: Hit, out: Path, largest: int) -> None:
    require_full(hit("train", *TREE, f"paths.out={out}", largest=largest), out)
    assert hit("train", *TREE, f"paths.out={out}")["code"] == 0
    assert record.find(out / "runs/ferry_tree").status["status"] == "FINISHED"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_a_failure_with_its_reason(hit: Hit, good: Path, small_disk: Path) -> None:
    out, filler = small_disk / "out", small_disk / "filler"
    for moment in range(MOMENTS + 1):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(good, out)
        room = moment * 300_000 // MOMENTS  # bytes; a run takes 480,000
        filler.write_bytes(b" " * (shutil.disk_usage(small_disk).free - room))
        require_full(hit("train", *TREE, f"paths.out={out}"), out)
        filler.unlink()
    assert hit("train", *TREE, f"paths.out={out}")["code"] == 0
    assert record.find(out / "runs/ferry_tree").status["status"] == "FINISHED"


def test_two_runs_of_one_experiment_at_once_are_two_records_or_a_message(out: Path) -> None:
    command = [sys.executable, "-m", "deepmine", "train", *TREE, f"paths.out={out}"]
    both = [start(*command), start(*command)]
    said = [process.communicate()[1] for process in both]
    for process, text in zip(both, said, strict=True):
        assert process.returncode == 0 or (process.returncode == 1 and "is being written by process" in text), text
    runs = record.find_all(out)
    assert [run.status["status"] for run in runs] == ["FINISHED"] and record.find(out / "runs/ferry_tree").metrics


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_sweep_that_is_killed_ends_with_its_trials(out: Path, launcher: str) -> None:
    uri = f"sqlite:///{out}/mlflow.db"
    settings = ["experiment=ferry_mlp", "trainer.max_epochs=100000", "model.patience=null", f"paths.out={out}"]
    sweep = [*settings, "seed=1,2", f"tracking.uri={uri}", "tracking.model=false", f"hydra/launcher={launcher}"]
    process = start(sys.executable, "-m", "deepmine", "sweep", *sweep)
    wait_for(lambda: [path for path in out.rglob("metrics.jsonl") if path.stat().st_size])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=2 * PATIENCE) == 143  # on two busy cores
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said, said
    runs = record.find_all(out)
    assert {run.status["status"] for run in runs} == {"KILLED"} and len(runs) == 1 + (launcher == "joblib")
    assert stage("publish", f"paths.out={out}", f"tracking.uri={uri}", "tracking.model=false").returncode == 0
    client = mlflow.MlflowClient(uri)
    sent = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert len(sent) == 1 + len(runs) and not {"RUNNING", "FINISHED"} & {run.info.status for run in sent}


def test_ctrl_c_reaches_a_stage_through_make(out: Path) -> None:
    words = ["experiment=ferry_mlp", "trainer.max_epochs=100000", "model.patience=null", f"paths.out={out}"]
    process = start("make", "-o", "setup", "train", *words, "tracking=none")
    wait_for(lambda: [path for path in out.rglob("metrics.jsonl") if path.stat().st_size])
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (2, -signal.SIGINT) and "Traceback" not in said, said
    [run] = record.find_all(out)
    assert (run.status["status"], run.status["reason"]) == ("KILLED", "SIGINT")


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)
