"""How a network learns: a plain LightningModule, a subclass with many optimiser steps per call, and `run`."""

import inspect
import logging
import math
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping, LearningRateMonitor, ModelSummary, ProgressBar
from pytorch_lightning.loggers.logger import DummyLogger
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from deepmine.config.errors import UserError
from deepmine.models.checkpoint import Saving, SkopsIO
from deepmine.models.epochs import Epochs

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # its banners
QUIET = "`isinstance.treespec|You defined a `validation_step`|You're resuming from a checkpoint that ended"
warnings.filterwarnings("ignore", QUIET, module="pytorch_lightning")
ROWS_PER_CALL = 2048
LONG = 300  # steps from which on a recurrent network is slow and forgets what it read first
PADDING = 50  # steps by which the longest sequence exceeds the mean, from which on batches are made by length
WINDOW = 8  # batches that are sorted together
# Arguments of the Trainer that neither count batches nor change a step.
ANY_PACE = {"max_epochs", "accelerator", "devices", "num_nodes", "strategy", "precision", "deterministic", "benchmark"}


class Training(pl.LightningModule):
    """One optimiser step per batch; measurements are read once per epoch, because `self.log` is slow on small nets."""

    def __init__(self, net: nn.Module, objective: Callable[..., dict[str, Tensor]], settings: dict[str, Any]) -> None:
        super().__init__()
        self.net, self.objective, self.settings = net, objective, settings
        self.sums: dict[str, Any] = {}

    def training_step(self, batch: Sequence[Tensor], _: int) -> Tensor:
        X, y = batch
        return self._measure("train", self.settings["augment"](X) if self.settings["augment"] else X, y)

    def validation_step(self, batch: Sequence[Tensor], _: int) -> None:
        self._measure("val", *batch)

    def configure_optimizers(self) -> Any:
        """The optimiser, fused except for mixed precision, which could not be clipped, and its schedule."""
        kind, lr, decay, name = (self.settings[key] for key in ("optimizer", "lr", "weight_decay", "schedule"))
        fused = "fused" in inspect.signature(kind).parameters and "mixed" not in self.trainer.precision
        optimizer = kind(self.net.parameters(), lr=lr, weight_decay=decay, **({"fused": True} if fused else {}))
        if name == "constant":
            return optimizer
        calls = self.trainer.estimated_stepping_batches
        if calls == math.inf:
            raise UserError(f"schedule={name} needs to know the last step: set trainer.max_epochs or max_steps.")
        steps = max(1, round(calls * self.settings["steps_per_call"]))
        schedule: Any = CosineAnnealingLR(optimizer, steps)  # Loshchilov and Hutter, 2017
        if name == "one_cycle":  # Smith, 2018: from a tenth up to `lr` in three tenths of the steps, then down to 0
            schedule = OneCycleLR(optimizer, lr, steps, div_factor=10, cycle_momentum=False)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def means(self, part: str) -> dict[str, float]:
        """Means over the rows of `train` or `val` of all processes, since they were last asked for."""
        if part not in self.sums:
            return {}
        sums, rows = self.sums.pop(part)
        gathered: Any = self.all_gather(torch.cat([sums, sums.new_tensor([rows])]))
        *sums, rows = gathered.reshape(-1, len(self.names) + 1).sum(0).tolist()
        return {f"{part}_{name}": value / rows for name, value in zip(self.names, sums, strict=True)}

    def _measure(self, part: str, X: Tensor, y: Tensor) -> Tensor:
        measured = self.objective(self.net(X), y)
        sums, rows = self.sums.get(part, (0.0, 0))
        self.sums[part] = sums + torch.stack([*measured.values()]).detach() * len(y), rows + len(y)
        self.names = list(measured)
        return measured["loss"]


class FastTraining(Training):
    """The same weights, to the bit, with many optimiser steps per call: each call of Lightning takes 0.3 ms."""

    automatic_optimization = False

    def training_step(self, batch: Sequence[Tensor], index: int) -> None:  # type: ignore[override]
        optimizer: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        sizes = split(len(batch[0]), self.settings["batch_size"])
        for rows in zip(*(tensor.split(sizes) for tensor in batch), strict=True):
            loss = super().training_step(rows, index)
            optimizer.zero_grad()
            self.manual_backward(loss)
            if self.settings["gradient_clip"]:
                self.clip_gradients(optimizer, self.settings["gradient_clip"], "norm")
            optimizer.step()
            if schedule:
                schedule.step()


