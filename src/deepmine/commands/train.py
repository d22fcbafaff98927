"""Fit one experiment's model and leave a run record. The default: a small network on handwritten digits.

make train experiment=titanic_tree model.max_depth=4
"""

import sys
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from deepmine.commands import prepare
from deepmine.config import compose, exits

NEXT = """Next:
  make compare      all runs in one table for each data set
  make ui           the same in MLflow, with curves, pictures and models
"""


def main(cfg: DictConfig) -> None:
    """Write a record; by hand (`chain`) say what to do next, and after a sweep only once."""
    folder = train(cfg)
    if cfg.chain and not cfg.trial:
        print(f"The record of this run is {folder}. {NEXT}")


def train(cfg: DictConfig) -> Path:
    """Write a record, and return its folder; by hand also prepare what is stale before, and evaluate after."""
    if cfg.chain:
        prepare.ensure(cfg)
    from deepmine.commands import evaluate, publish
    from deepmine.data import dataset
    from deepmine.models import pipelines
    from deepmine.runs import provenance, record, resuming

    settings, data_folder, place = compose.decisive(cfg), Path(cfg.folders.dataset), Path(cfg.folders.run)
    digest, drafts = dataset.require_info(data_folder)["digest"], Path(cfg.paths.out, "adhoc")
    pipeline = pipelines.build(settings["steps"], settings["model"], cfg.trusted)
    begun = resuming.find(place, drafts, settings, digest, cfg.trial) if cfg.resume else None
    place = begun.folder if begun and begun.provenance["name"] != place.name else place
    with record.claimed(place, drafts, begun.folder if begun else None) as folder:
        if begun:
            run = resuming.go_on(begun)
        else:
            raw = Path(cfg.paths.data, cfg.data.folder)
            origin = provenance.collect(data_folder, digest, raw, cfg.trial, place.name)
            run = record.start(folder, {"choices": dict(cfg.choices), **settings}, *origin)
        with exits.refusals(), publish.following(run, cfg, only_failures=not cfg.chain):
            if run.training["status"] != "FINISHED":
                fit(run, pipeline, cfg)
            (run.folder / record.CHECKPOINT).unlink(missing_ok=True)
            if cfg.chain and not (run.metrics and run.status["status"] == "FINISHED"):
                evaluate.score(run, cfg)
            run.move(place)
    return run.folder


def fit(run: Any, pipeline: Any, cfg: DictConfig) -> None:
    """Fit the folds, if there are any, and the model, from where the run's record was left; save it there."""
    from deepmine.data import dataset
    from deepmine.models import pipelines
    from deepmine.runs import cross_validation, record

    checkpoint = run.folder / record.CHECKPOINT
    with record.status(run.folder / "status.json", "train") as status:
        data = dataset.load(Path(cfg.folders.dataset))
        if cfg.cv:
            cross_validation.run(run.folder, pipeline, cfg.task, data, cfg.cv)
        if "torch" in sys.modules:
            import deepmine.models.training  # noqa: F401 (Lightning's import is no part of a fit's time)
        begin = time.perf_counter()
        pipelines.fit(pipeline, cfg.task, data.train, data.val, run.log, checkpoint)
        status["fit_seconds"] = round(time.perf_counter() - begin, 3)
        pipelines.save(pipeline, run.folder / "model.skops", cfg.trusted)
