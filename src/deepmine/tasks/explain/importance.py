"""How important is each input of a supervised model? Its score falls when that input is shuffled between rows.

An input is what a person can name before any step of the pipeline, so every model can be asked.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.inspection import permutation_importance
from sklearn.metrics import get_scorer
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Part
from deepmine.figures import image_figure

REPEATS, ROWS, FEW = 5, 1000, 50  # shuffles of each input; rows, at most and at least
VALUES = 16_000_000  # that the model is given in all: it gets fewer rows of large inputs
PATCHES, RUNS = 7, 24  # of an image along each side; of steps
SHOWN = 20  # bars


def importance(pipeline: Pipeline, part: Part, info: dict[str, Any], scoring: str) -> pd.DataFrame:
    """How much a score falls when one input comes from other rows; in the order of the inputs.

    scikit-learn's `permutation_importance`, on a matrix that says for each row and input which row it is taken from.
    An input that repeats another one seems less important than it is. Columns of the result: `input` (its name),
    `importance`, `deviation`.
    """
    inputs, score = list(_inputs(part.X, info)), get_scorer(scoring)
    n = max(FEW, min(ROWS, VALUES // (REPEATS * len(inputs) * math.prod(part.X.shape[1:]))))
    part = part.take(np.linspace(0, len(part) - 1, min(len(part), n)).astype(int))
    own = np.repeat(np.arange(len(part))[:, None], len(inputs), axis=1)

    def score_from(_: Any, sources: NDArray[np.int64], y: NDArray) -> float:
        X = part.X
        for number in np.flatnonzero((sources != own).any(axis=0)):
            X = exchanged(X, inputs[number][1], sources[:, number])
        return score(pipeline, X, y)

    found = permutation_importance(pipeline, own, part.y, scoring=score_from, n_repeats=REPEATS, random_state=0)
    columns = {"importance": found.importances_mean, "deviation": found.importances_std}
    return pd.DataFrame({"input": [name for name, _ in inputs], **columns})


def exchanged(X: Any, place: Any, sources: NDArray[np.int64]) -> Any:
    """The rows with the part at `place` from the rows `sources`, where both have it: padding stays where it is."""
    if isinstance(X, pd.DataFrame):
        return X.assign(**{place: X[place].array[sources]})
    new, place = X.copy(), (slice(None), *place)
    new[place] = np.where(np.isnan(X[place]) | np.isnan(X[sources][place]), X[place], X[sources][place])
    return new


def patches(height: int, width: int) -> list[tuple[slice, slice, slice]]:
    """The places of the patches of an image `(channels, height, width)`, row by row, `PATCHES` along each side."""
    rows, columns = (np.array_split(np.arange(side), min(PATCHES, side)) for side in (height, width))
    return [(slice(None), slice(r[0], r[-1] + 1), slice(c[0], c[-1] + 1)) for r in rows for c in columns]


def _inputs(X: Any, info: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name and place of each input."""
    if info["kind"] == "table":
        yield from ((name, name) for name in X)
    elif info["kind"] == "image":
        yield from ((f"patch at pixel {p[1].start},{p[2].start}", p) for p in patches(*X.shape[2:]))
    else:
        names = info["columns"] if X.shape[2] > 1 else []
        yield from ((name, (slice(None), number)) for number, name in enumerate(names))
        for run in np.array_split(np.arange(X.shape[1]), min(RUNS, X.shape[1])):
            name = f"step {run[0]}" if len(run) == 1 else f"steps {run[0]}-{run[-1]}"
            yield name, (slice(run[0], run[-1] + 1),)


def in_words(ranked: pd.DataFrame, scoring: str) -> str:
    """The most important parts, at most three, of those whose importance is above twice its deviation."""
    matter = ranked[ranked["importance"] > 2 * ranked["deviation"]].head(3)
    if matter.empty:
        return f"Shuffling any single input changes test {scoring} no more than chance."
    fall = f"Shuffling the first lowers test {scoring} by {matter['importance'].iloc[0]:.3f}."
    return f"Most important, in this order: {', '.join(matter['input'])}. {fall}"


def figure(found: pd.DataFrame, X: Any, scoring: str) -> Figure:
    """The most important parts as bars; of images, a map of all patches below the mean image."""
    label = f"fall of test {scoring} when shuffled"
    if np.ndim(X) == 4:
        values = np.zeros((1, *X.shape[2:]))
        for place, value in zip(patches(*X.shape[2:]), found["importance"], strict=True):
            values[place] = value
        return image_figure(["mean image"], f"{label}, at most {values.max():.3f}", X.mean(axis=0)[None], values)
    shown = found.nlargest(SHOWN, "importance")
    axes = (figure := Figure(figsize=(6, 1.3 + 0.28 * len(shown)))).add_subplot(title="Importance", xlabel=label)
    axes.barh(shown["input"], shown["importance"], xerr=shown["deviation"], ecolor="#777777")
    axes.invert_yaxis()
    return figure
