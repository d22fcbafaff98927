"""What the documents promise: commands, files, examples."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from checkout import REPOSITORY as ROOT
from conftest import environment, make_clone, run
from deepmine.config.schema.data import Audit, Clean, Contract, Privacy, Split
from deepmine.config.schema.source import File

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text()
VERBS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
TYPED = r"(?:^|`)(make(?: [][\w.=/{}:,-]+)+)"
MAKE = sorted({c for d in DOCUMENTS for c in re.findall(TYPED, d.read_text(), re.MULTILINE)})
SCORES = "out/scores/{}.json"


def blocks(language: str, document: str = README) -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    return [text for name, text in fences if name == language]


def fragments() -> list[str]:
    """The YAML blocks of the guides that show a part of a data set's file."""
    found = [block for page in DOCUMENTS if page.parent.name == "guides" for block in blocks("yaml", page.read_text())]
    return [block for block in found if not block.startswith("#") and set(yaml.safe_load(block)) & set(PARTS)]


PARTS = {"contract": Contract, "clean": Clean, "privacy": Privacy, "split": Split, "audit": Audit}
PARTS |= dict.fromkeys(("repeated_rows", "columns", "keys", "query", "files"))


@pytest.mark.parametrize("block", fragments())
def test_the_settings_of_data_are_valid(block: str) -> None:
    settings = yaml.safe_load(block)
    if "repeated_rows" in settings:
        settings = {"contract": settings}
    for key, value in settings.items():
        if key == "files":
            for file in value.values():
                File.model_validate(file)
        elif key not in ("keys", "query"):
            PARTS[key].model_validate(value)


@pytest.mark.parametrize("command", MAKE)
def test_every_make_command_is_a_verb(command: str) -> None:
    verbs = [word for word in command.split()[1:] if "=" not in word]
    assert verbs and set(verbs) <= VERBS


@pytest.mark.parametrize("document", [page for page in DOCUMENTS if page.name != "data-sources.md"], ids=str)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^):#]*)(?:#([^):]*))?\)", document.read_text()):
        target = document.parent / link if link else document
        assert target.exists(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_file_named_exists(document: Path) -> None:
    for name in re.findall(r"`((?:conf|src|docs|takeover|tests|benchmarks)/[\w./-]+)`", document.read_text()):
        taken_out = re.match("conf/(data|experiment|model)/|tests/test_template.py", name)  # by `make remove`, perhaps
        assert taken_out or (ROOT / name).exists(), name


def test_every_page_is_listed() -> None:
    listed = re.findall(r"\]\(([^)#]+)\)", (ROOT / "docs/README.md").read_text())
    assert {str(page.relative_to(ROOT / "docs")) for page in DOCUMENTS if "docs" in page.parts} <= {
        *listed,
        "README.md",
    }


def test_every_promise_has_its_tests() -> None:
    promises = re.findall(r"^\| ([^|]*) \| (`.*) \|$", (ROOT / "docs/concepts/trust.md").read_text(), re.MULTILINE)
    assert len(promises) > 20
    for promise, kept_by in promises:
        for file, tests in re.findall(r"`([\w/]+\.py)`: ((?:`test_\w+`(?:, )?)+)", kept_by):
            defined = re.findall(r"^def (test_\w+)", (ROOT / "tests" / file).read_text(), re.MULTILINE)
            assert set(re.findall(r"\w+", tests)) <= {*defined}, f"{promise} {file}"
        assert len(re.findall(r"\.py`: ", kept_by)) == len(re.findall(r"\.py`", kept_by)), promise


def test_the_reference_is_as_the_code_says() -> None:
    done = run(sys.executable, "docs/reference.py", "--check", root=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scores_shown_are_those_of_the_experiments() -> None:
    for part in (ROOT / "docs/reference/experiments.md").read_text().split("\n## ")[1:]:
        score = part.splitlines()[0].partition(": ")[2].replace(" ", "_")
        for name, *shown in re.findall(r"^\| `(\w+)` \| \w+ \| (\S*) \| (\S*) \| (\S*) ?\|$", part, re.MULTILINE):
            file = ROOT / SCORES.format(name)
            scores = json.loads(file.read_text()) if file.exists() else {}  # not run yet
            kept = [scores[key] for part in ("val", "test", "baseline/test") if (key := f"{part}/{score}") in scores]
            assert [float(cell) for cell in shown if cell] == pytest.approx(kept, rel=0.05, abs=0.02), name


def test_the_notebook_was_run() -> None:
    cells = json.loads((ROOT / "docs/notebooks/first_look.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    assert all(output["output_type"] != "error" for cell in code for output in cell["outputs"])


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
    done = subprocess.run(["make"], cwd=ROOT, env=environment(ROOT), capture_output=True, text=True, check=True)
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
    typed = ["experiment=ferry_tree", "model.hidden=[64, 32]", "a.b='x y'", 'c="q"', "d={a:1,b:(2)}", "e=${seed}"]
    typed += ["+f=1", "++g.h=2", "x=a;b&c|d<e>f", "~model=3", "star=*?", "tick=`id`", "bang=!x"]
    done = subprocess.run(
        ["make", "train", *typed], cwd=tmp_path, env=environment(ROOT), capture_output=True, text=True, check=True
    )
    assert sorted(done.stdout.splitlines()[1:]) == sorted(typed)


@pytest.mark.slow
def test_a_folder_without_git_trains_too(tmp_path: Path) -> None:
    make_clone(tmp_path / "deepmine")
    subprocess.run(["rm", "-rf", tmp_path / "deepmine/.git"], check=True)
    done = run("make", "-o", "setup", "train", "experiment=ferry_tree", root=tmp_path / "deepmine")
    assert done.returncode == 0, done.stderr
    provenance = (tmp_path / "deepmine/out/runs/ferry_tree/provenance.json").read_text()
    assert "not a git repository" in provenance
