"""What the MLflow UI opens with: for each data set and task a table of its runs, ranked by the validation rows.

The UI keeps such a view in a tag of the experiment and opens it by its key in the address. MLflow does not document the
tag; where a later version ignores it, the link opens the plain list of runs.
"""

import json
from collections.abc import Iterator

import mlflow

from deepmine import tasks

TAG = "mlflow.sharedViewState."
TESTS = 2  # test scores beside the score that ranks: as many as a window shows


def share(client: mlflow.MlflowClient, experiment: str, task: str) -> None:
    """Add the view of one task's runs to an experiment, given by its id, unless it has one."""
    if TAG + task in client.get_experiment(experiment).tags:
        return
    scores = tasks.find(task).columns
    first, higher = scores[0], tasks.find(task).directions[scores[0]]
    columns = [f"metrics.`{key}`" for key in (f"val/{first}", *(f"test/{k}" for k in scores[:TESTS]))]
    view = {
        "searchFilter": f"tags.task = '{task}'",
        "orderByKey": "attributes.start_time" if higher is None else columns[0],
        "orderByAsc": higher is False,
        "selectedColumns": columns,
    }
    client.set_experiment_tag(experiment, TAG + task, json.dumps(view))


def links(client: mlflow.MlflowClient, address: str) -> Iterator[tuple[str, str]]:
    """The name of each data set and task, and the address of its table."""
    for experiment in client.search_experiments(order_by=["name ASC"]):
        for tag in sorted(experiment.tags):
            if tag.startswith(TAG):
                task = tag.removeprefix(TAG)
                runs = f"{address}/#/experiments/{experiment.experiment_id}/runs"
                # without `workflowType` MLflow 3 opens it as a list of chat traces
                yield f"{experiment.name}, {task}", f"{runs}?workflowType=machine_learning&viewStateShareKey={task}"
