"""A training that is interrupted goes on: its state is saved between two calls, to a file without pickle."""

import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import skops.io
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from lightning_fabric.utilities import move_data_to_device
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from deepmine.config import signals
from deepmine.config.errors import UserError
from deepmine.data import folders

EPOCH, MINUTE = 1, 60  # seconds between checkpoints at the start of an epoch, and within one
SHARE = 50  # so many times what saving took is trained in between


class Saving(pl.Callback):
    """Saves a training, and answers a signal after that. It runs first: of the call to come nothing has run yet."""

    def __init__(self, path: Path) -> None:
        self.path, self.last, self.pause = path, time.monotonic(), 0.0
        self.noted = 0  # the first signal
        self.former: dict[int, Any] = {}
        self.loaded: dict[str, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Note signals until Lightning's teardown; with several processes, Lightning ends the others."""
        if self.loaded:
            self._restore(trainer, module)
        for kind in signals.ENDS if trainer.world_size == 1 else ():
            if callable(handler := signal.getsignal(kind)):  # else it is ignored, as under nohup
                self.former[kind] = handler
                signal.signal(kind, self._note)

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx % trainer.accumulate_grad_batches or (batch_idx and trainer.world_size > 1):
            return
        begin = time.monotonic()
        due = bool(self.noted) or begin - self.last > max(MINUTE if batch_idx else EPOCH, self.pause)
        if trainer.strategy.broadcast(due):
            trainer.save_checkpoint(self.path)
            self.last = time.monotonic()
            self.pause = SHARE * (self.last - begin)
        self._answer()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        for kind, handler in self.former.items():
            signal.signal(kind, handler)
        self._answer()

    def on_save_checkpoint(self, trainer: pl.Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not save."""
        state = {"sums": module.sums, "metrics": dict(trainer.callback_metrics), "stop": trainer.should_stop}
        random = {"random": torch.get_rng_state(), "random_cuda": torch.cuda.get_rng_state_all()}
        checkpoint["deepmine"] = state | random

    def on_load_checkpoint(self, trainer: pl.Trainer, module: Any, checkpoint: dict[str, Any]) -> None:
        self.loaded = checkpoint["deepmine"]

    def _restore(self, trainer: Any, module: Any) -> None:
        for callback in trainer.callbacks:  # Lightning leaves this out within an epoch, which weight averaging misses
            callback.on_train_epoch_start(trainer, module)
        state = move_data_to_device(self.loaded, module.device)
        module.sums, trainer.should_stop = state["sums"], state["stop"]
        trainer.callback_metrics.update(state["metrics"])
        progress = trainer.fit_loop.epoch_loop.batch_progress.total
        progress.ready = progress.completed  # the call that was saved before it ran
        torch.set_rng_state(self.loaded["random"])
        torch.cuda.set_rng_state_all(self.loaded["random_cuda"])

    def _note(self, number: int, _: Any) -> None:
        self._answer()  # the second one at once
        self.noted = number

    def _answer(self) -> None:
        if self.noted:
            self.former[self.noted](self.noted, None)


class SkopsIO(TorchCheckpointIO):
    """Our checkpoints, of NumPy arrays; those of other callbacks are Lightning's."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        if Path(path).suffix != ".skops":
            return super().save_checkpoint(checkpoint, path, storage_options)
        with folders.written(Path(path)) as new:
            skops.io.dump(apply_to_collection(checkpoint, Tensor, _array), new)

    def load_checkpoint(self, path: Any, *arguments: Any, **more: Any) -> dict[str, Any]:
        """UserError: the file is damaged, or holds more than numbers and texts. Only `fit` reads, and only ours."""
        try:
            return apply_to_collection(skops.io.load(path, trusted=[]), np.ndarray, torch.from_numpy)
        except Exception as error:  # whatever a damaged file makes zipfile, NumPy or skops raise
            raise UserError(f"{path} is damaged ({error}). Delete it, and the training starts again.") from error


def _array(tensor: Tensor) -> np.ndarray:
    """NumPy has no bfloat16; float32 holds each of its numbers."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().numpy()
