"""One table for each data set: nets, mining and baselines on the same rows, ranked by the validation rows.

make compare
make compare a=out/runs/titanic_tree b=out/runs/titanic_mlp    # two of them in depth
"""

import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from deepmine import tasks
from deepmine.commands.evaluate import print_table
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import folders
from deepmine.runs import looks, ranking, record, significance

FILES = {"compare.md": "# Comparison", "*.csv": ""}  # of out/compare
SHOWN = 20  # rows on which two runs differ
RULE = """Ranked by the validation rows, or by the folds where every run has them; test scores rank nothing. A verdict
compares a run with the first one on the same test rows, corrected for the number of looks at them."""


def main(cfg: DictConfig, only: str = "") -> None:
    """Write the tables to out/compare and print them (`only` those of a data set); by hand out/adhoc counts too."""
    if cfg.a or cfg.b:
        in_depth(cfg.a, cfg.b, Path(cfg.paths.out))
        return
    runs = record.find_all(Path(cfg.paths.out), ("runs", "adhoc") if cfg.chain else ("runs",))
    finished = [run for run in runs if run.status["status"] == "FINISHED" and run.metrics]
    nothing = f"There is nothing to compare in {cfg.paths.out}/runs yet. Train something: make train"
    if not finished and cfg.chain:  # while a pipeline may hold no experiment yet
        raise UserError(nothing)
    out = Path(cfg.paths.out) if cfg.chain else None  # a pipeline's table is the same on every machine
    tables = {name: leaderboard(group, out) for name, group in comparable(finished).items()}
    folder = Path(cfg.paths.out) / "compare"
    write(tables, folder)
    for name, table in tables.items():
        if only in ("", name.partition(",")[0]):
            show(name, table)
    print(f"{RULE}\nAll scores: {folder}/compare.md" if finished else nothing)
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


def leaderboard(runs: list[record.Record], out: Path | None = None) -> pd.DataFrame:
    """Scores of comparable runs, best first, with a verdict on each, and a remark where a baseline is as good.

    `looks` counts how often the test rows were scored, by the ledger in `out` or, without it, by these runs.
    """
    task = tasks.find(runs[0].config["task"])
    first, *others = task.columns
    ranked = ranking.ranked(runs, runs[0].config["task"])
    judged = verdicts(ranked, out)
    rows = {}
    for run in ranked:
        scores, name = run.metrics, run.folder.name
        rows[name] = {
            "model": run.config["choices"]["model"],
            f"val_{first}": scores.get(f"val/{first}"),
            f"cv_{first}": ranking.over_folds(scores, first),
            f"test_{first}": scores.get(f"test/{first}"),
            **judged.get(str(run.folder), {}),
            **{f"test_{key}": scores.get(f"test/{key}") for key in others},
            f"baseline_{first}": scores.get(f"baseline/test/{first}"),
            "remark": task.no_better(scores) or None,
            "fit_seconds": run.training.get("fit_seconds"),
            "model_bytes": sum(file.stat().st_size for file in run.folder.glob("model.skops")) or None,
            "overrides": " ".join(run.overrides) or None,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run").dropna(axis=1, how="all")


def in_depth(a: str | None, b: str | None, out: Path) -> None:
    """Print each score of two runs on their test rows, the verdict on the difference, and the rows that decide it."""
    if not (a and b) or a == b:
        raise UserError("Name two runs, by the folders of their records: a=out/runs/... b=out/runs/...")
    runs = [record.find(Path(name)) for name in (a, b)]
    if len(comparable(runs)) > 1 or not all(run.metrics for run in runs):
        raise UserError(f"{a} and {b} have no scores on the same test rows, so nothing can be said about them.")
    task = tasks.find(runs[0].config["task"])
    scores = pd.DataFrame({name: run.metrics for name, run in zip("ab", runs, strict=True)})
    scores = scores[scores.index.str.startswith("test/")].assign(difference=lambda table: table["b"] - table["a"])
    print_table(f"a: {a}\nb: {b}", scores.rename_axis("score"))
    if said := verdicts(runs, out).get(str(runs[1].folder)):
        word, times = said["verdict"], said["looks"]
        than = "from" if word == "not distinguishable" else "than"
        print(f"By {task.columns[0]}, b is {word} {than} a, on test rows that were scored {times} times.")
        rows = decisive(runs, task)
        print(*(f"{name} is better on {(rows['better'] == name).sum()} rows." for name in "ab"))
        print(f"\n{rows.head(SHOWN).to_string(index=False)}\n" if len(rows) else "")
    print(f"What made them differ: make why a={a} b={b}")


def decisive(runs: list[record.Record], task: tasks.Task[Any]) -> pd.DataFrame:
    """The test rows that one of two runs answers better, the largest difference first, and which one is `better`."""
    assert task.by_row is not None
    answers = [run.predictions for run in runs]
    table = answers[0].rename(columns={"predicted": "a"}).assign(b=answers[1]["predicted"])
    a, b = (task.by_row(table["actual"].to_numpy(), table[name].to_numpy()).astype(float) for name in "ab")
    gain = a - b if task.directions[task.columns[0]] else b - a
    order = np.argsort(-np.abs(gain), kind="stable")[: np.count_nonzero(gain)]
    return table.assign(better=np.where(gain > 0, "a", "b")).iloc[order]


def verdicts(ranked: list[record.Record], out: Path | None) -> dict[str, dict[str, Any]]:
    """`low`, `high`, `verdict` and `looks` by the folder of the run; empty where the task or the best run has no rows."""
    task = tasks.find(ranked[0].config["task"])
    rows = {}
    if (by_row := task.by_row) is None:
        return {}
    for run in ranked:
        try:
            answers = run.predictions
            rows[str(run.folder)] = by_row(*answers[["actual", "predicted"]].to_numpy().T)
        except UserError as error:
            print(f"without a verdict: {error}", file=sys.stderr)
    if str(ranked[0].folder) not in rows:
        return {}
    first, higher = next(iter(task.directions.items()))
    times = max(looks.count(out, ranked[0].provenance["data"]["digest"]) if out else 0, len(ranked))
    found = significance.judged(rows, bool(higher), ranked[0].metrics.get(f"baseline/test/{first}"), times)
    return {str(name): dict(values) for name, values in found.assign(looks=times).iterrows()}


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
    title, said = f"{name}: {first.replace('_', ' ')}", []
    if "verdict" in table:
        cells["95 %"] = [f"{low:#.3g}-{high:#.3g}" for low, high in zip(table["low"], table["high"], strict=True)]
        title += f" (baseline {cells.pop('baseline').iloc[0]:.4f})" if "baseline" in cells else ""
        groups = table.groupby("verdict", sort=False).groups.items()
        said = [textwrap.fill(f"{verdict}: {', '.join(runs)}", 80, subsequent_indent="  ") for verdict, runs in groups]
        times = table["looks"].iloc[0]
        said.append(f"(on the test rows, which were scored {times:.0f} times)")
    print_table(title, cells)
    if "remark" in table:
        said += [f"{run}: {remark}" for run, remark in table["remark"].dropna().items()]
    if said:
        print(*said, "", sep="\n")
