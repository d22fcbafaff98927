"""Association rules: as counted by hand and by mlxtend, on any baskets; limits; held-out baskets."""

import math
import re
from collections import Counter
from fractions import Fraction
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mlxtend.frequent_patterns import association_rules, fpgrowth
from scipy.sparse import csr_array, csr_matrix
from scipy.stats import false_discovery_control, fisher_exact
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from deepmine.data.dataset import Dataset, Part
from deepmine.models import association_rules as rules_module
from deepmine.models import itemsets as search
from deepmine.models.association_rules import AssociationRules
from deepmine.models.itemsets import mine
from deepmine.tasks import rules as task
from deepmine.tasks.rules import Recommended

Sets = dict[frozenset[int], int]


def random_baskets(seed: int, n_items: int | None = None) -> np.ndarray:
    """Baskets of 2 to 9 items, some of which go together."""
    rng = np.random.default_rng(seed)
    n, n_items = rng.integers(5, 130), n_items or rng.integers(2, 10)
    X = rng.random((n, n_items)) < rng.uniform(0.1, 0.9, n_items)
    together = rng.random(n) < 0.4
    X[together, : n_items // 2] = True
    return X.astype(np.uint8)


BASKETS = st.one_of(  # those that shrink to a small example, and those with many rules
    arrays(np.uint8, st.tuples(st.integers(1, 130), st.integers(1, 7)), elements=st.integers(0, 1)),
    st.builds(random_baskets, st.integers(0, 2**32 - 1)),
)
SHARES = st.integers(1, 60).map(lambda percent: percent / 100)


def sets_by_hand(X: np.ndarray, min_count: int) -> Sets:
    items = range(X.shape[1])
    every = [frozenset(some) for k in range(1, len(items) + 1) for some in combinations(items, k)]
    counts = {some: int(X[:, sorted(some)].all(axis=1).sum()) for some in every}
    return {some: n for some, n in counts.items() if n >= min_count}


def rules_by_hand(sets: Sets, n: int, confidence: Fraction) -> dict[tuple[frozenset, frozenset], dict[str, float]]:
    found = {}
    for both, n_both in sets.items():
        for size in range(1, len(both)):
            for antecedent in map(frozenset, combinations(both, size)):
                consequent = both - antecedent
                a, c = sets[antecedent], sets[consequent]
                if Fraction(n_both, a) >= confidence:
                    found[antecedent, consequent] = by_definition(n_both / n, a / n, c / n)
    return found


def by_definition(both: float, a: float, c: float) -> dict[str, float]:
    """The measures as the papers write them, in shares."""
    confidence = both / a if a else math.nan
    return {"support": both, "confidence": confidence, "lift": confidence / c if c else math.nan}


def as_sets(rows: np.ndarray) -> list[frozenset[int]]:
    return [frozenset(row[row >= 0].tolist()) for row in rows]


def as_rules(model: AssociationRules) -> list[tuple[frozenset, frozenset]]:
    return list(zip(*(as_sets(model.rules_[side]) for side in ("antecedent", "consequent")), strict=True))


@given(BASKETS, SHARES, SHARES, st.sampled_from([2**18, 8]), st.sampled_from([np.asarray, csr_array]))
def test_sets_and_rules_are_those_counted_by_hand(X, support, confidence, block, kind) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "BLOCK", block)  # in one piece, and in many
        model = AssociationRules(support, confidence).fit(kind(X))
    sets = sets_by_hand(X, math.ceil(Fraction(str(support)) * len(X)))
    found = dict(zip(as_sets(model.itemsets_["items"]), model.itemsets_["count"].tolist(), strict=True))
    assert found == sets and len(model.itemsets_["count"]) == len(sets)
    compare(model, rules_by_hand(sets, len(X), Fraction(str(confidence))))


def compare(model: AssociationRules, wanted: dict[tuple[frozenset, frozenset], dict[str, float]]) -> None:
    """The same rules, each once, with the same measures."""
    names = as_rules(model)
    assert set(names) == set(wanted) and len(names) == len(wanted)
    for number, name in enumerate(names):
        got = {measure: model.rules_[measure][number] for measure in wanted[name]}
        assert got == pytest.approx(wanted[name], rel=1e-9, abs=1e-12), name


