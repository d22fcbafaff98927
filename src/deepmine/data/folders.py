"""Folders and files that a stage writes whole: by one process at a time, built beside their place, then renamed into it.

Temporary names are `.<name>.deepmine-*`. The next writer in the same folder clears away what a killed one left there.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock, Timeout

from deepmine import ROOT
from deepmine.config.errors import UserError

YOUNG = 60  # seconds: a file that is being written has its temporary name for less


@contextmanager
def locked(path: Path, patience: float = 3600, hint: str = "Try again later.") -> Iterator[None]:
    """Lock a file or folder; its holder may lock it again. UserError: another holds it after `patience` seconds."""
    file = _beside(path, "lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()  # fails at once where filelock would try again until its time is up
    with suppress(PermissionError):
        file.chmod(0o666)  # if we are killed, the next one may be another user
    lock = FileLock(file, is_singleton=True)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise UserError(f"{path} is being written by {file.read_text()}. {hint}") from None
    try:
        file.write_text(f"process {os.getpid()} since {datetime.now():%H:%M on %d %B}")
        _mend(path)
        yield
    finally:
        if lock.lock_counter == 1:
            _mend(path)
            file.unlink(missing_ok=True)  # filelock sees when the file that it waited for is gone
        lock.release()


def leftovers(root: Path, glob: str = "**/.*.deepmine-*") -> list[Path]:
    """The places below a folder beside which a killed writer left something; of one at work there is nothing."""
    places = set()
    for left in root.glob(glob):
        with suppress(FileNotFoundError):  # a living one has just ended
            if left.is_dir() or time.time() - left.stat().st_mtime > YOUNG:
                places.add(left.with_name(left.name[1:].rpartition(".deepmine-")[0]))
    return sorted(place for place in places if not _held(_beside(place, "lock")))


def clear(place: Path) -> None:
    """Remove what a killed writer left beside a place, and bring back what it had put aside."""
    with locked(place, 0):
        new = _beside(place, "new")
        shutil.rmtree(new) if new.is_dir() else new.unlink(missing_ok=True)


def sweep(parent: Path) -> None:
    """Clear away what killed writers left in a folder, as far as that is possible."""
    for place in leftovers(parent, ".*.deepmine-*"):
        with suppress(UserError, OSError):
            clear(place)


def _mend(path: Path) -> None:
    """Undo or complete a `replace` that did not come to its end."""
    if (old := _beside(path, "old")).is_dir():
        shutil.rmtree(old) if path.exists() else old.rename(path)


@contextmanager
def rebuilt(folder: Path, files: Mapping[str, str]) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `folder` if the block ends well."""
    require_ours(folder, files)
    sweep(folder.parent)
    with locked(folder):
        new = _beside(folder, "new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            yield new
            replace(folder, new, files)
        finally:
            shutil.rmtree(new, ignore_errors=True)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A new file to write, which takes the place of `path` if the block ends well: also a loss of power leaves one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = _beside(path, "new")
    try:
        yield new
        sync(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file to the disk, or all files below a folder."""
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file():
            with file.open("rb") as content:
                os.fsync(content.fileno())


def replace(folder: Path, new: Path, files: Mapping[str, str]) -> None:
    """Move `new` to the place of an older folder, whose lock the caller holds."""
    require_ours(folder, files)
    if folder.exists():
        folder.rename(_beside(folder, "old"))
    new.rename(folder)
    _mend(folder)


def require_ours(folder: Path, files: Mapping[str, str]) -> None:
    """A `UserError` unless a folder is absent, has no files, or holds `files` (globs) alone, one of them as marked."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else ["it"] * folder.exists()
    known = [*(name.partition("/")[0] for name in files), ".*.deepmine-*"]
    others = [name for name in names if not any(fnmatch(name, glob) for glob in known)]
    empty = not others and all(path.is_dir() and not path.is_symlink() for path in folder.rglob("*"))
    marks = [(path, text) for name, text in files.items() if text and (path := folder / name).is_file()]
    marked = any(text in path.read_text(errors="replace") for path, text in marks)
    if folder.is_symlink() or ROOT.is_relative_to(folder.resolve()) or others or not (marked or empty):
        found = ", ".join(others[:3]) or "it"
        raise UserError(f"{folder} is not replaced: Deepmine did not write {found}. Name another folder.")


def _held(lock: Path) -> bool:
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is closed
    except OSError as error:  # what cannot be told counts as held
        return not isinstance(error, FileNotFoundError)
    return False


def _beside(path: Path, ending: str) -> Path:
    whole = Path(os.path.abspath(path))
    return whole.parent / f".{whole.name}.deepmine-{ending}"
