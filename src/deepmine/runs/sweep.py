"""A sweep in MLflow: the run that stands above the trials, and what it says of them.

Its metrics `best/...` are those of the trial that the validation rows choose; its description is a table of all trials.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import mlflow
from mlflow.entities import Metric, RunTag

from deepmine.runs import mlflow_store
from deepmine.runs.record import Record
from deepmine.tasks import metrics

SHOWN = 50  # trials in the table


class Trial(NamedTuple):
    """A trial that has scores: its number, its overrides and its scores, `{"val/accuracy": ...}`."""

    number: int
    overrides: list[str]
    scores: dict[str, float]


def parent(client: mlflow.MlflowClient, experiment: str, name: str, tags: Mapping[str, Any], start: int) -> str:
    """The run above the trials of a sweep, in the MLflow experiment of their data set."""
    shared = {key: tags[key] for key in ("dataset", "task", "mlflow.user")}
    with mlflow_store.lock(name):
        run = mlflow_store.find_or_create_run(client, experiment, name, {**shared, "kind": "sweep"}, name, start)
    return run.info.run_id


def conclude(client: mlflow.MlflowClient, run_id: str) -> None:
    """A sweep ends with the last of its trials, and well if all of them did, as far as they are published."""
    run = client.get_run(run_id)
    above = run.data.tags.get(mlflow_store.PARENT)
    if above is None:
        return
    with mlflow_store.lock(above):  # who comes last has seen all trials
        trials = client.search_runs([run.info.experiment_id], f"tags.`{mlflow_store.PARENT}` = '{above}'")
        found = {trial.info.status for trial in trials}
        _say(client, above, run.data.tags["task"], trials)
        if "RUNNING" in found:
            client.update_run(above, "RUNNING")
        else:
            status = "FINISHED" if found == {"FINISHED"} else "FAILED"
            client.set_terminated(above, status, max(trial.info.end_time for trial in trials))


def summary(task: str, trials: Sequence[Trial]) -> tuple[dict[str, float], dict[str, str]]:
    """The scores of the best trial as `best/<part>/<score>`, and tags: which it is, and a table of all, best first.

    The validation rows choose, by the score that ranks the runs of a task.
    """
    columns = metrics.columns(task)
    ranks, sign = f"val/{columns[0]}", -1 if metrics.higher_is_better(task, columns[0]) else 1
    ranked = sorted((t for t in trials if ranks in t.scores), key=lambda t: (sign * t.scores[ranks], t.number))
    if not ranked:
        return {}, {}
    same = set.intersection(*(set(trial.overrides) for trial in ranked)) if len(ranked) > 1 else set()
    settings = [" ".join(o for o in trial.overrides if o not in same) for trial in ranked]
    shown = [f"{part}/{column}" for column in columns for part in ("val", "test")]
    best = {f"best/{key}": ranked[0].scores[key] for key in shown if key in ranked[0].scores}
    lines = [f"| trial | settings | {ranks} | test/{columns[0]} |", "| ---: | --- | ---: | ---: |"]
    for trial, text in list(zip(ranked, settings, strict=True))[:SHOWN]:
        scores = [f"{trial.scores[key]:.4f}" if key in trial.scores else "" for key in shown[:2]]
        lines.append(f"| {trial.number} | {text} | {' | '.join(scores)} |")
    table = "\n".join([f"Best on the validation rows: trial {ranked[0].number}.", "", *lines])
    return best, {"best_trial": str(ranked[0].number), "best_settings": settings[0], "mlflow.note.content": table}


def verdict(runs: Sequence[Record]) -> str:
    """The best of the trials' records, for each data set and task in three lines; nothing where none has scores."""
    of = {(run.config["choices"]["data"], run.config["task"]) for run in runs}
    alike = [[r for r in runs if (r.config["choices"]["data"], r.config["task"]) == place] for place in sorted(of)]
    return "\n".join(filter(None, map(_verdict, alike)))


def _verdict(runs: Sequence[Record]) -> str:
    found = {run.passport["trial"]["number"]: run for run in runs if run.metrics}
    trials = [Trial(number, run.passport["command"][2:], run.metrics) for number, run in found.items()]
    best, tags = summary(runs[0].config["task"], trials)
    if not best:
        return ""
    scores = ", ".join(f"{key.removeprefix('best/')} {value:.4f}" for key, value in list(best.items())[:2])
    number = tags["best_trial"]
    settings = f" {tags['best_settings']}" if tags["best_settings"] else ""
    return (
        f"{runs[0].config['choices']['data']}: of {len(trials)} trials with scores the validation rows choose number "
        f"{number}:{settings}\n  {scores}\n  its record is {found[int(number)].folder}."
    )


def _say(client: mlflow.MlflowClient, above: str, task: str, runs: Sequence[mlflow.entities.Run]) -> None:
    trials = [Trial(int(r.data.tags["trial"]), r.data.tags["overrides"].splitlines(), r.data.metrics) for r in runs]
    best, tags = summary(task, trials)
    now, known = int(datetime.now().timestamp() * 1000), client.get_run(above).data.metrics
    new = [Metric(key, value, now, 0) for key, value in best.items() if known.get(key) != value]
    client.log_batch(above, new, tags=[RunTag(key, value) for key, value in tags.items()])
