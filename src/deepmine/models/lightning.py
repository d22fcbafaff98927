"""Neural networks as scikit-learn estimators: a plain `nn.Module` outside, Lightning inside `fit`.

`Training` is the LightningModule; `LightningClassifier` is what a model's YAML names.
"""

import inspect
import logging
import pkgutil
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pytorch_lightning.callbacks import Callback, EarlyStopping
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # its banners; what matters is in the record
warnings.filterwarnings("ignore", "`isinstance.treespec", module="pytorch_lightning")
warnings.filterwarnings("ignore", "You defined a `validation_step` but", module="pytorch_lightning")

ROWS_PER_CALL = 2048  # rows handed to Lightning at once: its cost per call is paid once for many small batches


class Training(pl.LightningModule):
    """How a network learns: one optimiser step per batch, many batches per `training_step`.

    Lightning costs about 0.3 ms a call and a `self.log` as much again, more than a small network's own step.
    So a call gets a chunk of batches, and what is measured is summed on the device and read once an epoch.
    """

    def __init__(self, net: nn.Module, batch_size: int, optimizer: Any, **options: float) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net, self.batch_size, self.optimizer, self.options = net, batch_size, optimizer, options
        self.history: list[dict[str, float]] = []
        self.on_epoch: Callable[[int, dict[str, float]], None] | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser, in its fused form where it has one."""
        fused = {"fused": True} if "fused" in inspect.signature(self.optimizer).parameters else {}
        return self.optimizer(self.net.parameters(), **self.options, **fused)

    def training_step(self, chunk: list[Tensor], _: int) -> None:
        """Learn from `(rows, *input_shape)` and `(rows,)`, batch by batch."""
        optimizer: Any = self.optimizers()
        for X, y in zip(*(tensor.split(self.batch_size) for tensor in chunk), strict=True):
            output = self.net(X)
            loss = F.cross_entropy(output, y)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.sums += self._measure(output, y, loss)

    def validation_step(self, chunk: list[Tensor], _: int) -> None:
        """Measure without learning."""
        X, y = chunk
        output = self.net(X)
        self.val_sums += self._measure(output, y, F.cross_entropy(output, y))

    def on_train_start(self) -> None:
        """One line of progress, in a terminal alone (`disable=None`), from the first process alone."""
        first = self.trainer.is_global_zero
        self.bar = tqdm(total=self.trainer.max_epochs, unit="epoch", disable=None if first else True)

    def on_train_end(self) -> None:
        """Leave the line as it is."""
        self.bar.close()

    def on_train_epoch_start(self) -> None:
        """Begin to count."""
        self.sums = torch.zeros(3, device=self.device)

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        self.val_sums = torch.zeros(3, device=self.device)

    def on_validation_epoch_end(self) -> None:
        """Give the callbacks what they watch."""
        self.log_dict(self._means("val", self.val_sums), sync_dist=True)

    def on_train_epoch_end(self) -> None:
        """Report the epoch's curves: loss and accuracy of `train`, and of `val` where there is one."""
        values = self._means("train", self.sums)
        if self.trainer.val_dataloaders is not None:
            values |= self._means("val", self.val_sums)
        self.history.append(values)
        self.bar.set_postfix(values, refresh=False)
        self.bar.update()
        if self.on_epoch is not None and self.trainer.is_global_zero:
            self.on_epoch(len(self.history), values)

    @staticmethod
    def _measure(output: Tensor, y: Tensor, loss: Tensor) -> Tensor:
        """Sum of losses, number right, number of rows."""
        output, n = output.detach(), len(y)
        return torch.stack([loss.detach() * n, (output.argmax(1) == y).sum(), torch.tensor(n, device=y.device)])

    def _means(self, part: str, sums: Tensor) -> dict[str, float]:
        loss, right, n = torch.as_tensor(self.all_gather(sums)).reshape(-1, 3).sum(0).tolist()
        return {f"{part}_loss": loss / n, f"{part}_accuracy": right / n}


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest validation loss, and puts them back at the end."""

    best = float("inf")
    weights: dict[str, Tensor] | None = None

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Copy the weights if they are the best so far."""
        loss = float(trainer.callback_metrics["val_loss"])
        if loss < self.best:
            self.best, self.weights = loss, {k: v.clone() for k, v in module.state_dict().items()}

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Put them back."""
        if self.weights is not None:
            module.load_state_dict(self.weights)


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


class LightningClassifier(ClassifierMixin, BaseEstimator):
    """A classifier around a network.

    Args:
        net: an `nn.Module` class, or its dotted name, that takes `(input_shape, n_outputs, **net_params)`.
        net_params: arguments of the network; sizes and classes are not among them, the data give them.
        optimizer: a `torch.optim.Optimizer` class, or its dotted name.
        lr: learning rate.
        weight_decay: of the optimiser.
        batch_size: rows per optimiser step.
        patience: epochs without a lower validation loss after which it stops; None: never.
        random_state: seed of the weights, the shuffling and dropout.
        trainer: arguments of `pytorch_lightning.Trainer`.

    Attributes:
        classes_: `(n_outputs_,)`.
        input_shape_: of one row.
        net_: the fitted network, on the CPU; with an `eval_set`, as it was at the lowest validation loss.
        history_: one dict per epoch, `{"train_loss": ..., "val_accuracy": ...}`; empty where Lightning's strategy
            trains in other processes (`on_epoch` hears them all the same).
    """

    def __init__(
        self,
        net: type | str = "deepmine.models.networks.MLP",
        net_params: dict[str, Any] | None = None,
        optimizer: type | str = "torch.optim.Adam",
        lr: PositiveFloat = 1e-3,
        weight_decay: NonNegativeFloat = 0.0,
        batch_size: PositiveInt = 32,
        patience: PositiveInt | None = None,
        random_state: NonNegativeInt | None = None,
        trainer: dict[str, Any] | None = None,
    ) -> None:
        self.net = net
        self.net_params = net_params
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
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
    ) -> "LightningClassifier":
        """Train the network.

        Args:
            X: `(n, *input_shape)`, numbers.
            y: `(n,)`, class labels.
            eval_set: validation rows; they choose the epoch whose weights are kept.
            on_epoch: called with the number of each epoch, from 1, and its curves.
        """
        X, y = validate_data(self, X, y, dtype=np.float32, allow_nd=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.input_shape_, self.n_outputs_ = list(X.shape[1:]), len(self.classes_)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        val = None
        if eval_set is not None:
            X_val = validate_data(self, eval_set[0], dtype=np.float32, allow_nd=True, reset=False)
            val = Chunks(X_val, np.searchsorted(self.classes_, np.asarray(eval_set[1])), self.batch_size)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            optimizer = _class(self.optimizer, torch.optim.Optimizer)
            options = {"lr": self.lr, "weight_decay": self.weight_decay}
            module = Training(self._build(), self.batch_size, optimizer, **options)
            module.on_epoch = on_epoch
            self._train(module, Chunks(X, codes, self.batch_size, seed), val)
        self.net_, self.history_ = module.net.float().cpu().eval(), module.history
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Probability of each class, `(n, n_outputs_)`, in the order of `classes_`."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, allow_nd=True, reset=False)
        if list(X.shape[1:]) != self.input_shape_:
            raise ValueError(f"X has rows of shape {list(X.shape[1:])}, the network was fitted on {self.input_shape_}")
        with torch.inference_mode():
            chunks = torch.from_numpy(X).split(ROWS_PER_CALL)
            return torch.cat([self.net_(chunk).softmax(1) for chunk in chunks]).numpy()

    def predict(self, X: Any) -> NDArray:
        """The most probable class of each row, `(n,)`."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def _build(self) -> nn.Module:
        return _class(self.net, nn.Module)(self.input_shape_, self.n_outputs_, **(self.net_params or {}))

    def _train(self, module: Training, train: Chunks, val: Chunks | None) -> None:
        callbacks: list[Callback] = [] if val is None else [BestWeights()]
        if val is not None and self.patience is not None:
            callbacks.append(EarlyStopping("val_loss", patience=self.patience))
        quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        settings = {**dict.fromkeys(quiet, False), "num_sanity_val_steps": 0, **(self.trainer or {})}
        trainer = pl.Trainer(**settings, callbacks=callbacks)
        try:
            trainer.fit(module, train, val)
        except SystemExit as end:
            if isinstance(end.__context__, KeyboardInterrupt):  # Lightning makes Ctrl-C an exit
                signal.signal(signal.SIGINT, signal.default_int_handler)
                raise KeyboardInterrupt from None
            raise

    def __getstate__(self) -> dict[str, Any]:
        """The network as NumPy arrays, so that a model file needs no pickle."""
        state = dict(super().__getstate__())
        if net := state.pop("net_", None):
            state["weights_"] = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the network again and fill in its weights."""
        weights = state.pop("weights_", None)
        super().__setstate__(state)
        if weights is not None:
            self.net_ = self._build().eval()
            self.net_.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})


def _class(named: type | str, kind: type) -> Any:
    """A class, given itself or by its dotted name, if it is of a kind."""
    found = pkgutil.resolve_name(named) if isinstance(named, str) else named
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise TypeError(f"{named!r} is no class of {kind.__module__}.{kind.__name__}")
    return found
