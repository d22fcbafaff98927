"""Readers of raw data: plug-ins, one format each.

A reader is a function `read(folder, **settings) -> Raw`, named as `source._target_` in conf/data/<name>.yaml.
"""

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError, nearest

RESTORE = ".venv/bin/dvc pull --force data.dvc"


class Raw(NamedTuple):
    """All rows of a source, before they are split.

    `X`: array `(n, ...)`, sparse or not, or pandas frame of `n` rows. `y`: `(n,)`, or None where there is no target.
    `rows`: `(n,)`, the id of each row, unique: texts, or int64 where the source names none. `parts`: `(n,)`, "train"
    or "test", where the source publishes a split. `facts`: what else the reader knows, for info.json: `columns`, their
    names, where `X` does not know them; and `ledger`, the entries of what it did. `groups`, `times`: `(n,)`, what keeps
    rows together and what orders them, where the split goes by it.
    """

    X: Any
    y: NDArray | None
    rows: NDArray
    parts: NDArray[np.str_] | None = None
    facts: Mapping[str, Any] = MappingProxyType({})
    groups: NDArray | None = None
    times: NDArray | None = None

    def take(self, index: NDArray) -> "Raw":
        """Some of the rows, by number or by a mask."""

        def some(values: Any) -> Any:
            if values is None:
                return None
            return values.iloc[index].reset_index(drop=True) if hasattr(values, "iloc") else values[index]

        return self._replace(
            **{field: some(getattr(self, field)) for field in ("X", "y", "rows", "parts", "groups", "times")}
        )


def published(X: NDArray, y: NDArray | None, X_test: NDArray, y_test: NDArray | None) -> Raw:
    """The rows of a source that publishes its test rows apart; the id of a row is `train-` or `test-` and its place.

    Raises:
        UserError: rows of the two parts have another shape, or only one of them has a target.
    """
    if X.shape[1:] != X_test.shape[1:] or (y is None) != (y_test is None):
        raise UserError(
            f"Rows to train have shape {X.shape[1:]} and {'no' if y is None else 'a'} target, those to test "
            f"{X_test.shape[1:]} and {'no' if y_test is None else 'a'} target; wanted the same for both."
        )
    numbers = np.concatenate([np.arange(len(X)), np.arange(len(X_test))])
    parts = np.repeat(["train", "test"], [len(X), len(X_test)])
    rows = np.array([f"{part}-{number}" for part, number in zip(parts, numbers, strict=True)])
    return Raw(np.concatenate([X, X_test]), None if y is None else np.concatenate([y, y_test]), rows, parts)


def raw_file(folder: Path, name: str) -> Path:
    """A raw file.

    Raises:
        UserError: it is not there, or not below the folder.
    """
    return raw_files(folder, name)[0]


def raw_files(folder: Path, name: str) -> list[Path]:
    """The raw file of this name, or all that a pattern (`part-*.csv`) fits, sorted.

    Raises:
        UserError: there is none, or it would lie elsewhere.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UserError(
            f"{name} lies outside {folder}, so no version of it is kept and no stage notices a change. Copy it there."
        )
    if (folder / name).is_file():
        return [folder / name]
    if paths := sorted(path for path in folder.glob(name) if path.is_file()):
        return paths
    raise UserError(f"{folder / name} is not there. Restore what data.dvc lists: {RESTORE}")


def read_csv(path: Path, columns: Iterable[str] = (), **options: Any) -> pd.DataFrame:
    """A CSV file with a header, packed or not, by pandas.

    Raises:
        UserError: it cannot be read, or has not these columns.
    """
    try:
        frame = pd.read_csv(path, **options)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path} cannot be read as a table: {error}".splitlines()[0]) from None
    for column in columns:
        if column not in frame:
            raise UserError(f"{path} has no column `{column}`. {nearest(column, frame.columns)}")
    return frame
