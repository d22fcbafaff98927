"""Tables: files or database tables, selected from and joined by one SQL query in DuckDB."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.source import File
from deepmine.data.ledger import Ledger
from deepmine.data.raw import Raw
from deepmine.data.readers.account import account
from deepmine.data.readers.files import explained, load, quoted

MEMORY = "1GB"  # for DuckDB, which writes to disk what does not fit
WHOLE = ("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
REAL = ("DOUBLE", "FLOAT", "DECIMAL", "HUGEINT", "UHUGEINT")


def read(
    folder: Path,
    files: dict[str, File],  # by the name of the table in `query`
    query: str | None = None,  # https://duckdb.org/docs/current/sql/introduction; without it there is one table
    keys: dict[str, str | list[str] | dict[str, str]] | None = None,  # see `account`
    row_id: str | None = None,  # the column of unique ids, by which rows are ordered; None: the number of the row
    target: str | None = None,  # the column to predict; its values may be missing
    null_values: Sequence[str] = ("",),  # texts of CSV files that mean "missing"
    text: str | None = None,  # for data of kind text: the column of texts, the only one beside id and target
) -> Raw:
    """A pandas frame with columns of float64 (numbers, truth values), datetime64 (dates) or text; or texts `(n,)`.

    A target of truth values becomes the text `true` or `false`, or the words of a CSV file if `dtype` says VARCHAR. A
    `UserError` if a file cannot be read, the query fails, a column is missing, or ids are not unique.
    """
    first, *more = files
    if (query is None and more) or (query is not None and row_id is None):
        raise UserError(
            "Several tables need a `query` in data.source, and a query needs `row_id`, the column that names each row "
            "once, because SQL keeps no order. Without such a column: SELECT rowid AS row, ... and row_id: row."
        )
    ledger = Ledger()
    with database() as db:
        for table, file in files.items():
            load(db, folder, table, File.model_validate(file), null_values, ledger)
        account(db, list(files), keys or {}, ledger)
        db.execute("SET enable_external_access = false")  # a query sees the declared files only, which are versioned
        db.execute("SET threads = 1")  # the last bit of a sum depends on its order
        sizes = {table: db.table(quoted(table)).shape[0] for table in files}
        frame = _selected(db, list(files), query, row_id, target)
    said = f"{len(frame)} rows from {sizes[first]} of {first}"
    said += "; more than any table has: does a join match several rows?" * (len(frame) > max(sizes.values()))
    if query is not None:
        ledger.add("integrate", f"query: {said}", sizes[first], len(frame))
    if row_id and (wrong := int((frame[row_id].duplicated() | frame[row_id].isna()).sum())):
        raise UserError(f"`{row_id}` must name each row once, but is missing or repeated in {wrong} rows ({said}).")
    rows = np.arange(len(frame)) if row_id is None else frame.pop(row_id).to_numpy(np.str_)
    y: Any = None if target is None else frame.pop(target)
    if y is not None:
        y = y.to_numpy() if pd.api.types.is_numeric_dtype(y) else y.to_numpy(object if y.hasnans else np.str_)
    raw = Raw(frame, y, rows, facts={"ledger": list(ledger)})
    return raw if text is None else _texts(raw, text)


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database on disk, which is gone afterwards."""
    with TemporaryDirectory(prefix="deepmine-") as scratch:
        config: Any = {"memory_limit": MEMORY, "temp_directory": scratch}
        with duckdb.connect(Path(scratch) / "tables.duckdb", config=config) as db:
            db.execute("SET TimeZone = 'UTC'")
            yield db


def _texts(raw: Raw, text: str) -> Raw:
    X = raw.X
    if list(X) != [text] or X[text].dtype != "str" or X[text].hasnans:
        found = ", ".join(f"`{c}` ({X[c].dtype}, {X[c].isna().sum()} missing)" for c in X) or "none"
        raise UserError(f"Beside id and target there must be `{text}` alone, text without gaps, but there is: {found}.")
    return raw._replace(X=X[text].to_numpy(np.str_), facts={**raw.facts, "columns": [text]})


def _selected(
    db: duckdb.DuckDBPyConnection, tables: list[str], query: str | None, row_id: str | None, target: str | None
) -> pd.DataFrame:
    """The rows of the query, or of the one table, ordered by their id."""
    try:
        found = db.sql(query or f"FROM {quoted(tables[0])}")
        for column in filter(None, (row_id, target)):
            if column not in found.columns:
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
