"""Every file of conf/model on the data that suit its task: a new one is tested by existing.

Here is also what our own networks can do.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import DictConfig
from sklearn.pipeline import Pipeline

from conftest import CONF, cut, prepared
from deepmine import tasks
from deepmine.config import compose
from deepmine.data.dataset import Dataset, Part
from deepmine.models import pipelines

SETS = {"table": "ferry", "image": "digits", "sequence": "voices", "text": "first_names", "baskets": "market"}
BY_HEART = [
    "model.batch_size=32", "model.lr=0.01", "model.schedule=constant", "model.augment=null",
    "trainer.max_epochs=200",
]  # fmt: skip


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def kinds(model: dict) -> list[str]:
    """The kinds of data that a model learns from; one is enough where it sees rows of numbers of all of them."""
    takes = read(CONF / "preprocessing/default.yaml").get(model["_takes_"], {})
    able = [kind for kind in SETS if kind in takes and (kind == "baskets") == (model["_tasks_"] == ["rules"])]
    return able[:1] if "table" in able else able


def whole(path: Path) -> dict:
    """A file of conf/model, with what it takes from others by `defaults: - shared/net@_here_`."""
    own = read(path)
    shared = [line.removesuffix("@_here_") for line in own.get("defaults", []) if str(line).endswith("@_here_")]
    return {key: value for name in shared for key, value in read(CONF / f"model/{name}.yaml").items()} | own


FILES = {path.stem: whole(path) for path in sorted((CONF / "model").glob("*.yaml"))}
CASES = [
    (name, task, kind)
    for name, file in FILES.items()
    if {"_tasks_", "_takes_"} <= file.keys()  # without them the next test fails
    for task in file["_tasks_"]
    for kind in kinds(file)
]
NETS = [  # ours, which learn in the same way
    (name, kind)
    for name, kind in [
        ("autoencoder", "table"), ("cnn", "image"), ("mlp", "image"), ("mlp", "table"), ("regression_mlp", "table"),
        ("regression_rnn", "sequence"), ("rnn", "sequence"), ("rnn", "text"),
    ]
    if name in FILES
]  # fmt: skip


@cache
def rows(task: str, kind: str) -> Dataset:
    """Made-up rows; for a regression the numbers of their classes."""
    data = prepared("birds" if (task, kind) == ("clustering", "table") else SETS[kind])
    if task != "regression":
        return data
    numbers = {label: float(n) for n, label in enumerate(np.unique(data.train.y))}
    parts = (Part(part.X, np.array([numbers[label] for label in part.y]), part.rows) for _, part in data.parts())
    return Dataset({**data.info, "task": task}, *parts)


@cache
def composed(name: str, task: str, kind: str, *overrides: str) -> DictConfig:
    return compose.compose("experiment=null", f"data={SETS[kind]}", f"model={name}", f"task={task}", *overrides)


def fit(cfg: DictConfig, train: Part, val: Part) -> Pipeline:
    settings = compose.decisive(cfg)
    pipeline = pipelines.build(settings["steps"], settings["model"])
    pipelines.fit(pipeline, cfg.task, train, val, lambda *_: None)
    return pipeline


def answer(pipeline: Pipeline, task: str, part: Part) -> np.ndarray:
    found = tasks.find(task).predict(pipeline, part)
    probabilities = getattr(found, "probabilities", None)
    return found.predicted if probabilities is None else probabilities


@pytest.mark.parametrize("name", FILES)
def test_every_model_says_what_it_does_and_which_data_it_takes(name: str) -> None:
    assert name in {case[0] for case in CASES}, (
        f"conf/model/{name}.yaml: `_tasks_` should list files of tasks/, and `_takes_` be a key of "
        "conf/preprocessing/default.yaml that has steps for such data"
    )


@pytest.mark.parametrize(("name", "task", "kind"), CASES)
def test_the_same_seed_gives_the_same_bits_and_a_saved_model_the_same_answers(
    name: str, task: str, kind: str, tmp_path: Path
) -> None:
    quick = ["trainer.max_epochs=1", *(["model.n_estimators=10"] if "n_estimators" in FILES[name] else [])]
    cfg, few = composed(name, task, kind, *quick), cut(rows(task, kind), 60)
    one, two = (fit(cfg, few.train, few.val) for _ in range(2))
    pipelines.save(one, tmp_path / "model.skops")
    loaded = pipelines.load(tmp_path / "model.skops", cfg.trusted)
    for other in (two, loaded):
        np.testing.assert_array_equal(answer(one, task, few.test), answer(other, task, few.test))


@cache
def learned(name: str, kind: str) -> tuple[Pipeline, Part, torch.Tensor]:
    """A pipeline that saw 32 rows often, those rows, and what its network gets of them."""
    task, few = FILES[name]["_tasks_"][0], np.arange(32)
    part = rows(task, kind).train
    some = part.take(few * len(part) // 32)
    dropout = ["model.net_params.dropout=0"] if "dropout" in FILES[name].get("net_params", {}) else []
    pipeline = fit(composed(name, task, kind, *BY_HEART, *dropout), some, some)
    return pipeline, some, torch.from_numpy(np.float32(pipeline[:-1].transform(some.X)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), NETS)
def test_every_net_learns_32_rows_by_heart(name: str, kind: str) -> None:
    """Labels to the last one; numbers and drawings but for a tenth of their variance."""
    pipeline, rows, X = learned(name, kind)
    if FILES[name]["_tasks_"] == ["classification"]:
        assert (pipeline.predict(rows.X) == rows.y).all()
        return
    regression = hasattr(pipeline[-1], "scale_")
    wanted, given = (
        (rows.y, pipeline.predict(rows.X)) if regression else (X.numpy(), pipeline[-1].net_(X).detach().numpy())
    )
    assert np.square(wanted - given).mean() < 0.1 * wanted.var(0).mean()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), NETS)
def test_gradients_reach_every_parameter_of_every_net(name: str, kind: str) -> None:
    pipeline, _, X = learned(name, kind)
    net = pipeline[-1].net_
    net.zero_grad()
    net(X).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [pair for pair in NETS if "rnn" in pair[0]])
def test_steps_of_padding_change_no_answer_of_a_recurrent_net(name: str, kind: str) -> None:
    pipeline, _, X = learned(name, kind)
    longer = torch.cat([X, torch.full((len(X), 4, X.shape[2]), torch.nan)], 1)
    torch.testing.assert_close(pipeline[-1].net_(longer), pipeline[-1].net_(X))
