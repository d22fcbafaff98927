"""An account of how the tables of a query belong together. What is joined, the query says."""

from collections.abc import Sequence

import duckdb

from deepmine.config.errors import UserError, nearest
from deepmine.data.ledger import Ledger
from deepmine.data.readers.files import quoted

Keys = dict[str, str | list[str] | dict[str, str]]


def account(db: duckdb.DuckDBPyConnection, tables: Sequence[str], keys: Keys, ledger: Ledger) -> None:
    """Count the repeated keys, the values that conflict in them and the unmatched rows of each table in `keys`.

    `keys`: by table, the column or columns that name its rows; `{dest: faa}` if another table calls them otherwise. A
    table is compared with the first of the others that has these columns.

    Raises:
        UserError: there is no such table or column, the types differ, or no row has a match.
    """
    types = {t: dict(zip(db.table(quoted(t)).columns, db.table(quoted(t)).types, strict=True)) for t in tables}
    for table, given in keys.items():
        key = given if isinstance(given, dict) else {c: c for c in ([given] if isinstance(given, str) else given)}
        if table not in tables:
            raise UserError(f"`data.source.keys` names the table `{table}`. {nearest(table, tables)}")
        for column in key.values():
            if column not in types[table]:
                raise UserError(f"`{table}` has no column `{column}`, a key. {nearest(column, types[table])}")
        base = next((t for t in tables if t != table and key.keys() <= types[t].keys()), None)
        if base is None:
            raise UserError(f"No other table has {', '.join(key)}, the key of `{table}`: `{{there: here}}` names both.")
        for there, here in key.items():
            if types[base][there] != types[table][here] and "VARCHAR" in (types[base][there], types[table][here]):
                raise UserError(
                    f"`{there}` is {types[base][there]} in `{base}` but `{here}` is {types[table][here]} in `{table}`: "
                    f"is 007 the same as 7? Read both as text: dtype: {{{here}: VARCHAR}}"
                )
        ledger.add("integrate", f"{table}: {_told(db, base, table, key, types[table])}", *[len_ := 0] * 2)


def _told(db: duckdb.DuckDBPyConnection, base: str, table: str, key: dict[str, str], columns: Sequence[str]) -> str:
    def count(what: str) -> int:
        return db.execute(f"SELECT count(*) FROM ({what})").fetchall()[0][0]

    here = ", ".join(map(quoted, key.values()))
    same = " AND ".join(f"a.{quoted(there)} = b.{quoted(ours)}" for there, ours in key.items())
    rows, lost = count(f"FROM {quoted(base)}"), count(f"FROM {quoted(base)} a ANTI JOIN {quoted(table)} b ON {same}")
    if lost == rows:
        raise UserError(f"No row of `{base}` has a match in `{table}`. Is {here} the key, written the same in both?")
    n, unused = count(f"SELECT DISTINCT {here} FROM {quoted(table)}"), count(f"SELECT DISTINCT {here} FROM {quoted(table)} b ANTI JOIN {quoted(base)} a ON {same}")
    groups = f"FROM {quoted(table)} GROUP BY {here} HAVING"
    told = [f"{lost} of {rows} rows of {base} have no match, {unused} of its {n} keys are unused"]
    if repeated := count(f"SELECT {here} {groups} count(*) > 1"):
        told.append(f"{repeated} of its keys are in several rows")
        for column in columns:
            if clash := count(f"SELECT {here} {groups} count(DISTINCT {quoted(column)}) > 1"):
                told.append(f"{clash} of them with different values of `{column}`")
    return ", ".join(told)
