"""From frequent item sets to rules: every way to cut a set in two, measured, tested, and compared with shorter ones."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom

from deepmine.models.itemsets import TRY, Itemsets


class Rules(NamedTuple):
    """Rules as numbers of sets: of all their items, of the antecedent and of the consequent, each `(n,)`."""

    itemset: NDArray[np.int64]
    antecedent: NDArray[np.int64]
    consequent: NDArray[np.int64]

    def take(self, index: NDArray) -> "Rules":
        """Some of them."""
        return Rules(*(column[index] for column in self))


def measures(n: int, both: NDArray, antecedent: NDArray, consequent: NDArray) -> dict[str, NDArray[np.float64]]:
    """The measures of rules, from the number of baskets with all items, with the antecedent and with the consequent.

    Sources: support and confidence: Agrawal, Imielinski, Swami, SIGMOD 1993; lift and conviction: Brin, Motwani,
    Ullman, Tsur, SIGMOD 1997; leverage: Piatetsky-Shapiro 1991; Zhang's metric: Zhang, Association rules, PAKDD 2000.
    Definitions of all: Hahsler, A probabilistic comparison of commonly used interest measures for association rules,
    https://mhahsler.github.io/arules/docs/measures
    """
    both, antecedent, consequent = (counts.astype(float) for counts in (both, antecedent, consequent))
    with np.errstate(divide="ignore", invalid="ignore"):
        confidence = both / antecedent
        leverage = both / n - antecedent / n * consequent / n
        # an expected count over another, so that 1 - confidence loses no digits; never broken: infinite
        conviction = np.where(both < antecedent, antecedent * (n - consequent) / (n * (antecedent - both)), np.inf)
        largest = np.maximum(both * (n - antecedent), antecedent * (consequent - both)) / n**2
        return {
            "support": both / n,
            "confidence": confidence,
            "lift": both * n / (antecedent * consequent),
            "leverage": leverage,
            "conviction": np.where(antecedent > 0, conviction, np.nan),
            "zhang": np.where((largest > 0) | (antecedent * consequent == 0), leverage / largest, 0.0),  # 0: everywhere
        }


def candidates(sets: Itemsets, max_rules: int) -> Rules:
    """Each set of two and more items, cut in two in every way.

    Raises:
        ValueError: these are more than `max_rules`.
    """
    sizes = sets.sizes.astype(float)
    if (n := (2.0 ** sizes[sizes > 1] - 2).sum()) > max_rules:
        raise ValueError(f"The frequent sets give {n:,.0f} rules, more than max_rules={max_rules:,}. {TRY}")
    found = [Rules(*np.zeros((3, 0), np.int64))]
    for length in range(2, sets.items.shape[1] + 1):
        here = np.flatnonzero(sets.sizes == length)
        masks = [np.array([mask >> place & 1 for place in range(length)], bool) for mask in range(1, 2**length - 1)]
        parts = [sets.find(sets.items[here, :length][:, mask]) for mask in masks]
        found += [Rules(here, one, rest) for one, rest in zip(parts, reversed(parts), strict=True)]
    return Rules(*map(np.concatenate, zip(*found, strict=True)))


def redundant(sets: Itemsets, rules: Rules, n: int) -> NDArray[np.bool_]:
    """Which rules, of all `candidates`, have one with fewer items before the arrow that is at least as confident."""
    codes = rules.antecedent * len(sets.items) + rules.consequent
    order = np.argsort(codes)
    confidence = sets.counts[rules.itemset] / sets.counts[rules.antecedent]
    best = sets.counts[rules.consequent] / n  # of the rules with fewer items, the one with none first
    sizes = sets.sizes[rules.antecedent]
    for length in range(2, sets.items.shape[1]):
        here = np.flatnonzero(sizes == length)
        items = sets.items[rules.antecedent[here], :length]
        for column in range(length):
            code = sets.find(np.delete(items, column, axis=1)) * len(sets.items) + rules.consequent[here]
            simpler = order[np.searchsorted(codes, code, sorter=order)]
            best[here] = np.maximum(best[here], np.maximum(best[simpler], confidence[simpler]))
    return best >= confidence


def corrected(n: int, both: NDArray, antecedent: NDArray, consequent: NDArray) -> NDArray[np.float64]:
    """P-values of "not more often together than by chance", corrected for their number."""
    if not len(both):
        return np.zeros(0)
    tests, back = np.unique(np.column_stack([both, antecedent, consequent]), axis=0, return_inverse=True)
    p = hypergeom.sf(tests[:, 0] - 1, n, tests[:, 1], tests[:, 2])
    return false_discovery_control(np.clip(p, 0, 1)[back], method="by")
