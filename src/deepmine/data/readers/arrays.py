"""Arrays that NumPy saved: `.npy`, mapped into memory instead of loaded, or `.npz`, which holds several by name."""

import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError, nearest
from deepmine.data.raw import Raw, published, raw_file

CHANNELS = (1, 3, 4)
UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, TokenError, zipfile.BadZipFile, zlib.error)  # by NumPy


def read(
    folder: Path,
    kind: Literal["image", "sequence", "table"],
    X: str,
    y: str | None = None,
    X_test: str | None = None,
    y_test: str | None = None,
    columns: Sequence[str] | None = None,
) -> Raw:
    """The arrays as the data set contract wants them; a row's id is its place in the file.

    Args:
        folder: where the files lie.
        kind: that of the data set, `${data.kind}`. `image`: integers 0 to 255, `(n, height, width)`, or with 1, 3 or
            4 channels as second or last axis; `sequence`: numbers `(n, steps, features)` or `(n, steps)`, NaN after
            the end of a shorter one; `table`: numbers `(n, columns)`.
        X: a file, `digits.npy`, or an array in a file of several, `digits.npz:images`.
        y: the target of each row, `(n,)`.
        X_test: the test rows of a published split.
        y_test: their target.
        columns: names of the features of a table or sequence; None: x0, x1, ...

    Raises:
        UserError: a file cannot be read, holds Python objects, or not what `kind` says.
    """
    rows, target = _pair(folder, kind, X, y)
    raw = Raw(rows, target, np.arange(len(rows)).astype(str))
    if X_test is not None:
        raw = published(rows, target, *_pair(folder, kind, X_test, y_test))
    if kind == "image":
        return raw
    n_features = rows.shape[-1]
    names = [f"x{number}" for number in range(n_features)] if columns is None else list(columns)
    if len(names) != n_features or len(set(names)) != n_features:
        raise UserError(f"`data.source.columns` has {len(set(names))} names for the {n_features} features of {X}.")
    if kind == "table":
        return raw._replace(X=pd.DataFrame(np.asarray(raw.X), columns=names))
    return raw._replace(facts={"columns": names})


def _pair(folder: Path, kind: str, X: str, y: str | None) -> tuple[NDArray, NDArray | None]:
    shaped: Callable[[str, NDArray], NDArray] = {"image": _image, "sequence": _sequence, "table": _table}[kind]
    rows = shaped(X, _array(folder, X))
    return rows, None if y is None else _target(y, _array(folder, y), len(rows))


def _array(folder: Path, name: str) -> NDArray:
    file, _, key = name.partition(":")
    path = raw_file(folder, file)
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(stored, np.ndarray) and not key:
            return stored
        names = [] if isinstance(stored, np.ndarray) else stored.files
        if key in names or (not key and len(names) == 1):
            return stored[key or names[0]]
    except UNREADABLE:
        raise UserError(
            f"{path} is damaged, of another format, or holds Python objects (pickles), which are never read. Save it "
            "again as numbers or text: np.save(file, X, allow_pickle=False)."
        ) from None
    if not names:
        raise UserError(f"{path} holds one array, which has no name: write `{file}` instead of `{name}`.")
    raise UserError(f"`{name}` names no array of {path}: write `{file}:` and its name. {nearest(key, names)}")


def _image(name: str, X: NDArray) -> NDArray:
    X = X[:, None] if X.ndim == 3 else X
    if X.ndim == 4 and X.shape[1] not in CHANNELS and X.shape[3] in CHANNELS:
        X = X.transpose(0, 3, 1, 2)
    whole = X.dtype.kind in "bui" and (X.dtype == np.uint8 or (X.min(initial=0) >= 0 and X.max(initial=0) <= 255))
    if X.ndim != 4 or not whole:
        raise UserError(
            f"{name} should hold integers from 0 to 255 of shape (n, channels, height, width), but holds {X.dtype} of "
            f"shape {X.shape}. Values from 0 to 1 become such by (X * 255).round().astype('uint8')."
        )
    return X.astype(np.uint8, copy=False)


def _sequence(name: str, X: NDArray) -> NDArray:
    X = _floats(name, X[:, :, None] if X.ndim == 2 else X, 3).astype(np.float32, copy=False)
    ended = np.isnan(X).all(axis=2)
    begun_again = ended & ~np.logical_and.accumulate(ended[:, ::-1], axis=1)[:, ::-1]
    broken = (~np.isfinite(X).all(axis=2) & ~ended) | begun_again
    if broken.any() or ended[:, 0].any():
        row = int(np.argmax(broken.any(axis=1) | ended[:, 0]))
        raise UserError(
            f"{name}, row {row}, has missing or infinite values before its end. NaN marks the end of a sequence: fill "
            "them, or leave the sequence out."
        )
    return X


def _table(name: str, X: NDArray) -> NDArray:
    return _floats(name, X, 2).astype(np.float64, copy=False)


def _floats(name: str, X: NDArray, dimensions: int) -> NDArray:
    if X.ndim != dimensions or X.dtype.kind not in "buif":
        raise UserError(
            f"{name} should hold numbers in {dimensions} dimensions, but holds {X.dtype} of shape {X.shape}."
        )
    return X


def _target(name: str, y: NDArray, n: int) -> NDArray:
    if y.shape not in ((n,), (n, 1)) or y.dtype.kind not in "buifUS":
        raise UserError(
            f"{name} should hold one number or text for each of the {n} rows, but holds {y.dtype} of shape {y.shape}. "
            "Columns of 0 and 1, one for each class, become such by y.argmax(axis=1)."
        )
    if y.dtype.kind == "f" and (missing := int((~np.isfinite(y)).sum())):
        raise UserError(f"{name} is missing or infinite in {missing} of {n} rows. Leave these rows out.")
    whole = {"b": np.int64, "u": np.int64, "i": np.int64, "S": np.str_}.get(y.dtype.kind, y.dtype)
    return y.reshape(n).astype(whole)
