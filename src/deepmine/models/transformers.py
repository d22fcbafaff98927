"""Stateless steps before a model: from the arrays of a data set to what the model takes."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin


class Stateless(TransformerMixin, BaseEstimator):
    """A step with nothing to learn."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "Stateless":
        """Nothing to do."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True


class Flatten(Stateless):
    """Each row to one line of numbers: `(n, ...)` to `(n, features)`."""

    def transform(self, X: ArrayLike) -> NDArray:
        """Reshape, without a copy where NumPy can."""
        X = np.asarray(X)
        return X.reshape(len(X), -1)


class PixelScaler(Stateless):
    """Grey or colour values 0 to 255 to float32 between 0 and 1, in the same shape."""

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Divide by 255."""
        return np.asarray(X, np.float32) / np.float32(255)
