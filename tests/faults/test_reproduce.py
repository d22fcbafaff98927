"""A run is built again from its record alone, whatever is dirty, changed or gone; and what made two runs differ is named.

`EACH=1` also plants the causes one by one: pytest -m '' tests/faults/test_reproduce.py
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from conftest import environment, make_clone, run, stage
from deepmine.runs.record import Record

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rebuilt") / "deepmine"
    make_clone(folder)
    return folder


@pytest.fixture(scope="module")
def first(root: Path) -> Record:
    return train(root, "tracking=none", f"run={root}/out/adhoc/first")


@pytest.fixture(autouse=True)
def _as_before(root: Path) -> Iterator[None]:
    yield
    as_it_was(root)
    left = subprocess.run(["git", "worktree", "list"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert len(left.splitlines()) == 1, left


def as_it_was(root: Path) -> None:
    subprocess.run(["git", "reset", "-q", "--hard"], cwd=root, check=True)
    subprocess.run(["git", "clean", "-qfd"], cwd=root, check=True)


def train(root: Path, *overrides: str) -> Record:
    """A run's record; the last to be written."""
    done = stage("train", "experiment=ferry_tree", *overrides, root=root)
    assert done.returncode == 0, done.stderr
    return newest(root)


def newest(root: Path) -> Record:
    found = max(root.glob("out/*/*/provenance.json"), key=lambda path: path.stat().st_mtime)
    return Record(found.parent)


def reproduce(root: Path, name: object, *more: str) -> subprocess.CompletedProcess[str]:
    return stage("reproduce", f"run={name}", *more, root=root, stdin=subprocess.DEVNULL)


