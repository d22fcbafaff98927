"""Which differences are called real: the words, and how often they are wrong."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from deepmine.runs import looks, record, significance


def right(n: int, of: int) -> np.ndarray:
    return np.arange(of) < n


def test_the_interval_of_a_perfect_score_is_not_a_point() -> None:
    low, high = significance.interval(right(30, 30))
    assert 0.88 < low < 0.89 and high == 1.0


def test_the_interval_of_errors_holds_their_mean_in_95_of_100_samples() -> None:
    rng = np.random.default_rng(0)
    intervals = [significance.interval(np.abs(rng.normal(size=200))) for _ in range(1000)]
    assert 0.93 < np.mean([low < np.sqrt(2 / np.pi) < high for low, high in intervals]) < 0.97


def test_only_rows_on_which_two_classifiers_differ_count() -> None:
    a, b = right(90, 100), right(80, 100)
    assert significance.p_value(a, b) == pytest.approx(2 * 0.5**10)
    assert significance.p_value(np.r_[a, right(5000, 9000)], np.r_[b, right(5000, 9000)]) == significance.p_value(a, b)
    assert significance.p_value(a, a) == 1.0 and significance.p_value(a * 1.0, a * 1.0) == 1.0


def test_holm_is_that_of_r() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert significance.holm(p, 4).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])  # p.adjust(p, "holm")
    assert significance.holm(p, 1000).tolist() == [1.0] * 4
    assert significance.holm(np.array([]), 3).tolist() == []


@pytest.mark.parametrize(
    ("others", "looks", "words"),
    [
        ([right(940, 1000), right(915, 1000)], 0, ["not distinguishable", "worse"]),
        ([right(940, 1000), right(915, 1000)], 10**9, ["not distinguishable"] * 2),
        ([right(990, 1000)], 0, ["better"]),  # the validation rows chose another one, which test rows may tell
    ],
)
def test_each_model_gets_a_word_beside_the_first(others: list[np.ndarray], looks: int, words: list[str]) -> None:
    rows = dict(zip("abc", [right(945, 1000), *others], strict=False))
    assert significance.judged(rows, True, 0.5, looks)["verdict"].tolist() == ["best", *words]


def test_a_lower_error_is_better() -> None:
    small, large = np.linspace(0, 1, 100), np.linspace(0, 1.2, 100)
    assert significance.judged({"a": small, "b": large}, False, 2.0)["verdict"].tolist() == ["best", "worse"]
    assert significance.judged({"b": large, "a": small}, False, 2.0)["verdict"].tolist() == ["best", "better"]


def test_two_equal_models_are_seldom_called_different_and_two_different_ones_often() -> None:
    rng = np.random.default_rng(0)

    def called_different(of_a: float, of_b: float) -> float:
        pairs = rng.random((2, 1000, 500)) < np.array([of_a, of_b])[:, None, None]
        words = [significance.judged({"a": a, "b": b}, True)["verdict"].iloc[1] for a, b in zip(*pairs, strict=True)]
        return float(np.mean([word != "not distinguishable" for word in words]))

    assert called_different(0.8, 0.8) <= 0.06
    assert called_different(0.8, 0.7) >= 0.9


def test_a_thousand_models_of_noise_crown_no_winner() -> None:
    rng = np.random.default_rng(0)
    y, guesses = rng.integers(0, 2, 500), rng.integers(0, 2, (1000, 500))
    chosen = rng.permutation(1000)  # what validation rows say of noise
    rows = {str(n): guesses[n] == y for n in chosen}
    table = significance.judged(rows, True, float(max(y.mean(), 1 - y.mean())), 1000)
    assert table["verdict"].iloc[0] == "no better than the baseline"
    assert set(table["verdict"].iloc[1:]) == {"not distinguishable"}
    naive = [stats.binomtest(int(own.sum()), 500).pvalue for own in rows.values()]
    assert min(naive) < 0.01  # what a search for the best test score would have called a find


def test_the_ledger_only_grows_and_counts_by_data_set(tmp_path: Path) -> None:
    assert looks.count(tmp_path, "a") == 0
    for n, digest in enumerate("aba"):
        origin = {"data": {"digest": digest}, "record_id": "x"}
        (tmp_path / str(n)).mkdir()
        looks.note(tmp_path, record.start(tmp_path / str(n), {}, origin, b""))
    assert (looks.count(tmp_path, "a"), looks.count(tmp_path, "b"), looks.count(tmp_path, "c")) == (2, 1, 0)
