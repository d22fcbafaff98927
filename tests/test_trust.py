"""Trust: YAML and model files name only classes of allowed kinds; what is refused has not run."""

import functools
import operator
import os
import re
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from omegaconf import OmegaConf
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import clear_data_home, dump_svmlight_file
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute._iterative import IterativeImputer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._testing import assert_run_python_script_without_output
from skrub import TableVectorizer

from conftest import CONF
from deepmine.config import compose, trust
from deepmine.config.errors import UserError
from deepmine.models import pipelines
from deepmine.models.lightning import LightningClassifier

TREE = {"_target_": "sklearn.tree.DecisionTreeClassifier"}
SCALER = {"_target_": "sklearn.preprocessing.StandardScaler"}
NET = {"_target_": "deepmine.models.lightning.LightningClassifier"}
X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that no attack may change; with a module on the path, `stranger`, which deletes it when imported."""
    folder = tmp_path / "important"
    folder.mkdir()
    (folder / "work.txt").touch()
    code = (
        f"import pathlib, torch\npathlib.Path({str(folder / 'work.txt')!r}).unlink()\nclass Net(torch.nn.Module): ..."
    )
    (tmp_path / "stranger.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def attack(folder: Path) -> str:
    return f"import os; os.remove({str(folder / 'work.txt')!r})"


ATTACKS = {  # what stands in a config -> what the refusal says
    "a script by a test helper": (
        lambda f: {
            "_target_": "sklearn.utils._testing.assert_run_python_script_without_output",
            "source_code": attack(f),
        },
        "not trusted",
    ),
    "a private function of ours": (
        lambda f: {"_target_": "deepmine.runs.provenance._run", "_args_": ["-c", f"alias.x=!rm -r {f}", "x"]},
        "not trusted",
    ),
    "a public function that deletes": (
        lambda f: {"_target_": "sklearn.datasets.clear_data_home", "data_home": str(f)},
        "not an estimator",
    ),
    "a public function that unpickles": (
        lambda f: {"_target_": "sklearn.datasets.fetch_california_housing", "data_home": str(f)},
        "not an estimator",
    ),
    "a re-exported class": (
        lambda f: {"_target_": "deepmine.models.pipelines.ZipFile", "file": str(f / "work.txt"), "mode": "w"},
        "not an estimator",
    ),
    "a re-exported function": (
        lambda f: {"_target_": "deepmine.config.compose.compose", "overrides": []},
        "not an estimator",
    ),
    "a function behind two modules": (lambda f: {"_target_": "deepmine.data.raw.np.load", "file": "x"}, "imported"),
    "a stranger": (lambda f: {"_target_": "stranger.Net"}, "not trusted"),
    "a package whose name begins alike": (lambda f: {"_target_": "sklearnx.Evil"}, "not trusted"),
    "a name with a colon": (lambda f: {"_target_": "sklearn.utils:os.remove"}, "not trusted"),
    "not a name": (lambda f: {"_target_": 5}, "not trusted"),
    "nested in a list": (
        lambda f: {
            "_target_": "sklearn.pipeline.Pipeline",
            "steps": [["x", {"_target_": "sklearn.datasets.clear_data_home", "data_home": str(f)}]],
        },
        "steps.x.steps.0.1` names sklearn.datasets.clear_data_home",
    ),
    "a cache of pickles": (lambda f: {**SCALER, "_target_": "sklearn.pipeline.Pipeline", "memory": str(f)}, "memory"),
    "texts that name files": (
        lambda f: {"_target_": "sklearn.feature_extraction.text.CountVectorizer", "input": "filename"},
        "input",
    ),
    **{
        f"Hydra's {key}": (lambda f, key=key, value=value: {**SCALER, key: value}, key)
        for key, value in {"_args_": [1], "_partial_": True, "_recursive_": False, "_convert_": "none"}.items()
    },
}


@pytest.mark.parametrize("wrap", [dict, OmegaConf.create])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_by_config_is_refused_before_it_runs(name: str, wrap: Callable, victim: Path) -> None:
    make, says = ATTACKS[name]
    with pytest.raises(UserError, match=re.escape(says)):
        pipelines.build(wrap({"x": make(victim)}), TREE)
    assert (victim / "work.txt").exists() and "stranger" not in sys.modules


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ("steps={x: {_target_: sklearn.utils._testing.assert_run_python_script_without_output}}", "not trusted"),
        ("experiment=ferry_tree +model._partial_=true", "`model._partial_` may not be set"),
        ("model._target_=os.system", "not trusted"),
        ("data.source._target_=deepmine.runs.mlflow_store.urlopen", "not a reader"),
        ("data.source._target_=sklearn.datasets.load_files", "not a reader"),
        ("data.source._target_=deepmine.data.readers._table.read", "not a reader"),
        ("experiment=digits_mlp model.net=stranger.Net", "not trusted"),
        ("experiment=digits_mlp model.optimizer=sklearn.utils._testing.Adam", "not trusted"),
    ],
)
def test_a_name_is_refused_when_a_config_is_composed(overrides: str, says: str, victim: Path) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        compose.compose(*re.split(r" (?=\+?model\.)", overrides))
    assert "stranger" not in sys.modules


def test_a_mistake_costs_no_import() -> None:
    code = (
        "import sys\nfrom deepmine.config import compose\nfrom deepmine.config.errors import UserError\n"
        "try: compose.compose('experiment=ferry_tree', 'model._target_=os.system')\n"
        "except UserError: assert not {'torch', 'sklearn'} & set(sys.modules), 'imported'\n"
        "else: assert False, 'accepted'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_class_in_conf_is_of_a_known_kind() -> None:
    def names(node: object) -> set[str]:
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        own = {node[key] for key in ("_target_", "net", "optimizer") if isinstance(node, dict) and key in node}
        return own.union(*map(names, children))

    files = [path for group in ("model", "preprocessing", "experiment") for path in CONF.rglob(f"{group}/**/*.yaml")]
    found = set().union(*(names(yaml.safe_load(path.read_text())) for path in files))
    trusted = compose.compose().trusted
    for name in {name for name in found if isinstance(name, str) and "${" not in name}:
        trust.check_name(name, trusted, "conf")
        trust.resolve(name, trusted, "conf")


def saved(folder: Path, *steps: object) -> Path:
    """A model file with these steps before a tree."""
    skops.io.dump(
        Pipeline([(f"step{n}", step) for n, step in enumerate(steps)] + [("model", DummyClassifier())]),
        folder / "model.skops",
    )
    return folder / "model.skops"


PLANTS = {  # what stands in a model file
    "a script by a test helper": lambda f: (
        FunctionTransformer(DummyClassifier(strategy="constant", constant=attack(f)).fit(X, [attack(f)] * 40).predict),
        CountVectorizer(analyzer=assert_run_python_script_without_output, vocabulary={"a": 0}),
    ),
    "a function that overwrites": lambda f: (FunctionTransformer(dump_svmlight_file, kw_args={"f": str(f / "x")}),),
    "a function that deletes": lambda f: (CountVectorizer(analyzer=clear_data_home, vocabulary={"a": 0}),),
    "a method": lambda f: (FunctionTransformer(DummyClassifier().fit(X, y).predict),),
    "a partial": lambda f: (FunctionTransformer(functools.partial(np.add, 1)),),
    "a method by name": lambda f: (FunctionTransformer(operator.methodcaller("unlink")),),
    "os.system": lambda f: (FunctionTransformer(os.system),),
    "a class": lambda f: (FunctionTransformer(subprocess.Popen),),
}


@pytest.mark.parametrize("name", PLANTS)
def test_an_attack_by_a_model_file_is_refused_before_it_runs(name: str, victim: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not trusted|not an estimator|cannot be imported"):
        pipelines.load(saved(tmp_path, *PLANTS[name](victim)))
    assert (victim / "work.txt").exists()


@pytest.mark.parametrize("names", [{"net": "stranger.Net"}, {"optimizer": "stranger.Net"}])
@pytest.mark.parametrize(
    "load", [pipelines.load, lambda path: skops.io.load(path, skops.io.get_untrusted_types(file=path))]
)
def test_a_saved_net_of_a_stranger_is_not_imported(names: dict, load: object, victim: Path, tmp_path: Path) -> None:
    net = LightningClassifier(trainer={"max_epochs": 1}).fit(X, y).set_params(**names)
    with pytest.raises(UserError, match="names stranger.Net, which is not trusted"):
        load(saved(tmp_path, net))  # as MLflow loads it, too: by the types that the file itself names
    assert (victim / "work.txt").exists() and "stranger" not in sys.modules


@pytest.mark.parametrize("trusted", [["teampackage."], ["teampackage.Ridge", "teampackage.Grower"]])
def test_a_package_is_trusted_by_one_line(trusted: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from sklearn.linear_model import Ridge as Own\nclass Ridge(Own): ...\ndef erase(): ...\nclass Other: ..."
    (tmp_path / "teampackage.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"add it to `trusted`"):
        pipelines.build({}, {"_target_": "teampackage.Ridge"})
    pipeline = pipelines.build({}, {"_target_": "teampackage.Ridge"}, trusted).fit(X, y)
    pipelines.save(pipeline, tmp_path / "model.skops")
    np.testing.assert_array_equal(pipelines.load(tmp_path / "model.skops", trusted).predict(X), pipeline.predict(X))
    for name in ("erase", "Other"):
        with pytest.raises(UserError):
            pipelines.build({}, {"_target_": f"teampackage.{name}"}, trusted)
    assert pipelines.build({}, {"_target_": "teampackage.Other"}, ["teampackage.Other"])
    sys.modules.pop("teampackage")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_helpers_are_those_that_models_need(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=list("abc")).mask(lambda x: x > 1)
    impute = ColumnTransformer([("numbers", IterativeImputer(max_iter=1), make_column_selector())])
    found = set()
    for step, model in (
        (impute, DecisionTreeClassifier()),
        (impute, HistGradientBoostingClassifier(max_iter=2)),
        (TableVectorizer(), DummyClassifier()),
        (impute, pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=2, verbosity=-1)),
    ):
        pipelines.save(Pipeline([("step", step), ("model", model)]).fit(frame, y), tmp_path / "model.skops")
        pipelines.load(tmp_path / "model.skops", ["lightgbm."])
        found |= set(skops.io.get_untrusted_types(file=tmp_path / "model.skops"))
    assert found >= trust.HELPERS


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model", [KNeighborsClassifier(), KNeighborsClassifier(algorithm="ball_tree"), GaussianProcessClassifier()]
)
def test_neighbours_and_gaussian_processes_are_saved_and_loaded(model: BaseEstimator, tmp_path: Path) -> None:
    fitted = Pipeline([("model", model)]).fit(X, y)
    pipelines.save(fitted, tmp_path / "model.skops")
    assert (pipelines.load(tmp_path / "model.skops").predict(X) == fitted.predict(X)).all()


def test_of_a_trusted_package_a_file_holds_public_classes_that_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from subprocess import Popen\nclass Part: ...\nclass _Part: ...\ndef erase(): ..."
    package = types.ModuleType("teampackage")
    exec(code, package.__dict__)
    monkeypatch.setitem(sys.modules, "teampackage", package)
    names = [f"teampackage.{name}" for name in ("Part", "Popen", "_Part", "erase")]
    with pytest.raises(
        UserError, match=r"trusted: \[teampackage., teampackage.Popen, teampackage._Part, teampackage.erase\]"
    ):
        trust.check_saved(names, ["teampackage."], Path("model.skops"))
    assert trust.check_saved(names[:1], ["teampackage."], Path("model.skops"))
    with pytest.raises(UserError, match=r"trusted: \[teampackage.Part\]"):
        trust.check_saved(names[:1], [], Path("model.skops"))


def flipped(content: bytes, at: float) -> bytes:
    place = int(len(content) * at)
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        *(lambda content, at=at: flipped(content, at) for at in (0.1, 0.3, 0.6, 0.9, 0.97)),
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"\x80\x04N.",
    ],
)
def test_a_damaged_model_file_is_named(damage: object, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    pipelines.save(Pipeline([("model", DecisionTreeClassifier())]).fit(X, y), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"model\.skops is damaged or not a model file \(.*\)\. Train again\."):
        pipelines.load(path)


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump({"a": 1}, path)
    with pytest.raises(UserError, match="is damaged or not a model file"):
        pipelines.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "")
    with pytest.raises(UserError, match="is damaged or not a model file"):
        pipelines.load(path)
    path.unlink()
    with pytest.raises(UserError, match="no model"):
        pipelines.load(path)
