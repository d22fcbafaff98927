"""What happens at the end of an epoch: a report, and the best weights are kept."""

import json
import math
import sys
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from tqdm import tqdm

LOG: Any = {"mininterval": 10, "delay": 10, "bar_format": "{n:.1f} of {total} epochs{postfix}\n"}  # not a terminal


class Epochs(pl.Callback):
    """Reports each epoch and keeps the best weights; it runs early, so that weight averaging has the last word."""

    def __init__(self, on_epoch: Callable[[int, dict[str, float]], None] | None) -> None:
        self.on_epoch, self.best = on_epoch, math.inf
        self.weights: dict[str, Tensor] = {}
        self.history: list[dict[str, float]] = []
        self.val: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        hidden = not trainer.is_global_zero or trainer.progress_bar_callback is not None
        self.bar = tqdm(total=trainer.max_epochs, unit="epoch", disable=hidden, **{} if sys.stderr.isatty() else LOG)
        for number in range(len(self.history)):  # of a training that goes on; whoever has them already says so
            self._report(trainer, number + 1)

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
        self._report(trainer, len(self.history))

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Restore the best weights, unless a callback has changed the network since."""
        self.bar.close()
        if self.weights.keys() == module.state_dict().keys():
            module.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "weights": self.weights, "val": self.val, "history": json.dumps(self.history)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state, history=json.loads(state["history"]))

    def _report(self, trainer: pl.Trainer, number: int) -> None:
        if self.on_epoch is not None and trainer.is_global_zero:
            self.on_epoch(number, self.history[number - 1])
