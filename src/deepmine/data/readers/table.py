"""Tables: files or database tables, selected from and joined by one SQL query in DuckDB."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.source import File
from deepmine.data.ledger import Ledger
from deepmine.data.raw import Raw
from deepmine.data.readers.account import Keys, account
from deepmine.data.readers.files import explained, load, quoted

SELECTED = "the rows selected"
MEMORY = "1GB"  # for DuckDB, which writes to disk what does not fit
WHOLE = ("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
REAL = ("DOUBLE", "FLOAT", "DECIMAL", "HUGEINT", "UHUGEINT")


def read(
    folder: Path,
    files: dict[str, File],
    query: str | None = None,
    keys: dict[str, str | list[str] | dict[str, str]] | None = None,
    row_id: str | None = None,
    target: str | None = None,
    null_values: Sequence[str] = ("",),
) -> Raw:
    """A pandas frame with columns of float64 (numbers, truth values), datetime64 (dates) or text.

    A target of truth values becomes the text `true` or `false`, or the words of a CSV file if `dtype` says VARCHAR.

    Args:
        folder: where the files are.
        files: the name of each table in `query`, and what it is read from.
        query: SQL: https://duckdb.org/docs/current/sql/introduction. Without it there is one table.
        keys: see `account`.
        row_id: the column of unique ids, by which the rows are ordered; a query must have one, because SQL promises no
            order. None: the number of the row in the file.
        target: the column to predict; its values may be missing.
        null_values: texts of CSV files that mean "missing".

    Raises:
        UserError: a file cannot be read, the query fails, a column is missing, or ids are not unique.
    """
    if (query is None and len(files) > 1) or (query is not None and row_id is None):
        raise UserError(
            "Several tables need a `query` in data.source, and a query needs `row_id`, a column that it selects and that "
            "names each row once; of a table without one select `rowid AS row` and set `row_id: row`."
        )
    ledger = Ledger()
    with database() as db:
        for table, file in files.items():
            load(db, folder, table, File.model_validate(file), null_values, ledger)
        account(db, list(files), keys or {}, ledger)
        db.execute("SET enable_external_access = false")  # a query sees the declared files only, which are versioned
        db.execute("SET threads = 1")  # the last bit of a sum depends on its order
        frame = _selected(db, list(files), query, row_id, target, ledger)
    rows = np.arange(len(frame)) if row_id is None else frame.pop(row_id).to_numpy(np.str_)
    y = None if target is None else _plain(frame.pop(target))
    return Raw(frame, y, rows, facts={"ledger": list(ledger)})


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database on disk, which is gone afterwards."""
    with TemporaryDirectory(prefix="deepmine-") as scratch:
        config = {"memory_limit": MEMORY, "temp_directory": scratch}
        with duckdb.connect(Path(scratch) / "tables.duckdb", config=config) as db:
            db.execute("SET TimeZone = 'UTC'")
            yield db


def _selected(
    db: duckdb.DuckDBPyConnection,
    tables: list[str],
    query: str | None,
    row_id: str | None,
    target: str | None,
    ledger: Ledger,
) -> pd.DataFrame:
    """The rows of the query, or of the one table, ordered by their id."""
    sizes = {table: db.table(quoted(table)).shape[0] for table in tables}
    try:
        found = db.sql(query or f"FROM {quoted(tables[0])}")
        for column in filter(None, (row_id, target)):
            if column not in found.columns:
                raise UserError(f"The query gives no column `{column}`. {nearest(column, found.columns)}")
        if twice := {column for column in found.columns if found.columns.count(column) > 1}:
            raise UserError(f"The query gives two columns `{min(twice)}`. Rename one, with AS.")
        ordered = found if row_id is None else found.order(quoted(row_id))
        ordered.project(_typed(found, row_id, target)).create(quoted(SELECTED))
        made = db.table(quoted(SELECTED))
        frame = _frame(made)
    except duckdb.Error as error:
        have = "; ".join(f"{table} has {', '.join(db.table(quoted(table)).columns)}" for table in tables)
        raise UserError(f"The query fails: {explained(error)}. Table {have}.") from None
    if frame.empty:
        raise UserError("The query gives no rows.")
    told = f"{len(frame)} rows from {sizes[tables[0]]} of {tables[0]}"
    many = "; more than any table has: does a join match several rows?" if len(frame) > max(sizes.values()) else ""
    if query is not None:
        ledger.add("integrate", f"query: {told}, {len(frame.columns)} columns{many}", sizes[tables[0]], len(frame))
    if row_id and (wrong := int((frame[row_id].duplicated() | frame[row_id].isna()).sum())):
        raise UserError(f"`{row_id}` must name each row once, but is missing or repeated in {wrong} rows ({told}){many}.")
    return frame


def _frame(found: duckdb.DuckDBPyRelation) -> pd.DataFrame:
    """A relation in pandas, by eighths of its columns: all of them in Arrow's memory too would be twice as much."""
    names = list(map(quoted, found.columns))
    size = -(-len(names) // 8)
    groups = [", ".join(names[begin : begin + size]) for begin in range(0, len(names), size)]
    return pd.concat([found.project(group).to_arrow_table().to_pandas() for group in groups], axis=1)


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


def _plain(target: pd.Series) -> NDArray:
    """Numbers as they are; text as NumPy's, or as objects where some is missing."""
    if pd.api.types.is_numeric_dtype(target):
        return target.to_numpy()
    return target.to_numpy(object if target.hasnans else np.str_)