def by_mlxtend(X: np.ndarray, support: float, confidence: float) -> tuple[pd.DataFrame, dict]:
    """Frequent sets, and the rules as `compare` takes them."""
    frame = pd.DataFrame(X.astype(bool))
    sets = fpgrowth(frame, support)
    if sets.empty:
        return sets, {}
    rules = association_rules(sets, metric="confidence", min_threshold=confidence)
    measures = rules[["support", "confidence", "lift"]].to_dict("records")
    return sets, dict(zip(zip(rules["antecedents"], rules["consequents"], strict=True), measures, strict=True))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning:mlxtend")
@given(BASKETS, st.data())
def test_sets_and_rules_are_those_of_mlxtend(X, data) -> None:
    support = (data.draw(st.integers(1, len(X))) - 0.5) / len(X)  # mlxtend compares rounded shares: none is at a limit
    model = AssociationRules(support, 0).fit(X)
    sets, rules = by_mlxtend(X, support, 0)
    ours = dict(zip(as_sets(model.itemsets_["items"]), model.itemsets_["count"] / len(X), strict=True))
    assert ours == pytest.approx(dict(zip(sets["itemsets"], sets["support"], strict=True)))
    compare(model, rules)


@given(BASKETS, SHARES, SHARES)
def test_a_rule_is_redundant_if_a_shorter_one_is_as_sure(X, support, confidence) -> None:
    sets = sets_by_hand(X, math.ceil(Fraction(str(support)) * len(X)))
    every = {(a, c): Fraction(sets[a | c], sets[a]) for a, c in rules_by_hand(sets, len(X), Fraction(0))}
    wanted = set()
    for (antecedent, consequent), sure in every.items():
        shorter = [frozenset(s) for k in range(1, len(antecedent)) for s in combinations(antecedent, k)]
        rivals = [every[s, consequent] for s in shorter] + [Fraction(sets[consequent], len(X))]
        if sure >= Fraction(str(confidence)) and all(rival < sure for rival in rivals):
            wanted.add((antecedent, consequent))
    assert set(as_rules(AssociationRules(support, confidence, prune_redundant=True).fit(X))) == wanted


def test_significance_is_fishers_test_corrected_for_all_candidates() -> None:
    X = random_baskets(6)
    n = len(X)
    sets = sets_by_hand(X, math.ceil(Fraction(1, 10) * n))
    every = rules_by_hand(sets, n, Fraction(0))
    p = {}
    for a, c in every:
        table = [[sets[a | c], sets[a] - sets[a | c]], [sets[c] - sets[a | c], n - sets[a] - sets[c] + sets[a | c]]]
        p[a, c] = fisher_exact(table, alternative="greater").pvalue
    corrected = dict(zip(p, false_discovery_control(list(p.values()), method="by"), strict=True))
    model = AssociationRules(0.1, 0.5, alpha=0.01).fit(X)
    wanted = {name: q for name, q in corrected.items() if q <= 0.01 and every[name]["confidence"] >= 0.5}
    assert 0 < len(wanted) < len(AssociationRules(0.1, 0.5).fit(X).rules_["support"])
    assert dict(zip(as_rules(model), model.rules_["p_value"], strict=True)) == pytest.approx(wanted, rel=1e-6)


def test_made_up_rules_of_chance_are_not_significant() -> None:
    X = (np.random.default_rng(0).random((200, 12)) < 0.7).astype(np.uint8)
    assert len(AssociationRules(0.2, 0.6, max_length=3).fit(X).rules_["support"]) > 100
    assert len(AssociationRules(0.2, 0.6, max_length=3, alpha=0.05).fit(X).rules_["support"]) == 0


def test_the_rules_of_many_baskets_are_those_of_mlxtend() -> None:
    """Some items are rare, some in every second basket, and some go together."""
    rng = np.random.default_rng(0)
    X = rng.random((3000, 40)) < np.geomspace(0.01, 0.5, 40)
    X[rng.random(3000) < 0.1, 10:17] = True
    model = AssociationRules(0.05, 0.6).fit(csr_array(X.astype(np.uint8)))
    sets, rules = by_mlxtend(X, 0.05, 0.6)
    assert len(sets) == len(model.itemsets_["count"]) > 200 and len(rules) > 1000
    compare(model, rules)


def test_a_rule_exactly_at_the_threshold_stays() -> None:
    X = np.array([[1, 1]] * 3 + [[1, 0]] * 2 + [[0, 1]] * 5)  # 3 of 5: exactly .6; 3 of 10: exactly .3
    assert (frozenset({0}), frozenset({1})) in as_rules(AssociationRules(0.3, 0.6).fit(X))