def identical(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 0 and bool(re.search(r": \d+ identical \(tolerance", done.stdout))


def test_a_trial_of_a_dirty_tree_after_consent_and_its_child_in_mlflow(root: Path) -> None:
    code, uri = root / "src/deepmine/data/preparing/split.py", f"sqlite:///{root}/mlflow.db"
    code.write_text(code.read_text() + "\nraise_nothing = 1\n")
    (root / "src/deepmine/models/mine.py").write_bytes(b"# Gr\xfc\xdfe\r\nfrom sklearn.tree import *\r\n")
    (root / "some.bin").write_bytes(bytes(range(256)))
    words = ["experiment=ferry_tree", "model.max_depth=2,3", f"tracking.uri={uri}", "tracking.model=false"]
    assert stage("sweep", *words, root=root).returncode == 0
    trial = newest(root)
    assert trial.provenance["trial"]["number"] == 1
    as_it_was(root)

    asked = reproduce(root, trial.folder, "tracking=none")
    assert asked.returncode == 1 and "yes=true" in asked.stderr and "+raise_nothing = 1" in asked.stdout
    assert "mine.py" in asked.stdout and not list(root.glob("out/reproduced/*"))

    told = reproduce(root, trial.provenance["record_id"], "yes=true", f"tracking.uri={uri}")
    assert identical(told), told.stdout + told.stderr
    assert newest(root).config == trial.config
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    [child] = [each for each in runs if "reproduces" in each.data.tags]
    [parent] = [each for each in runs if each.data.tags["record_id"] == trial.provenance["record_id"]]
    assert child.data.tags["reproduces"] == trial.provenance["record_id"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert trial.metrics.items() <= child.data.metrics.items()


def test_a_net_that_only_the_tracker_has(root: Path) -> None:
    uri = f"tracking.uri=sqlite:///{root}/mlflow.db"
    done = stage("train", "experiment=ferry_mlp", "trainer.max_epochs=3", uri, "tracking.model=false", root=root)
    assert done.returncode == 0, done.stderr
    first = newest(root)
    curves, record_id = first.curves, first.provenance["record_id"]
    client = mlflow.MlflowClient(f"sqlite:///{root}/mlflow.db")
    [mlflow_run] = client.search_runs(
        [each.experiment_id for each in client.search_experiments()], f"tags.record_id = '{record_id}'"
    )
    shutil.rmtree(first.folder)
    told = reproduce(root, mlflow_run.info.run_id, uri)
    assert identical(told), told.stdout + told.stderr
    assert [{**line, "time": 0} for line in newest(root).curves] == [{**line, "time": 0} for line in curves]


def test_a_changed_byte_is_named_and_the_data_come_from_the_remote(root: Path, first: Record) -> None:
    raw = root / "data/ferry/passengers.csv"
    before = raw.read_bytes()
    assert run(".venv/bin/dvc", "push", "-q", "data.dvc", root=root).returncode == 0
    shutil.move(root / ".dvc/cache", root / ".dvc/tmp/cache")
    try:
        raw.unlink()  # it may be a link to the cache
        raw.write_bytes(before.replace(b"female", b"femala", 1))
        told = reproduce(root, first.folder, "tracking=none")
        assert identical(told) and "first saw (passengers.csv)" in told.stderr, told.stderr
        shutil.rmtree(root / ".dvc/cache")
        shutil.rmtree(root / ".dvc/starter")
        gone = reproduce(root, first.folder, "tracking=none")
        assert gone.returncode == 1 and "dvc push data.dvc" in gone.stderr and first.provenance["user"] in gone.stderr
    finally:
        raw.write_bytes(before)
        shutil.rmtree(root / ".dvc/cache", ignore_errors=True)
        shutil.move(root / ".dvc/tmp/cache", root / ".dvc/cache")


def test_scores_that_differ_and_what_cannot_be_built_end_with_1(root: Path, first: Record) -> None:
    changed = root / "out/adhoc/changed"
    shutil.copytree(first.folder, changed)
    scores = json.loads((changed / "metrics.json").read_text())
    (changed / "metrics.json").write_text(json.dumps(scores | {"test/accuracy": scores["test/accuracy"] + 0.001}))
    told = reproduce(root, changed, "tracking=none")
    assert told.returncode == 1 and "43 identical, 1 different (tolerance 0," in told.stderr
    assert re.search(r"^test/accuracy .* different$", told.stdout, re.MULTILINE)
    origin = json.loads((changed / "provenance.json").read_text())
    origin["git"]["commit"] = "0" * 40
    (changed / "provenance.json").write_text(json.dumps(origin))
    told = reproduce(root, changed, "tracking=none")
    assert told.returncode == 1 and "git fetch" in told.stderr and origin["user"] in told.stderr


def test_one_that_is_ended_leaves_no_worktree(root: Path, first: Record, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deepmine", "reproduce", f"run={first.folder}", "tracking=none"]
    process = subprocess.Popen(command, cwd=root, env=environment(root, TMPDIR=str(tmp_path)))
    while not list(tmp_path.glob("deepmine-*/config.yaml")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert not list(tmp_path.glob("deepmine-*"))


CAUSES = {
    "seed": ["seed=3"],
    "threads": ["threads=2"],
    "config": ["model.max_depth=1"],
    "data": [],
    "code": [],
}


def plant(root: Path, causes: list[str]) -> Record:
    """A run that differs from the first in some things."""
    if "data" in causes:
        path = root / "data/ferry/outcomes.csv"
        before = path.read_text()
        path.unlink()
        path.write_text(re.sub(r"(P00[0-4]\d),\d", r"\1,0", before))
        assert run(".venv/bin/dvc", "add", "-q", "data", root=root).returncode == 0
    if "code" in causes:
        path = root / "src/deepmine/models/pipelines.py"
        path.write_text(path.read_text() + SPOILT)
    try:
        return train(root, "tracking=none", *FOREST, *(word for cause in causes for word in CAUSES[cause]))
    finally:
        as_it_was(root)
        if "data" in causes:
            (root / "data/ferry/outcomes.csv").unlink()
            (root / "data/ferry/outcomes.csv").write_text(before)


FOREST = ["model=forest", "model.n_estimators=25"]
SPOILT = """

_fit = fit


def fit(pipeline, task, train, *others):  # fewer rows
    return _fit(pipeline, task, train.take(range(len(train) // 3)), *others)
"""


@pytest.mark.parametrize(
    "causes", [[*CAUSES], *([cause] for cause in CAUSES if os.environ.get("EACH"))], ids=lambda causes: "+".join(causes)
)
def test_every_cause_is_named(root: Path, causes: list[str]) -> None:
    a, b = plant(root, []), plant(root, causes)
    done = stage("why", f"a={a.folder}", f"b={b.folder}", "tracking=none", "yes=true", root=root)
    assert done.returncode == 0, done.stderr
    rows = dict(re.findall(r"^(seed|threads|config|data|code)  +\S+ +\S+ +(\w.*)$", done.stdout, re.MULTILINE))
    assert list(rows) == causes, done.stdout
    if causes == ["threads"]:  # the trees of a forest are added up in the order in which threads end: last digits
        assert rows["threads"] != "moves the scores", done.stdout
    elif len(causes) == 1:
        assert rows[causes[0]] == "alone gives the scores of b", done.stdout
    else:
        assert {cause for cause, said in rows.items() if said == "moves the scores"} == {"config", "data", "code"}
