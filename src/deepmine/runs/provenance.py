"""Where a run comes from: code, data, environment. With it and the data remote, a run can be built again."""

import os
import platform
import re
import sys
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deepmine import ROOT
from deepmine.config.errors import shown
from deepmine.data.digests import data_dvc, file_digest, folder_digest
from deepmine.runs import changes

PACKAGES = "deepmine dvc hydra-core mlflow numpy pandas pytorch-lightning scikit-learn scipy skops torch"


def collect(dataset: Path, digest: str, raw: Path, trial: Any = None, name: str = "") -> tuple[dict[str, Any], bytes]:
    """The provenance of a run that begins, and the patch of the uncommitted changes.

    `dataset` and `raw` are folders; `trial` is `{"sweep": ..., "number": ...}`; `name` of the folder given to the run.
    """
    git, patch = changes.collect()
    torch, cpu = sys.modules.get("torch"), _cpu()
    on = None if torch is None else torch.cuda.get_device_name(0) if torch.cuda.is_available() else cpu
    return {
        "record_id": uuid.uuid4().hex,
        "name": name,
        "command": [shown(word) for word in (Path(sys.argv[0]).name, *sys.argv[1:])],
        "trial": trial and dict(trial),
        "git": git,
        "data": {"raw": folder_digest(raw), "data.dvc": data_dvc(), "dataset": str(dataset), "digest": digest},
        "lock": file_digest(ROOT / "constraints.txt"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES.split()},
        "platform": platform.platform(),
        "cpu": cpu,
        "device": on,  # of a network, whose scores another kind of processor does not repeat
        "user": os.environ.get("USER", str(os.getuid())),  # a user of a container may have a number alone
    }, patch


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)", info.read_text(), re.MULTILINE) if info.is_file() else None
    return found[1] if found else platform.processor()
