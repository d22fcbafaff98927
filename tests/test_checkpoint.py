"""A training that is interrupted and goes on ends with the same weights and curves, to the bit."""

import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skops.io
from pytorch_lightning import callbacks

from deepmine.config import signals
from deepmine.config.errors import UserError
from deepmine.models import augment, checkpoint, training
from deepmine.models.lightning import LightningAutoencoder, LightningClassifier, LightningRegressor

TERM, LOST = signal.SIGTERM, 0  # LOST: as by kill -9, nothing is saved at that moment
Plan = dict[int, int]  # what comes before which step, counted from the start of each attempt
AVERAGES = [callbacks.StochasticWeightAveraging(0.01, 2)]


def rows(seed: int = 0, name: str = "") -> tuple[np.ndarray, np.ndarray]:
    shape = {"sequences": (70, 2), "images": (1, 8, 8)}.get(name, (6,))
    X = np.random.default_rng(seed).normal(size=(60, *shape)).astype(np.float32)
    first = X.reshape(60, -1)[:, 0]
    if name == "sequences":  # of so different lengths that batches are made by length
        X[np.arange(70) > np.where(np.arange(60) < 6, 69, 4)[:, None]] = np.nan
    return X, first if name == "a regressor" else np.where(first > 0, "yes", "no")


def net(kind: type = LightningClassifier, **settings: object) -> LightningClassifier:
    trainer = {"max_epochs": 4, **settings.pop("trainer", {})}
    common = {"lr": 0.02, "random_state": 3, "batch_size": 16, "net_params": {"hidden": [8], "dropout": 0.3}}
    return kind(**{**common, "trainer": trainer, **settings})


def numbers(fitted: LightningClassifier) -> list:
    return [fitted.history_, *(tensor.tolist() for tensor in fitted.net_.state_dict().values())]


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the state is saved before every call."""
    before = signal.signal(TERM, lambda number, _: sys.exit(128 + number))
    for pause in ("EPOCH", "MINUTE", "SHARE"):
        monkeypatch.setattr(checkpoint, pause, -1)
    yield tmp_path / "state.skops"
    assert signal.signal(TERM, before) is not signal.SIG_DFL


def attempts(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], LightningClassifier], state: Path, plans: list[Plan], name: str
) -> tuple[LightningClassifier, list[int]]:
    """Fit once for each plan, and to the end; the estimator of the last attempt, and the steps of each."""
    measure, taken = training.Training._measure, []
    for plan in [*plans, {}]:
        taken.append(0)

        def measured(self, part, X, y, plan=plan):
            event = plan.get(taken[-1]) if part == "train" else None
            taken[-1] += part == "train"
            if event == LOST:
                raise ConnectionAbortedError
            if event:
                signal.raise_signal(event)
            return measure(self, part, X, y)

        monkeypatch.setattr(training.Training, "_measure", measured)
        fitted, logged = make(), []  # what `on_epoch` is told
        try:
            fitted.fit(
                *rows(0, name), eval_set=rows(1, name), on_epoch=lambda *v, to=logged: to.append(v), checkpoint=state
            )
        except (SystemExit, ConnectionAbortedError):
            continue
        assert logged == list(enumerate(fitted.history_, start=1))  # all, from 1, whoever has them already
    return fitted, taken


KINDS = {
    "many steps a call": {"schedule": "one_cycle", "gradient_clip": 0.5, "steps_per_execution": 2},
    "one step a call": {"steps_per_execution": 1, "schedule": "cosine", "gradient_clip": 0.5},
    "early stopping": {"patience": 1, "trainer": {"max_epochs": 30}, "steps_per_execution": 1},
    "moving average": {"trainer": {"callbacks": [callbacks.EMAWeightAveraging(decay=0.5)]}},
    "averages of epochs": {"trainer": {"max_epochs": 6, "callbacks": AVERAGES}},
}
MORE = {
    "an epoch a call": {},
    "validation within an epoch": {"trainer": {"max_epochs": 3, "val_check_interval": 0.5}},
    "gradients added up": {"trainer": {"max_epochs": 3, "accumulate_grad_batches": 2}},
    "steps limited": {"trainer": {"max_epochs": -1, "max_steps": 11}},
    "rates logged": {"schedule": "one_cycle", "trainer": {"callbacks": [callbacks.LearningRateMonitor("epoch")]}},
    "bfloat16": {"trainer": {"precision": "bf16-mixed"}},
    "bfloat16 alone": {"trainer": {"precision": "bf16-true"}},
    "SGD": {"optimizer": "torch.optim.SGD", "steps_per_execution": 1},
    "augmented": {"augment": augment.Jitter(), "steps_per_execution": 1},
    "batch norm": {"net_params": {"hidden": [8], "norm": "batch"}, "steps_per_execution": 1},
    "epochs at least": {"patience": 1, "trainer": {"max_epochs": 9, "min_epochs": 7}, "steps_per_execution": 1},
    "a regressor": {"kind": LightningRegressor, "steps_per_execution": 1},
    "an autoencoder": {"kind": LightningAutoencoder, "steps_per_execution": 1, "net_params": {"dropout": 0.2}},
    "sequences": {"net": "deepmine.models.networks.RNN", "net_params": {"dropout": 0.2}, "steps_per_execution": 1},
    "images": {"net": "deepmine.models.networks.CNN", "net_params": {"dropout": 0.2}, "steps_per_execution": 1},
}
PLANS = [[{2: TERM}, {1: LOST}], [{1: TERM}, {0: TERM}, {4: LOST}], [{5: LOST}, {1: LOST}, {3: TERM}]]
SLOW = [pytest.param(name, plans, marks=pytest.mark.slow) for name in MORE for plans in PLANS]


@pytest.mark.parametrize(("name", "plans"), [*zip(KINDS, [PLANS[0], PLANS[2], *PLANS], strict=True), *SLOW])
def test_it_goes_on_to_the_bit(name: str, plans: list, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (KINDS | MORE)[name]
    straight = net(**settings).fit(*rows(0, name), eval_set=rows(1, name))
    again, steps = attempts(monkeypatch, lambda: net(**settings), state, plans, name)
    assert numbers(again) == numbers(straight)
    if settings.get("steps_per_execution") == 1 and name != "early stopping":  # only the step that was lost is repeated
        lost = sum(LOST in plan.values() for plan in plans)
        assert sum(steps) == lost + len(straight.history_) * 4


VALIDATES_LONG = """
import sys, time
import numpy as np
from pathlib import Path
from deepmine.config import signals
from deepmine.models import training
from deepmine.models.lightning import LightningClassifier
signals.GRACE = 0.5
signals.watch()
measure = training.Training._measure
def long(self, part, X, y):
    if part == "val":
        print("validates", flush=True)
        time.sleep(60)
    return measure(self, part, X, y)
