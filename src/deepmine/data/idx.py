"""Images in the IDX format, in which MNIST is published (gzip or plain).

Format: https://yann.lecun.com/exdb/mnist/ (two zero bytes, type, number of dimensions, sizes, values).
"""

import gzip
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepmine.data import RESTORE, Raw, raw_file
from deepmine.errors import UserError

UINT8 = 0x08


def read(folder: Path, images: str, labels: str) -> Raw:
    """Images as uint8 `(n, 1, height, width)` with their labels; a row's id is its place in the file.

    Raises:
        UserError: a file is no IDX file, is cut short, or the two do not belong together.
    """
    X, y = _array(raw_file(folder, images)), _array(raw_file(folder, labels))
    if X.ndim != 3 or y.shape != (len(X),):
        raise UserError(
            f"{folder / images} holds {X.shape} values and {folder / labels} {y.shape}: "
            "wanted (n, height, width) images and one label for each."
        )
    return Raw(X[:, None], y.astype(np.int64), np.arange(len(X)).astype(str))


def _array(path: Path) -> NDArray[np.uint8]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError) as error:
        raise UserError(f"{path} cannot be unpacked ({error}). Restore it: {RESTORE}") from None
    if len(content) < 4 or content[:3] != bytes([0, 0, UINT8]):
        raise UserError(f"{path} is no IDX file of bytes: it starts with {content[:4].hex()}, wanted 000008.")
    n_dimensions = content[3]
    start = 4 + 4 * n_dimensions
    shape = tuple(np.frombuffer(content[4:start], ">u4").astype(int))
    if len(content) != start + prod(shape):
        raise UserError(f"{path} should hold {prod(shape)} values {shape}, but has {len(content) - start}.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
