"""No file runs code, whoever planted it: in data, model, checkpoint, record or tracker; and no secret gets into one."""

import ast
import io
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import skops.io
import torch
import yaml
from sklearn.preprocessing import FunctionTransformer

from checkout import REPOSITORY
from conftest import cut, make_clone, prepared, run
from deepmine.commands import compare, doctor
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import dataset, digests
from deepmine.data.readers import arrays
from deepmine.models import checkpoint, pipelines
from deepmine.runs import record
from deepmine.runs.tracking import publishing, store

KEPT = sorted((REPOSITORY / "tests/records").iterdir())[-1]


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def bomb(tmp_path: Path) -> Bomb:
    return Bomb(tmp_path / "fired")


def fired(bomb: Bomb) -> bool:
    return bomb.folder.exists()


def test_the_bomb_goes_off(bomb: Bomb) -> None:
    pickle.loads(pickle.dumps(bomb))
    assert fired(bomb)


def objects(bomb: Bomb) -> np.ndarray:
    return np.array([bomb, bomb], dtype=object)


def as_npy(path: Path, bomb: Bomb) -> None:
    with path.open("wb") as file:
        np.save(file, objects(bomb), allow_pickle=True)


def as_npz(path: Path, bomb: Bomb) -> None:
    np.savez(path, data=objects(bomb), indices=[0, 1], indptr=[0, 2], shape=[1, 2], format=b"csr", a=objects(bomb))


def as_pickle(path: Path, bomb: Bomb) -> None:
    path.write_bytes(pickle.dumps(bomb))


def as_parquet(path: Path, bomb: Bomb) -> None:
    """A column of a type that older pyarrow unpickled (CVE-2023-47248)."""
    kind = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickle.dumps(bomb)}
    table = pa.table([pa.array([1.0])], schema=pa.schema([pa.field("a", pa.float64(), metadata=kind)]))
    pa.parquet.write_table(table, path)


def as_torch(path: Path, bomb: Bomb) -> None:
    torch.save({"state_dict": bomb}, path)


def as_function(path: Path, bomb: Bomb) -> None:
    skops.io.dump({"epoch": FunctionTransformer(os.mkdir, kw_args={"path": str(bomb.folder)})}, path)


