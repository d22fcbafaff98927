"""A first query over several tables: to the longest come those whose key it has in columns of the same name."""

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import duckdb

from deepmine.config.schema.source import File
from deepmine.data.ledger import Ledger
from deepmine.data.readers.files import load, quoted

MATCHED = 0.5  # of the rows of the longest table, at least
Keys = dict[str, dict[str, str]]  # as in `table.read`


def join(
    folder: Path, files: Mapping[str, Any], target: str | None, null_values: Sequence[str]
) -> tuple[str, str, Keys]:
    """The longest table with the target, what follows FROM, and the keys of the tables that are joined to it."""
    if len(files) == 1:
        return (name := next(iter(files))), quoted(name), {}
    with duckdb.connect() as db:
        for table, file in files.items():
            load(db, folder, table, File.model_validate(file), null_values, Ledger())
        tables = {table: db.table(quoted(table)) for table in files}
        base, *others = sorted(tables, key=lambda t: (target not in (None, *tables[t].columns), -tables[t].shape[0]))
        origin, keys, taken = quoted(base), Keys(), set(tables[base].columns)
        for table in others:
            possible = _keys(table, tables[table].columns, {*tables[base].columns} - {target})
            if key := next((key for key in possible if _fits(db, base, table, key)), None):
                names = {here: there for there, here in key.items()}
                names |= {c: f"{table}_{c}" if c in taken else c for c in tables[table].columns if c not in names}
                new = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in names.items() if old != new)
                source = f"(SELECT * RENAME ({new}) FROM {quoted(table)})" if new else quoted(table)
                origin += f"\nLEFT JOIN {source} USING ({', '.join(map(quoted, key))})"
                taken |= {*names.values()}
                keys[table] = key
    return base, origin, keys


def _keys(table: str, columns: Sequence[str], base: Set[str | None]) -> Iterator[dict[str, str]]:
    """Possible ones: `{customer_id: id}` of customers, a column of both tables, all columns of both."""
    if "id" in columns:
        yield from ({name: "id"} for name in (f"{table}_id", f"{table.removesuffix('s')}_id") if name in base)
    shared = {column: column for column in columns if column in base and column != "id"}
    yield from ({column: column} for column in shared)
    yield shared


def _fits(db: duckdb.DuckDBPyConnection, base: str, table: str, key: Mapping[str, str]) -> bool:
    """Whether the key names each row of the table once, and most rows of the base have one."""
    there, here = (", ".join(map(quoted, names)) for names in (key, key.values()))
    try:
        [(rows, values)] = db.sql(f"SELECT count(*), count(DISTINCT ({here})) FROM {quoted(table)}").fetchall()
        matched = f"SELECT avg((({there}) IN (SELECT ({here}) FROM {quoted(table)}))::INT) FROM {quoted(base)}"
        return rows == values and (db.sql(matched).fetchall()[0][0] or 0) >= MATCHED
    except duckdb.Error:  # no column, or text in one and numbers in the other
        return False
