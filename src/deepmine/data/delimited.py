"""CSV files to a DuckDB table. DuckDB finds out how they are cut and typed.

What it does not is done here: encodings, decimal commas, and to tell what is odd: lines of other lengths, lines left
out at the top, names given twice, numbers and dates that stay text.
"""

import csv
import io
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from deepmine.data.sources import UTF_16, create, fetch, opened, quoted
from deepmine.errors import UserError
from deepmine.schema_data import File

PIECE = 2**20  # bytes or characters
FORM = ("delimiter", "quotechar", "escapechar", "comment", "header", "names", "skiprows")
NUMBER, COMMA = r"[+-]?\d+([.]\d+)?", r"[+-]?\d+,\d+"
GROUPS = r"[+-]?[1-9]\d{0,2}(,\d{3})+([.]\d+)?"  # thousands
MISSING = r"[^0-9a-z]{1,8}|n/?a|nan|null|none|nil|missing|unknown"  # may be shown; other texts may be personal
DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?"


def read(
    db: duckdb.DuckDBPyConnection, table: str, paths: Sequence[Path], file: File, null_values: Sequence[str]
) -> list[str]:
    """Make a table of CSV files with the same columns, in any order; what a person should know of it, as sentences.

    Raises:
        UserError: the files have not the same columns, are not in the encoding, or cannot be cut into columns.
        duckdb.Error: a line is not like the others.
    """
    given = file.model_dump(exclude_none=True, exclude={"path", "table", "url", "encoding"})
    options = {"na_values": list(null_values), **given}
    with tempfile.TemporaryDirectory() as scratch:
        paths, notes = _in_utf_8(db, table, paths, file.encoding, options, Path(scratch))
        if not set(given) & set(FORM):
            notes += _header(db, paths[0])
        if file.decimal is None and file.thousands is None and _has_decimal_comma(db, table):
            db.execute(f"DROP TABLE {quoted(table)}")
            _create(db, table, paths, options | {"decimal": ","})
            notes.append("numbers are written with a decimal comma")
    return notes + _kept_as_text(db, table, file.dtype or {})


def _in_utf_8(
    db: duckdb.DuckDBPyConnection,
    table: str,
    paths: Sequence[Path],
    encoding: str | None,
    options: dict[str, Any],
    scratch: Path,
) -> tuple[Sequence[Path], list[str]]:
    """Make the table, from copies in UTF-8 where the files are in something else; the files it came from."""
    notes = []
    if encoding is None:
        try:
            _create(db, table, paths, options)
            return paths, []
        except (duckdb.Error, UserError):  # UTF-8 is not looked for in files that can be read
            if (encoding := _foreign(paths)) is None:
                raise
        notes = [f"not in UTF-8 but, it seems, {encoding}: if letters are wrong, set `encoding`"]
    copies = [_recoded(path, encoding, scratch / f"{n}.csv") for n, path in enumerate(paths)]
    _create(db, table, copies, options)
    return copies, notes


def _create(db: duckdb.DuckDBPyConnection, table: str, paths: Sequence[Path], options: dict[str, Any]) -> None:
    first, *others = (db.read_csv(str(path), **options).columns for path in paths)
    for path, columns in zip(paths[1:], others, strict=True):
        if differ := sorted(set(columns) ^ set(first)):
            raise UserError(f"{path} should have the columns of {paths[0].name}; only one has {', '.join(differ)}.")
    if len(first) == 1 and "delimiter" not in options and (found := re.search(r"[,;\t|]", first[0])):
        raise UserError(f"{paths[0]} cannot be cut into columns at {found[0]!r}: {_odd_line(paths[0], found[0])}.")
    create(db.read_csv, table, paths, {**options, "union_by_name": len(paths) > 1})


def _odd_line(path: Path, delimiter: str) -> str:
    with opened(path) as file, suppress(csv.Error):
        lines = csv.reader((line.decode("utf-8-sig", "replace") for line in file), delimiter=delimiter)
        wanted = len(next(lines))
        for fields in lines:
            if fields and len(fields) != wanted:
                return f"line {lines.line_num} has {len(fields)} of them, the header {wanted}"
    return "set `delimiter` and `quotechar` for it in data.source.files"


def _foreign(paths: Sequence[Path]) -> str | None:
    """The encoding of the first file that is not in UTF-8, by its lines with letters beyond ASCII."""
    from charset_normalizer import from_bytes

    for path in paths:
        sample, is_utf_8 = b"", True
        with opened(path) as file:
            for line in file:
                if not sample and line.startswith(UTF_16):
                    return "utf-16"
                if not line.isascii():
                    is_utf_8 = is_utf_8 and line.decode(errors="ignore").encode() == line
                    sample += line if len(sample) < PIECE else b""
        if not is_utf_8:
            best = from_bytes(sample).best()
            return "cp1252" if best is None else best.encoding
    return None


