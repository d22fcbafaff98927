"""What speaks for the answer of a network to a single row: pixels, steps of a sequence, letters of a text."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset
from deepmine.tasks.explain import EXAMPLES, diverging, image_figure

STEPS = 32  # of the way from an empty input to the full one
LENGTH = 40  # steps that are shown


def applies(pipeline: Pipeline, X: Any) -> bool:
    """Whether the model is a network on images, sequences or texts."""
    return hasattr(pipeline[-1], "net_") and not isinstance(X, pd.DataFrame) and len(pipeline[-1].input_shape_) > 1


def attributions(pipeline: Pipeline, X: Any, predicted: NDArray) -> NDArray:
    """What each input adds to the output for a class, or to a predicted number in its unit: integrated gradients.

    The baseline is an empty input: black pixels, the mean step of the training rows, unknown letters. The sum is the
    difference between the outputs of the row and of the baseline. Captum's `IntegratedGradients`; Sundararajan, Taly and
    Yan, "Axiomatic attribution for deep networks", ICML 2017.

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


def figure(pipeline: Pipeline, data: Dataset, predicted: NDArray) -> Figure:
    """Some test rows, of as many classes as possible, with what their inputs add to the prediction."""
    kind, rows = data.info["kind"], _examples(data.test.y, hasattr(pipeline[-1], "classes_"))
    X, added = data.test.X[rows], attributions(pipeline, data.test.X[rows], predicted[rows])
    titles = [f"{_short(data.test.y[row])} as {_short(predicted[row])}" for row in rows]
    heading = "Inputs that raise (blue) or lower (red) the output, by integrated gradients; actual as predicted"
    if kind == "image":
        return image_figure(titles, heading, X, added.sum(axis=1))
    encoded, names = (pipeline[:-1].transform(X), [""]) if kind == "text" else (X, data.info["columns"])
    maps = added.sum(axis=2, keepdims=True) if kind == "text" else added  # of a letter, not of its code
    picture = Figure(figsize=(11, (len(rows) + 1) // 2 * (0.7 + 0.13 * len(names)) + 0.5))
    frames = picture.subplots((len(rows) + 1) // 2, 2, squeeze=False).flat
    for axes, steps, values, title in zip(frames, encoded, maps, titles, strict=False):
        shown = values[~np.isnan(values[:, 0])][:LENGTH]
        axes.imshow(shown.T, aspect="auto", **diverging(maps))
        axes.grid(False)
        axes.set_title(title, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=6)
        if kind == "text":
            units = next(step.vocabulary_ for step in pipeline if hasattr(step, "vocabulary_"))
            letters = [units[step.argmax()] if step.any() else "?" for step in steps[: len(shown)]]
            axes.set_xticks(range(len(shown)), letters)
    picture.suptitle(heading, x=0.01, ha="left", fontsize=10)
    return picture


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _examples(y: NDArray, classes: bool) -> NDArray[np.int64]:
    """At most `EXAMPLES` rows by number, evenly spread: as many of each class, or of all where `y` are numbers."""
    groups = [np.flatnonzero(y == name) for name in np.unique(y)] if classes else [np.arange(len(y))]
    each = max(1, EXAMPLES // len(groups))
    spread = [rows[np.linspace(0, len(rows) - 1, min(len(rows), each)).astype(int)] for rows in groups]
    return np.concatenate(spread)[:EXAMPLES]
