"""Does a file hold baskets, and how is it written? Judged by its first lines."""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from deepmine.data.preparing import privacy
from deepmine.data.readers import sources

BASKET = r"(basket|transaction|order|invoice|receipt|ticket|customer|member|user|session|id)s?"  # in a header
ITEM = r"(item|product|article|good|sku)s?"
ALIKE = 0.9  # share of lines with the same number of commas
COUNTED = r"[ _-]*(id|no|nr|number|name|code|description|\(s\)|\d+)?"


class Form(NamedTuple):
    """How a file of baskets is read (`settings` of the source), and `notes` for the person."""

    settings: dict[str, Any]
    notes: list[str]


def form(path: Path) -> Form | None:
    """How `transactions.read` reads it; None where it holds no baskets."""
    return _ragged(path) or _pairs(path)


def _ragged(path: Path) -> Form | None:
    """A text whose first lines hold different numbers of items: baskets, not a table."""
    lines = _first_lines(path)
    counts = {sign: {line.count(sign) for line in lines} for sign in ",;\t|"}
    cut = any(len(counts[sign]) == 1 and counts[sign] != {0} for sign in ";\t|")  # so the commas are in its cells
    if cut or len(counts[","]) < 2 or '"' in "".join(lines):
        return None
    commas = Counter(line.count(",") for line in lines)
    if any(count and n > ALIKE * len(lines) for count, n in commas.items()):  # a table, of which some lines are broken
        return None
    note = "Read as baskets, because the lines hold different numbers of items; what is a table is cut alike in each."
    names, items = _cells(lines[0], ","), {item for line in lines[1:] for item in _cells(line, ",")}
    if items & set(names) or not all(_named(f"{BASKET}|{ITEM}", name) for name in names):
        return Form({}, [note])
    return Form({"header": True}, [note, f"The first line ({lines[0].strip()}) is taken for a header (source.header)."])


def _pairs(path: Path) -> Form | None:
    """Two columns whose names say that they are baskets, in several rows, and items."""
    lines = _first_lines(path)
    for separator in ",;\t|":
        rows = [_cells(line, separator) for line in lines]
        if all(len(row) == 2 for row in rows) and len({row[0] for row in rows}) < len(rows):
            basket, item = rows[0]
            named = _named(BASKET, basket) and _named(ITEM, item)
            if named and not privacy.personal(pd.DataFrame(rows[1:], columns=rows[0])):  # which a table can drop
                note = f"Read as baskets: `{basket}` names one, `{item}` an item in it (source.basket, source.item)."
                return Form({"basket": basket, "item": item, "separator": separator}, [note])
    return None


def _first_lines(path: Path) -> list[str]:
    """Up to 100 lines of a text; none of other files."""
    if not path.name.removesuffix(".gz").endswith((".csv", ".tsv", ".txt", ".basket", ".dat")):
        return []
    with sources.opened(path) as file:
        text = file.read(2**16)
    lines = text.decode("utf-8-sig", "replace").splitlines()
    whole = lines if len(text) < 2**16 else lines[:-1]
    return [line for line in whole if line.strip()][:100]


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _named(words: str, name: str) -> bool:
    return re.fullmatch(f"({words}){COUNTED}", name, re.I) is not None
