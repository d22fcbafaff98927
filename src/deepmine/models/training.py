"""How a network learns: the LightningModule, what it minimises, and the schedules of its learning rate."""

import inspect
import logging
import signal
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from deepmine.models.feeding import Chunks

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # its banners; what matters is in the record
warnings.filterwarnings("ignore", "`isinstance.treespec", module="pytorch_lightning")
warnings.filterwarnings("ignore", "You defined a `validation_step` but", module="pytorch_lightning")


class Training(pl.LightningModule):
    """How a network learns: one optimiser step per batch, many batches per `training_step`.

    Lightning costs about 0.3 ms a call and a `self.log` as much again, more than a small network's own step.
    So a call gets a chunk of batches, and what is measured is summed on the device and read once an epoch.
    """

    def __init__(self, net: nn.Module, objective: Callable[..., dict[str, Tensor]], settings: dict[str, Any]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net, self.objective, self.settings = net, objective, settings
        self.history: list[dict[str, float]] = []
        self.on_epoch: Callable[[int, dict[str, float]], None] | None = None

    def configure_optimizers(self) -> Any:
        """The optimiser, in its fused form where it has one, and the schedule of its learning rate."""
        kind, options = self.settings["optimizer"], self.settings["options"]
        fused = {"fused": True} if "fused" in inspect.signature(kind).parameters else {}
        optimizer = kind(self.net.parameters(), **options, **fused)
        if self.settings["schedule"] == "constant":
            return optimizer
        factor = partial(SCHEDULES[self.settings["schedule"]], self.share)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return [optimizer], [schedule]

    def share(self, step: int) -> float:
        """How much of the training is done, 0 to 1, after so many optimiser steps."""
        return min(1.0, step / max(1, (self.trainer.max_epochs or 1) * self.settings["steps"]))

    def training_step(self, chunk: list[Tensor], _: int) -> None:
        """Learn from `(rows, *input_shape)` and `(rows, ...)`, batch by batch."""
        optimizer: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        augment, clip = self.settings["augment"], self.settings["gradient_clip"]
        for X, y in zip(*(tensor.split(self.settings["batch_size"]) for tensor in chunk), strict=True):
            measured = self.objective(self.net(augment(X) if augment else X), y)
            optimizer.zero_grad()
            self.manual_backward(measured["loss"])
            if clip is not None:
                nn.utils.clip_grad_norm_(self.net.parameters(), clip)
            optimizer.step()
            if schedule is not None:
                schedule.step()
            self._count("train", measured, len(y))

    def validation_step(self, chunk: list[Tensor], _: int) -> None:
        """Measure without learning."""
        X, y = chunk
        self._count("val", self.objective(self.net(X), y), len(y))

    def on_train_start(self) -> None:
        """One line of progress, in a terminal alone (`disable=None`), from the first process alone."""
        first = self.trainer.is_global_zero
        self.bar = tqdm(total=self.trainer.max_epochs, unit="epoch", disable=None if first else True)

    def on_train_end(self) -> None:
        """Leave the line as it is."""
        self.bar.close()

    def on_train_epoch_start(self) -> None:
        """Begin to count."""
        self.counted: dict[str, Any] = {}

    def on_validation_epoch_end(self) -> None:
        """Give the callbacks what they watch."""
        self.log_dict(self._means("val"), sync_dist=True)

    def on_train_epoch_end(self) -> None:
        """Report the epoch's curves: what the objective measures, of `train`, and of `val` where there is one."""
        values = self._means("train") | self._means("val")
        self.history.append(values)
        self.bar.set_postfix(values, refresh=False)
        self.bar.update()
        if self.on_epoch is not None and self.trainer.is_global_zero:
            self.on_epoch(len(self.history), values)

    def _count(self, part: str, measured: dict[str, Tensor], n: int) -> None:
        """Add what was measured on `n` rows; the sums stay on the device until the epoch ends."""
        sums = torch.stack([value.detach() for value in measured.values()]) * n
        names, before, rows = self.counted.get(part, (list(measured), 0.0, 0))
        self.counted[part] = (names, before + sums, rows + n)

    def _means(self, part: str) -> dict[str, float]:
        if part not in self.counted:
            return {}
        names, sums, rows = self.counted[part]
        sums = torch.cat([sums, torch.tensor([rows], dtype=sums.dtype, device=sums.device)])
        *sums, rows = torch.as_tensor(self.all_gather(sums)).reshape(-1, len(names) + 1).sum(0).tolist()
        return {f"{part}_{name}": value / rows for name, value in zip(names, sums, strict=True)}


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


def run(module: Training, train: Chunks, val: Chunks | None, patience: int | None, trainer: Mapping[str, Any]) -> None:
    """Train a network, in place; with validation rows, the weights of the best epoch are kept.

    Args:
        module: the network and how it learns.
        train: the training rows.
        val: the validation rows, if any.
        patience: epochs without a better validation loss after which it ends; None: never.
        trainer: arguments of Lightning's `Trainer`.
    """
    callbacks: list[Callback] = [] if val is None else [BestWeights()]
    if val is not None and patience is not None:
        callbacks.append(EarlyStopping("val_loss", patience=patience))
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    settings = {**dict.fromkeys(quiet, False), "num_sanity_val_steps": 0, **trainer}
    try:
        pl.Trainer(**settings, callbacks=callbacks).fit(module, train, val)
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):  # Lightning makes Ctrl-C an exit
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from None
        raise


def classify(output: Tensor, y: Tensor, label_smoothing: float) -> dict[str, Tensor]:
    """Cross-entropy and accuracy of `(n, classes)` against class numbers `(n,)`."""
    loss = F.cross_entropy(output, y, label_smoothing=label_smoothing)
    return {"loss": loss, "accuracy": (output.argmax(1) == y).float().mean()}


def regress(output: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Mean squared error of `(n, targets)` against `(n, targets)`."""
    return {"loss": F.mse_loss(output, y)}


def cosine(share: Callable[[int], float], step: int) -> float:
    """Half a cosine from the learning rate down to nothing (Loshchilov and Hutter, 2017)."""
    return 0.5 * (1 + float(np.cos(np.pi * share(step))))


def one_cycle(share: Callable[[int], float], step: int) -> float:
    """Up from a tenth over the first three tenths, then down to nothing, both along a cosine (Smith, 2018)."""
    done = share(step)
    if done < 0.3:
        return 0.1 + 0.45 * (1 - float(np.cos(np.pi * done / 0.3)))
    return 0.5 * (1 + float(np.cos(np.pi * (done - 0.3) / 0.7)))


SCHEDULES = {"cosine": cosine, "one_cycle": one_cycle}
