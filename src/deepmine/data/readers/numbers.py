"""Numbers that DuckDB leaves as text: decimal commas, groups of thousands, words for a missing value among them.

A column becomes numbers where each of its values is one in the same style or means missing. What can be two numbers, as
1,234, is decided by the other columns of the file; where these say nothing, it stays text and a person is asked.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import duckdb

from deepmine.config.schema.source import File
from deepmine.data.readers.sources import Reading, fetch, literal, quoted

FIRST = 10_000  # values of a column by which its style is found
MISSING = r"(?i)[[:punct:]–—\s]{0,8}|#?n[./]?a[.]?|nan|null|none|nil|missing|unknown"
DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?"
DATES = "it looks like dates: set `date_format`, or use strptime in the query"
ALIKE = ("\u00a0\u202f\u2009\u2212\u2019", "   -'")  # other blanks, minus and apostrophe, and the plain ones


class Style(NamedTuple):
    """How numbers are written: 1234.5 in `Style(".")`, 1.234,5 in `Style(",", ".")`."""

    decimal: str
    thousands: str = ""

    def __str__(self) -> str:
        return f"1{self.thousands}234{self.decimal}5"

    @property
    def pattern(self) -> str:
        """A regular expression for a number; leading zeros are those of a code, a plus that of a telephone number."""
        whole = rf"0|[1-9]\d*|[1-9]\d{{0,2}}({re.escape(self.thousands)}\d{{3}})+" if self.thousands else r"0|[1-9]\d*"
        return rf"(?i)-?((({whole})([{self.decimal}]\d+)?|[{self.decimal}]\d+)(e[+-]?\d{{1,2}})?|inf(inity)?)"


PLAIN = Style(".")  # what DuckDB reads by itself


class Looks(NamedTuple):
    """How many of the first values of a column there are, mean missing, are like dates, and are numbers in each style.

    `surely`: those that are no telephone number, because they have a comma, a point or no blank.
    """

    values: int
    missing: int
    dates: int
    surely: int
    numbers: dict[Style, int]

    @property
    def styles(self) -> list[Style]:
        """Those in which all values are numbers, the plainest first."""
        return [style for style, count in self.numbers.items() if count and count + self.missing == self.values]


def settle(
    db: duckdb.DuckDBPyConnection, table: str, file: File, delimiter: str | None, again: Callable[..., None]
) -> Reading:
    """Make numbers of all columns of text that hold them.

    Args:
        db: holds the table.
        table: its name, as DuckDB read it.
        file: what a person said of it.
        delimiter: between columns, if known.
        again: reads the table again, with these options.
    """
    sign = file.decimal or "."
    unclear = [name for name, sure in _decimals(db, table, delimiter).items() if not sure]
    if unclear and file.decimal is None and (delimiter == ";" or file.thousands == "."):
        again(dtype={**(file.dtype or {}), **dict.fromkeys(unclear, "VARCHAR")})  # 1.100 is 1.1 or 1100
    looks, styles = _styles(db, table, file, delimiter, sign)
    notes, made = [], {}
    if file.decimal is None and {style.decimal for style in styles.values() if style and style != PLAIN} == {","}:
        again(decimal=(sign := ","))
        looks, styles = _styles(db, table, file, delimiter, sign)
        notes.append("numbers are written with a decimal comma")
    for name, style in styles.items():
        if style and (words := _convert(db, table, name, style)) is not None:
            made[name] = words
    used = {style for name, style in styles.items() if name in made and style}
    for style in sorted(used - {PLAIN, Style(sign), Style(sign, file.thousands or "")}):
        names = ", ".join(f"`{name}`" for name in made if styles[name] == style)
        notes.append(f"numbers such as {style} in {names} are read as 1234.5")
    missing = {name: words for name, words in made.items() if words}
    notes += [f"`{name}`: {words} read as missing" for name, words in missing.items()]
    texts = {name: look for name, look in looks.items() if name not in made}
    notes += [f"`{name}` stays text though {DATES}" for name, look in texts.items() if look.dates > look.values / 2]
    asked = [_question(db, table, name, look, styles) for name, look in texts.items()]
    return Reading(_settings(used, sign), notes, list(filter(None, asked)), missing)


def _settings(used: set[Style], sign: str) -> dict[str, str]:
    """What reads the next file in the same way: signs that all columns share."""
    groups = {style.thousands for style in used} - {""}
    if {style.decimal for style in used} - {sign} or len(groups) > 1:
        return {}
    return ({"decimal": sign} if sign == "," or groups else {}) | ({"thousands": min(groups)} if groups else {})


def _styles(
    db: duckdb.DuckDBPyConnection, table: str, file: File, delimiter: str | None, read: str
) -> tuple[dict[str, Looks], dict[str, Style | None]]:
    """What columns of text look like, and the style of those that hold numbers; None where it can be two.

    What one column leaves no doubt of decides for the others, or else a semicolon between columns, which stands where
    the comma is the decimal sign.
    """
    signs = [sign for sign in ".," if sign in (file.decimal or ".,") and sign != file.thousands]
    groups = ["", file.thousands] if file.thousands else ["", ".", ",", " ", "'"]
    possible = [Style(sign, group) for group in groups for sign in signs if sign != group]
    texts = [name for name in _columns(db, table, "VARCHAR") if name not in (file.dtype or {})]
    looks = {name: _look(db, table, name, possible) for name in texts}
    fitting = {name: look.styles for name, look in looks.items() if look.styles}
    found = [{style.decimal for style in styles} for styles in fitting.values()]
    sure = {min(signs) for signs in found if len(signs) == 1}
    sure |= {read} if fitting and (read == "," or any(_decimals(db, table, delimiter).values())) else set()
    likely = "," if delimiter == ";" and not sure else None
    return looks, {
        name: _chosen(styles, sure, likely, bool(file.thousands or looks[name].surely))
        for name, styles in fitting.items()
    }


def _chosen(styles: list[Style], sure: set[str], likely: str | None, is_number: bool) -> Style | None:
    """The plainest style with the decimal sign that is sure, or as DuckDB reads, or with the likely sign."""
    found = [style for style in styles if {style.decimal} == sure] or styles
    signs, groups = map(set, zip(*found, strict=True))
    if PLAIN in found and len(signs) > 1 and likely:  # 1.100 where the decimal comma is likely
        return None
    if PLAIN not in found and len(signs) > 1 and len(groups) > 1:
        found = [style for style in found if style.decimal == likely]
    return found[0] if found and (is_number or found[0].thousands != " ") else None


def _convert(db: duckdb.DuckDBPyConnection, table: str, name: str, style: Style) -> str | None:
    """Make a column of text one of numbers: what in it means missing; None where it holds other texts, and stays."""
    value, number = _value(name), _like(_value(name), style.pattern)
    word = _like(value, MISSING)
    [(others, count, words)] = fetch(
        db,
        f"SELECT {_counted([f'NOT {word}', word])}, list(DISTINCT {value}) FILTER ({word}) "
        f"FROM {quoted(table)} WHERE NOT {number}",
    )
    if others:
        return None
    plain = f"replace(replace({value}, {literal(style.thousands)}, ''), {literal(style.decimal)}, '.')"
    db.execute(
        f"ALTER TABLE {quoted(table)} ALTER {quoted(name)} TYPE DOUBLE "
        f"USING CASE WHEN {number} THEN CAST({plain} AS DOUBLE) END"
    )
    return f"{count} of its values ({', '.join(map(repr, sorted(words)[:3]))})" if count else ""


def _question(
    db: duckdb.DuckDBPyConnection, table: str, name: str, look: Looks, styles: dict[str, Style | None]
) -> str | None:
    """What only a person can say of a column that stays text."""
    if name in styles and styles[name] is None:
        if look.surely:
            sign = "." if PLAIN in look.styles else ","
            return f'`{name}` stays text: is 1{sign}234 in it 1.234 or 1234? Set `decimal` or `thousands` to "{sign}"'
        return f'`{name}` stays text: if 1 234 in it is a number, set `thousands` to " "'
    style = max(look.numbers, key=lambda style: look.numbers[style], default=PLAIN)
    if look.numbers.get(style, 0) <= look.values / 2:
        return None
    value = _value(name)
    text = f"NOT {_like(value, style.pattern)} AND NOT {_like(value, MISSING)}"
    [(values, texts, several)] = fetch(
        db,
        f"SELECT count({value}), {_counted([text])}, count(DISTINCT {value}) FILTER ({text}) FROM {quoted(table)}",
    )
    if not texts or (several > 5 and texts > values / 20 and name not in styles):  # codes, of which some are numbers
        return None
    return f"`{name}` stays text: {texts} of {values} values are no numbers; do they mean missing? Set `null_values`"


def _look(db: duckdb.DuckDBPyConnection, table: str, name: str, styles: list[Style]) -> Looks:
    """Styles are only counted where the values begin like numbers."""
    few = f"SELECT {_value(name)} AS value FROM {quoted(table)} WHERE {quoted(name)} NOT NULL LIMIT {FIRST}"
    wanted = [_like("value", pattern) for pattern in (MISSING, DATE)]
    numeric, surely = _like("value", r"(?i)[-+]?([.,]?\d.*|inf(inity)?)"), _like("value", r"[^ ]*|.*[.,].*")
    counted = _counted([*wanted, f"{numeric} AND {surely}", numeric])
    [(values, missing, dates, surely, numbers)] = fetch(db, f"SELECT count(*), {counted} FROM ({few})")
    if not numbers or numbers + missing < values / 2:
        return Looks(values, missing, dates, surely, {})
    [counts] = fetch(db, f"SELECT {_counted([_like('value', style.pattern) for style in styles])} FROM ({few})")
    return Looks(values, missing, dates, surely, dict(zip(styles, counts, strict=True)))


def _decimals(db: duckdb.DuckDBPyConnection, table: str, delimiter: str | None) -> dict[str, bool]:
    """Columns where DuckDB read decimals, and whether they are; 1.234 can be thousands, as can 1.1, written 1.100.

    The latter where a semicolon stands between columns, and so perhaps a decimal comma in them.
    """
    plain = "false" if delimiter == ";" else "bool_and(round(v, 2) = v)"
    few = "SELECT abs({0}) AS v FROM {1} WHERE {0} % 1 <> 0 LIMIT {2}"
    found = {}
    for name in _columns(db, table, "DOUBLE"):
        values = few.format(quoted(name), quoted(table), FIRST)
        sure = f"bool_or(round(v, 3) <> v OR v < 1 OR v > 1000) OR {plain}"
        [(count, found[name])] = fetch(db, f"SELECT count(*), {sure} FROM ({values})")
        if not count:
            del found[name]
    return found


def _columns(db: duckdb.DuckDBPyConnection, table: str, kind: str) -> list[str]:
    found = db.table(quoted(table))
    return [name for name, of in zip(found.columns, found.types, strict=True) if of == kind]


def _value(name: str) -> str:
    """SQL for a text without what only looks otherwise."""
    return f"trim(translate({quoted(name)}, {literal(ALIKE[0])}, {literal(ALIKE[1])}))"


def _like(value: str, pattern: str) -> str:
    return f"regexp_full_match({value}, {literal(pattern)})"


def _counted(conditions: list[str]) -> str:
    return ", ".join(f"count(*) FILTER ({condition})" for condition in conditions)
