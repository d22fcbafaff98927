"""Image files (PNG, JPEG, whatever Pillow reads) in a folder for each class."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from deepmine.config.errors import UserError, nearest
from deepmine.data.ledger import Entry
from deepmine.data.progress import progress
from deepmine.data.raw import Raw, require_inside

PARTS = {"train", "test", "val", "valid", "validation", "dev"}


def read(
    folder: Path,
    size: Sequence[int] | None = None,  # height and width to which images are scaled; None: all have the same
    leave_out: Sequence[str] = (),  # classes that are not read
) -> Raw:
    """Images as uint8 `(n, channels, height, width)`, the name of their folder as class, their path as row id.

    The images of a class may be in further folders. Two folders `train` and `test`, with the classes in them, are a
    published split. Images are turned upright by their EXIF orientation; what is transparent becomes white.
    """
    files, depth = _files(folder)
    y = np.array([file.relative_to(folder).parts[depth] for file in files])
    if unknown := sorted(set(leave_out) - set(y)):
        raise UserError(f"`leave_out` names {unknown[0]!r}, not a class of {folder}. {nearest(unknown[0], set(y))}")
    kept = np.flatnonzero(~np.isin(y, list(leave_out)))
    if not len(kept) or (size is not None and (len(size) != 2 or min(size) < 1)):
        raise UserError("`leave_out` must leave a class, and `size` be a height and a width, such as [64, 64].")
    images = (_upright(files[number]) for number in progress("reading images", iterable=kept))
    images = images if size is None else (image.resize((size[1], size[0]), reducing_gap=3.0) for image in images)
    X = _stacked(list(images))
    counts = ", ".join(f"{name} {count}" for name, count in sorted(Counter(y[kept]).items()))
    more = f"; left out: {', '.join(leave_out)}" * bool(leave_out)
    rows = np.array([files[number].relative_to(folder).as_posix() for number in kept])
    parts = np.array([row.partition("/")[0] for row in rows]) if depth else None
    ledger = [Entry("read", f"{len(kept)} images ({counts}){more}", len(y), len(kept))]
    return Raw(X.transpose(0, 3, 1, 2), y[kept], rows, parts, {"ledger": ledger})


def _files(folder: Path) -> tuple[list[Path], int]:
    """The images, sorted, and the number of folders above the classes."""
    seen = [path for path in sorted(folder.rglob("*")) if "/." not in f"/{path.relative_to(folder).as_posix()}"]
    top = {path.name for path in seen if path.is_dir() and path.parent == folder}
    depth = int(top == {"train", "test"})
    if {"train"} < top <= PARTS and not depth:
        raise UserError(
            f"{folder} holds {', '.join(sorted(top))}, but must hold a folder for each class, or `train` and `test` "
            "with the classes in them. Validation rows are taken from `train`: move those images there."
        )
    images = [path for path in seen if path.is_file() and path.suffix.lower() in Image.registered_extensions()]
    images = [require_inside(path, folder) for path in images]
    images.sort(key=lambda path: depth == 1 and path.relative_to(folder).parts[0] == "test")  # after `train`
    classes = {path for path in seen if path.is_dir() and len(path.relative_to(folder).parts) == depth + 1}
    empty = sorted(classes - {parent for path in images for parent in path.parents})
    beside = [path for path in images if len(path.relative_to(folder).parts) < depth + 2]
    if empty or beside or not classes:
        found = f"{len(beside)} images beside them ({beside[0].name}, ...)" if beside else "no images"
        raise UserError(f"{empty[0] if empty else folder} must hold images by class, in folders, but has {found}.")
    return images, depth


def _upright(file: Path) -> Image.Image:
    try:
        with Image.open(file) as opened:
            image: Image.Image = ImageOps.exif_transpose(opened)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(f"{file} is damaged, or is not an image ({error}). Replace it, or remove it.") from None
    if image.mode[0] in "IF":  # Pillow would cut its values at 255
        raise UserError(f"{file} has more than 8 bits a channel ({image.mode}). Convert it to 8 bits first.")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def _stacked(images: Sequence[Image.Image]) -> NDArray[np.uint8]:
    sizes = Counter((image.height, image.width) for image in images)
    if len(sizes) > 1:
        (height, width), _ = sizes.most_common(1)[0]
        found = ", ".join(f"{count} are {h} x {w}" for (h, w), count in sizes.most_common(5))
        raise UserError(f"The images have {len(sizes)} sizes: {found}. Scale them: data.source.size=[{height},{width}]")
    return np.stack([np.asarray(image) for image in images])
