"""What the MLflow UI opens with: of each data set and task a table of its runs, scores as columns, the best run first.

The UI keeps such a view in a tag of the experiment, and opens it by its key in the address.
"""

import json
from collections.abc import Iterator

import mlflow

from deepmine.tasks import metrics

TAG = "mlflow.sharedViewState."
SHOWN = 3  # scores, as many as a window has room for


def share(client: mlflow.MlflowClient, experiment: str, task: str) -> None:
    """Have the view of one task's runs among those of an experiment, given by its id; one that is there stays."""
    if TAG + task in client.get_experiment(experiment).tags:
        return
    scores = [f"test/{key}" for key in metrics.columns(task)[:SHOWN]]
    view = {
        "searchFilter": f"tags.task = '{task}'",
        "orderByKey": f"metrics.`{scores[0]}`",
        "orderByAsc": not metrics.higher_is_better(task, metrics.columns(task)[0]),
        "selectedColumns": [f"metrics.`{key}`" for key in scores],
    }
    client.set_experiment_tag(experiment, TAG + task, json.dumps(view))


def links(client: mlflow.MlflowClient, address: str) -> Iterator[tuple[str, str]]:
    """Each data set and task, and where its runs are."""
    for experiment in client.search_experiments(order_by=["name ASC"]):
        for tag in sorted(experiment.tags):
            if tag.startswith(TAG):
                task = tag.removeprefix(TAG)
                runs = f"{address}/#/experiments/{experiment.experiment_id}/runs"
                # without the first part MLflow 3 opens it among traces of chats
                yield f"{experiment.name}, {task}", f"{runs}?workflowType=machine_learning&viewStateShareKey={task}"
