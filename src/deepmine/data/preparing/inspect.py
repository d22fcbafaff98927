"""What is this file? A first config for data that nobody has described yet; what can be two things is asked."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from deepmine.config.errors import UserError
from deepmine.config.schema.source import File
from deepmine.data.preparing import privacy
from deepmine.data.readers import baskets, image_folder, table
from deepmine.data.readers.files import quoted

CLASSES = 20  # integers with more different values are a quantity, not a class
FEWEST = 5  # rows of a class: one in each part, and some to spare
FREE = 0.5  # share of different texts above which a column describes no group of rows
FIRST_ROWS = 100_000  # training rows of the first models
FINITE = 1e30  # larger numbers are taken for infinite
SIDE = 64  # pixels of an image, where they differ
SPLIT: dict[str, Any] = {"strategy": "random", "val": 0.15, "test": 0.25, "seed": 0}
ANSWERS = """Give the same command with an answer, which the YAML will keep (several in one `read`):
  numbers  'read={{decimal: ","}}', 'read={{thousands: ","}}', or 'read={{null_values: [{word}]}}' for what is missing
  text     'read={{dtype: {{<column>: VARCHAR}}}}', numbers (9E9, inf) 'read={{dtype: {{<column>: DOUBLE}}}}'
  lines    'read={{names: [a, b]}}', 'read={{skiprows: 1}}', or 'read={{baskets: true}}' if each is a basket"""


class Found(NamedTuple):
    """`title` and `settings` of conf/data/<name>.yaml, and `notes` for the person."""

    title: str
    settings: dict[str, Any]
    notes: list[str]


def inspect(
    name: str,  # of the data set, an SQL identifier
    folder: Path,  # where the files are
    file: str,  # the file, or the folder that was copied
    target: str | None,  # the column to predict
    read: Mapping[str, Any] = MappingProxyType({}),  # what a person said about the file: `schema.source.FirstForm`
) -> Found:
    """Look at raw files; a `UserError` if they cannot be read, may be two things, or there is no such column."""
    if not (folder / file).exists():
        return _images(name, folder, target)
    if not read.get("baskets") and "basket" not in read:
        return _table(name, folder, file, target, read)
    source = {"file": file, **{key: read[key] for key in ("basket", "item", "header") if key in read}}
    source |= {"separator": read["delimiter"]} if "delimiter" in read else {}
    rows = len(baskets.read(folder, **source).rows)
    return Found(f"{rows} baskets from {file}", _declared("baskets", "rules", name, baskets, source), [])


def _images(name: str, folder: Path, target: str | None) -> Found:
    held = {path.suffix.lower() or path.name for path in folder.rglob("*") if path.is_file()}
    if target is not None or not held & set(Image.registered_extensions()):
        like = "MNIST: conf/data/mnist5k.yaml" if "-ubyte" in "".join(map(str, folder.rglob("*"))) else "docs/data.md"
        raise UserError(
            f"A folder must hold images in folders by class, without `target`; this one holds {sorted(held)}. Give one "
            f"file (path=/somewhere/x.csv), or copy the folder to data/{name} and write its YAML, like {like}."
        )
    notes: list[str] = []
    source: dict[str, Any] = {}
    try:
        raw = image_folder.read(folder)
    except UserError:  # of several sizes, or damaged, which the next call says
        source["size"] = [SIDE, SIDE]
        raw = image_folder.read(folder, **source)
        notes.append(f"The images are of several sizes: all are scaled to {SIDE} x {SIDE} (source.size).")
    y = pd.Series(raw.y)
    train = y if raw.parts is None else y[raw.parts == "train"]
    if rare := _rare("The folder's classes", train, notes, "images", sorted(set(y) - set(train))):
        source["leave_out"] = list(rare)
    settings = _declared("image", "classification", name, image_folder, source)
    settings["split"] |= {} if raw.parts is None else {"strategy": "published", "test": None}
    kept = y[~y.isin(list(rare))]
    return Found(f"{len(kept)} images of {kept.nunique()} classes", settings, notes)


def _table(name: str, folder: Path, file: str, target: str | None, read: Mapping[str, Any]) -> Found:
    source, X, y, notes = _source(name, folder, file, target, read)
    named = [str(c) for c in X if re.search(r"(^|_|\b)(id|key|nr|number)$", str(c), re.IGNORECASE)]
    row_id = next((c for c in named if X[c].is_unique and X[c].notna().all()), None)
    personal = privacy.personal(X)
    texts = [str(c) for c in X if X[c].dtype == "str" and c != row_id and c not in personal]
    free = [c for c in texts if X[c].nunique() > max(CLASSES, FREE * X[c].notna().sum())]
    empty = [str(c) for c in X if X[c].isna().all()]
    left = [str(c) for c in X if c not in [row_id, *personal, *free, *empty]]
    is_text = target is not None and not left and len(free) == 1
    if not left and not is_text:
        raise UserError(f"{file} has no column to learn from beside {', '.join([*personal, *free, *empty]) or 'none'}.")
    rare = _rare(f"`{target}` of {file}", y, notes) if target else {}
    out = [c for c in personal if c != row_id] if is_text else free
    source |= {"query": _query(name, [*out, *empty], row_id, X, target, list(rare)), "row_id": row_id or _new_id(X)}
    source |= {"target": target} | ({"text": free[0]} if is_text else {})
    settings = _declared("text" if is_text else "table", _task(y, target), name, table, source)
    notes += [f"`{column}` looks personal ({why}): dropped." for column, why in personal.items()]
    if ruled := [c for c in personal if c not in out]:
        settings["privacy"] = {"columns": dict.fromkeys(ruled, "drop")}
    notes += [f"{', '.join(free)}: nearly every row has its own text: left out."] * (bool(free) and not is_text)
    notes += [f"{', '.join(empty)}: no row has a value: left out."] * bool(empty)
    dates = [c for c in left if X[c].dtype.kind == "M"]
    notes += [f"To predict later rows, set split: {{strategy: time, time: {c}}}." for c in dates[:1]]
    settings |= _cleaning(X, y, target, notes)
    train = round(len(X) * (1 - SPLIT["val"] - SPLIT["test"]))
    if train > FIRST_ROWS:
        settings["train_fraction"] = round(FIRST_ROWS / train, 4)
        notes.append(f"The first models learn from {FIRST_ROWS:,} of {train:,} training rows (train_fraction).")
    return Found(f"{len(X)} rows of {X.shape[1]} columns from {file}", settings, notes)


def _source(
    name: str, folder: Path, file: str, target: str | None, read: Mapping[str, Any]
) -> tuple[dict[str, Any], pd.DataFrame, pd.Series, list[str]]:
    """How the file is read, what it holds, and notes; a `UserError` for what only a person can settle."""
    form = {key: value for key, value in read.items() if key != "null_values"}
    source: dict[str, Any] = {"null_values": ["", *read["null_values"]]} if "null_values" in read else {}
    raw, notes = table.read(folder, {name: File(path=file, **form)}, target=target, **source), []
    if asked := "".join(f"  {entry.what.removeprefix(file + ': ')}\n" for entry in raw.facts["ledger"][1:]):
        word = re.search(r"([^\s;]+) may mean missing", asked)
        raise UserError(f"{file} may be misread:\n{asked}{ANSWERS.format(word=word[1] if word else 'absent')}")
    X, y = raw.X, pd.Series(raw.y)
    if len(y) and set(y.dropna()) <= {"true", "false"} and file.removesuffix(".gz").endswith((".csv", ".tsv", ".txt")):
        form["dtype"] = {**form.get("dtype", {}), target: "VARCHAR"}
        notes.append(f"`{target}` is read as text, so that its own words name the classes (source.files).")
        y = pd.Series(table.read(folder, {name: File(path=file, **form)}, target=target, **source).y)
    if "_target_" in [*X, target]:
        raise UserError(f"{file} has a column `_target_`, a name that configs use for classes. Rename it.")
    pairs = target is None and not read and X.shape[1] == 2 and X.iloc[:, 0].duplicated().any()
    if pairs and X.dtypes.iloc[1] == "str":
        answer = f"'read={{basket: {X.columns[0]}, item: {X.columns[1]}}}'"
        raise UserError(f"Do rows of {file} name a basket and an item: {answer}, or not: 'read={{header: true}}'?")
    return source | {"files": {name: {"path": file, **form} if form else file}}, X, y, notes


def _query(name: str, out: list[str], row_id: str | None, X: pd.DataFrame, target: str | None, rare: list[Any]) -> str:
    """All columns but those left `out`, with an id, and the rows of all classes but `rare` ones."""
    columns = ("" if row_id else f"rowid AS {_new_id(X)}, ") + "*"
    columns += f" EXCLUDE ({', '.join(map(quoted, out))})" if out else ""
    values = ", ".join(f"{v:.0f}" if isinstance(v, float) else "'" + str(v).replace("'", "''") + "'" for v in rare)
    where = f" WHERE {quoted(str(target))} NOT IN ({values}) OR {quoted(str(target))} IS NULL" if rare else ""
    return f"SELECT {columns} FROM {quoted(name)}{where}"


def _new_id(X: pd.DataFrame) -> str:
    return next(name for n in range(99) if (name := "row" + "_" * n) not in X)


def _cleaning(X: pd.DataFrame, y: pd.Series, target: str | None, notes: list[str]) -> dict[str, Any]:
    """What must be cleaned before anything can learn."""
    numbers = X.select_dtypes("number").assign(**({str(target): y} if target and y.dtype.kind == "f" else {}))
    infinite = {str(c): int(np.isinf(v).sum()) for c, v in numbers.items() if np.isinf(v).any()}
    lost = int(y.isna().sum()) + infinite.get(str(target), 0) if target else 0
    clean: dict[str, Any] = {"impossible": {c: {"min": -FINITE, "max": FINITE} for c in infinite}} if infinite else {}
    clean |= {"missing": {"drop_rows": [target]}} if lost else {}
    notes += [f"`{column}` is infinite in {count} rows, where it is emptied." for column, count in infinite.items()]
    notes += [f"`{target}` is missing in {lost} rows, which are dropped."] * bool(lost)
    return {"clean": clean} if clean else {}


def _declared(kind: str, task: str, name: str, reader: Any, source: dict[str, Any]) -> dict[str, Any]:
    split = SPLIT | ({"strategy": "stratified"} if task == "classification" else {})
    source = {"_target_": f"{reader.__name__}.read", **source}
    return {"kind": kind, "task": task, "folder": name, "source": source, "split": split}


def _task(y: pd.Series, target: str | None) -> str:
    if target is None:
        return "clustering"
    text = not pd.api.types.is_numeric_dtype(y.dropna().infer_objects())
    return "classification" if text or ((y.dropna() % 1 == 0).all() and y.nunique() <= CLASSES) else "regression"


def _rare(what: str, y: pd.Series, notes: list[str], rows: str = "rows", absent: Sequence[str] = ()) -> dict[Any, int]:
    """The classes that are too small to learn, and their rows."""
    if _task(y, "y") != "classification":
        return {}
    counts = y.value_counts()
    if (counts >= FEWEST).sum() < 2:
        raise UserError(
            f"{what} cannot be predicted: {(counts >= FEWEST).sum()} of its classes have {FEWEST} {rows} or more."
        )
    rare = counts[counts < FEWEST].to_dict() | dict.fromkeys(absent, 0)
    if rare:
        counted = ", ".join(f"{name}: {count}" for name, count in rare.items())
        notes.append(f"Left out: classes with fewer than {FEWEST} {rows} ({counted}).")
    return rare
