"""The model of a record as a model of MLflow: `mlflow.pyfunc.load_model` loads it, the models page compares it.

The package is not sent with each model: the run names the commit, and its patch.diff the changes.
"""

from collections.abc import Sequence
from functools import partial
from importlib.metadata import packages_distributions, version
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Run
from mlflow.models import Model

from deepmine.config import trust
from deepmine.data import dataset
from deepmine.models import pipelines
from deepmine.runs.record import Record
from deepmine.runs.tracking import store

NAME = "model"


def send(client: mlflow.MlflowClient, record: Record, run: Run, trusted: Sequence[str]) -> LoggedModel:
    """The model of a finished record, READY and linked to its run; any that was begun and never finished is deleted."""
    run_id = run.info.run_id
    begun = partial(client.search_logged_models, [run.info.experiment_id], f"source_run_id = '{run_id}'")
    ready = next((model for model in begun() if model.status == LoggedModelStatus.READY), None)
    ready = ready or _create(client, record, run, trusted)
    for other in begun():
        if other.model_id != ready.model_id:
            client.delete_logged_model(other.model_id)
    linked = run.outputs.model_outputs if run.outputs else []
    if ready.model_id not in [output.model_id for output in linked]:
        client.log_outputs(run_id, [LoggedModelOutput(ready.model_id, step=0)])
    return ready


def _create(client: mlflow.MlflowClient, record: Record, run: Run, trusted: Sequence[str]) -> LoggedModel:
    """Send the files, then call them READY."""
    with TemporaryDirectory() as folder:
        files, described = Path(folder, NAME), Model(run_id=run.info.run_id)
        _save(record, files, described, trusted)
        model = client.create_logged_model(run.info.experiment_id, NAME, run.info.run_id)
        described.model_id = described.model_uuid = model.model_id
        described.artifact_path = model.artifact_location
        described.save(files / "MLmodel")
        client.log_model_artifacts(model.model_id, str(files))
        store.require_kept(partial(client.list_logged_model_artifacts, model.model_id), files)
    return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def prepared(record: Record) -> Path | None:
    """The data set that the run was made on; None when it is gone, or another one by now."""
    facts = record.provenance["data"]
    folder = Path(facts["dataset"])
    same = (folder / "parts").is_dir() and dataset.require_info(folder)["digest"] == facts["digest"]
    return folder if same else None


def _save(record: Record, folder: Path, described: Model, trusted: Sequence[str]) -> None:
    """The files of the fitted pipeline in MLflow's form, with signature and example of the data it saw."""
    import skops.io

    path = record.folder / "model.skops"
    pipeline = pipelines.load(path, trusted)
    predicts = hasattr(pipeline, "predict")  # components do not: MLflow keeps them as a scikit-learn model alone
    example = signature = None
    if (data := prepared(record)) is not None:
        example = dataset.load(data).train.X[:5]
        said = pipeline.predict(example) if predicts else pipeline.transform(example)
        signature = mlflow.models.infer_signature(example, said)
    types = trust.check_saved(skops.io.get_untrusted_types(file=path), trusted, path)
    known = packages_distributions()
    used = {name for type_ in types for name in known.get(type_.partition(".")[0], [])}  # `xgboost` is in xgboost-cpu
    versions = record.provenance["versions"] | {name: version(name) for name in used}
    mlflow.sklearn.save_model(
        pipeline,
        folder,
        mlflow_model=described,
        signature=signature,
        input_example=example if predicts else None,
        serialization_format="skops",
        skops_trusted_types=types,
        pip_requirements=[f"{n}=={v}" for n, v in versions.items() if v and n not in ("deepmine", "dvc")],
    )
