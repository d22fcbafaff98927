"""The MLflow store: reached, created where it is a local file, and searched for what a tag names.

Where it is: `tracking.uri`. What is sent to it: `tracking.py`.
"""

import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from deepmine.config.errors import UserError, shown
from deepmine.data.folders import locked

logging.getLogger("mlflow").setLevel(logging.WARNING)
KIND = {"mlflow.experimentKind": "custom_model_development"}  # as MLflow marks experiments that train models
SQLITE = "sqlite:///"
RECORD_ID = "deepmine.record_id"
PARENT = "mlflow.parentRunId"
PROBES = ("health", "api/2.0/mlflow/experiments/search?max_results=1")  # the second needs the server's database
PATIENCE = 6  # seconds for each of them: what hangs later costs MLflow's own timeout, three times
PATIENCE_LOCKED = 120  # seconds that another process may take to create a store, or to publish a record


def connect(uri: str) -> mlflow.MlflowClient:
    """A client of a tracker that is there and set up.

    Raises:
        UserError: it does not answer.
    """
    if uri.startswith(SQLITE):
        try:
            _create(Path(uri.removeprefix(SQLITE)))
        except OSError as error:
            raise UserError(f"The MLflow store {uri} cannot be created: {error.strerror}.") from None
    elif uri.startswith("http"):
        try:
            for probe in PROBES:
                _ask(f"{re.sub('://[^/]*@', '://', uri).rstrip('/')}/{probe}")  # urlopen takes no password in a URI
        except (URLError, OSError) as error:
            why = getattr(error, "reason", error)
            raise UserError(f"The MLflow server {shown(uri)} does not answer: {why}.") from None
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(uri)


def lock(name: str) -> AbstractContextManager[None]:
    """One of this user's processes at a time, held in a `with` block."""
    return locked(Path(tempfile.gettempdir()) / f"deepmine-{os.getuid()}" / name, PATIENCE_LOCKED)


def experiment(client: mlflow.MlflowClient, name: str, uri: str) -> str:
    """The MLflow experiment of this name, found or created; beside a local store, its files lie in mlruns/."""
    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    place = None
    if uri.startswith(SQLITE):
        place = (Path(uri.removeprefix(SQLITE)).resolve().parent / "mlruns" / name).as_uri()
    try:
        return client.create_experiment(name, artifact_location=place, tags=KIND)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return experiment(client, name, uri)  # another process was first


def find_or_create_run(
    client: mlflow.MlflowClient, experiment: str, identity: str, tags: Mapping[str, Any], name: str, start: int
) -> Run:
    """The run with this tag `deepmine.record_id`."""
    found = client.search_runs([experiment], f"tags.`{RECORD_ID}` = '{identity}'", max_results=1)
    if found:
        return found[0]
    text = {key: str(value) for key, value in {RECORD_ID: identity, **tags}.items()}
    return client.create_run(experiment, start, text, run_name=name)


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
