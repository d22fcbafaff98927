"""Principal components of rows that do not fit into memory."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import IncrementalPCA
from sklearn.utils import gen_batches


class StreamingPCA(IncrementalPCA):
    """scikit-learn's `IncrementalPCA`, which reads a memory-mapped array batch by batch.

    scikit-learn's own `fit` and `transform` first make a float64 copy of all rows: of images eight times the array.
    The components are the same to the bit. Parameters and attributes as there.

    Source: Ross, Lim, Lin, Yang, Incremental learning for robust visual tracking, IJCV 77, 2008.
    """

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "StreamingPCA":
        """Learn from `(n, features)`, dense."""
        first, *others = self._batches(X)
        super().fit(first)
        for batch in others:
            self.partial_fit(batch)
        # as from a file, or the last bit differs
        self.components_: NDArray = np.ascontiguousarray(self.components_)
        return self

    def transform(self, X: ArrayLike) -> NDArray:
        """The components of each row, `(n, n_components_)`."""
        return np.concatenate([super(StreamingPCA, self).transform(batch) for batch in self._batches(X)])

    def _batches(self, X: ArrayLike) -> list[NDArray]:
        """Views of the rows, not copies, cut as scikit-learn cuts them."""
        X = np.asanyarray(X)
        size = self.batch_size or 5 * X.shape[-1]
        return [X[rows] for rows in gen_batches(len(X), size, min_batch_size=self.n_components or 0)]
