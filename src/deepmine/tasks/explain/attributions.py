"""What speaks for the answer of a network to a single row: pixels, steps of a sequence, letters of a text."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from deepmine.data.dataset import Dataset
from deepmine.figures import EXAMPLES, image_figure

STEPS = 32  # of the way from an empty input to the full one


def attributions(pipeline: Pipeline, encoded: NDArray, predicted: NDArray) -> NDArray:
    """What each input of a network adds to its output for a class, or to a predicted number in its unit.

    Integrated gradients, Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017: they sum to
    the difference from the output for an empty input, of black pixels, mean steps or unknown letters. `encoded` is as
    the network takes it, `(n, *input_shape)`, and so is the result; NaN where a sequence is padded.
    """
    import torch
    from captum.attr import IntegratedGradients

    model, inputs = pipeline[-1], torch.from_numpy(np.asarray(encoded, np.float32))
    classes = getattr(model, "classes_", None)
    targets = 0 if classes is None else torch.from_numpy(np.searchsorted(classes, predicted))
    empty = torch.where(inputs.isnan(), inputs, 0.0)  # a sequence keeps its length
    added = IntegratedGradients(model.net_).attribute(inputs, empty, target=targets, n_steps=STEPS).detach().numpy()
    return added * getattr(model, "scale_", 1.0)


def figure(pipeline: Pipeline, data: Dataset, predicted: NDArray) -> Figure:
    """Some test rows, spread over the classes or the numbers, with what their inputs add to the prediction."""
    kind, y = data.info["kind"], data.test.y
    rows = np.argsort(y, kind="stable")[np.linspace(0, len(y) - 1, min(len(y), EXAMPLES)).astype(int)]
    encoded = pipeline[:-1].transform(data.test.X[rows]) if len(pipeline) > 1 else data.test.X[rows]
    added = attributions(pipeline, encoded, predicted[rows])
    form = "{:.4g} as {:.4g}" if y.dtype.kind == "f" else "{} as {}"
    titles = [form.format(y[row], predicted[row]) for row in rows]
    heading = "What raises (blue) or lowers (red) the output, by integrated gradients; actual as predicted"
    if kind == "image":
        return image_figure(titles, heading, data.test.X[rows], added.sum(axis=1))
    if kind == "text":
        titles = [f"{title}\n{text[:20]}" for title, text in zip(titles, data.test.X[rows], strict=True)]
        added = added.sum(axis=2, keepdims=True)  # of a letter, not of its code
    return image_figure(titles, f"{heading}; steps from left to right", maps=added.transpose(0, 2, 1))
