"""Plain networks. Each takes the shape of one row and the number of outputs, both found in the data.

Any `torch.nn.Module` class can be named as `net` in a model's YAML if it takes
`(input_shape, n_outputs, **net_params)` and maps a batch `(n, *input_shape)` to `(n, n_outputs)`.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any, Literal

from torch import Tensor, nn

NORMS: dict[str | None, Any] = {
    None: lambda width: [],
    "batch": lambda width: [nn.BatchNorm1d(width)],
    "layer": lambda width: [nn.LayerNorm(width)],
}


class MLP(nn.Module):
    """Multilayer perceptron: fully connected layers, with normalisation, ReLU and dropout after each but the last."""

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        hidden: Sequence[int] = (128,),
        dropout: float = 0.0,
        norm: Literal["batch", "layer"] | None = None,
    ) -> None:
        super().__init__()
        widths = [prod(input_shape), *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), *NORMS[norm](n_out), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))

    def forward(self, X: Tensor) -> Tensor:
        """`(n, *input_shape)` to `(n, n_outputs)`; what a sequence is padded with counts as 0."""
        return self.layers(X.nan_to_num() if X.ndim == 3 else X)


class CNN(nn.Module):
    """Convolutional network: blocks of convolution, ReLU and pooling, then fully connected layers."""

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        channels: Sequence[int] = (32, 64),
        kernel_size: int = 3,
        pool: int = 2,
        hidden: Sequence[int] = (128,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        n_channels, *size = input_shape
        blocks: list[nn.Module] = []
        for n_in, n_out in pairwise([n_channels, *channels]):
            blocks += [
                nn.Conv2d(n_in, n_out, kernel_size, padding="same"),
                nn.ReLU(),
                nn.MaxPool2d(pool, ceil_mode=True),
            ]
            size = [-(-length // pool) for length in size]
        self.blocks = nn.Sequential(*blocks)
        self.head = MLP((n_channels if not channels else channels[-1], *size), n_outputs, hidden, dropout)

    def forward(self, X: Tensor) -> Tensor:
        """`(n, channels, height, width)` to `(n, n_outputs)`."""
        return self.head(self.blocks(X))


class RNN(nn.Module):
    """Recurrent network: a plain, LSTM or GRU cell over the steps, then a linear layer on its last states.

    A sequence ends where NaN begins: what is padded changes nothing. An image is read row by row.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        cell: Literal["rnn", "lstm", "gru"] = "gru",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        n_features = input_shape[-1] * (input_shape[0] if len(input_shape) == 3 else 1)
        kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        between = dropout if num_layers > 1 else 0.0  # torch warns where there is no layer between
        self.cell = kind(
            n_features, hidden_size, num_layers, batch_first=True, bidirectional=bidirectional, dropout=between
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size * (2 if bidirectional else 1), n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        """`(n, steps, features)` or `(n, channels, height, width)` to `(n, n_outputs)`."""
        if X.ndim == 4:
            X = X.transpose(1, 2).flatten(2)  # (n, height, channels * width)
        lengths = (~X[..., 0].isnan()).sum(1).clamp(min=1)
        packed: Any = X
        if int(lengths.min()) < X.shape[1]:
            packed = nn.utils.rnn.pack_padded_sequence(
                X.nan_to_num(), lengths.cpu(), batch_first=True, enforce_sorted=False
            )
        states = self.cell(packed)[1]  # of the last real step: (layers * directions, n, hidden_size)
        last = states[0] if isinstance(states, tuple) else states
        directions = 2 if self.cell.bidirectional else 1
        return self.head(self.dropout(last[-directions:].transpose(0, 1).flatten(1)))


class Autoencoder(nn.Module):
    """Values squeezed through a narrow code and drawn again from it."""

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        hidden: Sequence[int] = (64,),
        code: int = 8,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = MLP(input_shape, code, hidden, dropout)
        self.decoder = MLP((code,), n_outputs, list(reversed(hidden)), dropout)

    def encode(self, X: Tensor) -> Tensor:
        """`(n, *input_shape)` to its code `(n, code)`."""
        return self.encoder(X)

    def forward(self, X: Tensor) -> Tensor:
        """`(n, *input_shape)` to `(n, n_outputs)`, the same values again, flat."""
        return self.decoder(self.encode(X))
