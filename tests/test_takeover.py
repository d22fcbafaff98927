"""Whose project it is: rename, remove, new-project and update, in a small project and in a copy of this one."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from checkout import REPOSITORY as ROOT
from checkout import copy_checkout
from conftest import run
from deepmine.commands import new_data
from deepmine.config.errors import UserError
from takeover import new_project, remove, rename, update

FILES = {
    "pyproject.toml": '[project]\nname = "deepmine"\n[tool.ruff]\nsrc = ["src", "tests"]\n',
    ".gitignore": "__pycache__\n/data\n.venv\n",
    "src/deepmine/__init__.py": '"""Deepmine keeps its key in DEEPMINE_KEY; deepminer is another word."""\n',
    "src/deepmine/cli.py": "from deepmine import models\n",
    "tests/conftest.py": "",
    "README.md": "# Deepmine\n\n| data | runs |\n|---|---|\n| `birds`, seen | birds_tree |\n| `fish` | fish_tree |\n\n"
    "## birds\n\nThey fly.\n\n```sh\nmake train data=birds model=tree\nmake train data=fish\n```\n",
    ".dvc/config": "['remote \"s3\"']\n    url = s3://deepmine\n",
    "dvc.lock": "stages:\n  train@birds_tree:\n    cmd: deepmine train\n    deps:\n    - path: x\n  train@fish_tree:\n    cmd: y\n",
    "conf/config.yaml": "defaults:\n  - data: birds\n  - model: tree\n  - experiment@_global_: birds_tree  # x\n",
    "conf/pipeline.yaml": "datasets:\n  - birds\n  - fish\nexperiments:\n  birds_tree:\n    data: birds\n  fish_tree:\n    data: fish\n",
    "conf/model/tree.yaml": "# A tree.\n#   make train experiment=birds_tree\n_target_: deepmine.models.Tree\n",
    "conf/model/mlp.yaml": "# A net.\n",
    "conf/data/birds.yaml": "folder: birds\n",
    "conf/data/fish.yaml": "folder: fish\n",
    "conf/data/contract/birds.yaml": "rows: 1\n",
    "conf/experiment/birds_tree.yaml": "seed: 1\n",
    "conf/experiment/fish_tree.yaml": "defaults:\n  - override /data: fish\n",
    "docs/reference.py": 'import shutil\n\nshutil.copy("conf/config.yaml", "docs/reference/all.md")\n',
    "docs/reference/all.md": "stale\n",
    "out/runs/birds_tree/metrics.json": "{}\n",
    "out/scores/birds_tree.json": "{}\n",
    "tests/test_template.py": "",
    "tests/records/2026-11/net/config.yaml": "model: deepmine.models.Tree\n",
}
STAMPED = ("datasets/birds/x", "datasets/birds-0123abcd/x", "adhoc/birds-tree-20260131-120000-0a1b/x")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project under git, which is the current folder."""
    write(tmp_path / "mine", FILES)
    monkeypatch.chdir(tmp_path / "mine")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.com")
    commit("start", "init", "-q")
    return tmp_path / "mine"


