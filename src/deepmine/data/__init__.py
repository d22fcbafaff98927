"""Readers of raw data: plug-ins, one format each.

A reader is a function `read(folder, **settings) -> Raw`, named as `source._target_` in conf/data/<name>.yaml.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepmine.errors import UserError

RESTORE = ".venv/bin/dvc pull --force data.dvc"


class Raw(NamedTuple):
    """All rows of a source, before they are split.

    `X`: array `(n, ...)`, sparse or not, or pandas frame of `n` rows. `y`: `(n,)`, or None where there is no target.
    `rows`: `(n,)`, the id of each row, unique. `columns`: their names, where `X` does not know them.
    """

    X: NDArray | object
    y: NDArray | None
    rows: NDArray[np.str_]
    columns: list[str] | None = None


def raw_file(folder: Path, name: str) -> Path:
    """A raw file.

    Raises:
        UserError: it is not there.
    """
    path = folder / name
    if not path.is_file():
        raise UserError(f"{path} is not there. Restore what data.dvc lists: {RESTORE}")
    return path
