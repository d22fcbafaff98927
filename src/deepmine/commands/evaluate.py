"""Score a trained model on every part of its data beside a baseline, and report what it found.

make evaluate experiment=titanic_tree
"""

import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from deepmine import tasks
from deepmine.commands import publish
from deepmine.config import exits
from deepmine.data import dataset, folders
from deepmine.runs import looks, ranking, record


def main(cfg: DictConfig) -> None:
    """Write metrics.json and evaluation/ into the record; in the pipeline also the scores that git keeps."""
    run = record.find(Path(cfg.folders.run))
    with folders.locked(run.folder, patience=0), exits.refusals(), publish.following(run, cfg):
        score(run, cfg)
    if not cfg.chain:
        record.write_json(Path(cfg.paths.out, "scores", f"{run.provenance['name']}.json"), lasting(run))


def score(run: record.Record, cfg: DictConfig) -> None:
    """Evaluate a record, note the look at the test rows, and print the scores."""
    evaluate(run, cfg.trusted)
    looks.note(Path(cfg.paths.out), run)
    show(run)


def evaluate(run: record.Record, trusted: Sequence[str]) -> None:
    """Score the model of a record on the data that it was trained on (UserError: they changed), and report."""
    with record.evaluation(run) as folder:
        from deepmine import figures

        task, seed = tasks.find(run.config["task"]), run.config["seed"]
        pipeline, data = run.opened(trusted)
        parts = {name: task.predict(pipeline, part) for name, part in data.parts()}
        parts = task.enrich(pipeline, data, parts, seed)
        scores = task.scores(data, parts, seed)
        found = task.report(pipeline, data, parts, scores)
        test = parts["test"]
        table = pd.DataFrame({"row": data.test.rows, "actual": test.y, **test.answers})
        table.to_csv(folder / "predictions.csv", index=False, float_format="%.6g", lineterminator="\n")
        figures.draw(folder / "figures", chain(found.figures, figures.learning_curves(run.curves)))
        (folder / "curves").mkdir()
        for name, table in figures.curves(run.curves):
            table.to_csv(folder / f"curves/{name}.csv", index=False, lineterminator="\n")
        first = [line for line in (found.hint, task.no_better(scores)) if line]
        _write_knowledge(folder / "knowledge", run.provenance["name"], [*first, *found.findings], found.tables)
        record.write_json(run.folder / "metrics.json", scores | run.cross_validation.get("scores", {}))
        print(*first, sep="\n", end="\n" if first else "")


def lasting(run: record.Record) -> dict[str, float | str]:
    """The scores to four digits, as far as processors agree; `made_on` for a net, which each kind trains otherwise."""
    scores = {key: x if x.is_integer() else float(f"{round(x, 9):.4g}") for key, x in run.metrics.items()}
    made_on = {"made_on": device} if (device := run.provenance["device"]) else {}
    return {**made_on, **scores}


def show(run: record.Record) -> None:
    """Print the final scores: train, validation and test side by side, the baseline's, and those of the folds."""
    settings, scores = run.config, run.metrics
    columns = {f"{part}/": part for part in dataset.PARTS} | {"baseline/test/": "baseline (test)"}
    keys = tasks.find(settings["task"]).columns
    cells = pd.DataFrame({name: [scores.get(part + key) for key in keys] for part, name in columns.items()})
    cells.index = pd.Index([key.replace("_", " ") for key in keys], name="metric")
    if folds := run.cross_validation.get("folds"):
        cells[f"{len(folds)} folds"] = [ranking.over_folds(scores, key) for key in keys]
    print_table(f"{settings['choices']['model']} on {settings['choices']['data']}", cells.dropna(axis=1, how="all"))


def print_table(title: str, cells: pd.DataFrame) -> None:
    """Print scores, with the index as the first column."""
    cells = cells.fillna(math.nan).rename_axis(index=None, columns=str(cells.index.name))
    print(f"{title}\n\n{cells.to_string(float_format='{:.4f}'.format, na_rep='')}\n")


def _write_knowledge(folder: Path, name: str, findings: list[str], tables: dict[str, pd.DataFrame]) -> None:
    """Each table as CSV, and knowledge.md: the findings, then the first rows of each table."""
    folder.mkdir()
    text = [f"# {name}", "", *(f"- {tasks.escaped(finding)}" for finding in findings)]
    for title, table in tables.items():
        table.to_csv(folder / f"{title}.csv", index=False, float_format="%.6g", lineterminator="\n")
        text += ["", f"## {title.replace('_', ' ')}", "", *tasks.markdown(table.head(20))]
        text += [f"\n{len(table) - 20} more rows in {title}.csv."] if len(table) > 20 else []
    (folder / "knowledge.md").write_text("\n".join(text) + "\n", encoding="utf-8")
