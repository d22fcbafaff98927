"""Digests of files and folders, as DVC counts them; and whether raw files are those that data.dvc lists."""

import json
import sys
import time
from functools import cache
from hashlib import file_digest as hashed
from hashlib import md5
from os.path import relpath
from pathlib import Path

import yaml
from pathspec import GitIgnoreSpec

from deepmine import ROOT
from deepmine.data.progress import progress

RACY = 2 * 10**9  # nanoseconds; what changed so recently may change again within the same time stamp


def file_digest(path: Path) -> str:
    """MD5 of a file, which is read once in a process while its size and times stay the same."""
    stat = path.stat()
    racy = stat.st_ctime_ns > time.time_ns() - RACY
    return (_md5.__wrapped__ if racy else _md5)(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@cache
def _md5(path: Path, size: int, *times: int) -> str:
    with path.open("rb") as file:
        return hashed(file, lambda: md5(usedforsecurity=False)).hexdigest()


def folder_digest(folder: Path, leave_out: str = "") -> str:
    """The md5 of all files below a folder but one, as in .dvc files: dvc-data, `hashfile/tree.py`."""
    found = sorted(file_digests(folder).items(), key=lambda entry: entry[0].split("/"))
    entries = [{"md5": digest, "relpath": name} for name, digest in found if name != leave_out]
    return md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def file_digests(folder: Path) -> dict[str, str]:
    """MD5 of each file below a folder, by its path there; what .dvcignore names only if it is the folder itself."""
    ignored = GitIgnoreSpec.from_lines((ROOT / ".dvcignore").read_text(encoding="utf-8").splitlines())
    whole = ignored.match_file(relpath(folder, ROOT))
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in progress(f"checking {folder}", iterable=list(folder.rglob("*")))
        if path.is_file() and path.name != ".gitignore" and (whole or not ignored.match_file(relpath(path, ROOT)))
    }


def data_dvc() -> str | None:
    """The md5 that data.dvc gives for all of data/."""
    path = ROOT / "data.dvc"
    return yaml.safe_load(path.read_text())["outs"][0]["md5"] if path.is_file() else None


@cache
def compare_with_dvc(folder: Path) -> None:
    """Say once, on stderr, which raw files of a data set are not those that data.dvc lists."""
    whole, data, below = data_dvc(), (ROOT / "data").resolve(), f"{folder.resolve().name}/"
    if whole is None or folder.resolve().parent != data:
        return
    listing, differ = ROOT / ".dvc/cache/files/md5" / whole[:2] / whole[2:], []
    if listing.is_file():
        files = {file["relpath"]: file["md5"] for file in json.loads(listing.read_text())}
        listed = {path.removeprefix(below): digest for path, digest in files.items() if path.startswith(below)}
        found = file_digests(folder) if listed else {}  # else it is new, or downloaded
        for path in sorted({path for path, _ in listed.items() ^ found.items()}):
            differ.append(f"{path} ({'added' if path not in listed else 'changed' if path in found else 'missing'})")
    elif folder_digest(data) != whole:  # the cache is elsewhere
        differ = ["see .venv/bin/dvc data status --granular"]
    if differ:
        said = f"warning: {folder} is not as data.dvc lists it: {', '.join(differ[:5])}{', ...' * bool(differ[5:])}."
        help = f"Your change? .venv/bin/dvc add data. Damage? rm -r {folder} && .venv/bin/dvc pull --force data.dvc"
        print(said, help, file=sys.stderr)
