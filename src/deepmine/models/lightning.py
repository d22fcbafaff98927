"""Neural networks as scikit-learn estimators around a plain `nn.Module`; Lightning trains it, see `training.py`."""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from sklearn.base import BaseEstimator, ClassifierMixin, OutlierMixin, RegressorMixin, TransformerMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn
from torch.nn import functional as F

from deepmine.config import trust


@dataclass(eq=False, repr=False)
class LightningEstimator(TransformerMixin, BaseEstimator):
    """What the estimators around a network share. The sizes of the network come from the data.

    `net_` is the network, on the CPU, with the weights of the lowest validation loss, if there is an `eval_set` and no
    callback sets others. `history_` is one `{"train_loss": ..., "val_loss": ...}` per epoch.
    """

    net: type | str = "deepmine.models.networks.MLP"  # takes `(input_shape, n_outputs, **net_params)`
    net_params: dict[str, Any] | None = None
    optimizer: type | str = "torch.optim.Adam"
    lr: PositiveFloat = 1e-3
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"  # of the learning rate
    weight_decay: NonNegativeFloat = 0.0
    gradient_clip: PositiveFloat | None = None  # largest norm of the gradient
    label_smoothing: NonNegativeFloat = 0.0  # share of each label's weight that is spread over all classes
    augment: Any = None  # a function from batch to batch, see `deepmine.models.augment`
    batch_size: PositiveInt = 32  # rows per optimiser step
    patience: PositiveInt | None = None  # epochs without a lower validation loss before training stops
    random_state: NonNegativeInt | None = None  # seed of weights, shuffling, dropout and augmentation
    steps_per_execution: PositiveInt | Literal["auto"] = "auto"  # optimiser steps per call; changes the speed only
    trainer: dict[str, Any] | None = None  # any arguments of `pytorch_lightning.Trainer`

    def fit(self, X: Any, y: Any = None, eval_set: Any = None, on_epoch: Any = None, checkpoint: Any = None) -> Any:
        """Train on `X`, `(n, *input_shape)`, and `y`, `(n,)`; `eval_set`, `(X, y)`, chooses the epoch that is kept.

        An unfinished training goes on from `checkpoint`, a path that ends in `.skops`.
        """
        from deepmine.models import training  # seconds of imports that a prediction does not need

        X, y = self._check(X, y)
        self.input_shape_ = list(X.shape[1:])
        objective, targets = self._start(y), self._encode(X, y)
        val = None if eval_set is None else (self._check(eval_set[0], reset=False)[0], self._encode(*eval_set))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        optimizer = _class("optimizer", self.optimizer, "torch.optim.optimizer.Optimizer")
        settings = {**self.get_params(deep=False), "optimizer": optimizer, "seed": seed, "checkpoint": checkpoint}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = self._build()
            self.history_ = training.run(net, objective, settings, (X, targets), val, on_epoch)
        self.net_ = net.float().cpu().eval()
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Features of each row, `(n, width)`: the input of the network's `decode`, or else of its last linear layer."""
        check_is_fitted(self)
        seen: list[Tensor] = []
        last: Any = [layer for layer in self.net_.modules() if isinstance(layer, nn.Linear)][-1]
        with getattr(self.net_, "decode", last).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
            self._outputs(X)
        return torch.cat(seen).numpy()

    def _outputs(self, X: Any) -> Tensor:
        check_is_fitted(self)
        X, _ = self._check(X, reset=False)
        if list(X.shape[1:]) != self.input_shape_:
            raise ValueError(f"X has rows of shape {list(X.shape[1:])}, the network was fitted on {self.input_shape_}")
        with torch.inference_mode():
            return torch.cat([self.net_(chunk) for chunk in torch.from_numpy(X).split(2048)])

    def _check(self, X: Any, y: Any = None, reset: bool = True) -> tuple[NDArray, Any]:
        """Float32 arrays of any number of dimensions; a sequence `(n, steps, features)` ends where NaN begins."""
        finite = "allow-nan" if getattr(X, "ndim", 2) == 3 else True
        more: Any = {"reset": reset, "dtype": np.float32, "allow_nd": True, "ensure_all_finite": finite}
        if reset and get_tags(self).target_tags.required:
            return validate_data(self, X, y, y_numeric=isinstance(self, RegressorMixin), **more)
        return validate_data(self, X, **more), None

    def _build(self) -> nn.Module:
        net = _class("net", self.net, "torch.nn.modules.module.Module")
        return net(self.input_shape_, self.n_outputs_, **(self.net_params or {}))

    def __getstate__(self) -> dict[str, Any]:
        """The network as NumPy arrays and no callbacks, so that a model file needs no pickle."""
        state = dict(super().__getstate__())
        if net := state.pop("net_", None):
            state["trainer"] = {k: v for k, v in (self.trainer or {}).items() if k != "callbacks"}
            state["weights_"] = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the network again and fill in its weights; raise `UserError` if the file names a class not trusted."""
        weights = state.pop("weights_", None)
        super().__setstate__(state)
        for place, name in (("net", self.net), ("optimizer", self.optimizer)):
            if isinstance(name, str):
                trust.check_name(name, trust.loading.get(), place)
        if weights is not None:
            self.net_ = self._build().eval()
            self.net_.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})


class LightningClassifier(ClassifierMixin, LightningEstimator):
    """A classifier around a network; `predict_proba` follows the order of `classes_`."""

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        return self._outputs(X).softmax(1).numpy()

    def predict(self, X: Any) -> NDArray:
        probabilities = self.predict_proba(X)  # first, so that it says if the network is not fitted
        return self.classes_[probabilities.argmax(1)]

    def _start(self, y: Any) -> Any:
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        self.n_outputs_ = len(self.classes_)
        return partial(classify, label_smoothing=self.label_smoothing)

    def _encode(self, X: Any, y: Any) -> NDArray[np.int64]:
        return np.searchsorted(self.classes_, np.asarray(y))


class LightningRegressor(RegressorMixin, LightningEstimator):
    """A regressor around a network; it learns the target standardised by `mean_` and `scale_`."""

    def predict(self, X: Any) -> NDArray[np.float64]:
        return self._outputs(X)[:, 0].double().numpy() * self.scale_ + self.mean_

    def _start(self, y: Any) -> Any:
        self.n_outputs_ = 1
        self.mean_, self.scale_ = float(np.mean(y)), float(np.std(y)) or 1.0
        return regress

    def _encode(self, X: Any, y: Any) -> NDArray[np.float32]:
        return ((np.asarray(y, float) - self.mean_) / self.scale_).astype(np.float32)[:, None]


class LightningAutoencoder(OutlierMixin, LightningEstimator):
    """An outlier detector around an autoencoder: the tenth of the training rows below `offset_` is abnormal, -1."""

    def fit(self, X: Any, y: Any = None, eval_set: Any = None, on_epoch: Any = None, checkpoint: Any = None) -> Any:
        super().fit(X, None, eval_set, on_epoch, checkpoint)
        self.offset_ = float(np.quantile(self.score_samples(X), 0.1))
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Minus the mean squared error of each reconstruction, `(n,)`: low for an anomaly."""
        return -np.mean((self._outputs(X).numpy() - self._encode(X)) ** 2, axis=1, dtype=float)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _start(self, y: Any) -> Any:
        self.n_outputs_ = prod(self.input_shape_)
        return regress

    def _encode(self, X: Any, y: Any = None) -> NDArray[np.float32]:
        rows = np.asarray(X, np.float32)  # some that check_estimator gives have no length
        return rows.reshape(len(rows), -1)


def classify(output: Tensor, y: Tensor, label_smoothing: float) -> dict[str, Tensor]:
    """Cross-entropy and accuracy of `(n, classes)` against class numbers `(n,)`."""
    loss = F.cross_entropy(output, y, label_smoothing=label_smoothing)
    return {"loss": loss, "accuracy": (output.argmax(1) == y).float().mean()}


def regress(output: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Mean squared error of `(n, targets)` against `(n, targets)`."""
    return {"loss": F.mse_loss(output, y)}


def _class(place: str, named: type | str, kind: str) -> Any:
    return trust.resolve(named, (), place, {kind}) if isinstance(named, str) else named
