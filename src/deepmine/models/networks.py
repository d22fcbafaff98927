"""Plain networks. Any `torch.nn.Module` can be the `net` of a model's YAML if it takes
`(input_shape, n_outputs, **net_params)`, sizes read from the data, and maps `(n, *input_shape)` to `(n, n_outputs)`.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Sizes = Sequence[int]
Norm = Literal["batch", "layer"] | None


class MLP(nn.Module):
    """Multilayer perceptron: fully connected layers; all but the last with normalisation, ReLU and dropout."""

    def __init__(
        self, input_shape: Sizes, n_outputs: int, hidden: Sizes = (128,), dropout: float = 0.0, norm: Norm = None
    ) -> None:
        super().__init__()
        widths, norms = [prod(input_shape), *hidden], {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in pairwise(widths):
            normalize = [norms[norm](n_out)] if norm else []
            layers += [nn.Linear(n_in, n_out), *normalize, nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))

    def forward(self, X: Tensor) -> Tensor:
        return self.layers(X.nan_to_num() if X.ndim == 3 else X)  # the padding of a sequence counts as 0


class CNN(nn.Module):
    """Convolutional network for images: blocks of convolution, ReLU and max pooling, then an MLP."""

    def __init__(
        self,
        input_shape: Sizes,
        n_outputs: int,
        channels: Sizes = (32, 64),
        kernel_size: int = 3,
        pool: int = 2,
        hidden: Sizes = (128,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths, size = [input_shape[0], *channels], input_shape[1:]
        blocks: list[nn.Module] = []
        for n_in, n_out in pairwise(widths):
            convolution = nn.Conv2d(n_in, n_out, kernel_size, padding="same")
            blocks += [convolution, nn.ReLU(), nn.MaxPool2d(pool, ceil_mode=True)]
            size = [-(-length // pool) for length in size]
        self.blocks = nn.Sequential(*blocks)
        self.head = MLP((widths[-1], *size), n_outputs, hidden, dropout)

    def forward(self, X: Tensor) -> Tensor:
        return self.head(self.blocks(X))


class RNN(nn.Module):
    """Recurrent network: layers of plain, LSTM or GRU cells, then a linear layer on the state after the last step.

    A sequence ends where NaN begins; padding changes no output. An image is read row by row. With a `stride`, a
    convolution makes one step of so many. Packed sequences are not used: on a CPU, torch's backward pass through them
    takes time quadratic in the number of steps.
    """

    def __init__(
        self,
        input_shape: Sizes,
        n_outputs: int,
        cell: Literal["rnn", "lstm", "gru"] = "gru",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.stride, self.n_steps = stride, -(-input_shape[-2] // stride)
        n_features = input_shape[-1] * (input_shape[0] if len(input_shape) == 3 else 1)
        kind, directions = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell], 1 + bidirectional
        self.front = nn.Conv1d(n_features, hidden_size, stride, stride) if stride > 1 else None
        widths = [hidden_size if self.front else n_features] + [hidden_size * directions] * num_layers
        self.layers: Any = nn.ModuleList()
        for width in widths[:-1]:
            self.layers.append(nn.ModuleList(kind(width, hidden_size, batch_first=True) for _ in range(directions)))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1], n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        if X.ndim == 4:
            X = X.transpose(1, 2).flatten(2)  # (n, height, channels * width)
        last = (~X[..., :1].isnan()).sum(1, keepdim=True).clamp(min=1) - 1  # (n, 1, 1): index of the last real step
        X = X[:, : int(last.max()) + 1].nan_to_num()
        if self.front is not None:
            X = self.front(F.pad(X.transpose(1, 2), (0, -X.shape[1] % self.stride))).relu().transpose(1, 2)
            last = last // self.stride
        steps = torch.arange(X.shape[1], device=X.device)[:, None]
        turned = torch.where(steps <= last, last - steps, steps)  # (n, steps, 1): padding stays where it is
        outputs: list[Tensor] = []
        for layer in self.layers:
            X = self.dropout(torch.cat(outputs, 2)) if outputs else X
            outputs = [layer[0](X)[0]]
            outputs += [cell(X.take_along_dim(turned, 1))[0].take_along_dim(turned, 1) for cell in layer[1:]]
        ends = [outputs[0].take_along_dim(last, 1), *(backward[:, :1] for backward in outputs[1:])]
        return self.head(self.dropout(torch.cat(ends, 2)[:, 0]))


class Autoencoder(nn.Module):
    """Compresses a row to a short code and reconstructs the row, flat, from it."""

    def __init__(
        self, input_shape: Sizes, n_outputs: int, hidden: Sizes = (64,), code: int = 8, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.encode = MLP(input_shape, code, hidden, dropout)  # (n, *input_shape) to (n, code)
        self.decode = MLP((code,), n_outputs, list(reversed(hidden)), dropout)

    def forward(self, X: Tensor) -> Tensor:
        return self.decode(self.encode(X))