class Rows:
    """Calls of `size` rows; with a seed, shuffled anew each epoch. Each process gets an equal share."""

    def __init__(self, arrays: Sequence[NDArray], size: int, trainer: pl.Trainer, batch: int, seed: int | None) -> None:
        self.tensors = [torch.from_numpy(array) for array in arrays]
        self.size, self.trainer, self.batch, self.seed = size, trainer, batch, seed

    def sizes(self, size: int) -> list[int]:
        return split(len(self.tensors[0]) // self.trainer.world_size, size)

    def __len__(self) -> int:
        return len(self.sizes(self.size))

    def __iter__(self) -> Iterator[list[Tensor]]:
        order, processes = torch.arange(len(self.tensors[0])), self.trainer.world_size
        done = self.trainer.fit_loop.batch_idx + 1 if self.trainer.training else 0  # of an epoch that goes on
        if self.seed is not None:
            numbers = torch.Generator().manual_seed(self.seed + self.trainer.current_epoch)
            order = torch.randperm(len(order), generator=numbers)
        order = order[: len(order) - len(order) % processes][self.trainer.global_rank :: processes]
        if self.seed is not None and self.tensors[0].ndim == 3:
            order = self._by_length(order, numbers)
        for index in order.split(self.sizes(self.size))[done:]:
            yield [tensor[index] for tensor in self.tensors]

    def _by_length(self, order: Tensor, numbers: torch.Generator) -> Tensor:
        """Full batches of sequences of like length, in random order, then the rows that are left; if it saves much."""
        lengths = (~self.tensors[0][:, :, 0].isnan()).sum(1)[order]
        if lengths.max() - lengths.float().mean() <= PADDING:
            return order
        full = len(order) // self.batch * self.batch
        places = torch.arange(full).split(WINDOW * self.batch)
        batches = torch.cat([place[lengths[place].argsort(stable=True)] for place in places]).reshape(-1, self.batch)
        chosen = batches[torch.randperm(len(batches), generator=numbers)].flatten()
        return torch.cat([order[chosen], order[full:]])


def split(n: int, size: int) -> list[int]:
    """Sizes of the batches of `n` rows; a single last row joins the batch before it: batch norm needs two."""
    full, rest = divmod(n, size)
    return [size] * (full - 1) + [size + 1] if rest == 1 and full else [size] * full + [rest] * (rest > 0)


def run(net: nn.Module, objective: Any, settings: dict[str, Any], train: Any, val: Any, on_epoch: Any) -> list[dict]:
    """Train a network in place on arrays `(X, y)`; return its curves. `settings`: the estimator's, `seed`, `checkpoint`."""
    flags, batch, steps = dict(settings["trainer"] or {}), settings["batch_size"], settings["steps_per_execution"]
    given = deepcopy(flags.pop("callbacks", None) or [])  # they keep state: each fit needs new ones
    callbacks = given if isinstance(given, list) else [given]
    single = [f"{type(c).__name__} in trainer.callbacks" for c in callbacks if type(c) is not EarlyStopping]
    single += [f"trainer.{flag}" for flag in flags if flag not in ANY_PACE or flags[flag] in ("16-mixed", "16", 16)]
    many = 1 if single else max(1, ROWS_PER_CALL // batch)
    steps = many if steps == "auto" else steps
    if steps > 1 and single:
        raise UserError(f"steps_per_execution={steps} does not work with {single[0]}. Set it to auto or 1.")
    if val is not None and settings["patience"] is not None:
        callbacks.append(EarlyStopping("val_loss", patience=settings["patience"], check_on_train_epoch_end=False))
    kinds = {"checkpointing": Checkpoint, "progress_bar": ProgressBar, "model_summary": ModelSummary}
    defaults: dict[str, Any] = {f"enable_{k}": any(isinstance(c, kinds[k]) for c in callbacks) for k in kinds}
    defaults["logger"] = any(isinstance(c, LearningRateMonitor) for c in callbacks) and DummyLogger()
    defaults |= {"num_sanity_val_steps": 0, "gradient_clip_val": settings["gradient_clip"] if steps == 1 else None}
    if (read := getattr(net, "n_steps", 0)) > LONG:
        say = f"A recurrent network of {read} steps is slow and forgets what it read first."
        print(f"{say} For fewer: model.net_params.stride=16, a convolution in front.", file=sys.stderr)
    epochs, begun = Epochs(on_epoch), None
    try:
        trainer = pl.Trainer(**{**defaults, **flags}, callbacks=[epochs, *callbacks])
        if (path := settings["checkpoint"]) and isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy):
            trainer.callbacks.insert(0, Saving(path))  # type: ignore[attr-defined]
            trainer.strategy.checkpoint_io, begun = SkopsIO(), path if path.is_file() else None
        rows = Rows(train, steps * batch, trainer, batch, None if flags.get("overfit_batches") else settings["seed"])
        settings["steps_per_call"] = len(rows.sizes(batch)) / len(rows)
        module = (Training if steps == 1 else FastTraining)(net, objective, settings)
        trainer.fit(module, rows, val and Rows(val, many * batch, trainer, batch, None), ckpt_path=begun)
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):  # which Lightning makes an exit
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None
    return epochs.history
