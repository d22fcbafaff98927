"""One table for each data set: nets, mining and baselines on the same rows, ranked by the validation rows.

make compare
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deepmine import tasks
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import folders
from deepmine.runs import ranking, record
from deepmine.runs.record import Record

FILES = {"compare.md": "# Comparison", "*.csv": ""}  # of out/compare
RULE = "Ranked by the validation rows, or by the folds where every run has them; test scores rank nothing."


def main(cfg: DictConfig, only: str = "") -> None:
    """Print the tables and write them to out/compare; by hand (`chain`) with the runs in out/adhoc too.

    Args:
        cfg: the composed config.
        only: print the tables of this data set alone.
    """
    runs = record.find_all(Path(cfg.paths.out), ("runs", "adhoc") if cfg.chain else ("runs",))
    finished = [run for run in runs if run.status["status"] == "FINISHED" and run.metrics]
    if not finished:
        raise UserError(f"There is nothing to compare in {cfg.paths.out}/runs yet. Train something: make train")
    tables = {name: leaderboard(group) for name, group in comparable(finished).items()}
    folder = Path(cfg.paths.out) / "compare"
    write(tables, folder)
    for name, table in tables.items():
        if only in ("", name.partition(",")[0]):
            Console().print(_printed(name, table))
    print(f"{RULE} All scores: {folder}/compare.md")
    for run in [run for run in runs if run not in finished]:
        print(f"left out: {run.folder} ({run.status['status']}, {run.status.get('reason', 'not evaluated')})")


def comparable(runs: Iterable[Record]) -> dict[str, list[Record]]:
    """Runs grouped by what their scores were measured on: the task, the rows and, where it matters, the space."""
    groups: dict[tuple[str, str, str, str], list[Record]] = defaultdict(list)
    for run in runs:
        folder, task = Path(run.provenance["data"]["dataset"]).name, run.config["task"]
        space = compose.digest(run.config["steps"]) if tasks.find(task).in_transformed_space else ""
        groups[folder, task, run.provenance["data"]["digest"], space].append(run)
    names: dict[str, list[Record]] = {}
    for (folder, task, digest, space), group in sorted(groups.items()):
        name = f"{folder}, {task}" + (f" after {', '.join(group[0].config['steps'])}" if space else "")
        names[f"{name} ({digest[:6]} {space[:6]})" if name in names else name] = group
    return names


def leaderboard(runs: list[Record]) -> pd.DataFrame:
    """Scores of comparable runs, best first: the one that ranks, `val_...`, over the folds, `cv_...`, and that of each
    run's own baseline on the test rows, `baseline_...`; all test scores; `fit_seconds`. Empty columns are left out.
    """
    task = runs[0].config["task"]
    first, *others = tasks.find(task).columns
    rows = {}
    for run in ranking.ranked(runs, task):
        scores = run.metrics
        mean, deviation = scores.get(f"cv/{first}"), scores.get(f"cv/{first}_std")
        rows[run.folder.name] = {
            "model": run.config["choices"]["model"],
            f"val_{first}": scores.get(f"val/{first}"),
            f"cv_{first}": None if mean is None else f"{mean:.3f} ± {deviation:.3f}",
            **{f"test_{key}": scores.get(f"test/{key}") for key in (first, *others)},
            f"baseline_{first}": scores.get(f"baseline/test/{first}"),
            "fit_seconds": run.training.get("fit_seconds"),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run").dropna(axis=1, how="all")


def write(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Each table as CSV, and all as Markdown in compare.md."""
    with folders.rebuilt(folder, FILES) as new:
        _write(tables, new)


def _write(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    text = ["# Comparison", "", RULE]
    for name, table in tables.items():
        table.to_csv(folder / f"{name.replace(', ', '-').replace(' ', '-')}.csv", lineterminator="\n")
        header, *rows = _cells(table)
        lines = [header, ["---", "---", *["---:"] * (len(header) - 2)], *rows]
        text += ["", f"## {name}", "", *("| " + " | ".join(map(tasks.escaped, line)) + " |" for line in lines)]
    (folder / "compare.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def _printed(name: str, table: pd.DataFrame) -> Table:
    """The score that ranks, in 80 columns: on validation rows, over folds, on test rows and of the baseline."""
    first = str(table.columns[1]).removeprefix("val_")
    parts = [part for part in ("val", "cv", "test", "baseline") if f"{part}_{first}" in table]
    _, *rows = _cells(table[[f"{part}_{first}" for part in parts]])
    title = f"{name}: {first.replace('_', ' ')}"
    printed = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    printed.add_column("run", no_wrap=True)
    for part in parts:
        printed.add_column(part.replace("cv", "folds"), justify="right", no_wrap=True)
    for row in rows:
        printed.add_row(*row)
    return printed


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """Header and rows as text; `fit_seconds` with two decimals, scores with four."""
    columns = [[_cell(value, 2 if column == "fit_seconds" else 4) for value in table[column]] for column in table]
    return [["run", *table.columns], *map(list, zip(map(str, table.index), *columns, strict=True))]


def _cell(value: Any, digits: int) -> str:
    if pd.isna(value):
        return ""
    return value if isinstance(value, str) else f"{value:.{digits}f}"


def run() -> None:
    """Run this verb with the overrides of the command line."""
    compose.run(main, trains=False)
