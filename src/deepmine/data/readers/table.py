"""Tables: files or database tables, selected from and joined by one SQL query in DuckDB."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.source import File
from deepmine.data.ledger import Ledger
from deepmine.data.raw import Raw
from deepmine.data.readers.files import explained, load, quoted

MANY = r"\b(union|unnest|unpivot|cross)\b"  # give more rows on purpose
MEMORY = "1GB"  # for DuckDB, which writes to disk what does not fit
WHOLE = ("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
Keys = dict[str, str | list[str] | dict[str, str]]
REAL = ("DOUBLE", "FLOAT", "DECIMAL", "HUGEINT", "UHUGEINT")


def read(
    folder: Path,
    files: dict[str, File],  # by the name of the table in `query`
    query: str | None = None,  # https://duckdb.org/docs/current/sql/introduction; without it there is one table
    keys: Keys | None = None,  # for the account: by table, what names its rows; {dest: faa} if the other says dest
    row_id: str | None = None,  # the column of unique ids, by which rows are ordered; None: the number of the row
    target: str | None = None,  # the column to predict; its values may be missing
    null_values: Sequence[str] = ("",),  # texts of CSV files that mean "missing"
    text: str | None = None,  # for data of kind text: the column of texts, the only one beside id and target
) -> Raw:
    """A pandas frame with columns of float64 (numbers, truth values), datetime64 (dates) or text; or texts `(n,)`.

    A target of truth values becomes the text `true` or `false`, or the words of a CSV file if `dtype` says VARCHAR.
    """
    first, *more = files
    if (query is None and more) or (query is not None and row_id is None):
        raise UserError(
            "Several tables need a `query` in data.source, and a query needs `row_id`, the column that names each row "
            "once, because SQL keeps no order. Without such a column: SELECT rowid AS row, ... and row_id: row."
        )
    ledger = Ledger()
    with TemporaryDirectory(prefix="deepmine-") as scratch, duckdb.connect(f"{scratch}/tables.duckdb") as db:
        db.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '{MEMORY}'")
        db.execute(f"SET enable_progress_bar = {sys.stdout.isatty()}")  # after two seconds
        for table, file in files.items():
            load(db, folder, table, File.model_validate(file), null_values, ledger)
        account(db, list(files), keys or {}, ledger)
        # a query sees the declared files only, which are versioned; the last bit of a sum depends on its order
        db.execute("SET enable_external_access = false; SET threads = 1")
        sizes = {table: db.table(quoted(table)).shape[0] for table in files}
        frame = _selected(db, list(files), query, row_id, target)
    said = f"{len(frame)} rows from {sizes[first]} of {first}"
    if query is not None:
        ledger.add("integrate", f"query: {said}", sizes[first], len(frame))
    many = len(frame) > max(sizes.values()) and not re.search(MANY, query or "", re.IGNORECASE)
    said += "; more than any table has: does a join match several rows?" * many
    if row_id and (wrong := int((frame[row_id].duplicated() | frame[row_id].isna()).sum())):
        raise UserError(f"`{row_id}` must name each row once, but is missing or repeated in {wrong} rows ({said}).")
    if many:
        raise UserError(f"The query gives {said} Aggregate that table first. If it is meant, write CROSS JOIN.")
    rows = np.arange(len(frame)) if row_id is None else frame.pop(row_id).to_numpy(np.str_)
    y: Any = None if target is None else frame.pop(target)
    if y is not None:
        y = y.to_numpy(None if pd.api.types.is_numeric_dtype(y) else object if y.hasnans else np.str_)
    facts = {"ledger": list(ledger)} | ({} if text is None else {"columns": [text]})
    return Raw(frame if text is None else _texts(frame, text), y, rows, facts=facts)


def _texts(frame: pd.DataFrame, text: str) -> NDArray[np.str_]:
    if list(frame) != [text] or frame[text].dtype != "str" or frame[text].hasnans:
        found = ", ".join(f"`{c}` ({frame[c].dtype}, {frame[c].isna().sum()} missing)" for c in frame) or "none"
        raise UserError(f"Beside id and target there must be `{text}` alone, text without gaps, but there is: {found}.")
    return frame[text].to_numpy(np.str_)


def _selected(
    db: duckdb.DuckDBPyConnection, tables: list[str], query: str | None, row_id: str | None, target: str | None
) -> pd.DataFrame:
    """The rows of the query, or of the one table, ordered by their id."""
    try:
        found = db.sql(query or f"FROM {quoted(tables[0])}")
        for column in sorted({c for c in (row_id, target) if c is not None} - {*found.columns}):
            raise UserError(f"The query gives no column `{column}`. {nearest(column, found.columns)}")
        if twice := {column for column in found.columns if found.columns.count(column) > 1}:
            raise UserError(f"The query gives two columns `{min(twice)}`. Rename one, with AS.")
        ordered = found if row_id is None else found.order(quoted(row_id))
        frame = ordered.project(_typed(found, row_id, target)).to_arrow_table().to_pandas(self_destruct=True)
    except duckdb.Error as error:
        have = "; ".join(f"{table} has {', '.join(db.table(quoted(table)).columns)}" for table in tables)
        raise UserError(f"The query fails: {explained(error)}. Table {have}.") from None
    if frame.empty:
        raise UserError("The query gives no rows.")
    return frame


def _typed(found: duckdb.DuckDBPyRelation, row_id: str | None, target: str | None) -> str:
    """Every column as one of the three types; the target keeps whole numbers, row ids and its truth values are text."""
    columns = []
    for name, kind in zip(found.columns, map(str, found.types), strict=True):
        if name == target and kind in WHOLE:
            to = kind if kind != "BOOLEAN" else "VARCHAR"
        elif name != row_id and (kind in WHOLE or kind.startswith(REAL)):
            to = "DOUBLE"
        else:
            dates = name not in (row_id, target) and kind.startswith(("DATE", "TIMESTAMP"))
            to = "TIMESTAMP" if dates else "VARCHAR"
        columns.append(f"CAST({quoted(name)} AS {to}) AS {quoted(name)}")
    return ", ".join(columns)


def account(db: duckdb.DuckDBPyConnection, tables: list[str], keys: Keys, ledger: Ledger) -> None:
    """Count the repeated keys of each table, their conflicting values, and the rows without a match.

    It is compared with the first other table that has its key. A `UserError` if none has, or no row has a match.
    """
    types = {t: dict(zip(db.table(quoted(t)).columns, db.table(quoted(t)).types, strict=True)) for t in tables}
    for table, given in keys.items():
        key = given if isinstance(given, dict) else {c: c for c in ([given] if isinstance(given, str) else given)}
        base = next((t for t in tables if t != table and key.keys() <= types[t].keys()), None)
        if base is None or table not in types or not types[table].keys() >= {*key.values()}:
            have = "; ".join(f"`{name}` has {', '.join(columns)}" for name, columns in types.items())
            raise UserError(f"`keys` says {{{table}: {given}}}: both tables must have it. {have}.")
        for one, other in ((types[base][there], types[table][here]) for there, here in key.items()):
            if one != other and "VARCHAR" in (one, other):
                say = f"dtype: {{{min(key.values())}: VARCHAR}}"
                raise UserError(f"The key of `{table}` is {other} there, {one} in `{base}`: is 007 7? Say: {say}.")
        rows = db.table(quoted(table)).shape[0]
        ledger.add("integrate", _told(db, base, table, key, list(types[table])), rows, rows)


def _told(db: duckdb.DuckDBPyConnection, base: str, table: str, key: dict[str, str], columns: list[str]) -> str:
    def count(what: str) -> int:
        return db.execute(f"SELECT count(*) FROM ({what})").fetchall()[0][0]

    here, a, b = ", ".join(f"b.{quoted(c)}" for c in key.values()), f"{quoted(base)} a", f"{quoted(table)} b"
    same = " AND ".join(f"a.{quoted(there)} = b.{quoted(ours)}" for there, ours in key.items())
    rows, lost = count(f"FROM {a}"), count(f"FROM {a} ANTI JOIN {b} ON {same}")
    if lost == rows:
        raise UserError(f"No row of `{base}` has a match in `{table}`. Is the key written in the same way in both?")
    unused = count(f"SELECT DISTINCT {here} FROM {b} ANTI JOIN {a} ON {same}")
    said = [f"{lost} of {rows} rows of {base} have no match in {table}, {unused} of its keys are unused"]
    groups = f"SELECT {here} FROM {b} GROUP BY {here} HAVING count"
    if several := count(f"{groups}(*) > 1"):
        clash = {c: count(f"{groups}(DISTINCT b.{quoted(c)}) > 1") for c in columns}
        said.append(f"{several} of its keys name several rows")
        said += [f"{n} with different values of `{column}`" for column, n in clash.items() if n]
    return ", ".join(said)