training.Training._measure = long
X, y = np.eye(20), np.arange(20) % 2
LightningClassifier().fit(X, y, eval_set=(X, y), checkpoint=Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_signal_that_cannot_wait_is_answered_soon(tmp_path: Path) -> None:
    command = [sys.executable, "-c", VALIDATES_LONG, tmp_path / "state.skops"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "validates\n"
        process.send_signal(TERM)
        assert process.wait(timeout=4) == 143


@pytest.mark.parametrize("number", [*signals.ENDS])
def test_a_training_that_fails_hands_signals_back(number: int, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_):
        raise ConnectionAbortedError

    before = signal.getsignal(number)
    monkeypatch.setattr(training.Training, "_measure", failing)
    with pytest.raises(ConnectionAbortedError):
        net().fit(*rows(), checkpoint=state)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, TERM])
def test_a_second_signal_ends_at_once(number: int, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(*_):
        signal.raise_signal(number)
        signal.raise_signal(number)
        raise AssertionError("it went on")

    monkeypatch.setattr(training.Training, "_measure", twice)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        net().fit(*rows(), checkpoint=state)


def test_a_signal_in_the_last_epoch_is_not_lost(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        net(trainer={"max_epochs": 1}).fit(*rows(), on_epoch=lambda *_: signal.raise_signal(TERM), checkpoint=state)


def test_a_short_training_saves_nothing(tmp_path: Path) -> None:
    net().fit(*rows(), checkpoint=tmp_path / "state.skops")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.skops").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(UserError, match=r"state\.skops is damaged .* Delete it, and the training starts again"):
        net().fit(*rows(), checkpoint=tmp_path / "state.skops")


@pytest.mark.parametrize("planted", [lambda: skops.io.dumps(callbacks.Timer()), lambda: pickle.dumps({"epoch": 1})])
def test_a_state_holds_numbers_and_texts_alone(planted: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "state.skops").write_bytes(planted())
    with pytest.raises(UserError, match="is damaged"):
        net().fit(*rows(), checkpoint=tmp_path / "state.skops")
