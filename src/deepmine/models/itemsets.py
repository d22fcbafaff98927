"""Frequent item sets: Eclat on bit sets.

An item is a row of bits, one for each basket; the baskets that hold several items are the AND of their rows, and
their number is the count of its ones. The search goes depth first through classes of sets with a common prefix, rare
items first, so that rows get short soon.

Sources: Zaki, Scalable algorithms for association mining, IEEE TKDE 12(3), 2000 (vertical lists, prefix classes);
Borgelt, Frequent item set mining, WIREs Data Mining 2(6), 2012 (bit rows, order of the items).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

BLOCK = 2**18  # words or pairs handled at once: they stay in the processor's cache
MEMORY = 2**30  # bytes that bit rows and pair counts may take
TRY = "Raise min_support, set max_length, or leave out the largest baskets and the items that are in most of them."


class Itemsets:
    """Sets of items in the order of their length, then of their items; each knows where its subsets are.

    Attributes:
        items: `(n, longest)`, ascending in each row, -1 after the end of a shorter one.
        counts: `(n,)`, the baskets that hold all items of the set.
        sizes: `(n,)`.
    """

    def __init__(self, by_length: list[tuple[NDArray, NDArray]], n_items: int) -> None:
        """From `(items, counts)` of each length, 1 first; every subset of a set must be there too."""
        longest = max(len(by_length), 1)
        self.n_items = n_items
        self.items = np.full((0, longest), -1, np.int32)
        self.counts, self.keys = np.zeros(0, np.int64), np.zeros(0, np.int64)
        for length, (items, counts) in enumerate(by_length, 1):
            items = np.sort(items, axis=1)
            order = np.lexsort(items.T[::-1])
            rows = np.full((len(items), longest), -1, np.int32)
            rows[:, :length] = items[order]
            keys = self._key(self.find(rows[:, : length - 1]), rows[:, length - 1])
            self.items = np.concatenate([self.items, rows])
            self.counts = np.concatenate([self.counts, counts[order]])
            self.keys = np.concatenate([self.keys, keys])  # ascending, because the rows are in order
        self.sizes = (self.items >= 0).sum(axis=1)

    def find(self, rows: NDArray) -> NDArray[np.int64]:
        """The number of each set, `(n,)`, from its items in ascending order, `(n, length)`; -1 for the empty one."""
        found = np.full(len(rows), -1, np.int64)
        for column in rows.T:
            found = np.searchsorted(self.keys, self._key(found, column))
        return found

    def closed_and_maximal(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which sets have no larger set with the same count (closed), and no larger set at all (maximal), `(n,)`."""
        closed, maximal = np.ones((2, len(self.items)), bool)
        for length in range(2, self.items.shape[1] + 1):
            here = np.flatnonzero(self.sizes == length)
            for column in range(length):
                subset = self.find(np.delete(self.items[here, :length], column, axis=1))
                maximal[subset] = False
                closed[subset[self.counts[subset] == self.counts[here]]] = False
        return closed, maximal

    def _key(self, prefix: NDArray, item: NDArray) -> NDArray[np.int64]:
        return (prefix + 1) * self.n_items + item


def mine(X: csr_array, min_count: int, max_length: int | None, max_itemsets: int) -> Itemsets:
    """All sets of items that at least `min_count` baskets hold.

    Args:
        X: `(n, items)`; an entry says that the basket holds the item, none stands twice.
        min_count: at least 1.
        max_length: items of the longest set; None: any number.
        max_itemsets: how many sets there may be.

    Raises:
        ValueError: there are more, or the bit rows do not fit into `MEMORY`.
    """
    counts = np.bincount(X.indices, minlength=X.shape[1])
    frequent = np.flatnonzero(counts >= min_count)
    names = frequent[np.argsort(counts[frequent], kind="stable")]
    search = _Search(min_count, max_length or len(names), max_itemsets)
    search.add((), np.arange(len(names)), counts[names])
    if len(names) > 1 and search.longest > 1:
        search.run(X[:, names])
    found = [search.found[length] for length in sorted(search.found)]
    return Itemsets([_assemble(classes, names) for classes in found], X.shape[1])