def test_rules_are_measured_again_in_baskets_held_out() -> None:
    X, other = random_baskets(8, 5), random_baskets(11, 5)
    model = AssociationRules(0.2, 0.5).fit(X)
    again = model.measure(other)
    for number, (a, c) in enumerate(as_rules(model)):
        shares = [other[:, sorted(items)].all(axis=1).mean() for items in (a | c, a, c)]
        assert {k: v[number] for k, v in again.items()} == pytest.approx(
            by_definition(*shares), rel=1e-9, abs=1e-12, nan_ok=True
        )
    holds = (again["lift"] > 1) & (again["confidence"] >= 0.5)
    assert model.holds(again).tolist() == holds.tolist() and holds.any()
    np.testing.assert_allclose(model.measure(X)["lift"], model.rules_["lift"])


def test_a_rule_that_nobody_could_follow_has_no_confidence() -> None:
    model = AssociationRules(0.5, 0.5).fit(np.array([[1, 1], [1, 1], [0, 1]]))
    again = model.measure(np.array([[0, 1], [0, 1]]))
    assert np.isnan(again["confidence"]).any() and not model.holds(again).any()


def test_it_recommends_what_the_surest_rules_say_and_the_basket_lacks() -> None:
    X = random_baskets(4)
    model = AssociationRules(0.15, 0.3, n_recommendations=3).fit(X)
    recommended = model.predict(csr_array(X))
    assert recommended.shape == (len(X), 3)
    names = as_rules(model)
    for basket, row in enumerate(X):
        held = frozenset(np.flatnonzero(row).tolist())
        order = [item for a, c in names if a <= held for item in sorted(c - held)]
        wanted = list(dict.fromkeys(order))[:3]
        assert recommended[basket].tolist() == wanted + [-1] * (3 - len(wanted))


def test_what_is_sparse_dense_or_of_another_type_is_the_same() -> None:
    X = random_baskets(2)
    names = [f"item {number}" for number in range(X.shape[1])]
    tables = [
        AssociationRules(0.2).fit(Z).table(names) for Z in (X, X.astype(bool), X * 3.0, csr_array(X), csr_matrix(X))
    ]
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other)


def test_the_table_has_names() -> None:
    table = AssociationRules(0.5, 0.5).fit(np.array([[1, 1], [1, 1], [1, 0]])).table(["bread", "butter"])
    assert table.loc[0, ["antecedent", "consequent", "confidence"]].tolist() == ["butter", "bread", 1.0]


def test_nothing_frequent_gives_no_rules() -> None:
    X = np.eye(8)
    model = AssociationRules(0.5, alpha=0.05, prune_redundant=True).fit(X)
    assert len(model.table(list("abcdefgh"))) == 0 and len(model.holds(model.measure(X))) == 0
    assert model.predict(X).shape == (8, 5) and (model.predict(X) == -1).all()


def test_the_longest_set_is_limited() -> None:
    X = np.ones((5, 300), np.uint8)
    model = AssociationRules(0.5, max_length=2).fit(X)
    assert len(model.itemsets_["count"]) == 300 + math.comb(300, 2)


@pytest.mark.parametrize(
    ("X", "settings", "says"),
    [
        (np.ones((4, 1800), np.uint8), {}, "more than 1,000,000 frequent sets. Raise min_support"),
        (np.ones((50_000, 60), np.uint8), {}, "more than 1,000,000 frequent sets"),
        (np.random.default_rng(0).random((200, 200)) < 0.7, {}, "more than 1,000,000 frequent sets"),
        (np.ones((4, 10)), {}, "give 57,002 rules, more than 57,001. Raise min_support"),
        (csr_array(np.ones((1, 20_000), np.uint8)), {}, "frequent items in 1 baskets need"),
        (-np.ones((4, 6)), {}, "Negative values"),
        (np.full((4, 6), np.nan), {}, "contains NaN"),
        (np.ones((4, 6)), {"min_support": 0.0}, "min_support and min_confidence are shares"),
        (np.ones((4, 6)), {"min_confidence": 60.0}, "min_support and min_confidence are shares"),
        (np.ones(4), {}, "Expected 2D array"),
    ],
)
def test_a_limit_or_a_mistake_ends_in_a_message(X, settings: dict, says: str, monkeypatch) -> None:
    monkeypatch.setattr(rules_module, "MAX_RULES", 57_001)
    with pytest.raises(ValueError, match=says):
        AssociationRules(**settings).fit(X)


