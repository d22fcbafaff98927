"""The MLflow store, `tracking.uri`: reached, created where it is a local file, searched for what a tag names, viewed.

A view is what the UI opens with: for each data set and task a table of its runs, newest first, the only order in which
MLflow folds children below their parent. It keeps a view in a tag of the experiment, which it does not document; a
version that ignores it opens the plain list of runs.
"""

import json
import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import mlflow
from mlflow.entities import FileInfo, Run

from deepmine import tasks
from deepmine.config.errors import UserError, shown
from deepmine.data.folders import locked

logging.getLogger("mlflow").setLevel(logging.WARNING)
KIND = {"mlflow.experimentKind": "custom_model_development"}  # as MLflow marks experiments that train models
SQLITE = "sqlite:///"
RECORD_ID = "record_id"
PARENT = "mlflow.parentRunId"
VIEW = "mlflow.sharedViewState."
PROBE = "api/2.0/mlflow/experiments/search?max_results=1"  # needs the server's database, where `health` does not
PATIENCE = 6  # seconds for it: what hangs later costs MLflow's own timeout
PATIENCE_LOCKED = 120  # seconds that another process may take to create a store, or to publish a record


def connect(uri: str) -> mlflow.MlflowClient:
    """A client of a tracker that is there and set up; UserError: it does not answer."""
    try:
        if uri.startswith(SQLITE):
            _create(Path(uri.removeprefix(SQLITE)))
        if uri.startswith("http"):
            _ask(f"{re.sub('://[^/]*@', '://', uri).rstrip('/')}/{PROBE}")  # urlopen takes no password in a URI
    except OSError as error:
        failed = f"store {uri} cannot be created" if uri.startswith(SQLITE) else f"server {shown(uri)} does not answer"
        raise UserError(f"The MLflow {failed}: {getattr(error, 'reason', error.strerror or error)}.") from None
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(uri)


def lock(name: str) -> AbstractContextManager[None]:
    """One of this user's processes at a time, held in a `with` block."""
    return locked(Path(tempfile.gettempdir()) / f"deepmine-{os.getuid()}" / name, PATIENCE_LOCKED)


def experiment(client: mlflow.MlflowClient, name: str, uri: str) -> str:
    """The MLflow experiment of this name, found or created; beside a local store, its files lie in mlruns/."""
    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    beside = (Path(uri.removeprefix(SQLITE)).resolve().parent / "mlruns" / name).as_uri()
    try:
        return client.create_experiment(name, beside if uri.startswith(SQLITE) else None, KIND)
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return experiment(client, name, uri)  # another process was first


def find_or_create_run(
    client: mlflow.MlflowClient, experiment: str, identity: str, tags: Mapping[str, Any], name: str, start: int
) -> Run:
    """The run with this tag `record_id`; a second one, from a request whose answer was lost, is deleted."""
    query = f"tags.`{RECORD_ID}` = '{identity}'"
    if not (found := client.search_runs([experiment], query)):
        text = {key: str(value) for key, value in {RECORD_ID: identity, **tags}.items()}
        client.create_run(experiment, start, text, run_name=name)
        found = client.search_runs([experiment], query)
    for other in found[1:]:
        client.delete_run(other.info.run_id)
    return found[0]


def require_kept(listed: Callable[[str | None], list[FileInfo]], folder: Path) -> None:
    """A UserError unless all files of a folder that was sent are there: a proxy's page also says that all is well."""
    sent = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    places = {name.rpartition("/")[0] or None for name in sent}
    kept = {found.path: found.file_size or 0 for place in places for found in listed(place)}
    if lost := sorted(name for name, size in sent.items() if kept.get(name) != size):
        raise UserError(f"MLflow said that it has taken these files, but has not kept them: {', '.join(lost)}")


def fetch(uri: str, name: str, out: Path, files: Iterable[str]) -> Path | None:
    """The record of a run, which MLflow's id or its record id names, in a folder below `out`; None: it has none."""
    client = connect(uri)
    everywhere = [found.experiment_id for found in client.search_experiments()]
    for query in (f"attributes.run_id = '{name}'", f"tags.`{RECORD_ID}` = '{name}'") if name.isalnum() else ():
        for run in client.search_runs(everywhere, query, max_results=1):
            folder = out / name  # what a tracker says could lead elsewhere
            folder.mkdir(parents=True, exist_ok=True)
            for path in {file.path for file in client.list_artifacts(run.info.run_id)} & {*files}:
                client.download_artifacts(run.info.run_id, path, str(folder))
            return folder
    return None


def share_view(client: mlflow.MlflowClient, experiment: str, task: str) -> None:
    """Add the view of one task's runs to an experiment, given by its id."""
    scores = [f"metrics.`{part}/{tasks.find(task).columns[0]}`" for part in ("val", "test")]
    widths = {"attributes.`Run Name`": 290, **dict.fromkeys(scores, 85), "tags.`overrides`": 240}
    view = {
        "searchFilter": f"tags.task = '{task}'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": [*widths],
        "columnOrder": [*widths],
        "columnWidths": widths,  # pixels: with `Created` and `Duration` a window of 1280
    }
    client.set_experiment_tag(experiment, VIEW + task, json.dumps(view))


def views(client: mlflow.MlflowClient, address: str) -> Iterator[tuple[str, str]]:
    """The name of each data set and task, and the address of its table."""
    for found in client.search_experiments(order_by=["name ASC"]):
        for task in sorted(tag.removeprefix(VIEW) for tag in found.tags if tag.startswith(VIEW)):
            runs = f"{address}/#/experiments/{found.experiment_id}/runs"
            # without `workflowType` MLflow 3 opens it as a list of chat traces
            yield f"{found.name}, {task}", f"{runs}?workflowType=machine_learning&viewStateShareKey={task}"


def _ask(url: str) -> None:
    """Wait for any answer but a server's error: who is refused here may have a password in MLflow."""
    try:
        with urlopen(url, timeout=PATIENCE) as answer:
            answer.read()
    except HTTPError as answer:
        if answer.code >= 500:
            raise


def _create(path: Path) -> None:
    """Create a SQLite store once, beside its place, so that a file in its place is always whole.

    MLflow lets each process create the tables of a missing file: eight at once break it for ever.
    """
    with locked(path, PATIENCE_LOCKED):
        if path.exists():
            return
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        mlflow.MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)
        new.replace(path)
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA journal_mode=wal")  # readers and writers do not wait for each other
