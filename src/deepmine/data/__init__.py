"""Readers of raw data: plug-ins, one format each.

A reader is a function `read(folder, **settings) -> Raw`, named as `source._target_` in conf/data/<name>.yaml.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepmine.errors import UserError

RESTORE = ".venv/bin/dvc pull --force data.dvc"


class Raw(NamedTuple):
    """All rows of a source, before they are split.

    `X`: array `(n, ...)`, sparse or not, or pandas frame of `n` rows. `y`: `(n,)`, or None where there is no target.
    `rows`: `(n,)`, the id of each row, unique: texts, or int64 where the source names none. `parts`: `(n,)`, "train" or
    "test", where the source publishes a split. `facts`: what else the reader knows, for info.json: `columns`, their
    names, where `X` does not know them; `ledger`, what was read and joined, a list of `ledger.Entry`.
    """

    X: NDArray | object
    y: NDArray | None
    rows: NDArray
    parts: NDArray[np.str_] | None = None
    facts: Mapping[str, Any] = MappingProxyType({})


def raw_file(folder: Path, name: str) -> Path:
    """A raw file.

    Raises:
        UserError: it is not there.
    """
    path = folder / name
    if not path.is_file():
        raise UserError(f"{path} is not there. Restore what data.dvc lists: {RESTORE}")
    return path
