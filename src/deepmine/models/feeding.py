"""How rows reach a network."""

from collections.abc import Iterator

import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS_PER_CALL = 2048  # rows handed to Lightning at once: its cost per call is paid once for many small batches


class Chunks:
    """Rows in chunks of whole batches, shuffled anew each epoch; of several processes, each gets its share."""

    def __init__(self, X: NDArray, y: NDArray, batch_size: int, seed: int | None = None) -> None:
        self.X, self.y = X, y
        self.rows = max(1, ROWS_PER_CALL // batch_size) * batch_size
        self.seed, self.epoch = seed, 0

    def __iter__(self) -> Iterator[list[Tensor]]:
        n = len(self.X)
        order = torch.arange(n)
        if self.seed is not None:  # a generator of its own each epoch: torch cannot hand one to another process
            order = torch.randperm(n, generator=torch.Generator().manual_seed(self.seed + self.epoch))
            self.epoch += 1
        if torch.distributed.is_initialized():
            processes = torch.distributed.get_world_size()
            order = order[: n - n % processes][torch.distributed.get_rank() :: processes]
        X, y = torch.from_numpy(self.X), torch.from_numpy(self.y)
        for index in order.split(self.rows):
            yield [X[index], y[index]]
