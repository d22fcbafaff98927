"""Score a trained model on every part of its data beside a baseline, and report what it found.

deepmine evaluate experiment=titanic_tree
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

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


def main(cfg: DictConfig) -> None:
    """Write metrics.json and evaluation/ into the record."""
    run = record.find(Path(cfg.folders.run))
    with folders.locked(run.folder, patience=0), publish.afterwards(run, cfg):
        evaluate(run, cfg.trusted)
        show(run)


def evaluate(run: Record, trusted: Sequence[str]) -> None:
    """Score the model of a record on the data that it was trained on, and report what it found.

    Raises UserError if the prepared data are not those that the model was trained on.
    """
    from deepmine import figures
    from deepmine.models import pipelines

    with record.evaluation(run) as folder:
        data, task, seed = _same_data(run), tasks.find(run.config["task"]), run.config["seed"]
        pipeline = pipelines.load(run.folder / "model.skops", trusted)
        parts = {name: task.predict(pipeline, part) for name, part in data.parts()}
        parts = task.enrich(pipeline, data, parts, seed)
        guess = task.baseline(data, parts, seed)
        scored = parts | ({"baseline/test": guess} if guess else {})
        scores = {f"{name}/{key}": value for name, part in scored.items() for key, value in task.score(part).items()}
        found = task.report(pipeline, data, parts)
        _write_predictions(folder / "predictions.csv", data, parts["test"])
        figures.draw(folder / "figures", chain(found.figures, figures.learning_curves(run.curves)))
        (folder / "curves").mkdir()
        for name, table in figures.curves(run.curves):
            table.to_csv(folder / f"curves/{name}.csv", index=False, lineterminator="\n")
        _write_knowledge(folder / "knowledge", run.name, found)
        record.write_json(run.folder / "metrics.json", scores | run.cross_validation.get("scores", {}))
        print(found.hint, end="\n" if found.hint else "")


def show(run: Record) -> None:
    """Print the final scores: train, validation and test side by side, and the baseline's."""
    settings, scores = run.config, run.metrics
    title = f"{settings['choices']['model']} on {settings['choices']['data']}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric")
    for part in (parts := [*dataset.PARTS, "baseline/test"]):
        table.add_column(part.replace("baseline/test", "baseline (test)"), justify="right")
    if folds := len(run.cross_validation.get("folds", [])):
        table.add_column(f"{folds} folds", justify="right")
    for key in tasks.find(settings["task"]).columns:
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


def _write_predictions(path: Path, data: Dataset, some: tasks.Predicted) -> None:
    """One line for each test row: its id, the target, what was predicted, and what the task adds."""
    table = {"row": data.test.rows, "actual": some.y}
    table |= {"predicted": some.predicted} if some.predicted.ndim == 1 else {}
    table |= some.columns
    pd.DataFrame(table).to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def _write_knowledge(folder: Path, name: str, found: tasks.Report) -> None:
    """Each table as CSV, and knowledge.md: the findings, then the first rows of each table."""
    folder.mkdir()
    text = [f"# {name}", "", *(f"- {tasks.escaped(finding)}" for finding in found.findings)]
    for title, table in found.tables.items():
        table.to_csv(folder / f"{title}.csv", index=False, float_format="%.6g", lineterminator="\n")
        text += ["", f"## {title.replace('_', ' ')}", "", *tasks.markdown(table.head(20))]
        text += [f"\n{len(table) - 20} more rows in {title}.csv."] if len(table) > 20 else []
    (folder / "knowledge.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def run() -> None:
    """Run this verb with the overrides of the command line."""
    compose.run(main)
