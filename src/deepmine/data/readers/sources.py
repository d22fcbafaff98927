"""Files and databases to DuckDB tables: CSV, Parquet, JSON, SQLite, PostgreSQL."""

import gzip
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import duckdb

from deepmine.config.errors import UserError
from deepmine.config.schema.source import File
from deepmine.data.ledger import Ledger
from deepmine.data.raw import raw_files

KINDS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".ndjson": "json"}
KINDS |= {".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite"}  # the others are CSV
MAGIC = {b"PAR1": "parquet", b"SQLite format 3\0": "sqlite", b"\x1f\x8b": "gz", b"PK\3\4": "zip"}
QUOTED = r"'.*'|\".*\"|\(.*\)|['\"(].*$"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Reading(NamedTuple):
    """What was found out about a file: `settings` for it, `notes` on what is odd, `doubts`, which only a person can
    settle, and `missing`: columns of numbers with words that were taken for missing, and how many.
    """

    settings: dict[str, str]
    notes: list[str]
    doubts: list[str]
    missing: dict[str, str]


def load(
    db: duckdb.DuckDBPyConnection, folder: Path, table: str, file: File, null_values: Sequence[str], ledger: Ledger
) -> Reading:
    """Make one table of files with the same columns, or of a table of a database.

    Args:
        db: where to.
        folder: where the files lie.
        table: its name.
        file: what to read, and how.
        null_values: texts of a CSV file that mean "missing".
        ledger: gets what was read, and what is odd about it.

    Returns:
        What was found out about it; nothing, but of CSV files.

    Raises:
        UserError: it cannot be read, has no rows, or is not what its name says.
    """
    from deepmine.data.readers import databases, delimited

    name, reading = file.path or f"{file.table} of {file.url}", Reading({}, [], [], {})
    try:
        if file.path is None:
            databases.postgresql(db, table, file)
        else:
            paths = _paths(folder, file.path)
            kind = _kind(paths)
            if kind == "sqlite":
                databases.sqlite(db, table, paths, file.table)
            elif kind == "parquet":
                db.read_parquet([str(path) for path in paths], union_by_name=True).create(quoted(table))
            elif kind == "json":
                create(db.read_json, table, paths, {"union_by_name": True})
            else:
                reading = delimited.read(db, table, paths, file, null_values)
    except duckdb.Error as error:
        raise UserError(f"{folder / name} cannot be read as a table: {explained(error)}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{folder / name} cannot be unpacked: {error}.") from None
    rows, columns = db.table(quoted(table)).shape
    if rows == 0:
        raise UserError(f"{folder / name} has columns ({', '.join(db.table(quoted(table)).columns)}), but no rows.")
    ledger.add("read", f"{name}: {rows} rows, {columns} columns", rows, rows)
    for note in (*reading.notes, *reading.doubts):
        ledger.add("read", f"{name}: {note}", rows, rows)
    return reading


def create(read: Any, table: str, paths: Sequence[Path], options: dict[str, Any]) -> None:
    """Make a table by one of DuckDB's readers, which guess types from the first rows: from all where these mislead."""
    names: Any = [str(path) for path in paths]
    names = names[0] if len(names) == 1 else names  # DuckDB finds no lines to leave out where it is given a list
    try:
        read(names, **options).create(quoted(table))
    except duckdb.Error as error:
        if "convert" not in str(error) and "transform" not in str(error):
            raise
        read(names, **options, sample_size=-1).create(quoted(table))


def explained(error: duckdb.Error) -> str:
    """What DuckDB says, without the line or value that it says it of, which may be personal."""
    places = r"Line: \d+$|Expected Number of Columns.*|Error when converting column \".*?\"|Maximum line size.*"
    found = re.findall(places, str(error), re.MULTILINE)
    if "Error when sniffing" in str(error):
        found = ["its lines are not cut in one way. Mend it, or set `delimiter`, `quotechar`, `skiprows`"]
    said = str(error).splitlines()[0]
    if isinstance(error, (duckdb.DataError, duckdb.InvalidInputException)):
        said = re.sub(QUOTED, "...", said)
    return ", ".join(found) or said


def quoted(name: str) -> str:
    """A name of a table or column, as SQL takes any."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, as SQL takes any."""
    return "'" + text.replace("'", "''") + "'"


def fetch(db: duckdb.DuckDBPyConnection, sql: str, *values: object) -> list[tuple]:
    """All rows of a query."""
    return db.execute(sql, values).fetchall()


def opened(path: Path) -> BinaryIO:
    """A file for reading, unpacked."""
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _paths(folder: Path, path: str) -> list[Path]:
    paths = raw_files(folder, path)
    for one in paths:
        if one.stat().st_size == 0:
            raise UserError(f"{one} is empty.")
    return paths


def kind_by_name(file: str) -> str:
    """csv, parquet, json or sqlite."""
    return KINDS.get(Path(file.removesuffix(".gz")).suffix.lower(), "csv")


def _kind(paths: Sequence[Path]) -> str:
    """What files hold by their names, unless their first bytes say something else."""
    kinds = {path: kind_by_name(path.name) for path in paths}
    for path, kind in kinds.items():
        with opened(path) as file:
            head = file.read(2**16)
        held = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
        if held == "zip":
            raise UserError(f"{path} is a zip archive or an Excel sheet. Unpack it, or save the sheet as CSV.")
        if (held or kind) != kind:
            raise UserError(f"{path} is no {kind} but {held}: let its name end with .{held}.")
        if held is None and (kind in MAGIC.values() or (b"\0" in head and not head.startswith(UTF_16))):
            raise UserError(
                f"{path} is not what its name says: {'no ' + kind if kind != 'csv' else 'it holds no text'}."
            )
    if len(set(kinds.values())) > 1:
        raise UserError(f"{', '.join(path.name for path in paths)} are of several kinds: give each its own name.")
    return next(iter(kinds.values()))
