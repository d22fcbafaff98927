"""What a reader gives, and how it finds its files.

A reader is a function `read(folder, **settings) -> Raw`, named as `source._target_` in conf/data/<name>.yaml.
"""

import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError, nearest
from deepmine.data.dataset import taken

RESTORE = ".venv/bin/dvc pull --force data.dvc"
IN_CACHE = re.compile(r"/files/md5/[0-9a-f]{2}/[0-9a-f]{30}$")  # DVC may link from data/ into its cache


class Raw(NamedTuple):
    """All rows of a source, before the split."""

    X: Any  # array (n, ...), sparse or not, or a pandas frame
    y: NDArray | None  # (n,)
    rows: NDArray  # (n,), unique ids: text, or int64 where the source has none
    parts: NDArray[np.str_] | None = None  # (n,), "train" or "test", where the source publishes a split
    facts: Mapping[str, Any] = MappingProxyType({})  # for info.json, and the `ledger` of the reader
    groups: NDArray | None = None  # (n,), with `times` where the split goes by them
    times: NDArray | None = None

    def take(self, index: NDArray) -> "Raw":
        """Some of the rows, by position or by a mask."""
        return Raw(*(values if name == "facts" else taken(values, index) for name, values in self._asdict().items()))


def require_inside(path: Path, folder: Path) -> Path:
    """The path; a `UserError` if it is outside the folder, or a link to anywhere else but DVC's cache."""
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()) and not IN_CACHE.search(str(real)):
        raise UserError(f"{path} is outside {folder}, so no version of it is kept. Copy it into {folder}.")
    return path


def raw_files(folder: Path, name: str) -> list[Path]:
    """The file, or all that match a pattern (`part-*.csv`), sorted; a `UserError` if there is none below the folder."""
    path = require_inside(folder / name, folder)
    found = [path] if path.is_file() else sorted(path for path in folder.glob(name) if path.is_file())
    if not found:
        raise UserError(f"{path} is not there. Restore what data.dvc lists: {RESTORE}")
    return [require_inside(path, folder) for path in found]


def read_csv(path: Path, columns: Iterable[str] = (), **options: Any) -> pd.DataFrame:
    """A CSV file by pandas; a `UserError` if it is damaged or lacks one of these columns."""
    try:
        frame = pd.read_csv(path, **options)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path} is damaged, or is not a CSV file in UTF-8: {error}".splitlines()[0]) from None
    for column in columns:
        if column not in frame:
            raise UserError(f"{path} has no column `{column}`. {nearest(column, frame.columns)}")
    return frame