def as_archive(path: Path, bomb: Bomb) -> None:
    """A skops archive whose array is one of pickled objects."""
    skops.io.dump({"weights": np.ones(2)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    npy = io.BytesIO()
    np.save(npy, objects(bomb), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, npy.getvalue() if name.endswith(".npy") else content)


@pytest.mark.parametrize("plant", [as_npy, as_npz, as_pickle])
@pytest.mark.parametrize("name", ["X.npy", "X.npz", "X.npz:a"])
def test_raw_arrays(plant: Callable, name: str, bomb: Bomb, tmp_path: Path) -> None:
    plant(tmp_path / name.partition(":")[0], bomb)
    with pytest.raises(UserError):
        arrays.read(tmp_path, "table", name)
    assert not fired(bomb)


@pytest.mark.parametrize(
    ("set_", "name", "plant"),
    [
        ("digits", "X_train.npy", as_npy),
        ("digits", "y_test.npy", as_npy),
        ("digits", "rows_val.npy", as_pickle),
        ("market", "X_train.npz", as_npz),
        ("ferry", "X_train.parquet", as_parquet),
        ("ferry", "X_train.parquet", as_pickle),
    ],
)
@pytest.mark.parametrize("digest", ["old", "of the plant"])
def test_prepared_data(set_: str, name: str, plant: Callable, digest: str, bomb: Bomb, tmp_path: Path) -> None:
    dataset.save(cut(prepared(set_), 20), tmp_path / "set")
    parts = tmp_path / "set/parts"
    plant(parts / name, bomb)
    if digest != "old":
        info = json.loads((parts / "info.json").read_text())
        info["digest"] = digests.folder_digest(parts, leave_out="info.json")
        (parts / "info.json").write_text(json.dumps(info))
    try:
        dataset.load(tmp_path / "set")
    except Exception:  # a message, unless someone who can write digests wrote this one
        refused = True
    else:
        refused = plant is as_parquet and digest != "old"  # a column of numbers, whose type is not believed
    assert refused and not fired(bomb)


FILES = [as_pickle, as_torch, as_npy, as_function, as_archive]


@pytest.mark.parametrize("plant", FILES)
def test_a_model(plant: Callable, bomb: Bomb, tmp_path: Path) -> None:
    plant(tmp_path / "model.skops", bomb)
    with pytest.raises(UserError):
        pipelines.load(tmp_path / "model.skops")
    assert not fired(bomb)


@pytest.mark.parametrize("plant", FILES)
def test_a_checkpoint(plant: Callable, bomb: Bomb, tmp_path: Path) -> None:
    plant(tmp_path / "checkpoint.skops", bomb)
    with pytest.raises(UserError):
        checkpoint.SkopsIO().load_checkpoint(tmp_path / "checkpoint.skops")
    assert not fired(bomb)


def all_verbs(out: Path, uri: str) -> None:
    """What reads the records below a folder: compare, publish, doctor, evaluate."""
    tracking = [f"tracking.uri={uri}", f"paths.out={out}"]
    for verb, more in ((compare, ()), (doctor, ["mend=true"])):
        with suppress(UserError):
            verb.main(compose.compose(*tracking, *more, trains=False))
    for found in record.find_all(out):
        with suppress(UserError):
            found.opened([])
        with suppress(UserError):
            publishing.publish(found, uri, True, [])


def config(folder: Path, text: str) -> None:
    """A config.yaml that the record says is its own."""
    (folder / "config.yaml").write_text(text)
    origin = json.loads((folder / "provenance.json").read_text())
    origin["config"] = digests.file_digest(folder / "config.yaml")
    (folder / "provenance.json").write_text(json.dumps(origin))


TAGS = "steps: !!python/object/apply:os.mkdir [{}]\n"


@pytest.mark.slow
def test_a_record_full_of_bombs(bomb: Bomb, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number, plant in enumerate(FILES):
        shutil.copytree(KEPT / "net", out / f"adhoc/net{number}")
        for name in ("model.skops", "checkpoint.skops"):
            plant(out / f"adhoc/net{number}/{name}", bomb)
    as_pickle(shutil.copytree(KEPT / "net", out / "adhoc/net") / "model.pickle", bomb)
    for name, spoil in {"tags": TAGS.format(bomb.folder), "target": None}.items():
        folder = shutil.copytree(KEPT / "tree", out / f"adhoc/{name}")
        settings = yaml.safe_load((folder / "config.yaml").read_text())
        target = {"_target_": "os.mkdir", "path": str(bomb.folder)}
        config(folder, spoil or yaml.safe_dump({**settings, "model": target, "steps": {"x": target}}))
    all_verbs(out, f"sqlite:///{tmp_path}/mlflow.db")
    assert not fired(bomb)


def test_a_config_of_a_record_builds_nothing_that_is_not_trusted(bomb: Bomb) -> None:
    target = {"_target_": "os.mkdir", "path": str(bomb.folder)}
    with pytest.raises(UserError, match="not trusted"):
        pipelines.build({"x": target}, target)
    for text in (TAGS.format(bomb.folder), f"x: !!python/object/new:os.mkdir [{bomb.folder}]"):
        with pytest.raises(yaml.YAMLError):
            yaml.safe_load(text)
    assert not fired(bomb)


@pytest.mark.slow
def test_a_run_of_the_tracker(bomb: Bomb, tmp_path: Path) -> None:
    """Artifacts and a model of a stranger, in the run of a record here and in one that is not."""
    uri, out = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "out"
    shutil.copytree(KEPT / "tree", out / "adhoc/tree")
    own = publishing.publish(record.find(out / "adhoc/tree"), uri, False, [])
    client = mlflow.MlflowClient(uri)
    tags = {"record_id": "../../../elsewhere", "dataset": "ferry", "task": "classification"}
    other = client.create_run(client.get_run(own).info.experiment_id, tags=tags).info.run_id
    plants = tmp_path / "plants"
    plants.mkdir()
    for plant in FILES:
        plant(plants / f"{plant.__name__}.skops", bomb)
    for name in ("model.skops", "model.pickle", "metrics.json", "provenance.json"):
        as_pickle(plants / name, bomb)
    (plants / "config.yaml").write_text(TAGS.format(bomb.folder))
    (plants / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n")
    for run_id in (own, other):
        client.log_artifacts(run_id, str(plants))
        client.log_artifacts(run_id, str(plants), "model")
    all_verbs(out, uri)
    for run_id in (own, other):
        with suppress(UserError):
            record.find(store.fetch(uri, run_id, tmp_path / "a/b/c/fetched", record.FILES))
    assert not (tmp_path / "a/elsewhere").exists(), "what a tracker says named a folder"
    assert not fired(bomb)


HOOK = """
import os, sys, traceback

def watch(event, values):
    if event == "pickle.find_class":
        with open(os.environ["UNPICKLED"], "a") as file:
            file.write(f"{values}\\n" + "".join(traceback.format_stack(limit=12)) + "\\n")

sys.addaudithook(watch)
"""
CANARIES = {
    "AWS_SECRET_ACCESS_KEY": "canaryAwsSecretKey0123456789",
    "GITHUB_TOKEN": "canaryGithubToken0123456789",
    "MLFLOW_TRACKING_USERNAME": "canaryMlflowUser",
    "MLFLOW_TRACKING_PASSWORD": "canaryMlflowPassword",
    "MLFLOW_TRACKING_TOKEN": "canaryMlflowToken",
    "SHOP_DATABASE": "postgresql://joe:canaryDatabasePassword@127.0.0.1:1/shop",
    "AWAY": "http://joe:canaryTrackerPassword@127.0.0.1:9",
}
WORDS = ["canary" + part for part in (
    "AwsSecretKey", "GithubToken", "MlflowUser", "MlflowPassword", "MlflowToken", "DatabasePassword", "TrackerPassword",
    "DotEnv", "DvcSecret", "Netrc",
)]  # fmt: skip
VERBS = (
    "train experiment=ferry_mlp trainer.max_epochs=2 tracking.uri=${oc.env:AWAY}",
    "publish tracking.uri=http://joe:canaryTrackerPassword@127.0.0.1:9",
    "publish",
    "doctor",
)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A project full of secrets after some verbs, what they said, and where each class that was unpickled is told."""
    folder = tmp_path_factory.mktemp("used")
    root, log = folder / "project", folder / "unpickled"
    make_clone(root)
    (folder / "hook").mkdir()
    (folder / "hook/sitecustomize.py").write_text(HOOK)
    (root / ".env").write_text("PASSWORD=canaryDotEnv0123456789\n")
    (root / ".env.local").write_text("PASSWORD=canaryDotEnv0123456789\n")
    (root / "deploy.netrc").write_text("machine x login joe password = 'canaryNetrc0123456789'\n")
    secret = "['remote \"own\"']\n    url = s3://own\n    secret_access_key = canaryDvcSecret0123456789\n"
    (root / ".dvc/config.local").write_text(secret)
    paths = {"PYTHONPATH": f"{root}/src:{folder}/hook", "UNPICKLED": str(log)}
    said = ""
    for words in VERBS:
        verb, *given = words.split()
        done = run(sys.executable, "-m", "deepmine", verb, *given, root=root, env={**CANARIES, **paths})
        said += f"== {verb}\n{done.stdout}{done.stderr}"
        assert done.returncode == ("joe" in words), said
    log.touch()
    return root, said, log


@pytest.mark.slow
def test_nothing_is_unpickled(used: tuple[Path, str, Path]) -> None:
    assert used[2].read_text() == ""


@pytest.mark.slow
def test_the_watch_sees_what_is_unpickled(used: tuple[Path, str, Path], tmp_path: Path) -> None:
    code = "import pickle, collections; pickle.loads(pickle.dumps(collections.OrderedDict))"
    env = {"PYTHONPATH": str(used[2].parent / "hook"), "UNPICKLED": str(tmp_path / "log")}
    run(sys.executable, "-c", code, env=env, check=True)
    assert "OrderedDict" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_no_secret_is_in_a_record_the_tracker_or_what_is_said(used: tuple[Path, str, Path]) -> None:
    root, said, _ = used
    places = [path for name in ("out", "mlruns", "multirun") for path in (root / name).rglob("*") if path.is_file()]
    places += [*root.glob("mlflow.db*"), *(path for path in (root / ".git").rglob("*") if path.is_file())]
    assert len([path for path in places if path.name == "provenance.json"]) == 2 and "is in sqlite" in said
    found = {
        f"{path.relative_to(root)}: {word}" for path in places for word in WORDS if word.encode() in path.read_bytes()
    }
    assert found | {f"said: {word}" for word in WORDS if word in said} == set()


READS_CODE = ("pickle", "cPickle", "dill", "joblib", "shelve", "marshal")  # modules that run what a file says
CALLS = {
    "cloudpickle.load", "cloudpickle.loads", "pd.read_pickle", "pandas.read_pickle", "eval", "exec", "compile",
    "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "mlflow.pyfunc.load_model",
    "mlflow.sklearn.load_model", "mlflow.pytorch.load_model",
}  # fmt: skip


def dangers(code: str) -> list[str]:
    """What of a source file could run code that stands in a file that it reads."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            found += [f"import {name}" for name in names if name.partition(".")[0] in READS_CODE]
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            weights = name in ("torch.load", "torch.jit.load") or name.endswith("load_from_checkpoint")
            unsafe = name in CALLS or (weights and given.get("weights_only") != "True")
            found += [name] * (unsafe or given.get("allow_pickle", "False") != "False")
    return found


SOURCES = [path for part in ("src", "takeover", "docs", "benchmarks") for path in (REPOSITORY / part).rglob("*.py")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_source_reads_a_file_that_can_run_code(path: Path) -> None:
    assert dangers(path.read_text()) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle", "from joblib import load", "import torch\ntorch.load(x)", "torch.load(x, weights_only=False)",
        "Net.load_from_checkpoint(x)", "np.load(x, allow_pickle=True)", "yaml.load(x, Loader=yaml.Loader)",
        "import numpy as np\nnp.load(x, 'r', allow_pickle=maybe)", "cloudpickle.loads(x)", "pd.read_pickle(x)", "eval(x)",
        "mlflow.pyfunc.load_model(x)",
    ],
)  # fmt: skip
def test_what_could_run_code_is_seen(code: str) -> None:
    assert dangers(code)


def test_what_cannot_run_code_is_not_seen() -> None:
    assert not dangers(
        "torch.load(x, weights_only=True)\nnp.load(x)\nnp.save(x, allow_pickle=False)\nyaml.safe_load(x)"
    )
