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
from functools import partial
from pathlib import Path
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
DAMAGED = "{0} is damaged: a file is missing or changed. Make it again: rm -r {0} && make prepare data={1}"
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
        return Part(*(taken(values, index) for values in (self.X, self.y, self.rows, self.groups)))


@dataclass(frozen=True)
class Dataset:
    """Three parts and what is known about them; a `ValueError` if they break the contract."""

    info: dict[str, Any]
    train: Part
    val: Part
    test: Part

    def __post_init__(self) -> None:
        if not pd.Index(np.concatenate([part.rows for _, part in self.parts()])).is_unique:
            raise ValueError("a row id is in two parts, or twice in one")
        for name, part in self.parts():
            if problem := _problem(self.info["kind"], part):
                raise ValueError(f"part {name} of kind {self.info['kind']}: {problem}")

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Each part with its name, train first."""
        return ((name, getattr(self, name)) for name in PARTS)


def taken(values: Any, index: NDArray) -> Any:
    """Some rows of an array or a frame, by position or by a mask; None of None."""
    if values is None:
        return None
    return values.iloc[index].reset_index(drop=True) if hasattr(values, "iloc") else values[index]


def save(dataset: Dataset, folder: Path, more: Mapping[str, str] | None = None) -> None:
    """Write a data set, and `more` texts for people, by file name; an older one stays until the new one is whole."""
    with rebuilt(folder, FILES) as new:
        parts = new / "parts"
        parts.mkdir()
        for name, part in dataset.parts():
            _save_part(part, parts, name)
        sizes = {name: len(part) for name, part in dataset.parts()}
        info = {**dataset.info, "rows": sizes, "digest": folder_digest(parts)}
        (parts / "info.json").write_text(json.dumps(info, indent=2))
        for name, text in (more or {}).items():
            (new / name).write_text(text, encoding="utf-8")


def load(folder: Path) -> Dataset:
    """Read a data set that `save` wrote; a `UserError` if there is none, or its files are not those written."""
    info, parts = require_info(folder), folder / "parts"
    if folder_digest(parts, leave_out="info.json") != info["digest"]:
        raise UserError(DAMAGED.format(folder, info.get("name", folder.name)))
    return Dataset(info, *(_load_part(parts, name) for name in PARTS))


def require_info(folder: Path) -> dict[str, Any]:
    """info.json of a prepared data set; a `UserError` if there is none, or it is damaged."""
    path = folder / "parts/info.json"
    if not path.is_file():
        raise UserError(f"There is no prepared data set in {folder}. Make it: make prepare data={folder.name}")
    try:
        return json.loads(path.read_text())
    except ValueError:
        raise UserError(DAMAGED.format(folder, folder.name)) from None


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
    load: Any = {".parquet": pd.read_parquet, ".npz": sparse.load_npz, ".npy": partial(np.load, mmap_mode="r")}
    [X] = folder.glob(f"X_{name}.*")
    paths = {field: folder / f"{field}_{name}.npy" for field in ("y", "rows", "groups")}
    found: Any = {field: np.load(path) if path.is_file() else None for field, path in paths.items()}
    return Part(load[X.suffix](X), **found)


def _problem(kind: str, part: Part) -> str | None:
    """What is wrong with a part, or None."""
    if len(part) == 0:
        return "no rows"
    targets = len(part) if part.y is None else len(part.y)
    if not part.X.shape[0] == len(part) == targets:
        return f"{part.X.shape[0]} rows of X, {len(part)} ids, {targets} targets"
    if (kind == "table") != isinstance(part.X, pd.DataFrame):
        raise UserError(f"The reader gave a {type(part.X).__name__}, which is not data of kind {kind}. Correct `kind`.")
    if kind == "table":
        return None
    must = (*ARRAYS[kind], kind == "baskets")
    found = part.X.dtype.kind, part.X.ndim, sparse.issparse(part.X)
    return None if found == must else f"X is {found}, must be {must}: type of values, dimensions, sparse or not"
