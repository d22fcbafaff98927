"""What becomes conf/data/<name>.yaml of data that nobody has described yet; here of images and baskets."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from deepmine.config.errors import UserError
from deepmine.data.raw import Raw
from deepmine.data.readers import arrays, baskets, image_folder

FEWEST = 5  # rows of a class: one in each part, and some to spare
FIRST_ROWS = {"table": 100_000, "text": 100_000, "image": 10_000}  # training rows of the first models
SPLIT: dict[str, Any] = {"strategy": "random", "val": 0.15, "test": 0.25, "seed": 0}
SIDE = 64  # pixels of an image, where they differ


class Found(NamedTuple):
    """The settings, what to tell the person, and what to ask once they are written."""

    title: str
    settings: dict[str, Any]
    notes: list[str]
    question: str = ""


def declared(kind: str, task: str, reader: Any, source: dict[str, Any], raw: Raw, notes: list[str]) -> dict[str, Any]:
    """The settings of a data set, but for the rules about columns."""
    split = SPLIT | ({"strategy": "stratified"} if task == "classification" else {})
    train = round(len(raw.rows) * (1 - SPLIT["val"] - SPLIT["test"]))
    if raw.parts is not None:
        split |= {"strategy": "published", "test": None}
        train = round((raw.parts == "train").sum() * (1 - SPLIT["val"]))
    settings = {"kind": kind, "task": task, "source": {"_target_": f"{reader.__name__}.read", **source}, "split": split}
    if train > (most := FIRST_ROWS.get(kind, train)):
        settings["train_fraction"] = round(most / train, 4)
        notes.append(f"The first models learn from {most:,} of {train:,} training rows (train_fraction).")
    return settings


def rare(what: str, counts: pd.Series, rows: str, notes: list[str]) -> list[Any]:
    """The classes that are too small to learn."""
    if (enough := (counts >= FEWEST).sum()) < 2:
        raise UserError(f"{what} cannot be predicted: {enough} of its classes have {FEWEST} {rows} or more.")
    small = counts[counts < FEWEST].to_dict()
    counted = ", ".join(f"{name}: {count}" for name, count in small.items())
    notes += [f"Left out: classes with fewer than {FEWEST} {rows} ({counted})."] * bool(small)
    return list(small)


def images(folder: Path) -> Found:
    """Images in folders by class."""
    source, notes = dict[str, Any](), list[str]()
    try:
        raw = image_folder.read(folder)
    except UserError:  # of several sizes, or damaged, which the next call says
        source["size"] = [SIDE, SIDE]
        raw = image_folder.read(folder, **source)
        notes.append(f"The images are of several sizes: all are scaled to {SIDE} x {SIDE} (source.size).")
    y = pd.Series(raw.y)
    learned = y if raw.parts is None else y[raw.parts == "train"]
    counts = learned.value_counts().reindex(y.unique(), fill_value=0).sort_values(ascending=False)
    if small := rare("The folder's classes", counts, "images", notes):
        source["leave_out"] = small
    kept = y[~y.isin(small)]
    settings = declared("image", "classification", image_folder, source, raw, notes)
    return Found(f"{len(kept)} images of {kept.nunique()} classes", settings, notes)


def idx(folder: Path, files: Sequence[str]) -> Found:
    """Images and their labels, and those of a published test set."""
    source, notes = dict[str, Any](), list[str]()
    for file in files:
        source[("y" if "idx1" in file else "X") + ("_test" if re.search("t10k|test", file) else "")] = file
    if len(source) != len(files) or source.keys() not in ({"X", "y"}, {"X", "y", "X_test", "y_test"}):
        wanted = "<name>-images-idx3-ubyte and <name>-labels-idx1-ubyte, and the same of `t10k` or `test`; .gz or not"
        raise UserError(f"MNIST's format is {wanted}. This folder holds {', '.join(files)}.")
    raw = arrays.read(folder, "image", **source)
    settings = declared("image", "classification", arrays, {"kind": "image", **source}, raw, notes)
    return Found(f"{len(raw.rows)} images of {pd.Series(raw.y).nunique()} classes", settings, notes)


def of_baskets(folder: Path, file: str, read: Mapping[str, Any]) -> Found:
    """Baskets, in the form that a person says."""
    options = {"basket": "basket", "item": "item", "one_hot": "one_hot", "header": "header", "delimiter": "separator"}
    source = {"file": file} | {option: read[key] for key, option in options.items() if key in read}
    raw = baskets.read(folder, **source)
    return Found(f"{len(raw.rows)} baskets from {file}", declared("baskets", "rules", baskets, source, raw, []), [])
