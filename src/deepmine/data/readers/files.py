"""Files and databases to DuckDB tables.

DuckDB finds the columns of a CSV file and their types; how numbers, dates and missing values are written is declared,
never guessed. Messages show the form of a value (999,9), never the value.
"""

import gzip
import os
import re
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import duckdb

from deepmine.config.errors import UserError, nearest, shown
from deepmine.config.schema.source import File
from deepmine.data.ledger import Ledger
from deepmine.data.raw import raw_files

KINDS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".db": "sqlite"}
KINDS |= {".sqlite": "sqlite", ".sqlite3": "sqlite"}  # any other is CSV
MAGIC = {b"PAR1": "parquet", b"SQLite format 3\0": "sqlite", b"\x1f\x8b": "gzip", b"PK\3\4": "zip or Excel"}
LOOKED_AT = 100_000  # rows, for questions about columns of text
NUMBER = r"-?(\d|[1-9]\d*|[1-9]\d{0,2}([.,' ]\d{3})+)([.,]\d+)?"  # 007 is a code
WORD = r"(?i)[[:punct:]]{1,3}|#?n[./]?a[.]?|nan|null|none|missing|unknown"  # may mean missing
DIVIDED = "its lines are not all divided alike; correct them, or set `delimiter` (baskets: 'read={baskets: true}')"


def load(
    db: duckdb.DuckDBPyConnection, folder: Path, table: str, file: File, null_values: Sequence[str], ledger: Ledger
) -> None:
    """Make one table of files with the same columns, or of a database; the ledger gets what may have been misread."""
    name, questions = file.path or str(file.url), []
    paths = [] if file.path is None else raw_files(folder, file.path)
    kinds = {_kind(path) for path in paths}
    if len(kinds) > 1 or (kinds == {"sqlite"} and len(paths) > 1):
        raise UserError(f"{name}: these files cannot be one table. Give each a name in data.source.files.")
    try:
        if kinds <= {"sqlite"}:
            _from_database(db, table, file, *paths)
        elif kinds == {"csv"}:
            questions = _from_csv(db, table, paths, file, null_values)
        else:
            _create(db.read_parquet if kinds == {"parquet"} else db.read_json, table, paths, {})
    except duckdb.Error as error:
        raise UserError(f"{folder / name} is damaged, or not a table: {explained(error)}.") from None
    rows, columns = db.table(quoted(table)).shape
    if rows == 0:
        raise UserError(f"{name} has columns ({', '.join(db.table(quoted(table)).columns)}), but no rows.")
    for what in (f"{rows} rows, {columns} columns", *questions):
        ledger.add("read", f"{name}: {what}", rows, rows)


def explained(error: duckdb.Error) -> str:
    """What DuckDB says, without the line or value that it is about, which may be personal."""
    if "Invalid unicode" in str(error):
        return "it is not in UTF-8; set `encoding`, such as cp1252, latin-1 or utf-16"
    places = r"Line: \d+$|Expected Number of Columns.*|Error when converting column \".*?\"|Maximum line size.*"
    said = DIVIDED if "Error when sniffing" in str(error) else str(error).splitlines()[0]
    if isinstance(error, duckdb.DataError | duckdb.InvalidInputException) and said != DIVIDED:
        said = re.sub(r"'.*'|\".*\"|\(.*\)|['\"(].*$", "...", said)
    return ", ".join(re.findall(places, str(error), re.MULTILINE)) or said


def quoted(name: str) -> str:
    """A name of a table or column, as SQL takes any."""
    return '"' + name.replace('"', '""') + '"'


def _kind(path: Path) -> str:
    """What a file holds by its name; a `UserError` if its first bytes say something else."""
    kind = KINDS.get(Path(path.name.removesuffix(".gz")).suffix.lower(), "csv")
    named = "gzip" if path.suffix == ".gz" else kind if kind in MAGIC.values() else None
    with path.open("rb") as file:
        head = file.read(16)
    found = next((held for magic, held in MAGIC.items() if head.startswith(magic)), None if head else "empty")
    if found != named:
        what = found or f"damaged, or not {named}"
        raise UserError(f"{path} is {what}, against its name. Restore or rename it, or save it as CSV.")
    return kind


def _create(read: Any, table: str, paths: Sequence[Path], options: dict[str, Any]) -> None:
    """Make a table by one of DuckDB's readers, which infer types from the first rows: from all if these mislead."""
    first, *others = (read(str(path), **options).columns for path in paths)
    for path, columns in zip(paths[1:], others, strict=True):
        if differ := sorted(set(columns) ^ set(first)):
            raise UserError(f"{path} must have the columns of {paths[0].name}; only one has {', '.join(differ)}.")
    names: Any = str(paths[0]) if not others else list(map(str, paths))  # in a list it skips no lines at the top
    options = {**options, "union_by_name": True} if others else options
    try:
        read(names, **options).create(quoted(table))
    except duckdb.Error as error:
        if not re.search("convert|transform", str(error)):
            raise
        read(names, **options, sample_size=-1).create(quoted(table))


