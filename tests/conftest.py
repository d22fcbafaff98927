"""What several tests need: made-up data, prepared, and a stage run as a person would."""

import copy
import gc
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import hydra
import hypothesis
import numpy as np
import omegaconf.base
import pytest
import yaml
from omegaconf import DictConfig

from checkout import PROJECT, make  # before anything of the package, whatever its name

# isort: split
from deepmine.config import compose, running
from deepmine.data.dataset import Dataset, folder_digest
from deepmine.data.preparing import prepare

hypothesis.settings.register_profile("same each time", derandomize=True, database=None, deadline=None, max_examples=40)
hypothesis.settings.load_profile("same each time")

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell's `&` or nohup has them ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = PROJECT
CONF = PROJECT / "conf"
FEW = ("birds_kmeans", "digits_mlp", "digits_tree", "ferry_mlp", "ferry_tree")  # what the project's pipeline runs
compose.dump(ROOT / "data.dvc", {"outs": [{"md5": folder_digest(ROOT / "data"), "path": "data"}]})


_compose = hydra.compose


@cache
def _composed(files: tuple, name: str, words: tuple[str, ...], more: tuple) -> DictConfig:
    return _compose(name, [*words], **dict(more))


def remembered(name: str, words: list[str], **more: object) -> DictConfig:
    """What Hydra composes of the same words and files: it takes a quarter of a second, hundreds of times."""
    files = tuple((path, path.stat().st_mtime_ns) for path in sorted(compose.CONF.rglob("*.yaml")))
    return copy.deepcopy(_composed(files, name, tuple(words), tuple(more.items())))


hydra.compose = remembered
omegaconf.base.parse = cache(omegaconf.base.parse)  # of `${...}`: the same few texts, 200 times for each config


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is imported by now: it costs a fifth of the time."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let it have them in the end: nanobind reports what is left."""
    gc.unfreeze()


@cache
def prepared(name: str) -> Dataset:
    """A data set of tests/conf."""
    settings = compose.plain(compose.compose("~experiment", f"data={name}", trains=False))["data"]
    return prepare.prepare(name, settings, PROJECT / "data" / settings["folder"]).dataset


def cut(dataset: Dataset, n: int = 120) -> Dataset:
    """At most `n` rows of each part, spread over it."""
    parts = (part.take(np.arange(0, len(part), max(1, len(part) // n))) for _, part in dataset.parts())
    return Dataset(dataset.info, *parts)


@cache
def _new_store() -> bytes:
    from deepmine.runs.tracking import store

    with tempfile.TemporaryDirectory() as folder:
        store.connect(f"sqlite:///{folder}/mlflow.db")
        return Path(folder, "mlflow.db").read_bytes()


def local_store(folder: Path) -> str:
    """The URI of a new MLflow store in a folder: a copy, because MLflow takes a second to create one."""
    (folder / "mlflow.db").write_bytes(_new_store())
    return f"sqlite:///{folder}/mlflow.db"


def run(*command: str, root: Path = PROJECT, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a project, with the code of that project; `env` adds to the environment."""
    return subprocess.run(
        command, cwd=root, env=environment(root, **settings.pop("env", {})), capture_output=True, text=True, **settings
    )


def stage(name: str, *overrides: str, root: Path = PROJECT, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run `.venv/bin/deepmine <name>` with overrides."""
    return run(sys.executable, "-m", "deepmine", name, *overrides, root=root, **settings)


def environment(root: Path = PROJECT, **more: str) -> dict[str, str]:
    """This process's environment, without what make hands down, for a program that uses the code of `root`."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MLFLOW_TRACKING_URI", "slow")
    }
    return {**kept, "PYTHONPATH": str(root / "src"), **more}


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own, with git and DVC, that a test may change."""
    folder = tmp_path_factory.mktemp("clone") / "deepmine"
    make_clone(folder)
    return folder


def make_clone(folder: Path) -> None:
    """Make a project with git and DVC, as one commit."""
    make(folder)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    added = run(".venv/bin/dvc", "add", "-q", "data", root=folder)
    assert added.returncode == 0, added.stderr
    for command in (["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=folder, check=True)


def pipeline(root: Path) -> dict:
    """conf/pipeline.yaml of a project."""
    return yaml.safe_load((root / "conf/pipeline.yaml").read_text())


@pytest.fixture(scope="session", autouse=True)
def _in_the_project() -> None:
    os.chdir(PROJECT)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """The numbers of a run are those of its thread count; to set it searches all libraries, so once is enough."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        running.limit_threads(1)
