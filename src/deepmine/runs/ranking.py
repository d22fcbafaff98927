"""Which run is best? The validation rows choose, or the folds where every run has them; test scores never do."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from deepmine import tasks
from deepmine.runs.record import Record


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


def over_folds(scores: Mapping[str, float], key: str) -> str | None:
    """Mean and deviation of a score over the folds, as text; None without."""
    return f"{scores[f'cv/{key}']:.3f} ± {scores[f'cv/{key}_std']:.3f}" if f"cv/{key}" in scores else None


def summary(task: str, trials: Sequence[Trial]) -> tuple[dict[str, float], dict[str, str]]:
    """Scores of the best trial, `best/<part>/<score>`, and tags: which it is, a table of all. Empty: nothing ranks."""
    columns = tasks.find(task).columns
    scored = sorted((t for t in trials if f"val/{columns[0]}" in t.scores), key=lambda t: t.number)
    order = best_first([trial.scores for trial in scored], task)
    if not order:
        return {}, {}
    same = set.intersection(*(set(trial.overrides) for trial in scored)) if len(scored) > 1 else set()
    shown = [f"{part}/{column}" for column in columns for part in ("val", "test")]
    lines = [f"| trial | settings | {shown[0]} | {shown[1]} |", "| ---: | --- | ---: | ---: |"]
    settings = [" ".join(o for o in scored[place].overrides if o not in same) for place in order]
    for place, text in list(zip(order, settings, strict=True))[:50]:
        scores = [f"{scored[place].scores[key]:.4f}" if key in scored[place].scores else "" for key in shown[:2]]
        lines.append(f"| {scored[place].number} | {text} | {' | '.join(scores)} |")
    winner = scored[order[0]]
    best = {f"best/{key}": winner.scores[key] for key in shown if key in winner.scores}
    table = "\n".join([f"Best on the validation rows: trial {winner.number}.", "", *lines])
    return best, {"best_trial": str(winner.number), "best_settings": settings[0], "mlflow.note.content": table}


def verdict(runs: Sequence[Record]) -> str:
    """The best trial of each data set and task, in three lines each; empty where nothing ranks them."""
    groups: dict[tuple[str, str], dict[int, Record]] = defaultdict(dict)
    for run in [run for run in runs if run.metrics]:
        groups[run.config["choices"]["data"], run.config["task"]][run.provenance["trial"]["number"]] = run
    said = []
    for (data, task), found in sorted(groups.items()):
        trials = [Trial(number, run.provenance["command"][2:], run.metrics) for number, run in found.items()]
        best, tags = summary(task, trials)
        if best:
            scores = ", ".join(f"{key.removeprefix('best/')} {value:.4f}" for key, value in list(best.items())[:2])
            which = f"number {tags['best_trial']}" + (f": {tags['best_settings']}" if tags["best_settings"] else "")
            said += [f"{data}: of {len(trials)} trials with scores, the validation rows choose {which}"]
            said += [f"  {scores}", f"  record: {found[int(tags['best_trial'])].folder}"]
    return "\n".join(said)
