"""From a run record to MLflow.

One record is one MLflow run, found by its tag `record_id`, and nothing is stored twice: so an outage, a
restored DVC stage and a fresh clone are the same case. Trials of a sweep are children of one run, which has the scores
and the overrides of the best.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run

from deepmine import ROOT
from deepmine.config import compose, trust
from deepmine.config.errors import UserError, shown
from deepmine.data import dataset, digests
from deepmine.data.preparing import report
from deepmine.models import pipelines as models
from deepmine.runs import ranking
from deepmine.runs.record import Record
from deepmine.runs.tracking import store

PUBLISHED = "record_digest"  # digest of the record's files when they were last sent
SHARED = ("dataset", "model", "task", "mlflow.user")  # tags that children take from their parent
LONGEST = 6000  # characters that MLflow keeps of a parameter's value


def publish(record: Record, uri: str, send_model: bool, trusted: Sequence[str]) -> str:
    """Send what the tracker at `uri` lacks of a record; the id of its MLflow run. UserError: it does not answer."""
    client = store.connect(uri)
    try:
        with store.lock(record.provenance["record_id"]):
            run = _find_or_create(client, record, uri)
            run_id = run.info.run_id
            try:
                digest = digests.folder_digest(record.folder)
                if run.data.tags.get(PUBLISHED) != digest:
                    _send_scores(client, record, run_id)
                    _send_files(client, record, run_id)
                    if send_model and record.status["status"] == "FINISHED":
                        _send_model(client, record, run_id, trusted)
                    _send_folds(client, record, run)
                    client.set_tag(run_id, PUBLISHED, digest)
            finally:
                _set_status(client, record, run_id)
                if above := run.data.tags.get(store.PARENT):
                    _conclude_sweep(client, run.info.experiment_id, above, record.config["task"])
    except (mlflow.MlflowException, OSError) as error:  # OSError: of the network, or of a proxy that refuses an upload
        raise UserError(shown(f"MLflow at {uri} refused: {str(error).splitlines()[0]}")) from error
    return run_id


def _find_or_create(client: mlflow.MlflowClient, record: Record, uri: str) -> Run:
    settings, provenance = record.config, record.provenance
    git, choices = provenance["git"], settings["choices"]
    experiment = store.experiment(client, choices["data"], uri)
    store.share_view(client, experiment, settings["task"])
    tags = {"experiment": choices["experiment"], "dataset": choices["data"], "model": choices["model"]}
    tags |= {"task": settings["task"], "dirty": git.get("dirty", "no git"), "mlflow.user": provenance["user"]}
    tags |= {"mlflow.source.name": "deepmine.train", "mlflow.source.git.commit": git["commit"] or "none"}
    tags |= {"mlflow.source.git.branch": git.get("branch", "none"), "overrides": "\n".join(record.overrides)}
    start = _milliseconds(record.training["started"])
    if trial := provenance.get("trial"):
        shared = {key: tags[key] for key in ("dataset", "task", "mlflow.user")} | {"kind": "sweep"}
        with store.lock(trial["sweep"]):
            name = f"sweep {trial['sweep']}"
            above = store.find_or_create_run(client, experiment, trial["sweep"], shared, name, start)
        tags |= {"trial": trial["number"], store.PARENT: above.info.run_id}
    run = store.find_or_create_run(client, experiment, provenance["record_id"], tags, _name(record), start)
    if not run.data.params:
        data = provenance["data"]
        source = json.dumps({"tags": {key: str(data[key]) for key in ("data.dvc", "raw")}})
        used = Dataset(choices["data"], data["digest"], "code", source)
        client.log_batch(run.info.run_id, params=[Param(key, value) for key, value in _flat(settings)])
        client.log_inputs(run.info.run_id, [DatasetInput(used, [InputTag("mlflow.data.context", "training")])])
    return run


def _name(record: Record) -> str:
    """`titanic-tree max_depth=4`: the experiment, or the data and the model, and what was set beside them."""
    told = [word for word in record.overrides if not re.match("(experiment|data|model)=", word)]
    short = [re.sub(r"^[^=]*\.(?=[^.=]+=)", "", word) for word in told]
    return " ".join([re.sub(r"-\d{8}-\d{6}-\w{4}$", "", record.provenance["name"]), *short])


def _conclude_sweep(client: mlflow.MlflowClient, experiment: str, above: str, task: str) -> None:
    """Bring the run above the trials up to date: it is FINISHED once every published trial is."""
    with store.lock(above):  # the last to come has seen all trials
        runs = client.search_runs([experiment], f"tags.`{store.PARENT}` = '{above}'")
        all_data = [trial.data for trial in runs]
        trials = [ranking.Trial(int(d.tags["trial"]), d.tags["overrides"].splitlines(), d.metrics) for d in all_data]
        if best := ranking.best(task, trials):
            tags = {"best_trial": str(best.number), "overrides": "\n".join(best.overrides)}
            store.log_new(client, above, {key: value for key, value in best.metrics.items() if "/" in key}, tags)
        found = {trial.info.status for trial in runs}
        if "RUNNING" in found:
            client.update_run(above, "RUNNING")
        else:
            status = "FINISHED" if found == {"FINISHED"} else "FAILED"
            client.set_terminated(above, status, max(trial.info.end_time for trial in runs))


def _send_scores(client: mlflow.MlflowClient, record: Record, run_id: str) -> None:
    """Final scores, and the curves: a point that MLflow has with the same time it does not store again."""
    store.log_new(client, run_id, record.metrics | {k: x for k, x in record.training.items() if k == "fit_seconds"})
    curves = [(line, key) for line in record.curves for key in line if key not in ("epoch", "time")]
    points = [Metric(key, line[key], int(line["time"] * 1000), line["epoch"]) for line, key in curves]
    client.log_batch(run_id, metrics=points)


def _send_files(client: mlflow.MlflowClient, record: Record, run_id: str) -> None:
    """Every file but the model, which goes as a model, as an artifact; the data's report."""
    for path in record.folder.iterdir():
        if path.is_dir():
            client.log_artifacts(run_id, str(path), path.name)
        elif path.name not in ("model.skops", "model.pickle", "checkpoint.skops"):
            client.log_artifact(run_id, str(path))
    if (prepared := _prepared(record)) and (prepared / report.FILE).is_file():
        client.log_artifact(run_id, str(prepared / report.FILE), "data")


