"""What the documents promise: commands, files, examples."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, environment, make_clone, run
from deepmine.config import compose
from deepmine.config.schema.data import Clean, Contract, Privacy
from deepmine.config.schema.source import File

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()
VERBS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
MAKE = sorted(
    {c for d in DOCUMENTS for c in re.findall(r"(?:^|`)(make(?: [\w.=/{}:,-]+)+)", d.read_text(), re.MULTILINE)}
)


DATA = (ROOT / "docs/data.md").read_text()


def blocks(language: str, document: str = README) -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    return [text for name, text in fences if name == language]


@pytest.mark.parametrize("block", blocks("yaml", DATA))
def test_the_settings_of_data_are_valid(block: str) -> None:
    settings = yaml.safe_load(block)
    if "repeated_rows" in settings:
        settings = {"contract": settings}
    models = {"contract": Contract, "clean": Clean, "privacy": Privacy}
    for key, value in settings.items():
        if key == "files":
            for file in value.values():
                File.model_validate(file)
        elif key not in ("keys", "query"):
            models[key].model_validate(value)


@pytest.mark.slow
def test_the_round_of_versions_runs_as_shown(tmp_path: Path) -> None:
    make_clone(tmp_path / "deepmine")
    there, back = blocks("sh", DATA.partition("## Versions")[2])[:2]
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
    assert "out/scores/titanic_tree.json" in said and "mnist" not in said.partition("Path")[2]
    assert "Running stage" not in do(back)
    assert "P0001," in (tmp_path / "deepmine/data/titanic/passengers.csv").read_text()


@pytest.mark.parametrize("command", MAKE)
def test_every_make_command_is_a_verb(command: str) -> None:
    verbs = [word for word in command.split()[1:] if "=" not in word]
    assert verbs and set(verbs) <= VERBS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / link).exists(), link


def test_the_file_map_is_true() -> None:
    [fence] = [block for block in blocks("") if block.startswith("Makefile")]
    parent = Path()
    for line in fence.splitlines():
        names = re.split(r"\s{3,}", line.strip())[0].split()
        parent = parent if line.startswith("  ") else Path(names[0])
        for name in names:
            path = ROOT / (parent / name if line.startswith("  ") else name)
            assert path.exists() or name == "out/", path


def test_the_readme_lists_every_experiment() -> None:
    assert set(compose.pipeline()["experiments"]) <= set(re.findall(r"`(\w+)`", README))


def test_the_changed_files_named_exist() -> None:
    for path in ("conf/model/tree.yaml", "src/deepmine/tasks/classification.py", "data/titanic"):
        assert f"`{path}" in README and (ROOT / path).exists()


def test_make_alone_prints_every_verb_once() -> None:
    done = subprocess.run(["make"], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    assert re.findall(r"^  make ([a-z-]+)", done.stdout, re.MULTILINE) == re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE
    )


def test_overrides_reach_a_stage_as_they_were_typed(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text().replace("setup # Fit", "# Fit")
    (tmp_path / "Makefile").write_text(makefile)
    program = tmp_path / ".venv/bin/deepmine"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\n')
    program.chmod(0o755)
    typed = ["experiment=titanic_tree", "model.hidden=[64, 32]", "a.b='x y'", 'c="q"', "d={a:1,b:(2)}", "e=${seed}"]
    typed += ["+f=1", "++g.h=2", "x=a;b&c|d<e>f", "~model=3", "star=*?", "tick=`id`", "bang=!x"]
    done = subprocess.run(
        ["make", "train", *typed], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.splitlines()[1:]) == sorted(typed)


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
