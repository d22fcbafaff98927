"""Neural networks as scikit-learn estimators: a plain `nn.Module` outside, Lightning inside `fit`.

`LightningClassifier` and `LightningRegressor` are what a model's YAML names. How a network learns, the LightningModule,
stands in `training.py`.
"""

import pkgutil
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from deepmine.config import trust
from deepmine.models.feeding import ROWS_PER_CALL, Chunks


class LightningEstimator(TransformerMixin, BaseEstimator):
    """What a classifier and a regressor around a network share.

    Args:
        net: an `nn.Module` class, or its dotted name, that takes `(input_shape, n_outputs, **net_params)`.
        net_params: arguments of the network; sizes and classes are not among them, the data give them.
        optimizer: a `torch.optim.Optimizer` class, or its dotted name.
        lr: learning rate.
        schedule: of the learning rate: constant, cosine or one_cycle.
        weight_decay: of the optimiser.
        gradient_clip: largest norm of the gradient; None: as it is.
        label_smoothing: share of each label's weight that is spread over all classes (classification).
        augment: a function of a batch `(n, *input_shape)` that gives another one, see `deepmine.models.augment`.
        batch_size: rows per optimiser step.
        patience: epochs without a lower validation loss after which it stops; None: never.
        random_state: seed of the weights, the shuffling, dropout and augmentation.
        trainer: arguments of `pytorch_lightning.Trainer`.

    Attributes:
        input_shape_: of one row.
        net_: the fitted network, on the CPU; with an `eval_set`, as it was at the lowest validation loss.
        history_: one dict per epoch, `{"train_loss": ..., "val_loss": ...}`; empty where Lightning's strategy trains
            in other processes (`on_epoch` hears them all the same).
    """

    def __init__(
        self,
        net: type | str = "deepmine.models.networks.MLP",
        net_params: dict[str, Any] | None = None,
        optimizer: type | str = "torch.optim.Adam",
        lr: PositiveFloat = 1e-3,
        schedule: Literal["constant", "cosine", "one_cycle"] = "constant",
        weight_decay: NonNegativeFloat = 0.0,
        gradient_clip: PositiveFloat | None = None,
        label_smoothing: NonNegativeFloat = 0.0,
        augment: Any = None,
        batch_size: PositiveInt = 32,
        patience: PositiveInt | None = None,
        random_state: NonNegativeInt | None = None,
        trainer: dict[str, Any] | None = None,
    ) -> None:
        self.net = net
        self.net_params = net_params
        self.optimizer = optimizer
        self.lr = lr
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.label_smoothing = label_smoothing
        self.augment = augment
        self.batch_size = batch_size
        self.patience = patience
        self.random_state = random_state
        self.trainer = trainer

    def fit(
        self,
        X: Any,
        y: Any,
        eval_set: tuple[Any, Any] | None = None,
        on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    ) -> "LightningEstimator":
        """Train the network.

        Args:
            X: `(n, *input_shape)`, numbers; a sequence `(n, steps, features)` ends where NaN begins.
            y: `(n,)`, class labels or numbers.
            eval_set: validation rows; they choose the epoch whose weights are kept.
            on_epoch: called with the number of each epoch, from 1, and its curves.
        """
        from deepmine.models import training  # Lightning takes seconds to import: who only predicts is spared

        X, targets, objective = self._start(X, y)
        self.input_shape_ = list(X.shape[1:])
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        train = Chunks(X, targets, self.batch_size, seed)
        val = None
        if eval_set is not None:
            val = Chunks(self._check(eval_set[0], reset=False), self._encode(eval_set[1]), self.batch_size)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = training.Training(self._build(), objective, self._settings(len(X)))
            module.on_epoch = on_epoch
            training.run(module, train, val, self.patience, self.trainer or {})
        self.net_, self.history_ = module.net.float().cpu().eval(), module.history
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.target_tags.required = True
        return tags

    def transform(self, X: Any) -> NDArray[np.float32]:
        """What the network's last linear layer gets: its features of each row, `(n, width)`."""
        last = [layer for layer in self.net_.modules() if isinstance(layer, nn.Linear)][-1]
        seen: list[Tensor] = []
        hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            self._outputs(X)
        finally:
            hook.remove()
        return torch.cat(seen).numpy()

    def _outputs(self, X: Any) -> Tensor:
        """What the network says of each row, `(n, n_outputs)`."""
        check_is_fitted(self)
        X = self._check(X, reset=False)
        if list(X.shape[1:]) != self.input_shape_:
            raise ValueError(f"X has rows of shape {list(X.shape[1:])}, the network was fitted on {self.input_shape_}")
        with torch.inference_mode():
            return torch.cat([self.net_(chunk) for chunk in torch.from_numpy(X).split(ROWS_PER_CALL)])

    def _check(self, X: Any, y: Any = None, reset: bool = True) -> Any:
        """Float32 arrays of any number of dimensions; a sequence may hold NaN, as padding."""
        finite = "allow-nan" if getattr(X, "ndim", 2) == 3 else True
        learns_target = reset and get_tags(self).target_tags.required
        target = {"y": y, "y_numeric": isinstance(self, RegressorMixin)} if learns_target else {}
        options: dict[str, Any] = {"dtype": np.float32, "allow_nd": True, "ensure_all_finite": finite, **target}
        return validate_data(self, X, reset=reset, **options)

    def _settings(self, rows: int) -> dict[str, Any]:
        return {
            "optimizer": _class(self.optimizer, torch.optim.Optimizer),
            "options": {"lr": self.lr, "weight_decay": self.weight_decay},
            "schedule": self.schedule,
            "steps": -(-rows // self.batch_size),
            "gradient_clip": self.gradient_clip,
            "augment": self.augment,
            "batch_size": self.batch_size,
        }

    def _build(self) -> nn.Module:
        return _class(self.net, nn.Module)(self.input_shape_, self.n_outputs_, **(self.net_params or {}))

    def __getstate__(self) -> dict[str, Any]:
        """The network as NumPy arrays, so that a model file needs no pickle."""
        state = dict(super().__getstate__())
        if net := state.pop("net_", None):
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
    """A classifier around a network; arguments and attributes as in `LightningEstimator`, and `classes_`."""

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Probability of each class, `(n, n_outputs_)`, in the order of `classes_`."""
        return self._outputs(X).softmax(1).numpy()

    def predict(self, X: Any) -> NDArray:
        """The most probable class of each row, `(n,)`."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def _start(self, X: Any, y: Any) -> tuple[NDArray, NDArray, Callable[..., dict[str, Tensor]]]:
        from deepmine.models import training

        X, y = self._check(X, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        self.n_outputs_ = len(self.classes_)
        return X, self._encode(y), partial(training.classify, label_smoothing=self.label_smoothing)

    def _encode(self, y: Any) -> NDArray[np.int64]:
        return np.searchsorted(self.classes_, np.asarray(y))


class LightningRegressor(RegressorMixin, LightningEstimator):
    """A regressor around a network; arguments and attributes as in `LightningEstimator`.

    The network learns the standardised target; `mean_` and `scale_` bring its answer back to the target's unit.
    """

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The predicted number of each row, `(n,)`, in the unit of the target."""
        return self._outputs(X)[:, 0].double().numpy() * self.scale_ + self.mean_

    def _start(self, X: Any, y: Any) -> tuple[NDArray, NDArray, Callable[..., dict[str, Tensor]]]:
        from deepmine.models import training

        X, y = self._check(X, y)
        self.n_outputs_ = 1
        self.mean_, self.scale_ = float(np.mean(y)), float(np.std(y)) or 1.0
        return X, self._encode(y), training.regress

    def _encode(self, y: Any) -> NDArray[np.float32]:
        return ((np.asarray(y, float) - self.mean_) / self.scale_).astype(np.float32)[:, None]


def _class(named: type | str, kind: type) -> Any:
    """A class, given itself or by its dotted name, if it is of a kind."""
    found = pkgutil.resolve_name(named) if isinstance(named, str) else named
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise TypeError(f"{named!r} is no class of {kind.__module__}.{kind.__name__}")
    return found
