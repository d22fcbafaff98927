"""From a run record to MLflow.

Publishing is idempotent. One record is one MLflow run, found by its tag `deepmine.record_id`; only what the
tracker lacks is sent. So an outage, a restored DVC stage and a fresh clone are the same case.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

from deepmine import ROOT
from deepmine.config import compose, trust
from deepmine.config.errors import UserError, shown
from deepmine.data import dataset, digests
from deepmine.data.preparing import report
from deepmine.models import pipelines as models
from deepmine.runs.record import Record
from deepmine.runs.tracking import parents, store, views

PUBLISHED = "deepmine.published"  # digest of the record's files when they were last sent
SHARED = ("experiment", "dataset", "model", "task", "mlflow.user")  # tags that children take from their parent
LONGEST = 6000  # characters that MLflow keeps of a parameter's value


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
    client = store.connect(uri)
    try:
        with store.lock(record.provenance["record_id"]):
            run_id = _find_or_create(client, record, uri)
            try:
                _send_curves(client, record, run_id)
                digest = digests.folder_digest(record.folder)
                if client.get_run(run_id).data.tags.get(PUBLISHED) != digest:
                    _send_files(client, record, run_id)
                    if send_model and record.status["status"] == "FINISHED":
                        _send_model(client, record, run_id, trusted)
                    _send_folds(client, record, run_id)
                    client.set_tag(run_id, PUBLISHED, digest)
            finally:
                _set_status(client, record, run_id)
                parents.conclude(client, run_id)
    except (MlflowException, OSError) as error:  # OSError: of the network, or of a proxy that refuses an upload
        raise UserError(shown(f"MLflow at {uri} refused: {str(error).splitlines()[0]}")) from error
    return run_id


def _find_or_create(client: mlflow.MlflowClient, record: Record, uri: str) -> str:
    """The run of this record in the MLflow experiment of its data set."""
    settings, provenance = record.config, record.provenance
    experiment = store.experiment(client, settings["choices"]["data"], uri)
    views.share(client, experiment, settings["task"])
    git = provenance["git"]
    tags = {
        "experiment": settings["experiment"],
        "dataset": settings["choices"]["data"],
        "model": settings["choices"]["model"],
        "task": settings["task"],
        "dirty": git.get("dirty", "no git"),
        "mlflow.user": provenance["user"],
        "mlflow.source.name": "deepmine.train",
        "mlflow.source.git.commit": git["commit"] or "none",
        "mlflow.source.git.branch": git.get("branch", "none"),
    }
    start = _milliseconds(record.training["started"])
    if trial := provenance.get("trial"):
        tags |= {"trial": trial["number"], "overrides": "\n".join(provenance["command"][2:])}
        tags[store.PARENT] = parents.parent(client, experiment, trial["sweep"], tags, start)
    run = store.find_or_create_run(client, experiment, provenance["record_id"], tags, record.name, start)
    if run.data.params:
        return run.info.run_id
    params = [Param(key, value) for key, value in _flat(settings)]
    client.log_batch(run.info.run_id, params=params)
    source = CodeDatasetSource({"data.dvc": str(provenance["data"]["data.dvc"]), "raw": provenance["data"]["raw"]})
    data: Any = MetaDataset(source, name=settings["choices"]["data"], digest=provenance["data"]["digest"])  # type: ignore[abstract]
    context = InputTag("mlflow.data.context", "training")
    client.log_inputs(run.info.run_id, [DatasetInput(data._to_mlflow_entity(), [context])])
    return run.info.run_id


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
    """Final scores as metrics; every file but the model, which goes as a model, as an artifact; the data's report."""
    known = client.get_run(run_id).data.metrics
    seconds = record.training.get("fit_seconds")
    scores = {**record.metrics, **({"fit_seconds": seconds} if seconds is not None else {})}
    now = int(datetime.now().timestamp() * 1000)
    client.log_batch(run_id, metrics=[Metric(k, v, now, 0) for k, v in scores.items() if known.get(k) != v])
    for path in sorted(record.folder.rglob("*")):
        if path.is_file() and path.name != "model.skops":
            place = path.parent.relative_to(record.folder).as_posix()
            client.log_artifact(run_id, str(path), None if place == "." else place)
    prepared = _prepared(record)
    if prepared is not None and (prepared / report.FILE).is_file():
        client.log_artifact(run_id, str(prepared / report.FILE), "data")


def _prepared(record: Record) -> Path | None:
    """The data set that the run was made on; None when it is gone, or another one by now."""
    facts = record.provenance["data"]
    info = dataset.read_info(Path(facts["dataset"]))
    return Path(facts["dataset"]) if info is not None and info["digest"] == facts["digest"] else None


def _send_model(client: mlflow.MlflowClient, record: Record, run_id: str, trusted: Sequence[str]) -> None:
    """The fitted pipeline, once, with signature and example of the data it saw; `mlflow.pyfunc.load_model` loads it."""
    outputs = client.get_run(run_id).outputs
    if outputs and outputs.model_outputs:
        return
    import skops.io

    path = record.folder / "model.skops"
    pipeline = models.load(path, trusted)
    predicts = hasattr(pipeline, "predict")  # components do not: MLflow keeps them as a scikit-learn model alone
    prepared, example, signature = _prepared(record), None, None
    if prepared is not None:
        example = dataset.load(prepared).train.X[:5]
        signature = infer_signature(example, pipeline.predict(example) if predicts else pipeline.transform(example))
    versions = record.provenance["versions"]
    with mlflow.start_run(run_id=run_id):
        mlflow.sklearn.log_model(
            pipeline,
            name="model",
            signature=signature,
            input_example=example if predicts else None,
            serialization_format="skops",
            skops_trusted_types=trust.check_saved(skops.io.get_untrusted_types(file=path), trusted, path),
            pip_requirements=[f"{n}=={v}" for n, v in versions.items() if v and n not in ("deepmine", "dvc")],
            code_paths=[str(ROOT / "src" / "deepmine")],
        )


def _send_folds(client: mlflow.MlflowClient, record: Record, parent: str) -> None:
    """Each fold of a cross-validation as a child run, found again by its number."""
    run = client.get_run(parent)
    begin, end = run.info.start_time, _milliseconds(record.training.get("ended", record.training["started"]))
    for fold in record.cross_validation.get("folds", []):
        tags = {**{key: run.data.tags[key] for key in SHARED}, "kind": "fold", store.PARENT: parent}
        name = f"{run.info.run_name}-fold-{fold['fold']}"
        identity = f"{record.provenance['record_id']}-fold-{fold['fold']}"
        child = store.find_or_create_run(client, run.info.experiment_id, identity, tags, name, begin)
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
        if isinstance(value, Mapping) and value and key != "contract":  # which would be a parameter for each rule
            yield from _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield (
                f"{prefix}{key}",
                text if len(text) <= LONGEST else f"see config.yaml (md5 {compose.digest(value)})",
            )


def _milliseconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1000)
