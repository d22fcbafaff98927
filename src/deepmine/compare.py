"""One table for each data set: nets, mining and the baseline, the same rows, the same scores, best first.

make compare
"""

import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deepmine import config, metrics, record
from deepmine.errors import UserError
from deepmine.record import Record


def main(cfg: DictConfig) -> None:
    """Print the tables and write them to out/compare; by hand (`chain`) with the single runs in out/adhoc too."""
    kinds = ("runs", "adhoc") if cfg.chain else ("runs",)
    runs = record.find_all(Path(cfg.paths.out), kinds)
    finished = [run for run in runs if run.status["status"] == "FINISHED" and run.metrics]
    if not finished:
        raise UserError(f"There is nothing to compare in {cfg.paths.out}/runs yet. Train something: make train")
    tables = {name: leaderboard(group) for name, group in by_rows(finished).items()}
    write(tables, Path(cfg.paths.out) / "compare")
    for name, table in tables.items():
        show(name, table)
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
    """The test scores of runs on the same rows, and of the baseline, best first; `fit_seconds` last."""
    task = runs[0].config["task"]
    columns = metrics.columns(task)
    rows = {run.folder.name: _row(run, "test", columns) for run in runs}
    if any(key.startswith("baseline/") for key in runs[0].metrics):
        rows["baseline"] = {**_row(runs[0], "baseline/test", columns), "model": "baseline", "fit_seconds": None}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")
    return table.sort_values(columns[0], ascending=not metrics.higher_is_better(task, columns[0]), kind="stable")


def write(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Each table as CSV, and all as Markdown in compare.md."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = ["# Comparison", "", "Scores of the test rows, best first."]
    for name, table in tables.items():
        table.to_csv(folder / f"{name.replace(', ', '-').replace(' ', '-')}.csv", lineterminator="\n")
        header, rows = _cells(table)
        lines = [header, ["---", "---", *["---:"] * (len(header) - 2)], *rows]
        text += ["", f"## {name}", "", *("| " + " | ".join(line) + " |" for line in lines)]
    (folder / "compare.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def show(name: str, table: pd.DataFrame) -> None:
    """Print one table."""
    header, rows = _cells(table)
    printed = Table(title=name, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in header[:1] + header[2:]:  # the run's name tells the model
        printed.add_column(column.replace("_", " "), justify="left" if column == "run" else "right", overflow="fold")
    for run, _, *scores in rows:
        printed.add_row(run, *scores, style="dim" if run == "baseline" else None)
    Console().print(printed)


def _row(run: Record, prefix: str, columns: Iterable[str]) -> dict[str, str | float | None]:
    scores = {column: run.metrics.get(f"{prefix}/{column}") for column in columns}
    return {"model": run.config["choices"]["model"], **scores, "fit_seconds": run.training.get("fit_seconds")}


def _cells(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows as text; the column `fit_seconds` with two decimals, scores with four."""
    rows = []
    for run, row in table.iterrows():
        seconds = "" if pd.isna(row["fit_seconds"]) else f"{row['fit_seconds']:.2f}"
        scores = ["" if pd.isna(v) else f"{v:.4f}" for v in row.iloc[1:-1]]
        rows.append([str(run), str(row["model"]), *scores, seconds])
    return ["run", *table.columns], rows


if __name__ == "__main__":
    config.run(main, trains=False)
