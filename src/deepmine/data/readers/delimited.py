"""CSV files to a DuckDB table. DuckDB finds out how they are cut and typed.

What it does not is done here (encodings) and in `numbers`, and what is odd is told: lines of other lengths, lines left
out at the top, names given twice, dates that stay text.
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

from deepmine.config.errors import UserError
from deepmine.config.schema.source import File
from deepmine.data.readers import numbers
from deepmine.data.readers.sources import UTF_16, Reading, create, fetch, opened, quoted

PIECE = 2**20  # bytes or characters
# of files that are not in UTF-8; those of DOS fit nearly any bytes, so whoever has them says it by `encoding`
ENCODINGS = [*(f"cp125{n}" for n in (2, 0, 1, 3, 4, 5, 6, 7)), "koi8_r", "shift_jis", "euc_jp", "gb18030", "euc_kr"]
FORM = ("delimiter", "quotechar", "escapechar", "comment", "header", "names", "skiprows")


def read(
    db: duckdb.DuckDBPyConnection, table: str, paths: Sequence[Path], file: File, null_values: Sequence[str]
) -> Reading:
    """Make a table of CSV files with the same columns, in any order.

    Raises:
        UserError: the files have not the same columns, are not in the encoding, or cannot be cut into columns.
        duckdb.Error: a line is not like the others.
    """
    given = file.model_dump(exclude_none=True, exclude={"path", "table", "url", "encoding", "thousands"})
    options = {"na_values": list(null_values), **given}
    with tempfile.TemporaryDirectory() as scratch:
        paths, encoding = _in_utf_8(db, table, paths, file.encoding, options, Path(scratch))
        delimiter, notes = _top(db, paths[0]) if not set(given) & set(FORM) else (file.delimiter, [])
        if encoding != file.encoding:
            notes.append(f"not in UTF-8 but, it seems, {encoding}: if letters are wrong, set `encoding`")

        def again(**changed: Any) -> None:
            db.execute(f"DROP TABLE {quoted(table)}")
            _create(db, table, paths, options | changed)

        found = numbers.settle(db, table, file, delimiter, again)
    settings = ({"encoding": encoding} if encoding else {}) | found.settings
    return found._replace(settings=settings, notes=[*notes, *found.notes])


def _in_utf_8(
    db: duckdb.DuckDBPyConnection,
    table: str,
    paths: Sequence[Path],
    encoding: str | None,
    options: dict[str, Any],
    scratch: Path,
) -> tuple[Sequence[Path], str | None]:
    """Make the table, from copies in UTF-8 where the files are in something else; the files it came from, and that."""
    if encoding is None:
        try:
            _create(db, table, paths, options)
            return paths, None
        except (duckdb.Error, UserError):  # UTF-8 is not looked for in files that can be read
            if (encoding := _foreign(paths)) is None:
                raise
    copies = [_recoded(path, encoding, scratch / f"{n}.csv") for n, path in enumerate(paths)]
    _create(db, table, copies, options)
    return copies, encoding


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
            best = from_bytes(sample, cp_isolation=ENCODINGS).best()
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


def _top(db: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, list[str]]:
    """The delimiter, and what is odd at the top of a file that DuckDB found the form of."""
    [(delimiter, skipped, header, first)] = fetch(
        db, "SELECT Delimiter, SkipRows, HasHeader, Columns[1].name FROM sniff_csv(?)", str(path)
    )
    if skipped and not header:
        raise UserError(
            f"{path}: the lines before line {skipped + 1} are cut otherwise than the rest. Mend it, or set `skiprows`."
        )
    if not header:
        return delimiter, [f"there seems to be no header, so its columns are {first}, ...: set `names`"]
    with opened(path) as file:
        lines = csv.reader((line.decode("utf-8-sig", "replace") for line in file), delimiter=delimiter)
        names = [next(lines) for _ in range(skipped + 1)][-1]
    twice = [name for name, n in Counter(map(str.lower, names)).items() if n > 1]
    notes = [f"`{name}` stands twice in the header: the second is {name}_1" for name in twice]
    return delimiter, notes + ([f"{skipped} lines before the header are left out"] if skipped else [])