def _from_csv(
    db: duckdb.DuckDBPyConnection, table: str, paths: Sequence[Path], file: File, null_values: Sequence[str]
) -> list[str]:
    given = file.model_dump(exclude_none=True, exclude={"path", "table", "url", "encoding"})
    options: dict[str, Any] = {"dtype": {}, **given, "na_values": list(null_values)}
    with TemporaryDirectory() as scratch:
        if file.encoding is not None:
            paths = [_in_utf_8(path, file.encoding, Path(scratch, f"{n}-{path.stem}")) for n, path in enumerate(paths)]
        _create(db.read_csv, table, paths, options)
        made, questions = db.table(quoted(table)), []
        if not given.keys() & {"delimiter", "header", "names", "skiprows"}:
            [top] = db.execute("SELECT SkipRows, HasHeader FROM sniff_csv(?)", [str(paths[0])]).fetchall()
            found = f"{top[0]} lines at the top were skipped, and {'a' if top[1] else 'no'} header was found"
            questions += [f"{found}; set `skiprows` or `names`, or correct the file"] if top != (0, True) else []
        if len(made.columns) == 1 and "delimiter" not in given and re.search(r"[,;\t|]", made.columns[0]):
            raise UserError(f"{file.path} is not a table: {DIVIDED}.")
        for column, kind in zip(made.columns, map(str, made.types), strict=True):
            if kind == "VARCHAR" and column not in options["dtype"]:
                questions += _looks_like_numbers(db, table, column)
    return questions


def _looks_like_numbers(db: duckdb.DuckDBPyConnection, table: str, column: str) -> list[str]:
    """What to ask about a column of text, if most of it looks like numbers."""
    [(values, numbers, others, words, form)] = db.execute(
        "SELECT count(v), count_if(number), count(DISTINCT v) FILTER (NOT number AND NOT word),"
        " list(DISTINCT v) FILTER (word AND NOT number), max(regexp_replace(v, '[0-9]', '9', 'g')) FILTER (number)"
        " FROM (SELECT v, regexp_full_match(v, ?) AS number, regexp_full_match(v, ?) AS word"
        f" FROM (SELECT trim({quoted(column)}) AS v FROM {quoted(table)} LIMIT {LOOKED_AT}))",
        [NUMBER, WORD],
    ).fetchall()
    if not numbers or numbers <= others or others > max(5, values // 20):
        return []
    missing = f"; {', '.join(sorted(words))} may mean missing" if words else ""
    return [f"`{column}` is text, but {numbers} of {values} values look like numbers ({form}){missing}"]


def _in_utf_8(path: Path, encoding: str, copy: Path) -> Path:
    unpack: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with unpack(path, "rt", encoding=encoding) as source, copy.open("w", encoding="utf-8") as target:
            shutil.copyfileobj(source, target)
    except (UnicodeError, LookupError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged, or not in {encoding}: {error}.") from None
    return copy


def _from_database(db: duckdb.DuckDBPyConnection, table: str, file: File, path: Path | None = None) -> None:
    """Make a table of what SQLAlchemy reads into memory; an SQLite file is opened as one that never changes."""
    import pandas as pd
    import sqlalchemy

    name = str(path or file.url)
    if path is None and name not in os.environ:
        raise UserError(f"Set the environment variable {name}: export {name}=postgresql://user:password@host/database")
    if path is not None and path.with_name(f"{path.name}-wal").exists():
        raise UserError(f"{path} is in use: part of it is in {path.name}-wal. Close the program that writes to it.")
    once = {"mode": "ro", "immutable": "1", "uri": "true"}
    local = sqlalchemy.URL.create("sqlite", database=f"file:{quote(str(path))}", query=once)
    url = local if path else os.environ[name]
    try:
        with sqlalchemy.create_engine(url).connect() as connection:
            found = sqlalchemy.inspect(connection)
            names = [*found.get_table_names(), *found.get_view_names()]
            wanted = file.table or (names[0] if len(names) == 1 else "")
            if wanted not in names and not re.match(r"\s*(SELECT|WITH)\b", wanted, re.IGNORECASE):
                raise UserError(f"{name} has no table `{wanted}`: set `table`, or SELECT. {nearest(wanted, names)}")
            rows = db.from_df(pd.read_sql(wanted, connection))
            (rows if path else rows.order("ALL")).create(quoted(table))  # a server keeps no order of its own
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError, ValueError) as error:
        said = str(getattr(error, "orig", None) or error).splitlines()[0].replace(str(url), name)
        said = "a value does not have its column's type: SELECT CAST(...)" if isinstance(error, ValueError) else said
        raise UserError(f"{name} cannot be read: {shown(said)}.") from None
