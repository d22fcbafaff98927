"""Score a trained model on every part of its data beside a baseline, and report what it found.

make evaluate experiment=titanic_tree
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from deepmine import ROOT, tasks
from deepmine.commands import publish
from deepmine.config.errors import UserError
from deepmine.data import dataset, folders
from deepmine.data.dataset import Dataset
from deepmine.runs import ranking, record
from deepmine.runs.record import Record

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def main(cfg: DictConfig) -> None:
    """Write metrics.json and evaluation/ into the record."""
    run = record.find(Path(cfg.folders.run))
    with folders.locked(run.folder, patience=0), publish.afterwards(run, cfg):
        evaluate(run, cfg.trusted)
        show(run)


def evaluate(run: Record, trusted: Sequence[str]) -> None:
    """Score the model of a record on the data that it was trained on (UserError: they changed), and report."""
    from deepmine import figures

    with record.evaluation(run) as folder:
        task, seed = tasks.find(run.config["task"]), run.config["seed"]
        pipeline, data = opened(run, trusted)
        parts = {name: task.predict(pipeline, part) for name, part in data.parts()}
        parts = task.enrich(pipeline, data, parts, seed)
        scores = task.scores(data, parts, seed)
        found = task.report(pipeline, data, parts, scores)
        _write_predictions(folder / "predictions.csv", data, parts["test"])
        figures.draw(folder / "figures", chain(found.figures, figures.learning_curves(run.curves)))
        (folder / "curves").mkdir()
        for name, table in figures.curves(run.curves):
            table.to_csv(folder / f"curves/{name}.csv", index=False, lineterminator="\n")
        first = [line for line in (found.hint, task.no_better(scores)) if line]
        _write_knowledge(folder / "knowledge", run.name, [*first, *found.findings], found.tables)
        record.write_json(run.folder / "metrics.json", scores | run.cross_validation.get("scores", {}))
        print(*first, sep="\n", end="\n" if first else "")


def opened(run: Record, trusted: Sequence[str]) -> "tuple[Pipeline, Dataset]":
    """The model of a record and the data set that it was trained on; UserError: one is damaged, or has changed."""
    from deepmine.models import pipelines

    made_on = run.provenance["data"]
    data = dataset.load(ROOT / made_on["dataset"])
    if data.info["digest"] != made_on["digest"]:
        raise UserError(f"{made_on['dataset']} has changed since {run.folder} was trained on it. Train again.")
    return pipelines.load(run.folder / "model.skops", trusted), data


def show(run: Record) -> None:
    """Print the final scores: train, validation and test side by side, the baseline's, and those of the folds."""
    settings, scores = run.config, run.metrics
    columns = {f"{part}/": part for part in dataset.PARTS} | {"baseline/test/": "baseline (test)"}
    keys = tasks.find(settings["task"]).columns
    cells = {name: [f"{scores[p + k]:.4f}" if p + k in scores else "" for k in keys] for p, name in columns.items()}
    if folds := run.cross_validation.get("folds"):
        cells[f"{len(folds)} folds"] = [ranking.over_folds(scores, key) or "" for key in keys]
    index = pd.Index([key.replace("_", " ") for key in keys], name="metric")
    print_table(f"{settings['choices']['model']} on {settings['choices']['data']}", pd.DataFrame(cells, index))


def print_table(title: str, cells: pd.DataFrame) -> None:
    """Print a table of texts, with its index as the first column."""
    columns = [Column(str(name), justify="right", no_wrap=True) for name in cells]
    table = Table(Column(str(cells.index.name), no_wrap=True), *columns, title=title, title_justify="left")
    table.box, table.pad_edge, table.collapse_padding = SIMPLE_HEAD, False, True
    for row in cells.itertuples():
        table.add_row(*row)
    Console().print(table)


def _write_predictions(path: Path, data: Dataset, some: tasks.Predicted) -> None:
    """One line for each test row: its id, the target, what was predicted, and what the task adds."""
    predicted = {"predicted": some.predicted} if some.predicted.ndim == 1 else {}
    table = pd.DataFrame({"row": data.test.rows, "actual": some.y, **predicted, **some.columns})
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def _write_knowledge(folder: Path, name: str, findings: list[str], tables: dict[str, pd.DataFrame]) -> None:
    """Each table as CSV, and knowledge.md: the findings, then the first rows of each table."""
    folder.mkdir()
    text = [f"# {name}", "", *(f"- {tasks.escaped(finding)}" for finding in findings)]
    for title, table in tables.items():
        table.to_csv(folder / f"{title}.csv", index=False, float_format="%.6g", lineterminator="\n")
        text += ["", f"## {title.replace('_', ' ')}", "", *tasks.markdown(table.head(20))]
        text += [f"\n{len(table) - 20} more rows in {title}.csv."] if len(table) > 20 else []
    (folder / "knowledge.md").write_text("\n".join(text) + "\n", encoding="utf-8")
