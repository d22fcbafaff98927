"""Readers of raw data: plug-ins, one format each.

A reader is a function `read(folder, **settings) -> Raw`, named as `source._target_` in conf/data/<name>.yaml.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Raw(NamedTuple):
    """All rows of a source, before they are split.

    `X`: array `(n, ...)` or pandas frame of `n` rows. `y`: `(n,)`, or None where there is no target.
    `rows`: `(n,)`, the id of each row, unique.
    """

    X: NDArray | object
    y: NDArray | None
    rows: NDArray[np.str_]
