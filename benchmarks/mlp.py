"""What an epoch of the reference network costs: our estimator against a bare PyTorch loop, in turns, in one process.

    .venv/bin/python benchmarks/mlp.py --rounds 5 --batch 32

The network is 784-128-10 with Adam and cross-entropy, one thread, on the digits of data/mnist5k repeated to 60,000
rows. `single` is ours with one optimiser step per call, as Lightning users write it. Each visit trains one epoch and
two; the difference, in CPU time because others may use the machine, is an epoch without the fixed cost of a fit.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.nn import functional as F

from deepmine import ROOT
from deepmine.config import running
from deepmine.data.readers import arrays
from deepmine.models.lightning import LightningClassifier


def digits(rows: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    """Images scaled to 0..1, `(rows, 1, 28, 28)`, and labels."""
    source = OmegaConf.load(ROOT / "conf/data/mnist5k.yaml")
    raw = arrays.read(ROOT / "data" / source.folder, "image", source.source.X, source.source.y)
    repeat = np.resize(np.arange(len(raw.rows)), rows)
    return raw.X[repeat].astype(np.float32) / 255, raw.y[repeat]


def bare(X: np.ndarray, y: np.ndarray, batch: int, epochs: int) -> None:
    """The loop as people write it."""
    X_, y_ = torch.from_numpy(X), torch.from_numpy(y)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(epochs):
        for index in torch.randperm(len(X_)).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(net(X_[index]), y_[index]).backward()
            optimizer.step()


def ours(X: np.ndarray, y: np.ndarray, batch: int, epochs: int, **settings: int) -> None:
    """The estimator of conf/model/mlp.yaml."""
    trainer = {"max_epochs": epochs, "accelerator": "cpu"}
    LightningClassifier(batch_size=batch, random_state=0, trainer=trainer, **settings).fit(X, y)


def single(X: np.ndarray, y: np.ndarray, batch: int, epochs: int) -> None:
    """The same, one step per call."""
    ours(X, y, batch, epochs, steps_per_execution=1)


def epoch(program, *arguments) -> float:
    """Seconds of one epoch."""
    times = []
    for epochs in (1, 2):
        begin = time.process_time()
        program(*arguments, epochs)
        times.append(time.process_time() - begin)
    return times[1] - times[0]


def main() -> None:
    """Print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    running.limit_threads(1)
    X, y = digits()
    seconds: dict[str, list[float]] = {"bare": [], "ours": [], "single": []}
    for program in (bare, ours, single):
        program(X[:64], y[:64], options.batch, 1)  # what is imported or set up the first time
    for _ in range(options.rounds):
        for program in (bare, ours, single):
            seconds[program.__name__].append(epoch(program, X, y, options.batch))
    for name, values in seconds.items():
        ratio = statistics.median(value / base for value, base in zip(values, seconds["bare"], strict=True))
        spread = f"from {min(values):.2f} to {max(values):.2f}"
        print(f"{name:6} {statistics.median(values):.2f} s an epoch ({spread}), {ratio:.2f} of bare")


if __name__ == "__main__":
    main()
