"""What is this file? A first config for data that nobody has described yet."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.source import File
from deepmine.data.ledger import Ledger
from deepmine.data.preparing import basket_files, privacy
from deepmine.data.readers import image_folder, sources, table, transactions

CLASSES = 20  # whole numbers with more different values are a quantity, not a class
FEWEST = 5  # rows of a class: one in each part, and one to spare
FREE = 0.5  # share of different texts from which on a column names its rows and describes none of them
FIRST_ROWS = 100_000  # training rows of the first models
FINITE = 1e30  # the largest number that is taken for one
SIDE = 64  # pixels of an image, where they differ
SPLIT: dict[str, Any] = {"strategy": "random", "val": 0.15, "test": 0.25, "seed": 0}


class Found(NamedTuple):
    """`title` and `settings` of conf/data/<name>.yaml, and `notes` for the person."""

    title: str
    settings: dict[str, Any]
    notes: list[str]


def inspect(
    name: str, folder: Path, file: str, target: str | None, read: Mapping[str, Any] = MappingProxyType({})
) -> Found:
    """Look at raw files.

    Args:
        name: of the data set, an SQL identifier.
        folder: where the files lie.
        file: the file, or the folder that was copied.
        target: the column to predict, if any.
        read: how to read a table, where a person said so (`schema_source.FirstForm`).

    Raises:
        UserError: they cannot be read, what they hold can be two things, or there is no such column.
    """
    if not (folder / file).exists() and target is not None:
        raise UserError(f"The classes of images are the names of their folders: take target={target} away.")
    if not (folder / file).exists():
        return _images(name, folder)
    if target is None and not read and (form := basket_files.form(folder / file)):
        return _baskets(name, folder, file, form)
    return _table(name, folder, file, target, read)


def _table(name: str, folder: Path, file: str, target: str | None, read: Mapping[str, Any]) -> Found:
    source, notes = _source(name, folder, file, target, read)
    X = table.read(folder, **source).X
    if target is not None and target not in X:
        raise UserError(f"{file} has no column `{target}`. {nearest(target, X.columns)}")
    row_id, personal = _row_id(X, target), {c: why for c, why in privacy.personal(X).items() if c != target}
    free = [column for column in _free_texts(X) if column not in (row_id, target, *personal)]
    empty = [str(column) for column in X if column != target and X[column].isna().all()]
    if not {*map(str, X)} - {row_id, target, *personal, *free, *empty}:
        raise UserError(f"{file} has no column to learn from: {', '.join([*personal, *free, *empty])} say nothing.")
    rare = _rare(f"`{target}` of {file}", X[target]) if target else {}
    source["query"] = f"SELECT *{_exclude([*free, *empty])} FROM {sources.quoted(name)}{_where(target, list(rare))}"
    settings = _declared("table", _task(X, target), name, table, {**source, "row_id": row_id, "target": target})
    if personal:
        settings["privacy"] = {"columns": dict.fromkeys(personal, "drop")}
        notes += [f"`{column}` looks personal ({why}): dropped." for column, why in personal.items()]
    if free:
        notes.append(f"{', '.join(free)}: nearly each row has a text of its own there: left out.")
    if empty:
        notes.append(f"{', '.join(empty)}: no row has a value there: left out.")
    notes += _left_out(rare, "rows")
    for more, said in (_cleaning(X, target), _first_rows(len(X))):
        settings |= more
        notes += said
    return Found(f"{len(X)} rows of {X.shape[1]} columns from {file}", settings, notes)


def _source(
    name: str, folder: Path, file: str, target: str | None, read: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """How the file is read, found out once and kept, so that the next one is read in the same way; and what is odd."""
    given = {key: value for key, value in read.items() if key != "null_values"}
    missing = ["", *read.get("null_values", [])]
    with table.database() as db:
        found = sources.load(db, folder, name, File(path=file, **given), missing, Ledger())
        made = db.table(sources.quoted(name))
        types = dict(zip(made.columns, map(str, made.types), strict=True))
    if words := found.missing.get(str(target)):
        found.doubts.append(f"`{target}`, which is to be predicted: {words} are no numbers. Missing, or classes?")
    if found.doubts:
        doubts = "\n".join(f"  {doubt}" for doubt in found.doubts)
        raise UserError(
            f"{file} can be read in two ways:\n{doubts}\nSay to make new-data which: 'read={{thousands: \",\"}}' or "
            "'read={null_values: [absent]}', or if it is text 'read={dtype: {<column>: VARCHAR}}'. The YAML keeps it."
        )
    form, notes = {**given, **found.settings}, [f"{note}." for note in found.notes]
    if types.get(str(target)) == "BOOLEAN" and sources.kind_by_name(file) == "csv":
        form["dtype"] = {**form.get("dtype", {}), target: "VARCHAR"}
        notes.append(f"`{target}` is read as text, so that its own words name the classes (source.files).")
    source: dict[str, Any] = {"files": {name: {"path": file, **form} if form else file}}
    return source | ({"null_values": missing} if len(missing) > 1 else {}), notes


def _cleaning(X: pd.DataFrame, target: str | None) -> tuple[dict[str, Any], list[str]]:
    """What must be cleaned before anything can learn, as settings and in words."""
    infinite = {str(c): int(np.isinf(X[c]).sum()) for c in X.select_dtypes("number") if np.isinf(X[c]).any()}
    clean: dict[str, Any] = {}
    if infinite:
        clean["impossible"] = {column: {"min": -FINITE, "max": FINITE} for column in infinite}
    notes = [f"`{column}` is infinite in {count} rows, where it is emptied." for column, count in infinite.items()]
    if target is not None and (missing := int(X[target].isna().sum()) + infinite.get(target, 0)):
        clean["missing"] = {"drop_rows": [target]}
        notes.append(f"`{target}` is missing in {missing} rows, which are dropped.")
    return ({"clean": clean} if clean else {}), notes


def _first_rows(rows: int) -> tuple[dict[str, Any], list[str]]:
    """Of a large table the first models take some rows, so that they are there soon."""
    train = round(rows * (1 - SPLIT["val"] - SPLIT["test"]))
    if train <= FIRST_ROWS:
        return {}, []
    said = f"The first models learn from {FIRST_ROWS:,} of {train:,} training rows (train_fraction)."
    return {"train_fraction": round(FIRST_ROWS / train, 4)}, [said]


def _images(name: str, folder: Path) -> Found:
    notes: list[str] = []
    source: dict[str, Any] = {}
    try:
        raw = image_folder.read(folder)
    except UserError:  # of several sizes, or not readable at all, which the next line says
        source = {"size": [SIDE, SIDE]}
        raw = image_folder.read(folder, **source)
        notes.append(f"The images are of several sizes: all are scaled to {SIDE} x {SIDE} (source.size).")
    y = pd.Series(raw.y)
    train = y if raw.parts is None else y[raw.parts == "train"]
    rare = _rare("The folder, where each folder is a class,", train)
    rare |= dict.fromkeys(sorted(set(y) - set(train)), 0)
    if rare:
        source["leave_out"] = list(rare)
        notes += _left_out(rare, "images")
    settings = _declared("image", "classification", name, image_folder, source)
    if raw.parts is not None:
        settings["split"] |= {"strategy": "published", "test": None}
    kept = y[~y.isin(list(rare))]
    title = f"{len(kept)} images of {kept.nunique()} classes"
    return Found(title, settings, notes)


def _baskets(name: str, folder: Path, file: str, form: basket_files.Form) -> Found:
    raw = transactions.read(folder, file, **form.settings)
    settings = _declared("baskets", "rules", name, transactions, {"file": file, **form.settings})
    return Found(f"{len(raw.rows)} baskets from {file}", settings, form.notes)


def _declared(kind: str, task: str, name: str, reader: Any, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": kind,
        "task": task,
        "folder": name,
        "source": {"_target_": f"{reader.__name__}.read", **source},
        "split": SPLIT | ({"strategy": "stratified"} if task == "classification" else {}),
    }


def _task(X: pd.DataFrame, target: str | None) -> str:
    if target is None:
        return "clustering"
    values = X[target].dropna()
    whole = not pd.api.types.is_numeric_dtype(values) or (values % 1 == 0).all()
    return "classification" if whole and (values.nunique() <= CLASSES or values.dtype == "str") else "regression"


def _row_id(X: pd.DataFrame, target: str | None) -> str | None:
    """The first column that is named like an id and names each row once."""
    named = [c for c in X if re.search(r"(^|_|\b)(id|key|nr|number)$", str(c), re.I) and c != target]
    return next((str(c) for c in named if X[c].is_unique and X[c].notna().all()), None)


def _free_texts(X: pd.DataFrame) -> list[str]:
    texts = [str(c) for c in X if X[c].dtype == "str"]
    return [c for c in texts if X[c].nunique() > max(CLASSES, FREE * X[c].notna().sum())]


def _rare(what: str, values: pd.Series) -> dict[Any, int]:
    """The classes that are too small to learn, and their rows."""
    if pd.api.types.is_datetime64_any_dtype(values):
        raise UserError(f"{what} holds dates; wanted a target of classes or numbers.")
    if _task(values.to_frame("y"), "y") != "classification":
        return {}
    counts = values.value_counts()
    if counts.max() < FEWEST:
        raise UserError(f"{what} is no target: no value of it stands in {FEWEST} rows or more.")
    if (counts >= FEWEST).sum() < 2:
        raise UserError(f"{what} has one class of {FEWEST} rows or more: nothing is to be predicted.")
    return counts[counts < FEWEST].to_dict()


def _left_out(rare: dict[Any, int], rows: str) -> list[str]:
    counted = ", ".join(f"{name}: {count}" for name, count in rare.items())
    return [f"Left out: classes with fewer than {FEWEST} {rows} ({counted})."] if rare else []


def _exclude(columns: list[str]) -> str:
    return f" EXCLUDE ({', '.join(map(sources.quoted, columns))})" if columns else ""


def _where(target: str | None, rare: list[Any]) -> str:
    if target is None or not rare:
        return ""
    values = ", ".join(f"{v:.0f}" if isinstance(v, float) else "'" + str(v).replace("'", "''") + "'" for v in rare)
    return f" WHERE {sources.quoted(target)} NOT IN ({values}) OR {sources.quoted(target)} IS NULL"
