"""What is bought together? Rules found in the training baskets are measured again in baskets that `fit` never saw.

`hit_rate`: one item of each basket is hidden, and the model recommends; the share of baskets whose hidden item is
recommended (leave one out, recall at N: Deshpande and Karypis, "Item-based top-N recommendation algorithms", ACM TOIS
22(1), 2004). `generalising`: the share of the rules that hold, with a lift above 1 and the required confidence.
`confidence`, `lift` and `support` are means over the rules.
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
    """The hidden item of each basket (`y`) and the first one recommended, both as columns `(n,)`, -1 for none.

    Attributes:
        recommended: `(n, n_recommendations)`, -1 for none.
        baskets: without their hidden item, `(n, items)`.
        measured: the measures of each rule in these baskets, `(rules,)` each.
        holds: whether each rule holds in these baskets, `(rules,)`.
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
    """The names of the items for predictions.csv."""
    return {name: replace(part, columns=_columns(part, data.info["columns"])) for name, part in parts.items()}


def _columns(some: Recommended, items: list[str]) -> dict[str, NDArray]:
    """The names of the hidden item, of the one recommended first, and of the others; empty for none."""
    names = np.array([*items, ""], dtype=object)
    others = {f"recommended_{rank}": names[column] for rank, column in enumerate(some.recommended.T[1:], 2)}
    return {"actual": names[some.y], "predicted": names[some.predicted], **others}


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
    asked = some.y >= 0
    scores = {"hit_rate": _mean((some.recommended[asked] == some.y[asked, None]).any(axis=1))}
    if some.measured is not None and some.holds is not None:
        scores |= {name: _mean(some.measured[name]) for name in ("confidence", "lift", "support")}
        scores |= {"generalising": _mean(some.holds), "n_rules": len(some.holds)}
    return scores


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Recommended]) -> Report:
    """The rules, with their measures in training and test baskets."""
    test, model = parts["test"], pipeline[-1]
    assert test.measured is not None and test.holds is not None
    table = model.table(data.info["columns"]).assign(
        **{f"test_{name}": test.measured[name] for name in ("support", "confidence", "lift")},
        holds=np.where(test.holds, "yes", "no"),
    )
    hits, popular = (measure(some)["hit_rate"] for some in (test, baseline(data, parts, 0)))
    findings = [
        f"Recommendations include the hidden item of {hits:.1%} of the test baskets; the most popular items include "
        f"that of {popular:.1%}."
    ]
    if table.empty:
        return Report({"rules": table}, [*findings, nothing(model)], [], hint=nothing(model))
    top = table.iloc[0]
    findings += [
        f"{test.holds.sum()} of {len(table)} rules hold in test baskets: lift above 1, confidence at least "
        f"{model.min_confidence:g}.",
        f"Most confident rule: {top.antecedent} -> {top.consequent}, confidence {top.confidence:.2f} in training "
        f"baskets and {top.test_confidence:.2f} in test baskets, lift {top.lift:.1f} and {top.test_lift:.1f}.",
    ]
    return Report({"rules": table}, findings, _figures(table))


def _figures(table: pd.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Each rule by support, confidence and lift, and by its confidence in training and test baskets."""
    figure = Figure(figsize=(10.4, 4.2))
    rules, held = figure.subplots(1, 2)
    shown = table.sort_values("lift")  # the highest on top
    dots = rules.scatter(shown["support"], shown["confidence"], c=shown["lift"], s=16, cmap="viridis_r")
    figure.colorbar(dots, ax=rules, label="lift")
    rules.set(xlabel="support", ylabel="confidence", title=f"{len(table)} rules in training baskets")
    for state, group in table.groupby("holds"):
        held.scatter(group["confidence"], group["test_confidence"], s=12, alpha=0.7, label=f"{state} ({len(group)})")
    held.axline((table["confidence"].min(),) * 2, slope=1, color="#999999", linewidth=1, linestyle=":")
    held.set(xlabel="confidence in training baskets", ylabel="in test baskets", title="Do the rules hold?")
    held.legend(frameon=False)
    yield "rules", figure


def nothing(model: Any) -> str:
    """Which threshold no rule reaches, and what to lower."""
    support, sets = model.min_support, int(((model.itemsets_["items"] >= 0).sum(axis=1) > 1).sum())
    start = f"No rules: {sets or 'no'} sets of two or more items reach model.min_support={support:g}"
    if not sets:
        return f"{start}. Lower it, for example to {support / 5:g}."
    chance = "" if model.alpha is None else f" and is significant at model.alpha={model.alpha:g}"
    return f"{start}, but no rule reaches model.min_confidence={model.min_confidence:g}{chance}. Lower these first."


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


def _mean(values: NDArray) -> float:
    """Of the values that are defined; NaN where there are none."""
    defined = np.asarray(values, float)
    defined = defined[np.isfinite(defined)]
    return float(defined.mean()) if len(defined) else float("nan")


SCORES = {"hit_rate": True, "generalising": True, "confidence": True, "lift": True, "support": None, "n_rules": None}
TASK = Task(SCORES, predict, measure, baseline, report, enrich, shown=6)
