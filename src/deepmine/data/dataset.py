"""The data set: what every model gets, in memory and on disk, whatever kind of data it was made from.

| kind     | X                                                                    |
|----------|----------------------------------------------------------------------|
| image    | uint8 `(n, channels, height, width)`                                 |
| sequence | float32 `(n, steps, features)`, NaN after the end of a shorter one   |
| text     | str `(n,)`                                                           |
| table    | pandas frame, float64 and text columns                               |
| baskets  | uint8 `(n, items)`, sparse (CSR), 1 where the basket holds the item  |

In `<data set>/parts/` are, for each of train, val and test, `X_<part>.npy` (memory-mapped when loaded), .parquet or
.npz (sparse), and `y_`, `rows_`, `groups_<part>.npy`; and info.json, with their digest.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from deepmine.config.errors import UserError
from deepmine.data.digests import folder_digest
from deepmine.data.folders import rebuilt

PARTS = ("train", "val", "test")
FILES = {"parts/info.json": '"digest"', "*.json": "", "*.csv": "", "*.html": ""}  # of a data set, for `rebuilt`
ARRAYS = {"image": ("u", 4), "sequence": ("f", 3), "text": ("U", 1), "baskets": ("u", 2)}  # type of values, dimensions


@dataclass(frozen=True)
class Part:
    """Some rows of a data set, in the same order: features, target and row ids; groups where the split keeps them."""

    X: Any
    y: Any  # NDArray or None
    rows: NDArray  # texts, or the numbers of the rows in the source
    groups: NDArray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray) -> "Part":
        """Some of the rows, by number."""
        X = self.X.iloc[index].reset_index(drop=True) if hasattr(self.X, "iloc") else self.X[index]
        y, groups = (None if values is None else values[index] for values in (self.y, self.groups))
        return Part(X, y, self.rows[index], groups)


@dataclass(frozen=True)
class Dataset:
    """Three parts and what is known about them.

    Raises:
        ValueError: the parts break the contract.
    """

    info: dict[str, Any]
    train: Part
    val: Part
    test: Part

    def __post_init__(self) -> None:
        if not pd.Index(np.concatenate([part.rows for _, part in self.parts()])).is_unique:
            raise ValueError("a row id is in two parts, or twice in one")
        for name, part in self.parts():
            problem = _problem(self.info["kind"], part)
            if problem:
                raise ValueError(f"part {name} of kind {self.info['kind']}: {problem}")

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Each part with its name, train first."""
        return ((name, getattr(self, name)) for name in PARTS)


def save(dataset: Dataset, folder: Path, more: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write a data set; an older one in the same place stays until the new one is whole.

    Args:
        dataset: what to write.
        folder: where.
        more: the text of other files, by name: how the data were made, for people. No model reads them.
    """
    with rebuilt(folder, FILES) as new:
        parts = new / "parts"
        parts.mkdir()
        for name, part in dataset.parts():
            _save_part(part, parts, name)
        sizes = {name: len(part) for name, part in dataset.parts()}
        info = {**dataset.info, "rows": sizes, "digest": folder_digest(parts)}
        (parts / "info.json").write_text(json.dumps(info, indent=2))
        for name, text in more.items():
            (new / name).write_text(text, encoding="utf-8")


def load(folder: Path) -> Dataset:
    """Read a data set that `save` wrote.

    Raises:
        UserError: there is none, or its files are not those that were written.
    """
    info, parts = require_info(folder), folder / "parts"
    if folder_digest(parts, leave_out="info.json") != info["digest"]:
        raise UserError(
            f"{folder} is damaged: a file in it is missing, or not as it was written. Delete it and make it again: "
            f"rm -r {folder} && make prepare data={info.get('name', folder.name)}"
        )
    return Dataset(info, *(_load_part(parts, name) for name in PARTS))


def read_info(folder: Path) -> dict[str, Any] | None:
    """info.json of a prepared data set, or None where there is none.

    Raises:
        UserError: it is damaged.
    """
    path = folder / "parts/info.json"
    try:
        return json.loads(path.read_text()) if path.is_file() else None
    except ValueError:
        raise UserError(f"{path} is damaged. Delete the data set, then prepare it again: rm -r {folder}") from None


def require_info(folder: Path) -> dict[str, Any]:
    """info.json of a prepared data set.

    Raises:
        UserError: there is none, or it is damaged.
    """
    info = read_info(folder)
    if info is None:
        raise UserError(f"There is no prepared data set in {folder}. Make it: make prepare data={folder.name}")
    return info


def _save_part(part: Part, folder: Path, name: str) -> None:
    if isinstance(part.X, pd.DataFrame):
        part.X.to_parquet(folder / f"X_{name}.parquet")
    elif sparse.issparse(part.X):
        sparse.save_npz(folder / f"X_{name}.npz", part.X)
    else:
        np.save(folder / f"X_{name}.npy", part.X)
    for field in ("y", "rows", "groups"):
        if getattr(part, field) is not None:
            np.save(folder / f"{field}_{name}.npy", getattr(part, field), allow_pickle=False)


def _load_part(folder: Path, name: str) -> Part:
    X = next(_load_X(path) for path in folder.glob(f"X_{name}.*"))
    paths = {field: folder / f"{field}_{name}.npy" for field in ("y", "rows", "groups")}
    found: Any = {field: np.load(path) if path.is_file() else None for field, path in paths.items()}
    return Part(X, **found)


def _load_X(path: Path) -> Any:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return sparse.load_npz(path) if path.suffix == ".npz" else np.load(path, mmap_mode="r")


def _problem(kind: str, part: Part) -> str | None:
    """What is wrong with a part, or None."""
    if len(part) == 0:
        return "no rows"
    n = part.X.shape[0]
    if n != len(part) or (part.y is not None and len(part.y) != len(part)):
        return f"{n} rows of X, {len(part)} ids, {None if part.y is None else len(part.y)} targets"
    if (kind == "table") != isinstance(part.X, pd.DataFrame):
        raise UserError(f"The reader gave a {type(part.X).__name__}, which is not data of kind {kind}. Correct `kind`.")
    if kind == "table":
        return None
    values, dimensions = ARRAYS[kind]
    if sparse.issparse(part.X) != (kind == "baskets"):
        return f"X is {type(part.X).__name__}; baskets are sparse (CSR), other arrays are not"
    if part.X.dtype.kind != values or part.X.ndim != dimensions:
        return f"X is {part.X.dtype} with {part.X.ndim} dimensions; it must be of type {values!r} with {dimensions}"
    return None
