"""Every file of conf/model on the data that suit its task: a new one is tested by existing.

The pairs of conf/experiment are tested in test_models.py; here are the others, and what every network can do.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import DictConfig
from sklearn.pipeline import Pipeline

from conftest import CONF, EXPERIMENTS, cut, prepared
from deepmine import tasks
from deepmine.config import compose
from deepmine.data.dataset import Part
from deepmine.models import pipelines

SUIT = {  # images, sequences, texts and tables where a task takes all kinds
    "classification": ("mnist5k", "japanese_vowels", "census_names", "titanic"),
    "clustering": ("penguins",),
    "decomposition": ("mnist5k", "penguins"),
    "anomalies": ("penguins",),
    "regression": ("sunspots",),
    "rules": ("online_retail_customers",),
}
ONLY = {  # what is made for some kinds, or for many columns
    "cnn": ("mnist5k",),
    "rnn": ("mnist5k", "japanese_vowels", "census_names"),
}
BY_HEART = [
    "model.batch_size=32", "model.lr=0.01", "model.schedule=constant", "model.augment=null",
    "model.net_params.dropout=0", "trainer.max_epochs=200",
]  # fmt: skip


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def pairs() -> list[tuple[str, str]]:
    """A model and a data set each."""
    files = {path.stem: read(path) for path in sorted((CONF / "model").glob("*.yaml"))}
    return [(name, d) for name, file in files.items() for t in file["_tasks_"] for d in ONLY.get(name, SUIT[t])]


def listed() -> set[tuple[str, str]]:
    """Those of conf/experiment."""
    choices = []
    for name in EXPERIMENTS:
        lines = [line for line in read(CONF / f"experiment/{name}.yaml")["defaults"] if isinstance(line, dict)]
        chosen = {key.split("/")[-1]: value for line in lines for key, value in line.items()}
        choices.append((chosen.get("model", "mlp"), chosen.get("data", "mnist5k")))
    return set(choices)


NETS = [(name, data) for name, data in pairs() if "net" in read(CONF / f"model/{name}.yaml")]


@cache
def composed(name: str, data: str, *overrides: str) -> DictConfig:
    [task] = read(CONF / f"model/{name}.yaml")["_tasks_"]
    return compose.compose("~experiment", f"data={data}", f"model={name}", f"task={task}", *overrides)


def fit(cfg: DictConfig, train: Part, val: Part) -> Pipeline:
    settings = compose.decisive(cfg)
    pipeline = pipelines.build(settings["steps"], settings["model"])
    pipelines.fit(pipeline, cfg.task, train, val, lambda *_: None)
    return pipeline


def answer(pipeline: Pipeline, task: str, part: Part) -> np.ndarray:
    found = tasks.find(task).predict(pipeline, part)
    probabilities = getattr(found, "probabilities", None)
    return found.predicted if probabilities is None else probabilities


@pytest.mark.parametrize(("name", "data"), sorted(set(pairs()) - listed()))
def test_the_same_seed_gives_the_same_bits_and_a_saved_model_the_same_answers(
    name: str, data: str, tmp_path: Path
) -> None:
    cfg, few = composed(name, data, "trainer.max_epochs=2"), cut(prepared(data), 60)
    one, two = (fit(cfg, few.train, few.val) for _ in range(2))
    pipelines.save(one, tmp_path / "model.skops")
    loaded = pipelines.load(tmp_path / "model.skops", cfg.trusted)
    for other in (two, loaded):
        np.testing.assert_array_equal(answer(one, cfg.task, few.test), answer(other, cfg.task, few.test))


@cache
def learned(name: str, data: str) -> tuple[Pipeline, Part, torch.Tensor]:
    """A pipeline that saw 32 rows often, those rows, and what its network gets of them."""
    part = cut(prepared(data), 32).train
    X = part.X.iloc[:32] if hasattr(part.X, "iloc") else part.X[:32]
    rows = Part(X, None if part.y is None else part.y[:32], part.rows[:32])
    pipeline = fit(composed(name, data, *BY_HEART), rows, rows)
    return pipeline, rows, torch.from_numpy(np.float32(pipeline[:-1].transform(rows.X)))


@pytest.mark.parametrize(("name", "data"), NETS)
def test_every_net_learns_32_rows_by_heart(name: str, data: str) -> None:
    """Labels to the last one; numbers and drawings but for a tenth of their variance."""
    pipeline, rows, X = learned(name, data)
    if composed(name, data, *BY_HEART).task == "classification":
        assert (pipeline.predict(rows.X) == rows.y).all()
        return
    regression = hasattr(pipeline[-1], "scale_")
    wanted, given = (
        (rows.y, pipeline.predict(rows.X)) if regression else (X.numpy(), pipeline[-1].net_(X).detach().numpy())
    )
    assert np.square(wanted - given).mean() < 0.1 * wanted.var(0).mean()


@pytest.mark.parametrize(("name", "data"), NETS)
def test_gradients_reach_every_parameter_of_every_net(name: str, data: str) -> None:
    pipeline, _, X = learned(name, data)
    net = pipeline[-1].net_
    net.zero_grad()
    net(X).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize(("name", "data"), [pair for pair in NETS if "rnn" in pair[0] and pair[1] != "mnist5k"])
def test_steps_of_padding_change_no_answer_of_a_recurrent_net(name: str, data: str) -> None:
    pipeline, _, X = learned(name, data)
    longer = torch.cat([X, torch.full((len(X), 4, X.shape[2]), torch.nan)], 1)
    torch.testing.assert_close(pipeline[-1].net_(longer), pipeline[-1].net_(X))
