"""A training that is interrupted and goes on ends with the same weights and curves, to the bit."""

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from pytorch_lightning import callbacks

from deepmine.models import augment, checkpoint, training
from deepmine.models.lightning import LightningClassifier


def rows(n: int = 60, shape: tuple = (6,), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)
    return X, np.where(X.reshape(n, -1)[:, 0] > 0, "yes", "no")


def net(kind: type = LightningClassifier, epochs: int = 4, trainer: dict | None = None, **settings: object) -> object:
    common = {"lr": 0.02, "random_state": 3, "batch_size": 16, "net_params": {"hidden": [8], "dropout": 0.3}}
    return kind(**{**common, "trainer": {"max_epochs": epochs, **(trainer or {})}, **settings})


def whole(estimator: object) -> list:
    """All numbers of a fit."""
    return [estimator.history_, *(tensor.tolist() for tensor in estimator.net_.state_dict().values())]


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Fit; before some steps, counted over all attempts, a signal comes, or (0) the process is lost."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    for key in ("EPOCH", "MINUTE", "SHARE"):
        monkeypatch.setattr(checkpoint, key, 0)
    step, count, plan = training.Training._measure, [0], {}

    def counted(self, part, X, y):
        if part == "train":
            count[0] += 1
            if (number := plan.pop(count[0], None)) is not None:
                if number == 0:
                    raise ConnectionAbortedError
                signal.raise_signal(number)
        return step(self, part, X, y)

    monkeypatch.setattr(training.Training, "_measure", counted)

    def fit(make, data, val, at: dict[int, int]):
        plan.update(at)
        count[0] = 0
        for attempt in range(len(at) + 1):
            logged: list = []
            try:
                estimator = make()
                estimator.fit(*data, eval_set=val, on_epoch=lambda *_: None, checkpoint=tmp_path / "checkpoint.skops")
                return estimator, attempt, count[0]
            except (SystemExit, ConnectionAbortedError) as end:
                assert isinstance(end, ConnectionAbortedError) or end.code == 143
        raise AssertionError("it never ended")

    yield fit
    signal.signal(signal.SIGTERM, before)


TERM = signal.SIGTERM
GIVEN = {
    "fast path": {},
    "schedule, clipping": {"schedule": "one_cycle", "gradient_clip": 0.5, "steps_per_execution": 2},
    "one step a call": {"steps_per_execution": 1, "schedule": "cosine", "gradient_clip": 0.5},
    "early stopping": {"patience": 1, "trainer": {"max_epochs": 30}, "steps_per_execution": 2},
    "validation within an epoch": {"trainer": {"max_epochs": 3, "val_check_interval": 0.5}},
    "gradients added up": {"trainer": {"max_epochs": 3, "accumulate_grad_batches": 2}},
    "max_steps": {"trainer": {"max_epochs": -1, "max_steps": 11}},
    "moving average": {"trainer": {"max_epochs": 4, "callbacks": [callbacks.EMAWeightAveraging(decay=0.5)]}},
    "averages of epochs": {"trainer": {"max_epochs": 6, "callbacks": [callbacks.StochasticWeightAveraging(0.01, 2)]}},
    "learning rates logged": {
        "schedule": "one_cycle",
        "trainer": {"max_epochs": 4, "callbacks": [callbacks.LearningRateMonitor("epoch")]},
    },
    "bfloat16": {"trainer": {"max_epochs": 3, "precision": "bf16-mixed"}},
    "SGD": {"optimizer": "torch.optim.SGD"},
    "augmented": {"augment": augment.Jitter(), "steps_per_execution": 1},
    "batch norm": {"net_params": {"hidden": [8], "norm": "batch"}, "steps_per_execution": 1},
    "seven epochs at least": {"patience": 1, "trainer": {"max_epochs": 9, "min_epochs": 7}, "steps_per_execution": 1},
}


@pytest.mark.parametrize(
    "at", [{3: TERM}, {5: TERM, 6: TERM}, {4: TERM, 9: TERM}, {8: 0}, {2: 0, 4: 0, 11: 0}, {10: 0, 13: TERM}], ids=str
)
@pytest.mark.parametrize("name", GIVEN)
def test_it_goes_on_to_the_bit(name, at, interrupted, tmp_path) -> None:
    data, val = rows(), rows(seed=1)
    straight, _, steps = interrupted(lambda: net(**GIVEN[name]), data, val, {})
    (tmp_path / "checkpoint.skops").unlink(missing_ok=True)
    again, attempts, more = interrupted(lambda: net(**GIVEN[name]), data, val, at)
    print(steps, attempts, more)
    assert whole(again) == whole(straight)
