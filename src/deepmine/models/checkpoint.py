"""The state of a training that goes on: when it is saved, to a file without pickle, and what waits for that."""

import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import skops.io
import torch
from lightning_fabric.plugins import CheckpointIO
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from deepmine.config.errors import UserError
from deepmine.data import folders

EPOCH, MINUTE = 1, 60  # seconds between checkpoints at the start of an epoch, and within one
SHARE = 50  # so many times what saving took is trained in between
WAIT = 3  # seconds from a signal to the end, where a call or a validation takes longer


class Saving:
    """Saves a training between two calls. A signal is answered after that; a second one, or WAIT, at once."""

    def __init__(self, path: Path) -> None:
        self.path, self.last, self.pause = path, time.monotonic(), 0.0
        self.noted = 0  # the first signal
        self.former: dict[int, Any] = {}

    def watch(self, trainer: pl.Trainer) -> None:
        """Note signals, instead of ending at once; with several processes, Lightning ends the others."""
        trains = threading.current_thread() is threading.main_thread() and trainer.world_size == 1
        kinds = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM) if trains else ()
        self.former = {kind: signal.getsignal(kind) for kind in kinds}
        for kind, handler in self.former.items():
            if callable(handler) or kind == signal.SIGALRM:  # else it is ignored, as under nohup
                signal.signal(kind, self._note)

    def release(self) -> None:
        """Hand signals back, at the end of a training; one that waits is answered."""
        for kind, handler in self.former.items():
            signal.signal(kind, handler)
        if self.noted:
            self._end()

    def save_if_due(self, trainer: pl.Trainer, call: int) -> None:
        """Before a call of an epoch, from 0; not between those whose gradients are added up."""
        if call % trainer.accumulate_grad_batches or (call and trainer.world_size > 1):
            return
        begin = time.monotonic()
        due = bool(self.noted) or begin - self.last > max(MINUTE if call else EPOCH, self.pause)
        if trainer.strategy.broadcast(due) if trainer.world_size > 1 else due:
            trainer.save_checkpoint(self.path)
            self.last = time.monotonic()
            self.pause = SHARE * (self.last - begin)
        if self.noted:
            self._end()

    def _note(self, number: int, _: Any) -> None:
        if self.noted:
            self._end()
        self.noted = number
        signal.setitimer(signal.ITIMER_REAL, WAIT)

    def _end(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.former[self.noted](self.noted, None)


class SkopsIO(CheckpointIO):
    """Reads and writes our checkpoints, as NumPy arrays; those of other callbacks are left to `other`."""

    def __init__(self, other: CheckpointIO) -> None:
        self.other = other

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        if path.suffix != ".skops":
            return self.other.save_checkpoint(checkpoint, path, storage_options)
        with folders.written(path) as new:
            new.write_bytes(skops.io.dumps(apply_to_collection(checkpoint, Tensor, _array)))

    def load_checkpoint(self, path: Any, *arguments: Any, **more: Any) -> dict[str, Any]:
        """UserError: the file is damaged, or holds more than numbers and texts."""
        if Path(path).suffix != ".skops":
            return self.other.load_checkpoint(path, *arguments, **more)
        try:
            return apply_to_collection(skops.io.load(path, trusted=[]), np.ndarray, torch.from_numpy)
        except Exception as error:  # whatever a damaged file makes zipfile, NumPy or skops raise
            raise UserError(f"{path} is damaged ({error}). Delete it, and the training starts again.") from error

    def remove_checkpoint(self, path: Any) -> None:
        self.other.remove_checkpoint(path)


def _array(tensor: Tensor) -> np.ndarray:
    """NumPy has no bfloat16; float32 holds each of its numbers."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().numpy()
