"""Arrays: NumPy's `.npy`, mapped into memory, or `.npz`, which holds several by name; or IDX, MNIST's format.

IDX: two zero bytes, the type (8: bytes), the number of dimensions, their sizes, the values; gzip or plain
(https://yann.lecun.com/exdb/mnist/).
"""

import gzip
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError, nearest
from deepmine.data.raw import Raw, raw_files

MUST = {
    "image": "at least one image of integers 0 to 255 in 3 or 4 dimensions, such as (X * 255).round().astype('uint8')",
    "sequence": "numbers in 2 or 3 dimensions, with NaN only from where a sequence ends",
    "table": "numbers in 2 dimensions",
}


def read(
    folder: Path,
    kind: Literal["image", "sequence", "table"],  # ${data.kind}
    X: str,  # a file, `digits.npy` or `images-idx3-ubyte.gz`, or an array in a file of several, `digits.npz:images`
    y: str | None = None,  # the target of each row, (n,)
    X_test: str | None = None,  # the test rows of a published split
    y_test: str | None = None,
) -> Raw:
    """The arrays in the shape that a data set of this kind needs; a row's id is its place in the file.

    `image`: `(n, height, width)`, or with 1, 3 or 4 channels as second or last axis. `sequence`: `(n, steps, features)`
    or `(n, steps)`. `table`: `(n, columns)`. Features are called x0, x1, ...
    """
    train = _pair(folder, kind, X, y)
    raw = Raw(*train, np.arange(len(train[0])).astype(str))
    if X_test is not None:
        raw = _published(*train, *_pair(folder, kind, X_test, y_test))
    names = [f"x{n}" for n in range(raw.X.shape[-1])]
    raw = raw._replace(X=pd.DataFrame(raw.X, columns=names)) if kind == "table" else raw
    return raw if kind == "image" else raw._replace(facts={"columns": names})


def _published(X: NDArray, y: NDArray | None, X_test: NDArray, y_test: NDArray | None) -> Raw:
    if X.shape[1:] != X_test.shape[1:] or (y is None) != (y_test is None):
        kinds = [f"{a.shape[1:]} {'without' if b is None else 'with'} a target" for a, b in ((X, y), (X_test, y_test))]
        raise UserError(f"Training rows have shape {kinds[0]}, test rows {kinds[1]}: they must agree.")
    rows = [f"{part}-{n}" for part, some in (("train", X), ("test", X_test)) for n in range(len(some))]
    parts = np.repeat(["train", "test"], [len(X), len(X_test)])
    return Raw(np.concatenate([X, X_test]), None if y is None else np.concatenate([y, y_test]), np.array(rows), parts)


def _pair(folder: Path, kind: str, X_name: str, y_name: str | None) -> tuple[NDArray, NDArray | None]:
    X = _array(folder, X_name)
    shaped = _shaped(X, kind) if X.dtype.kind in "buif" and X.size else None
    if shaped is None:
        raise UserError(f"{X_name} must hold {MUST[kind]}, but holds {X.dtype} of shape {X.shape}.")
    if y_name is None:
        return shaped, None
    y = _array(folder, y_name)
    fits = y.shape in ((len(X),), (len(X), 1)) and y.dtype.kind in "buifUS"
    if not fits or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        must = f"one finite number or text for each of the {len(X)} rows (of a column for each class: y.argmax(axis=1))"
        raise UserError(f"{y_name} must hold {must}, but holds {y.dtype} of shape {y.shape}.")
    return shaped, y.reshape(-1).astype({"b": int, "u": int, "i": int, "S": str}.get(y.dtype.kind, y.dtype))


def _shaped(X: NDArray, kind: str) -> NDArray | None:
    """Numbers in the shape and type of their kind, or None."""
    if kind == "table":
        return X.astype(np.float64, copy=False) if X.ndim == 2 else None
    if kind == "image":
        X = X[:, None] if X.ndim == 3 else X
        if X.ndim != 4 or X.dtype.kind == "f" or (X.dtype != np.uint8 and (X.min() < 0 or X.max() > 255)):
            return None
        last = X.shape[1] not in (1, 3, 4) and X.shape[3] in (1, 3, 4)
        return (X.transpose(0, 3, 1, 2) if last else X).astype(np.uint8, copy=False)
    X = X[:, :, None] if X.ndim == 2 else X
    if X.ndim != 3:
        return None
    ended = np.isnan(X).all(axis=2)
    right = (np.isfinite(X).all(axis=2) | ended) & (np.maximum.accumulate(ended, axis=1) == ended)
    return X.astype(np.float32, copy=False) if right.all() and not ended[:, 0].any() else None


def _array(folder: Path, name: str) -> NDArray:
    file, _, key = name.partition(":")
    path = raw_files(folder, file)[0]
    try:
        stored: Any = np.load(path, "r", allow_pickle=False) if path.suffix in (".npy", ".npz") else _idx(path)
        held = {"": stored} if isinstance(stored, np.ndarray) else stored
        if key in held or (not key and len(held) == 1):
            return held[key or next(iter(held))]
    except Exception as error:  # of a damaged file nearly any
        what = "is damaged, in another format, or holds Python objects (pickles), which are never read"
        raise UserError(f"{path} {what} ({type(error).__name__}). Restore it, or save it again.") from None
    raise UserError(f"`{name}` is not an array of {path}. {nearest(name, [f'{file}:{n}'.rstrip(':') for n in held])}")


def _idx(path: Path) -> NDArray[np.uint8]:
    packed = path.suffix == ".gz"
    content = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8) if packed else np.memmap(path, np.uint8, "r")
    start = 4 + 4 * int(content[3])
    if content[:3].tobytes() != bytes([0, 0, 8]):
        raise ValueError
    return content[start:].reshape(content[4:start].view(">u4").astype(int))
