"""Images in the IDX format, in which MNIST is published, gzip or plain.

Format: https://yann.lecun.com/exdb/mnist/ (two zero bytes, type, number of dimensions, sizes, values).
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.data.raw import RESTORE, Raw, published, raw_file


def read(folder: Path, images: str, labels: str, test_images: str | None = None, test_labels: str | None = None) -> Raw:
    """Images as uint8 `(n, 1, height, width)` with their labels; a row's id is its place in the file.

    Plain files are mapped into memory, not loaded. `test_images` and `test_labels` are those of a published split.
    A `UserError` if a file is damaged, is not IDX, holds no images, or two do not belong together.
    """
    train = _pair(folder, images, labels)
    if test_images is None or test_labels is None:
        return Raw(*train, np.arange(len(train[0])).astype(str))
    return published(*train, *_pair(folder, test_images, test_labels))


def _pair(folder: Path, images: str, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    X, y = _array(raw_file(folder, images)), _array(raw_file(folder, labels))
    if X.ndim != 3 or X.size == 0 or y.shape != (len(X),):
        must = "there must be images (n, height, width), at least one, and one label for each"
        raise UserError(f"{folder / images} holds values {X.shape} and {folder / labels} {y.shape}, but {must}.")
    return X[:, None], y.astype(np.int64)


def _array(path: Path) -> NDArray[np.uint8]:
    try:
        packed = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else None
        content = np.memmap(path, np.uint8, "r") if packed is None else np.frombuffer(packed, np.uint8)
        start = 4 + 4 * int(content[3])  # the fourth byte is the number of dimensions
        shape = tuple(content[4:start].view(">u4").astype(int).tolist())
        if content[:3].tobytes() != bytes([0, 0, 8]):
            raise ValueError(f"it starts with {content[:3].tobytes().hex()}, an IDX file of bytes with 000008")
        return content[start:].reshape(shape)
    except (EOFError, OSError, ValueError, IndexError, zlib.error) as error:
        raise UserError(
            f"{path} is damaged, or not an IDX file: {error}. Delete it, and restore it: {RESTORE}"
        ) from None
