"""A person's own files become a data set, without Python; what is protected is nowhere to be read afterwards."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from sklearn.datasets import make_blobs

from conftest import ROOT, make_clone, run, stage
from deepmine import tasks
from deepmine.commands import new_data
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.config.schema.config import Data
from deepmine.data.ledger import Ledger
from deepmine.data.preparing import inspect, prepare
from deepmine.data.preparing.found import FIRST_ROWS
from deepmine.data.readers import table

PEOPLE = 240
TASKS = sorted(path.stem for path in Path(tasks.__file__).parent.glob("[a-z]*.py"))
DECIMAL = "read={{decimal: ','}}"  # with the braces that `format` needs


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "deepmine"
    make_clone(folder)
    (folder / ".venv").unlink()  # a folder of links, in which new-data notes the data without touching ours
    (folder / ".venv").mkdir()
    for path in (ROOT / ".venv").iterdir():
        if path.name != "data":
            (folder / ".venv" / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, images by class and baskets, as people have them."""
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "patient_id": [f"PAT-{n:04}-QX" for n in range(PEOPLE)],
            "email": [f"zq{n}@private.example" for n in range(PEOPLE)],
            "joined": pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 900, PEOPLE), "D"),
            "plan": rng.choice(["basic", "plus", "pro"], PEOPLE),
            "monthly": rng.gamma(3, 10, PEOPLE).round(2),
            "remark": [f"remark {n} of many" for n in range(PEOPLE)],
            "churned": rng.choice(["stays", "goes"], PEOPLE),
        }
    )
    table.to_csv(folder / "Churn 2026.csv", index=False, sep=";", decimal=",", encoding="utf-8-sig")
    for shape in ("round", "square"):
        (folder / "shapes" / shape).mkdir(parents=True)
        for n in range(12):
            Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).save(folder / f"shapes/{shape}/{n}.png")
    items = ["milk", "bread", "butter", "beer", "crisps"]
    baskets = [",".join(rng.choice(items, rng.integers(1, 5), replace=False)) for _ in range(80)]
    (folder / "shop.txt").write_text("\n".join(baskets) + "\n")
    return folder


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


@pytest.mark.slow
def test_a_table_is_described_versioned_trained_and_protected(own: Path, files: Path) -> None:
    command = ["new-data", f"path={files}/Churn 2026.csv", "target=churned"]
    asked = stage(*command, root=own)
    assert asked.returncode == 1 and "`monthly` is text" in asked.stderr, asked.stderr
    done = stage(*command, "read={decimal: ','}", root=own)
    assert done.returncode == 0, done.stderr
    settings = read(own / "conf/data/churn_2026.yaml")
    assert settings["source"]["row_id"] == "patient_id" and settings["split"]["strategy"] == "stratified"
    assert settings["privacy"]["columns"] == {"patient_id": "drop", "email": "drop"}
    assert 'EXCLUDE ("remark")' in settings["source"]["query"]
    frozen = read(own / "conf/data/contract/churn_2026.yaml")["columns"]
    assert frozen["joined"]["type"] == "date" and frozen["plan"]["categories"] == ["basic", "plus", "pro"]
    assert "churn_2026" in run("git", "status", "--short", root=own).stdout
    assert run(".venv/bin/dvc", "status", "data.dvc", root=own).stdout.strip() == "Data and pipelines are up to date."
    noted = subprocess.run("cksum", stdin=(own / "data.dvc").open(), capture_output=True, check=True).stdout
    assert (own / ".venv/data").read_bytes() == noted  # so that .ci/setup lets the next files be added
    table = done.stdout[done.stdout.index("churn_2026, classification") :]
    assert all(name in table for name in ("churn_2026-boosting", "churn_2026-mlp", "baseline"))
    assert stage("train", "data=churn_2026", "model=tree", root=own).returncode == 0
    assert len(list((own / "mlruns").rglob("artifacts/data/report.html"))) == 4
    assert _readers_of(own, "@private.example", done.stdout + done.stderr) == []
    assert _readers_of(own, "PAT-0", done.stdout + done.stderr) == []


@pytest.mark.slow
def test_the_same_command_goes_on_after_a_stop_and_keeps_what_a_person_wrote(own: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=90).round(3), "kind": rng.choice(["a", "b"], 90)})
    table["told"] = table["kind"].map({"a": "yes, a", "b": "no, b"})
    table.to_csv(tmp_path / "leaky.csv", index=False)
    arguments = [f"path={tmp_path}/leaky.csv", "target=kind"]
    stopped = stage("new-data", *arguments, root=own)
    assert stopped.returncode == 1 and "told" in stopped.stderr and "the same command continues" in stopped.stderr
    settings = own / "conf/data/leaky.yaml"
    settings.write_text(settings.read_text() + "audit: {leaks: warn}\n# mine\n")
    done = stage("new-data", *arguments, root=own)
    assert done.returncode == 0 and "continuing with conf/data/leaky.yaml" in done.stdout, done.stderr
    assert "leaky-mlp" in done.stdout and settings.read_text().endswith("# mine\n")
    other = stage("new-data", arguments[0], "target=told", root=own)
    assert other.returncode == 1 and "not all of it from" in other.stderr


