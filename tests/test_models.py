"""Models: every experiment fits, scores, saves, loads and predicts the same; nets keep scikit-learn's protocol."""

import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from pytorch_lightning import callbacks
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from conftest import cut, prepared
from deepmine import tasks
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data.dataset import Part
from deepmine.models import epochs as epochs_of_training
from deepmine.models import pipelines, training
from deepmine.models.augment import Jitter, ShiftRotate
from deepmine.models.lightning import LightningAutoencoder, LightningClassifier, LightningRegressor
from deepmine.models.networks import CNN, MLP, RNN, Autoencoder
from deepmine.models.training import split
from deepmine.tasks.classification import Classified
from deepmine.tasks.clustering import Clustered

TRUSTED = compose.compose().trusted


def fitted(name: str, **trainer: object) -> tuple:
    cfg = compose.compose(f"experiment={name}", "trainer.max_epochs=2")
    settings, data = compose.decisive(cfg), cut(prepared(cfg.choices.data))
    pipeline = pipelines.build(settings["steps"], settings["model"])
    pipelines.fit(pipeline, cfg.task, data.train, data.val, lambda *_: None)
    return cfg, data, pipeline


def test_clustering_never_sees_the_species() -> None:
    cfg = compose.compose("experiment=birds_kmeans")
    settings, data = compose.decisive(cfg), cut(prepared("birds"))
    pipeline = pipelines.build(settings["steps"], settings["model"])
    seen = []
    for _, step in pipeline.steps:
        fit = step.fit
        step.fit = lambda X, y=None, fit=fit, **rest: (seen.append(y), fit(X, y, **rest))[1]
    pipelines.fit(pipeline, cfg.task, data.train, data.val, lambda *_: None)
    assert seen and all(y is None for y in seen)


def test_what_is_fitted_before_the_model_sees_training_rows_alone() -> None:
    _, data, pipeline = fitted("ferry_tree")
    scale = pipeline["encode"].named_transformers_["numbers"]
    np.testing.assert_allclose(scale.statistics_, data.train.X.select_dtypes("number").median())


def numbers(X: np.ndarray, y: np.ndarray) -> Part:
    return Part(X, y, np.arange(len(X)))


def test_a_fit_leaks_nothing_that_scikit_learns_own_does_not() -> None:
    rng = np.random.default_rng(0)
    train, val = (numbers(rng.integers(0, 400, (800, 1)).astype(str), rng.integers(0, 2, 800)) for _ in range(2))
    own, ours = (
        Pipeline([("encode", TargetEncoder(cv=KFold(5))), ("model", DecisionTreeClassifier(random_state=0))])
        for _ in range(2)
    )
    own.fit(train.X, train.y)
    pipelines.fit(ours, "classification", train, val, lambda *_: None)
    np.testing.assert_array_equal(ours.predict_proba(train.X), own.predict_proba(train.X))
    assert ours.score(train.X, train.y) < 0.6  # the labels are random: fit and transform apart give 0.8


def test_the_same_fit_gives_the_same_file(tmp_path: Path) -> None:
    texts = numbers(np.array(["a cat sat", "the dog ran", "a dog", "the cat"] * 5), np.arange(20) % 2)
    files = []
    for _ in range(2):
        pipeline = Pipeline(
            [("words", TfidfVectorizer(stop_words=["the"])), ("model", RandomForestClassifier(3, random_state=0))]
        )
        pipelines.fit(pipeline, "classification", texts, texts, lambda *_: None)
        pipelines.save(pipeline, tmp_path / f"{len(files)}.skops")
        files.append((tmp_path / f"{len(files)}.skops").read_bytes())
    assert files[0] == files[1]
    loaded = pipelines.load(tmp_path / "0.skops")
    np.testing.assert_array_equal(loaded.predict_proba(texts.X), pipeline.predict_proba(texts.X))


def test_a_value_that_scikit_learn_refuses_is_named() -> None:
    settings = compose.decisive(compose.compose("experiment=ferry_tree", "model.max_depth=deep"))
    with pytest.raises(UserError, match="'max_depth' parameter of DecisionTreeClassifier must be an int"):
        pipelines.build(settings["steps"], settings["model"])


def rows(n: int = 64, shape: tuple = (6,), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)
    return X, np.where(X.reshape(n, -1)[:, 0] > 0, "yes", "no")


