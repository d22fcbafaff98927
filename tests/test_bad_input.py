"""Bad input ends in one sentence, quickly, and leaves nothing behind: command lines, YAML files, what `fit` refuses."""

import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from sklearn.tree import DecisionTreeClassifier

from conftest import CONF, stage
from deepmine.commands import configure
from deepmine.config import compose, exits, running
from deepmine.config.errors import UserError

TITANIC = ("data=ferry", "model=tree")


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of conf/ that a test may spoil."""
    monkeypatch.setattr(compose, "CONF", Path(shutil.copytree(CONF, tmp_path / "conf")))
    return compose.CONF


def refused(*overrides: str) -> str:
    """The message for these overrides: short, one line, and soon there."""
    begin = time.process_time()
    with pytest.raises(UserError) as refusal:
        compose.compose(*overrides)
    message = str(refusal.value)
    assert time.process_time() - begin < 5 and len(message) < 700 and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("", "is not a setting"),
        ("=5", "`=5` is not a setting. Write key=value"),
        ("==", "is not a setting"),
        ("seed", "`seed` is not a setting"),
        ("x" * 100_000 + "=1", "is not a setting"),
        ("seed=" + "1" * 100_000, "Exceeds the limit"),
        ("model.max_depth=" + "[" * 3_000 + "]" * 3_000, "nested too deeply"),
        ("model.max_depth={", "no viable alternative"),
        ("model.max_depth=${nothing}", "'nothing' not found full_key: model.max_depth"),
        ("seed=null", "`seed` is None: it should be a valid integer"),
        ("~seed", "'seed' not found"),
        (
            "data.source={}",
            "`data.source={}` changes nothing, because mappings are merged. To remove it: data.source=null",
        ),
        ("data.contract={}", "To remove it: data.contract=null"),
        (
            "data.contract.rows=5",
            "`data.contract` is {'rows': 5}: it should be the name of a file in conf/data/contract",
        ),
        ("data.contract=fery", "conf/data/contract has no fery.yaml. Create it: make contract data=fery"),
        ("data.contract=../ferry", "`data.contract` is '../ferry': it should be the name"),
        ("preprocessing=null", "`preprocessing=null` is not a file of conf/preprocessing"),
        ("trainer=null", "`trainer=null` is not a file of conf/trainer"),
        ("experiment=../experiment/ferry_tree", "is not a file of conf/experiment. Did you mean `ferry_tree`?"),
        ("preprocessing=embedding", "Model `tree` with preprocessing=embedding does not take data of kind table"),
        ("preprocessing=window", "preprocessing=window changes nothing for table data"),
        ("model._tasks_=[]", "`model._tasks_` is []: it should have at least 1 item"),
        ("model._tasks_=5", "`model._tasks_` is 5: it should be a valid list"),
        ("model._tasks_=classification", "it should be a valid list"),
        ("model._takes_=[matrix]", "_takes_"),
        ("model._takes_=foo", "does not take data of kind table"),
        ("model._target_=5", "`model._target_` is 5: it should be a valid string"),
        ("model._target_=sklearn.tree.DecisionTree", "module sklearn.tree has no class or function DecisionTree"),
        ("model._partial_=true", "`model._partial_`"),
        ("model._recursive_=false", "`model._recursive_`"),
        ("model._convert_=foo", "`model._convert_`"),
        ("data.kind=picture", "`data.kind` is 'picture': it should be 'image',"),
        ("data.task=foo", "`task` is 'foo': it should be 'anomalies', "),
        ("data.source.target=null", "classification needs `source.target`"),
        ("data.source.target=passenger_id", "passenger_id is the row id (`source.row_id`), so it cannot be the target"),
        ("data.folder=", "`data.folder` is ''"),
        ("paths.out=", "`paths.out` is ''"),
        ("run=", "`run` is ''"),
        ("tracking.uri=''", "`tracking.uri` is ''"),
        ("tracking.uri=5", "`tracking.uri` is 5: it should be a valid string"),
        ("choices=x", "There is no `choices`"),
    ],
    ids=lambda text: text[:40],
)
def test_a_wrong_override_is_refused(override: str, says: str) -> None:
    assert says in refused(*TITANIC, override)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["model=../model/tree"], "`model=../model/tree` is not a file of conf/model"),
        (["model=shared/net"], "is not a file of conf/model"),
        (["model=null"], "`model=null` is not a file of conf/model"),
        (["model=5"], "must be a string"),
        (["data=null"], "`data=null` is not a file of conf/data"),
        (["seed=1", "seed=2"], "`seed` is set twice"),
        (["model=tree,forest"], "`model=tree,forest` holds several values. To train with each: make sweep model=tree,"),
        (["model.lr=choice(1,2)"], "make sweep model.lr=choice(1,2)"),
    ],
    ids=str,
)
def test_wrong_groups_and_values_for_a_sweep_are_refused(overrides: list[str], says: str) -> None:
    assert says in refused(*overrides)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("hydra.verbose=maybe", "seed", 0),  # Hydra's own settings are Hydra's
        ("model.min_samples_leaf=0.9", "model.min_samples_leaf", 0.9),  # a share of the rows
        ("preprocessing=code", "steps.code.net_params.code", 16),  # changes a table's steps too
        ("target=${seed}", "target", "${seed}"),  # a column may have that name
    ],
)
def test_right_on_reflection(override: str, key: str, value: object) -> None:
    assert OmegaConf.select(compose.compose(*TITANIC, override), key) == value


@pytest.mark.parametrize(
    "arguments", [["--foo"], ["-x"], ["--info", "foo"], ["--cfg", "foo"], ["seed=1", "-m"]], ids=str
)
def test_an_unknown_option_is_one_error(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["deepmine", "train", *arguments])
    with pytest.raises(SystemExit, match=r"^error: `\S+` is not a setting\. Write key=value; `--cfg job` prints all"):
        running.run(lambda cfg: None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"seed: 1  # caf\xe9", "bad.yaml is not UTF-8 text"),
        (bytes(range(256)), "bad.yaml is not UTF-8 text"),
        (b"seed: 1\0", "bad.yaml is not UTF-8 text"),
        (b"name: '\x07'", "bad.yaml is not UTF-8 text"),
        (b"seed: [1,", 'bad.yaml", line 1'),
        (b"seed: " + b"1" * 5_000, "Exceeds the limit"),
        (b"".join(b" " * n + b"a:\n" for n in range(1_000)), "nested too deeply"),
        (b"seed: " + b"[" * 20_000, "nested too deeply"),
        (b"data: &a\n  b: *a", "contains itself"),
        (b"defaults:\n  - bad", "contains itself"),
        (b"defaults: abc", "cannot be composed"),
        (b"defaults: [5]", "cannot be composed"),
        (b"model: null", "model"),
        (b"model:\n  _tasks_:", "`model._tasks_` is None: it should be a valid list"),
        (b"[1, 2]", "cannot be composed"),
        (b"sead: 1", "There is no `sead`. Did you mean `seed`?"),
    ],
    ids=lambda value: value[:30],
)
def test_a_bad_experiment_is_refused(conf: Path, text: bytes, says: str) -> None:
    (conf / "experiment/bad.yaml").write_bytes(text)
    assert says in refused("experiment=bad")


def test_an_alias_bomb_is_refused_before_it_is_read(conf: Path) -> None:
    levels = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdef", "bcdefg", strict=True)]
    (conf / "experiment/bad.yaml").write_text("a: &a x\n" + "\n".join(levels))
    assert "bad.yaml has more than 20 YAML aliases" in refused("experiment=bad")


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        (b"\xef\xbb\xbfseed: 7", 7),  # a byte order mark
        (b"\xef\xbb\xbf# @package _global_\nseed: 7", 7),
        (b"", 0),
        (b"# only a comment", 0),
        (b"seed: ???", 0),  # set by config.yaml
        (b"seed: 1:30", 90),  # YAML 1.1 counts by sixty
    ],
)
def test_a_good_experiment_is_accepted(conf: Path, text: bytes, seed: int) -> None:
    (conf / "experiment/good.yaml").write_bytes(text)
    assert compose.compose("experiment=good").seed == seed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "conf/pipeline.yaml"),
        ("datasets: []\nexperiments: [a]", "conf/pipeline.yaml experiments"),
        ("datasets: []\nexperiments: {a: {}}", "experiments.a.data Field required"),
        ("datasets: []\nexperiments:\n  none_such: {data: ferry}", "no conf/experiment/"),
    ],
)
def test_a_bad_pipeline_is_refused(conf: Path, text: str, says: str) -> None:
    cfg = compose.compose()
    (conf / "pipeline.yaml").write_text(text)
    with pytest.raises(UserError, match=says):
        configure.main(cfg)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"max_depth": 10**25}, "too large"),
        ({"class_weight": {"x": 1}}, "class_weight"),
        ({"monotonic_cst": [1]}, "monotonic_cst has shape 1 but the input data X has 2 features"),
    ],
)
def test_what_fit_refuses_is_a_message(settings: dict, says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)), exits.refusals():
        DecisionTreeClassifier(**settings).fit(np.eye(4)[:, :2], [0, 1, 0, 1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model.monotonic_cst=[1]", "The model refuses"),
        ("model.class_weight={0: -5}", "The model refuses"),
        ("data.kind=image", "data of kind image have no columns"),
        ("paths.out=/proc/x", "/proc/x cannot be used"),
        ("run=/proc/1/x", "x.deepmine-lock cannot be used: No such file"),
    ],
)
def test_a_verb_ends_in_one_line_and_exit_code_1(tmp_path: Path, override: str, says: str) -> None:
    out = [] if override.startswith("paths.out") else [f"paths.out={tmp_path}/out"]
    ended = stage("train", "experiment=ferry_tree", "tracking=none", *out, override)
    assert (ended.returncode, says in ended.stderr) == (1, True)
    assert re.fullmatch(r"error: .+\n", ended.stderr)
