"""Which run is best? The validation rows choose, or the folds where every run has them; test scores never do."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from deepmine import tasks
from deepmine.runs.record import Record

SHOWN = 50  # trials in the table


class Trial(NamedTuple):
    """A trial of a sweep: its number, its overrides and its scores, `{"val/accuracy": ...}`, empty if it failed."""

    number: int
    overrides: list[str]
    scores: Mapping[str, float]


def ranked(runs: Sequence[Record], task: str) -> list[Record]:
    """Runs of one task, best first; in the order of their names where the task's first score has no direction."""
    by_name = sorted(runs, key=lambda run: run.folder.name)
    order = best_first([run.metrics for run in by_name], task)
    return by_name if order is None else [by_name[place] for place in order]


def best_first(scores: Sequence[Mapping[str, float]], task: str) -> list[int] | None:
    """The order of runs by their scores, those without the score that ranks last; None where nothing ranks them."""
    first = tasks.find(task).columns[0]
    higher = tasks.find(task).directions[first]
    if higher is None:
        return None
    key = f"cv/{first}" if all(f"cv/{first}" in one for one in scores) else f"val/{first}"
    worst = float("-inf") if higher else float("inf")
    return sorted(range(len(scores)), key=lambda n: scores[n].get(key, worst), reverse=higher)


def summary(task: str, trials: Sequence[Trial]) -> tuple[dict[str, float], dict[str, str]]:
    """The scores of the best trial as `best/<part>/<score>`, and tags: which it is, and a table of all, best first.

    Both are empty where nothing ranks the trials.
    """
    columns = tasks.find(task).columns
    scored = sorted((t for t in trials if f"val/{columns[0]}" in t.scores), key=lambda t: t.number)
    order = best_first([trial.scores for trial in scored], task)
    if not order:
        return {}, {}
    best_to_worst = [scored[place] for place in order]
    same = set.intersection(*(set(trial.overrides) for trial in scored)) if len(scored) > 1 else set()
    settings = [" ".join(o for o in trial.overrides if o not in same) for trial in best_to_worst]
    shown = [f"{part}/{column}" for column in columns for part in ("val", "test")]
    best = {f"best/{key}": best_to_worst[0].scores[key] for key in shown if key in best_to_worst[0].scores}
    lines = [f"| trial | settings | {shown[0]} | {shown[1]} |", "| ---: | --- | ---: | ---: |"]
    for trial, text in list(zip(best_to_worst, settings, strict=True))[:SHOWN]:
        scores = [f"{trial.scores[key]:.4f}" if key in trial.scores else "" for key in shown[:2]]
        lines.append(f"| {trial.number} | {text} | {' | '.join(scores)} |")
    table = "\n".join([f"Best on the validation rows: trial {best_to_worst[0].number}.", "", *lines])
    tags = {"best_trial": str(best_to_worst[0].number), "best_settings": settings[0], "mlflow.note.content": table}
    return best, tags


def verdict(runs: Sequence[Record]) -> str:
    """The best trial of each data set and task, in three lines each; empty where nothing ranks them."""
    of = sorted({(run.config["choices"]["data"], run.config["task"]) for run in runs})
    alike = [[r for r in runs if (r.config["choices"]["data"], r.config["task"]) == place] for place in of]
    return "\n".join(filter(None, map(_verdict, alike)))


def _verdict(runs: Sequence[Record]) -> str:
    found = {run.provenance["trial"]["number"]: run for run in runs if run.metrics}
    trials = [Trial(number, run.provenance["command"][2:], run.metrics) for number, run in found.items()]
    best, tags = summary(runs[0].config["task"], trials)
    if not best:
        return ""
    scores = ", ".join(f"{key.removeprefix('best/')} {value:.4f}" for key, value in list(best.items())[:2])
    settings = f": {tags['best_settings']}" if tags["best_settings"] else ""
    return (
        f"{runs[0].config['choices']['data']}: of {len(trials)} trials with scores, the validation rows choose "
        f"number {tags['best_trial']}{settings}\n  {scores}\n  record: {found[int(tags['best_trial'])].folder}"
    )
