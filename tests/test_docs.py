"""What the documents promise: commands, files, examples."""

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from conftest import ROOT, environment, make_clone, run
from deepmine.config import compose
from deepmine.config.schema.data import Audit, Clean, Contract, Privacy, Split
from deepmine.config.schema.source import File

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text()
VERBS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
TYPED = r"(?:^|`)(make(?: [][\w.=/{}:,-]+)+)"
MAKE = sorted({c for d in DOCUMENTS for c in re.findall(TYPED, d.read_text(), re.MULTILINE)})
COMPOSED = [c for c in MAKE if c.split()[1] in ("prepare", "train", "sweep") and "=..." not in c and "dept=" not in c]

# Pages whose commands other tests run, and commands that none runs: the clone itself, and what CI runs.
ELSEWHERE = {
    "team.md": "on real servers, by test_team.py",
    "takeover.md": "in a copy, by test_takeover.py",
    "outside-packages.md": "with the packages, by test_estimators.py",
    "data-versions.md": "below",
    "verbs.md": "from the docstrings of the verbs, which have tests of their own",
}
NOT_RUN = ("git clone <", "make format", "make test", "make check", ".venv/bin/python -m pytest")


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


@pytest.mark.slow
def test_the_round_of_versions_runs_as_shown(tmp_path: Path) -> None:
    make_clone(tmp_path / "deepmine")
    there, back = blocks("sh", (ROOT / "docs/guides/data-versions.md").read_text())
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


@pytest.mark.parametrize("command", MAKE)
def test_every_make_command_is_a_verb(command: str) -> None:
    verbs = [word for word in command.split()[1:] if "=" not in word]
    assert verbs and set(verbs) <= VERBS


@pytest.mark.parametrize("command", COMPOSED)
def test_every_setting_named_exists(command: str) -> None:
    """Its first trial, for a sweep; what the pages themselves define, the slow tests run."""
    words = [word.partition(",")[0] for word in command.split()[2:] if not word.startswith("hydra/")]
    if not defined() & {word.partition("=")[2] for word in words}:
        compose.compose(*words, trains="prepare" not in command)


