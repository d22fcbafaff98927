"""Baskets in one text file: a basket on each line (`milk,bread,butter`), or an item on each (`basket,item`)."""

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from deepmine.config.errors import UserError, nearest
from deepmine.data.raw import Raw, raw_file
from deepmine.data.readers.baskets import select


def read(
    folder: Path,
    file: str,
    basket: str | None = None,
    item: str | None = None,
    header: bool = False,
    separator: str = ",",
    leave_out: Sequence[str] = (),
    min_items: int = 1,
    max_items: int | None = None,
) -> Raw:
    """One row per basket, one column per item, 1 where the basket holds it; items are sorted by name.

    Blanks around an item do not count, nor does an item that is named again, nor a line without any.

    Args:
        folder: where the file lies.
        file: .csv, .txt or .gz of these, in UTF-8.
        basket: with a header and an item on each line, the column of the basket's id. None: there is a basket on each
            line, whose id is the number of the line.
        item: likewise, the column of the item.
        header: with a basket on each line, whether the first is none.
        separator: between items or columns; an item that holds it stands in double quotes.
        leave_out: items that are none (postage, discounts); taken out before baskets are counted.
        min_items: a basket with fewer is left out.
        max_items: a basket with more is left out; None: any number.

    Raises:
        UserError: the file cannot be read, a column is missing, a line is incomplete, or no basket is left.
    """
    if (basket is None) != (item is None) or len(separator) != 1:
        raise UserError(
            f"`basket` is {basket}, `item` {item}, `separator` {separator!r} in data.source. Name both columns where "
            "each line holds one item, none where it holds a basket; the separator is one character."
        )
    path = raw_file(folder, file)
    try:
        pairs = _baskets(path, separator, header) if basket is None else _items(path, separator, basket, str(item))
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
        raise UserError(f"{path} cannot be read as text in UTF-8, separated by {separator!r}: {error}") from None
    if not len(pairs):
        raise UserError(f"{path} holds no item.")
    places, rows = pd.factorize(pairs["basket"])
    codes, names = pd.factorize(pairs["item"], sort=True)
    X = csr_matrix((np.ones(len(pairs), np.uint8), (places, codes)))
    return select(X, rows.to_numpy(np.str_), names.to_numpy(), path, leave_out, min_items, max_items)


def _baskets(path: Path, separator: str, header: bool) -> pd.DataFrame:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, delimiter=separator)
        if header:
            next(reader, None)
        pairs = [(str(reader.line_num), item.strip()) for line in reader for item in line if item.strip()]
    return pd.DataFrame(pairs, columns=["basket", "item"], dtype=str)


def _items(path: Path, separator: str, basket: str, item: str) -> pd.DataFrame:
    table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    for column in (basket, item):
        if column not in table:
            raise UserError(f"{path} has no column `{column}`. {nearest(column, table.columns)}")
    pairs = pd.DataFrame({"basket": table[basket].str.strip(), "item": table[item].str.strip()})
    if (incomplete := (pairs == "").any(axis=1)).any():
        raise UserError(f"{path}: `{basket}` or `{item}` is empty in row {int(incomplete.argmax()) + 1} of the table.")
    return pairs
