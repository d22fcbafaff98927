"""Raw files from mirrors: each is there whole and right, or not at all."""

import gzip
import hashlib
import re
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pooch
import requests

from deepmine.config.errors import UserError
from deepmine.data.dataset import locked
from deepmine.data.raw import require_inside


def fetch(folder: Path, files: Mapping[str, str], mirrors: Sequence[str]) -> None:
    """Download the files that are missing; of several processes one does it and the others wait.

    `files`: the MD5 of each, by name; of a .gz file that of its content, which mirrors compress in different ways.
    `mirrors`: URLs or local folders, in the order in which they are tried; a file is at `<mirror>/<name>`.

    Raises:
        UserError: no mirror has a file, or a name is outside the folder.
    """
    missing = [name for name in files if not require_inside(folder / name, folder).is_file()]
    if missing:
        with locked(folder):
            for name in [name for name in missing if not (folder / name).is_file()]:
                _fetch(folder / name, [f"{mirror.rstrip('/')}/{name}" for mirror in mirrors], files[name])


def _fetch(path: Path, urls: Sequence[str], known: str) -> None:
    problems = []
    pooch.get_logger().setLevel("WARNING")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
        for url in urls:
            copy = None if re.match("https?://", url) else _copy
            try:
                found = Path(pooch.retrieve(url, None, path.name, scratch, downloader=copy, progressbar=copy is None))
                with (gzip.open if path.suffix == ".gz" else open)(found, "rb") as content:
                    if (md5 := hashlib.file_digest(content, "md5").hexdigest()) == known:
                        found.replace(path)
                        return
                problem = f"its MD5 is {md5} instead of {known}"
            except (OSError, EOFError, ValueError, zlib.error, requests.RequestException) as error:
                problem = str(error).partition("): ")[2] or str(error)
            problems.append(re.sub(r"//[^/@]*@", "//", f"  {url}: {problem}"))  # without user and password
    raise UserError(
        f"{path} could not be downloaded:\n" + "\n".join(problems) + "\nCheck the network and try again, or name a "
        "folder that holds the files: paths.mirrors=[/that/folder]"
    )


def _copy(path: str, to: str, _: object) -> None:
    shutil.copyfile(Path(path).expanduser(), to)