def test_first_models_of_a_large_table_learn_from_some_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FIRST_ROWS, "table", 60)
    for rows, wanted in ((100, None), (1000, 0.1)):
        pd.DataFrame({"x": range(rows), "y": [0, 1] * (rows // 2)}).to_csv(tmp_path / "a.csv", index=False)
        found = inspect.inspect("a", tmp_path, "a.csv", "y")
        assert found.settings.get("train_fraction") == wanted
        assert any("60 of 600 training rows" in note for note in found.notes) == (wanted is not None)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (
            "x,y\n" + "1,none\n2,1\n3,2\n" * 9,
            r"`y` is text, but 18 of 27 values.*; none may mean missing.*null_values: \[none\]",
        ),
        ("x,y\n" + "1,1\n2,2\n3,absent\n" * 9, r"`y` is text, but 18 of 27 values look like numbers \(9\)"),
        ("x,y\n" + '"1,234",a\n"2,5",b\n' * 9, r"`x` is text.*\(9,999\)"),
        ("x;y\n" + "1.234,5;a\n2,5;b\n" * 9, r"`x` is text.*\(9.999,9\)"),
        ("1,a\n2,b\n" * 9, "no header was found"),
    ],
)
def test_what_may_be_misread_is_asked_and_no_value_is_shown(text: str, asked: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=f"(?s)a.csv may be misread:\n  .*{asked}") as question:
        inspect.inspect("a", tmp_path, "a.csv", "y" if "y" in text else None)
    assert all(value not in str(question.value) for value in ("234", "4711", "absent;"))


def test_an_answer_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x;y\n" + "1.234,5;1\n2,5;0\nNA;0\nNA;1\n" * 9)
    answer = {"decimal": ",", "thousands": ".", "null_values": ["NA"]}
    source = inspect.inspect("a", tmp_path, "a.csv", "y", answer).settings["source"]
    assert source["files"] == {"a": {"path": "a.csv", "decimal": ",", "thousands": "."}}
    assert source["null_values"] == ["", "NA"] and source["row_id"] == "row in a"
    raw = table.read(tmp_path, **{key: value for key, value in source.items() if key != "_target_"})
    assert raw.X["x"].tolist()[:2] == [1234.5, 2.5] and raw.rows.tolist()[:2] == ["0", "1"]
    (tmp_path / "a.csv").write_text("x,y\n" + "1,1\n2,2\n3,absent\n" * 9)
    found = inspect.inspect("a", tmp_path, "a.csv", "y", {"null_values": ["absent"]})
    assert found.settings["clean"] == {"missing": {"drop_rows": ["y"]}}
    found = inspect.inspect("a", tmp_path, "a.csv", "y", {"dtype": {"y": "VARCHAR"}})
    assert found.settings["task"] == "classification" and "clean" not in found.settings


@pytest.mark.parametrize("path", ["/", "/dev/zero", ".", "{folder}/pipe", "{folder}"])
def test_what_is_not_data_is_refused_at_once(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="holds this repository|is not a regular file"):
        new_data._require_path(path.format(folder=tmp_path))


def test_names_from_data_are_no_expressions(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("${seed},x,y\n" + "".join(f"text {n},{n},{'ab'[n % 2]}\n" for n in range(60)))
    with pytest.raises(UserError, match=r"a.csv has a name with `\${`.*Rename it"):
        inspect.inspect("a", tmp_path, "a.csv", "y")


def test_every_task_has_first_models_that_do_it() -> None:
    does = {path.stem: read(path)["_tasks_"] for path in (compose.CONF / "model").glob("*.yaml")}
    first = {task: tasks.find(task).first_models for task in TASKS}
    assert all(task in does[model] for task, models in first.items() for model in models if model in does)
    assert all("classification" in does[model] for models in new_data.QUICK.values() for model in models)


@pytest.mark.slow
def test_without_a_target_clusters_are_looked_for(own: Path, tmp_path: Path) -> None:
    X, _ = make_blobs(90, centers=3, random_state=0)
    pd.DataFrame(X, columns=["wide", "high"]).to_csv(tmp_path / "blobs.csv", index=False)
    done = stage("new-data", f"path={tmp_path}/blobs.csv", root=own)
    assert done.returncode == 0, done.stderr
    assert all(f"blobs-{model}" in done.stdout for model in ("kmeans", "gmm"))


def _readers_of(root: Path, secret: str, said: str) -> list[str]:
    """Where a protected value can be read: in what stages wrote, the tracker (database and artifacts) or the output."""
    places = [p for name in ("out", "mlruns") for p in (root / name).rglob("*") if p.is_file()]
    places += sorted(root.glob("mlflow.db*"))
    assert len(places) > 50
    found = [str(path) for path in places if secret.encode() in path.read_bytes()]
    return found + ["the output"] * (secret in said)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "name", "kind", "task", "model"),
    [
        ("shapes", "shapes", "image", "classification", "cnn"),
        ("shop.txt", "shop", "baskets", "rules", "rules"),
    ],
)
def test_images_and_baskets_too(own: Path, files: Path, file: str, name: str, kind: str, task: str, model: str) -> None:
    answer = ["read={baskets: true}"] * (kind == "baskets")
    done = stage("new-data", f"path={files}/{file}", *answer, root=own)
    assert done.returncode == 0, done.stderr
    settings = read(own / f"conf/data/{name}.yaml")
    assert (settings["kind"], settings["task"]) == (kind, task)
    assert f"{name}-{model}" in done.stdout and (own / f"out/datasets/{name}/report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["path={files}/Churn 2026.csv", "target=churn", "name=other"], "Did you mean `churned`?"),
        (
            ["path={files}/Churn 2026.csv", "target=joined", "name=other", DECIMAL],
            "0 of its classes have 5 rows or more",
        ),
        (
            ["path={files}/Churn 2026.csv", "target=remark", "name=other", DECIMAL],
            "0 of its classes have 5 rows or more",
        ),
        (["path={files}/Übung (2)'s.csv", "name=other"], "Übung (2)'s.csv does not exist"),
        (["path={files}/nothing.csv", "name=other"], "nothing.csv does not exist"),
        (["name=other"], "Which data? make new-data path="),
        (["path={files}/shop.txt", "name=ferry"], "exist, but not all of it from"),
        (["path={files}/empty.csv", "name=other"], "empty.csv is empty"),
    ],
)
def test_what_cannot_be_used_leaves_nothing(own: Path, files: Path, arguments: list[str], says: str) -> None:
    (files / "empty.csv").touch()
    before = run("git", "status", "--short", root=own).stdout
    done = stage("new-data", *(argument.format(files=files) for argument in arguments), root=own)
    assert done.returncode == 1 and says in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert run("git", "status", "--short", root=own).stdout == before
    assert not (own / "data/other").exists() and not (own / "conf/data/other.yaml").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ferry", "exist, but not all of it from"),
        ("my-churn", "must be letters, digits and _.*name=my_churn"),
    ],
)
def test_a_name_that_cannot_be_taken_costs_nothing(
    name: str, says: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose, "CONF", Path(shutil.copytree(compose.CONF, tmp_path / "conf")))
    cfg = compose.compose(f"path='{files}/shop.txt'", f"name={name}", f"paths.data={tmp_path}/data", trains=False)
    (compose.CONF / "data/ferry.yaml").unlink()  # its contract alone is left
    with pytest.raises(UserError, match=says):
        new_data.main(cfg)
    assert (compose.CONF / "data/contract/ferry.yaml").is_file() and not (tmp_path / "data").exists()


