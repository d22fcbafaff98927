"""Records of older formats, tests/records/<month>/: the newest code reads, compares and publishes them.

After a change of format: `.venv/bin/python tests/keep_records.py <month>`. The older ones stay as they are.
"""

import json
import shutil
from pathlib import Path

import mlflow
import pytest

from deepmine.commands import compare
from deepmine.models import pipelines
from deepmine.runs import record
from deepmine.runs.tracking import publishing

MONTHS = sorted(path for path in (Path(__file__).parent / "records").iterdir())
KEPT = [path for month in MONTHS for path in sorted(month.iterdir())]
NAMES = [f"{path.parent.name}-{path.name}" for path in KEPT]
NAME = "deepmine"  # a record names classes of the package as it was called, which a later name does not find


def stored(path: Path) -> dict:
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.mark.parametrize("folder", KEPT, ids=NAMES)
def test_a_record_is_read_as_it_was_written(folder: Path) -> None:
    run = record.find(folder)
    assert run.provenance["record_id"] and run.provenance["data"]["digest"] and run.provenance["git"]["commit"]
    assert run.config["choices"]["model"] in ("mlp", "tree", "kmeans") and run.config["seed"] == 0
    assert any("=" in word for word in run.overrides)
    last = stored(folder / "evaluation/status.json") or stored(folder / "status.json")
    assert run.status == last and run.status["status"] == ("FAILED" if folder.name == "failed" else "FINISHED")
    assert run.metrics == stored(folder / "metrics.json") and bool(run.metrics) == (folder.name != "failed")
    assert [line["epoch"] for line in run.curves] == ([1, 2] if folder.name == "net" else [])
    assert len(run.cross_validation.get("folds", [])) == (2 if folder.name == "folds" else 0)


@pytest.mark.parametrize("folder", [path for path in KEPT if path.name != "failed"], ids=lambda path: path.name)
def test_the_model_of_a_record_is_loaded(folder: Path) -> None:
    if NAME not in record.find(folder).provenance["versions"]:
        pytest.skip("the package has another name since")
    assert pipelines.load(folder / "model.skops").steps[-1][0] == "model"


@pytest.mark.parametrize("month", MONTHS, ids=lambda month: month.name)
def test_records_are_compared(month: Path, tmp_path: Path) -> None:
    shutil.copytree(month, tmp_path / "adhoc")
    finished = [run for run in record.find_all(tmp_path) if run.metrics]
    tables = {name: compare.leaderboard(runs) for name, runs in compare.comparable(finished).items()}
    assert {name: set(table.index) for name, table in tables.items()} == {
        "birds, clustering after columns, outliers, encode": {"clusters"},
        "ferry, classification": {"net", "tree", "folds", "trial"},
    }


@pytest.mark.parametrize("month", MONTHS, ids=lambda month: month.name)
def test_records_are_published(month: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    shutil.copytree(month, tmp_path / "adhoc")
    for run in record.find_all(tmp_path):
        send_model = run.folder.name == "net" and NAME in run.provenance["versions"]
        published = mlflow.MlflowClient(uri).get_run(publishing.publish(run, uri, send_model, []))
        assert published.info.status == run.status["status"], run.folder.name
        assert run.metrics.items() <= published.data.metrics.items()
        assert bool(published.outputs and published.outputs.model_outputs) == send_model
        begun = record.Record(run.folder).training["started"]
        assert published.info.start_time == publishing._milliseconds(begun)
        points = mlflow.MlflowClient(uri).get_metric_history(published.info.run_id, "train_loss")
        assert [point.step for point in points] == [line["epoch"] for line in run.curves]
    kinds = [run.data.tags.get("kind") for run in mlflow.search_runs(search_all_experiments=True, output_format="list")]
    assert sorted(map(str, kinds)) == ["None"] * 6 + ["fold", "fold", "sweep"]
