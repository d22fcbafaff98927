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
from deepmine.data.raw import Raw
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
    """What becomes conf/data/<name>.yaml, and what to tell the person."""

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
    options = {"basket": "basket", "item": "item", "header": "header", "delimiter": "separator"}
    source = {"file": file} | {option: read[key] for key, option in options.items() if key in read}
    rows = len(baskets.read(folder, **source).rows)
    return Found(f"{rows} baskets from {file}", _declared("baskets", "rules", name, baskets, source), [])


def _images(name: str, folder: Path, target: str | None) -> Found:
    held = {path.suffix.lower() or path.name for path in folder.rglob("*") if path.is_file()}
    if target is not None or not held & set(Image.registered_extensions()):
        like = "MNIST: conf/data/mnist5k.yaml" if "-ubyte" in "".join(map(str, folder.rglob("*"))) else "docs/guides"
        raise UserError(
            f"A folder must hold images in folders by class, without `target`; this one holds {sorted(held)}. Give one "
            f"file (path=/somewhere/x.csv), or copy the folder to data/{name} and write its YAML, like {like}."
        )
    notes, source = list[str](), dict[str, Any]()
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
    form, notes = {key: value for key, value in read.items() if key != "null_values"}, []
    null_values: dict[str, Any] = {"null_values": ["", *read["null_values"]]} if "null_values" in read else {}
    raw = table.read(folder, {name: File(path=file, **form)}, target=target, **null_values)
    X, y = raw.X, pd.Series(raw.y)
    _require_clear(file, raw, target, read)
    if set(y.dropna()) <= {"true", "false"} and len(y) and file.removesuffix(".gz").endswith((".csv", ".tsv", ".txt")):
        form["dtype"] = {**form.get("dtype", {}), target: "VARCHAR"}
        notes.append(f"`{target}` is read as text, so that its own words name the classes (source.files).")
        y = pd.Series(table.read(folder, {name: File(path=file, **form)}, target=target, **null_values).y)
    named = [str(c) for c in X if re.search(r"(^|_|\b)(id|key|nr|number)$", str(c), re.IGNORECASE)]
    row_id = next((c for c in named if X[c].is_unique and X[c].notna().all()), None)
    personal = privacy.personal(X)
    empty = [str(c) for c in X if X[c].isna().all() and c not in personal]
    texts = [str(c) for c in X.select_dtypes("str") if c != row_id and c not in personal]
    free = [c for c in texts if X[c].nunique() > max(CLASSES, FREE * X[c].notna().sum())]
    left = [str(c) for c in X if c != row_id and c not in [*personal, *free, *empty]]
    is_text = target is not None and not left and len(free) == 1
    if not left and not is_text:
        raise UserError(f"{file} has no column to learn from beside {', '.join([*personal, *free, *empty]) or 'none'}.")
    rare = _rare(f"`{target}` of {file}", y, notes) if target else {}
    row = row_id or next(new for n in range(9) if (new := "row" + "_" * n) not in X)
    left_out = [c for c in personal if c != row_id] if is_text else free
    query = _query(name, None if row_id else row, [*left_out, *empty], target, rare)
    source = null_values | {"files": {name: {"path": file, **form} if form else file}, "row_id": row, "target": target}
    source |= {"query": query} | ({"text": free[0]} if is_text else {})
    settings = _declared("text" if is_text else "table", _task(y, target), name, table, source)
    if not is_text:
        settings |= {"privacy": {"columns": dict.fromkeys(personal, "drop")}} if personal else {}
        notes += [f"`{column}` looks personal ({why}): dropped." for column, why in personal.items()]
        notes += [f"{', '.join(free)}: nearly every row has its own text: left out."] * bool(free)
    notes += [f"{', '.join(empty)}: no row has a value: left out."] * bool(empty)
    dates = [c for c in left if X[c].dtype.kind == "M"]
    notes += [f"To predict later rows, set split: {{strategy: time, time: {c}}}." for c in dates[:1]]
    settings |= _clean(X, y, target, notes)
    train = round(len(X) * (1 - SPLIT["val"] - SPLIT["test"]))
    if train > FIRST_ROWS:
        settings["train_fraction"] = round(FIRST_ROWS / train, 4)
        notes.append(f"The first models learn from {FIRST_ROWS:,} of {train:,} training rows (train_fraction).")
    return Found(f"{len(X)} rows of {X.shape[1]} columns from {file}", settings, notes)


def _require_clear(file: str, raw: Raw, target: str | None, read: Mapping[str, Any]) -> None:
    """Ask about what can be two things; a `UserError` if a question has no answer yet."""
    if asked := "".join(f"  {entry.what.removeprefix(file + ': ')}\n" for entry in raw.facts["ledger"][1:]):
        word = re.search(r"([^\s;]+) may mean missing", asked)
        raise UserError(f"{file} may be misread:\n{asked}{ANSWERS.format(word=word[1] if word else 'absent')}")
    if "_target_" in [*raw.X, target]:
        raise UserError(f"{file} has a column `_target_`, a name that configs use for classes. Rename it.")
    pairs = target is None and not read and raw.X.shape[1] == 2 and raw.X.iloc[:, 0].duplicated().any()
    if pairs and raw.X.dtypes.iloc[1] == "str":
        basket = "'read={{basket: {}, item: {}}}'".format(*raw.X)
        raise UserError(
            f"Does each row of {file} name a basket and an item in it: {basket}, or not: 'read={{header: true}}'?"
        )


def _query(name: str, number: str | None, left_out: Sequence[str], target: str | None, rare: Mapping[Any, int]) -> str:
    """All columns but some, with the `number` of the row if that is its id, without the rows of rare classes."""
    columns = f"* EXCLUDE ({', '.join(map(quoted, left_out))})" if left_out else "*"
    query = f"SELECT {f'rowid AS {number}, ' if number else ''}{columns} FROM {quoted(name)}"
    if not rare:
        return query
    values = ", ".join(f"{v:.0f}" if isinstance(v, float) else "'" + str(v).replace("'", "''") + "'" for v in rare)
    return f"{query} WHERE {quoted(str(target))} NOT IN ({values}) OR {quoted(str(target))} IS NULL"


def _clean(X: pd.DataFrame, y: pd.Series, target: str | None, notes: list[str]) -> dict[str, Any]:
    """Empty infinite values, drop rows without a target."""
    numbers = (X if target is None else X.assign(**{target: y})).select_dtypes("number")
    infinite = {str(c): int(n) for c, n in np.isinf(numbers).sum().items() if n}
    lost = 0 if target is None else int(y.isna().sum()) + infinite.get(target, 0)
    notes += [f"`{column}` is infinite in {count} rows, where it is emptied." for column, count in infinite.items()]
    notes += [f"`{target}` is missing in {lost} rows, which are dropped."] * bool(lost)
    clean: dict[str, Any] = {"impossible": {c: {"min": -FINITE, "max": FINITE} for c in infinite}} if infinite else {}
    clean |= {"missing": {"drop_rows": [target]}} if lost else {}
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
    if (enough := (counts >= FEWEST).sum()) < 2:
        raise UserError(f"{what} cannot be predicted: {enough} of its classes have {FEWEST} {rows} or more.")
    rare = counts[counts < FEWEST].to_dict() | dict.fromkeys(absent, 0)
    if rare:
        counted = ", ".join(f"{name}: {count}" for name, count in rare.items())
        notes.append(f"Left out: classes with fewer than {FEWEST} {rows} ({counted}).")
    return rare
