"""Several tables made one: declared joins in DuckDB that never multiply rows, and an account of each."""

from collections.abc import Sequence

import duckdb

from deepmine.data.ledger import Ledger
from deepmine.data.sources import fetch, quoted
from deepmine.errors import UserError, nearest
from deepmine.schema_data import Join

PLACE = '"place in the first table"'
RULES = {
    "first": "arg_min({0}, rowid)",
    "max": "max({0})",
    "mean": "avg({0} ORDER BY {0})",  # in order: sums of floats depend on it
    "drop": "if(count(DISTINCT {0}) > 1, NULL, any_value({0}))",
}


def join(db: duckdb.DuckDBPyConnection, steps: Sequence[Join], ledger: Ledger) -> None:
    """Make the table `joined`: the rows of the first table, in their order, each with its row of every other.

    Raises:
        UserError: a table or key is not there, a key has several values and no rule says which counts, or no row of
            two tables belongs together.
    """
    tables = [name for [name] in fetch(db, "SELECT table_name FROM duckdb_tables()")]
    for step in steps:
        if step.table not in tables:
            raise UserError(f"`join` names the table `{step.table}`. {nearest(step.table, tables)}")
    db.execute(f"CREATE VIEW joined_0 AS SELECT *, rowid AS {PLACE} FROM {quoted(steps[0].table)}")
    for number, step in enumerate(steps[1:]):
        _check_keys(db, f"joined_{number}", step)
        _one_row_per_key(db, step, ledger)
        _report_unmatched(db, f"joined_{number}", step, ledger)
        _add(db, number, step, ledger)
    db.execute(f"CREATE VIEW joined AS SELECT * EXCLUDE ({PLACE}) FROM joined_{len(steps) - 1} ORDER BY {PLACE}")


def _check_keys(db: duckdb.DuckDBPyConnection, left: str, step: Join) -> None:
    if not step.using:
        raise UserError(
            f"`join` should say by which column `{step.table}` is joined: {{table: {step.table}, using: ...}}"
        )
    have, found = _types(db, left), _types(db, step.table)
    for ours, theirs in step.using.items():
        for key, columns, where in ((ours, have, "the tables before"), (theirs, found, f"`{step.table}`")):
            if key not in columns:
                raise UserError(f"The key `{key}` of the join is no column of {where}. {nearest(key, columns)}")
        if ("VARCHAR" in (have[ours], found[theirs])) and have[ours] != found[theirs]:
            raise UserError(
                f"The key `{ours}` is {have[ours]} before and {found[theirs]} in `{step.table}`, so 007 and 7 may or "
                f"may not be the same. Read both as text: `dtype: {{{theirs}: VARCHAR}}` beside the `path` of the file."
            )
    if wrong := set(step.conflict) - {"*", *_values(db, step)}:
        raise UserError(f"`conflict` names `{min(wrong)}`. {nearest(min(wrong), _values(db, step))}")


def _one_row_per_key(db: duckdb.DuckDBPyConnection, step: Join, ledger: Ledger) -> None:
    """Make the table `right`: one row for each key, by the rules."""
    table, keys = quoted(step.table), ", ".join(map(quoted, step.using.values()))
    complete = " AND ".join(f"{quoted(key)} IS NOT NULL" for key in step.using.values())
    [(rows, without)] = fetch(db, f"SELECT count(*), count(*) FILTER (NOT ({complete})) FROM {table}")
    values = _values(db, step)
    differ = ", ".join(f"count(DISTINCT {quoted(c)}) > 1 AS {quoted(c)}" for c in values)
    db.execute(
        f"CREATE OR REPLACE TABLE several AS SELECT {', '.join([keys, differ] if differ else [keys])}, count(*) AS "
        f'"rows with it" FROM {table} WHERE {complete} GROUP BY {keys} HAVING count(*) > 1'
    )
    [(n_keys, n_rows)] = fetch(db, 'SELECT count(*), coalesce(sum("rows with it"), 0)::BIGINT FROM several')
    said = []
    for column in values:
        [[conflicts]] = fetch(db, f"SELECT count(*) FROM several WHERE {quoted(column)}")
        if conflicts and _rule(step, column) is None:
            raise UserError(_conflict(db, step, column, conflicts))
        if conflicts:
            said.append(f"{conflicts} with several values of `{column}`: {_rule(step, column)}")
    chosen = [f"{RULES[_rule(step, c) or 'first'].format(quoted(c))} AS {quoted(c)}" for c in values]
    source = f"SELECT {', '.join([keys, *chosen])} FROM {table} WHERE {complete} GROUP BY {keys}"
    same = f"SELECT {', '.join([keys, *map(quoted, values)])} FROM {table} WHERE {complete}"
    db.execute(f"CREATE OR REPLACE TABLE matched AS {source if n_keys else same}")
    what = f"{step.table}: {n_keys} keys ({', '.join(step.using.values())}) stand in {n_rows} rows" if n_keys else ""
    if what or without:
        missing = f"{without} rows of {step.table} have no key" if without else ""
        [[after]] = fetch(db, "SELECT count(*) FROM matched")
        ledger.add("integrate", "; ".join(filter(None, [what, *said, missing])), rows, after)


