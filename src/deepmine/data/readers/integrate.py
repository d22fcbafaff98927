"""Several tables made one: declared joins in DuckDB that never multiply rows, and an account of each."""

from collections.abc import Sequence

import duckdb

from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.source import Join
from deepmine.data.ledger import Ledger
from deepmine.data.readers.sources import explained, fetch, quoted

PLACE = '"place in the first table"'
KEYED = "deepmine.keyed"  # the table to join, one row for each key
SEVERAL = "deepmine.several"  # its keys that stand in several rows, and which columns differ there
RULES = {
    "first": "arg_min({0}, rowid)",
    "max": "max({0})",
    "mean": "avg({0} ORDER BY {0})",  # in order: the last bit of a sum depends on it
    "drop": "if(count(DISTINCT {0}) > 1, NULL, any_value({0}))",
}


def join(db: duckdb.DuckDBPyConnection, steps: Sequence[Join], ledger: Ledger) -> None:
    """Make the view `joined`: the rows of the first table, in their order, each with its row of every other.

    Raises:
        UserError: a table or key is not there, a key has several values and no rule says which counts, or no rows of
            two tables belong together.
    """
    tables = [name for [name] in fetch(db, "SELECT table_name FROM duckdb_tables()")]
    if "joined" in map(str.lower, tables):
        raise UserError("`joined` is the name of what `join` makes: give that table in data.source.files another one.")
    for step in steps:
        if step.table not in tables:
            raise UserError(f"`join` names the table `{step.table}`. {nearest(step.table, tables)}")
    db.execute("CREATE SCHEMA deepmine")  # so that the tables of a source may have any name
    left = "deepmine.joined_0"
    db.execute(f"CREATE VIEW {left} AS SELECT *, rowid AS {PLACE} FROM {quoted(steps[0].table)}")
    for number, step in enumerate(steps[1:], 1):
        _check(_types(db, left), _types(db, quoted(step.table)), step)
        try:
            _make_keyed(db, step, ledger)
            left = _add(db, left, f"deepmine.joined_{number}", step, ledger)
        except duckdb.Error as error:
            raise UserError(f"`{step.table}` cannot be joined: {explained(error)}") from None
    db.execute(f"CREATE VIEW joined AS SELECT * EXCLUDE ({PLACE}) FROM {left} ORDER BY {PLACE}")


def _check(before: dict[str, str], here: dict[str, str], step: Join) -> None:
    """The keys are there, of one type, and rules are for columns that are there and can follow them."""
    if not step.using:
        raise UserError(f"Say by which column `{step.table}` is joined, beside it in `join`: `using: <column>`.")
    for there, ours in step.using.items():
        for key, columns, where in ((there, before, "the tables before"), (ours, here, f"`{step.table}`")):
            if key not in columns:
                raise UserError(f"The key `{key}` of a join is no column of {where}. {nearest(key, columns)}")
        if "VARCHAR" in (before[there], here[ours]) and before[there] != here[ours]:
            raise UserError(
                f"The key `{there}` is {before[there]} before and {here[ours]} in `{step.table}`, so 007 and 7 may "
                f"or may not be the same. Read both as text, beside `path` in the files: dtype: {{{ours}: VARCHAR}}"
            )
    values = [*here.keys() - step.using.values()]
    for column in step.conflict.keys() - {"*"}:
        if column not in values:
            raise UserError(f"`conflict` names `{column}`, which `{step.table}` has not. {nearest(column, values)}")