def defined() -> set[str]:
    """Data sets, models and experiments that the pages add, by a YAML block or from a file of the reader's."""
    text = "\n".join(page.read_text() for page in DOCUMENTS)
    return {*re.findall(r"^# conf/\w+/(\w+).yaml$", text, re.MULTILINE), *re.findall(r"path=/somewhere/(\w+)", text)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_link_leads_somewhere(document: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^):#]*)(?:#([^):]*))?\)", document.read_text()):
        target = document.parent / link if link else document
        assert target.exists(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_file_named_exists(document: Path) -> None:
    for name in re.findall(r"`((?:conf|src|docs|tests|benchmarks)/[\w./-]+)`", document.read_text()):
        assert (ROOT / name).exists() or Path(name).stem in defined(), name


def test_every_page_is_listed() -> None:
    listed = re.findall(r"\]\(([^)#]+)\)", (ROOT / "docs/README.md").read_text())
    assert {str(page.relative_to(ROOT / "docs")) for page in DOCUMENTS if "docs" in page.parts} <= {
        *listed,
        "README.md",
    }


@cache
def reference() -> Any:
    """docs/reference.py as a module."""
    spec = spec_from_file_location("reference", ROOT / "docs/reference.py")
    spec.loader.exec_module(module := module_from_spec(spec))
    return module


@pytest.mark.parametrize("name", ["config.md", "metrics.md", "record.md", "verbs.md"])
def test_the_reference_is_as_the_code_says(name: str) -> None:
    page = ROOT / "docs/reference" / name
    assert page.read_text() == reference().pages()[name], "stale; write it again: .venv/bin/python docs/reference.py"


def test_the_scores_shown_are_those_of_the_experiments() -> None:
    for part in (ROOT / "docs/reference/experiments.md").read_text().split("\n## ")[1:]:
        score = part.splitlines()[0].partition(": ")[2].replace(" ", "_")
        for name, *shown in re.findall(r"^\| `(\w+)` \| \w+ \| (\S*) \| (\S*) \| (\S*) ?\|$", part, re.MULTILINE):
            scores = json.loads((ROOT / f"out/runs/{name}/metrics.json").read_text())
            kept = [scores[key] for key in reference().score_keys(score) if key in scores]
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
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader follows the pages: a clone in `deepmine`, and the files that they name in /somewhere."""
    folder, rng = tmp_path_factory.mktemp("reader"), np.random.default_rng(0)
    make_clone(clone := folder / "deepmine")
    (clone / ".venv").unlink()  # a folder of links, in which new-data notes the data without touching ours
    (clone / ".venv").mkdir()
    for path in (ROOT / ".venv").iterdir():
        if path.name != "data":
            (clone / ".venv" / path.name).symlink_to(path)
    (clone / ".venv/data").write_bytes((ROOT / ".venv/data").read_bytes())
    n = 120
    classes, numbers = np.arange(n) % 2, rng.normal(size=n).round(3)
    pd.DataFrame({"id": range(n), "height": numbers + classes, "kind": np.where(classes, "rose", "daisy")}).to_csv(
        folder / "flowers.csv", index=False
    )
    months, plans = rng.integers(1, 60, n), rng.choice(["basic", "plus"], n)
    pd.DataFrame({"months": months, "plan": plans, "churned": np.where(numbers + months / 30 > 1, "no", "yes")}).to_csv(
        folder / "churn.csv", index=False
    )
    pay = pd.DataFrame({"pay": [f"{47 + k},{k:03}" for k in range(n)], "leaves": np.where(classes, "yes", "no")})
    pay.to_csv(folder / "pay.csv", index=False)
    parts = pd.DataFrame(
        {"part": [f"{k % 9 + 1}E{k % 3}" for k in range(n)], "grün": numbers, "price": 2 * numbers + 5}
    )
    parts.to_csv(folder / "parts.csv", index=False, encoding="cp1252")
    for shape in ("round", "square"):
        (folder / "photos" / shape).mkdir(parents=True)
        for k in range(12):
            Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).save(folder / f"photos/{shape}/{k}.png")
    baskets = [rng.choice(["milk", "bread", "butter", "beer"], rng.integers(2, 4), replace=False) for _ in range(n)]
    (folder / "baskets.txt").write_text("".join(",".join(basket) + "\n" for basket in baskets))
    orders = [f"{k},{product}" for k, basket in enumerate(baskets) for product in basket]
    (folder / "orders.csv").write_text("\n".join(["order_id,product", *orders]) + "\n")
    return folder


def done(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command that a reader types."""
    line = command.replace("/somewhere", str(folder)).replace("make ", "make -o setup ")
    return run("sh", "-c", line, root=folder / "deepmine", env={"COLUMNS": "100"}, timeout=1800)


once = cache(done)  # for what several pages name and what leaves the same whenever it is typed


def is_like(shown: str, said: str) -> bool:
    """Is a line of a page the beginning of a line of output? Scores may differ by two points, as processors do."""

    def same(pair: tuple[str, str]) -> bool:
        numbers = [float(word) for word in pair if re.fullmatch(r"-?\d+\.\d+", word)]
        return numbers[0] == pytest.approx(numbers[1], abs=0.02) if len(numbers) == 2 else pair[0] == pair[1]

    words, found = shown.split(), said.split()
    return len(words) <= len(found) and all(map(same, zip(words, found, strict=False)))


def write(block: str, reader: Path) -> None:
    """The file whose path is the first line of a block; with a data set also its raw file."""
    path = reader / "deepmine" / block.partition("\n")[0].removeprefix("# ")
    path.write_text(block.partition("\n")[2])
    if path.parent.name == "data":
        (raw := reader / "deepmine/data" / path.stem).mkdir(exist_ok=True)
        shutil.copy(reader / f"{path.stem}.csv", raw)


def type_in(block: str, reader: Path) -> str:
    """The output of the last command of a block; each must work, or fail where the page says so."""
    output = ""
    for command in re.split(r"(?<!\\)\n", block.strip()):
        if command and not command.startswith(NOT_RUN):
            ended = (once if command.startswith(("make train", "make sweep")) else done)(command, reader)
            output = ended.stdout + ended.stderr
            assert (ended.returncode != 0) == command.endswith("# fails"), f"{command}\n{output}"
    return output


@pytest.mark.slow
@pytest.mark.parametrize("document", [d for d in DOCUMENTS if "```sh" in d.read_text()], ids=lambda path: path.name)
def test_the_commands_of_a_page_work_as_shown(document: Path, reader: Path) -> None:
    text, output = document.read_text(), ""
    if document.name in ELSEWHERE:
        pytest.skip(ELSEWHERE[document.name])
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if re.match(r"# (conf|src)/\S+\n", block):
            write(block, reader)
        elif language == "sh":
            output = type_in(block, reader)
        elif language == "python":
            ended = run(sys.executable, "-c", block, root=reader / "deepmine")
            assert ended.returncode == 0, ended.stderr
        elif language == "text" and output:
            for line in filter(str.split, block.replace("─", "").splitlines()):
                assert any(is_like(line, said) for said in output.splitlines()), f"{line}\n{output}"


@pytest.mark.slow
def test_a_folder_without_git_trains_too(tmp_path: Path) -> None:
    make_clone(tmp_path / "deepmine")
    subprocess.run(["rm", "-rf", tmp_path / "deepmine/.git"], check=True)
    done = run("make", "-o", "setup", "train", "experiment=titanic_tree", root=tmp_path / "deepmine")
    assert done.returncode == 0, done.stderr
    provenance = (tmp_path / "deepmine/out/runs/titanic_tree/provenance.json").read_text()
    assert "not a git repository" in provenance
