"""The uncommitted changes of the repository: a patch for `git apply --index`, without large files and secrets.

Git works on an index and an object folder of its own, so that neither .git nor what a person has staged changes.
"""

import os
import re
import subprocess
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from deepmine import ROOT
from deepmine.data.digests import file_digest

WRITTEN = re.compile(r"out/|dvc\.lock$")  # by the stages, so no change of the code
LARGE = 2**20  # bytes
SECRET_NAMES = (
    ".env*",
    "*.pem",
    "*.key",
    "*.p12",
    "id_rsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "secrets*",
    "credentials*",
    ".netrc",
)
SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}"  # keys, AWS, Google
    rb"|\bgh[pousr]_\w{36}|\bgithub_pat_\w{40}|\bglpat-[\w-]{20}|\bpypi-[\w-]{50}"  # GitHub, GitLab, PyPI
    rb"|\bxox[abeoprs]-[\w-]{10}|\bhf_\w{30}|\bsk-[\w-]{20}|\beyJ[\w-]{10,}\.eyJ"  # Slack, Hugging Face, OpenAI, JWT
    rb"|://[^/\s:@]*:[^/\s@{}$<]+@"  # a URI with a password
    rb"|(?i:passw(or)?d|passwd|secret|token|api_?key|access_?key)[\"'\\]*\s*[:=]\s*"  # password = "...", or without quotes
    rb"(\\?[\"'][^\"'\\\s{}$<]{6,}\\?[\"']|[^\"'\s(){}\[\]$<>,.;]{6,}\s*$)",
    re.MULTILINE,
)


def collect() -> tuple[dict[str, Any], bytes]:
    """Commit, branch, tree and `left_out` of the repository, and the patch that makes the tree from the commit.

    `tree`: all files as they are now, but for those of `left_out`, which says why. Where git fails, `note` says why.
    """
    try:
        return _collect()
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        return {"commit": None, "note": said.decode(errors="replace").strip()}, b""


def _collect() -> tuple[dict[str, Any], bytes]:
    asked = ("--show-toplevel", "--git-path", "objects", "HEAD", "--abbrev-ref", "HEAD")
    top, objects, commit, branch = os.fsdecode(_git("rev-parse", *asked)).splitlines()
    if Path(top).resolve() != ROOT:
        return {"commit": None, "note": f"not a git repository of its own; it is part of {top}"}, b""
    changed = _git("diff", "--name-only", "--no-renames", "-z", "HEAD").split(b"\0")
    new = _git("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
    names = [name for name in dict.fromkeys(map(os.fsdecode, changed + new)) if name and not WRITTEN.match(name)]
    left_out = {name: why for name in names if (why := _why_left_out(name))}
    with tempfile.TemporaryDirectory() as folder:
        alone = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_OBJECT_DIRECTORY": folder,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(ROOT / objects),
        }
        _git("read-tree", "HEAD", **alone)
        kept = "\0".join(name for name in names if name not in left_out)
        _git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=os.fsencode(kept), **alone)
        tree = _git("write-tree", **alone).decode().strip()
        patch = _git("diff-tree", "-p", "--binary", "--full-index", "--no-ext-diff", "HEAD", tree, **alone)
    return {"commit": commit, "branch": branch, "tree": tree, "dirty": bool(names), "left_out": left_out}, patch


def _why_left_out(name: str) -> str | None:
    path = ROOT / name
    if any(fnmatch(part.lower(), glob) for part in Path(name).parts for glob in SECRET_NAMES):
        return "its name says that it holds secrets"
    if path.is_symlink() or not path.exists() or (path / ".git").exists() and not name.endswith("/"):
        return None
    if not path.is_file():
        return "not a regular file"
    if path.stat().st_size > LARGE:
        return f"over 1 MB, md5 {file_digest(path)}"
    before = set(_git("cat-file", "blob", f"HEAD:{name}", check=False).splitlines())
    added = b"\n".join(line for line in path.read_bytes().splitlines() if line not in before)
    return "it holds what looks like a secret" if SECRET.search(added) else None


def _git(*command: str, stdin: bytes = b"", check: bool = True, **environment: str) -> bytes:
    settings = {**os.environ, "LC_ALL": "C", **environment}
    return subprocess.run(
        ["git", *command], cwd=ROOT, env=settings, input=stdin, capture_output=True, check=check
    ).stdout
