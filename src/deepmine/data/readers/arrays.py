"""Arrays that NumPy saved: `.npy`, mapped into memory instead of loaded, or `.npz`, which holds several by name."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError, nearest
from deepmine.data.raw import Raw, published, raw_file

DAMAGED = (ValueError, OSError, EOFError, RuntimeError, TokenError, zipfile.BadZipFile, zlib.error)  # to NumPy
MUST = {
    "image": "integers 0 to 255 in 4 dimensions, such as (X * 255).round().astype('uint8')",
    "sequence": "numbers in 3 dimensions, without missing or infinite ones before the NaN that mark an end",
    "table": "numbers in 2 dimensions",
}


def read(
    folder: Path,
    kind: Literal["image", "sequence", "table"],  # ${data.kind}
    X: str,  # a file, `digits.npy`, or an array in a file of several, `digits.npz:images`
    y: str | None = None,  # the target of each row, (n,)
    X_test: str | None = None,  # the test rows of a published split
    y_test: str | None = None,
    columns: Sequence[str] | None = None,  # names of the features; None: x0, x1, ...
) -> Raw:
    """The arrays in the shape that a data set of this kind needs; a row's id is its place in the file.

    `image`: integers 0 to 255, `(n, height, width)`, or with 1, 3 or 4 channels as second or last axis. `sequence`:
    numbers `(n, steps, features)` or `(n, steps)`, NaN after the end of a shorter one. `table`: numbers `(n, columns)`.
    A `UserError` if a file is damaged, holds Python objects (pickles), or something else.
    """
    train = _pair(folder, kind, X, y)
    raw = Raw(*train, np.arange(len(train[0])).astype(str))
    raw = raw if X_test is None else published(*train, *_pair(folder, kind, X_test, y_test))
    if kind == "image":
        return raw
    names = [f"x{n}" for n in range(raw.X.shape[-1])] if columns is None else list(columns)
    if len(names) != raw.X.shape[-1] or len(set(names)) < len(names):
        raise UserError(
            f"`data.source.columns` must be {raw.X.shape[-1]} different names, one for each feature of {X}."
        )
    return (
        raw._replace(X=pd.DataFrame(raw.X, columns=names))
        if kind == "table"
        else raw._replace(facts={"columns": names})
    )


def _pair(folder: Path, kind: str, X_name: str, y_name: str | None) -> tuple[NDArray, NDArray | None]:
    X = _array(folder, X_name)
    shaped = _shaped(X, kind)
    if shaped is None:
        raise UserError(f"{X_name} must hold {MUST[kind]}, but holds {X.dtype} of shape {X.shape}.")
    if y_name is None:
        return shaped, None
    y = _array(folder, y_name)
    if (
        y.shape not in ((len(X),), (len(X), 1))
        or y.dtype.kind not in "buifUS"
        or (y.dtype.kind == "f" and not np.isfinite(y).all())
    ):
        raise UserError(
            f"{y_name} must hold one finite number or text for each of the {len(X)} rows, but holds {y.dtype} of shape "
            f"{y.shape}. If it has a column of 0 and 1 for each class, save y.argmax(axis=1)."
        )
    return shaped, y.reshape(-1).astype({"b": int, "u": int, "i": int, "S": str}.get(y.dtype.kind, y.dtype))


def _array(folder: Path, name: str) -> NDArray:
    file, _, key = name.partition(":")
    path = raw_file(folder, file)
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        held = {"": stored} if isinstance(stored, np.ndarray) else stored
        if key in held or (not key and len(held) == 1):
            return held[key or next(iter(held))]
    except DAMAGED:
        raise UserError(
            f"{path} is damaged, or holds Python objects (pickles), which are never read. Save it again."
        ) from None
    raise UserError(f"`{name}` is not an array of {path}. {nearest(name, [f'{file}:{n}'.rstrip(':') for n in held])}")


def _shaped(X: NDArray, kind: str) -> NDArray | None:
    """The array in the shape and type of its kind; None if it has another."""
    X = X[:, None] if kind == "image" and X.ndim == 3 else X[:, :, None] if kind == "sequence" and X.ndim == 2 else X
    if X.dtype.kind not in "buif" or X.ndim != {"image": 4, "sequence": 3, "table": 2}[kind] or X.size == 0:
        return None
    if kind == "image":
        X = X.transpose(0, 3, 1, 2) if X.shape[1] not in (1, 3, 4) and X.shape[3] in (1, 3, 4) else X
        whole = X.dtype == np.uint8 or (X.dtype.kind != "f" and X.min() >= 0 and X.max() <= 255)
        return X.astype(np.uint8, copy=False) if whole else None
    if kind == "table":
        return X.astype(np.float64, copy=False)
    ended = np.isnan(X).all(axis=2)
    whole = (
        (np.isfinite(X).all(axis=2) | ended).all() and (ended[:, :-1] <= ended[:, 1:]).all() and not ended[:, 0].any()
    )
    return X.astype(np.float32, copy=False) if whole else None