def _conflict(db: duckdb.DuckDBPyConnection, step: Join, column: str, conflicts: int) -> str:
    """No value is shown, they may be personal; a key is where it is a number or a short code without blanks."""
    keys = list(step.using.values())
    shown = ""
    if len(keys) == 1:
        key = f"{quoted(keys[0])}::VARCHAR"
        short = f"{quoted(column)} AND regexp_full_match({key}, '-?[0-9]+|[A-Za-z0-9]*[0-9][A-Za-z0-9]{{0,7}}')"
        first = fetch(db, f"SELECT {key} FROM several WHERE {short} ORDER BY ALL LIMIT 5")
        shown = (
            f" ({', '.join(value for [value] in first)}{', ...' if conflicts > len(first) else ''})" if first else ""
        )
    return (
        f"In `{step.table}`, {conflicts} keys `{', '.join(keys)}`{shown} have several values of `{column}`. Say which "
        f"counts, beside `table: {step.table}` in `join`: `conflict: {{{column}: first}}`, or max, mean or drop."
    )


def _report_unmatched(db: duckdb.DuckDBPyConnection, left: str, step: Join, ledger: Ledger) -> None:
    same = " AND ".join(f"l.{quoted(ours)} = r.{quoted(theirs)}" for ours, theirs in step.using.items())
    [(rows, alone)] = fetch(
        db, f"SELECT count(*), count(*) FILTER (NOT EXISTS (FROM matched r WHERE {same})) FROM {left} l"
    )
    [(keys, unused)] = fetch(
        db, f"SELECT count(*), count(*) FILTER (NOT EXISTS (FROM {left} l WHERE {same})) FROM matched r"
    )
    if alone == rows:
        raise UserError(
            f"No row of `{step.table}` belongs to any of the {rows} rows before it, by {', '.join(step.using)}. Is "
            "this the key, and is it written in the same way in both?"
        )
    what = f"{step.table} joined: {alone} rows have no match there, {unused} of its {keys} rows none here"
    ledger.add("integrate", what, rows, rows)


def _add(db: duckdb.DuckDBPyConnection, number: int, step: Join, ledger: Ledger) -> None:
    have = {name.lower() for name in _types(db, f"joined_{number}")}
    names = {c: f"{step.table}_{c}" if c.lower() in have else c for c in _values(db, step)}
    for column, name in names.items():
        if column != name:
            [[rows]] = fetch(db, f"SELECT count(*) FROM joined_{number}")
            ledger.add("integrate", f"`{column}` of {step.table} is `{name}`: `{column}` was there before", rows, rows)
    selected = ", ".join(["l.*", *(f"r.{quoted(c)} AS {quoted(name)}" for c, name in names.items())])
    same = " AND ".join(f"l.{quoted(ours)} = r.{quoted(theirs)}" for ours, theirs in step.using.items())
    db.execute(
        f"CREATE TABLE joined_{number + 1} AS SELECT {selected} FROM joined_{number} l LEFT JOIN matched r ON {same}"
    )


def _rule(step: Join, column: str) -> str | None:
    return step.conflict.get(column, step.conflict.get("*"))


def _values(db: duckdb.DuckDBPyConnection, step: Join) -> list[str]:
    """The columns of a table that are no part of the key."""
    return [name for name in _types(db, step.table) if name not in step.using.values()]


def _types(db: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    found = db.table(quoted(table))
    return {n: str(t) for n, t in zip(found.columns, found.types, strict=True) if quoted(n) != PLACE}