def net(epochs: int = 5, **settings: object) -> LightningClassifier:
    return LightningClassifier(**{"lr": 0.01, "random_state": 0, "trainer": {"max_epochs": epochs}, **settings})


@pytest.mark.slow
@pytest.mark.parametrize("kind", [LightningClassifier, LightningRegressor, LightningAutoencoder])
def test_a_net_passes_scikit_learns_checks(kind: type) -> None:
    estimator = kind(lr=0.01, batch_size=8, random_state=0, trainer={"max_epochs": 20})
    results = check_estimator(estimator, on_skip=None)
    assert sum(result["status"] == "passed" for result in results) > 50


def test_a_net_can_be_cloned_cross_validated_and_put_in_a_pipeline() -> None:
    X, y = rows(150)
    estimator = make_pipeline(StandardScaler(), net(20))
    assert clone(estimator[-1]).get_params() == estimator[-1].get_params()
    assert cross_val_score(estimator, X, y, cv=3).mean() > 0.85


@pytest.mark.parametrize("shape", [(6,), (1, 4, 4)])
def test_a_net_learns_a_few_rows_by_heart(shape: tuple) -> None:
    X, _ = rows(32, shape)
    y = np.arange(32) % 4
    assert (net(150).fit(X, y).predict(X) == y).all()


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    X, y = rows(24)
    X_val, y_val = rows(200, seed=1)
    best = net(60, lr=0.05).fit(X, y, eval_set=(X_val, y_val))
    losses = [epoch["val_loss"] for epoch in best.history_]
    assert np.argmin(losses) < len(losses) - 1
    p = best.predict_proba(X_val)[np.arange(len(y_val)), np.searchsorted(best.classes_, y_val)]
    assert -np.log(p).mean() == pytest.approx(min(losses), rel=1e-4)


def test_it_stops_when_validation_gets_no_better() -> None:
    stopped = net(200, lr=0.05, patience=3).fit(*rows(24), eval_set=rows(200, seed=1))
    losses = [epoch["val_loss"] for epoch in stopped.history_]
    assert len(losses) == np.argmin(losses) + 1 + 3


def test_each_epoch_is_reported_as_it_ends() -> None:
    heard = []
    net(3).fit(*rows(), eval_set=rows(seed=1), on_epoch=lambda epoch, values: heard.append((epoch, sorted(values))))
    assert heard == [(n, ["train_accuracy", "train_loss", "val_accuracy", "val_loss"]) for n in (1, 2, 3)]


class Counted(torch.optim.SGD):
    """Notes the learning rate of each optimiser step."""

    rates: ClassVar[list[float]] = []

    def step(self, closure=None):
        self.rates.append(self.param_groups[0]["lr"])
        return super().step(closure)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"net_params": {"norm": "batch"}},  # 97 rows: one is left alone
        {"net_params": {"dropout": 0.2}, "schedule": "one_cycle", "gradient_clip": 0.1, "augment": Jitter()},
        {"schedule": "cosine", "patience": 1, "optimizer": "torch.optim.AdamW", "weight_decay": 0.01},
    ],
)
def test_many_steps_a_call_learn_what_single_steps_do(settings: dict) -> None:
    X, y = rows(97)
    auto, one, three = (
        net(3, batch_size=16, steps_per_execution=steps, **settings).fit(X, y, eval_set=rows(seed=1))
        for steps in ("auto", 1, 3)
    )
    for other in (one, three):
        np.testing.assert_array_equal(auto.predict_proba(X), other.predict_proba(X))
        assert [epoch["train_loss"] for epoch in auto.history_] == [epoch["train_loss"] for epoch in other.history_]
    assert auto.history_ == one.history_


