"""A first query over several tables: to the longest come those whose key it has in a column of the same name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from deepmine.config.schema.source import File
from deepmine.data.ledger import Ledger
from deepmine.data.readers.files import load, quoted

Keys = dict[str, dict[str, str]]  # as in `table.read`


def join(folder: Path, files: Mapping[str, Any], target: str | None, null: Sequence[str]) -> tuple[str, str, Keys]:
    """The longest table with the target, what follows FROM, and the keys of the tables that are joined to it."""
    with duckdb.connect() as db:
        for table, file in files.items():
            load(db, folder, table, File.model_validate(file), null, Ledger())
        tables = {table: db.table(quoted(table)) for table in files}
        base, *others = sorted(tables, key=lambda t: (target not in (None, *tables[t].columns), -tables[t].shape[0]))
        origin, keys, taken = quoted(base), Keys(), set(tables[base].columns)
        for table in others:
            columns = tables[table].columns
            pairs = [(name, "id") for name in (f"{table}_id", f"{table.removesuffix('s')}_id") if "id" in columns]
            pairs += [(column, column) for column in columns if column not in ("id", target)]
            for here, there in pairs:
                if here in tables[base].columns and _is_key(db, base, here, table, there):
                    names = {c: here if c == there else f"{table}_{c}" if c in taken else c for c in columns}
                    new = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in names.items() if old != new)
                    source = f"(SELECT * RENAME ({new}) FROM {quoted(table)})" if new else quoted(table)
                    origin += f"\nLEFT JOIN {source} USING ({quoted(here)})"
                    taken |= {*names.values()}
                    keys[table] = {here: there}
                    break
    return base, origin, keys


def _is_key(db: duckdb.DuckDBPyConnection, base: str, here: str, table: str, there: str) -> bool:
    """Whether the column names each row of the table once, and a row of the base has one of its values."""
    is_key = f"count(*) = count(DISTINCT {quoted(there)})"
    matches = f"bool_or({quoted(there)} IN (SELECT {quoted(here)} FROM {quoted(base)}))"
    try:
        return bool(db.sql(f"SELECT {is_key} AND {matches} FROM {quoted(table)}").fetchall()[0][0])
    except duckdb.Error:  # text in one and numbers in the other
        return False
