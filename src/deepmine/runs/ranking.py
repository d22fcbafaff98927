"""Which run is best? The validation rows choose, or the folds where every run has them; test scores never do."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from deepmine import tasks
from deepmine.runs.record import Record


class Trial(NamedTuple):
    """A trial of a sweep: its number, its overrides and its scores, `{"val/accuracy": ...}`, empty if it failed."""

    number: int
    overrides: Sequence[str]
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


def best(task: str, trials: Sequence[Trial]) -> Trial | None:
    """The trial that the validation rows choose, with those of its overrides that not all have; None: nothing ranks."""
    first = tasks.find(task).columns[0]
    scored = sorted((trial for trial in trials if f"val/{first}" in trial.scores), key=lambda trial: trial.number)
    order = best_first([trial.scores for trial in scored], task)
    if not order:
        return None
    same = set.intersection(*(set(trial.overrides) for trial in scored)) if len(scored) > 1 else set()
    winner = scored[order[0]]
    return winner._replace(overrides=[override for override in winner.overrides if override not in same])


def verdict(runs: Sequence[Record]) -> str:
    """The best trial of each data set and task, in three lines each; empty where nothing ranks them."""
    groups: dict[tuple[str, str], dict[int, Record]] = defaultdict(dict)
    for run in [run for run in runs if run.metrics]:
        groups[run.config["choices"]["data"], run.config["task"]][run.provenance["trial"]["number"]] = run
    said = []
    for (data, task), found in sorted(groups.items()):
        winner = best(task, [Trial(number, run.overrides, run.metrics) for number, run in found.items()])
        if winner:
            keys = [f"{part}/{tasks.find(task).columns[0]}" for part in ("val", "test")]
            scores = ", ".join(f"{key} {winner.scores[key]:.4f}" for key in keys if key in winner.scores)
            which = ": ".join(filter(None, [f"number {winner.number}", " ".join(winner.overrides)]))
            said += [f"{data}: of {len(found)} trials with scores, the validation rows choose {which}"]
            said += [f"  {scores}", f"  record: {found[winner.number].folder}"]
    return "\n".join(said)
