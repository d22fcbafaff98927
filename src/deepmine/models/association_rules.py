"""Association rules: what is bought together, and whether it still is in baskets that nobody looked at."""

from fractions import Fraction
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from deepmine.models.candidates import candidates, corrected, measures, redundant
from deepmine.models.itemsets import Itemsets, count, mine, pack

ROWS = 4096  # baskets that recommendations are made for at once
Share = Interval(Real, 0, 1, closed="right")


class AssociationRules(TransformerMixin, BaseEstimator):
    """Rules "who has these items has those too" from frequent item sets.

    Args:
        min_support: share of the baskets that hold all items of a rule, at least.
        min_confidence: share of the baskets with the antecedent that hold the consequent too, at least. Both are
            compared as exact fractions of counts, so a rule exactly at the threshold stays.
        max_length: items of a rule, at most; None: any number.
        itemsets: the sets that rules are made of: all; closed (no larger set has the same support); or maximal (no
            larger set is frequent). With `max_length`, larger means up to that length.
        prune_redundant: leave out a rule if another with fewer items before the arrow (or none: the share of the
            consequent) and the same behind it is at least as confident (Bayardo, Agrawal, Gunopulos: Constraint-based
            rule mining in large, dense databases, ICDE 1999; "productive" rules of Webb, Discovering significant
            patterns, Machine Learning 68, 2007).
        alpha: false discovery rate: keep rules whose p-value, corrected for all rules of the frequent sets, is at most
            that; None: do not test. One-sided Fisher's exact test; correction of Benjamini and Yekutieli, which holds
            for tests that depend on each other.
        n_recommendations: items that `predict` names for a basket.
        max_itemsets: frequent sets, at most; more is an error.
        max_rules: rules to consider, at most; more is an error.
        max_items_per_basket: a larger basket is an error; None: any size.

    Attributes:
        itemsets_: `items` `(n, longest)`, ascending, -1 after the end of a shorter set; `count` `(n,)`.
        rules_: `antecedent` and `consequent`, as above; `support`, `confidence`, `lift`, `leverage`, `conviction`,
            `zhang` and, with `alpha`, `p_value`, each `(n,)`; the most confident first.
        n_baskets_: that `fit` saw.
    """

    _parameter_constraints = {  # noqa: RUF012
        "min_support": [Share],
        "min_confidence": [Interval(Real, 0, 1, closed="both")],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "itemsets": [StrOptions({"all", "closed", "maximal"})],
        "alpha": [Share, None],
        "n_recommendations": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        min_support: PositiveFloat = 0.05,
        min_confidence: NonNegativeFloat = 0.6,
        max_length: PositiveInt | None = None,
        itemsets: Literal["all", "closed", "maximal"] = "all",
        prune_redundant: bool = False,
        alpha: PositiveFloat | None = None,
        n_recommendations: PositiveInt = 5,
        max_itemsets: PositiveInt = 1_000_000,
        max_rules: PositiveInt = 5_000_000,
        max_items_per_basket: PositiveInt | None = 1000,
    ) -> None:
        self.min_support = min_support
        self.min_confidence = min_confidence
        self.max_length = max_length
        self.itemsets = itemsets
        self.prune_redundant = prune_redundant
        self.alpha = alpha
        self.n_recommendations = n_recommendations
        self.max_itemsets = max_itemsets
        self.max_rules = max_rules
        self.max_items_per_basket = max_items_per_basket

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "AssociationRules":
        """Find the rules.

        Args:
            X: baskets, `(n, items)`, dense or sparse; a basket holds an item where the value is above 0.
            y: not used.

        Raises:
            ValueError: a limit is passed.
        """
        self._validate_params()
        baskets = self._baskets(X, reset=True)
        self._check_size(baskets)
        self.n_baskets_ = baskets.shape[0]
        min_count = max(1, -int(-_exact(self.min_support) * self.n_baskets_ // 1))
        sets = mine(baskets, min_count, self.max_length, self.max_itemsets)
        kinds = dict(zip(("closed", "maximal"), sets.closed_and_maximal(), strict=True))
        chosen = kinds.get(self.itemsets, np.ones(len(sets.items), bool))
        self.itemsets_ = {"items": sets.items[chosen], "count": sets.counts[chosen]}
        self.rules_ = self._rules(sets, chosen)
        return self

    def transform(self, X: ArrayLike) -> csr_array:
        """Which rules fire: bool `(n, rules)`, true where the basket holds all items of the antecedent."""
        check_is_fitted(self)
        baskets = self._baskets(X)
        wanted = _one_hot(self.rules_["antecedent"], self.n_features_in_)
        held = csr_array(baskets.astype(np.int32) @ wanted.T)
        fires = csr_array((held.data == np.diff(wanted.indptr)[held.indices], held.indices, held.indptr), held.shape)
        fires.eliminate_zeros()
        fires.sort_indices()
        return fires

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Items to recommend, `(n, n_recommendations)`: the consequents of the rules that fire, without what the
        basket holds already, most confident first; -1 where there are no more.
        """
        check_is_fitted(self)
        baskets = self._baskets(X)
        parts = [self._recommend(baskets[start : start + ROWS]) for start in range(0, baskets.shape[0], ROWS)]
        return np.concatenate(parts)

    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """The share of the rules that hold in other baskets too: lift above 1, and `min_confidence` reached.

        0 without rules.
        """
        return float(self.holds(self.measure(X)).mean()) if len(self.rules_["support"]) else 0.0

    def measure(self, X: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Support, confidence, lift and the other measures of the rules in other baskets, each `(rules,)`.

        NaN where they are not defined: no basket holds the antecedent, or none the consequent.
        """
        check_is_fitted(self)
        baskets = self._baskets(X)
        bits = pack(baskets)
        antecedent, consequent = self.rules_["antecedent"], self.rules_["consequent"]
        both = np.concatenate([antecedent, consequent], axis=1)
        return measures(baskets.shape[0], *(count(bits, sets) for sets in (both, antecedent, consequent)))

    def holds(self, measured: dict[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
        """Which rules hold where they were measured (`measure`): lift above 1, and `min_confidence` reached."""
        return (measured["lift"] > 1) & (measured["confidence"] >= self.min_confidence)

    def table(self, names: list[str] | None = None) -> pd.DataFrame:
        """The rules with the names of their items, and their measures."""
        check_is_fitted(self)
        names = [str(n) for n in range(self.n_features_in_)] if names is None else names
        sides = {
            side: [" + ".join(names[item] for item in row if item >= 0) for row in self.rules_[side]]
            for side in ("antecedent", "consequent")
        }
        return pd.DataFrame({**self.rules_, **sides})

    def _rules(self, sets: Itemsets, chosen: NDArray[np.bool_]) -> dict[str, NDArray]:
        """All candidates, tested, then those that stay, the most confident first."""
        rules = candidates(sets, self.max_rules)
        both, antecedent, consequent = (sets.counts[numbers] for numbers in rules)
        least = _exact(self.min_confidence)
        keep = chosen[rules.itemset] & (both * least.denominator >= antecedent * least.numerator)
        p_values: dict[str, NDArray] = {}
        if self.alpha is not None:
            p_values = {"p_value": corrected(self.n_baskets_, both, antecedent, consequent)}
            keep &= p_values["p_value"] <= self.alpha
        if self.prune_redundant:
            keep &= ~redundant(sets, rules, self.n_baskets_)
        found = measures(self.n_baskets_, both[keep], antecedent[keep], consequent[keep])
        rules = rules.take(keep)
        order = np.lexsort(
            [rules.consequent, rules.antecedent, -found["support"], -found["lift"], -found["confidence"]]
        )
        found |= {name: values[keep] for name, values in p_values.items()}
        sides = {"antecedent": sets.items[rules.antecedent], "consequent": sets.items[rules.consequent]}
        return {name: values[order] for name, values in (sides | found).items()}

    def _recommend(self, baskets: csr_array) -> NDArray[np.int64]:
        fires = self.transform(baskets).tocoo()
        consequents = self.rules_["consequent"][fires.col]
        place, column = np.nonzero(consequents >= 0)
        basket, rule, item = fires.row[place], fires.col[place], consequents[place, column]
        basket_item = basket.astype(np.int64) * self.n_features_in_ + item
        held = np.repeat(np.arange(baskets.shape[0]), np.diff(baskets.indptr)) * self.n_features_in_ + baskets.indices
        new = np.flatnonzero(~np.isin(basket_item, held))
        new = new[np.lexsort([rule[new], basket[new]])]  # rules are in the order of their confidence
        new = new[np.sort(np.unique(basket_item[new], return_index=True)[1])]
        rank = np.arange(len(new)) - np.searchsorted(basket[new], basket[new])
        first = rank < self.n_recommendations
        recommended = np.full((baskets.shape[0], self.n_recommendations), -1)
        recommended[basket[new][first], rank[first]] = item[new][first]
        return recommended

    def _baskets(self, X: Any, reset: bool = False) -> csr_array:
        """Ones where a basket holds an item, and nothing else."""
        X = csr_array(validate_data(self, X, reset=reset, accept_sparse="csr", dtype="numeric"))
        if X.nnz and X.data.min() < 0:
            raise ValueError("Negative values in data passed to X: a basket holds an item or not, 1 or 0.")
        X = csr_array((np.ones(X.nnz, np.uint8) * (X.data > 0), X.indices, X.indptr), X.shape)
        X.sum_duplicates()
        X.eliminate_zeros()
        X.data[:] = 1
        return X

    def _check_size(self, baskets: csr_array) -> None:
        sizes = np.diff(baskets.indptr)
        if self.max_items_per_basket is not None and sizes.max() > self.max_items_per_basket:
            raise ValueError(
                f"Basket {sizes.argmax()} holds {sizes.max():,} items, more than "
                f"max_items_per_basket={self.max_items_per_basket:,}. Leave such baskets out, or raise the limit."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _exact(share: float) -> Fraction:
    """0.6 as 3/5, as a person means it, not as the nearest binary number."""
    return Fraction(str(share)).limit_denominator(10**6)


def _one_hot(itemsets: NDArray, n_items: int) -> csr_array:
    """Item sets, `(n, longest)` and -1 at the end, as int32 `(n, n_items)` of ones."""
    row, column = np.nonzero(itemsets >= 0)
    ones = np.ones(len(row), np.int32)
    return csr_array((ones, (row, itemsets[row, column])), (len(itemsets), n_items))
