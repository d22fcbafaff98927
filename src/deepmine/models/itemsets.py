"""Frequent item sets by Eclat on bit sets.

Each item is a row of bits, one per basket; the AND of several rows marks the baskets that hold all of these items.
The search goes depth first through sets that share a prefix, rare items first, so that the rows shrink quickly.
Sources: Zaki, IEEE TKDE 12(3), 2000 (prefix classes); Borgelt, WIREs Data Mining 2(6), 2012 (bit rows, item order).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

MAX_ITEMSETS = 1_000_000  # more is an error
BLOCK = 2**18  # words per step, so that they stay in the processor's cache
MEMORY = 2**30  # limit in bytes for bit rows and pair counts
TRY = "Raise min_support, set max_length, or drop the largest baskets and the items that are in most of them."


class Itemsets:
    """Item sets, sorted by length and then by items: `items` `(n, longest)`, ascending in each row, padded with -1;
    `counts` `(n,)`, baskets that hold the whole set; `sizes` `(n,)`.
    """

    def __init__(self, classes: list[list[tuple]], names: NDArray, n_items: int) -> None:
        """From the classes `(prefix, last items, counts)` of each length; `names` maps their items to columns."""
        self.n_items = n_items
        self.items = np.full((0, max(len(classes), 1)), -1, np.int32)
        self.counts, self.keys = np.zeros(0, np.int64), np.zeros(0, np.int64)
        for length, parts in enumerate(classes, 1):
            prefixes, last, counts = zip(*parts, strict=True)
            prefix = np.repeat(np.array(prefixes, np.int64), [len(items) for items in last], axis=0)
            items = np.sort(names[np.column_stack([prefix, np.concatenate(last)])], axis=1)
            order = np.lexsort(items.T[::-1])
            items = items[order]
            keys = self._key(self.find(items[:, :-1]), items[:, -1])  # ascending, because the rows are sorted
            padded = np.pad(items, [(0, 0), (0, self.items.shape[1] - length)], constant_values=-1)
            self.items = np.concatenate([self.items, padded.astype(np.int32)])
            self.counts = np.concatenate([self.counts, np.concatenate(counts)[order]])
            self.keys = np.concatenate([self.keys, keys])
        self.sizes = (self.items >= 0).sum(axis=1)

    def find(self, rows: NDArray) -> NDArray[np.int64]:
        """The number of each set `(n,)` from its sorted items `(n, length)`; -1 for the empty set."""
        found = np.full(len(rows), -1, np.int64)
        for column in rows.T:
            found = np.searchsorted(self.keys, self._key(found, column))
        return found

    def _key(self, prefix: NDArray, item: NDArray) -> NDArray[np.int64]:
        return (prefix + 1) * self.n_items + item


def mine(X: csr_array, min_count: int, max_length: int | None = None) -> Itemsets:
    """All sets of up to `max_length` items (None: any number) that at least `min_count` baskets, 1 or more, hold.

    An entry of `X`, `(n, items)`, means that the basket holds the item; there are no duplicates. Raises `ValueError` if
    there are more than `MAX_ITEMSETS`, or the bit rows exceed `MEMORY`.
    """
    counts = np.bincount(X.indices, minlength=X.shape[1])
    frequent = np.flatnonzero(counts >= min_count)
    names = frequent[np.argsort(counts[frequent], kind="stable")]
    search = _Search(min_count, max_length or len(names))
    search.add((), np.arange(len(names)), counts[names])
    if len(names) > 1 and search.longest > 1:
        search.run(X[:, names])
    return Itemsets([search.found[length] for length in sorted(search.found)], names, X.shape[1])


def pack(X: csr_array) -> NDArray[np.uint64]:
    """A row of bits for each item, one bit per basket: `(items, baskets / 64)`."""
    basket, item = X.tocoo().coords
    bits = np.left_shift(1, basket % 8, dtype=np.uint8, casting="unsafe")
    shape = (X.shape[1], -(-X.shape[0] // 64) * 8)
    return coo_array((bits, (item, basket // 8)), shape).toarray().view(np.uint64)  # bits of one byte are added


def holders(bits: NDArray[np.uint64], itemset: NDArray) -> NDArray[np.uint64]:
    """Which baskets hold a whole set, a row of bits, by those of its items (`pack`); -1 is padding."""
    return np.bitwise_and.reduce(bits[itemset[itemset >= 0]], axis=0)


class _Search:
    """One search: its limits, the counts of all pairs, and what was found, by length."""

    def __init__(self, min_count: int, longest: int) -> None:
        self.min_count, self.longest, self.left = min_count, longest, MAX_ITEMSETS
        self.found: dict[int, list[tuple]] = {}

    def run(self, X: csr_array) -> None:
        """Search from each item of `X`, whose columns are the frequent items, rare ones first."""
        n_items, words = X.shape[1], -(-X.shape[0] // 64)
        if (need := 8 * n_items * (words + 3 * n_items)) > MEMORY:
            raise ValueError(f"{n_items:,} frequent items in {X.shape[0]:,} baskets need {need / 2**30:.1f} GB. {TRY}")
        bits = pack(X)
        ones = X.astype(np.int64)
        self.pairs = (ones.T @ ones).toarray()  # baskets that hold both items
        for first in range(n_items - 1):
            later = np.flatnonzero(self.pairs[first] >= self.min_count)
            later = later[later > first]
            self.add((first,), later, self.pairs[first, later])
            if len(later) > 1 and self.longest > 2:
                somewhere = np.flatnonzero(bits[first])
                self.extend((first,), later, bits[np.ix_(later, somewhere)] & bits[first, somewhere])

    def extend(self, prefix: tuple[int, ...], items: NDArray, bits: NDArray[np.uint64]) -> None:
        """Join the sets `prefix + item` of a class in pairs; `bits` are their baskets, `(len(items), words)`."""
        step = max(1, BLOCK // bits.size)
        for start in range(0, len(items) - 1, step):
            possible = self.pairs[np.ix_(items[start : start + step], items)] >= self.min_count
            one, other = np.nonzero(np.triu(possible, start + 1))
            both = bits.take(one + start, axis=0)
            both &= bits.take(other, axis=0)  # `take` copies rows faster than an index does
            # `einsum` adds short rows of bytes several times faster than `sum`
            counts = np.einsum("ij->i", np.bitwise_count(both), dtype=np.int64, casting="unsafe")
            good = np.flatnonzero(counts >= self.min_count)
            one, other, both, counts = one[good], other[good], both.take(good, axis=0), counts[good]
            for begin, end in pairwise(np.flatnonzero(np.diff(one, prepend=-1, append=-1))):
                longer = (*prefix, int(items[one[begin] + start]))
                self.add(longer, items[other[begin:end]], counts[begin:end])
                if end - begin > 1 and len(longer) + 1 < self.longest:
                    self.extend(longer, items[other[begin:end]], both[begin:end])

    def add(self, prefix: tuple[int, ...], items: NDArray, counts: NDArray) -> None:
        """Keep the sets `prefix + item`; stop once they, or the 2^length - 1 subsets of one of them, are too many."""
        self.left -= len(items)
        length = len(prefix) + 1
        if self.left < 0 or (len(items) and 2**length - 1 > MAX_ITEMSETS):
            raise ValueError(f"There are more than {MAX_ITEMSETS:,} frequent sets. {TRY}")
        if len(items):
            self.found.setdefault(length, []).append((prefix, items, counts))
