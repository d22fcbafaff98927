"""Which rows are unlike the others, and in what?

The model gives each row a score (`score_samples`, turned round: higher is stranger) and flags some (`predict` is -1).
A model that needs no labels has none to be measured by: the scores here say how much it flags, not how rightly.

Why is a row strange? Of the data: a number by its robust z-score against the training rows, a text by how rare it is
(`reasons`). Of the model, whatever stands before it: what the score falls by when one column, or one patch of an image,
is made typical (`falls`).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset, Part
from deepmine.tasks import Knowledge, readable
from deepmine.tasks.explain import attributions, importance

SCORES = {"share_flagged": None, "mean_score": None, "highest_score": None}
COLUMNS = ("share_flagged", "mean_score", "highest_score")
FLAGGED = -1  # scikit-learn's label of an outlier
IMAGES = 8  # that are drawn, the strangest first
SHOWN = 20  # rows in the table, the strangest first
IN_WORDS = 5  # flagged rows that get a sentence
STRANGE = 3.5  # robust z-scores from here on are reasons (Iglewicz and Hoaglin 1993)
RARE = 0.05  # texts that fewer training rows have are reasons
REASONS = 3  # of a row


def predict(pipeline: Pipeline, part: Part) -> dict[str, Any]:
    """-1 for an anomaly, 1 for the rest (`predicted`); how strange each row is (`strangeness`); where flags begin."""
    strangeness = _strangeness(pipeline, part.X)
    return {
        "y": part.y,
        "predicted": pipeline.predict(part.X),
        "strangeness": strangeness,
        "threshold": -pipeline[-1].offset_,
        "columns": {"score": strangeness},
    }


def baseline(data: Dataset, outcomes: dict[str, dict[str, Any]], seed: int) -> None:
    """None: without labels, to flag at random is neither better nor worse."""


def score(predicted: NDArray, strangeness: NDArray, **_: Any) -> dict[str, float]:
    """How much is flagged, and how strange the rows are.

    Args:
        predicted: -1 for an anomaly, 1 for the rest, `(n,)`.
        strangeness: `(n,)`, higher is stranger.
    """
    return {
        "share_flagged": np.mean(predicted == FLAGGED),
        "mean_score": strangeness.mean(),
        "highest_score": strangeness.max(),
    }


def figures(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """The scores of training and test rows, and the strangest images."""
    yield "scores", histogram(outcomes["train"]["strangeness"], **outcomes["test"])
    if data.info["kind"] == "image":
        yield "strangest", strangest(pipeline, data, outcomes["test"]["strangeness"])


def knowledge(pipeline: Pipeline, data: Dataset, outcomes: dict[str, dict[str, Any]]) -> Knowledge:
    """The strangest test rows, each with its reasons."""
    test, train = outcomes["test"], outcomes["train"]
    flagged = test["predicted"] == FLAGGED
    order = np.argsort(-test["strangeness"], kind="stable")[:SHOWN]
    table = pd.DataFrame({"score": test["strangeness"], "flagged": flagged.astype(str)}).iloc[order]
    table = table.reset_index(drop=True)
    findings = [
        f"{flagged.sum()} of {len(flagged)} test rows are flagged ({flagged.mean():.1%}; of the training rows "
        f"{np.mean(train['predicted'] == FLAGGED):.1%})."
    ]
    if isinstance(data.train.X, pd.DataFrame):
        rows = data.test.X.iloc[order]
        fall = falls(pipeline, data.train.X, rows)
        table["reasons"], table["counts_most"] = reasons(data.train.X, rows), fall.idxmax(axis=1).to_numpy()
        table["score_without"] = table["score"] - fall.max(axis=1).to_numpy()
        first = table.assign(name=data.test.rows[order])[flagged[order]].head(IN_WORDS)
        findings += [
            f"Row {row.name} (score {row.score:.3f}): {row.reasons}. "
            + (
                f"With a typical {row.counts_most} its score would be {row.score_without:.3f}."
                if row.score_without < row.score
                else "To make one column typical does not lower its score."
            )
            for row in first.itertuples()
        ]
        findings.append(
            "The reasons: a number's distance from the median of the training rows, in robust standard deviations "
            f"(z; from {STRANGE} on it is strange by itself); a text that less than {RARE:.0%} of them have. Typical: "
            "their median, or their most frequent text."
        )
    return Knowledge({"anomalies": pd.concat([readable(data.test, order), table], axis=1)}, findings)


def falls(pipeline: Pipeline, train: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """What the score of each row falls by when one column is made typical: the median, or the most frequent text.

    It asks the whole pipeline, so it holds for a model on components or on a code as well.

    Returns:
        One line for each row, one column for each column.
    """
    numbers: dict[Any, Any] = train.select_dtypes("number").median().to_dict()
    typical = {name: numbers[name] if name in numbers else next(iter(train[name].mode()), None) for name in train}
    score = _strangeness(pipeline, rows)
    changed = {name: score - _strangeness(pipeline, rows.assign(**{str(name): typical[name]})) for name in rows}
    return pd.DataFrame(changed, rows.index)


def strangest(pipeline: Pipeline, data: Dataset, strangeness: NDArray) -> Figure:
    """The strangest test images, above what their score falls by when a patch is that of the mean training image."""
    order = np.argsort(-strangeness, kind="stable")[:IMAGES]
    X, typical = data.test.X[order], data.train.X.mean(axis=0).astype(data.train.X.dtype)
    added = np.zeros((len(X), 1, *X.shape[2:]))
    for place in importance.patches(*X.shape[2:]):
        changed = X.copy()
        changed[(slice(None), *place)] = typical[place]
        fall = strangeness[order] - _strangeness(pipeline, changed)
        added[(slice(None), *place)] = fall[:, None, None, None]
    titles = [f"row {data.test.rows[n]}\nscore {strangeness[n]:.3f}" for n in order]
    says = "The strangest test images. Blue: a patch that makes it stranger than that of the mean image would"
    return attributions.image_figure(X, added, titles, says)


def reasons(train: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Why each of some rows is strange: its columns with the largest robust z-score and its rare texts, in words.

    Where no column is strange by itself, the largest z-score is given and said to be ordinary: then it is the
    combination that is rare.
    """
    z = robust_z(train, rows)
    texts = rows.columns.difference(z.columns)
    shares = {name: rows[name].map(train[name].value_counts(normalize=True)).fillna(0) for name in texts}
    return [
        _words(rows.iloc[n], z.iloc[n], {name: share.iloc[n] for name, share in shares.items()})
        for n in range(len(rows))
    ]


