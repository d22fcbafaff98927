"""What does a supervised model depend on? Its score falls when a part of the input is shuffled between rows.

A part is what a person can name in the data set, before any step of the pipeline: a column of a table, a feature or a
step of a sequence, a patch of an image, a letter of a text by its place. So every model can be asked.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.metrics import get_scorer
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Part
from deepmine.tasks.explain import image_figure

REPEATS = 5  # shuffles of each part
ROWS, VALUES, FEW = 1000, 16_000_000, 50  # rows at most; values that the model is given in all; rows at least
PATCHES, RUNS, LETTERS = 7, 24, 6  # of an image along each side; of steps; of a text from its start and its end
SHOWN, CLASSES = 20, 6  # bars in a frame; lines of partial dependence


def importance(pipeline: Pipeline, part: Part, info: dict[str, Any], scoring: str) -> pd.DataFrame:
    """How much a score falls when one part of the input comes from other rows; in the order of the input.

    scikit-learn's `permutation_importance`, on a matrix that says for each row and part which row it is taken from. A
    part that repeats another one seems less important than it is. Breiman, "Random forests", Machine Learning 45, 2001.

    Returns:
        Columns `kind` (column, feature, step, patch, letter), `input` (its name), `importance`, `deviation`.
    """
    inputs, score = list(_inputs(part.X, info)), get_scorer(scoring)
    n = max(FEW, min(ROWS, VALUES // (REPEATS * len(inputs) * math.prod(part.X.shape[1:]))))
    part = part.take(np.linspace(0, len(part) - 1, min(len(part), n)).astype(int))
    own = np.repeat(np.arange(len(part))[:, None], len(inputs), axis=1)

    def score_from(_: Any, sources: NDArray[np.int64], y: NDArray) -> float:
        X = part.X
        for number in np.flatnonzero((sources != own).any(axis=0)):
            X = exchanged(X, inputs[number][2], sources[:, number])
        return score(pipeline, X, y)

    found = permutation_importance(pipeline, own, part.y, scoring=score_from, n_repeats=REPEATS, random_state=0)
    table = pd.DataFrame([names[:2] for names in inputs], columns=["kind", "input"])
    return table.assign(importance=found.importances_mean, deviation=found.importances_std)


def exchanged(X: Any, place: Any, sources: NDArray[np.int64]) -> Any:
    """The rows with the part at `place` from the rows `sources`, where both have it: padding stays where it is."""
    if isinstance(X, pd.DataFrame):
        return X.assign(**{place: X[place].array[sources]})
    if X.dtype.kind == "U":
        texts = [list(text) for text in X]
        for text, other in zip(texts, X[sources], strict=True):
            if all(-len(some) <= place < len(some) for some in (text, other)):
                text[place] = other[place]
        return np.array(["".join(text) for text in texts])
    new, place = X.copy(), (slice(None), *place)
    new[place] = np.where(np.isnan(X[place]) | np.isnan(X[sources][place]), X[place], X[sources][place])
    return new


def patches(height: int, width: int) -> Iterator[tuple[slice, slice, slice]]:
    """The places of the patches of an image `(channels, height, width)`, row by row, `PATCHES` along each side."""
    rows, columns = (-(-length // PATCHES) for length in (height, width))
    for row in range(0, height, rows):
        for column in range(0, width, columns):
            yield slice(None), slice(row, row + rows), slice(column, column + columns)


def _inputs(X: Any, info: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """The parts of an input: kind, name and place."""
    if info["kind"] == "table":
        yield from (("column", name, name) for name in X)
    elif info["kind"] == "image":
        yield from (("patch", f"patch at pixel {p[1].start},{p[2].start}", p) for p in patches(*X.shape[2:]))
    elif info["kind"] == "sequence":
        size, names = -(-X.shape[1] // RUNS), info["columns"] if X.shape[2] > 1 else []
        yield from (("feature", name, (slice(None), number)) for number, name in enumerate(names))
        for first in range(0, X.shape[1], size):
            last = min(first + size, X.shape[1]) - 1
            yield "step", f"step {first}" if size == 1 else f"steps {first}-{last}", (slice(first, last + 1),)
    else:
        yield from (("letter", f"letter {n + 1}", n) for n in range(LETTERS))
        yield from (("letter", f"letter {-n} from the end", n) for n in range(-LETTERS, 0))


def in_words(ranked: pd.DataFrame, scoring: str) -> str:
    """The most important parts, at most three, of those whose importance is above twice its deviation."""
    matter = ranked[ranked["importance"] > 2 * ranked["deviation"]].head(3)
    if matter.empty:
        return (
            f"Shuffling any single {' or '.join(ranked['kind'].unique())} changes test {scoring} no more than chance."
        )
    first, *others = matter["input"]
    also = f" (then {', '.join(others)})" if others else ""
    return f"Most important: {first}{also}. Shuffling it lowers test {scoring} by {matter['importance'].iloc[0]:.3f}."


def figure(found: pd.DataFrame, X: Any, scoring: str) -> Figure:
    """A frame of bars for each kind of part; of images, a map of their patches below the mean image."""
    label = f"fall of test {scoring} when shuffled"
    if found["kind"].iloc[0] == "patch":
        values = np.zeros((1, *X.shape[2:]))
        for place, value in zip(patches(*X.shape[2:]), found["importance"], strict=True):
            values[place] = value
        return image_figure(["mean image"], f"{label}, at most {values.max():.3f}", X.mean(axis=0)[None], values)
    kinds = list(found.groupby("kind", sort=False))
    figure = Figure(figsize=(5.6 * len(kinds), 1.3 + 0.28 * max(min(len(rows), RUNS) for _, rows in kinds)))
    for axes, (kind, rows) in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        shown = rows if kind in ("step", "letter") else rows.nlargest(SHOWN, "importance")
        axes.barh(shown["input"], shown["importance"], xerr=shown["deviation"], ecolor="#777777")
        axes.invert_yaxis()
        axes.set(xlabel=label, title=f"Importance of each {kind}")
    return figure


def partial_dependence(pipeline: Pipeline, X: Any, found: pd.DataFrame) -> Figure | None:
    """The mean prediction, were a column the same in all rows (Friedman 2001): of the two most important numbers."""
    numbers = X.select_dtypes("number") if isinstance(X, pd.DataFrame) else pd.DataFrame()
    varied = [name for name, column in numbers.items() if column.quantile(0.05) < column.quantile(0.95)]
    columns = found[(found["importance"] > 0) & found["input"].isin(varied)].nlargest(2, "importance")["input"].tolist()
    if not columns:
        return None
    classes = getattr(pipeline, "classes_", [None])
    figure = Figure(figsize=(4.6 * len(columns), 3.6))
    frames, known = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0], X.dropna(subset=columns)
    for name in classes[-1:] if len(classes) == 2 else classes[:CLASSES]:
        line = {"target": name, "line_kw": {"label": str(name)}, "grid_resolution": 25, "ax": frames}
        PartialDependenceDisplay.from_estimator(pipeline, known, columns, **line)
    return figure
