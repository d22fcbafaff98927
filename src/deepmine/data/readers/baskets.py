"""Baskets: a text file with one on each line (`milk,bread,butter`), or a CSV file with columns of baskets and items."""

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from deepmine.config.errors import UserError, nearest
from deepmine.data.ledger import Entry
from deepmine.data.raw import Raw, raw_files, read_csv

HELD = {"1", "1.0", "t", "true", "y", "yes", "x"}
NOT_HELD = {"0", "0.0", "f", "false", "n", "no", "?", ""}


def read(
    folder: Path,
    file: str,  # text in UTF-8, packed (.gz) or not
    basket: str | None = None,  # with `item`, columns of a CSV file. None: each line is one; its number is its id
    item: str | None = None,
    one_hot: bool = False,  # whether a CSV file has a column for each item, and one named `basket` or none
    separator: str | None = None,  # between items of a line (None: a comma), or of a cell of `item` (None: it is one)
    names: str | None = None,  # a CSV file of two columns: what stands for an item in `file`, and its name
    header: bool = False,  # whether to skip the first line, where each line is a basket
    leave_out: Sequence[str] = (),  # items that are not goods (postage, discounts); removed before items are counted
    min_items: int = 1,  # baskets with fewer are left out
    max_items: int | None = None,
) -> Raw:
    """One row per basket, one column per item, sorted by name, 1 where the basket holds it.

    Blanks around an item do not count, nor does an item that is repeated, nor a line without any.
    """
    [path, *_] = raw_files(folder, file)
    if (basket is None) != (item is None) and not one_hot:
        raise UserError("Set both `basket` and `item` in data.source, or neither where each line is a basket.")
    if one_hot:
        pairs = _columns(path, basket, separator or ",")
    else:
        pairs = _rows(path, basket, item, separator) if basket and item else _lines(path, separator or ",", header)
    found = pairs["basket"].nunique()
    pairs = pairs.assign(item=pairs["item"].str.strip())[pairs["item"].str.strip() != ""]
    if names is not None:
        known = read_csv(raw_files(folder, names)[0], dtype=str, keep_default_na=False)
        short = known.iloc[:, 0]
        if known.shape[1] != 2 or short.duplicated().any() or not set(pairs["item"]) <= set(short):
            raise UserError(f"{folder / names} must have two columns, and name each item of {file} once.")
        pairs = pairs.assign(item=pairs["item"].map(dict(zip(short, known.iloc[:, 1], strict=True))))
    if pairs.empty:
        raise UserError(f"{path} holds no items.")
    places, rows = pd.factorize(pairs["basket"])
    numbers, columns = pd.factorize(pairs["item"], sort=True)
    for name in sorted(set(leave_out) - set(columns)):
        raise UserError(f"`leave_out` names {name!r}, but {path} has no such item. {nearest(name, columns)}")
    X = csr_matrix((np.ones(len(pairs), np.uint8), (places, numbers)))  # MLflow does not take csr_array
    X.data[:] = 1  # 256 of an item are 0
    goods = np.flatnonzero(~columns.isin(list(leave_out)))
    X = X[:, goods]
    sizes, most = np.diff(X.indptr), X.shape[1] if max_items is None else max_items
    kept = np.flatnonzero((sizes >= min_items) & (sizes <= most))
    if not len(kept):
        raise UserError(f"{path} has no basket of {min_items} to {most} items.")
    what = f"{found} baskets of {len(columns)} items, {len(kept)} with {min_items} to {most} items kept"
    facts = {"columns": columns[goods].tolist(), "ledger": [Entry("read", what, found, len(kept))]}
    return Raw(X[kept], None, rows.to_numpy(np.str_)[kept], facts=facts)


def _lines(path: Path, separator: str, header: bool) -> pd.DataFrame:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, delimiter=separator)
            pairs = [(str(reader.line_num), item) for line in reader for item in line if reader.line_num > header]
    except (OSError, EOFError, ValueError, TypeError, csv.Error, zlib.error) as error:
        raise UserError(f"{path} is damaged, or not text in UTF-8 with items between {separator!r}: {error}") from None
    return pd.DataFrame(pairs, columns=["basket", "item"], dtype="str")


def _columns(path: Path, basket: str | None, separator: str) -> pd.DataFrame:
    table = read_csv(path, [basket] if basket else [], dtype="str", keep_default_na=False, sep=separator)
    marks = (table.set_index(basket) if basket else table).stack().str.strip().str.lower()
    if len(other := marks[~marks.isin(HELD | NOT_HELD)]):
        marked = f"1 or 0, true or false, yes or no, t, x, ? or nothing. Remove {', '.join(other.index.unique(1)[:5])}"
        raise UserError(f"{path} must say of each item in a basket {marked}, or correct the marks.")
    pairs = marks.index.set_names(["basket", "item"]).to_frame(index=False).astype("str")
    return pairs.assign(item=pairs["item"].where(marks.isin(HELD).to_numpy(), ""))


def _rows(path: Path, basket: str, item: str, separator: str | None) -> pd.DataFrame:
    table = read_csv(path, (basket, item), dtype="str", keep_default_na=False, encoding="utf-8-sig")
    pairs = table[[basket, item]].set_axis(["basket", "item"], axis=1)
    if (lost := (pairs["basket"] == "") | ((pairs["item"] == "") & (separator is None))).any():
        raise UserError(f"{path}: `{basket}` or `{item}` is empty in row {lost.argmax() + 1} of the table.")
    return pairs if separator is None else pairs.assign(item=pairs["item"].str.split(separator)).explode("item")