def _prepared(record: Record) -> Path | None:
    """The data set that the run was made on; None when it is gone, or another one by now."""
    facts = record.provenance["data"]
    folder = Path(facts["dataset"])
    same = (folder / "parts").is_dir() and dataset.require_info(folder)["digest"] == facts["digest"]
    return folder if same else None


def _send_model(client: mlflow.MlflowClient, record: Record, run_id: str, trusted: Sequence[str]) -> None:
    """The fitted pipeline, once, with signature and example of the data it saw; `mlflow.pyfunc.load_model` loads it."""
    if (outputs := client.get_run(run_id).outputs) and outputs.model_outputs:
        return
    import skops.io

    path = record.folder / "model.skops"
    pipeline = models.load(path, trusted)
    predicts = hasattr(pipeline, "predict")  # components do not: MLflow keeps them as a scikit-learn model alone
    prepared, example, signature = _prepared(record), None, None
    if prepared is not None:
        example = dataset.load(prepared).train.X[:5]
        said = pipeline.predict(example) if predicts else pipeline.transform(example)
        signature = mlflow.models.infer_signature(example, said)
    types = trust.check_saved(skops.io.get_untrusted_types(file=path), trusted, path)
    known = packages_distributions()
    used = {name for type_ in types for name in known.get(type_.partition(".")[0], [])}  # `xgboost` is in xgboost-cpu
    versions = record.provenance["versions"] | {name: version(name) for name in used}
    with mlflow.start_run(run_id=run_id):
        mlflow.sklearn.log_model(
            pipeline,
            name="model",
            signature=signature,
            input_example=example if predicts else None,
            serialization_format="skops",
            skops_trusted_types=types,
            pip_requirements=[f"{n}=={v}" for n, v in versions.items() if v and n not in ("deepmine", "dvc")],
            code_paths=[str(ROOT / "src" / "deepmine")],
        )


def _send_folds(client: mlflow.MlflowClient, record: Record, parent: Run) -> None:
    """Each fold of a cross-validation as a child run, found again by its number."""
    begin = record.training["started"]
    tags = {key: parent.data.tags[key] for key in SHARED} | {"kind": "fold", store.PARENT: parent.info.run_id}
    for fold in record.cross_validation.get("folds", []):
        identity, name = f"{record.provenance['record_id']}-fold-{fold['fold']}", f"fold {fold['fold']}"
        child = store.find_or_create_run(client, parent.info.experiment_id, identity, tags, name, _milliseconds(begin))
        scores = {f"cv/{key}": value for key, value in fold.items() if key not in ("fold", "rows")}
        store.log_new(client, child.info.run_id, scores)
        client.set_terminated(child.info.run_id, "FINISHED", _milliseconds(record.training.get("ended", begin)))


def _set_status(client: mlflow.MlflowClient, record: Record, run_id: str) -> None:
    status, ended = record.status, record.training.get("ended")  # of the fit: an evaluation adds no duration
    if "reason" in status:
        client.set_tag(run_id, "reason", status["reason"][:LONGEST])
    if status["status"] == "RUNNING":
        client.update_run(run_id, "RUNNING")
    else:
        client.set_terminated(run_id, status["status"], ended and _milliseconds(ended))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Parameters by dotted key; a value too long for MLflow stands whole in config.yaml, under its key."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value and key != "contract":  # which would be a parameter for each rule
            yield from _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            yield prefix + key, text if len(text) <= LONGEST else f"see config.yaml (md5 {compose.digest(value)})"


def _milliseconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1000)
