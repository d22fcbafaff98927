"""Association rules: what is bought together, and whether that still holds in baskets that were not used to find it."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, hypergeom
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from deepmine.models.itemsets import TRY, Itemsets, holders, mine, pack

MAX_RULES = 5_000_000  # candidates; more is an error


@dataclass(eq=False, repr=False)
class AssociationRules(BaseEstimator):
    """Rules of the form "baskets with these items also hold those", from frequent item sets.

    Support and confidence are compared as exact fractions of counts: a rule exactly at a threshold is kept.

    `itemsets_` has `items` `(n, longest)`, ascending, padded with -1, and `count` `(n,)`; `rules_` has `antecedent` and
    `consequent`, padded likewise, `measures` and `p_value`, most confident first.
    """

    min_support: PositiveFloat = 0.05  # least share of the baskets that hold all items of a rule
    min_confidence: NonNegativeFloat = 0.6  # least share of the baskets with the antecedent that hold the consequent
    max_length: PositiveInt | None = None  # most items of a rule
    # drop a rule if a smaller antecedent, or none, makes the same consequent as likely (Bayardo, Agrawal, Gunopulos,
    # ICDE 1999; "productive" rules of Webb, Machine Learning 68, 2007)
    prune_redundant: bool = False
    alpha: PositiveFloat | None = None  # false discovery rate (Benjamini, Yekutieli) of one-sided Fisher's exact tests
    n_recommendations: PositiveInt = 5  # items that `predict` names for each basket

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "AssociationRules":
        """Find the rules in `X`, `(n, items)`, dense or sparse; values above 0 are held items. `y` is ignored."""
        baskets = self._baskets(X, reset=True)
        self.n_baskets_ = baskets.shape[0]
        if not (0 < self.min_support <= 1 and 0 <= self.min_confidence <= 1):
            raise ValueError("min_support and min_confidence are shares: they must be at most 1, such as 0.05 and 0.6.")
        sets = mine(baskets, max(1, ceil(_exact(self.min_support) * self.n_baskets_)), self.max_length)
        self.itemsets_ = {"items": sets.items, "count": sets.counts}
        self.rules_ = self._rules(sets)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """New items for each basket, `(n, n_recommendations)`, padded with -1; of the most confident rule first."""
        check_is_fitted(self)
        held = pack(baskets := self._baskets(X))
        offered, number = held.copy(), np.zeros(baskets.shape[0], int)
        recommended = np.full((len(number), self.n_recommendations + 1), -1)  # the last column takes the surplus
        for antecedent, consequent in zip(self.rules_["antecedent"], self.rules_["consequent"], strict=True):
            applies = holders(held, antecedent)
            for item in consequent[consequent >= 0]:
                new = np.flatnonzero(np.unpackbits((applies & ~offered[item]).view(np.uint8), bitorder="little"))
                recommended[new, number[new]] = item
                number[new] = np.minimum(number[new] + 1, self.n_recommendations)
                offered[item] |= applies
        return recommended[:, :-1]

    def measure(self, X: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """The `measures` of the rules in other baskets; NaN if none holds the antecedent, or none the consequent."""
        check_is_fitted(self)
        bits = pack(baskets := self._baskets(X))
        one, other = self.rules_["antecedent"], self.rules_["consequent"]
        sides = (np.hstack([one, other]), one, other)
        counts = ([np.bitwise_count(holders(bits, row)).sum() for row in side] for side in sides)
        return measures(baskets.shape[0], *map(np.array, counts))

    def holds(self, measured: dict[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
        """Which rules hold where they were measured: lift above 1, and confidence at least `min_confidence`."""
        return (measured["lift"] > 1) & (measured["confidence"] >= self.min_confidence)

    def table(self, names: list[str]) -> pd.DataFrame:
        table: dict[str, Any] = dict(self.rules_)
        for side in ("antecedent", "consequent"):
            table[side] = [" + ".join(names[item] for item in row if item >= 0) for row in table[side]]
        return pd.DataFrame(table)

    def _rules(self, sets: Itemsets) -> dict[str, NDArray]:
        """All candidates, tested, then those that are kept, most confident first."""
        rules = candidates(sets)
        counts = sets.counts[rules]  # of both sides, of the antecedent, of the consequent
        least = _exact(self.min_confidence)
        keep = counts[0] * least.denominator >= counts[1] * least.numerator
        found = measures(self.n_baskets_, *counts)
        if self.alpha is not None:
            found["p_value"] = corrected(self.n_baskets_, counts)
            keep &= found["p_value"] <= self.alpha
        if self.prune_redundant:
            keep &= ~redundant(sets, rules, self.n_baskets_)
        found = {"antecedent": sets.items[rules[1]], "consequent": sets.items[rules[2]], **found}
        order = np.lexsort([*rules[:0:-1], *(-found[name] for name in ("support", "lift", "confidence"))])
        return {name: values[order[keep[order]]] for name, values in found.items()}

    def _baskets(self, X: Any, reset: bool = False) -> csr_array:
        """Ones where a basket holds an item, and nothing else."""
        X = validate_data(self, X, reset=reset, accept_sparse="csr", dtype="numeric", ensure_non_negative=True)
        return (csr_array(X, copy=True) > 0).astype(np.uint8)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.positive_only = True
        return tags


def measures(n: int, both: NDArray, antecedent: NDArray, consequent: NDArray) -> dict[str, NDArray[np.float64]]:
    """The measures of rules from `n` baskets and the numbers of those with all items and with each side, `(rules,)`.

    Support and confidence: Agrawal, Imielinski, Swami, SIGMOD 1993; lift: Brin, Motwani, Ullman, Tsur, SIGMOD 1997.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = both * float(n) / (antecedent * consequent.astype(float))
        return {"support": both / n, "confidence": both / antecedent, "lift": lift}


