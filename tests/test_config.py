"""Configs: every file composes, every command in their heads works, every mistake is named."""

import errno
import inspect
import os
import pkgutil
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from conftest import environment, stage
from deepmine import ROOT
from deepmine.config import compose, exits
from deepmine.config.errors import UserError
from deepmine.config.schema.config import TASKS
from deepmine.config.signature import signature


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ("sead=1", "no `sead`. Did you mean `seed`?"),
        ("seed=1.5", "`seed` is 1.5: it should be a valid integer"),
        ("data=remote data.download.mirors=[a]", "no `data.download.mirors`. Did you mean `mirrors`?"),
        ("data=remote data.download.files.x=abc", "`data.download.files.x` is 'abc'"),
        ("seed=-1", "`seed` is -1: it should be greater"),
        ("model=treee", "no conf/model/treee.yaml. Did you mean `tree`?"),
        ("experiment=ferry_tre", "Did you mean `ferry_tree`?"),
        ("experiment=ferry_tree model.max_dept=3", "no `model.max_dept`. Did you mean `max_depth`?"),
        ("model.lrr=1", "no `model.lrr`. Did you mean `lr`?"),
        ("model.lr=fast", "`model.lr` is 'fast'"),
        ("model.net_params.hiden=[3]", "no `model.net_params.hiden`. Did you mean `hidden`?"),
        ("model.net=deepmine.models.networks.MPL", "`model.net` names deepmine.models.networks.MPL, but module"),
        ("model.net=os.system", "not trusted"),
        ("model._target_=os.system", "not trusted"),
        ("model.optimizer=torch.optim.Adamm", "module torch.optim has no class or function Adamm"),
        ("trainer.max_epoch=3", "Did you mean `max_epochs`?"),
        ("trainer.max_epochs=ten", "`trainer.max_epochs` is 'ten'"),
        ("data.split.valid=0.1", "Did you mean `val`?"),
        ("data.split.val=2", "less than 1"),
        (
            "data=ferry model=tree data.privacy.columns.ticket=drop",
            "`privacy.columns.ticket: drop` leaves no groups",
        ),
        ("data.source.X_tests=x", "Did you mean `X_test`?"),
        ("experiment=ferry_tree preprocessing.numbers.strateg=mean", "Did you mean `strategy`?"),
        ("model=kmeans", "Models for classification on data of kind image: "),
        ("experiment=birds_kmeans model=tree", "Models for clustering on data of kind table: agglomerative, gmm,"),
        ("task=clusterin", "`task` is 'clusterin': it should be 'anomalies', 'classification',"),
    ],
)
def test_a_mistake_is_named_with_the_nearest_valid_thing(overrides: str, says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        compose.compose(*overrides.split())


def test_a_mistake_is_shown_with_the_files_that_may_hold_it() -> None:
    with pytest.raises(UserError, match=re.escape("(It is set in conf/data/ferry.yaml or on the command line.)")):
        compose.compose("experiment=null", "data=ferry", "data.split.valid=1", trains=False)
    with pytest.raises(UserError, match=r"conf/model/tree.yaml, conf/experiment/ferry_tree.yaml or on the command"):
        compose.compose("experiment=ferry_tree", "model.max_dept=3")


def test_who_stops_reading_ends_a_stage_without_a_word() -> None:
    read, write = os.pipe()
    os.close(read)
    code = "from deepmine.config import exits\nwith exits.of_program(): print(1)"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, env=environment(), text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_model_refuses_a_kind_of_data() -> None:
    with pytest.raises(
        UserError,
        match="`cnn` with preprocessing=default does not take .* table, such as `ferry`.*: boosting, forest",
    ):
        compose.compose("data=ferry", "model=cnn")
    with pytest.raises(UserError, match="Task rules does not go with data `digits`, of kind image: use data of kind b"):
        compose.compose("model=rules", "task=rules")


@pytest.mark.parametrize(
    ("overrides", "place"),
    [
        ("", "out/runs/digits_mlp"),
        ("seed=0 trainer.max_epochs=10", "out/runs/digits_mlp"),  # what the file says anyway
        ("tracking=none", "out/runs/digits_mlp"),  # decides no number
        ("seed=1", "out/adhoc/digits-mlp-"),
        ("model=tree", "out/adhoc/digits-tree-"),
        ("experiment=null", "out/adhoc/digits-mlp-"),
    ],
)
def test_a_run_with_other_settings_gets_a_folder_of_its_own(overrides: str, place: str) -> None:
    assert compose.compose(*overrides.split()).folders.run.startswith(place)


def test_other_data_settings_get_a_data_set_of_their_own() -> None:
    assert re.fullmatch(r"out/datasets/digits-\w{8}", compose.compose("data.split.seed=1").folders.dataset)


def test_a_setting_that_no_file_mentions_can_be_set() -> None:
    assert compose.compose("model=tree", "model.splitter=random").model.splitter == "random"


def test_the_trainer_is_no_part_of_a_tree() -> None:
    tree = compose.decisive(compose.compose("model=tree"))
    assert tree == compose.decisive(compose.compose("model=tree", "trainer.max_epochs=3"))


def test_signatures_are_read_without_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optional = "try:\n    from .sub.models import Boost as Booster\nexcept ImportError:\n    pass\n"
    init = "def __init__(self, depth: int, rate: Rate = 1, *rest, size: int | None = None): ..."
    package = {
        "__init__.py": f"{optional}from .more import *",
        "sub/__init__.py": "",
        "sub/models.py": "import twigs.base as own\nclass Boost(own.Base): ...",
        "base.py": f"Rate = float\nclass Base:\n    {init}",
        "more.py": "import json\ndef open_to_all(**anything): ...",
    }
    for name, text in package.items():
        (tmp_path / "twigs" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "twigs" / name).write_text(text)
    (tmp_path / "bush.py").write_text("class Bush:\n    def __init__(self, depth: int): ...")
    monkeypatch.syspath_prepend(tmp_path)
    assert signature("bush.Bush") == {"depth": (int, True)}  # a module of one file
    found = {"depth": (int, True), "rate": (Any, False), "size": (int | None, False)}
    assert signature("twigs.Booster") == found and "twigs" not in sys.modules
    assert signature("twigs.open_to_all") is None  # `import *` hides it, so the package is imported
    for name, says in {
        "nowhere.Thing": "no module nowhere",
        "twigs.base.Bass": "has no class or function Bass",
    }.items():
        with pytest.raises(LookupError, match=says):
            signature(name)


@pytest.mark.parametrize("target", ["sklearn.tree.DecisionTreeClassifier", "torch.optim.Adam"])
def test_what_signatures_say_is_what_python_says(target: str) -> None:
    real = inspect.signature(pkgutil.resolve_name(target)).parameters
    assert {k: required for k, (_, required) in (signature(target) or {}).items()} == {
        name: parameter.default is parameter.empty for name, parameter in real.items()
    }


def test_a_new_task_is_known_by_its_file() -> None:
    tasks = {path.stem for path in (ROOT / "src/deepmine/tasks").glob("[!_]*.py")}
    assert set(TASKS) == tasks >= {"classification", "clustering", "rules"}


@hypothesis.given(text=hypothesis.strategies.text("a'\"\\${}[]:,=~ \u00e9", min_size=1))
def test_names_and_sql_are_taken_as_they_are_typed(text: str) -> None:
    hypothesis.assume(text[0] not in "'\"")  # quoted already, in Hydra's way
    override = OverridesParser.create().parse_override(compose.translated(f"data.source.query={text}"))
    assert OmegaConf.create({"query": override.value()}).query == text


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "out/runs"), "^out/runs cannot be used: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "^The disk is full .*paths.out="),
        (OSError("2744000 requested and 307072 written"), "^The disk is full .*paths.out="),
    ],
)
def test_a_disk_that_cannot_be_written_costs_a_sentence(error: OSError, says: str) -> None:
    with pytest.raises(UserError, match=says), exits.explained():
        raise error


def test_other_errors_of_the_system_keep_their_traceback() -> None:
    with pytest.raises(FileNotFoundError), exits.explained():
        Path("out/nothing/here").read_text()


@pytest.mark.slow
def test_a_file_in_the_place_of_out_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    ended = stage("prepare", "data=birds", f"paths.out={tmp_path}/out", "tracking=none")
    assert ended.returncode == 1
    assert re.fullmatch(rf"error: {tmp_path}/out/\S+ cannot be used: Not a directory\. .*\n", ended.stderr)
