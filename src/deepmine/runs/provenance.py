"""Where a run comes from: code, data, environment. With it and the data remote, a run can be built again.

Uncommitted changes are a patch for `git apply --index`, without large files and secrets. Git works on an index and an
object folder of its own, so neither .git nor what a person has staged changes.
"""

import getpass
import os
import platform
import re
import subprocess
import sys
import tempfile
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deepmine import ROOT
from deepmine.config.errors import shown
from deepmine.data.digests import data_dvc, file_digest, folder_digest

PACKAGES = "deepmine dvc hydra-core mlflow numpy pandas pytorch-lightning scikit-learn scipy skops torch"
OUTPUTS = re.compile(r"out/|dvc\.lock$")  # of the stages: no change of the code
LARGE = 2**20  # bytes
SECRET_NAMES = re.compile(r"(^|/)(\.env|id_(rsa|dsa|ecdsa|ed25519)|secrets|credentials|\.netrc)|\.(pem|key|p12)$", re.I)
SECRETS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}"  # keys, AWS, Google
    rb"|\bgh[pousr]_\w{36}|\bgithub_pat_\w{40}|\bglpat-[\w-]{20}|\bpypi-[\w-]{50}"  # GitHub, GitLab, PyPI
    rb"|\bxox[abeoprs]-[\w-]{10}|\bhf_\w{30}|\bsk-[\w-]{20}|\beyJ[\w-]{10,}\.eyJ"  # Slack, Hugging Face, OpenAI, JWT
    rb"|://[^/\s:@]*:[^/\s@{}$<]+@"  # a URI with a password
    rb"|(?i:passw(or)?d|passwd|secret|token|api_?key|access_?key)\\?[\"']?\s*[:=]\s*"  # password = ..., quoted or not
    rb"(\\?[\"'][^\"'\\\s{}$<]{6,}\\?[\"']|[^\"'\s(){}\[\]$<>,.;]{6,}\s*$)",
    re.MULTILINE,
)


def collect(dataset: Path, digest: str, raw: Path, trial: Any = None, name: str = "") -> tuple[dict[str, Any], bytes]:
    """The provenance of a run that begins, and the patch of the uncommitted changes; `dataset`, `raw` are folders."""
    repository, patch = code()
    around, torch = environment(), sys.modules.get("torch")
    on = None if torch is None else torch.cuda.get_device_name(0) if torch.cuda.is_available() else around["cpu"]
    return {
        "record_id": uuid.uuid4().hex,
        "name": name,
        "command": [shown(word) for word in (Path(sys.argv[0]).name, *sys.argv[1:])],
        "trial": trial and dict(trial),
        "git": repository,
        "data": {"raw": folder_digest(raw), "data.dvc": data_dvc(), "dataset": str(dataset), "digest": digest},
        **around,
        "device": on,  # of a network, whose scores another kind of processor does not repeat
        "user": _user(),
    }, patch


def environment() -> dict[str, Any]:
    """The lock file, what is installed, and the kind of processor."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.is_file() else ""
    found = re.search(r"^model name\s*: (.*)", text, re.MULTILINE)
    return {
        "lock": file_digest(ROOT / "constraints.txt"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES.split()},
        "platform": platform.platform(),
        "cpu": found[1] if found else platform.processor(),
        "vector_units": " ".join(sorted({*re.findall(r"\b(?:amx|avx|fma|sse4|sve)\w*", text)})),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user of a container may have a number alone
        return str(os.getuid())


def code() -> tuple[dict[str, Any], bytes]:
    """Commit, branch, tree and `left_out` of the repository, and the patch that makes the tree from the commit.

    `tree` is all files as they are now, but for those of `left_out`, which says why. Where git fails, `note` says how.
    """
    try:
        asked = git("rev-parse", "--show-toplevel", "--git-path", "objects", "HEAD", "--abbrev-ref", "HEAD")
        top, objects, commit, branch = os.fsdecode(asked).splitlines()
        if Path(top).resolve() != ROOT:
            return {"commit": None, "note": f"not a git repository of its own: it is in that of {top}"}, b""
        changed = git("diff", "--name-only", "--no-renames", "-z", "HEAD")
        untracked = git("ls-files", "--others", "--exclude-standard", "-z")
        names = {name for name in os.fsdecode(changed + untracked).split("\0") if name and not OUTPUTS.match(name)}
        left_out = {name: why for name in sorted(names) if (why := _why_left_out(name))}
        with tempfile.TemporaryDirectory() as folder:
            alone = {"GIT_INDEX_FILE": f"{folder}/index", "GIT_OBJECT_DIRECTORY": folder}
            alone["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(ROOT / objects)
            kept = os.fsencode("\0".join(sorted(names - left_out.keys())))
            git("read-tree", "HEAD", settings=alone)
            git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", settings=alone, stdin=kept)
            tree = git("write-tree", settings=alone).decode().strip()
            patch = git("diff-tree", "-p", "--binary", "--full-index", "--no-ext-diff", "HEAD", tree, settings=alone)
        return {"commit": commit, "branch": branch, "tree": tree, "dirty": bool(names), "left_out": left_out}, patch
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        return {"commit": None, "note": said.decode(errors="replace").strip()}, b""


def _why_left_out(name: str) -> str | None:
    path = ROOT / name
    if SECRET_NAMES.search(name):
        return "its name says that it holds secrets"
    if path.is_symlink() or not path.exists() or (path.is_dir() and not name.endswith("/")):
        return None  # a link, a file that is gone or a folder now, a submodule
    if not path.is_file():
        return "not a file"  # but a repository or a pipe
    if path.stat().st_size > LARGE:
        return f"over 1 MB, md5 {file_digest(path)}"
    before = set(git("cat-file", "blob", f"HEAD:{name}", check=False).splitlines())
    added = b"\n".join(line for line in path.read_bytes().splitlines() if line not in before)
    return "it holds what looks like a secret" if SECRETS.search(added) else None


def git(*command: str, at: Path | None = None, settings: Any = (), stdin: bytes = b"", check: bool = True) -> bytes:
    """What git says in this checkout or another; `settings` are added to its environment."""
    env = {**os.environ, "LC_ALL": "C", **dict(settings)}
    told = subprocess.run(["git", *command], cwd=at or ROOT, env=env, input=stdin, capture_output=True, check=check)
    return told.stdout
