"""Baskets: who has which items. Two CSV files: the baskets, and the names of the items.

One file, with a basket on each line or an item on each line, is read by `deepmine.data.readers.transactions`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from deepmine.config.errors import UserError, nearest
from deepmine.data.raw import Raw, raw_file, read_csv


def read(
    folder: Path,
    baskets: str,
    items: str,
    leave_out: Sequence[str] = (),
    min_items: int = 1,
    max_items: int | None = None,
) -> Raw:
    """One row per basket, one column per item, 1 where the basket holds it.

    Args:
        folder: where the files lie.
        baskets: CSV with two columns: the id of the basket, unique; the ids of its items, separated by blanks.
        items: CSV with two columns: the id of the item, unique; its name.
        leave_out: names of items that are none (postage, discounts); taken out before baskets are counted.
        min_items: a basket with fewer is left out.
        max_items: a basket with more is left out; None: any number.

    Raises:
        UserError: a file cannot be read, an id is there twice or not at all, or no basket is left.
    """
    names = _two_columns(folder, items)
    held = _two_columns(folder, baskets)
    ids = held.str.split()
    codes = pd.Index(names.index).get_indexer(pd.Index(ids.explode().dropna()))
    if (codes < 0).any():
        missing = ids.explode().dropna().iloc[int(np.argmax(codes < 0))]
        raise UserError(f"{folder / baskets} holds the item {missing!r}, which {items} does not name.")
    ends = np.concatenate([[0], np.cumsum([len(some) for some in ids])])
    X = csr_matrix((np.ones(len(codes), np.uint8), codes, ends), (len(held), len(names)))  # MLflow takes no csr_array
    X.sum_duplicates()
    return select(X, held.index.to_numpy(np.str_), names.to_numpy(), folder / baskets, leave_out, min_items, max_items)


def select(
    X: csr_matrix,
    rows: NDArray[np.str_],
    names: NDArray,
    path: Path,
    leave_out: Sequence[str],
    min_items: int,
    max_items: int | None,
) -> Raw:
    """The baskets of `path`, without the items in `leave_out` and then those with too few items or too many.

    Args:
        X: `(n, items)`, not 0 where a basket holds an item.
        rows: `(n,)`, the id of each basket.
        names: `(items,)`.
        path: where they were read, for messages.
        leave_out: as in `read`, with `min_items` and `max_items`.

    Raises:
        UserError: `leave_out` names no item, or no basket is left.
    """
    for name in leave_out:
        if name not in names:
            raise UserError(f"`leave_out` names {name!r}, but {path} has no such item. {nearest(name, names)}")
    X.data[:] = 1
    items_kept = np.flatnonzero(~np.isin(names, list(leave_out)))
    X = X[:, items_kept]
    sizes = np.diff(X.indptr)
    keep = np.flatnonzero((sizes >= min_items) & (sizes <= (X.shape[1] if max_items is None else max_items)))
    if not len(keep):
        raise UserError(f"{path} has no basket of {min_items} to {max_items} items.")
    return Raw(X[keep], None, rows[keep], facts={"columns": names[items_kept].tolist()})


def _two_columns(folder: Path, file: str) -> pd.Series:
    """The second column of a CSV file, by the first."""
    path = raw_file(folder, file)
    table = read_csv(path, dtype=str, keep_default_na=False)
    if table.shape[1] != 2:
        raise UserError(f"{path} should have two columns, an id and what it stands for; it has {table.shape[1]}.")
    ids = table.iloc[:, 0]
    if ids.duplicated().any():
        raise UserError(f"{path} should have each id once; {ids[ids.duplicated()].iloc[0]!r} is there twice.")
    return pd.Series(table.iloc[:, 1].to_numpy(), index=ids.to_numpy())
