"""A first query over several tables: to the longest come those whose key it has in columns of the same name."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.source import File
from deepmine.data.ledger import Ledger
from deepmine.data.readers.files import load, quoted

MATCHED = 0.5  # of the rows of the longest table, at least


class Joined(NamedTuple):
    """The longest table, the number of its row, what follows FROM, the keys of other tables, and those left out."""

    base: str
    number: str
    origin: str
    keys: dict[str, dict[str, str]]
    left_out: list[str]


def join(folder: Path, files: Mapping[str, Any], target: str | None, null_values: Sequence[str]) -> Joined:
    """Join to the longest table, of those with the target; a name that is taken becomes `<table>_<name>`."""
    if len(files) == 1:
        return Joined(next(iter(files)), "rowid", quoted(next(iter(files))), {}, [])
    with duckdb.connect() as db:
        for table, file in files.items():
            load(db, folder, table, File.model_validate(file), null_values, Ledger())
        columns = {table: db.table(quoted(table)).columns for table in files}
        having = [table for table in files if target in (None, *columns[table])]
        if not having:
            known = {column for names in columns.values() for column in names}
            raise UserError(f"No table has a column `{target}`. {nearest(str(target), known)}")
        base = max(having, key=lambda table: db.table(quoted(table)).shape[0])
        origin, keys, taken = quoted(base), dict[str, dict[str, str]](), set(columns[base])
        for table in [table for table in files if table != base]:
            for key in _possible(table, columns[table], columns[base]):
                if _fits(db, base, table, key):
                    names = {here: there for there, here in key.items()}
                    names |= {c: f"{table}_{c}" if c in taken else c for c in columns[table] if c not in names}
                    origin += f"\nLEFT JOIN {_renamed(table, names)} USING ({', '.join(map(quoted, key))})"
                    taken |= set(names.values())
                    keys[table] = key
                    break
    return Joined(base, f"{quoted(base)}.rowid", origin, keys, [table for table in files if table not in (base, *keys)])


def _possible(table: str, columns: Sequence[str], base: Sequence[str]) -> Iterator[dict[str, str]]:
    """Keys, each by its names in the base: `{customer_id: id}` of customers, a column of both, all columns of both."""
    if "id" in columns:
        yield from ({name: "id"} for name in (f"{table}_id", f"{table.removesuffix('s')}_id") if name in base)
    shared = [column for column in columns if column in base and column != "id"]
    yield from ({column: column} for column in shared)
    yield {column: column for column in shared}


def _fits(db: duckdb.DuckDBPyConnection, base: str, table: str, key: Mapping[str, str]) -> bool:
    """Whether the key names each row of the table once, and most rows of the base have one."""
    there, here = (", ".join(map(quoted, names)) for names in (key, key.values()))
    try:
        [(rows, values)] = db.sql(f"SELECT count(*), count(DISTINCT ({here})) FROM {quoted(table)}").fetchall()
        matched = f"SELECT avg((({there}) IN (SELECT ({here}) FROM {quoted(table)}))::INT) FROM {quoted(base)}"
        return rows == values and (db.sql(matched).fetchall()[0][0] or 0) >= MATCHED
    except duckdb.Error:  # no column, or text in one and numbers in the other
        return False


def _renamed(table: str, names: Mapping[str, str]) -> str:
    new = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in names.items() if old != new)
    return f"(SELECT * RENAME ({new}) FROM {quoted(table)})" if new else quoted(table)
