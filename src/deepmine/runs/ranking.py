"""Which run is best? The validation rows choose, or the folds where every run has them; test scores never do."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from deepmine import tasks
from deepmine.runs.record import Record


class Trial(NamedTuple):
    """A trial of a sweep: its number, its overrides and its scores, `{"val/accuracy": ...}`, empty if it failed."""

    number: int
    overrides: Sequence[str]
    metrics: Mapping[str, float]


Run = TypeVar("Run", Record, Trial)


def ranked(runs: Sequence[Run], task: str) -> list[Run]:
    """Best first, those without the score that ranks last; as they came where the task's first score ranks nothing."""
    first, higher = next(iter(tasks.find(task).directions.items()))
    if higher is None:
        return list(runs)
    key = f"cv/{first}" if all(f"cv/{first}" in run.metrics for run in runs) else f"val/{first}"
    worst = float("-inf") if higher else float("inf")
    return sorted(runs, key=lambda run: run.metrics.get(key, worst), reverse=higher)


def over_folds(scores: Mapping[str, float], key: str) -> str | None:
    """Mean and deviation of a score over the folds, as text; None without."""
    return f"{scores[f'cv/{key}']:.3f} ± {scores[f'cv/{key}_std']:.3f}" if f"cv/{key}" in scores else None


def best(task: str, trials: Sequence[Trial]) -> Trial | None:
    """The trial that the validation rows choose, with those of its overrides that not all have; None: nothing ranks."""
    first, higher = next(iter(tasks.find(task).directions.items()))
    scored = sorted((trial for trial in trials if f"val/{first}" in trial.metrics), key=lambda trial: trial.number)
    if higher is None or not scored:
        return None
    same = set.intersection(*(set(trial.overrides) for trial in scored)) if len(scored) > 1 else set()
    winner = ranked(scored, task)[0]
    return winner._replace(overrides=[override for override in winner.overrides if override not in same])


def verdict(runs: Sequence[Record]) -> str:
    """The best trial of each data set and task, in three lines each; empty where nothing ranks them."""
    groups: dict[tuple[str, str], dict[int, Record]] = defaultdict(dict)
    for run in [run for run in runs if run.metrics]:
        groups[run.config["choices"]["data"], run.config["task"]][run.provenance["trial"]["number"]] = run
    said = []
    for (data, task), found in sorted(groups.items()):
        if winner := best(task, [Trial(number, run.overrides, run.metrics) for number, run in found.items()]):
            keys = [f"{part}/{tasks.find(task).columns[0]}" for part in ("val", "test")]
            scores = ", ".join(f"{key} {winner.metrics[key]:.4f}" for key in keys if key in winner.metrics)
            which = ": ".join(filter(None, [f"number {winner.number}", " ".join(winner.overrides)]))
            said += [f"{data}: of {len(found)} trials with scores, the validation rows choose {which}"]
            said += [f"  {scores}", f"  record: {found[winner.number].folder}"]
    return "\n".join(said)
