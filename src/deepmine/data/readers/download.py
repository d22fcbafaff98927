"""Raw files from the network: from the first mirror that has them, resumed where a connection broke, and checked.

A file grows beside its place as `<name>.part`, and gets its name when it is whole and its checksum right. Pooch, the
usual library, starts again after every break and knows one address for each file.
"""

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from urllib3.exceptions import HTTPError as BrokenStream
from urllib3.util import Retry

from deepmine.config.errors import UserError
from deepmine.data.digests import file_digest
from deepmine.data.folders import locked

TRIES = 5  # connections to one mirror for one file; each goes on where the last one broke
TIMEOUT = (10, 30)  # seconds, to connect and between two pieces
BUSY = Retry(total=3, connect=1, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504),
             raise_on_status=False, respect_retry_after_header=False)  # fmt: skip


def fetch(folder: Path, files: Mapping[str, str], mirrors: Sequence[str]) -> None:
    """Bring those files that are not there; of several processes one does it and the others wait.

    Args:
        folder: where they belong.
        files: the name of each, and its MD5: of the file, or of what a .gz file holds, which is the same on every
            mirror however it was compressed.
        mirrors: URLs or local folders, in the order in which they are tried; a file is at `<mirror>/<name>`.

    Raises:
        UserError: no mirror has a file as it should be, or it cannot be written.
    """
    if all((folder / name).is_file() for name in files):
        return
    with locked(folder), requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=BUSY))
        for name, md5 in files.items():
            if not (folder / name).is_file():
                _fetch(folder, name, md5, mirrors, session)


def _fetch(folder: Path, name: str, md5: str, mirrors: Sequence[str], session: requests.Session) -> None:
    path, part, problems = folder / name, folder / f"{name}.part", []
    try:
        for mirror in mirrors:
            if mirror.startswith(("http://", "https://")):
                problem = _gather(f"{mirror.rstrip('/')}/{name}", part, md5, session)
            else:
                problem = _copy(Path(mirror).expanduser() / name, part, md5)
            if problem is None:
                part.replace(path)
                return
            problems.append(f"  {mirror}: {problem}")
    except OSError as error:
        free = f"; {shutil.disk_usage(path.parent).free / 1e6:.0f} MB are free there" if path.parent.is_dir() else ""
        raise UserError(
            f"{error.filename or path} cannot be read or written ({error.strerror}{free}). Make room or see to its "
            "rights, and start again: what came so far is kept."
        ) from None
    raise UserError(
        f"{path} could not be downloaded:\n" + "\n".join(problems) + "\nCheck the network and start again: what came "
        "so far is kept. Or get the files of this set another way and name the folder where they lie: "
        "paths.mirrors=[/that/folder]"
    )


def _gather(url: str, part: Path, md5: str, session: requests.Session) -> str | None:
    """Load what is missing of a file; what is wrong with it or with the server, or None."""
    problem = None
    for _ in range(TRIES):
        resumed = part.is_file()
        try:
            _append(url, part, session)
        except requests.HTTPError as error:
            return f"{error.response.status_code} {error.response.reason}"
        except requests.RequestException as error:
            reason = getattr(error.args[0], "reason", error) if error.args else error
            return str(reason).partition("): ")[2] or str(reason)  # without the name of the connection
        except BrokenStream:
            problem = f"the connection broke {TRIES} times"
            continue
        problem = _wrong(part, md5)
        if problem is None or not resumed:  # else what was there may have been the beginning of another file
            break
    return problem


def _append(url: str, part: Path, session: requests.Session) -> None:
    begin = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begin}-"} if begin else {})
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if begin and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # there is no more
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            begin = 0  # the server sends the whole
        length = response.headers.get("Content-Length")
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab" if begin else "wb") as file, _progress() as progress:
            bar = progress.add_task(part.stem, total=begin + int(length) if length else None, completed=begin)
            for piece in response.raw.stream(2**16, decode_content=False):
                file.write(piece)
                progress.advance(bar, len(piece))


def _copy(source: Path, part: Path, md5: str) -> str | None:
    """Take a file from a folder; what is wrong with it, or None."""
    if not source.is_file():
        return "no such file"
    part.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, part)
    return _wrong(part, md5)


def _wrong(part: Path, md5: str) -> str | None:
    """None for a file that is as it should be; any other is removed."""
    found = [file_digest(part)]
    if part.stem.endswith(".gz"):
        try:
            with gzip.open(part) as content:
                found.append(hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest())
        except (EOFError, gzip.BadGzipFile, zlib.error):
            pass
    if md5 in found:
        return None
    part.unlink()
    return f"sent another file: its MD5 is {' or, unpacked, '.join(found)}, wanted {md5}"


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
