"""What this template promises of its own starter sets, documents and committed scores.

A project that takes it over deletes this file.
"""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from checkout import REPOSITORY, tracked
from conftest import run, stage
from deepmine import commands
from deepmine.config import check, compose
from deepmine.config.errors import UserError
from deepmine.data import dataset
from deepmine.data.dataset import Dataset
from deepmine.data.preparing import prepare
from deepmine.data.preparing.audit import audit, refuse
from deepmine.data.preparing.privacy import personal
from deepmine.data.preparing.split import split
from deepmine.data.raw import Raw
from deepmine.data.readers import baskets
from deepmine.models.association_rules import AssociationRules
from test_audit import LEVELS
from test_docs import README, blocks
from test_mining import components_of
from test_rules import by_mlxtend, compare

DATA, CONF = REPOSITORY / "data", REPOSITORY / "conf"
VERBS = [path.stem.replace("_", "-") for path in Path(commands.__file__).parent.glob("[!_]*.py")]
COMMAND = re.compile(rf"^#\s+make ({'|'.join(VERBS)})((?: \S+=\S+)*)(?:  |$)", re.MULTILINE)
FEW = ("mnist_mlp", "mnist_tree", "penguins_kmeans", "titanic_mlp", "titanic_tree")  # what a clone's pipeline runs


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the checkout instead of those of the tests."""
    monkeypatch.setattr(compose, "CONF", CONF)
    monkeypatch.setattr(check, "ROOT", REPOSITORY)


@cache
def prepared(name: str) -> Dataset:
    settings = compose.plain(compose.compose("~experiment", f"data={name}", trains=False))["data"]
    return prepare.prepare(name, settings, DATA / settings["folder"]).dataset


# ---- the starter sets


def test_the_digest_of_the_data_is_dvcs() -> None:
    out = yaml.safe_load((REPOSITORY / "data.dvc").read_text())["outs"][0]
    assert dataset.folder_digest(DATA) == out["md5"]


def test_every_starter_set_has_a_contract() -> None:
    ours = [path for path in (CONF / "data").glob("*.yaml") if "download" not in yaml.safe_load(path.read_text())]
    assert {path.stem for path in ours} == {path.stem for path in (CONF / "data/contract").glob("*.yaml")}


@pytest.mark.parametrize(
    ("name", "rows"),
    [("japanese_vowels", [216, 54, 370]), ("census_names", [2899, 725, 1208]), ("mnist5k", [3500, 500, 1000])],
)
def test_parts_have_the_rows_that_the_docs_say(name: str, rows: list[int]) -> None:
    assert [len(part) for _, part in prepared(name).parts()] == rows


def test_titanic_is_joined_as_it_was_published_without_what_leaks() -> None:
    parts = [part for _, part in prepared("titanic").parts()]
    joined = pd.concat([part.X.assign(row=part.rows, survived=part.y) for part in parts]).sort_values("row")
    original = pd.read_csv(DATA / "titanic/titanic3.csv.gz")
    assert list(joined.columns[:-2]) == ["pclass", "sex", "age", "sibsp", "parch", "fare", "embarked"]
    for column in ("survived", "pclass", "sex", "age", "sibsp", "parch", "embarked"):
        same = joined[column].to_numpy() == original[column].to_numpy()
        assert (same | (joined[column].isna().to_numpy() & original[column].isna().to_numpy())).all(), column
    other = np.abs(joined["fare"].to_numpy() - original["fare"].to_numpy()) > 1e-6
    assert set(original.loc[other, "ticket"]) == {"7534"}  # the ticket with two fares: the higher one counts


def test_the_columns_written_down_after_the_rescue_are_found() -> None:
    frame = pd.read_csv(DATA / "titanic/titanic3.csv.gz").drop(columns=["name"])
    titanic = Raw(frame, frame.pop("survived").to_numpy(), np.arange(len(frame)).astype(str))
    index = split({"strategy": "stratified", "val": 0.15, "test": 0.25, "seed": 0}, titanic)
    leaks = [finding for finding in audit(titanic, index, "classification", LEVELS) if finding.check == "leaks"]
    assert [finding.message.split("`")[1] for finding in leaks] == ["boat", "body"]
    with pytest.raises(UserError, match="`boat`(.|\n)*leaks: warn"):
        refuse(leaks, "titanic")


def test_the_tables_of_the_starter_sets_are_known_for_what_they_are() -> None:
    for name in ("titanic", "penguins"):
        assert personal(prepared(name).train.X) == {}
    for file, found in {
        "titanic/passengers.csv": {"name"},
        "titanic/titanic3.csv.gz": {"name"},
        "titanic/tickets.csv": set(),
        "titanic/outcomes.csv": set(),
        "penguins/penguins_raw.csv": set(),
        "online_retail_customers/items.csv.gz": set(),
        "census_names/first_names.csv.gz": {"name"},
        "sunspots/sunspots.csv": set(),
        "japanese_vowels/japanese_vowels.csv.gz": set(),
    }.items():
        assert set(personal(pd.read_csv(DATA / file))) == found, file


def retail(**settings: int) -> Raw:
    folder = DATA / "online_retail_customers"
    return baskets.read(folder, "baskets.csv.gz", "customer", "items", " ", names="items.csv.gz", **settings)


def test_the_shops_smaller_baskets_have_the_known_number_of_rules() -> None:
    raw = retail(min_items=2, max_items=300)
    assert len(AssociationRules(0.03, 0.6).fit(raw.X).rules_["support"]) == 445


@pytest.mark.slow
def test_the_shops_rules_are_those_of_mlxtend() -> None:
    X = retail().X
    model = AssociationRules(0.03, 0.6).fit(X)
    sets, rules = by_mlxtend(X.toarray(), 0.03, 0.6)
    assert len(sets) == len(model.itemsets_["count"]) == 1872 and len(rules) == 1761
    compare(model, rules)


def test_penguins_have_the_known_components() -> None:
    _, _, outcomes = components_of(pd.concat([part.X for _, part in prepared("penguins").parts()]).to_numpy())
    np.testing.assert_allclose(outcomes["train"].spectrum[:2], [0.69, 0.19], atol=0.05)


# ---- the settings


@pytest.mark.slow  # the settings are composed 150 times
@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_every_command_in_a_head_can_be_typed(path: Path) -> None:
    for verb, rest in COMMAND.findall(path.read_text(encoding="utf-8")):
        overrides = [o.split(",")[0] if verb == "sweep" else o for o in rest.split()]  # the first of its values
        composed_elsewhere = overrides in ([f"{group}={path.stem}"] for group in ("data", "experiment"))
        if not composed_elsewhere and not {"path", "run"} & {o.partition("=")[0] for o in overrides}:
            compose.compose(*overrides, trains=verb in ("train", "sweep", "evaluate"))


# ---- the committed scores


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_the_committed_scores_come_out_again(name: str, tmp_path: Path) -> None:
    """Equal to the bit on one machine; another processor rounds otherwise, so here to within two points."""
    place = [f"paths.out={tmp_path}/out", f"run={tmp_path}/run", "tracking=none"]
    done = stage("train", f"experiment={name}", *place, root=REPOSITORY)
    assert done.returncode == 0, done.stderr
    committed = json.loads((REPOSITORY / f"out/runs/{name}/metrics.json").read_text())
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == pytest.approx(committed, rel=0.02, abs=0.02)


# ---- the documents


def test_the_readme_lists_every_experiment() -> None:
    assert set(compose.pipeline()["experiments"]) <= set(re.findall(r"`(\w+)`", README))


def test_the_changed_files_named_exist() -> None:
    for path in ("conf/model/tree.yaml", "src/deepmine/tasks/classification.py", "data/titanic"):
        assert f"`{path}" in README and (REPOSITORY / path).exists()


def make_clone(folder: Path) -> None:
    """Copy this checkout as it is now, committed or not, as one commit, with the raw data and few experiments."""
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, folder / name)
    listed = yaml.safe_load((folder / "conf/pipeline.yaml").read_text())["experiments"]
    few = {name: listed[name] for name in FEW}
    datasets = sorted({experiment["data"] for experiment in few.values()})
    compose.dump(folder / "conf/pipeline.yaml", {"datasets": datasets, "experiments": few})
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    (folder / ".venv").symlink_to(REPOSITORY / ".venv")
    pulled = run(".venv/bin/dvc", "pull", "-q", "data.dvc", root=folder)
    assert pulled.returncode == 0, pulled.stderr


@pytest.mark.slow
def test_the_round_of_versions_runs_as_shown(tmp_path: Path) -> None:
    make_clone(tmp_path / "deepmine")
    there, back = blocks("sh", (REPOSITORY / "docs/data.md").read_text().partition("## Versions")[2])[:2]
    who = {f"GIT_{role}_{what}": "test@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def do(block: str) -> str:
        script = f"set -e\n{block.replace('make ', 'make -o setup ')}"
        done = run("sh", "-c", script, root=tmp_path / "deepmine", env=who)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    do("make repro\ngit add -A\ngit commit -qm first\n")
    said = do(there)
    ran = set(re.findall(r"Running stage '([\w@]+)'", said))
    assert ran == {
        "prepare@titanic",
        *(f"{s}@titanic_{m}" for s in ("train", "evaluate") for m in ("mlp", "tree")),
        "compare",
    }
    assert "out/runs/titanic_tree/metrics.json" in said and "mnist" not in said.partition("Path")[2]
    assert "Running stage" not in do(back)
    assert "P0001," in (tmp_path / "deepmine/data/titanic/passengers.csv").read_text()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with the README's examples added: a data set, a model and a network."""
    folder = tmp_path_factory.mktemp("own") / "deepmine"
    make_clone(folder)
    for block in [*blocks("yaml"), *blocks("python")]:
        path = re.match(r"# (\S+)\n", block)[1]
        (folder / path).write_text(block.partition("\n")[2])
    flowers = [
        f"{n},{n % 7 + 10 * (n % 2)},{'red' if n % 3 else 'blue'},{'rose' if n % 2 else 'daisy'}" for n in range(90)
    ]
    (folder / "data/flowers").mkdir()
    (folder / "data/flowers/flowers.csv").write_text("\n".join(["id,height,colour,kind", *flowers]) + "\n")
    return folder


@pytest.mark.slow
def test_the_readmes_own_data_set_and_models_run_as_shown(own: Path) -> None:
    shell = "".join(block for block in blocks("sh") if "flowers" in block or "extra_trees" in block or "=wide" in block)
    commands = [line.partition("#")[0] for line in shell.splitlines()]
    assert len(commands) >= 6
    for command in commands:
        done = run("sh", "-c", command.replace("make ", "make -o setup "), root=own)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    table = run("make", "-o", "setup", "compare", root=own, env={"COLUMNS": "140"}).stdout
    assert all(name in table for name in ("flowers-tree", "flowers-mlp", "titanic-extra_trees", "mnist5k-wide"))


@pytest.mark.slow
def test_a_folder_without_git_trains_too(tmp_path: Path) -> None:
    make_clone(tmp_path / "deepmine")
    subprocess.run(["rm", "-rf", tmp_path / "deepmine/.git"], check=True)
    done = run("make", "-o", "setup", "train", "experiment=titanic_tree", root=tmp_path / "deepmine")
    assert done.returncode == 0, done.stderr
    provenance = (tmp_path / "deepmine/out/runs/titanic_tree/provenance.json").read_text()
    assert "not a git repository" in provenance
