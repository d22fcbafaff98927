"""Tables: files or database tables of any size, joined and selected from by DuckDB."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.source import File, Join
from deepmine.data.ledger import Ledger
from deepmine.data.raw import Raw
from deepmine.data.readers import integrate, sources
from deepmine.data.readers.sources import explained, quoted

SELECTED = '"the rows selected"'
MEMORY = "1GB"  # for DuckDB; what does not fit lies on disk
WHOLE = ("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
REAL = ("DOUBLE", "FLOAT", "DECIMAL", "HUGEINT", "UHUGEINT")


def read(
    folder: Path,
    files: dict[str, File],
    query: str | None = None,
    join: list[Join] | None = None,
    row_id: str | None = None,
    target: str | None = None,
    null_values: Sequence[str] = ("",),
) -> Raw:
    """A pandas frame with columns of float64 (numbers, truth values), datetime64 (dates) or text.

    A target of truth values is text: `true` and `false`, or the words of a CSV file, if `dtype` reads them as VARCHAR.

    Args:
        folder: where the files lie.
        files: the name of each table in `join` and `query`, and what it is read from.
        query: SQL, in DuckDB's dialect, from the tables, or from `joined`:
            https://duckdb.org/docs/current/sql/introduction
        join: makes the table `joined` of the tables; without it and without a query there is one table.
        row_id: the column that names a row, unique, by which the rows are ordered; None: their number in the source.
        target: the column to predict; its values may be missing.
        null_values: texts of CSV files that mean "missing".

    Raises:
        UserError: a file cannot be read, a join or the query fails, a column is missing, or ids are not unique.
    """
    ledger = Ledger()
    with database() as db:
        for table, file in files.items():
            sources.load(db, folder, table, File.model_validate(file), null_values, ledger)
        tables = list(files)
        if join:
            integrate.join(db, [Join.model_validate(step) for step in join], ledger)
            tables = ["joined"]
        db.execute("SET enable_external_access = false")  # a query sees the declared files only, which are versioned
        frame = _selected(db, tables, query, row_id, target, ledger)
    rows = np.arange(len(frame)) if row_id is None else _ids(frame.pop(row_id), row_id)
    y = None if target is None else _plain(frame.pop(target))
    return Raw(frame, y, rows, facts={"ledger": list(ledger)})


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database on disk, which is gone afterwards."""
    with TemporaryDirectory(prefix="deepmine-") as scratch:
        file = Path(scratch) / "tables.duckdb"
        with duckdb.connect(file, config={"memory_limit": MEMORY, "temp_directory": scratch}) as db:
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
    if query is None and len(tables) > 1:
        raise UserError(f"Say in data.source by `join` or `query` how {', '.join(tables)} become one table.")
    try:
        found = db.sql(query or f"FROM {quoted(tables[0])}")
        _check_columns(found.columns, row_id, target)
        ordered = found if row_id is None else found.order(quoted(row_id))
        typed = ordered.project(_typed(found, row_id, target))
        if query or row_id or tables == ["joined"]:  # once, not for each group of columns
            typed.create(SELECTED)
            typed = db.table(SELECTED)
        frame = _frame(typed)
    except duckdb.Error as error:
        have = "; ".join(f"{table} has {', '.join(db.table(quoted(table)).columns)}" for table in tables)
        raise UserError(f"The query fails: {explained(error)}. Table {have}.") from None
    if query is not None:
        before = sum(db.table(quoted(table)).shape[0] for table in tables)
        ledger.add("integrate", f"query on {', '.join(tables)}: {len(frame.columns)} columns", before, len(frame))
    if frame.empty:
        raise UserError("The query gives no rows.")
    return frame


def _frame(found: duckdb.DuckDBPyRelation) -> pd.DataFrame:
    """A relation in pandas, by eighths of its columns: all of them in Arrow's memory too would be twice as much."""
    names = list(map(quoted, found.columns))
    size = -(-len(names) // 8)
    groups = [", ".join(names[begin : begin + size]) for begin in range(0, len(names), size)]
    return pd.concat([found.project(group).to_arrow_table().to_pandas() for group in groups], axis=1)


def _check_columns(columns: list[str], row_id: str | None, target: str | None) -> None:
    for column in filter(None, (row_id, target)):
        if column not in columns:
            raise UserError(f"The query gives no column `{column}`. {nearest(column, columns)}")
    if twice := {column for column in columns if columns.count(column) > 1}:
        raise UserError(f"The query gives two columns `{min(twice)}`. Name one of them otherwise, with AS.")


def _typed(found: duckdb.DuckDBPyRelation, row_id: str | None, target: str | None) -> str:
    """Every column as one of the three types; the target keeps whole numbers, row ids and its truth values are text."""
    columns = []
    for name, kind in zip(found.columns, map(str, found.types), strict=True):
        if name == target and kind in WHOLE:
            wanted = kind if kind != "BOOLEAN" else "VARCHAR"
        elif name != row_id and (kind in WHOLE or kind.startswith(REAL)):
            wanted = "DOUBLE"
        elif name not in (row_id, target) and kind.startswith(("DATE", "TIMESTAMP")):
            wanted = "TIMESTAMP"
        else:
            wanted = "VARCHAR"
        columns.append(f"CAST({quoted(name)} AS {wanted}) AS {quoted(name)}")
    return ", ".join(columns)


def _ids(column: pd.Series, row_id: str) -> NDArray[np.str_]:
    if wrong := int((column.duplicated() | column.isna()).sum()):
        raise UserError(f"`{row_id}` should name each row once, but is missing or repeated in {wrong} rows.")
    return column.to_numpy(np.str_)


def _plain(target: pd.Series) -> NDArray:
    """Numbers as they are; text as NumPy's, or as objects where some is missing."""
    if pd.api.types.is_numeric_dtype(target):
        return target.to_numpy()
    return target.to_numpy(object if target.hasnans else np.str_)
