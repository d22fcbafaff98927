"""From a run record to MLflow.

One record is one MLflow run, found by its tag `record_id`, and nothing is stored twice: so an outage, a
restored DVC stage and a fresh clone are the same case. Trials of a sweep are children of one run, which has the scores
and the overrides of the best.
"""

import json
import re
import shutil
import time
import traceback
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run

from deepmine.config import compose
from deepmine.config.errors import UserError, shown
from deepmine.data import digests
from deepmine.data.preparing import report
from deepmine.runs import ranking
from deepmine.runs.record import Record
from deepmine.runs.tracking import logged_model, store

PUBLISHED = (
    "record_digest"  # digest of the record's files when all were last sent, its status, and whether the model was
)
KEPT_HERE = ("model.skops", "model.pickle", "checkpoint.skops")
LOG = "publish.log"  # in the record: the traceback of a defect in this code
SHARED = ("dataset", "model", "task", "mlflow.user")  # tags that children take from their parent
LONGEST = 6000  # characters that MLflow keeps of a parameter's value
Known = Container[tuple[str, float]]  # scores that MLflow has


def publish(record: Record, uri: str, send_model: bool, trusted: Sequence[str]) -> str:
    """Send what the tracker at `uri` lacks of a record; the id of its MLflow run. UserError: not all of it is there.

    Each part is sent unless it is there, whole, and the digest comes last: so what fails at any request is completed later.
    """
    with _explained(record, uri), store.lock(record.provenance["record_id"]):
        client = store.connect(uri)
        run = _find_or_create(client, record, uri)
        run_id, status = run.info.run_id, record.status["status"]
        digest = f"{digests.folder_digest(record.folder)} {status} {send_model}"
        if run.data.tags.get(PUBLISHED) != digest:
            _send_curves(client, run_id, record.curves)
            _send_scores(client, record, run_id, run.data.metrics.items())
            _send_files(client, record, run_id)
            _send_folds(client, record, run)
            _set_status(client, record, run)
            if record.provenance.get("trial"):
                _conclude_sweep(client, run.info.experiment_id, run.data.tags[store.PARENT], record.config["task"])
            if send_model and status == "FINISHED":
                model = logged_model.send(client, record, run, trusted)
                linked = [(metric.key, metric.value) for metric in model.metrics or []]
                _send_scores(client, record, run_id, linked, model.model_id)
            client.set_tag(run_id, PUBLISHED, digest)
    return run_id


def live(record: Record, uri: str) -> Iterator[None]:
    """Send a record that is being written: the run at the first step, and the new epochs at each."""
    client = store.connect(uri)
    with store.lock(record.provenance["record_id"]):
        run = _find_or_create(client, record, uri)
        _set_status(client, record, run)
    sent = 0
    while True:
        curves = record.curves
        _send_curves(client, run.info.run_id, curves[sent:])
        sent = len(curves)
        yield


@contextmanager
def _explained(record: Record, uri: str) -> Iterator[None]:
    """Tell apart what the tracker refuses, what is wrong with the record and what is wrong with this code."""
    (log := record.folder / LOG).unlink(missing_ok=True)
    try:
        yield
    except (mlflow.MlflowException, OSError) as error:  # OSError: of the network, or of a proxy that refuses an upload
        raise UserError(shown(f"MLflow at {uri} refused: {str(error).splitlines()[0]}")) from error
    except UserError:
        raise
    except Exception as error:
        log.write_text(shown(traceback.format_exc()), encoding="utf-8")
        why = f"{shown(f'{type(error).__name__}: {error}')}. The traceback is in {log}"
        raise UserError(f"A defect of ours, not of the tracker, in publishing: {why}") from error


def _find_or_create(client: mlflow.MlflowClient, record: Record, uri: str) -> Run:
    """The run of a record, with its tags, parameters, and data."""
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
    if first := provenance.get("reproduces"):
        found = client.search_runs([experiment], f"tags.`{store.RECORD_ID}` = '{first}'", max_results=1)
        tags |= {"reproduces": first, "kind": "rebuilt", **({store.PARENT: found[0].info.run_id} if found else {})}
    run = store.find_or_create_run(client, experiment, provenance["record_id"], tags, _name(record), start)
    missing = [Param(key, value) for key, value in _flat(settings) if key not in run.data.params]
    client.log_batch(run.info.run_id, params=missing)
    data = provenance["data"]
    source = json.dumps({"tags": {key: str(data[key]) for key in ("data.dvc", "raw")}})
    used = Dataset(choices["data"], data["digest"], "code", source)  # MLflow keeps the same one once
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
        parts = [(run.data.tags, run.data.metrics) for run in runs]
        trials = [ranking.Trial(int(tags["trial"]), tags["overrides"].splitlines(), found) for tags, found in parts]
        if best := ranking.best(task, trials):
            scores, now = {key: value for key, value in best.metrics.items() if "/" in key}, int(time.time() * 1000)
            # the last best is not always the last to end
            _log_new(client, above, scores, now, client.get_run(above).data.metrics.items())
            client.set_tag(above, "best_trial", str(best.number))
            client.set_tag(above, "overrides", "\n".join(best.overrides))
        found = {trial.info.status for trial in runs}
        if "RUNNING" in found:
            client.update_run(above, "RUNNING")
        else:
            status = "FINISHED" if found == {"FINISHED"} else "FAILED"
            client.set_terminated(above, status, max(trial.info.end_time for trial in runs))


