"""Augmentation of a batch while a network trains. The random numbers are torch's, which the estimator seeds."""

from dataclasses import dataclass

import torch
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn import functional as F


@dataclass
class ShiftRotate:
    """Shift each image of a batch by up to `shift` pixels and rotate it by up to `angle` degrees, at random."""

    shift: NonNegativeFloat = 2.0
    angle: NonNegativeFloat = 10.0

    def __call__(self, X: Tensor) -> Tensor:
        """`(n, channels, height, width)` to the same shape; pixels from outside the image are 0."""
        n, size = len(X), torch.tensor([X.shape[-1], X.shape[-2]], device=X.device)
        turn = torch.deg2rad((torch.rand(n, device=X.device) * 2 - 1) * self.angle)
        move = (torch.rand(n, 2, device=X.device) * 2 - 1) * self.shift * 2 / size
        cos, sin = turn.cos(), turn.sin()
        affine = torch.stack([cos, -sin, move[:, 0], sin, cos, move[:, 1]], 1).reshape(n, 2, 3)
        grid = F.affine_grid(affine, list(X.shape), align_corners=False)
        return F.grid_sample(X, grid, align_corners=False)


@dataclass
class Jitter:
    """Add normal noise, of standard deviation `std` in the unit of the values; padding (NaN) stays."""

    std: NonNegativeFloat = 0.05

    def __call__(self, X: Tensor) -> Tensor:
        return X + self.std * torch.randn_like(X)
