"""What speaks for the answer that a network gives to a single row: pixels, steps of a sequence, letters of a text."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset
from deepmine.figures import show_image

STEPS = 32  # of the way from an empty input to the full one
EXAMPLES = 8  # rows that are explained
LENGTH = 40  # steps that are shown


def explains(pipeline: Pipeline, X: Any) -> bool:
    """Whether the model is a network on arrays that a person can find their way in: images, sequences, texts."""
    return hasattr(pipeline[-1], "net_") and not isinstance(X, pd.DataFrame) and len(pipeline[-1].input_shape_) > 1


def figure(pipeline: Pipeline, data: Dataset, predicted: NDArray) -> Figure:
    """Some test rows, of each class, with what their inputs add to the prediction.

    Args:
        pipeline: a network at its end, see `explains`.
        data: images, sequences or texts.
        predicted: of all test rows, `(n,)`.
    """
    classes = hasattr(pipeline[-1], "classes_")
    rows = _examples(data.test.y, classes)
    X, added = np.asarray(data.test.X[rows]), attributions(pipeline, data.test.X[rows], predicted[rows])
    titles = _titles(data, rows, predicted, classes)
    text = f"what {'speaks for (blue) or against' if classes else 'raises (blue) or lowers'} (red) the prediction"
    says = f"Integrated gradients: {text}"
    if data.info["kind"] == "image":
        return image_figure(X, added, titles, says)
    if data.info["kind"] == "sequence" and X.shape[2] > 1:
        return sequence_figure(added, data.info["columns"], titles, says)
    return line_figure(added.sum(axis=2), _words(pipeline, X), titles, says)


def attributions(pipeline: Pipeline, X: Any, predicted: NDArray) -> NDArray:
    """What each input adds to the output for a class, or to a predicted number in its unit: integrated gradients.

    From an empty input: black pixels, steps that are as the mean step of the training rows, unknown letters. They add
    up to the difference between the outputs of the row and of the empty one. Captum's `IntegratedGradients` with
    `STEPS` steps; Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.

    Args:
        pipeline: a network at its end.
        X: `(n, ...)`, as the pipeline takes them.
        predicted: the class to explain, for each row.

    Returns:
        In the shape that the network takes, `(n, *input_shape)`; NaN where a sequence is padded.
    """
    import torch
    from captum.attr import IntegratedGradients

    model = pipeline[-1]
    inputs = torch.from_numpy(np.asarray(pipeline[:-1].transform(X) if len(pipeline) > 1 else X, np.float32))
    classes = getattr(model, "classes_", None)
    targets = 0 if classes is None else torch.from_numpy(np.searchsorted(classes, predicted))
    empty = torch.where(inputs.isnan(), inputs, 0.0)  # a sequence keeps its length
    added = IntegratedGradients(model.net_).attribute(inputs, empty, target=targets, n_steps=STEPS).detach().numpy()
    return added * getattr(model, "scale_", 1.0)


def image_figure(X: NDArray, added: NDArray, titles: list[str], says: str) -> Figure:
    """Each image above what its pixels add, blue what is above 0 and red what is below.

    Args:
        X: `(n, channels, height, width)`.
        added: in the same shape.
        titles: of the images.
        says: what the colours say.
    """
    figure = Figure(figsize=(1.45 * len(X) + 0.2, 3.6))
    frames = figure.subplots(2, len(X), squeeze=False)
    for (above, below), image, values, title in zip(frames.T, X, added.sum(axis=1), titles, strict=True):
        show_image(above, image)
        above.set_title(title, fontsize=8, loc="center")
        below.axis("off")
        below.imshow(values, **colours(values))
    figure.suptitle(says, x=0.01, ha="left", fontsize=10)
    return figure


def sequence_figure(added: NDArray, features: list[str], titles: list[str], says: str) -> Figure:
    """A map for each sequence: what each feature adds at each step, in the same colours for all.

    Args:
        added: `(n, steps, features)`, NaN behind the end of a sequence.
        features: their names.
        titles: of the sequences.
        says: what the colours say.
    """
    width = -(-len(added) // 2)
    figure = Figure(figsize=(2.7 * width + 1.2, 1.6 + 2 * (0.3 + 0.17 * len(features))))
    frames = figure.subplots(2, width, squeeze=False, sharex=True, sharey=True)
    for axes, values, title in zip(frames.flat, added, titles, strict=False):
        drawn = axes.imshow(values.T, aspect="auto", **colours(added))
        axes.set_title(title, fontsize=8)
        axes.grid(False)
        axes.set_yticks(range(len(features)), features, fontsize=7)
    for axes in frames[-1]:
        axes.set_xlabel("step")
    figure.colorbar(drawn, ax=frames, label="adds to the output")
    figure.suptitle(says, x=0.01, ha="left", fontsize=10)
    return figure


def line_figure(added: NDArray, words: list[list[str]], titles: list[str], says: str) -> Figure:
    """A line for each text or window: its letters or values, on the colour of what they add.

    Args:
        added: `(n, steps)`, NaN behind the end.
        words: what stands at each step of each row.
        titles: of the rows.
        says: what the colours say.
    """
    added, longest = added[:, :LENGTH], min(LENGTH, max(map(len, words)))
    figure = Figure(figsize=(max(7.0, 2.6 + 0.36 * longest), 1.2 + 0.32 * len(added)))
    axes = figure.add_subplot()
    scale = colours(added)
    drawn = axes.imshow(added[:, :longest], aspect="auto", **scale)
    for row, texts in enumerate(words):
        for step, text in enumerate(texts[:longest]):
            dark = abs(added[row, step]) > 0.6 * scale["vmax"]
            axes.text(step, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    axes.set_yticks(range(len(titles)), titles, fontsize=8)
    axes.set_xticks(range(0, longest, 2 if longest > 12 else 1))
    axes.grid(False)
    axes.set_xlabel("step")
    figure.colorbar(drawn, ax=axes, label="adds to the output")
    figure.suptitle(says, x=0.01, ha="left", fontsize=10)
    return figure


def colours(added: NDArray) -> dict[str, Any]:
    """Arguments of `imshow`: blue above 0, red below, white for nothing."""
    limit = max(float(np.nanmax(np.abs(added))), 1e-12)
    return {"cmap": "RdBu", "vmin": -limit, "vmax": limit}


def _examples(y: NDArray, classes: bool) -> NDArray[np.int64]:
    """At most `EXAMPLES` rows by number, evenly spread: as many of each class, or of all where `y` are numbers."""
    groups = [np.flatnonzero(y == name) for name in np.unique(y)] if classes else [np.arange(len(y))]
    each = max(1, EXAMPLES // len(groups))
    spread = [rows[np.linspace(0, len(rows) - 1, min(len(rows), each)).astype(int)] for rows in groups]
    return np.concatenate(spread)[:EXAMPLES]


def _titles(data: Dataset, rows: NDArray, predicted: NDArray, classes: bool) -> list[str]:
    y, guesses = data.test.y[rows], predicted[rows]
    if classes:
        return [str(a) if a == g else f"{a}, taken for {g}" for a, g in zip(y, guesses, strict=True)]
    return [f"{row}: {g:.4g}, actual {a:.4g}" for row, a, g in zip(data.test.rows[rows], y, guesses, strict=True)]


def _words(pipeline: Pipeline, X: NDArray) -> list[list[str]]:
    """What stands at each step: a value, or the letter or word as the network's encoder reads it."""
    if X.ndim == 3:
        return [[f"{value:.3g}" for value in row[:, 0] if not np.isnan(value)] for row in X]
    encoder = next(step for _, step in pipeline.steps if hasattr(step, "vocabulary_"))
    return [[str(unit) for unit in encoder._units(text)[: encoder.steps_]] for text in X]
