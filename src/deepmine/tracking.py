"""From a run record to MLflow: the one module that imports mlflow.

Publishing is idempotent. One record is one MLflow run, found by its tag `deepmine.record_id`; only what the
tracker lacks is sent. So an outage, a restored DVC stage and a fresh clone are the same case.
"""

import json
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from filelock import FileLock

from deepmine import ROOT, config, dataset
from deepmine import model as models
from deepmine.errors import UserError
from deepmine.record import Record

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default an absent server costs 4 minutes a call
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

logging.getLogger("mlflow").setLevel(logging.WARNING)
KIND = {"mlflow.experimentKind": "custom_model_development"}  # the UI then shows training, not chat traces
SQLITE = "sqlite:///"
RECORD_ID = "deepmine.record_id"
PUBLISHED = "deepmine.published"  # digest of the record's files when they were last sent
PARENT = "mlflow.parentRunId"
SHARED = ("experiment", "dataset", "model", "task", "mlflow.user")  # tags that children take from their parent
LONGEST = 6000  # characters that MLflow keeps of a parameter's value


def connect(uri: str) -> mlflow.MlflowClient:
    """A client of a tracker that is there and set up.

    Raises:
        UserError: it does not answer.
    """
    if uri.startswith(SQLITE):
        _create_store(Path(uri.removeprefix(SQLITE)))
    elif uri.startswith("http"):
        try:
            urlopen(f"{uri.rstrip('/')}/health", timeout=5).close()
        except (URLError, OSError) as error:
            raise UserError(f"The MLflow server {uri} does not answer: {getattr(error, 'reason', error)}.") from None
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(uri)


def publish(record: Record, uri: str, send_model: bool, trusted: Sequence[str]) -> str:
    """Send what the tracker lacks of a record.

    Args:
        record: at any stage of its life.
        uri: of the tracker.
        send_model: whether to send the fitted model too, once there is one.
        trusted: prefixes of the types that its file may hold.

    Returns:
        The id of the MLflow run.

    Raises:
        UserError: the tracker does not answer, or stops answering.
    """
    client = connect(uri)
    try:
        with FileLock(Path(tempfile.gettempdir()) / f"deepmine-{record.passport['record_id']}.lock"):
            run_id = _find_or_create(client, record, uri)
            try:
                _send_curves(client, record, run_id)
                digest = dataset.folder_digest(record.folder)
                if client.get_run(run_id).data.tags.get(PUBLISHED) != digest:
                    _send_files(client, record, run_id)
                    if send_model and record.status["status"] == "FINISHED":
                        _send_model(client, record, run_id, trusted)
                    _send_folds(client, record, run_id)
                    client.set_tag(run_id, PUBLISHED, digest)
            finally:
                _set_status(client, record, run_id)
                _end_sweep(client, run_id)
    except (MlflowException, OSError) as error:  # OSError: of the network, or of a proxy that refuses an upload
        raise UserError(f"MLflow at {uri} refused: {str(error).splitlines()[0]}") from error
    return run_id


