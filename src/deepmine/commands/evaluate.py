"""Predict with a trained model, score it on every part beside a baseline, and draw what a person should see.

make evaluate experiment=titanic_tree
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deepmine import tasks
from deepmine.commands import publish
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import dataset, folders
from deepmine.data.dataset import Dataset
from deepmine.runs import record
from deepmine.runs.record import Record
from deepmine.tasks import Knowledge, markdown


def main(cfg: DictConfig) -> None:
    """Write metrics.json and evaluation/ into the record."""
    run = record.find(Path(cfg.folders.run))
    with folders.locked(run.folder, patience=0), publish.afterwards(run, cfg):
        evaluate(run, cfg.trusted)
        show(run)


def evaluate(run: Record, trusted: Sequence[str]) -> None:
    """Score the model of a record on the data that it was trained on, and show what it learned.

    Raises:
        UserError: the prepared data are not those that the model was trained on.
    """
    from deepmine import figures
    from deepmine.models import pipelines
    from deepmine.tasks import metrics

    with record.evaluation(run) as folder:
        settings, data = run.config, _same_data(run)
        task = tasks.find(settings["task"])
        pipeline = pipelines.load(run.folder / "model.skops", trusted)
        outcomes = {name: task.predict(pipeline, part) for name, part in data.parts()}
        if hasattr(task, "enrich"):
            task.enrich(pipeline, data, outcomes, settings["seed"])
        guesses = task.baseline(data, outcomes, settings["seed"])
        scored = {**outcomes, **({"baseline/test": guesses} if guesses else {})}
        scores = {f"{n}/{k}": v for n, a in scored.items() for k, v in metrics.score(settings["task"], **a).items()}
        scores |= run.cross_validation.get("scores", {})
        _write_predictions(folder / "predictions.csv", data.test.rows, outcomes["test"])
        figures.draw(folder / "figures", task.figures(pipeline, data, outcomes))
        figures.draw(folder / "figures", figures.curves_of(run.curves))
        figures.write_curves(folder / "curves", run.curves)
        _write_knowledge(folder / "knowledge", run, scores, task.knowledge(pipeline, data, outcomes))
        record.write_json(run.folder / "metrics.json", scores)
        if hasattr(task, "hint") and (hint := task.hint(pipeline)):
            print(hint)


def show(run: Record) -> None:
    """Print the final scores: train, validation and test side by side, and the baseline's."""
    from deepmine.tasks.metrics import columns

    settings, scores = run.config, run.metrics
    table = Table(
        title=f"{settings['choices']['model']} on {settings['choices']['data']}",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("metric")
    parts = [*dataset.PARTS, "baseline/test"]
    for part in parts:
        table.add_column(part.replace("baseline/test", "baseline (test)"), justify="right")
    folds = len(run.cross_validation.get("folds", []))
    if folds:
        table.add_column(f"{folds} folds", justify="right")
    for key in columns(settings["task"]):
        cells = [f"{scores[f'{p}/{key}']:.4f}" if f"{p}/{key}" in scores else "" for p in parts]
        if f"cv/{key}" in scores:
            cells.append(f"{scores[f'cv/{key}']:.3f} ± {scores[f'cv/{key}_std']:.3f}")
        table.add_row(key.replace("_", " "), *cells)
    Console().print(table)


def _same_data(run: Record) -> Dataset:
    facts = run.provenance["data"]
    data = dataset.load(Path(facts["dataset"]))
    if data.info["digest"] != facts["digest"]:
        raise UserError(
            f"{facts['dataset']} has changed since {run.folder} was trained on it: {data.info['digest']}, "
            f"then {facts['digest']}. Train again."
        )
    return data


def _write_predictions(path: Path, rows: np.ndarray, arrays: dict[str, Any]) -> None:
    """One line per test row: its id, what it is, what was predicted, the probability of each class, and `columns`."""
    table = {"row": rows, "actual": arrays.get("y")}
    table |= {} if np.ndim(arrays["predicted"]) > 1 else {"predicted": arrays["predicted"]}
    table |= arrays.get("columns", {})
    for number, name in enumerate(arrays.get("classes", [])):
        table[f"p_{name}"] = arrays["probabilities"][:, number]
    pd.DataFrame(table).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def _write_knowledge(folder: Path, run: Record, scores: dict[str, float], found: Knowledge) -> None:
    """Each table as CSV, and knowledge.md: the findings, then the tables' first rows."""
    folder.mkdir()
    text = [f"# {run.name}", "", *(f"- {finding}" for finding in found.findings)]
    for name, table in found.tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
        text += ["", f"## {name.replace('_', ' ')}", "", *markdown(table.head(20))]
        text += [f"\n{len(table) - 20} more rows in {name}.csv."] if len(table) > 20 else []
    (folder / "knowledge.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def run() -> None:
    """Run this verb with the overrides of the command line."""
    compose.run(main)
