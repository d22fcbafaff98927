"""Images in the IDX format, in which MNIST is published (gzip or plain).

Format: https://yann.lecun.com/exdb/mnist/ (two zero bytes, type, number of dimensions, sizes, values).
"""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.data.raw import RESTORE, Raw, published, raw_file

UINT8 = 0x08


def read(folder: Path, images: str, labels: str, test_images: str | None = None, test_labels: str | None = None) -> Raw:
    """Images as uint8 `(n, 1, height, width)` with their labels; a row's id is its place in the file.

    Plain files are mapped into memory, not loaded. `test_images` and `test_labels` are those of a published split.

    Raises:
        UserError: a file is no IDX file, is cut short, or two do not belong together.
    """
    train = _pair(folder, images, labels)
    if test_images is None or test_labels is None:
        return Raw(*train, np.arange(len(train[0])).astype(str))
    return published(*train, *_pair(folder, test_images, test_labels))


def _pair(folder: Path, images: str, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    X, y = _array(raw_file(folder, images)), _array(raw_file(folder, labels))
    if X.ndim != 3 or y.shape != (len(X),):
        raise UserError(
            f"{folder / images} holds {X.shape} values and {folder / labels} {y.shape}: "
            "wanted (n, height, width) images and one label for each."
        )
    return X[:, None], y.astype(np.int64)


def _array(path: Path) -> NDArray[np.uint8]:
    content = _content(path)
    head = content[:4].tobytes()
    start = 4 + 4 * sum(head[3:])  # the fourth byte is the number of dimensions
    if head[:3] != bytes([0, 0, UINT8]) or len(content) < start:
        raise UserError(f"{path} is no IDX file of bytes: it starts with {head.hex()}, wanted 000008.")
    shape = tuple(content[4:start].view(">u4").astype(int))
    if len(content) != start + prod(shape):
        raise UserError(f"{path} should hold {prod(shape)} values {shape}, but has {len(content) - start}.")
    return content[start:].reshape(shape)


def _content(path: Path) -> NDArray[np.uint8]:
    try:
        if path.suffix != ".gz":
            return np.memmap(path, np.uint8, "r")
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it, and restore it: {RESTORE}") from None