def _create_store(path: Path) -> None:
    """Create a SQLite store once, beside its place, so that a file in its place is always whole.

    MLflow lets each process create the tables of a missing file: eight at once break it for ever.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            return
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        mlflow.MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)
        new.replace(path)
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA journal_mode=wal")  # readers and writers do not wait for each other


def _find_or_create(client: mlflow.MlflowClient, record: Record, uri: str) -> str:
    """The run of this record in the MLflow experiment of its data set."""
    settings, papers = record.config, record.passport
    experiment = _experiment(client, settings["choices"]["data"], uri)
    git = papers["git"]
    tags = {
        "experiment": settings["experiment"],
        "dataset": settings["choices"]["data"],
        "model": settings["choices"]["model"],
        "task": settings["task"],
        "dirty": git.get("dirty", "no git"),
        "mlflow.user": papers["user"],
        "mlflow.source.name": "deepmine.train",
        "mlflow.source.git.commit": git["commit"] or "none",
        "mlflow.source.git.branch": git.get("branch", "none"),
    }
    start = _milliseconds(record.training["started"])
    if trial := papers.get("trial"):
        tags |= {"trial": trial["number"], PARENT: _sweep(client, experiment, trial["sweep"], tags, start)}
    run = _find_or_create_run(client, experiment, papers["record_id"], tags, record.folder.name, start)
    if run.data.params:
        return run.info.run_id
    params = [Param(key, value) for key, value in _flat(settings)]
    client.log_batch(run.info.run_id, params=params)
    source = CodeDatasetSource({"data.dvc": str(papers["data"]["data.dvc"]), "raw": papers["data"]["raw"]})
    data: Any = MetaDataset(source, name=settings["choices"]["data"], digest=papers["data"]["digest"])  # type: ignore[abstract]
    context = InputTag("mlflow.data.context", "training")
    client.log_inputs(run.info.run_id, [DatasetInput(data._to_mlflow_entity(), [context])])
    return run.info.run_id


def _sweep(client: mlflow.MlflowClient, experiment: str, name: str, tags: Mapping[str, Any], start: int) -> str:
    """The run that stands above the trials of a sweep, in the MLflow experiment of their data set."""
    shared = {key: tags[key] for key in ("dataset", "task", "mlflow.user")}
    with FileLock(Path(tempfile.gettempdir()) / f"deepmine-{name}.lock"):
        return _find_or_create_run(client, experiment, name, {**shared, "kind": "sweep"}, name, start).info.run_id


def _end_sweep(client: mlflow.MlflowClient, run_id: str) -> None:
    """A sweep ends with the last of its trials, and well if all of them did, as far as they are published."""
    run = client.get_run(run_id)
    parent = run.data.tags.get(PARENT)
    if parent is None:
        return
    trials = client.search_runs([run.info.experiment_id], f"tags.`{PARENT}` = '{parent}'")
    found = {trial.info.status for trial in trials}
    if "RUNNING" in found:
        client.update_run(parent, "RUNNING")
    else:
        status = "FINISHED" if found == {"FINISHED"} else "FAILED"
        client.set_terminated(parent, status, max(trial.info.end_time for trial in trials))


def _find_or_create_run(
    client: mlflow.MlflowClient, experiment: str, identity: str, tags: Mapping[str, Any], name: str, start: int
) -> Run:
    """The run with this tag `deepmine.record_id`."""
    found = client.search_runs([experiment], f"tags.`{RECORD_ID}` = '{identity}'", max_results=1)
    if found:
        return found[0]
    text = {key: str(value) for key, value in {RECORD_ID: identity, **tags}.items()}
    return client.create_run(experiment, start, text, run_name=name)


def _experiment(client: mlflow.MlflowClient, name: str, uri: str) -> str:
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
        return _experiment(client, name, uri)  # another process was first


def _send_curves(client: mlflow.MlflowClient, record: Record, run_id: str) -> None:
    """The epochs that the tracker does not have yet."""
    curves = record.curves
    keys = {key for line in curves for key in line if key not in ("epoch", "time")}
    known = {key: {point.step for point in client.get_metric_history(run_id, key)} for key in keys}
    points = [
        Metric(key, line[key], int(line["time"] * 1000), line["epoch"])
        for line in curves
        for key in keys & set(line)
        if line["epoch"] not in known[key]
    ]
    if points:
        client.log_batch(run_id, metrics=points)


def _send_files(client: mlflow.MlflowClient, record: Record, run_id: str) -> None:
    """Final scores as metrics; every file but the model, which goes as a model, as an artifact."""
    known = client.get_run(run_id).data.metrics
    seconds = record.training.get("fit_seconds")
    scores = {**record.metrics, **({"fit_seconds": seconds} if seconds is not None else {})}
    now = int(datetime.now().timestamp() * 1000)
    client.log_batch(run_id, metrics=[Metric(k, v, now, 0) for k, v in scores.items() if known.get(k) != v])
    for path in sorted(record.folder.rglob("*")):
        if path.is_file() and path.name != "model.skops":
            place = path.parent.relative_to(record.folder).as_posix()
            client.log_artifact(run_id, str(path), None if place == "." else place)


def _send_model(client: mlflow.MlflowClient, record: Record, run_id: str, trusted: Sequence[str]) -> None:
    """The fitted pipeline with its signature and an example, once; `mlflow.pyfunc.load_model` loads it."""
    outputs = client.get_run(run_id).outputs
    if outputs and outputs.model_outputs:
        return
    import skops.io

    path = record.folder / "model.skops"
    pipeline = models.load(path, trusted)
    example = dataset.load(Path(record.passport["data"]["dataset"])).train.X[:5]
    predicts = hasattr(pipeline, "predict")  # components do not: MLflow keeps them as a scikit-learn model alone
    given = pipeline.predict(example) if predicts else pipeline.transform(example)
    versions = record.passport["versions"]
    with mlflow.start_run(run_id=run_id):
        mlflow.sklearn.log_model(
            pipeline,
            name="model",
            signature=infer_signature(example, given),
            input_example=example if predicts else None,
            serialization_format="skops",
            skops_trusted_types=skops.io.get_untrusted_types(file=path),
            pip_requirements=[f"{n}=={v}" for n, v in versions.items() if v and n not in ("deepmine", "dvc")],
            code_paths=[str(ROOT / "src" / "deepmine")],
        )


def _send_folds(client: mlflow.MlflowClient, record: Record, parent: str) -> None:
    """Each fold of a cross-validation as a child run, found again by its number."""
    run = client.get_run(parent)
    begin, end = run.info.start_time, _milliseconds(record.training.get("ended", record.training["started"]))
    for fold in record.cross_validation.get("folds", []):
        tags = {**{key: run.data.tags[key] for key in SHARED}, "kind": "fold", PARENT: parent}
        name = f"{run.info.run_name}-fold-{fold['fold']}"
        identity = f"{record.passport['record_id']}-fold-{fold['fold']}"
        child = _find_or_create_run(client, run.info.experiment_id, identity, tags, name, begin)
        scores = {f"cv/{key}": value for key, value in fold.items() if key not in ("fold", "rows")}
        known = child.data.metrics
        client.log_batch(child.info.run_id, [Metric(k, v, end, 0) for k, v in scores.items() if known.get(k) != v])
        client.set_terminated(child.info.run_id, "FINISHED", end)


def _set_status(client: mlflow.MlflowClient, record: Record, run_id: str) -> None:
    status = record.status
    if "reason" in status:
        client.set_tag(run_id, "reason", status["reason"][:LONGEST])
    if status["status"] in ("FINISHED", "FAILED", "KILLED"):
        ended = record.training.get("ended")  # of the fit: what is evaluated later adds nothing to its duration
        client.set_terminated(run_id, status["status"], _milliseconds(ended) if ended else None)
    else:
        client.update_run(run_id, "RUNNING")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Parameters by dotted key; a value too long for MLflow stands whole in config.yaml, under its key."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield (
                f"{prefix}{key}",
                text if len(text) <= LONGEST else f"see config.yaml (md5 {config.digest(value)})",
            )


def _milliseconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1000)
