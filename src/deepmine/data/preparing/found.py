"""What becomes conf/data/<name>.yaml of data that nobody has described yet: its task, its split, its small classes."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from deepmine.config.errors import UserError
from deepmine.data.raw import Raw

CLASSES = 20  # integers with more different values are a quantity, not a class
FEWEST = 5  # rows of a class: one in each part, and some to spare
FIRST_ROWS = {"table": 100_000, "text": 100_000, "image": 10_000}  # training rows of the first models
SPLIT: dict[str, Any] = {"strategy": "random", "val": 0.15, "test": 0.25, "seed": 0}


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


def task_of(y: pd.Series, target: str | None) -> str:
    """What to do with a table with this target."""
    if target is None:
        return "clustering"
    text = not pd.api.types.is_numeric_dtype(y.dropna().infer_objects())
    return "classification" if text or ((y.dropna() % 1 == 0).all() and y.nunique() <= CLASSES) else "regression"


def rare(what: str, y: pd.Series, notes: list[str], rows: str = "rows", absent: Sequence[str] = ()) -> dict[Any, int]:
    """The classes that are too small to learn, and their rows."""
    if task_of(y, "y") != "classification":
        return {}
    counts = y.value_counts()
    if (enough := (counts >= FEWEST).sum()) < 2:
        raise UserError(f"{what} cannot be predicted: {enough} of its classes have {FEWEST} {rows} or more.")
    small = counts[counts < FEWEST].to_dict() | dict.fromkeys(absent, 0)
    if small:
        counted = ", ".join(f"{name}: {count}" for name, count in small.items())
        notes.append(f"Left out: classes with fewer than {FEWEST} {rows} ({counted}).")
    return small


def literal(value: Any) -> Any:
    """Names that come from data are not expressions: `${...}` in them is escaped, for OmegaConf."""
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [literal(item) for item in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value
