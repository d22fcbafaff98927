"""What is this? A first config for data that nobody has described yet; what can be two things is asked."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from PIL import Image

from deepmine.config.errors import UserError
from deepmine.data.preparing.found import Found, declared, literal, rare
from deepmine.data.preparing.inspect_tables import tables
from deepmine.data.readers import arrays, baskets, image_folder

SIDE = 64  # pixels of an image, where they differ
TABLE = re.compile(r"(?i)(.+?)\.(csv|tsv|parquet|jsonl|ndjson)(\.gz)?")


def inspect(
    name: str,  # of the data set, an SQL identifier
    folder: Path,  # where the files are
    file: str,  # the file, or the folder that was copied
    target: str | None,  # the column to predict
    read: Mapping[str, Any] = MappingProxyType({}),  # what a person said about the file: `schema.source.FirstForm`
) -> Found:
    """Look at raw files; a `UserError` if they cannot be read, may be two things, or there is no such column."""
    if not (folder / file).exists():
        found = _folder(name, folder, target, read)
    elif read.keys() & {"baskets", "basket", "one_hot"}:
        found = _baskets(folder, file, read)
    else:
        found = tables(folder, {name: file}, target, read)
    return found._replace(settings=literal({"folder": name, **found.settings}))


def _folder(name: str, folder: Path, target: str | None, read: Mapping[str, Any]) -> Found:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if target is None and any(path.suffix.lower() in Image.registered_extensions() for path in files):
        return _images(folder)
    top = [path.name for path in files if path.parent == folder]
    if idx := [file for file in top if "ubyte" in file]:
        return _idx(folder, idx)
    if found := {re.sub(r"\W", "_", named[1]): named[0] for named in map(TABLE.fullmatch, top) if named}:
        return tables(folder, found, target, read)
    held = sorted({path.suffix or path.name for path in files})
    may = "images in folders by class, without `target`; tables (CSV, Parquet, JSON lines); or files like MNIST's"
    raise UserError(
        f"A folder must hold {may}. This one holds {held}. Anything else is read by a YAML: docs/guides/own-data.md"
    )


def _baskets(folder: Path, file: str, read: Mapping[str, Any]) -> Found:
    options = {"basket": "basket", "item": "item", "one_hot": "one_hot", "header": "header", "delimiter": "separator"}
    source = {"file": file} | {option: read[key] for key, option in options.items() if key in read}
    raw = baskets.read(folder, **source)
    return Found(f"{len(raw.rows)} baskets from {file}", declared("baskets", "rules", baskets, source, raw, []), [])


def _idx(folder: Path, files: Sequence[str]) -> Found:
    """Images and their labels, and those of a published test set."""
    source, notes = dict[str, Any](), list[str]()
    for file in files:
        source[("y" if "idx1" in file else "X") + ("_test" if re.search("t10k|test", file) else "")] = file
    if len(source) != len(files) or source.keys() not in ({"X", "y"}, {"X", "y", "X_test", "y_test"}):
        wanted = "<name>-images-idx3-ubyte and <name>-labels-idx1-ubyte, and the same of `t10k` or `test`; .gz or not"
        raise UserError(f"MNIST's format is {wanted}. This folder holds {', '.join(files)}.")
    raw = arrays.read(folder, "image", **source)
    y = pd.Series(raw.y)
    settings = declared("image", "classification", arrays, {"kind": "image", **source}, raw, notes)
    return Found(f"{len(y)} images of {y.nunique()} classes", settings, notes)


def _images(folder: Path) -> Found:
    source, notes = dict[str, Any](), list[str]()
    try:
        raw = image_folder.read(folder)
    except UserError:  # of several sizes, or damaged, which the next call says
        source["size"] = [SIDE, SIDE]
        raw = image_folder.read(folder, **source)
        notes.append(f"The images are of several sizes: all are scaled to {SIDE} x {SIDE} (source.size).")
    y = pd.Series(raw.y)
    train = y if raw.parts is None else y[raw.parts == "train"]
    if small := rare("The folder's classes", train, notes, "images", sorted(set(y) - set(train))):
        source["leave_out"] = list(small)
    kept = y[~y.isin(list(small))]
    settings = declared("image", "classification", image_folder, source, raw, notes)
    return Found(f"{len(kept)} images of {kept.nunique()} classes", settings, notes)
