"""One table for each data set: nets, mining and baselines on the same rows, ranked by the validation rows.

make compare
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from deepmine import tasks
from deepmine.commands.evaluate import print_table
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import folders
from deepmine.runs import ranking, record

FILES = {"compare.md": "# Comparison", "*.csv": ""}  # of out/compare
RULE = "Ranked by the validation rows, or by the folds where every run has them; test scores rank nothing."


def main(cfg: DictConfig, only: str = "") -> None:
    """Write the tables to out/compare and print them (`only` those of a data set); by hand out/adhoc counts too."""
    runs = record.find_all(Path(cfg.paths.out), ("runs", "adhoc") if cfg.chain else ("runs",))
    finished = [run for run in runs if run.status["status"] == "FINISHED" and run.metrics]
    nothing = f"There is nothing to compare in {cfg.paths.out}/runs yet. Train something: make train"
    if not finished and cfg.chain:  # while a pipeline may hold no experiment yet
        raise UserError(nothing)
    tables = {name: leaderboard(group) for name, group in comparable(finished).items()}
    folder = Path(cfg.paths.out) / "compare"
    write(tables, folder)
    for name, table in tables.items():
        if only in ("", name.partition(",")[0]):
            show(name, table)
    print(f"{RULE} All scores: {folder}/compare.md" if finished else nothing)
    for run in [run for run in runs if run not in finished]:
        if only in ("", run.config["choices"]["data"]):
            reason = run.status.get("reason", "not evaluated").partition("\n")[0]
            print(f"left out: {run.folder} ({run.status['status']}, {reason})")


def comparable(runs: Iterable[record.Record]) -> dict[str, list[record.Record]]:
    """Runs grouped by what their scores were measured on: the task, the rows and, where it matters, the space."""
    groups: dict[tuple[str, str, str], list[record.Record]] = defaultdict(list)
    for run in runs:
        data, task = run.provenance["data"], run.config["task"]
        space = run.config["steps"] if tasks.find(task).in_transformed_space else {}
        name = f"{Path(data['dataset']).name}, {task}" + (f" after {', '.join(space)}" if space else "")
        groups[name, data["digest"], compose.digest(space)].append(run)
    names: dict[str, list[record.Record]] = {}
    for (name, digest, space), group in sorted(groups.items()):
        names[f"{name} ({digest[:6]} {space[:6]})" if name in names else name] = group
    return names


def leaderboard(runs: list[record.Record]) -> pd.DataFrame:
    """Scores of comparable runs, best first, with a remark where one is no better than its own baseline."""
    task = runs[0].config["task"]
    first, *others = tasks.find(task).columns
    rows = {}
    for run in ranking.ranked(runs, task):
        scores = run.metrics
        rows[run.folder.name] = {
            "model": run.config["choices"]["model"],
            f"val_{first}": scores.get(f"val/{first}"),
            f"cv_{first}": ranking.over_folds(scores, first),
            **{f"test_{key}": scores.get(f"test/{key}") for key in (first, *others)},
            f"baseline_{first}": scores.get(f"baseline/test/{first}"),
            "remark": tasks.find(task).no_better(scores) or None,
            "fit_seconds": run.training.get("fit_seconds"),
            "overrides": " ".join(run.overrides) or None,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run").dropna(axis=1, how="all")


def write(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Each table as CSV, and all as Markdown in compare.md."""
    text = ["# Comparison", "", RULE]
    with folders.rebuilt(folder, FILES) as new:
        for name, table in tables.items():
            table.to_csv(new / f"{name.replace(', ', '-').replace(' ', '-')}.csv", lineterminator="\n")
            text += ["", f"## {name}", "", *tasks.markdown(table.reset_index())]
        (new / "compare.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def show(name: str, table: pd.DataFrame) -> None:
    """Print the score that ranks, in 80 columns: on validation rows, over folds, on test rows and of the baseline."""
    first = str(table.columns[1]).removeprefix("val_")
    shown = {f"{part}_{first}": part.replace("cv", "folds") for part in ("val", "cv", "test", "baseline")}
    cells = table[[column for column in shown if column in table]].rename(columns=shown)
    print_table(f"{name}: {first.replace('_', ' ')}", cells)
    if "remark" in table:
        print(*(f"{run}: {remark}" for run, remark in table["remark"].dropna().items()), "", sep="\n")