def candidates(sets: Itemsets) -> NDArray[np.int64]:
    """Every way to split a set: the numbers of the set, the antecedent and the consequent, `(3, n)`."""
    sizes = sets.sizes[sets.sizes > 1].astype(float)
    if (n := (2.0**sizes - 2).sum()) > MAX_RULES:
        raise ValueError(f"The frequent sets give {n:,.0f} rules, more than {MAX_RULES:,}. {TRY}")
    found = [np.zeros((3, 0), np.int64)]
    for length in range(2, sets.items.shape[1] + 1):
        here = np.flatnonzero(sets.sizes == length)
        masks = [np.array([mask >> place & 1 for place in range(length)], bool) for mask in range(1, 2**length - 1)]
        parts = [sets.find(sets.items[here, :length][:, mask]) for mask in masks]
        found += [np.array([here, one, rest]) for one, rest in zip(parts, reversed(parts), strict=True)]
    return np.concatenate(found, axis=1)


def redundant(sets: Itemsets, rules: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """Which of all `candidates` have a rule with a smaller antecedent that is at least as confident."""
    itemset, antecedent, consequent = rules
    codes = antecedent * len(sets.items) + consequent
    order = np.argsort(codes)
    confidence = sets.counts[itemset] / sets.counts[antecedent]
    best = sets.counts[consequent] / n  # of the rules with smaller antecedents, the empty one first
    for length in range(2, sets.items.shape[1]):
        here = np.flatnonzero(sets.sizes[antecedent] == length)
        for column in range(length):
            subset = sets.find(np.delete(sets.items[antecedent[here], :length], column, axis=1))
            simpler = order[np.searchsorted(codes, subset * len(sets.items) + consequent[here], sorter=order)]
            best[here] = np.maximum(best[here], np.maximum(best[simpler], confidence[simpler]))
    return best >= confidence


def corrected(n: int, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """P-values of "no more often together than by chance", corrected for their number; `counts` is `(3, rules)`."""
    (both, antecedent, consequent), back = np.unique(counts, axis=1, return_inverse=True)
    p = hypergeom.sf(both - 1, n, antecedent, consequent)
    return false_discovery_control(np.clip(p, 0, 1)[back], method="by") if len(back) else np.zeros(0)


def _exact(share: float) -> Fraction:
    """0.6 as 3/5, as a person means it, not as the nearest binary number."""
    return Fraction(str(share)).limit_denominator(10**6)
