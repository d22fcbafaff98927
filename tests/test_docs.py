"""What the documents promise: commands, files, examples."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from checkout import REPOSITORY as ROOT
from conftest import environment
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
