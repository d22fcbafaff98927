"""Which rows are unlike the others, and in what?

The model gives each row a score (`score_samples` with its sign changed: higher is more anomalous) and flags some
(`predict` is -1). Without labels nothing can be measured but how much it flags. The reasons for a row are the columns
of a table that lower its score if they are made typical; that asks the whole pipeline, so it holds behind PCA too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.figures import EXAMPLES, image_figure
from deepmine.tasks import Predicted, Report, Task, readable

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


def measure(some: Judged) -> dict[str, float]:
    """How much is flagged, and how anomalous the rows are."""
    share = np.mean(some.predicted == FLAGGED)
    return {"share_flagged": share, "mean_score": some.score.mean(), "highest_score": some.score.max()}


def report(pipeline: Pipeline, data: Dataset, parts: dict[str, Judged], scores: dict[str, float]) -> Report:
    """The most anomalous test rows, each with its reasons."""
    test, shares = parts["test"], {name: np.mean(part.predicted == FLAGGED) for name, part in parts.items()}
    order = np.argsort(-test.score, kind="stable")[:SHOWN]
    flagged = np.where(test.predicted == FLAGGED, "yes", "no")
    table = readable(data.test, order, pd.DataFrame({"score": test.score, "flagged": flagged}))
    findings = [
        f"{shares['test']:.1%} of the test rows are flagged, and {shares['train']:.1%} of the training rows.",
        f"Most anomalous test row: {data.test.rows[order[0]]}, score {test.score[order[0]]:.3f}, flagged above "
        f"{test.threshold:.3f}.",
    ]
    if isinstance(data.train.X, pd.DataFrame):
        table["reasons"] = reasons(pipeline, data.train.X, data.test.X.iloc[order])
        findings.append(f"Its score falls most if one of these is made typical: {table['reasons'][0]}.")
    return Report({"anomalies": table}, findings, _figures(data, parts))


def reasons(pipeline: Pipeline, train: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """The columns of each row whose typical value lowers its score most: value and typical value, most first.

    Typical is the median of the training rows, or the most frequent text.
    """
    typical = {str(name): x.median() if x.dtype.kind == "f" else x.mode()[0] for name, x in train.items()}
    score, found = scores_of(pipeline, rows), []
    falls = pd.DataFrame({name: score - scores_of(pipeline, rows.assign(**{name: typical[name]})) for name in typical})
    for (_, fall), row in zip(falls.iterrows(), rows.round(2).to_dict("records"), strict=True):
        columns = fall[fall > 0].nlargest(REASONS).index
        found.append(", ".join(f"{c} {row[c]} (typical {typical[c]})" for c in columns))
    return [text or "none alone; the combination is unusual" for text in found]


def scores_of(pipeline: Pipeline, X: object) -> NDArray[np.float64]:
    """How anomalous each row is, `(n,)`."""
    return -pipeline[-1].score_samples(pipeline[:-1].transform(X))


def _figures(data: Dataset, parts: dict[str, Judged]) -> Iterator[tuple[str, Figure]]:
    """The scores of training and test rows; of images the most anomalous."""
    train, test = parts["train"].score, parts["test"].score
    figure = Figure(figsize=(6.4, 3.6))
    style: Any = {"bins": 30, "density": True, "histtype": "stepfilled", "alpha": 0.6}
    axes = figure.add_subplot(xlabel="score", ylabel="density", title="How anomalous the rows are")
    axes.hist([train, test], label=["training rows", "test rows"], **style)
    axes.axvline(parts["test"].threshold, color="black", linewidth=1, linestyle=":", label="flagged above")
    axes.legend(frameon=False)
    yield "scores", figure
    if data.info["kind"] == "image":
        order = np.argsort(-test, kind="stable")[:EXAMPLES]
        titles = [f"row {data.test.rows[n]}\nscore {test[n]:.3f}" for n in order]
        yield "anomalies", image_figure(titles, "The most anomalous test rows", data.test.X[order])


SCORES = dict.fromkeys(("share_flagged", "mean_score", "highest_score"))
TASK = Task(SCORES, predict, measure, report, first_models=("isolation_forest",))
