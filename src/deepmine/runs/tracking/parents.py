"""The MLflow run above the trials of a sweep: the scores of the best trial, and a table of all as its description."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import mlflow
from mlflow.entities import Metric, RunTag

from deepmine.runs import ranking
from deepmine.runs.tracking import store


def parent(client: mlflow.MlflowClient, experiment: str, name: str, tags: Mapping[str, Any], start: int) -> str:
    """The id of the run above the trials of a sweep, in the MLflow experiment of their data set."""
    shared = {key: tags[key] for key in ("dataset", "task", "mlflow.user")}
    with store.lock(name):
        run = store.find_or_create_run(client, experiment, name, {**shared, "kind": "sweep"}, name, start)
    return run.info.run_id


def conclude(client: mlflow.MlflowClient, run_id: str) -> None:
    """Bring the run above a trial up to date: it is FINISHED once every published trial is."""
    run = client.get_run(run_id)
    above = run.data.tags.get(store.PARENT)
    if above is None:
        return
    with store.lock(above):  # the last to come has seen all trials
        trials = client.search_runs([run.info.experiment_id], f"tags.`{store.PARENT}` = '{above}'")
        found = {trial.info.status for trial in trials}
        _describe(client, above, run.data.tags["task"], trials)
        if "RUNNING" in found:
            client.update_run(above, "RUNNING")
        else:
            status = "FINISHED" if found == {"FINISHED"} else "FAILED"
            client.set_terminated(above, status, max(trial.info.end_time for trial in trials))


def _describe(client: mlflow.MlflowClient, above: str, task: str, runs: Sequence[mlflow.entities.Run]) -> None:
    trials = [
        ranking.Trial(int(r.data.tags["trial"]), r.data.tags["overrides"].splitlines(), r.data.metrics) for r in runs
    ]
    best, tags = ranking.summary(task, trials)
    now, known = int(datetime.now().timestamp() * 1000), client.get_run(above).data.metrics
    new = [Metric(key, value, now, 0) for key, value in best.items() if known.get(key) != value]
    client.log_batch(above, new, tags=[RunTag(key, value) for key, value in tags.items()])
