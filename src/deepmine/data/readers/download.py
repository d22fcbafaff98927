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

from deepmine.config.errors import UserError, shown
from deepmine.data.folders import locked
from deepmine.data.progress import progress
from deepmine.data.raw import require_inside


def fetch(folder: Path, files: Mapping[str, str], mirrors: Sequence[str]) -> None:
    """Download the files that are missing; of several processes one does it and the others wait.

    `files`: the MD5 of each, by name; of a .gz file that of its content, which mirrors compress in different ways.
    `mirrors`: URLs or local folders, tried in this order; a file is at `<mirror>/<name>`.
    """
    if not all(require_inside(folder / name, folder).is_file() for name in files):
        pooch.get_logger().setLevel("WARNING")
        with locked(folder):
            for name, known in files.items():
                if not (folder / name).is_file():
                    _fetch(folder / name, [f"{mirror.rstrip('/')}/{name}" for mirror in mirrors], known)


def _fetch(path: Path, urls: Sequence[str], known: str) -> None:
    said = f"{path} could not be downloaded:\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
        found = Path(scratch, "found")
        for url in urls:
            try:
                if re.match("https?://", url):
                    bar = progress(f"downloading {path.name}", 1, unit="B")
                    pooch.HTTPDownloader(progressbar=bar)(url, found, None)
                else:
                    shutil.copyfile(Path(url).expanduser(), found)
                with (gzip.open if path.suffix == ".gz" else open)(found, "rb") as content:
                    md5 = hashlib.file_digest(content, "md5").hexdigest()
                if md5 == known:
                    found.chmod(0o644)  # temporary files are private
                    found.replace(path)
                    return
                problem = f"its MD5 is {md5} instead of {known}"
            except (OSError, EOFError, ValueError, zlib.error, requests.RequestException) as error:
                problem = str(error)
            said += shown(f"  {url}: {problem}\n")
    raise UserError(f"{said}Check the network, or name a folder that holds the files: paths.mirrors=[/that/folder]")
