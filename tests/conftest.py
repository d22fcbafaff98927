"""What several tests need: real data cut small, and a stage run as a person would."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import yaml

from deepmine import ROOT
from deepmine.config import compose
from deepmine.data.dataset import Dataset
from deepmine.data.preparing import prepare

hypothesis.settings.register_profile("same each time", derandomize=True, database=None, deadline=None, max_examples=100)
hypothesis.settings.load_profile("same each time")

CONF = ROOT / "conf"
FEW = ("mnist_mlp", "mnist_tree", "penguins_kmeans", "titanic_mlp", "titanic_tree")  # what a clone's pipeline runs
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


@cache
def prepared(name: str) -> Dataset:
    """A data set of conf/data, from the real raw files."""
    settings = compose.plain(compose.compose("~experiment", f"data={name}", trains=False))["data"]
    return prepare.prepare(name, settings, ROOT / "data" / settings["folder"]).dataset


def cut(dataset: Dataset, n: int = 120) -> Dataset:
    """At most `n` rows of each part, spread over it."""
    parts = (part.take(np.arange(0, len(part), max(1, len(part) // n))) for _, part in dataset.parts())
    return Dataset(dataset.info, *parts)


def run(*command: str, root: Path = ROOT, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a checkout, with the code of that checkout; `env` adds to the environment."""
    return subprocess.run(
        command, cwd=root, env=environment(root, **settings.pop("env", {})), capture_output=True, text=True, **settings
    )


def stage(name: str, *overrides: str, root: Path = ROOT, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run `.venv/bin/deepmine <name>` with overrides."""
    return run(sys.executable, "-m", "deepmine", name, *overrides, root=root, **settings)


def environment(root: Path = ROOT, **more: str) -> dict[str, str]:
    """This process's environment, without what make hands down, for a program that uses the code of `root`."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MLFLOW_TRACKING_URI")}
    return {**kept, "PYTHONPATH": str(root / "src"), **more}


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this checkout as it is now, committed or not, with the environment and the raw data."""
    folder = tmp_path_factory.mktemp("clone") / "deepmine"
    make_clone(folder)
    return folder


def make_clone(folder: Path) -> None:
    """Copy the files that git knows or would add, as one commit, and pull the data.

    The clone's pipeline holds only a few experiments, of each kind of change that tests make: all take ten minutes.
    """
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, map(os.fsdecode, files.split(b"\0"))):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    listed = pipeline(folder)
    few = {name: listed["experiments"][name] for name in FEW}
    datasets = sorted({experiment["data"] for experiment in few.values()})
    compose.dump(folder / "conf/pipeline.yaml", {"datasets": datasets, "experiments": few})
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    pulled = run(".venv/bin/dvc", "pull", "-q", "data.dvc", root=folder)
    assert pulled.returncode == 0, pulled.stderr


def pipeline(root: Path) -> dict:
    """conf/pipeline.yaml of a checkout."""
    return yaml.safe_load((root / "conf/pipeline.yaml").read_text())


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """The numbers of a run are those of its thread count."""
    compose.limit_threads(1)
