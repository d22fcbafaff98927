"""Other views of the same batch, made while a network trains; random numbers are torch's, seeded by the estimator."""

import torch
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn import functional as F


class ShiftRotate:
    """Images moved and turned at random, each its own way.

    Args:
        shift: largest move to each side, in pixels.
        angle: largest turn to each side, in degrees.
    """

    def __init__(self, shift: NonNegativeFloat = 2.0, angle: NonNegativeFloat = 10.0) -> None:
        self.shift = shift
        self.angle = angle

    def __call__(self, X: Tensor) -> Tensor:
        """`(n, channels, height, width)` to the same shape; what comes in from outside is 0."""
        n, (height, width) = len(X), X.shape[-2:]
        turn = torch.deg2rad((torch.rand(n, device=X.device) * 2 - 1) * self.angle)
        move = (
            (torch.rand(n, 2, device=X.device) * 2 - 1)
            * self.shift
            * 2
            / torch.tensor([width, height], device=X.device)
        )
        cos, sin = turn.cos(), turn.sin()
        affine = torch.stack([cos, -sin, move[:, 0], sin, cos, move[:, 1]], 1).reshape(n, 2, 3)
        grid = F.affine_grid(affine, list(X.shape), align_corners=False)
        return F.grid_sample(X, grid, align_corners=False)


class Jitter:
    """Normal noise on every value of a sequence or table; padding (NaN) stays.

    Args:
        std: standard deviation, in the unit of the values.
    """

    def __init__(self, std: NonNegativeFloat = 0.05) -> None:
        self.std = std

    def __call__(self, X: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return X + self.std * torch.randn_like(X)
