"""Tables of databases to DuckDB tables, in pieces: SQLite by Python's own module, PostgreSQL by Arrow's driver."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa

from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.source import File
from deepmine.data.readers.sources import quoted

PIECE = 100_000  # rows


def sqlite(db: duckdb.DuckDBPyConnection, name: str, paths: Sequence[Path], table: str | None) -> None:
    """Make the table `name` of a table of an SQLite file, which is only read.

    A column is of the type of its values, whatever was declared: numbers if all are, else text; text that was declared
    a date or time becomes one if it can.

    Raises:
        UserError: there are several files, or no such table; the file cannot be read or is in use.
    """
    [path, *others] = paths
    if others:
        raise UserError(
            f"{path.name} and {others[0].name}: give each SQLite file a name of its own in data.source.files."
        )
    if path.with_name(f"{path.name}-wal").exists():
        raise UserError(f"{path} is in use, part of it is still in {path.name}-wal. Close what writes to it.")
    try:
        with closing(
            sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        ) as source:
            _copy(source, db, name, _chosen(source, path, table))
    except sqlite3.Error as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


def _chosen(source: sqlite3.Connection, path: Path, table: str | None) -> str:
    found = source.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
    )
    names = [name for [name] in found]
    if table in names:
        return str(table)
    if table is None and len(names) == 1:
        return names[0]
    raise UserError(f"{path}: say which `table` beside its `path`. {nearest(str(table or ''), names)}")


def _copy(source: sqlite3.Connection, db: duckdb.DuckDBPyConnection, name: str, table: str) -> None:
    declared = {row[1]: row[2].upper() for row in source.execute(f"PRAGMA table_info({quoted(table)})")}
    kinds = source.execute(
        f"SELECT {', '.join(f'group_concat(DISTINCT typeof({quoted(c)}))' for c in declared)} FROM {quoted(table)}"
    ).fetchone()
    schema = pa.schema([(c, _arrow(set((k or "null").split(",")))) for c, k in zip(declared, kinds, strict=True)])
    selected = [f"CAST({quoted(f.name)} AS TEXT)" if f.type == pa.string() else quoted(f.name) for f in schema]
    cursor = source.execute(f"SELECT {', '.join(selected)} FROM {quoted(table)}")

    def batches() -> Iterator[pa.RecordBatch]:
        while rows := cursor.fetchmany(PIECE):
            columns = [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), schema, strict=True)]
            yield pa.record_batch(columns, schema=schema)

    db.from_arrow(pa.RecordBatchReader.from_batches(schema, batches())).create(quoted(name))
    for field in schema:
        if field.type == pa.string() and declared[field.name].startswith(("DATE", "TIMESTAMP")):
            try:
                db.execute(f"ALTER TABLE {quoted(name)} ALTER {quoted(field.name)} TYPE TIMESTAMP")
            except duckdb.ConversionException:  # declared so, but it holds something else: text
                continue


def _arrow(kinds: set[str]) -> pa.DataType:
    kinds = kinds - {"null"}
    if kinds <= {"integer", "real"} and kinds:
        return pa.int64() if kinds == {"integer"} else pa.float64()
    return pa.string()


def postgresql(db: duckdb.DuckDBPyConnection, name: str, file: File) -> None:
    """Make the table `name` of `file.table` (`people` or `shop.people`) in a PostgreSQL database.

    Decimals become numbers; what has no Arrow type (identifiers, ranges, JSON, ...) becomes text.

    Raises:
        UserError: the environment variable is missing, or the database refuses.
    """
    from adbc_driver_manager import Error
    from adbc_driver_postgresql import dbapi

    assert file.url is not None and file.table is not None
    if file.url not in os.environ:
        raise UserError(
            f"Set the environment variable {file.url}: export {file.url}=postgresql://user:password@host/database"
        )
    table = ".".join(map(quoted, file.table.split(".")))
    try:
        with dbapi.connect(os.environ[file.url]) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table} LIMIT 0")
            columns = [_plain(field) for field in cursor.fetch_arrow_table().schema]
            cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")
            db.from_arrow(cursor.fetch_record_batch()).create(quoted(name))
    except Error as error:
        said = str(error).splitlines()[0].replace(os.environ[file.url], file.url)  # which holds a password
        raise UserError(f"{file.table} of {file.url} cannot be read: {said}") from None


def _plain(field: pa.Field) -> str:
    column = quoted(field.name)
    if getattr(field.type, "type_name", "") == "numeric":
        return f"{column}::float8 AS {column}"
    simple = pa.types.is_primitive(field.type) or pa.types.is_string(field.type)
    return column if simple else f"{column}::text AS {column}"
