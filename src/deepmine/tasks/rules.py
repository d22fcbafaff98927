"""What is bought together? Rules found in the training baskets are measured again in baskets that `fit` never saw.

`hit_rate`: one item of each basket is hidden, and the model recommends; the share of baskets whose hidden item is
recommended (leave one out, recall at N: Deshpande and Karypis, "Item-based top-N recommendation algorithms", ACM TOIS
22(1), 2004). `generalising`: the share of the rules that hold: lift above 1, the required confidence. Others are means.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.tasks import Predicted, Report, Task


@dataclass(frozen=True, eq=False)
class Recommended(Predicted):
    """The hidden item of each basket (`y`) and the first one recommended, as columns; -1 is none.

    Attributes:
        recommended: `(n, n_recommendations)`.
        baskets: without their hidden item, `(n, items)`.
        measured: the measures of each rule in these baskets, `(rules,)` each; `holds`: whether it holds in them.
    """

    y: NDArray
    recommended: NDArray
    baskets: csr_array
    measured: Mapping[str, NDArray] | None = None
    holds: NDArray | None = None


def predict(pipeline: Pipeline, part: Part) -> Recommended:
    """What is recommended to each basket without one of its items; the rules, measured in the whole baskets."""
    baskets, hidden = hide(csr_array(part.X))
    found, model = pipeline.predict(baskets), pipeline[-1]
    measured = model.measure(pipeline[:-1].transform(part.X) if len(pipeline) > 1 else part.X)
    return Recommended(hidden, found[:, 0], found, baskets, measured, model.holds(measured))


def enrich(pipeline: Pipeline, data: Dataset, parts: dict[str, Recommended], seed: int) -> dict[str, Recommended]:
    """For predictions.csv, the names of the hidden item and of those recommended; empty for none."""
    names = np.array([*data.info["columns"], ""], dtype=object)

    def named(some: Recommended) -> dict[str, NDArray]:
        others = {f"recommended_{rank}": names[column] for rank, column in enumerate(some.recommended.T[1:], 2)}
        return {"actual": names[some.y], "predicted": names[some.predicted], **others}

    return {name: replace(some, columns=named(some)) for name, some in parts.items()}


def baseline(data: Dataset, parts: dict[str, Recommended], seed: int) -> Recommended:
    """The items that most training baskets hold, without those that the basket holds already."""
    test = parts["test"]
    n = test.recommended.shape[1]
    popular = np.argsort(-np.bincount(data.train.X.indices, minlength=data.train.X.shape[1]), kind="stable")
    popular = popular[: n + np.diff(test.baskets.indptr).max()]
    free_first = np.argsort(test.baskets[:, popular].toarray(), axis=1, kind="stable")
    recommended = popular[free_first[:, :n]]
    return Recommended(test.y, recommended[:, 0], recommended, test.baskets)


def measure(some: Recommended) -> dict[str, float]:
    """Scores of rules and recommendations; a mean leaves out rules whose measure is not defined in these baskets."""
    means = {"hit_rate": (some.recommended == some.y[:, None]).any(axis=1)[some.y >= 0]}
    if some.measured is not None and some.holds is not None:
        measured = {name: some.measured[name] for name in ("confidence", "lift", "support")}
        means |= measured | {"generalising": some.holds}
    scores = {name: float(pd.Series(values, dtype=float).mean()) for name, values in means.items()}
    return scores if some.holds is None else {**scores, "n_rules": len(some.holds)}


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Recommended], scores: dict[str, float]) -> Report:
    """The rules, with their measures in training and test baskets."""
    test, model = parts["test"], pipeline[-1]
    assert test.measured is not None and test.holds is not None
    table = model.table(data.info["columns"]).assign(
        **{f"test_{name}": test.measured[name] for name in ("support", "confidence", "lift")},
        holds=np.where(test.holds, "yes", "no"),
    )
    hits, popular = (scores.get(f"{part}/hit_rate", np.nan) for part in ("test", "baseline/test"))
    findings = [
        f"Recommendations include the hidden item in {hits:.1%} of test baskets; popular items in {popular:.1%}."
    ]
    if table.empty:
        return Report({"rules": table}, findings, [], hint=nothing(model))
    top = table.iloc[0]
    findings += [
        f"{test.holds.sum()} of {len(table)} rules hold in test baskets (lift above 1, the required confidence).",
        f"Most confident rule: {top.antecedent} -> {top.consequent}, confidence {top.confidence:.2f} in training "
        f"baskets and {top.test_confidence:.2f} in test baskets, lift {top.lift:.1f} and {top.test_lift:.1f}.",
    ]
    return Report({"rules": table}, findings, _figures(table))


def _figures(table: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """The confidence of each rule in training and in test baskets, coloured by lift."""
    figure, shown = Figure(figsize=(6.4, 4.6)), table.sort_values("lift")  # the highest on top
    axes = figure.add_subplot(xlabel="confidence in training baskets", ylabel="confidence in test baskets")
    dots = axes.scatter(shown["confidence"], shown["test_confidence"], c=shown["lift"], s=16, cmap="viridis_r")
    axes.axline((shown["confidence"].min(),) * 2, slope=1, color="#999999", linewidth=1, linestyle=":")
    axes.set_title(f"{len(table)} rules; those on the line hold as in training")
    figure.colorbar(dots, ax=axes, label="lift in training baskets")
    yield "rules", figure


def nothing(model: Any) -> str:
    """Which threshold no rule reaches, and what to lower."""
    support, sets = model.min_support, int(((model.itemsets_["items"] >= 0).sum(axis=1) > 1).sum())
    start = f"No rules: {sets or 'no'} sets of two or more items reach model.min_support={support:g}"
    if not sets:
        return f"{start}. Lower it, for example to {support / 5:g}."
    also = f", model.alpha={model.alpha:g}" if model.alpha else ""
    return f"{start}, but no rule passes model.min_confidence={model.min_confidence:g}{also}. Change that first."


def hide(baskets: csr_array) -> tuple[csr_array, NDArray[np.int64]]:
    """The baskets without one item each, always the same, and that item; a basket of one keeps it, and gives -1."""
    sizes = np.diff(baskets.indptr)
    drawn = baskets.indptr[:-1] + (np.random.default_rng(0).random(len(sizes)) * sizes).astype(int)
    asked = sizes > 1
    hidden = np.full(len(sizes), -1)
    hidden[asked] = baskets.indices[drawn[asked]]
    rest = baskets.copy()
    rest.data[drawn[asked]] = 0
    rest.eliminate_zeros()
    return rest, hidden


SCORES = {"hit_rate": True, "generalising": True, "confidence": True, "lift": True, "support": None, "n_rules": None}
TASK = Task(SCORES, predict, measure, report, baseline, enrich, shown=6, first_models=("rules",))
