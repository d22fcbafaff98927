"""An autoencoder, as scikit-learn's outlier detectors are: what it cannot draw again is anomalous."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import OutlierMixin
from torch import Tensor

from deepmine.models.lightning import LightningEstimator

CONTAMINATION = 0.1  # share of the training rows that count as anomalous


class LightningAutoencoder(OutlierMixin, LightningEstimator):
    """Learns to draw its rows again; arguments and attributes as in `LightningEstimator`, without a target.

    `offset_` is the score below which a tenth of the training rows lies. With `deepmine.models.networks.Autoencoder`
    as `net`, `transform` gives the code of each row.
    """

    def fit(
        self,
        X: Any,
        y: None = None,
        eval_set: tuple[Any, Any] | None = None,
        on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    ) -> "LightningAutoencoder":
        """Train the network to give X for X; as `LightningEstimator.fit`, but `y` is not looked at."""
        watched = None if eval_set is None else (eval_set[0], eval_set[0])
        super().fit(X, X, watched, on_epoch)
        self.offset_ = float(np.quantile(self.score_samples(X), CONTAMINATION))
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Minus the mean squared error of each row drawn again, `(n,)`: the lower, the more anomalous."""
        drawn = self._outputs(X).numpy()
        given = self._encode(self._check(X, reset=False))
        return -np.mean((drawn - given) ** 2, axis=1, dtype=float)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """`score_samples` above `offset_`: below 0 is anomalous."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for an anomaly, 1 for the others."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The code of each row, `(n, code)`."""
        if not hasattr(self.net_, "encode"):
            return super().transform(X)
        with torch.inference_mode():
            encode: Any = self.net_.encode
            return encode(torch.from_numpy(self._check(X, reset=False))).numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    def _start(self, X: Any, y: Any) -> tuple[NDArray, NDArray, Callable[..., dict[str, Tensor]]]:
        X = self._check(X)
        self.n_outputs_ = prod(X.shape[1:])
        from deepmine.models.training import regress

        return X, self._encode(X), regress

    def _encode(self, y: Any) -> NDArray[np.float32]:
        return np.asarray(y, np.float32).reshape(len(y), -1)