def _send_curves(client: mlflow.MlflowClient, run_id: str, curves: Sequence[Mapping[str, Any]]) -> None:
    """Epochs; a point that MLflow has with the same time it does not store again."""
    lines = [(line, key) for line in curves for key in line if key not in ("epoch", "time")]
    client.log_batch(run_id, [Metric(key, line[key], int(line["time"] * 1000), line["epoch"]) for line, key in lines])


def _send_scores(
    client: mlflow.MlflowClient, record: Record, run_id: str, known: Known, model: str | None = None
) -> None:
    """Final scores of the run, or of its model too, at the time at which they were made."""
    scores = record.metrics | {key: x for key, x in record.training.items() if key == "fit_seconds"}
    at = _milliseconds(record.status.get("ended", record.training["started"]))
    data = (record.config["choices"]["data"], record.provenance["data"]["digest"])
    _log_new(client, run_id, scores, at, known, model, *data)


def _log_new(
    client: mlflow.MlflowClient, run_id: str, scores: Mapping[str, float], at: int, known: Known, *of: str | None
) -> None:
    """Send the scores that are not `known`; `of` which model, data and digest."""
    client.log_batch(run_id, [Metric(key, x, at, 0, *of) for key, x in scores.items() if (key, x) not in known])


def _send_files(client: mlflow.MlflowClient, record: Record, run_id: str) -> None:
    """Every file but the model, which goes as a model, as an artifact; the data's report."""
    with TemporaryDirectory() as folder:
        shutil.copytree(record.folder, folder, ignore=shutil.ignore_patterns(".*", *KEPT_HERE), dirs_exist_ok=True)
        if (prepared := logged_model.prepared(record)) and (prepared / report.FILE).is_file():
            (data := Path(folder, "data")).mkdir()
            shutil.copy(prepared / report.FILE, data)
        client.log_artifacts(run_id, folder)
        store.require_kept(partial(client.list_artifacts, run_id), Path(folder))


def _send_folds(client: mlflow.MlflowClient, record: Record, parent: Run) -> None:
    """Each fold of a cross-validation as a child run, found again by its number."""
    begin, end = _milliseconds(record.training["started"]), _ended(record)
    tags = {key: parent.data.tags[key] for key in SHARED} | {"kind": "fold", store.PARENT: parent.info.run_id}
    for fold in record.cross_validation.get("folds", []):
        identity, name = f"{record.provenance['record_id']}-fold-{fold['fold']}", f"fold {fold['fold']}"
        child = store.find_or_create_run(client, parent.info.experiment_id, identity, tags, name, begin)
        scores = {f"cv/{key}": value for key, value in fold.items() if key not in ("fold", "rows")}
        _log_new(client, child.info.run_id, scores, end, child.data.metrics.items())
        client.set_terminated(child.info.run_id, "FINISHED", end)


def _set_status(client: mlflow.MlflowClient, record: Record, run: Run) -> None:
    status, run_id = record.status, run.info.run_id
    if "reason" in status:
        client.set_tag(run_id, "reason", status["reason"][:LONGEST])
    elif "reason" in run.data.tags:  # it was killed, and has gone on
        client.delete_tag(run_id, "reason")
    if status["status"] == "RUNNING":
        client.update_run(run_id, "RUNNING")
    else:
        client.set_terminated(run_id, status["status"], _ended(record))


def _ended(record: Record) -> int:
    """When the fit ended, for an evaluation adds no duration; of one that was killed without notice the last epoch."""
    if ended := record.training.get("ended"):
        return _milliseconds(ended)
    times = [int(line["time"] * 1000) for line in record.curves]
    return max(times, default=_milliseconds(record.training["started"]))


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