def robust_z(train: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Each number's distance from the median of the training rows, in robust standard deviations.

    `0.6745 (x - median) / MAD`; where more than half of the values are the same, so that the MAD is 0, the mean
    absolute deviation takes its place, `(x - median) / (1.2533 MeanAD)`: Iglewicz and Hoaglin, "How to Detect and
    Handle Outliers" (1993). A missing value, and a column that is constant in `train`, has none (NaN).
    """
    numbers = train.select_dtypes("number")
    median = numbers.median()
    distances = (numbers - median).abs()
    scale = distances.median() / 0.6745
    scale = scale.where(scale > 0, distances.mean() * 1.2533)
    return (rows[numbers.columns] - median) / scale.where(scale > 0)


def histogram(train: NDArray, strangeness: NDArray, threshold: float, **_: Any) -> Figure:
    """How strange training and test rows are, and where flags begin."""
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.add_subplot()
    bins: Any = np.histogram_bin_edges(np.concatenate([train, strangeness]), bins=30)
    for name, values in (("training rows", train), ("test rows", strangeness)):
        axes.hist(
            values, bins, weights=np.full(len(values), 1 / len(values)), alpha=0.6, label=f"{name} ({len(values)})"
        )
    axes.axvline(threshold, color="black", linewidth=1, linestyle=":", label=f"flagged above {threshold:.3f}")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set(xlabel="score", ylabel="share of the rows", title="How strange the rows are")
    axes.legend(frameon=False)
    return figure


def _strangeness(pipeline: Pipeline, X: Any) -> NDArray[np.float64]:
    return -pipeline[-1].score_samples(pipeline[:-1].transform(X))


def _words(row: pd.Series, z: pd.Series, shares: dict[str, float]) -> str:
    """The reasons of one row."""
    largest = z.dropna().abs().sort_values(ascending=False)
    strange = [f"{name} {row[name]:.4g} (z {z[name]:+.1f})" for name in largest.index[largest >= STRANGE]]
    rare = [f"{name} {row[name]} (in {share:.1%} of the rows)" for name, share in shares.items() if share < RARE]
    if strange or rare:
        return ", ".join((strange + rare)[:REASONS])
    most = ", ".join(f"{name} {row[name]:.4g} (z {z[name]:+.1f})" for name in largest.index[:REASONS])
    return f"no column alone is strange; farthest out: {most}" if most else "no column alone is strange"
