"""Image files (PNG, JPEG, whatever Pillow reads) in a folder for each class."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from deepmine.config.errors import UserError, nearest
from deepmine.data.ledger import Entry
from deepmine.data.raw import Raw

PARTS = {"train", "test", "val", "valid", "validation", "dev"}
NO_IMAGES = ("Thumbs.db", "desktop.ini")  # what file browsers leave; hidden files are left out too
TURNED = (5, 6, 7, 8)  # values of EXIF's Orientation for which height and width change places
EXIF_ORIENTATION = 0x0112
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)  # what Pillow raises


def read(folder: Path, size: Sequence[int] | None = None, grey: bool = False, leave_out: Sequence[str] = ()) -> Raw:
    """Images as uint8 `(n, channels, height, width)`, the name of their folder as class, their path as row id.

    Below `folder` stands a folder for each class; its images may lie in further folders. Are there exactly two folders
    `train` and `test`, with the classes in them, then they are a published split. Cameras' EXIF rotation is applied,
    and what is transparent becomes white.

    Args:
        folder: where the classes are.
        size: height and width; other images are scaled to it, without keeping their proportions. None: all have the
            same already.
        grey: one channel instead of red, green and blue.
        leave_out: classes that are not read.

    Raises:
        UserError: there are no classes, one is empty, `leave_out` names none, an image lies beside the classes, a file
            is no image, or the sizes differ.
    """
    files, parts = _files(folder)
    names = [file.relative_to(folder) for file in files]
    y = np.array([name.parts[0 if parts is None else 1] for name in names])
    kept = np.flatnonzero(_kept(y, leave_out, folder))
    files = [files[number] for number in kept]
    height, width = _common_size(files) if size is None else _checked(size)
    X = np.empty((len(files), 1 if grey else 3, height, width), np.uint8)
    for number, file in enumerate(files):
        X[number] = _pixels(file, (width, height), "L" if grey else "RGB")
    ledger = [Entry("read", f"{len(names)} images", 0, len(names))]
    if leave_out:
        ledger.append(Entry("read", f"left out: {', '.join(leave_out)}", len(names), len(kept)))
    rows = np.array([name.as_posix() for name in names])
    return Raw(X, y[kept], rows[kept], None if parts is None else parts[kept], {"ledger": ledger})


def _kept(y: NDArray[np.str_], leave_out: Sequence[str], folder: Path) -> NDArray[np.bool_]:
    if unknown := sorted(set(leave_out) - set(y)):
        raise UserError(f"`leave_out` names {unknown[0]!r}, no class of {folder}. {nearest(unknown[0], set(y))}")
    kept = ~np.isin(y, list(leave_out))
    if not kept.any():
        raise UserError(f"`leave_out` names every class of {folder}. Leave some in.")
    return kept


def _files(folder: Path) -> tuple[list[Path], NDArray[np.str_] | None]:
    """The images, sorted, and the published part of each, if there is a split."""
    found = {path.name for path in _folders(folder)}
    if found == {"train", "test"}:
        by_part = {part: _images(folder / part) for part in ("train", "test")}
        parts = np.repeat(list(by_part), [len(files) for files in by_part.values()])
        return [file for files in by_part.values() for file in files], parts
    if {"train"} < found <= PARTS:
        raise UserError(
            f"{folder} holds {', '.join(sorted(found))}: wanted a folder for each class, or exactly `train` and `test` "
            "with the classes in them. Validation rows are cut from `train`, so move those images there."
        )
    return _images(folder), None


def _images(folder: Path) -> list[Path]:
    classes = _folders(folder)
    if not classes:
        raise UserError(f"{folder} should hold a folder of images for each class, but it holds no folder.")
    if beside := sorted(path.name for path in folder.iterdir() if path.suffix.lower() in Image.registered_extensions()):
        raise UserError(
            f"{len(beside)} images lie in {folder} beside the folders of the classes ({beside[0]}, ...). Move each "
            "into the folder of its class."
        )
    found = {
        path: sorted(file for file in path.rglob("*") if _is_image(file.relative_to(folder), file)) for path in classes
    }
    for path, files in found.items():
        if not files:
            raise UserError(f"{path} holds no image. Put those of the class `{path.name}` there, or delete it.")
    return [file for files in found.values() for file in files]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_image(name: Path, file: Path) -> bool:
    hidden = any(part.startswith(".") for part in name.parts)
    return file.is_file() and not hidden and name.name not in NO_IMAGES


def _checked(size: Sequence[int]) -> tuple[int, int]:
    if len(size) != 2 or min(size) < 1:
        raise UserError(f"`data.source.size` is {list(size)}; wanted height and width, such as [64, 64].")
    return size[0], size[1]


def _common_size(files: list[Path]) -> tuple[int, int]:
    """Height and width, read from the heads of the files."""
    sizes = Counter(map(_size, files))
    if len(sizes) > 1:
        (height, width), _ = sizes.most_common(1)[0]
        found = ", ".join(f"{count} are {h} x {w}" for (h, w), count in sizes.most_common(5))
        more = ", ..." if len(sizes) > 5 else ""
        raise UserError(
            f"The images have {len(sizes)} sizes, height x width: {found}{more}. "
            f"Say to which they should be scaled: data.source.size=[{height},{width}]"
        )
    return next(iter(sizes))


def _size(file: Path) -> tuple[int, int]:
    try:
        with Image.open(file) as image:
            turned = image.getexif().get(EXIF_ORIENTATION) in TURNED
            return image.size if turned else image.size[::-1]
    except UNREADABLE as error:
        raise _unreadable(file, error) from None


def _pixels(file: Path, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    """One image `(channels, height, width)`; `size` is Pillow's, width first."""
    image = _upright(file)
    if image.mode[0] in "IF":  # Pillow would cut its values at 255
        raise UserError(f"{file} has more than 8 bits a channel ({image.mode}). Convert it to 8 bits first.")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = image if image.mode == mode else image.convert(mode)
    pixels = np.asarray(image if image.size == size else image.resize(size, reducing_gap=3.0))
    return np.atleast_3d(pixels).transpose(2, 0, 1)


def _upright(file: Path) -> Image.Image:
    try:
        with Image.open(file) as image:
            ImageOps.exif_transpose(image, in_place=True)
            image.load()
            return image
    except UNREADABLE as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> UserError:
    return UserError(f"{file} is no image, or a damaged one ({error}). Replace it, or take it out of the folder.")