def test_baskets_of_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="X has 3 features"):
        AssociationRules(0.5).fit(np.ones((4, 2))).predict(np.ones((4, 3)))


@pytest.mark.slow
def test_it_passes_scikit_learns_checks() -> None:
    model = AssociationRules(max_length=2)
    assert clone(model).get_params() == model.get_params()
    several = dict.fromkeys(
        ("check_estimator_sparse_array", "check_estimator_sparse_matrix"), "predict gives several items, not one"
    )
    results = check_estimator(model, on_skip=None, expected_failed_checks=several)
    assert sum(result["status"] == "passed" for result in results) > 30


def test_one_item_of_each_basket_is_hidden_always_the_same() -> None:
    X = csr_array(random_baskets(5))
    rest, hidden = task.hide(X)
    again, _ = task.hide(X)
    assert (rest != again).nnz == 0
    for basket, item in enumerate(hidden):
        held = set(np.flatnonzero(X[[basket]].toarray()[0]).tolist())
        left = set(np.flatnonzero(rest[[basket]].toarray()[0]).tolist())
        assert (left | {int(item)} == held and item not in left) if len(held) > 1 else (left == held and item == -1)


def test_scores_count_hits_and_rules_that_hold() -> None:
    measured = {name: np.array([0.5, np.nan, 1.0]) for name in ("support", "confidence", "lift")}
    found, holds = np.array([[2, 3], [2, -1], [-1, 2]]), np.array([True, False, True])
    some = Recommended(np.array([3, 1, -1]), found[:, 0], found, csr_array((3, 4)), measured, holds)
    assert task.TASK.score(some) == pytest.approx(
        {"hit_rate": 0.5, "support": 0.75, "confidence": 0.75, "lift": 0.75, "generalising": 2 / 3, "n_rules": 3}
    )


def test_the_baseline_recommends_the_most_popular_items_that_a_basket_lacks() -> None:
    train, test = (csr_array(np.unique(random_baskets(seed, 40), axis=0)) for seed in (3, 4))
    data = SimpleNamespace(train=SimpleNamespace(X=train))
    rest, hidden = task.hide(test)
    guess = task.baseline(data, {"test": Recommended(hidden, hidden, np.zeros((1, 5)), rest)}, 0)
    held = Counter(train.indices.tolist())
    for basket in range(len(hidden)):
        lacks = [item for item in held if rest[basket, item] == 0]
        wanted = sorted((held[item] for item in lacks), reverse=True)[:5]
        assert [held[item] for item in guess.recommended[basket].tolist()] == wanted
        assert all(rest[basket, item] == 0 for item in guess.recommended[basket])


def test_predictions_name_their_items() -> None:
    data = SimpleNamespace(info={"columns": ["tea", "cup"]})
    some = Recommended(np.array([1, -1]), np.array([0, 1]), np.array([[0, -1], [1, 0]]), csr_array((2, 2)))
    found = task.enrich(None, data, {"test": some}, 0)["test"].columns
    assert {name: items.tolist() for name, items in found.items()} == {
        "actual": ["cup", ""],
        "predicted": ["tea", "cup"],
        "recommended_2": ["", "tea"],
    }


def test_mining_leaves_nothing_to_chance() -> None:
    X = csr_array(random_baskets(9))
    one, two = mine(X, 5), mine(X, 5)
    np.testing.assert_array_equal(one.items, two.items)


@pytest.mark.parametrize(
    ("held", "settings", "says"),
    [
        (np.eye(8), {"min_support": 0.5}, "no sets .* reach model.min_support=0.5. Lower it, for example to 0.1."),
        (np.eye(8) + np.eye(8)[::-1], {"min_confidence": 1, "alpha": 1e-9}, "4 sets .* model.alpha=1e-09. Change that"),
    ],
)
def test_where_there_are_no_rules_it_is_said_why(held: np.ndarray, settings: dict, says: str) -> None:
    pipeline = make_pipeline(AssociationRules(**settings)).fit(csr_array(held.astype(np.uint8)))
    names = [str(n) for n in range(8)]
    parts = [Part(csr_array(held.astype(np.uint8)), None, np.char.add(n, names)) for n in "abc"]
    data = Dataset({"kind": "baskets", "columns": names}, *parts)
    parts = {name: task.predict(pipeline, part) for name, part in data.parts()}
    found = task.report(pipeline, data, parts, task.TASK.scores(data, parts, 0))
    assert re.search(says, found.hint) and len(found.findings) == 1 and not list(found.figures)