def _make_keyed(db: duckdb.DuckDBPyConnection, step: Join, ledger: Ledger) -> None:
    table, keys = quoted(step.table), ", ".join(map(quoted, step.using.values()))
    complete = " AND ".join(f"{quoted(key)} IS NOT NULL" for key in step.using.values())
    types = _types(db, table)
    values = [name for name in types if name not in step.using.values()]
    differ = ", ".join(["count(*)", *(f"count(DISTINCT {quoted(c)}) > 1" for c in values)])
    names = [f"key_{n}" for n in range(len(step.using))] + ["n"] + [f"differ_{n}" for n in range(len(values))]
    db.execute(
        f"CREATE OR REPLACE TABLE {SEVERAL} AS SELECT * FROM (SELECT {keys}, {differ} FROM {table} WHERE {complete} "
        f"GROUP BY {keys}) AS t({', '.join(names)}) WHERE n > 1"
    )
    counts = ", ".join(["count(*)", *(f"count(*) FILTER (differ_{n})" for n in range(len(values)))])
    [(repeated, *conflicts)] = fetch(db, f"SELECT {counts} FROM {SEVERAL}")
    stand = "key of {} stands" if repeated == 1 else "keys of {} stand"
    chosen, said = [], [f"{repeated} {stand.format(step.table)} in several rows"] if repeated else []
    for n, (column, count) in enumerate(zip(values, conflicts, strict=True)):
        rule = step.conflict.get(column, step.conflict.get("*")) if count else "first"
        if rule is None:
            raise UserError(_conflict(db, step, column, f"differ_{n}", count))
        if rule == "mean" and types[column] in ("VARCHAR", "BOOLEAN"):
            raise UserError(
                f"`{column}` of `{step.table}` has no mean: it is {types[column]}. Take first, max or drop."
            )
        chosen.append((RULES[rule].format(quoted(column)) if repeated else quoted(column)) + f" AS {quoted(column)}")
        said += [f"{count} of them with several values of `{column}`, of which {rule} counts"] if count else []
    group = f" GROUP BY {keys}" if repeated else ""
    db.execute(
        f"CREATE OR REPLACE TABLE {KEYED} AS SELECT {', '.join([keys, *chosen])} FROM {table} WHERE {complete}{group}"
    )
    [[rows]], [[left]] = (fetch(db, f"SELECT count(*) FROM {name}") for name in (table, KEYED))
    if rows != left:
        [[without]] = fetch(db, f"SELECT count(*) FROM {table} WHERE NOT ({complete})")
        said += [f"{without} rows of {step.table} without a key are left out"] if without else []
        ledger.add("integrate", "; ".join(said), rows, left)


def _conflict(db: duckdb.DuckDBPyConnection, step: Join, column: str, differs: str, count: int) -> str:
    """What to do about a conflict. Values and keys may be personal: rows are named by their number, from 1."""
    keys, table = step.using.values(), quoted(step.table)
    same = " AND ".join(f"s.key_{n} = t.{quoted(key)}" for n, key in enumerate(keys))
    repeated = f"FROM {table} t SEMI JOIN {SEVERAL} s ON {same} AND s.{differs}"
    found = fetch(db, f"SELECT t.rowid + 1 {repeated} ORDER BY ALL LIMIT 6")
    shown = ", ".join(str(row) for [row] in found[:5]) + (", ..." if len(found) > 5 else "")
    return (
        f"`{column}` has several values for one key in `{step.table}`: {', '.join(keys)}, {count} times (rows "
        f"{shown}). Say which counts, beside `table: {step.table}` in `join`: `conflict: {{{column}: first}}`, or "
        "max, mean, or drop to leave it empty."
    )


def _add(db: duckdb.DuckDBPyConnection, left: str, new: str, step: Join, ledger: Ledger) -> str:
    """Make the table `new` of `left` and the row of each in `KEYED`; its name."""
    same = " AND ".join(f"l.{quoted(there)} = r.{quoted(ours)}" for there, ours in step.using.items())
    lone = "SELECT count(*), count(*) FILTER (NOT EXISTS (FROM {} WHERE {})) FROM {}"
    [(rows, unmatched)] = fetch(db, lone.format(f"{KEYED} r", same, f"{left} l"))
    [(keys, unused)] = fetch(db, lone.format(f"{left} l", same, f"{KEYED} r"))
    if unmatched == rows:
        raise UserError(
            f"No row of `{step.table}` belongs to any of the {rows} rows before it, by {', '.join(step.using)}. Is "
            "this the key, and is it written in the same way in both?"
        )
    have = {name.lower() for name in _types(db, left)}
    values = [name for name in _types(db, KEYED) if name not in step.using.values()]
    names = {c: f"{step.table}_{c}" if c.lower() in have else c for c in values}
    selected = ", ".join(["l.*", *(f"r.{quoted(c)} AS {quoted(name)}" for c, name in names.items())])
    db.execute(f"CREATE TABLE {new} AS SELECT {selected} FROM {left} l LEFT JOIN {KEYED} r ON {same}")
    [[after]] = fetch(db, f"SELECT count(*) FROM {new}")
    what = f"{step.table} joined: {unmatched} of {rows} rows have no match there, {unused} of its {keys} keys none here"
    renamed = [f"its `{c}` is `{name}`, for there was one" for c, name in names.items() if c != name]
    ledger.add("integrate", "; ".join([what, *renamed]), rows, after)
    return new


def _types(db: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    found = db.table(table)
    return {n: str(t) for n, t in zip(found.columns, found.types, strict=True) if quoted(n) != PLACE}
