"""What happens between epochs: reports, the best weights, and the state with which a training goes on."""

import json
import math
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import move_data_to_device
from torch import Tensor
from tqdm import tqdm

from deepmine.models.checkpoint import Saving

LOG: Any = {"mininterval": 10, "delay": 10, "bar_format": "{n:.1f} of {total} epochs{postfix}\n"}  # not a terminal


class Epochs(pl.Callback):
    """Reports each epoch, keeps the best weights and saves what is needed to go on.

    It runs first, so that weight averaging has the last word, and a call is saved before anything of it has run.
    """

    def __init__(self, on_epoch: Callable[[int, dict[str, float]], None] | None) -> None:
        self.on_epoch, self.best = on_epoch, math.inf
        self.saving: Saving | None = None
        self.loaded: dict[str, Any] = {}
        self.weights: dict[str, Tensor] = {}
        self.history: list[dict[str, float]] = []
        self.val: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        hidden = not trainer.is_global_zero or trainer.progress_bar_callback is not None
        self.bar = tqdm(total=trainer.max_epochs, unit="epoch", disable=hidden, **{} if sys.stderr.isatty() else LOG)
        if self.loaded:
            self._restore(trainer, module)
        if self.saving:
            self.saving.watch(trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        if self.saving:
            self.saving.save_if_due(trainer, batch_idx)

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.bar.n = round(len(self.history) + (batch_idx + 1) / trainer.num_training_batches, 2)
        self.bar.update(0)

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        """Log the validation loss for other callbacks; copy the weights if it is the lowest."""
        self.val = module.means("val")
        if trainer.sanity_checking or not self.val:
            return
        module.log_dict(self.val, sync_dist=True)
        if self.val["val_loss"] < self.best:
            self.best = self.val["val_loss"]
            self.weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        train = module.means("train")
        module.log_dict(train, sync_dist=True)
        others = {k: float(v) for k, v in trainer.callback_metrics.items() if not k.startswith(("train_", "val_"))}
        self.history.append(train | self.val | others)
        self.val = {}
        self.bar.set_postfix(self.history[-1], refresh=False)
        if self.on_epoch is not None and trainer.is_global_zero:
            self.on_epoch(len(self.history), self.history[-1])

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Restore the best weights, unless a callback has changed the network since."""
        self.bar.close()
        if self.saving:
            self.saving.release()
        if self.weights.keys() == module.state_dict().keys():
            module.load_state_dict(self.weights)

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def on_save_checkpoint(self, trainer: pl.Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not save."""
        state = {"best": self.best, "weights": self.weights, "val": self.val, "history": json.dumps(self.history)}
        state |= {"sums": module.sums, "metrics": dict(trainer.callback_metrics), "stop": trainer.should_stop}
        random = {"random": torch.get_rng_state(), "random_cuda": torch.cuda.get_rng_state_all()}
        checkpoint["epochs"] = state | random

    def on_load_checkpoint(self, trainer: pl.Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        self.loaded = checkpoint["epochs"]

    def _restore(self, trainer: Any, module: Any) -> None:
        state = move_data_to_device(self.loaded, module.device)
        self.best, self.weights, self.val = state["best"], state["weights"], state["val"]
        self.history = json.loads(state["history"])
        for number, values in enumerate(self.history, start=1):  # whoever has them already says so
            if self.on_epoch is not None and trainer.is_global_zero:
                self.on_epoch(number, values)
        for callback in trainer.callbacks:  # Lightning leaves this out within an epoch, which weight averaging misses
            callback.on_train_epoch_start(trainer, module)
        module.sums, trainer.should_stop = state["sums"], state["stop"]
        trainer.callback_metrics.update(state["metrics"])
        progress = trainer.fit_loop.epoch_loop.batch_progress.total
        progress.ready = progress.completed  # the call that was saved before it ran
        torch.set_rng_state(self.loaded["random"])
        torch.cuda.set_rng_state_all(self.loaded["random_cuda"])