@pytest.fixture
def data(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Raw data, with a DVC that says they are versioned; what was versioned afterwards."""
    write(project / "data", {"birds/birds.csv": "a\n", "fish/fish.csv": "b\n"})
    use_dvc(project, monkeypatch, "exit 0")
    versioned: list[str] = []
    monkeypatch.setattr(new_data, "version", versioned.append)
    return versioned


def use_dvc(project: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    write(project, {".venv/bin/dvc": f"#!/bin/sh\n{script}\n"})
    (project / ".venv/bin/dvc").chmod(0o755)
    monkeypatch.setattr(remove, "ROOT", project)


def commit(message: str, *first: str) -> None:
    if first:
        rename.git(*first)
    rename.git("add", "-A")
    rename.git("commit", "-qm", message)


def test_a_renamed_project_has_the_name_everywhere_and_nothing_else_changed(project: Path) -> None:
    write(project, {"tests/test_cli.py": "import conftest\nimport deepmine\n"})
    commit("a test")
    rename.main("blue_heron")
    assert not (project / "src/deepmine").exists()
    assert (project / "src/blue_heron/__init__.py").read_text() == (
        '"""Blue heron keeps its key in BLUE_HERON_KEY; deepminer is another word."""\n'
    )
    assert (project / "src/blue_heron/cli.py").read_text() == "from blue_heron import models\n"
    assert (project / "tests/test_cli.py").read_text() == "import blue_heron\nimport conftest\n"  # in order again
    assert "_target_: blue_heron.models.Tree" in (project / "conf/model/tree.yaml").read_text()
    assert "s3://deepmine" in (project / ".dvc/config").read_text()  # where the data are
    assert "deepmine." in (project / "tests/records/2026-11/net/config.yaml").read_text()  # as the run wrote it
    assert (project / "README.md").read_text().startswith("# Blue heron\n")
    assert "data: birds" in (project / "docs/reference/all.md").read_text()  # written again
    assert (
        rename.git("diff") == "" and rename.git("log", "-1", "--format=%s") == "a test"
    )  # in the index, and not committed


def test_a_file_of_ones_own_that_git_ignores_moves_along(project: Path) -> None:
    write(project, {".gitignore": f"{FILES['.gitignore']}.env\n"})
    commit("ignore")
    write(project / "src/deepmine", {"deep/.env": "KEY=1\n", "deep/__pycache__/x.pyc": "", "__pycache__/y.pyc": ""})
    rename.main("blue_heron")
    assert not (project / "src/deepmine").exists() and not [*project.glob("src/**/__pycache__")]
    assert (project / "src/blue_heron/deep/.env").read_text() == "KEY=1\n"


def test_a_name_and_back_is_the_same_project(project: Path) -> None:
    before = rename.git("rev-parse", "HEAD^{tree}")
    there = rename.renamed(before, "blue_heron")
    assert there != before and rename.renamed(there, "deepmine") == before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "`name` is ''"),
        ("Acme", "lower-case"),
        ("acme-churn", "lower-case"),
        ("class", "lower-case"),
        ("json", "a package that is installed"),
        ("numpy", "a package that is installed"),
        ("birds", "a word in conf/config.yaml"),
        ("deepmine", "a word in"),
    ],
)
def test_a_name_that_could_not_be_told_apart_is_refused(project: Path, name: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        rename.main(name)
    assert rename.git("status", "--porcelain") == ""


def test_work_that_is_not_committed_stops_a_rename(project: Path) -> None:
    (project / "src/deepmine/own.py").write_text("import deepmine\n")
    with pytest.raises(UserError, match=r"not committed: src/deepmine/own.py"):
        rename.main("blue_heron")
    assert (project / "src/deepmine/own.py").read_text() == "import deepmine\n"


def test_a_failure_in_the_middle_leaves_all_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rename.sys, "executable", str(project / "python"))  # which is missing
    with pytest.raises(FileNotFoundError):
        rename.main("blue_heron")
    assert rename.git("status", "--porcelain") == "" and (project / "src/deepmine/cli.py").is_file()


def test_removing_shows_first_what_goes(project: Path, data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    remove.main(data="birds")
    said = capsys.readouterr().out
    assert "conf/experiment/birds_tree.yaml" in said and "data/birds" in said and "data/fish" not in said
    assert rename.git("status", "--porcelain") == "" and (project / "data/birds").is_dir()


def test_a_removed_data_set_leaves_no_trace(project: Path, data: list[str]) -> None:
    write(project / "out", dict.fromkeys(STAMPED, ""))
    commit("out")
    remove.main(data="birds", yes="true")
    left = [str(path.relative_to(project)) for path in project.rglob("*birds*") if ".git" not in path.parts]
    assert "data: fish" in (project / "docs/reference/all.md").read_text()
    assert left == [] and rename.git("grep", "-l", "birds", "--", ".", codes=(0, 1)) == "" and data == ["data"]
    assert (
        project / "conf/pipeline.yaml"
    ).read_text() == "datasets:\n  - fish\nexperiments:\n  fish_tree:\n    data: fish\n"
    assert remove.chosen(None) == {"data": "fish", "model": "tree", "experiment": "null"}
    assert "fish_tree |" in (project / "README.md").read_text() and not (project / "tests/test_template.py").exists()


def test_a_name_that_only_begins_alike_stays(project: Path, data: list[str]) -> None:
    other = [name.replace("birds", "birds-2025") for name in STAMPED]
    write(project / "out", dict.fromkeys(other, ""))
    write(project, {"conf/data/birds-2025.yaml": "folder: fish\n", "README.md": "| birds-2025 |\n\n## birds-2025\n"})
    write(project, {"conf/experiment/later.yaml": "defaults:\n  - override /data: birds-2025\n"})
    commit("another set")
    remove.main(data="birds", yes="true")
    assert remove.chosen("later")["data"] == "birds-2025" and remove.files("experiment") == {"fish_tree", "later"}
    assert all((project / "out" / name).exists() for name in other)
    assert (project / "README.md").read_text() == "| birds-2025 |\n\n## birds-2025\n"


def test_an_experiment_named_as_its_data_goes_without_them(project: Path, data: list[str]) -> None:
    stages = "  prepare@birds:\n    cmd: x\n", "  train@birds:\n    cmd: y\n  evaluate@birds:\n    cmd: z\n"
    listed = "datasets:\n  - birds\nexperiments:\n"
    write(project, {"conf/pipeline.yaml": f"{listed}  birds:\n    data: birds\n", "dvc.lock": "".join(stages)})
    write(project, {"conf/experiment/birds.yaml": "", "README.md": "| birds |\n\nmake train data=birds\n"})
    commit("the same name")
    remove.main(experiment="birds", yes="true")
    assert (project / "conf/pipeline.yaml").read_text() == "datasets:\n  - birds\nexperiments: {}\n"
    assert (project / "dvc.lock").read_text() == stages[0] and (project / "data/birds").is_dir()
    assert (project / "README.md").read_text() == "| birds |\n\nmake train data=birds\n"


@pytest.mark.parametrize("folder", ["..", ".", "../src", "fish", "fish/pond", "birds/../fish", "link"])
def test_only_a_folder_of_data_that_no_set_reads_goes(project: Path, data: list[str], folder: str) -> None:
    write(project, {"data/fish/pond/x.csv": "", "conf/data/birds.yaml": f"folder: {folder}\n"})
    (project / "data/link").symlink_to(project / "src")
    write(
        project,
        {"conf/data/fish.yaml": "defaults:\n  - base/all@_here_\n", "conf/data/base/all.yaml": "folder: fish/pond\n"},
    )
    commit("folders")
    remove.main(data="birds", yes="true")
    assert (project / "data/fish/pond/x.csv").exists() and (project / "src/deepmine").is_dir()
    assert (project / "data/link").is_symlink() and (project / "data/birds").is_dir()


def test_a_model_goes_with_its_experiments(project: Path, data: list[str]) -> None:
    remove.main(model="tree", yes="true")
    assert list((project / "conf/experiment").glob("*")) == [] and remove.files("data") == {"birds", "fish"}
    assert remove.chosen(None) == {"data": "birds", "model": "mlp", "experiment": "null"}


def test_a_list_may_stand_below_its_key(project: Path, data: list[str]) -> None:
    write(project, {"conf/pipeline.yaml": "datasets:\n- birds\nexperiments:\n  birds_tree:\n    data: birds\n"})
    commit("as PyYAML writes it")
    remove.main(data="birds", yes="true")
    assert (project / "conf/pipeline.yaml").read_text() == "datasets: []\nexperiments: {}\n"


def test_without_any_experiment_the_data_alone_are_chosen(project: Path, data: list[str]) -> None:
    remove.main(experiment="birds_tree,fish_tree", yes="true")
    assert (project / "conf/pipeline.yaml").read_text() == "datasets:\n  - birds\n  - fish\nexperiments: {}\n"
    assert "experiment@_global_: null  # x" in (project / "conf/config.yaml").read_text()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "Nothing is named"),
        ({"data": "bird"}, "no conf/data/bird.yaml. Did you mean `birds`?"),
        ({"data": "birds,fish"}, "make new-data path="),
        ({"model": "tre"}, "Did you mean `tree`?"),
        ({"model": "mlp,tree"}, "one must be left"),
        ({"data": "birds", "yes": "true"}, "not as data.dvc says"),
    ],
)
def test_what_is_needed_is_not_removed(
    project: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    use_dvc(project, monkeypatch, "exit 1")
    with pytest.raises(UserError, match=says):
        remove.main(**given)
    assert rename.git("status", "--porcelain") == ""


def test_a_new_project_has_a_name_one_data_set_and_no_runs(project: Path, data: list[str]) -> None:
    new_project.main("blue_heron", keep="fish", yes="true")
    assert sorted(path.name for path in (project / "data").iterdir()) == ["fish"]
    assert (project / "src/blue_heron").is_dir() and not (project / "out").exists()
    assert (
        not (project / "dvc.lock").exists()
        and rename.git("grep", "-liE", "birds|deepmine\\b", "--", ":!tests/records", codes=(0, 1)) == ".dvc/config"
    )


@pytest.mark.parametrize(("name", "keep", "says"), [("json", "fish", "package"), ("blue_heron", "fush", "mean `fish`")])
def test_a_new_project_that_cannot_be_is_not_begun(project: Path, name: str, keep: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        new_project.main(name, keep, yes="true")
    assert rename.git("status", "--porcelain") == ""


@pytest.fixture
def template(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template that a renamed project with thirty edited files came from, twenty commits later."""
    write(project, {f"src/deepmine/module_{n}.py": f"import deepmine\n\nA = {n}\nB = {n}\n" for n in range(30)})
    commit("thirty modules")
    rename.git("clone", "-q", ".", str(tmp_path / "template"))
    rename.main("blue_heron")
    for n in range(30):
        path = project / f"src/blue_heron/module_{n}.py"
        path.write_text(path.read_text().replace(f"B = {n}\n", f"B = 'ours, {n}'\n"))
    rename.git("rm", "-rq", "*birds*")
    commit("ours")
    rename.git("remote", "add", "template", str(tmp_path / "template"))
    monkeypatch.setattr(update, "NAME", "blue_heron")
    monkeypatch.chdir(tmp_path / "template")
    for n in range(20):
        path = Path(f"src/deepmine/module_{n}.py")
        path.write_text(path.read_text().replace("import deepmine\n", f"import deepmine as later_{n}\n"))
        commit(f"later {n}")
    write(
        Path(),
        {
            "conf/data/birds.yaml": "folder: more birds\n",
            "dvc.lock": "theirs\n",
            "src/deepmine/new.py": "import deepmine\n",
        },
    )
    commit("more")
    monkeypatch.chdir(project)
    return tmp_path / "template"


def test_an_update_merges_under_the_new_name_and_keeps_what_is_ours(template: Path, project: Path) -> None:
    lock = (project / "dvc.lock").read_text()
    update.main()
    for n in range(30):
        first = f"import blue_heron as later_{n}" if n < 20 else "import blue_heron"
        assert (project / f"src/blue_heron/module_{n}.py").read_text() == f"{first}\n\nA = {n}\nB = 'ours, {n}'\n"
    assert (project / "src/blue_heron/new.py").read_text() == "import blue_heron\n"
    assert (project / "dvc.lock").read_text() == lock and not (project / "conf/data/birds.yaml").exists()
    assert rename.git("status", "--porcelain") == "" and rename.git("grep", "-l", "import deepmine", codes=(0, 1)) == ""


def test_a_second_update_begins_where_the_first_ended(
    template: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    update.main()
    count = rename.git("rev-list", "--count", "HEAD")
    update.main()
    assert "nothing newer" in capsys.readouterr().out and rename.git("rev-list", "--count", "HEAD") == count
    rename.git("branch", "-D", "template")  # a colleague's clone has no such branch
    monkeypatch.chdir(template)
    path = Path("src/deepmine/module_0.py")
    path.write_text(path.read_text().replace("later_0", "later_again"))
    commit("again")
    monkeypatch.chdir(project)
    update.main()
    text = (project / "src/blue_heron/module_0.py").read_text()
    assert text == "import blue_heron as later_again\n\nA = 0\nB = 'ours, 0'\n"


def test_a_branch_of_ones_own_is_not_overwritten(template: Path, project: Path) -> None:
    rename.git("branch", "template")
    with pytest.raises(UserError, match=r"your branch `template` \(ours\)"):
        update.main()
    assert rename.git("rev-parse", "template") == rename.git("rev-parse", "HEAD")


def test_only_lines_that_both_changed_conflict(template: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(template)
    for n in (3, 4):
        path = Path(f"src/deepmine/module_{n}.py")
        path.write_text(path.read_text().replace(f"B = {n}", "B = 'theirs'"))
    commit("the same lines")
    monkeypatch.chdir(project)
    with pytest.raises(UserError, match=r"same lines of\nsrc/blue_heron/module_3.py\nsrc/blue_heron/module_4.py\nEdit"):
        update.main()
    rename.git("merge", "--abort")
    assert rename.git("status", "--porcelain") == "" and not (project / "src/blue_heron/new.py").exists()


def test_a_project_without_the_templates_history_says_how_it_began(template: Path, project: Path) -> None:
    began = rename.git("rev-parse", "HEAD~1")
    for command in ("checkout -q --orphan alone", "commit -qm alone", "branch -D master main", "branch -m main"):
        rename.git(*command.split(), codes=(0, 1))
    with pytest.raises(UserError, match="began=<commit>"):
        update.main()
    update.main(began=began)
    assert (
        "later_0" in (project / "src/blue_heron/module_0.py").read_text() and rename.git("status", "--porcelain") == ""
    )


def test_without_a_remote_an_update_says_what_to_add(project: Path) -> None:
    with pytest.raises(UserError, match="git remote add template"):
        update.main()


@pytest.mark.parametrize(
    ("given", "says"),
    [("nam=blue_heron", "There is no `nam`. Did you mean `name`?"), ("name=Acme", "`name` is 'Acme'")],
)
def test_a_verb_ends_with_one_sentence(given: str, says: str) -> None:
    done = run(sys.executable, "-m", "takeover", "rename", given)
    assert done.returncode == 1 and done.stderr.startswith(f"error: {says}") and done.stderr.count("\n") == 1


def take_over(copy: Path, *command: str) -> str:
    """Run a program of a copy's own environment: ours, where the project has the copy's name."""
    done = run(*command, root=copy, env={"PATH": f"{copy}/.venv/bin:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A clone with an environment of its own, whose packages are ours."""
    copy_checkout(tmp_path / "copy")
    (tmp_path / "copy/.venv").unlink()
    (tmp_path / "copy/.venv/bin").mkdir(parents=True)
    for path in [ROOT / ".venv/lib", ROOT / ".venv/pyvenv.cfg", *(ROOT / ".venv/bin").iterdir()]:
        (tmp_path / "copy" / path.relative_to(ROOT)).symlink_to(path)
    program = (ROOT / ".venv/bin/deepmine").read_text()
    (tmp_path / "copy/.venv/bin/acme_churn").write_text(program.replace("deepmine", "acme_churn"))
    (tmp_path / "copy/.venv/bin/acme_churn").chmod(0o755)
    write(tmp_path / "copy", {"src/acme_churn.egg-info/PKG-INFO": "Name: acme_churn\nVersion: 0\n"})
    return tmp_path / "copy"


@pytest.mark.slow
def test_a_renamed_copy_passes_its_checks_and_tests(copy: Path) -> None:
    take_over(copy, "make", "-o", "setup", "rename", "name=acme_churn")
    assert not run("git", "grep", "-ilE", "deepmine([^r]|$)", ":!tests/records", root=copy).stdout
    take_over(copy, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "rename")
    take_over(copy, "make", "-o", "setup", "check", "test")


OWN = {  # what a person writes by hand: a data set, a scikit-learn model, a network, experiments
    "conf/data/visits.yaml": """# Visits to a clinic, some on the same day.
kind: table
task: regression
folder: visits
source:
  _target_: deepmine.data.readers.table.read
  files:
    visits: visits.csv
  row_id: number
  target: minutes
split:
  strategy: time
  time: day
  val: 0.2
  test: 0.2
  seed: 0
""",
    "conf/model/neighbours.yaml": """_takes_: matrix
_tasks_:
  - classification
_target_: sklearn.neighbors.KNeighborsClassifier
""",
    "src/deepmine/models/patches.py": '''"""A network of images."""

from collections.abc import Sequence

from torch import Tensor, nn


class Patches(nn.Module):
    """Learns from patches of 2 x 2 pixels."""

    def __init__(self, input_shape: Sequence[int], n_outputs: int) -> None:
        super().__init__()
        self.look = nn.LazyConv2d(8, 2, stride=2)
        self.say = nn.LazyLinear(n_outputs)
        self(Tensor(2, *input_shape).zero_())

    def forward(self, X: Tensor) -> Tensor:
        """`(n, height, width)` or `(n, channels, height, width)` to `(n, n_outputs)`."""
        return self.say(self.look(X if X.ndim == 4 else X[:, None]).relu().flatten(1))
''',
    "conf/model/patches.yaml": """# A network without dropout.
defaults:
  - shared/net@_here_
_takes_: image
_tasks_:
  - classification
_target_: deepmine.models.lightning.LightningClassifier
net: deepmine.models.patches.Patches
""",
    "conf/experiment/members_neighbours.yaml": "defaults:\n  - override /data: members\n  - override /model: neighbours\n",
    "conf/experiment/pictures_patches.yaml": "defaults:\n  - override /data: pictures\n  - override /model: patches\n",
}


def own_files(folder: Path) -> list[list[str]]:
    """A table, images, baskets, texts and visits by day; what `new-data` is told of the first four."""
    rows = [f"{n},{n * 37 % 50},{'abc'[n % 3]},{'yes' if n % 7 < 3 else 'no'}" for n in range(120)]
    texts = [f"{'fine' if n % 2 else 'bad'} {n} {n * 7 % 31},{'praise' if n % 2 else 'complaint'}" for n in range(60)]
    visits = [f"{n},2026-01-{1 + n // 9:02},{n * 7 % 60},{20 + n * 13 % 17}" for n in range(90)]
    write(
        folder,
        {
            "members.csv": "\n".join(["id,age,plan,churned", *rows]),
            "shop.txt": "\n".join("milk,bread" if n % 3 else "bread,beer,tea" for n in range(60)),
            "letters.csv": "\n".join(["letter,kind", *texts]),
            "visits.csv": "\n".join(["number,day,age,minutes", *visits]),
        },
    )
    for n in range(40):
        (folder / f"pictures/{'ab'[n % 2]}").mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(n).integers(0, 128, (8, 8), np.uint8) + np.uint8(n % 2 * 100)
        Image.fromarray(pixels).save(folder / f"pictures/{'ab'[n % 2]}/{n}.png")
    told = ["members.csv target=churned", "pictures", "shop.txt read={baskets:true}", "letters.csv target=kind"]
    return [f"path={folder}/{words}".split() for words in told]


@pytest.mark.slow
def test_a_copy_with_files_of_ones_own_alone_passes_its_checks_and_tests(copy: Path, tmp_path: Path) -> None:
    for words in own_files(tmp_path):
        take_over(copy, "deepmine", "new-data", *words)
    write(copy, OWN | {"data/visits/visits.csv": (tmp_path / "visits.csv").read_text()})
    take_over(copy, "deepmine", "contract", "data=visits")
    take_over(copy, "dvc", "add", "-q", "data")
    take_over(copy, "git", "add", "-A")
    take_over(copy, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "saved")
    ours = {"members", "pictures", "shop", "letters", "visits"}
    others = {path.stem for path in (copy / "conf/data").glob("*.yaml")} - ours
    take_over(copy, "make", "-o", "setup", "remove", f"data={','.join(sorted(others))}", "yes=true")
    take_over(copy, "make", "-o", "setup", "configure", "check", "test")
    for experiment in ("members_neighbours", "pictures_patches"):
        said = take_over(copy, "deepmine", "train", f"experiment={experiment}", "tracking=none")
        assert " on ".join(reversed(experiment.split("_"))) in said
    assert "visits" in take_over(copy, "deepmine", "train", "data=visits", "model=ridge", "tracking=none")
