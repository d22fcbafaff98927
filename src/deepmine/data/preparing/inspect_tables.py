"""A first config for a table, several tables or texts; what can be two things is asked."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError
from deepmine.data.preparing import privacy
from deepmine.data.preparing.found import CLASSES, Found, declared, rare, task_of
from deepmine.data.preparing.joins import join
from deepmine.data.raw import Raw
from deepmine.data.readers import table
from deepmine.data.readers.baskets import HELD, NOT_HELD
from deepmine.data.readers.files import quoted

FREE = 0.5  # share of different texts above which a column describes no group of rows
FINITE = 1e30  # larger numbers are taken for infinite
ROW = "number of the row"
CSV = re.compile(r"\.(csv|tsv|txt)(\.gz)?$")
COUNT = re.compile(r"\d+ rows, \d+ columns$")
MISSING = re.compile(r"(?i)[;,] (#?n/?a|nan|null|[?-])(?=(, [^;]+)? may mean missing)")
ANSWERS = """Give the same command with an answer, which the YAML will keep (several in one `read`):
  numbers  'read={{decimal: ","}}', 'read={{thousands: ","}}', or 'read={{null_values: [{word}]}}' for what is missing
  text     'read={{dtype: {{<column>: VARCHAR}}}}', numbers (9E9, inf) 'read={{dtype: {{<column>: DOUBLE}}}}'
  lines    'read={{names: [a, b]}}', 'read={{skiprows: 1}}', or 'read={{baskets: true}}' if each is a basket"""
UNJOINED = (
    "Which rows of {} belong to a row of {}? No column of the same name is a key, so the query leaves them out. Add a "
    "join to `query` in conf/data, or do not, and give the same command again."
)
DATES = (
    "`{0}` holds dates. Are later rows to be predicted from earlier ones? Then write split: {{strategy: time, "
    "time: {0}}}; now test rows are drawn at random."
)


def tables(folder: Path, paths: Mapping[str, str], target: str | None, read: Mapping[str, Any]) -> Found:
    """A table, or one made of several: read, asked about, then described column by column."""
    form, missing = {key: value for key, value in read.items() if key != "null_values"}, read.get("null_values", [])
    files: dict[str, Any] = {name: {"path": path, **form} if form else path for name, path in paths.items()}
    base, origin, keys = join(folder, files, target, ["", *missing])
    source: dict[str, Any] = {"null_values": ["", *missing]} if missing else {}
    source |= {"files": {base: files[base], **files}} | ({"keys": keys} if keys else {})
    source |= {
        "row_id": ROW,
        "target": target,
        "query": f"SELECT {quoted(base)}.rowid AS {quoted(ROW)}, * FROM {origin}",
    }
    raw = table.read(folder, **source)
    asked = [entry.what for entry in raw.facts["ledger"] if entry.step == "read" and not COUNT.search(entry.what)]
    if words := sorted({word[1] for line in asked for word in MISSING.finditer(line)} - {*missing}):
        found = tables(folder, paths, target, {**read, "null_values": [*missing, *words]})
        return found._replace(notes=[f"{', '.join(words)} among numbers: missing (source.null_values).", *found.notes])
    _require_clear(paths[base], asked, raw.X, target, read)
    notes = [f"{name} is joined by {', '.join(key)} (source.query)." for name, key in keys.items()]
    if set(pd.Series(raw.y).dropna()) <= {"true", "false"} and target and CSV.search(paths[base]):
        source["files"][base] = {"path": paths[base], **form, "dtype": {**form.get("dtype", {}), target: "VARCHAR"}}
        notes.append(f"`{target}` is read as text, so that its own words name the classes (source.files).")
        raw = table.read(folder, **source)
    title = f"{len(raw.rows)} rows of {raw.X.shape[1]} columns from {', '.join(paths.values())}"
    settings = _described(base, origin, source, raw, target, notes)
    left = ", ".join(name for name in paths if name not in (base, *keys))
    return Found(title, settings, notes, UNJOINED.format(left, base) if left else "")


def _described(
    base: str, origin: str, source: dict[str, Any], raw: Raw, target: str | None, notes: list[str]
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
        found = ", ".join([*personal, *free, *empty])
        raise UserError(f"There is no column to learn from beside {found or 'none'}.")
    small = rare(f"`{target}`", y, notes) if target else {}
    row = row_id or next(new for n in range(9) if (new := "row" + "_" * n) not in X)
    number = "" if row_id else f"{quoted(base)}.rowid AS {row}, "
    left_out = [*([c for c in personal if c != row_id] if is_text else free), *empty]
    query = f"SELECT {number}{_rows(left_out, origin, target, small)}"
    source |= {"row_id": row, "query": query} | ({"text": free[0]} if is_text else {})
    settings = declared("text" if is_text else "table", task_of(y, target), table, source, raw, notes)
    if not is_text:
        settings |= {"privacy": {"columns": dict.fromkeys(personal, "drop")}} if personal else {}
        notes += [f"`{column}` looks personal ({why}): dropped." for column, why in personal.items()]
        notes += [f"{', '.join(free)}: nearly every row has its own text: left out."] * bool(free)
    notes += [f"{', '.join(empty)}: no row has a value: left out."] * bool(empty)
    notes += [DATES.format(c) for c in left if target and X[c].dtype.kind == "M"][:1]
    return settings | _clean(X, y, target, notes)


def _rows(left_out: Sequence[str], origin: str, target: str | None, small: Mapping[Any, int]) -> str:
    """All columns but some, without the rows of small classes."""
    some = f" EXCLUDE ({', '.join(map(quoted, left_out))})" if left_out else ""
    selected = f"*{some} FROM {origin}"
    if not small:
        return selected
    values = ", ".join(f"{v:.0f}" if isinstance(v, float) else "'" + str(v).replace("'", "''") + "'" for v in small)
    return f"{selected} WHERE {quoted(str(target))} NOT IN ({values}) OR {quoted(str(target))} IS NULL"


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
    if target is not None or read:
        return
    marks = [c for c in X if X[c].nunique() <= 2 and set(X[c].dropna().astype(str).str.lower()) <= HELD | NOT_HELD]
    rest = [c for c in X if c not in marks]
    if X.shape[1] == 2 and X.iloc[:, 0].duplicated().any() and X.dtypes.iloc[1] == "str":
        what, answer = "name a basket and an item in it", "basket: {}, item: {}".format(*X)
    elif CSV.search(file) and len(marks) > 2 and len(rest) < 2 and all(X[c].is_unique for c in rest):
        what, answer = (
            "say of each item whether it is in a basket",
            ", ".join(["one_hot: true", *(f"basket: {c}" for c in rest)]),
        )
    else:
        return
    raise UserError(f"Does each row of {file} {what}: 'read={{{answer}}}', or not: 'read={{header: true}}'?")
