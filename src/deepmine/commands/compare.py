"""One table for each data set: nets, mining and the baseline, the same rows, the same scores, best first.

make compare
"""

import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.runs import record
from deepmine.runs.record import Record
from deepmine.tasks import metrics


def main(cfg: DictConfig, only: str = "") -> None:
    """Print the tables and write them to out/compare; by hand (`chain`) with the single runs in out/adhoc too.

    Args:
        cfg: the stage's config.
        only: print those of one data set.
    """
    kinds = ("runs", "adhoc") if cfg.chain else ("runs",)
    runs = record.find_all(Path(cfg.paths.out), kinds)
    finished = [run for run in runs if run.status["status"] == "FINISHED" and run.metrics]
    if not finished:
        raise UserError(f"There is nothing to compare in {cfg.paths.out}/runs yet. Train something: make train")
    tables = {name: leaderboard(group) for name, group in by_rows(finished).items()}
    write(tables, Path(cfg.paths.out) / "compare")
    for name, table in tables.items():
        if only in ("", name.partition(",")[0]):
            show(name, table, Path(cfg.paths.out) / "compare")
    for run in [run for run in runs if run not in finished]:
        print(f"left out: {run.folder} ({run.status['status']}, {run.status.get('reason', 'not evaluated')})")


def by_rows(runs: Iterable[Record]) -> dict[str, list[Record]]:
    """Runs that can be compared: the same task on the same rows, by a name for the group."""
    groups: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for run in runs:
        folder = Path(run.passport["data"]["dataset"]).name
        groups[folder, run.config["task"], run.passport["data"]["digest"]].append(run)
    names: dict[str, list[Record]] = {}
    for (folder, task, digest), group in groups.items():
        name = f"{folder}, {task}"
        names[f"{name}, rows {digest[:6]}" if name in names else name] = group
    return names


def leaderboard(runs: list[Record]) -> pd.DataFrame:
    """The test scores of runs on the same rows, and of the baseline, best first; then, where a run has folds, the
    mean and the standard deviation over them (`cv_<score>`) of the score that ranks; `fit_seconds` last.
    """
    task = runs[0].config["task"]
    columns = metrics.columns(task)
    rows = {run.folder.name: _row(run, "test", columns) for run in runs}
    if any(key.startswith("baseline/") for key in runs[0].metrics):
        missing = dict.fromkeys(("cv", "fit_seconds"))
        rows["baseline"] = {**_row(runs[0], "baseline/test", columns), "model": "baseline", **missing}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")
    table = table.rename(columns={"cv": f"cv_{columns[0]}"}) if table["cv"].any() else table.drop(columns="cv")
    return table.sort_values(columns[0], ascending=not metrics.higher_is_better(task, columns[0]), kind="stable")


def write(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Each table as CSV, and all as Markdown in compare.md."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    text = ["# Comparison", "", "Scores of the test rows, best first."]
    for name, table in tables.items():
        table.to_csv(folder / f"{name.replace(', ', '-').replace(' ', '-')}.csv", lineterminator="\n")
        header, rows = _cells(table)
        lines = [header, ["---", "---", *["---:"] * (len(header) - 2)], *rows]
        text += ["", f"## {name}", "", *("| " + " | ".join(line) + " |" for line in lines)]
    (folder / "compare.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def show(name: str, table: pd.DataFrame, folder: Path) -> None:
    """Print one table, as many of its scores as the terminal is wide enough for; all are in `folder`."""
    console = Console()
    wide = console.options.update(width=10 * console.width)  # measured there, a table says what it needs
    shown = table.drop(columns="model")  # the run's name tells it
    while console.measure(_printed(name, shown), options=wide).maximum > console.width and len(shown.columns) > 2:
        shown = shown.drop(columns=shown.columns[-2])
    console.print(_printed(name, shown))
    if left_out := [str(column) for column in table.columns[1:] if column not in shown]:
        names = ", ".join(left_out).replace("_", " ")
        console.print(f" Too wide here, see {folder}/compare.md: {names}\n", style="dim", soft_wrap=True)


def _printed(name: str, table: pd.DataFrame) -> Table:
    """A table whose columns are as narrow as they can be: a header has a line for each word."""
    header, rows = _cells(table)
    printed = Table(title=name, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in header:
        words = column.replace("_", "\n")
        printed.add_column(words, justify="left" if column == "run" else "right", vertical="bottom", no_wrap=True)
    for run, *values in rows:
        printed.add_row(run, *values, style="dim" if run == "baseline" else None)
    return printed


def _row(run: Record, prefix: str, columns: Iterable[str]) -> dict[str, str | float | None]:
    """The model, the scores with `cv` after the first, and the seconds."""
    first, *others = [(column, run.metrics.get(f"{prefix}/{column}")) for column in columns]
    mean, deviation = (run.metrics.get(f"cv/{first[0]}{end}") for end in ("", "_std"))
    folds = {"cv": None if mean is None else f"{mean:.3f} ± {deviation:.3f}"}
    return {
        "model": run.config["choices"]["model"],
        **dict([first]),
        **folds,
        **dict(others),
        "fit_seconds": run.training.get("fit_seconds"),
    }


def _cells(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows as text; the column `fit_seconds` with two decimals, scores with four."""
    columns = [[_cell(value, 2 if column == "fit_seconds" else 4) for value in table[column]] for column in table]
    rows = [list(row) for row in zip(map(str, table.index), *columns, strict=True)]
    return ["run", *table.columns], rows


def _cell(value: Any, digits: int) -> str:
    if pd.isna(value):
        return ""
    return value if isinstance(value, str) else f"{value:.{digits}f}"


def run() -> None:
    """Run this verb with the overrides of the command line."""
    compose.run(main, trains=False)
