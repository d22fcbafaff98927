"""Where a run comes from: code, data, environment, seed. With it and the data remote, a run can be built again."""

import getpass
import os
import platform
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from deepmine import ROOT
from deepmine.data.dataset import file_digest, folder_digest

PACKAGES = (
    "deepmine", "dvc", "hydra-core", "mlflow", "numpy", "pandas", "pytorch-lightning", "scikit-learn", "scipy",
    "skops", "torch",
)  # fmt: skip
OUTPUTS = (":(exclude)out", ":(exclude)dvc.lock")  # what stages write is no change of the code


def issue(
    seed: int,
    threads: int,
    dataset: Path,
    info: dict[str, Any],
    data: Path,
    trial: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], str]:
    """A passport, and the patch of the uncommitted changes (empty where there are none).

    Args:
        seed: of the run.
        threads: of every numerical library.
        dataset: the folder of the prepared data.
        info: what is known about them.
        data: the folder of the raw data.
        trial: of a sweep: the name of the `sweep`, and its `number`.
    """
    git, patch = _git()
    return {
        "record_id": uuid.uuid4().hex,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "trial": None if trial is None else dict(trial),
        "git": git,
        "data": {
            "raw": folder_digest(data),
            "data.dvc": _data_dvc(),
            "dataset": str(dataset),
            "digest": info["digest"],
            "audit": info.get("audit", []),
        },
        "lock": file_digest(ROOT / "constraints.txt"),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "device": _device(),
        "seed": seed,
        "threads": threads,
        "host": platform.node(),
        "user": getpass.getuser(),
    }, patch


def _git() -> tuple[dict[str, Any], str]:
    """Commit, branch, tree of all files as they are now, and the difference between the two, untracked files included.

    A temporary index holds the present tree, so that the person's own index stays as it is.
    """
    try:
        top = _run("rev-parse", "--show-toplevel")
        commit = _run("rev-parse", "HEAD")
    except (subprocess.CalledProcessError, FileNotFoundError):
        return {"commit": None, "note": "no git repository, or none with a commit"}, ""
    if Path(top).resolve() != ROOT:
        return {"commit": None, "note": f"no git repository of its own; it lies in {top}"}, ""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        _run("read-tree", "HEAD", **index)
        _run("add", "--all", "--", ".", *OUTPUTS, **index)
        tree = _run("write-tree", **index)
        patch = _run("diff", "--binary", "--full-index", "HEAD", tree, **index)
    branch = _run("rev-parse", "--abbrev-ref", "HEAD")
    return {
        "commit": commit,
        "branch": branch,
        "tree": tree,
        "dirty": bool(patch),
    }, f"{patch}\n" if patch else ""


def _run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        ["git", *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip("\n")


def _data_dvc() -> str | None:
    path = ROOT / "data.dvc"
    return yaml.safe_load(path.read_text())["outs"][0]["md5"] if path.is_file() else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.is_file() else []
    return names[0].partition(": ")[2] if names else platform.processor()


def _device() -> str:
    """The GPU that torch sees, if the run uses torch at all."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name(0) if torch is not None and torch.cuda.is_available() else "cpu"
