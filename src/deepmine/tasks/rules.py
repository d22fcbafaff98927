"""What is bought together? The rules of the training baskets are measured again in baskets that `fit` never saw.

Measures: see `deepmine.models.association_rules.measures`. `hit_rate`: one item of each basket is hidden, and the model
recommends; the share of the baskets where the hidden item is among the recommended ones (leave one out, recall at N:
Deshpande, Karypis, Item-based top-N recommendation algorithms, ACM TOIS 22(1), 2004).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.figures import COLOURS
from deepmine.tasks import Knowledge

SCORES = {
    "hit_rate": True,  # of the recommendations, one hidden item per basket
    "generalising": True,  # share of the rules with a lift above 1 and the wanted confidence in these baskets
    "confidence": True,  # mean of the rules, as the next two
    "lift": True,
    "support": None,
    "n_rules": None,
}
COLUMNS = ("hit_rate", "generalising", "confidence", "lift", "support", "n_rules")
SHOWN = 18  # rules in the graph


def predict(pipeline: Pipeline, part: Part) -> dict[str, Any]:
    """One hidden item of each basket (`y`, its column; -1 where there is only one), what is recommended without it,
    `(n, n_recommendations)`, the first of that (`predicted`), and the rules measured in these baskets.
    """
    baskets, hidden = hide(csr_array(part.X))
    recommended = pipeline.predict(baskets)
    X = part.X
    for _, step in pipeline.steps[:-1]:
        X = step.transform(X)
    measured = pipeline[-1].measure(X)
    return {
        "y": hidden,
        "predicted": recommended[:, 0],
        "recommended": recommended,
        "baskets": baskets,
        "measured": measured,
        "holds": pipeline[-1].holds(measured),
    }


def enrich(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> None:
    """The names of the hidden items and of those recommended first, for predictions.csv."""
    for arrays in outcomes.values():
        arrays["columns"] = {
            "actual": _named(data, arrays["y"]),
            "predicted": _named(data, arrays["predicted"]),
        }


def baseline(data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> dict[str, Any]:
    """Recommend what most training baskets hold, without what the basket has already."""
    test = outcomes["test"]
    n = test["recommended"].shape[1]
    popular = np.argsort(-np.bincount(data.train.X.indices, minlength=data.train.X.shape[1]), kind="stable")
    popular = popular[: n + np.diff(test["baskets"].indptr).max()]
    free_first = np.argsort(test["baskets"][:, popular].toarray(), axis=1, kind="stable")
    recommended = popular[free_first[:, :n]]
    return {"y": test["y"], "predicted": recommended[:, 0], "recommended": recommended}


def score(
    y: NDArray,
    recommended: NDArray,
    measured: dict[str, NDArray] | None = None,
    holds: NDArray | None = None,
    **_: Any,
) -> dict[str, float]:
    """Scores of rules and of what they recommend; a mean leaves out rules that are not defined in these baskets.

    Args:
        y: the hidden item of each basket, `(n,)`, -1 where there is none.
        recommended: `(n, n_recommendations)`, -1 where there is none.
        measured: the measures of each rule in these baskets, `(rules,)`.
        holds: whether each rule holds in them, `(rules,)`.
    """
    asked = y >= 0
    scores = {"hit_rate": _mean((recommended[asked] == y[asked, None]).any(axis=1))}
    if measured is not None and holds is not None:
        scores |= {name: _mean(measured[name]) for name in ("confidence", "lift", "support")}
        scores |= {"generalising": _mean(holds), "n_rules": len(holds)}
    return scores


def figures(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """The rules with the highest lift as a graph, all of them by support and confidence, and in other baskets."""
    rules = pipeline[-1].rules_
    if len(rules["lift"]):
        yield "rules_graph", graph(rules, data.info["columns"])
        yield "rules", scatter(rules)
        yield "generalisation", generalisation(rules, outcomes["test"]["measured"], outcomes["test"]["holds"])


def knowledge(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Knowledge:
    """The rules with their measures in training and test baskets, and what is recommended to the test baskets."""
    names, test = data.info["columns"], outcomes["test"]
    table = pipeline[-1].table(names)
    for measure in ("support", "confidence", "lift"):
        table[f"test_{measure}"] = test["measured"][measure]
    table["holds"] = np.where(test["holds"], "yes", "no")
    recommended = pd.DataFrame({"basket": data.test.rows, "hidden": _named(data, test["y"])})
    for rank, column in enumerate(test["recommended"].T, 1):
        recommended[f"recommended_{rank}"] = _named(data, column)
    return Knowledge({"rules": table, "recommendations": recommended}, findings(table, pipeline[-1], len(data.train)))


def findings(rules: pd.DataFrame, model: Any, n: int) -> list[str]:
    """The number of rules, the strongest, and how many do not hold in test baskets, in sentences."""
    found = [f"{len(rules)} rules from {len(model.itemsets_['count'])} frequent item sets of {n} training baskets."]
    if rules.empty:
        return [*found, nothing(model)]
    for words, measure in (("Surest", "confidence"), ("Farthest from chance", "lift")):
        top = rules.iloc[int(rules[measure].argmax())]
        found.append(
            f"{words}: {top.antecedent} -> {top.consequent}, confidence {top.confidence:.2f} and lift {top.lift:.1f} "
            f"in training baskets, {top.test_confidence:.2f} and {top.test_lift:.1f} in test baskets."
        )
    broken = int((rules["holds"] == "no").sum())
    found.append(
        f"{broken} of {len(rules)} rules do not hold in test baskets: lift at most 1, or confidence below "
        f"{model.min_confidence:g}. The mean confidence goes from {rules['confidence'].mean():.3f} to "
        f"{rules['test_confidence'].mean():.3f}."
    )
    return found


def hint(pipeline: Pipeline) -> str:
    """Why there are no rules, where there are none."""
    return "" if len(pipeline[-1].rules_["support"]) else nothing(pipeline[-1])


def nothing(model: Any) -> str:
    """Which threshold no rule reaches, and what to lower."""
    support, together = f"model.min_support={model.min_support:g}", (model.itemsets_["items"] >= 0).sum(axis=1) > 1
    if not together.any():
        return (
            f"No rules: no two items are together in so many of the {model.n_baskets_} training baskets as {support} "
            f"asks. Lower it, such as model.min_support={model.min_support / 5:g}."
        )
    chance = "" if model.alpha is None else f" and is more than chance (model.alpha={model.alpha:g})"
    return (
        f"No rules: {together.sum()} sets of items reach {support}, but no rule made of them reaches "
        f"model.min_confidence={model.min_confidence:g}{chance}. Lower the confidence first, then the support."
    )


def hide(baskets: csr_array) -> tuple[csr_array, NDArray[np.int64]]:
    """The baskets without one item each, drawn with a seed of its own, and that item; one alone stays, and gives -1."""
    sizes = np.diff(baskets.indptr)
    drawn = baskets.indptr[:-1] + (np.random.default_rng(0).random(len(sizes)) * sizes).astype(int)
    asked = sizes > 1
    hidden = np.full(len(sizes), -1)
    hidden[asked] = baskets.indices[drawn[asked]]
    rest = baskets.copy()
    rest.data[drawn[asked]] = 0
    rest.eliminate_zeros()
    return rest, hidden


def graph(rules: dict[str, NDArray], names: list[str]) -> Figure:
    """The rules with the highest lift: an arrow from each item before the arrow to each behind it."""
    top = np.argsort(-rules["lift"], kind="stable")[:SHOWN]
    sides = zip(rules["antecedent"][top], rules["consequent"][top], rules["lift"][top], strict=True)
    edges: dict[tuple[int, int], float] = {}  # the highest lift of each, which comes first
    for before, behind, lift in sides:
        for pair in [(int(a), int(b)) for a in before[before >= 0] for b in behind[behind >= 0]]:
            edges.setdefault(pair, lift)
    places = _places([item for pair in edges for item in pair])
    figure = Figure(figsize=(10.5, 1.6 + 0.26 * len(places)))
    axes = figure.add_subplot()
    lowest, highest = min(edges.values()), max(edges.values())
    for (a, b), lift in edges.items():
        weight = (lift - lowest) / (highest - lowest) if highest > lowest else 1.0
        style = {"arrowstyle": "-|>", "color": COLOURS[0], "alpha": 0.35 + 0.6 * weight, "linewidth": 0.8 + 2 * weight}
        shape = {"connectionstyle": "arc3,rad=0.12", "shrinkA": 5, "shrinkB": 5}
        axes.annotate("", places[b], places[a], arrowprops={**style, **shape})
    for item, (x, y) in places.items():
        axes.plot(x, y, "o", color=COLOURS[1], markersize=6)
        axes.annotate(names[item], (x, y), (9 if x >= 0 else -9, 0), textcoords="offset points", va="center",
                      ha="left" if x >= 0 else "right", fontsize=8)  # fmt: skip
    axes.set(xlim=(-2.6, 2.6), ylim=(-1.15, 1.15))
    axes.axis("off")
    axes.set_title(f"The {len(top)} rules with the highest lift, {lowest:.1f} to {highest:.1f} (thicker: higher)")
    return figure


def scatter(rules: dict[str, NDArray]) -> Figure:
    """Each rule by support and confidence in the training baskets, coloured by lift."""
    figure = Figure(figsize=(6.4, 4.2))
    axes = figure.add_subplot()
    order = np.argsort(rules["lift"])  # the highest on top
    dots = axes.scatter(
        rules["support"][order], rules["confidence"][order], c=rules["lift"][order], s=16, cmap="viridis_r"
    )
    figure.colorbar(dots, label="lift")
    axes.set(xlabel="support", ylabel="confidence", title=f"{len(order)} rules in the training baskets")
    return figure


def generalisation(rules: dict[str, NDArray], measured: dict[str, NDArray], holds: NDArray) -> Figure:
    """The confidence of each rule in test baskets against that in training baskets."""
    figure = Figure(figsize=(5.6, 4.4))
    axes = figure.add_subplot()
    for state, label, colour in ((holds, "holds", COLOURS[0]), (~holds, "does not hold", COLOURS[1])):
        axes.scatter(rules["confidence"][state], measured["confidence"][state], s=12, alpha=0.7, color=colour,
                     label=f"{label} ({state.sum()})")  # fmt: skip
    ends = [rules["confidence"].min(), rules["confidence"].max()]
    axes.plot(ends, ends, color="#999999", linewidth=1, linestyle=":")
    axes.set(xlabel="confidence in training baskets", ylabel="confidence in test baskets", title="Do the rules hold?")
    axes.legend(frameon=False)
    return figure


def _places(items: list[int]) -> dict[int, tuple[float, float]]:
    """Items on a circle, in the order of their first arrow, at even heights so that their names do not overlap."""
    order = list(dict.fromkeys(items))
    half = -(-len(order) // 2)
    places = {}
    for number, item in enumerate(order):  # down on the right, up on the left
        rank, n = (number, half) if number < half else (number - half, len(order) - half)
        y = 1 - (2 * rank + 1) / n
        x = np.sqrt(1 - y * y)
        places[item] = (float(x), y) if number < half else (-float(x), -y)
    return places


def _named(data: Dataset, items: NDArray) -> NDArray[np.object_]:
    """The names of items, `(n,)`; empty for -1, which is none."""
    return np.array([*data.info["columns"], ""], dtype=object)[items]


def _mean(values: NDArray) -> float:
    """Of those that are defined; NaN where there are none."""
    defined = np.asarray(values, float)
    defined = defined[np.isfinite(defined)]
    return float(defined.mean()) if len(defined) else float("nan")