def found(folder: Path, frame: pd.DataFrame, read: dict | None = None, **how: str) -> inspect.Found:
    frame.to_csv(folder / "t.csv", index=False, **how)
    return inspect.inspect("t", folder, "t.csv", "y", read or {})


def measures(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"x": np.linspace(1, 9, 60).round(2), **columns, "y": ["a", "b"] * 30})


def test_empty_columns_are_left_out_and_infinite_values_emptied(tmp_path: Path) -> None:
    first = found(tmp_path, measures(empty=None, fax=None, ratio=[np.inf, *range(59)]), {"dtype": {"ratio": "DOUBLE"}})
    assert "empty: no row has a value: left out." in first.notes
    assert "`ratio` is infinite in 1 rows, where it is emptied." in first.notes
    raw = table.read(tmp_path, **{key: value for key, value in first.settings["source"].items() if key != "_target_"})
    assert list(raw.X) == ["x", "fax", "ratio"] and first.settings["privacy"] == {"columns": {"fax": "drop"}}
    declared = Data(**{**first.settings, "train_fraction": 1.0}).model_dump()
    assert np.isnan(prepare.clean_table(raw, "y", declared, Ledger()).X["ratio"]).sum() == 1
    with pytest.raises(UserError, match="no column to learn from beside x"):
        found(tmp_path, measures(x=None))
