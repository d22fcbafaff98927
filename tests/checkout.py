"""The project that the tests work on: the code and settings of this checkout, with made-up data and experiments.

Imported before anything of the package, so that its `ROOT` is this folder: no test reads the data, the experiments or
the runs of the checkout, or writes to it; what must hold for those is in test_conf.py.
"""

import atexit
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import deepmine
import made_up

REPOSITORY = deepmine.ROOT
OWN = Path(__file__).parent / "conf"
ABSENT = ("conf/data/", "conf/experiment/", "conf/pipeline.yaml", "out/", "data.dvc", "dvc.lock")


def tracked() -> list[str]:
    """The files that git knows or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout.split(b"\0")
    return [name for name in map(os.fsdecode, names) if name and (REPOSITORY / name).is_file()]


def copy_checkout(folder: Path) -> None:
    """Copy the checkout as it is now, committed or not, as one commit, with its environment and raw data."""
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, folder / name)
    (folder / ".venv").symlink_to(REPOSITORY / ".venv")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    pull = [".venv/bin/dvc", "pull", "-q", "data.dvc"]
    for command in ([*git, "init", "-q"], [*git, "add", "-A"], [*git, "commit", "-qm", "start"], pull):
        subprocess.run(command, cwd=folder, check=True)


def make(folder: Path) -> Path:
    """Write the project to a folder."""
    for name in tracked():
        if not name.startswith(ABSENT):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    shutil.copytree(OWN, folder / "conf", dirs_exist_ok=True)
    config = folder / "conf/config.yaml"
    text = config.read_text()
    for group, name in {"data": "digits", "model": "mlp", "experiment@_global_": "digits_mlp"}.items():
        text = re.sub(rf"(?m)^  - {group}: .*", f"  - {group}: {name}", text)
    config.write_text(text)
    made_up.write(folder / "data")
    (folder / ".venv").symlink_to(REPOSITORY / ".venv")
    return folder


PROJECT = Path(tempfile.mkdtemp(prefix="project-"))
atexit.register(shutil.rmtree, PROJECT, ignore_errors=True)
deepmine.ROOT = make(PROJECT)
