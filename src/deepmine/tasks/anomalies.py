"""Which rows are unlike the others, and in what?

The model gives each row a score (`score_samples` with its sign changed: higher is more anomalous) and flags some
(`predict` is -1). Without labels nothing can be measured but how much it flags, not whether it is right.

Why is a row anomalous? Because its score falls when one column, or one patch of an image, is made typical. That asks the
whole pipeline, so it holds behind PCA or an autoencoder too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.tasks import Predicted, Report, Task, readable
from deepmine.tasks.explain import EXAMPLES, image_figure
from deepmine.tasks.explain.importance import patches

FLAGGED = -1  # scikit-learn's label of an outlier
SHOWN = 20  # rows in the table, the most anomalous first
REASONS = 3  # for a row, at most


@dataclass(frozen=True, eq=False)
class Judged(Predicted):
    """-1 for an anomaly, 1 for the rest, `(n,)`; its `score`, `(n,)`, and the score above which rows are flagged."""

    score: NDArray
    threshold: float


def predict(pipeline: Pipeline, part: Part) -> Judged:
    """Whether each row is an anomaly, and how anomalous it is."""
    score = scores_of(pipeline, part.X)
    return Judged(part.y, pipeline.predict(part.X), score, -pipeline[-1].offset_, columns={"score": score})


def baseline(data: Dataset, parts: dict[str, Judged], seed: int) -> None:
    """None: without labels, flagging at random is neither better nor worse."""


def measure(some: Judged) -> dict[str, float]:
    """How much is flagged, and how anomalous the rows are."""
    share = np.mean(some.predicted == FLAGGED)
    return {"share_flagged": share, "mean_score": some.score.mean(), "highest_score": some.score.max()}


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Judged]) -> Report:
    """The most anomalous test rows, each with its reasons."""
    test, shares = parts["test"], {name: np.mean(part.predicted == FLAGGED) for name, part in parts.items()}
    order = np.argsort(-test.score, kind="stable")[:SHOWN]
    flagged = np.where(test.predicted == FLAGGED, "yes", "no")
    table = pd.DataFrame({"score": test.score[order], "flagged": flagged[order]})
    findings = [
        f"{shares['test']:.1%} of the test rows are flagged, and {shares['train']:.1%} of the training rows.",
        f"Most anomalous test row: {data.test.rows[order[0]]}, score {test.score[order[0]]:.3f}; rows are flagged above "
        f"{test.threshold:.3f}.",
    ]
    if isinstance(data.train.X, pd.DataFrame):
        table["reasons"] = reasons(pipeline, data.train.X, data.test.X.iloc[order])
        findings.append(f"Its score falls most if one of these is made typical: {table['reasons'][0]}.")
    table = pd.concat([readable(data.test, order), table], axis=1)
    return Report({"anomalies": table}, findings, _figures(pipeline, data, parts))


def reasons(pipeline: Pipeline, train: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """The columns of each row whose typical value lowers its score most: value and typical value, most first.

    Typical is the median of the training rows, or the most frequent text.
    """
    typical = {name: train[name].median() if train[name].dtype.kind == "f" else train[name].mode()[0] for name in train}
    score = scores_of(pipeline, rows)
    falls = {name: score - scores_of(pipeline, rows.assign(**{str(name): value})) for name, value in typical.items()}
    table, found = pd.DataFrame(falls, rows.index), []
    for (_, fall), (_, row) in zip(table.iterrows(), rows.iterrows(), strict=True):
        columns = fall[fall > 0].nlargest(REASONS).index
        found.append(", ".join(f"{c} {_shown(row[c])} (typical {_shown(typical[c])})" for c in columns))
    return [text or "none alone; the combination is unusual" for text in found]


def scores_of(pipeline: Pipeline, X: object) -> NDArray[np.float64]:
    """How anomalous each row is, `(n,)`."""
    return -pipeline[-1].score_samples(pipeline[:-1].transform(X))


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _figures(pipeline: Pipeline, data: Dataset, parts: dict[str, Judged]) -> Iterator[tuple[str, Figure]]:
    """The scores of training and test rows; of images the most anomalous, with the patches that make them so."""
    train, test = parts["train"].score, parts["test"].score
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.add_subplot()
    both = [train, test]
    labels = [f"training rows ({len(train)})", f"test rows ({len(test)})"]
    axes.hist(
        both,
        bins=30,
        weights=[np.full(len(x), 1 / len(x)) for x in both],
        histtype="stepfilled",
        alpha=0.6,
        label=labels,
    )
    axes.axvline(parts["test"].threshold, color="black", linewidth=1, linestyle=":", label="flagged above")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set(xlabel="score", ylabel="share of the rows", title="How anomalous the rows are")
    axes.legend(frameon=False)
    yield "scores", figure
    if data.info["kind"] == "image":
        order = np.argsort(-test, kind="stable")[:EXAMPLES]
        X, typical = data.test.X[order], data.train.X.mean(axis=0).astype(data.train.X.dtype)
        falls = np.zeros((len(X), *X.shape[2:]))
        for place in patches(*X.shape[2:]):
            changed = X.copy()
            changed[(slice(None), *place)] = typical[place]
            falls[(slice(None), *place[1:])] = (test[order] - scores_of(pipeline, changed))[:, None, None]
        titles = [f"row {data.test.rows[n]}\nscore {test[n]:.3f}" for n in order]
        heading = "The most anomalous test rows; blue: patches that raise the score, compared with the mean image"
        yield "anomalies", image_figure(titles, heading, X, falls)


SCORES = dict.fromkeys(("share_flagged", "mean_score", "highest_score"))
TASK = Task(SCORES, predict, measure, baseline, report)