@pytest.mark.parametrize(
    ("trainer", "steps"),
    [  # 97 rows: 6 batches
        ({}, 12),
        ({"gradient_clip_val": 0.1}, 12),
        ({"accumulate_grad_batches": 2}, 6),
        ({"limit_train_batches": 2}, 4),
        ({"limit_train_batches": 0.5}, 6),
        ({"limit_val_batches": 0}, 12),
        ({"overfit_batches": 2}, 4),
        ({"fast_dev_run": True}, 1),
        ({"max_steps": 5, "max_epochs": -1}, 5),
        ({"min_steps": 14, "max_epochs": 3}, 18),
        ({"val_check_interval": 3}, 12),
        ({"check_val_every_n_epoch": 2}, 12),
        ({"num_sanity_val_steps": 2}, 12),
        ({"detect_anomaly": True}, 12),
        ({"barebones": True}, 12),
        ({"precision": "bf16-mixed", "gradient_clip_val": 0.1}, 12),
        ({"max_time": "00:01:00:00"}, 12),
    ],
)
def test_a_flag_of_the_trainer_means_what_lightning_says(trainer: dict, steps: int) -> None:
    Counted.rates = []
    flags = {"accelerator": "cpu", "max_epochs": 2, **trainer}
    fitted = net(batch_size=16, optimizer=Counted, schedule="one_cycle", trainer=flags)
    fitted.fit(*rows(97), eval_set=rows(40, seed=1))
    assert len(Counted.rates) == steps


def test_overfitting_sees_the_same_batches_each_epoch() -> None:
    still = net(lr=1e-12, batch_size=16, trainer={"max_epochs": 2, "overfit_batches": 2}).fit(*rows(97))
    assert still.history_[0]["train_loss"] == pytest.approx(still.history_[1]["train_loss"])


def test_a_check_before_training_is_no_epoch() -> None:
    checked, plain = (
        net(2, trainer={"max_epochs": 2, "num_sanity_val_steps": n}, lr=10.0).fit(*rows(), eval_set=rows(seed=1))
        for n in (2, 0)
    )
    assert checked.history_ == plain.history_
    np.testing.assert_array_equal(checked.predict_proba(rows()[0]), plain.predict_proba(rows()[0]))


def test_callbacks_of_lightning_are_called_and_left_as_they_were(tmp_path: Path) -> None:
    given = [
        callbacks.LearningRateMonitor("epoch"),
        callbacks.EarlyStopping("train_loss", stopping_threshold=1e3),
        callbacks.ModelCheckpoint(tmp_path, monitor="val_loss"),
        callbacks.EMAWeightAveraging(decay=0.5),
    ]
    learner = net(trainer={"max_epochs": 5, "callbacks": given, "log_every_n_steps": 1})
    one, two = (clone(learner).fit(*rows(), eval_set=rows(seed=1)) for _ in range(2))
    assert len(one.history_) == 1 and one.history_[0]["lr-Adam"] == pytest.approx(0.01)  # the threshold ends it
    assert one.history_ == two.history_ and list(tmp_path.glob("*.ckpt"))
    plain = net(1).fit(*rows(), eval_set=rows(seed=1))
    assert not np.allclose(one.predict_proba(rows()[0]), plain.predict_proba(rows()[0]))  # averaged weights
    assert "callbacks" not in one.__getstate__()["trainer"] and learner.trainer["callbacks"] is given