def _recoded(path: Path, encoding: str, copy: Path) -> Path:
    try:
        with (
            opened(path) as packed,
            io.TextIOWrapper(packed, encoding, newline="") as source,
            copy.open("w", encoding="utf-8", newline="") as target,
        ):
            while piece := source.read(PIECE):
                target.write(piece)
    except (UnicodeError, LookupError) as error:
        raise UserError(f"{path} is not in {encoding}: {error}. Set `encoding` for it in data.source.files.") from None
    return copy


def _header(db: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    """What is odd at the top of a file that DuckDB found the form of."""
    [(delimiter, skipped, header, first)] = fetch(
        db, "SELECT Delimiter, SkipRows, HasHeader, Columns[1].name FROM sniff_csv(?)", str(path)
    )
    if skipped and not header:
        raise UserError(
            f"{path}: the lines before line {skipped + 1} are cut otherwise than the rest. Mend it, or set `skiprows`."
        )
    if not header:
        return [f"there seems to be no header, so its columns are {first}, ...: set `names`"]
    with opened(path) as file:
        lines = csv.reader((line.decode("utf-8-sig", "replace") for line in file), delimiter=delimiter)
        names = [next(lines) for _ in range(skipped + 1)][-1]
    twice = [name for name, n in Counter(map(str.lower, names)).items() if n > 1]
    notes = [f"`{name}` stands twice in the header: the second is {name}_1" for name in twice]
    return notes + ([f"{skipped} lines before the header are left out"] if skipped else [])


def _has_decimal_comma(db: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Is there a column of numbers like 2,5, and none like 2.5? A column like 1,234 can be either, so is none."""
    found = db.table(quoted(table))
    return "DOUBLE" not in map(str, found.types) and any(
        like["comma"] and like["comma"] + like["number"] == like["all"] and like["groups"] < like["comma"]
        for like in _texts(db, table).values()
    )


def _texts(db: duckdb.DuckDBPyConnection, table: str) -> dict[str, dict[str, int]]:
    """How many of the first values of each column of text are like numbers or dates."""
    found = db.table(quoted(table))
    forms = {"number": NUMBER, "comma": COMMA, "groups": GROUPS, "date": DATE}
    columns = [name for name, kind in zip(found.columns, found.types, strict=True) if kind == "VARCHAR"]
    counts = {}
    for name in columns:
        likes = ", ".join(f"count(*) FILTER (regexp_full_match(value, '{form}'))" for form in forms.values())
        values = f"SELECT trim({quoted(name)}) AS value FROM {quoted(table)} LIMIT 10_000"
        [row] = fetch(db, f"SELECT count(value), {likes} FROM ({values})")
        counts[name] = dict(zip(["all", *forms], row, strict=True))
    return counts


def _kept_as_text(db: duckdb.DuckDBPyConnection, table: str, wanted: dict[str, str]) -> list[str]:
    """Columns of text that seem to be meant otherwise."""
    notes = []
    for name, like in _texts(db, table).items():
        if name in wanted or not like["all"]:
            continue
        if like["groups"] and like["groups"] + like["number"] == like["all"]:
            notes.append(f'`{name}` stays text, such as 1,234: set `thousands` or `decimal` to ","')
        elif like["number"] > like["all"] / 2:
            notes.append(_mixed(db, table, name))
        elif like["date"] > like["all"] / 2:
            notes.append(
                f"`{name}` stays text though it looks like dates: set `date_format`, or use strptime in the query"
            )
    return list(filter(None, notes))


def _mixed(db: duckdb.DuckDBPyConnection, table: str, name: str) -> str:
    """Numbers with a few texts; leading zeros make all of them text, so those columns are as wanted."""
    column = quoted(name)
    is_text = f"TRY_CAST({column} AS DOUBLE) IS NULL"
    [(values, texts, several, marks)] = fetch(
        db,
        f"SELECT count({column}), count({column}) FILTER ({is_text}), count(DISTINCT {column}) FILTER ({is_text}), "
        f"list(DISTINCT {column}) FILTER ({is_text} AND regexp_full_match(lower({column}), '{MISSING}')) "
        f"FROM {quoted(table)}",
    )
    if not texts or (several > 5 and texts > values / 20):  # codes, some of which are numbers
        return ""
    shown = f" ({', '.join(map(repr, sorted(marks)[:3]))})" if marks and several <= 5 else ""
    return f"`{name}` stays text: {texts} of {values} values are no numbers{shown}; do they mean missing? null_values"
