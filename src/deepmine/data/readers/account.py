"""An account of how the tables of a query belong together. What is joined, the query says."""

import duckdb

from deepmine.config.errors import UserError
from deepmine.data.ledger import Ledger
from deepmine.data.readers.files import quoted

Keys = dict[str, str | list[str] | dict[str, str]]


def account(db: duckdb.DuckDBPyConnection, tables: list[str], keys: Keys, ledger: Ledger) -> None:
    """Count the repeated keys, their conflicting values and the unmatched rows of each table in `keys`.

    `keys`: by table, the column or columns that name its rows; `{dest: faa}` if another table calls them otherwise. It
    is compared with the first other table that has them. A `UserError` if none has, or no row has a match.
    """
    types = {t: dict(zip(db.table(quoted(t)).columns, db.table(quoted(t)).types, strict=True)) for t in tables}
    for table, given in keys.items():
        key = given if isinstance(given, dict) else {c: c for c in ([given] if isinstance(given, str) else given)}
        base = next((t for t in tables if t != table and key.keys() <= types[t].keys()), None)
        if base is None or table not in types or not types[table].keys() >= {*key.values()}:
            have = "; ".join(f"`{name}` has {', '.join(columns)}" for name, columns in types.items())
            raise UserError(f"`keys` says {{{table}: {given}}}: both tables must have it. {have}.")
        for one, other in ((types[base][there], types[table][here]) for there, here in key.items()):
            if one != other and "VARCHAR" in (one, other):
                say = f"dtype: {{{min(key.values())}: VARCHAR}}"
                raise UserError(f"The key of `{table}` is {other} there, {one} in `{base}`: is 007 7? Say: {say}.")
        ledger.add(
            "integrate", _told(db, base, table, key, list(types[table])), *[db.table(quoted(table)).shape[0]] * 2
        )


def _told(db: duckdb.DuckDBPyConnection, base: str, table: str, key: dict[str, str], columns: list[str]) -> str:
    def count(what: str) -> int:
        return db.execute(f"SELECT count(*) FROM ({what})").fetchall()[0][0]

    here, a, b = ", ".join(f"b.{quoted(c)}" for c in key.values()), f"{quoted(base)} a", f"{quoted(table)} b"
    same = " AND ".join(f"a.{quoted(there)} = b.{quoted(ours)}" for there, ours in key.items())
    rows, lost = count(f"FROM {a}"), count(f"FROM {a} ANTI JOIN {b} ON {same}")
    if lost == rows:
        raise UserError(f"No row of `{base}` has a match in `{table}`. Is the key written in the same way in both?")
    unused = count(f"SELECT DISTINCT {here} FROM {b} ANTI JOIN {a} ON {same}")
    said = [f"{lost} of {rows} rows of {base} have no match in {table}, {unused} of its keys are unused"]
    groups = f"SELECT {here} FROM {b} GROUP BY {here} HAVING count"
    if several := count(f"{groups}(*) > 1"):
        clash = {c: count(f"{groups}(DISTINCT b.{quoted(c)}) > 1") for c in columns}
        said.append(f"{several} of its keys name several rows")
        said += [f"{n} with different values of `{column}`" for column, n in clash.items() if n]
    return ", ".join(said)