def pack(X: csr_array) -> NDArray[np.uint64]:
    """A row of bits for each item, one bit for each basket: `(items, baskets / 64)`."""
    columns = X.tocsc()
    held = np.zeros(-(-X.shape[0] // 64) * 64, bool)
    bits = np.empty((X.shape[1], len(held) // 8), np.uint8)
    for number, (begin, end) in enumerate(pairwise(columns.indptr)):
        baskets = columns.indices[begin:end]
        held[baskets] = True
        bits[number] = np.packbits(held)
        held[baskets] = False
    return bits.view(np.uint64)


def count(bits: NDArray[np.uint64], itemsets: NDArray) -> NDArray[np.int64]:
    """How many baskets hold each set.

    Args:
        bits: of `pack`.
        itemsets: `(n, longest)`, -1 after the end of a shorter one.
    """
    bits = np.concatenate([bits, np.full((1, bits.shape[1]), ~np.uint64(0))])  # -1 finds the row that holds all
    counts = np.empty(len(itemsets), np.int64)
    step = max(1, BLOCK // max(1, bits.shape[1]))
    for start in range(0, len(itemsets), step):
        some = itemsets[start : start + step]
        both = bits[some[:, 0]]
        for column in some.T[1:]:
            both &= bits[column]
        counts[start : start + step] = _ones(both)
    return counts


class _Search:
    """One search: its thresholds, the counts of all pairs, and what was found, by length."""

    def __init__(self, min_count: int, longest: int, max_itemsets: int) -> None:
        self.min_count, self.longest, self.left, self.max_itemsets = min_count, longest, max_itemsets, max_itemsets
        self.found: dict[int, list[tuple[tuple[int, ...], NDArray, NDArray]]] = {}

    def run(self, X: csr_array) -> None:
        """Search from each item of `X`, whose columns are frequent items, rare ones first."""
        n_items, words = X.shape[1], -(-X.shape[0] // 64)
        if (need := 8 * n_items * (words + 3 * n_items)) > MEMORY:
            raise ValueError(f"{n_items:,} frequent items in {X.shape[0]:,} baskets need {need / 2**30:.1f} GB. {TRY}")
        bits = pack(X)
        self.pairs = pair_counts(X, bits)
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
            counts = _ones(both)
            good = np.flatnonzero(counts >= self.min_count)
            one, other, both, counts = one[good], other[good], both.take(good, axis=0), counts[good]
            for begin, end in pairwise(np.flatnonzero(np.diff(one, prepend=-1, append=-1))):
                longer = (*prefix, int(items[one[begin] + start]))
                self.add(longer, items[other[begin:end]], counts[begin:end])
                if end - begin > 1 and len(longer) + 1 < self.longest:
                    self.extend(longer, items[other[begin:end]], both[begin:end])

    def add(self, prefix: tuple[int, ...], items: NDArray, counts: NDArray) -> None:
        """Keep the sets `prefix + item`. A set of k items has 2^k - 1 subsets, all to come: that may be too many."""
        self.left -= len(items)
        length = len(prefix) + 1
        if self.left < 0 or (len(items) and length == self.longest_possible + 1 <= self.longest):
            raise ValueError(f"There are more than max_itemsets={self.max_itemsets:,} frequent sets. {TRY}")
        if len(items):
            self.found.setdefault(length, []).append((prefix, items, counts))

    @property
    def longest_possible(self) -> int:
        """The longest set whose subsets are at most `max_itemsets`, where no limit of the length cuts them."""
        return (self.max_itemsets + 1).bit_length() - 1


def pair_counts(X: csr_array, bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many baskets hold two items, `(items, items)`, 0 on the diagonal.

    The pairs of each basket are counted where baskets are short, bit rows are compared where they are long.
    """
    lengths = np.diff(X.indptr).astype(np.int64)
    by_baskets, by_bits = 4 * (lengths**2).sum(), X.shape[1] * bits.size  # in the same unit, as measured
    counts = _pairs_by_bits(bits) if by_bits < by_baskets else _pairs_by_baskets(X, lengths)
    return counts + counts.T


def _pairs_by_bits(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    n_items, words = bits.shape
    counts = np.zeros((n_items, n_items), np.int64)
    step = max(1, BLOCK // n_items)
    for start in range(0, words, step):
        some = np.ascontiguousarray(bits[:, start : start + step])
        for item in range(n_items - 1):
            counts[item, item + 1 :] += _ones(some[item + 1 :] & some[item])
    return counts


def _pairs_by_baskets(X: csr_array, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Baskets of about the same length at once, as a table: one row for each place, one column for each basket."""
    n_codes = X.shape[1] + 1  # one more for places after the end of a basket
    counts = np.zeros(n_codes**2, np.int64)
    order = np.argsort(lengths, kind="stable")
    lengths = lengths[order]
    begin = int(np.searchsorted(lengths, 2))
    while begin < len(order):
        width = int(lengths[begin]) * 5 // 4
        end = min(begin + max(1, 8 * BLOCK // width**2), int(np.searchsorted(lengths, width, "right")))
        some = X[order[begin:end]]
        table = np.full((width, end - begin), n_codes - 1)
        place = np.arange(some.nnz) - np.repeat(some.indptr[:-1], lengths[begin:end])
        table[place, np.repeat(np.arange(end - begin), lengths[begin:end])] = some.indices
        one, other = np.triu_indices(width, 1)
        counts += np.bincount((table[one] * n_codes + table[other]).ravel(), minlength=n_codes**2)
        begin = end
    return counts.reshape(n_codes, n_codes)[:-1, :-1]


def _ones(bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The ones of each row; `einsum` adds short rows of bytes several times faster than `sum`."""
    return np.einsum("ij->i", np.bitwise_count(bits), dtype=np.int64, casting="unsafe")


def _assemble(classes: list[tuple[tuple[int, ...], NDArray, NDArray]], names: NDArray) -> tuple[NDArray, NDArray]:
    """Items `(n, length)` and counts `(n,)` of the classes of one length."""
    sizes = [len(items) for _, items, _ in classes]
    prefixes = np.repeat(np.array([prefix for prefix, _, _ in classes], np.int64), sizes, axis=0)
    last = np.concatenate([items for _, items, _ in classes])
    return names[np.column_stack([prefixes, last])], np.concatenate([counts for *_, counts in classes])