def test_callbacks_are_named_in_yaml() -> None:
    named = "{_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:train_loss,stopping_threshold:1000}"
    cfg = compose.compose("experiment=birds_autoencoder", f"trainer.callbacks=[{named}]")
    settings = compose.decisive(cfg)
    learner = pipelines.build({}, settings["model"], cfg.trusted)[-1]
    assert len(learner.fit(rows()[0]).history_) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"steps_per_execution": 8, "trainer": {"accumulate_grad_batches": 2}},
            r"steps_per_execution=8 does not work with trainer\.accumulate_grad_batches",
        ),
        (
            {"steps_per_execution": 8, "trainer": {"callbacks": [callbacks.Timer()]}},
            r"does not work with Timer in trainer\.callbacks",
        ),
        ({"schedule": "cosine", "trainer": {"max_epochs": -1}}, r"set trainer\.max_epochs or max_steps"),
    ],
)
def test_settings_that_do_not_go_together_are_named(settings: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        net(**settings).fit(*rows())


@pytest.mark.parametrize(("n", "sizes"), [(1, [1]), (5, [5]), (4, [4]), (9, [4, 5]), (10, [4, 4, 2]), (6, [4, 2])])
def test_a_last_row_alone_joins_the_batch_before(n: int, sizes: list[int]) -> None:
    assert split(n, 4) == sizes


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rows of shape \[1, 3, 4\], the network was fitted on \[1, 4, 4\]"):
        net(1).fit(*rows(32, (1, 4, 4))).predict(np.zeros((2, 1, 3, 4)))


def test_only_a_network_can_be_a_net() -> None:
    with pytest.raises(UserError, match=r"`net` names subprocess.Popen, which is not an estimator, network"):
        net(1, net="subprocess.Popen").fit(*rows())


def test_a_net_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    net(1).fit(*rows())
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("silence", "lines"), [(10.0, 0), (0.0, 4)])
def test_a_log_gets_a_line_every_ten_seconds(
    silence: float, lines: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(epochs_of_training, "LOG", epochs_of_training.LOG | {"mininterval": silence, "delay": silence})
    net(2, batch_size=16, steps_per_execution=1).fit(*rows(32), eval_set=rows(seed=1))
    out, err = capfd.readouterr()
    assert out == "" and err.count(" of 2 epochs") >= lines and bool(err) == bool(lines)
    assert not lines or re.search(r"1\.5 of 2 epochs, .*train_loss=.*, val_accuracy=[\d.]+", err)


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(epochs_of_training, "LOG", {})
    net(3, batch_size=7, steps_per_execution=1).fit(*rows())  # 10 steps an epoch: sums of tenths are no round numbers
    said = capfd.readouterr().err
    assert "3.0/3" in said and "Warning" not in said


@pytest.mark.slow
def test_two_processes_train_one_net(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        "import numpy as np\n"
        "from deepmine.models.lightning import LightningClassifier\n"
        "if __name__ == '__main__':\n"
        "    X = np.random.default_rng(0).normal(size=(400, 5)).astype('float32'); y = (X[:, 0] > 0).astype(int)\n"
        "    two = dict(max_epochs=20, accelerator='cpu', devices=2, strategy='ddp_spawn')\n"
        "    fit = LightningClassifier(lr=0.01, random_state=0, trainer=two).fit(X, y, eval_set=(X, y))\n"
        "    print('accuracy', fit.score(X, y))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) > 0.9


def test_scores_have_the_same_keys_for_a_net_and_a_tree() -> None:
    X, y = rows()
    tree, network = DecisionTreeClassifier().fit(X, y), net(1).fit(X, y)
    task = tasks.find("classification")
    scores = [
        task.score(Classified(y, e.predict(X), e.classes_, probabilities=e.predict_proba(X))) for e in (tree, network)
    ]
    assert scores[0].keys() == scores[1].keys()
    assert scores[0]["accuracy"] == 1.0


def test_a_score_that_is_not_defined_is_left_out() -> None:
    one_class = np.array(["a", "a"])
    both = np.array([[0.5, 0.5], [0.9, 0.1]])
    some = Classified(one_class, one_class, np.array(["a", "b"]), probabilities=both)
    scores = tasks.find("classification").score(some)
    assert "roc_auc" not in scores and scores["accuracy"] == 1.0
    assert "silhouette" not in tasks.find("clustering").score(Clustered(None, np.zeros(4), np.zeros((4, 2))))


def test_the_baseline_is_the_most_frequent_class() -> None:
    data, task = cut(prepared("ferry")), tasks.find("classification")
    guess = task.score(task.baseline(data, {}, 0))
    assert guess["accuracy"] == pytest.approx(np.mean(data.test.y == 0))
    assert guess["balanced_accuracy"] == 0.5


def sequences(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Two kinds of waves of 6 to 12 steps, padded with NaN."""
    numbers = np.random.default_rng(0)
    X = np.full((n, 12, 3), np.nan, np.float32)
    y = np.arange(n) % 2
    for row, length in enumerate(numbers.integers(6, 13, n)):
        X[row, :length] = np.sin(np.arange(length)[:, None] * (1 + y[row])) + numbers.normal(0, 0.1, (length, 3))
    return X, y


NETWORKS = [
    (MLP, (2, 3), {"hidden": [8, 5], "dropout": 0.1}),
    (CNN, (3, 9, 7), {"channels": [4, 6], "hidden": [8], "dropout": 0.1}),
    *[(RNN, (5, 3), {"cell": cell, "num_layers": 2, "bidirectional": True}) for cell in ("rnn", "lstm", "gru")],
    (RNN, (1, 4, 6), {"cell": "gru"}),
]


@pytest.mark.parametrize(("network", "shape", "params"), NETWORKS)
def test_gradients_reach_every_parameter(network: type, shape: tuple, params: dict) -> None:
    torch.manual_seed(0)
    built = network(shape, 4, **params)
    built(torch.randn(7, *shape)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in built.parameters())


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(cell: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    network = RNN((4, 3), 2, cell=cell, num_layers=2, bidirectional=bidirectional).eval()
    short = torch.randn(5, 4, 3)
    padded = torch.cat([short, torch.full((5, 6, 3), torch.nan)], 1)
    mixed = torch.cat([padded, torch.randn(2, 10, 3)])
    with torch.no_grad():
        torch.testing.assert_close(network(short), network(padded))
        torch.testing.assert_close(network(short), network(mixed)[:5])


@pytest.mark.parametrize(("cell", "kind"), [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_a_recurrent_net_gives_what_packed_sequences_give(cell: str, kind: type) -> None:
    X, _ = map(torch.from_numpy, sequences())
    network, reference = RNN((12, 3), 2, cell, 4, 2, True).eval(), kind(3, 4, 2, batch_first=True, bidirectional=True)
    for number, layer in enumerate(network.layers):
        for one, end in zip(layer, ("", "_reverse"), strict=True):
            for name, weights in one.named_parameters():
                getattr(reference, f"{name[:-1]}{number}{end}").data = weights.data
    lengths = (~X[..., 0].isnan()).sum(1)
    states = reference(nn.utils.rnn.pack_padded_sequence(X.nan_to_num(), lengths, True, enforce_sorted=False))[1]
    last = (states[0] if cell == "lstm" else states)[-2:].transpose(0, 1).flatten(1)
    torch.testing.assert_close(network(X), network.head(last))


@pytest.mark.parametrize("n", [3, 5, 9])
def test_a_stride_reads_several_steps_as_one_and_padding_changes_nothing(n: int) -> None:
    torch.manual_seed(0)
    network = RNN((9, 3), 2, bidirectional=True, stride=4).eval()
    X = torch.randn(5, n, 3)
    padded = torch.cat([X, torch.full((5, 9 - n, 3), torch.nan)], 1)
    torch.testing.assert_close(network(X), network(padded))
    assert network.n_steps == 3 and network.layers[0][0].input_size == 64


def test_a_network_of_many_steps_says_how_to_have_fewer(capfd: pytest.CaptureFixture) -> None:
    X, y = rows(8, (400, 1))
    for stride in (1, 16):
        net(1, net=RNN, net_params={"stride": stride}).fit(X, y)
    assert capfd.readouterr().err.count("400 steps is slow") == 1


def ragged(n: int, steps: int) -> np.ndarray:
    X = np.ones((n, steps, 1), np.float32)
    X[np.arange(steps) >= np.random.default_rng(0).integers(1, steps + 1, n)[:, None]] = np.nan
    return X


def orders(X: np.ndarray, size: int = 40) -> list[list[int]]:
    """The rows of two epochs, in batches of 10 and calls of `size`."""
    trainer = SimpleNamespace(world_size=1, global_rank=0, training=False)
    calls = training.Rows([X, np.arange(len(X))], size, trainer, 10, 0)
    epochs = []
    for trainer.current_epoch in (0, 1):
        epochs.append([int(row) for _, numbers in calls for row in numbers])
    return epochs


def test_batches_hold_sequences_of_like_length_where_that_saves_much() -> None:
    X = ragged(245, 200)
    one, two = orders(X)
    assert sorted(one) == sorted(two) == list(range(245)) and one != two and orders(X) == [one, two] == orders(X, 10)
    lengths = (~np.isnan(X[..., 0])).sum(1)
    longest = lengths[one[:240]].reshape(-1, 10).max(1)
    assert longest.mean() < 1.2 * lengths.mean() and not (np.diff(longest) >= 0).all()
    seed = torch.Generator().manual_seed(0)
    assert orders(ragged(245, 60))[0] == torch.randperm(245, generator=seed).tolist()  # little to save: as it was


def test_the_time_of_a_recurrent_net_grows_with_the_steps() -> None:
    def seconds(steps: int) -> float:
        X, times = torch.randn(32, steps, 1), []
        X[1:, steps // 2 :] = torch.nan
        for _ in range(3):
            begin = time.process_time()
            network(X).sum().backward()
            times.append(time.process_time() - begin)
        return min(times)

    network = RNN((200, 1), 2)
    assert seconds(800) < 9 * seconds(200)  # with packed sequences 16 times


def test_a_perceptron_takes_padding_as_nothing() -> None:
    X, y = sequences()
    padded = net(3).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(padded, net(3).fit(np.nan_to_num(X), y).predict_proba(X))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_recurrent_net_learns_sequences_of_any_length(cell: str) -> None:
    X, y = sequences()
    learner = net(40, net=RNN, net_params={"cell": cell, "hidden_size": 16}, gradient_clip=1.0)
    assert (learner.fit(X, y).predict(X) == y).all()


def test_a_convolutional_net_learns_a_few_images_by_heart() -> None:
    X, _ = rows(32, (1, 8, 8))
    y = np.arange(32) % 4
    assert (net(100, net=CNN, net_params={"channels": [8, 8], "hidden": [16]}).fit(X, y).predict(X) == y).all()


def test_a_regressor_answers_in_the_unit_of_the_target() -> None:
    X, _ = rows(200)
    y = 1000 + 50 * X[:, 0]
    regressor = LightningRegressor(lr=0.01, random_state=0, trainer={"max_epochs": 40}).fit(X, y)
    assert regressor.score(X, y) > 0.95


def test_an_autoencoder_finds_the_row_that_is_unlike_the_others() -> None:
    line = np.random.default_rng(0).normal(size=(200, 1)).astype(np.float32) * np.array([[1, 2, -1, 0.5]], np.float32)
    settings = {"net": Autoencoder, "net_params": {"code": 1, "hidden": [8]}, "lr": 0.01, "random_state": 0}
    detector = LightningAutoencoder(**settings, trainer={"max_epochs": 60}).fit(line)
    strange = np.array([[2, -4, 2, 1]], np.float32)
    assert detector.predict(strange) == [-1] and (detector.predict(line) == 1).mean() == pytest.approx(0.9, abs=0.01)
    assert detector.transform(line).shape == (200, 1)


def test_the_last_hidden_layer_gives_features() -> None:
    X, y = rows(20)
    learner = net(1, net_params={"hidden": [16, 7]}).fit(X, y)
    features = torch.from_numpy(learner.transform(X))
    output = torch.nn.functional.linear(features, learner.net_.layers[-1].weight, learner.net_.layers[-1].bias)
    np.testing.assert_allclose(output.detach().softmax(1).numpy(), learner.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize("steps", ["auto", 1])
@pytest.mark.parametrize(("schedule", "first"), [("cosine", 1.0), ("one_cycle", 0.1)])
def test_a_schedule_ends_at_no_learning(schedule: str, first: float, steps: str | int) -> None:
    Counted.rates = []
    net(10, lr=1.0, batch_size=6, optimizer=Counted, schedule=schedule, steps_per_execution=steps).fit(*rows(60))
    assert len(Counted.rates) == 100 and Counted.rates[0] == pytest.approx(first)
    assert max(Counted.rates) == pytest.approx(1) and Counted.rates[-1] == pytest.approx(0, abs=1e-3)


def test_training_is_the_same_with_everything_against_overfitting() -> None:
    X, y = rows(64, (1, 8, 8))
    everything = {
        "schedule": "one_cycle", "gradient_clip": 0.5, "label_smoothing": 0.1, "weight_decay": 0.01,
        "optimizer": "torch.optim.AdamW", "augment": ShiftRotate(shift=1, angle=20),
    }  # fmt: skip
    one, two = net(3, **everything).fit(X, y), net(3, **everything).fit(X, y)
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert not np.array_equal(one.predict_proba(X), net(3).fit(X, y).predict_proba(X))


def test_no_shift_and_no_turn_leave_an_image_as_it_is() -> None:
    X = torch.rand(3, 2, 6, 5)
    torch.testing.assert_close(ShiftRotate(shift=0, angle=0)(X), X)
    moved = ShiftRotate(shift=2, angle=0)(X)
    assert moved.shape == X.shape and not torch.allclose(moved, X)


def test_jitter_leaves_padding() -> None:
    X = torch.tensor([[1.0, float("nan")]])
    assert torch.isnan(Jitter(0.1)(X)).tolist() == [[False, True]]
