"""Every file of conf/, tested by existing: what must hold for anybody's data set, experiment, model and steps.

It composes, it can be built, and a model learns made-up rows of its tasks and kinds (test_estimators.py). The slow
tests use what is in data/: every data set prepares, and every experiment learns some of its own rows.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.dummy import DummyClassifier

from checkout import REPOSITORY
from conftest import cut, prepared
from deepmine import tasks
from deepmine.config import check, compose
from deepmine.data.dataset import Dataset
from deepmine.data.preparing import prepare
from deepmine.models import pipelines

CONF = REPOSITORY / "conf"
KINDS = {"table": "ferry", "image": "digits", "sequence": "voices", "text": "first_names"}


def files(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the checkout instead of those of the tests."""
    monkeypatch.setattr(compose, "CONF", CONF)
    monkeypatch.setattr(check, "ROOT", REPOSITORY)


def data_settings(name: str) -> dict[str, Any]:
    return compose.plain(compose.compose("experiment=null", f"data={name}", trains=False))["data"]


@pytest.mark.parametrize("name", files("data"))
def test_every_data_set_composes(name: str, ours: None) -> None:
    assert data_settings(name)["folder"], f"conf/data/{name}.yaml"


@pytest.mark.parametrize("name", files("experiment"))
def test_every_experiment_composes_and_can_be_built(name: str, ours: None) -> None:
    cfg = compose.compose(f"experiment={name}")
    listed = name in compose.pipeline()["experiments"]
    place = f"out/runs/{name}" if listed else f"out/adhoc/{cfg.choices.data}-{cfg.choices.model}-"
    assert cfg.folders.run.startswith(place), f"conf/experiment/{name}.yaml"
    settings = compose.decisive(cfg)
    pipelines.build(settings["steps"], settings["model"])


def test_the_pipeline_names_files(ours: None) -> None:
    listed = compose.pipeline()
    missing = set(listed["experiments"]) - set(files("experiment")) | set(listed["datasets"]) - set(files("data"))
    assert not missing, f"conf/pipeline.yaml names {', '.join(sorted(missing))}, which conf/ lacks: take them out"
    unlisted = {experiment["data"] for experiment in listed["experiments"].values()} - set(listed["datasets"])
    assert not unlisted, f"add to `datasets` in conf/pipeline.yaml: {', '.join(sorted(unlisted))}"


@pytest.mark.parametrize("group", ["trainer", "tracking"])
def test_every_trainer_and_tracker_composes(group: str) -> None:
    for name in files(group):
        compose.compose(f"{group}={name}")


def steps(name: str) -> list[tuple[str, str]]:
    """What a model takes and the kind of data, where the file has steps of its own."""
    own, default = (
        yaml.safe_load((CONF / f"preprocessing/{file}.yaml").read_text(encoding="utf-8")) or {}
        for file in (name, "default")
    )
    return [
        (takes, kind)
        for takes, kinds in own.items()
        if isinstance(kinds, dict)
        for kind in kinds
        if kind in KINDS and (name == "default" or kinds[kind] != default.get(takes, {}).get(kind))
    ]


STEPS = [(name, *place) for name in files("preprocessing") for place in steps(name)]


@pytest.mark.parametrize(("name", "takes", "kind"), STEPS)
def test_every_preprocessing_can_be_fitted(name: str, takes: str, kind: str) -> None:
    few = cut(prepared(KINDS[kind]), 40)
    settings = compose.plain(compose.compose(f"data={KINDS[kind]}", f"preprocessing={name}", trains=False))
    model = {"_target_": f"{DummyClassifier.__module__}.DummyClassifier"}
    pipeline = pipelines.build(settings["preprocessing"][takes][kind], model)
    pipelines.fit(pipeline, "classification", few.train, few.val, lambda *_: None)
    assert len(pipeline.predict(few.test.X)) == len(few.test)


@cache
def own(name: str) -> Dataset:
    """A data set of the checkout, from its raw files."""
    settings = data_settings(name)
    folder = REPOSITORY / "data" / settings["folder"]
    if settings.get("download") and not folder.is_dir():
        pytest.skip(f"data set {name} is not downloaded")
    return prepare.prepare(name, settings, folder).dataset


@pytest.mark.slow
@pytest.mark.parametrize("name", files("data"))
def test_every_data_set_prepares_and_keeps_its_contract(name: str, ours: None) -> None:
    rows = np.concatenate([part.rows for _, part in own(name).parts()])
    assert len(np.unique(rows)) == len(rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", files("experiment"))
def test_every_experiment_learns_is_saved_and_says_what_it_found(name: str, ours: None, tmp_path: Path) -> None:
    cfg = compose.compose(f"experiment={name}", "trainer.max_epochs=2")
    settings, data, task = compose.decisive(cfg), cut(own(cfg.choices.data)), tasks.find(cfg.task)
    pipeline = pipelines.build(settings["steps"], settings["model"])
    pipelines.fit(pipeline, cfg.task, data.train, data.val, lambda *_: None)
    parts = {part: task.predict(pipeline, rows) for part, rows in data.parts()}
    assert set(task.columns) <= set(task.score(parts["test"]))
    pipelines.save(pipeline, tmp_path / "model.skops")
    loaded = pipelines.load(tmp_path / "model.skops", cfg.trusted)
    np.testing.assert_array_equal(task.predict(loaded, data.test).predicted, parts["test"].predicted)
    parts = task.enrich(pipeline, data, parts, 0)
    assert 1 <= len(task.report(pipeline, data, parts, task.scores(data, parts, 0)).findings) <= 3
