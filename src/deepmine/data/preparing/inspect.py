"""What is this? A first config for data that nobody has described yet; what can be two things is asked."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from deepmine.config.errors import UserError
from deepmine.data.preparing import found, privacy
from deepmine.data.preparing.found import Found
from deepmine.data.preparing.joins import Keys, join
from deepmine.data.raw import Raw
from deepmine.data.readers import table
from deepmine.data.readers.baskets import HELD, NOT_HELD
from deepmine.data.readers.files import quoted

CLASSES = 20  # integers with more different values are a quantity, not a class
FREE = 0.5  # share of different texts above which a column describes no group of rows
FINITE = 1e30  # larger numbers are taken for infinite
TABLE = re.compile(r"(?i)(.+?)\.(csv|tsv|parquet|jsonl|ndjson)(\.gz)?")
CSV = re.compile(r"\.(csv|tsv|txt)(\.gz)?$")
COUNT = re.compile(r"\d+ rows, \d+ columns$")
MISSING = re.compile(r"(?i)[;,] (#?n/?a|nan|null|[?-])(?=(, [^;]+)? may mean missing)")
FOLDER = (
    "A folder must hold images in folders by class, without `target`; tables (CSV, Parquet, JSON lines); or files like "
    "MNIST's. This one holds {}. Anything else is read by a YAML: docs/guides/own-data.md"
)
ANSWERS = """Give the same command with an answer, which the YAML will keep (several in one `read`):
  numbers  'read={{decimal: ","}}', 'read={{thousands: ","}}', or 'read={{null_values: [{word}]}}' for what is missing
  text     'read={{dtype: {{<column>: VARCHAR}}}}', numbers (inf) 'read={{dtype: {{<column>: DOUBLE}}}}'
  lines    'read={{names: [a, b]}}', 'read={{skiprows: 1}}', or 'read={{baskets: true}}' if each is a basket"""
UNJOINED = (
    "Which rows of {} belong to a row of {}? No column of the same name is a key, so the query leaves them out. Add a "
    "join to `query` in conf/data, or do not, and give the same command again."
)
DATES = (
    "`{0}` holds dates. Are later rows to be predicted from earlier ones? Then write split: {{strategy: time, "
    "time: {0}}}; now test rows are drawn at random."
)


def inspect(
    name: str, folder: Path, file: str, target: str | None, read: Mapping[str, Any] = MappingProxyType({})
) -> Found:
    """Look at a file, or all if they came from a folder; `read` is what a person said: `schema.source.FirstForm`."""
    if not (folder / file).exists():
        described = _folder(folder, target, read)
    elif read.keys() & {"baskets", "basket", "one_hot"}:
        described = found.of_baskets(folder, file, read)
    else:
        described = _tables(folder, {name: file}, target, read)
    if "${" in str(described.settings):
        raise UserError(f"{file} has a name with `${{`, which configs take for an expression. Rename it.")
    return described._replace(settings={"folder": name, **described.settings})


def _folder(folder: Path, target: str | None, read: Mapping[str, Any]) -> Found:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if target is None and any(path.suffix.lower() in Image.registered_extensions() for path in files):
        return found.images(folder)
    top = [path.name for path in files if path.parent == folder]
    if idx := [file for file in top if "ubyte" in file]:
        return found.idx(folder, idx)
    if paths := {re.sub(r"\W", "_", named[1]): named[0] for named in map(TABLE.fullmatch, top) if named}:
        return _tables(folder, paths, target, read)
    raise UserError(FOLDER.format(sorted({path.suffix or path.name for path in files})))


def _tables(folder: Path, paths: Mapping[str, str], target: str | None, read: Mapping[str, Any]) -> Found:
    """A table, or one made of several: read, asked about, then described column by column."""
    form, missing = {key: value for key, value in read.items() if key != "null_values"}, read.get("null_values", [])
    files: dict[str, Any] = {name: {"path": path, **form} if form else path for name, path in paths.items()}
    base, origin, keys = next(iter(files)), quoted(next(iter(files))), Keys()
    if len(files) > 1:
        base, origin, keys = join(folder, files, target, ["", *missing])
    row = f"row in {base}"
    select = f"SELECT {quoted(base)}.rowid AS {quoted(row)}, *"
    source: dict[str, Any] = {"null_values": ["", *missing], "files": {base: files[base], **files}}
    source |= {"keys": keys} if keys else {}
    source |= {"row_id": row, "target": target, "query": f"{select} FROM {origin}"}
    raw = table.read(folder, **source)
    asked = [entry.what for entry in raw.facts["ledger"] if entry.step == "read" and not COUNT.search(entry.what)]
    if words := sorted({word[1] for line in asked for word in MISSING.finditer(line)} - {*missing}):
        again = _tables(folder, paths, target, {**read, "null_values": [*missing, *words]})
        return again._replace(notes=[f"{', '.join(words)} among numbers: missing (source.null_values).", *again.notes])
    _require_clear(paths[base], asked, raw.X, target, read)
    notes = [f"{name} is joined by {', '.join(key)} (source.query)." for name, key in keys.items()]
    if target and set(pd.Series(raw.y).dropna()) <= {"true", "false"} and CSV.search(paths[base]):
        source["files"][base] = {"path": paths[base], **form, "dtype": {**form.get("dtype", {}), target: "VARCHAR"}}
        notes.append(f"`{target}` is read as text, so that its own words name the classes (source.files).")
        raw = table.read(folder, **source)
    title = f"{len(raw.rows)} rows of {raw.X.shape[1]} columns from {', '.join(paths.values())}"
    settings = _described(source, select, origin, raw, target, notes)
    left = ", ".join(name for name in paths if name not in (base, *keys))
    return Found(title, settings, notes, UNJOINED.format(left, base) if left else "")


def _described(
    source: dict[str, Any], select: str, origin: str, raw: Raw, target: str | None, notes: list[str]
) -> dict[str, Any]:
    """The settings: what each column is, and the query for those and the rows to learn from."""
    X, y = raw.X, pd.Series(raw.y)
    named = [str(c) for c in X if re.search(r"(^|_|\b)(id|key|nr|number)$", str(c), re.IGNORECASE)]
    row_id = next((c for c in named if X[c].is_unique and X[c].notna().all()), None)
    personal = privacy.personal(X)
    empty = [str(c) for c in X if X[c].isna().all() and c not in personal]
    texts = [str(c) for c in X.select_dtypes("str") if c != row_id and c not in personal]
    free = [c for c in texts if X[c].nunique() > max(CLASSES, FREE * X[c].notna().sum())]
    left = [str(c) for c in X if c != row_id and c not in [*personal, *free, *empty]]
    is_text = target is not None and not left and len(free) == 1
    if not left and not is_text:
        raise UserError(f"There is no column to learn from beside {', '.join([*personal, *free, *empty]) or 'none'}.")
    task = _task(y, target)
    small = found.rare(f"`{target}`", y.value_counts(), "rows", notes) if task == "classification" else []
    left_out = [*([c for c in personal if c != row_id] if is_text else free), *empty]
    some = f" EXCLUDE ({', '.join(map(quoted, left_out))})" if left_out else ""
    query = f"{select if row_id is None else 'SELECT *'}{some} FROM {origin}{_but(target, small)}"
    source |= {"row_id": row_id or source["row_id"], "query": query}
    source |= {"text": free[0]} if is_text else {}
    settings = found.declared("text" if is_text else "table", task, table, source, raw, notes)
    if not is_text:
        settings |= {"privacy": {"columns": dict.fromkeys(personal, "drop")}} if personal else {}
        notes += [f"`{column}` looks personal ({why}): dropped." for column, why in personal.items()]
        notes += [f"{', '.join(free)}: nearly every row has its own text: left out."] * bool(free)
    notes += [f"{', '.join(empty)}: no row has a value: left out."] * bool(empty)
    notes += [DATES.format(c) for c in left if target and X[c].dtype.kind == "M"][:1]
    return settings | _clean(X, y, target, notes)


def _task(y: pd.Series, target: str | None) -> str:
    if target is None:
        return "clustering"
    text = not pd.api.types.is_numeric_dtype(y.dropna().infer_objects())
    return "classification" if text or ((y.dropna() % 1 == 0).all() and y.nunique() <= CLASSES) else "regression"


def _but(target: str | None, small: Sequence[Any]) -> str:
    """Leaves out the rows of small classes."""
    values = ", ".join("'" + str(value).replace("'", "''") + "'" for value in small)
    return f" WHERE {quoted(str(target))} NOT IN ({values}) OR {quoted(str(target))} IS NULL" if small else ""


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


def _require_clear(
    file: str, asked: Sequence[str], X: pd.DataFrame, target: str | None, read: Mapping[str, Any]
) -> None:
    """Ask about what can be two things; a `UserError` if a question has no answer yet."""
    if asked:
        word = re.search(r"([^\s;]+) may mean missing", "".join(asked))
        lines = "".join(f"  {line.removeprefix(file + ': ')}\n" for line in asked)
        raise UserError(f"{file} may be misread:\n{lines}{ANSWERS.format(word=word[1] if word else 'absent')}")
    if "_target_" in [*X, target]:
        raise UserError(f"{file} has a column `_target_`, a name that configs use for classes. Rename it.")
    if target is not None or read or not CSV.search(file):
        return
    marks = [c for c in X if X[c].nunique() <= 2 and set(X[c].dropna().astype(str).str.lower()) <= HELD | NOT_HELD]
    rest = [f"basket: {c}" for c in X if c not in marks and X[c].is_unique]
    if X.shape[1] == 2 and X.iloc[:, 0].duplicated().any() and X.dtypes.iloc[1] == "str":
        answer = "basket: {}, item: {}".format(*X)
    elif len(marks) > 2 and len(marks) + len(rest[:1]) == X.shape[1]:
        answer = ", ".join(["one_hot: true", *rest])
    else:
        return
    raise UserError(
        f"Do the rows of {file} say what a basket holds: 'read={{{answer}}}', or not: 'read={{header: true}}'?"
    )
