"""Plain networks. Each takes the shape of one row and the number of outputs, both found in the data.

Any `torch.nn.Module` class can be named as `net` in a model's YAML if it takes
`(input_shape, n_outputs, **net_params)` and maps a batch `(n, *input_shape)` to `(n, n_outputs)`.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn


class MLP(nn.Module):
    """Multilayer perceptron: fully connected layers with ReLU and dropout between them."""

    def __init__(
        self, input_shape: Sequence[int], n_outputs: int, hidden: Sequence[int] = (128,), dropout: float = 0.0
    ) -> None:
        super().__init__()
        widths = [prod(input_shape), *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))

    def forward(self, X: Tensor) -> Tensor:
        """`(n, *input_shape)` to `(n, n_outputs)`."""
        return self.layers(X)
