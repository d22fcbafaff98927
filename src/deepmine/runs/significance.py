"""Is one model better than another, or is the difference only noise? Both are judged on the same test rows.

Statistics are scipy's. The rows count as independent of each other: where they are not (several of one person, a
series), intervals are too narrow.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.05


def judged(rows: Mapping[str, NDArray], higher: bool, baseline: float | None = None, looks: int = 0) -> pd.DataFrame:
    """`low` and `high` of each model's score, and a `verdict` on it beside the first one, which the ranking chose.

    Args:
        rows: for each model, best first, what each test row adds to its score, which is their mean; `(n,)`, the same n.
        higher: whether a higher score is better.
        baseline: the score of a model that learned nothing; the first one is called best if it is beyond its interval.
        looks: how often these rows were scored, by models that may not be in `rows` any more; Holm corrects for all.
    """
    intervals = [interval(own) for own in rows.values()]
    first, *others = rows.values()
    low, high = intervals[0]
    beyond = baseline is None or (low > baseline if higher else high < baseline)
    p_values = holm(np.array([p_value(first, own) for own in others]), max(looks - 1, len(others)))
    less = "worse" if higher else "better"
    more = "better" if higher else "worse"
    words = [
        "not distinguishable" if p >= LEVEL else more if own.mean() > first.mean() else less
        for p, own in zip(p_values, others, strict=True)
    ]
    verdict = ["best" if beyond else "no better than the baseline", *words]
    return pd.DataFrame(intervals, index=list(rows), columns=["low", "high"]).assign(verdict=verdict)


def interval(rows: NDArray) -> tuple[float, float]:
    """The 95 % confidence interval of a mean: Wilson's for right and wrong answers, else Student's t."""
    if rows.dtype == bool:
        found = stats.binomtest(int(rows.sum()), len(rows)).proportion_ci(1 - LEVEL, method="wilson")
    else:
        found = stats.ttest_1samp(rows, 0.0).confidence_interval(1 - LEVEL)
    return float(found.low), float(found.high)


def p_value(a: NDArray, b: NDArray) -> float:
    """How likely so large a difference of two means of the same rows is by chance: exact McNemar, or paired t."""
    if a.dtype == bool:
        only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
        return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return float(np.nan_to_num(stats.ttest_rel(a, b).pvalue, nan=1.0))


def holm(p_values: NDArray, tests: int) -> NDArray:
    """p-values, `(m,)`, corrected for `tests` comparisons, of which the other `tests - m` found nothing.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    order = np.argsort(p_values)
    corrected = np.empty_like(p_values)
    corrected[order] = np.maximum.accumulate(p_values[order] * (tests - np.arange(len(p_values))))
    return np.minimum(corrected, 1.0)
