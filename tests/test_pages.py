"""The commands on the pages, typed by a reader in a copy of this checkout: they work, and what they print is as shown.

A page may name the data sets and experiments of `conf/`; after `make remove` it names those that are left.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
FEW = ("mnist_mlp", "titanic_mlp", "titanic_tree")  # of the pipeline's experiments, what `make repro` runs in the copy
TYPED = r"(?:^|`)(make (?:prepare|train|sweep)(?: [][\w.=/{}:,-]+)+)"
COMPOSE = """
import json, sys
from deepmine.config import compose
for command in json.loads(sys.argv[1]):
    try:
        compose.compose(*command[2:], trains=command[1] != "prepare")
    except Exception as error:
        sys.exit(f"{command}: {error}")
"""

# Pages whose commands other tests run, and commands that none runs: the clone itself, and what CI runs.
ELSEWHERE = {
    "team.md": "on real servers, by test_team.py",
    "takeover.md": "in a copy, by test_takeover.py",
    "outside-packages.md": "with the packages, by test_estimators.py",
    "data-versions.md": "below, after a first `make repro`",
    "verbs.md": "from the docstrings of the verbs, which have tests of their own",
}
NOT_RUN = ("git clone <", "make format", "make test", "make check", ".venv/bin/python -m pytest")


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a checkout, with its code, as somebody whom git knows."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MLFLOW_TRACKING_URI")}
    who = {f"GIT_{role}_{what}": "test@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**kept, **who, "PYTHONPATH": str(cwd / "src"), "COLUMNS": "100"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)


def copy(folder: Path) -> None:
    """The files that git knows or would add, as one commit, the data, and an environment that notes its own data."""
    known = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(known, cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in filter(None, map(os.fsdecode, names.split(b"\0"))):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    path = folder / "conf/pipeline.yaml"
    experiments = {name: its for name, its in yaml.safe_load(path.read_text())["experiments"].items() if name in FEW}
    datasets = sorted({its["data"] for its in experiments.values()})
    path.write_text(yaml.safe_dump({"datasets": datasets, "experiments": experiments}, sort_keys=False))
    (folder / ".venv").mkdir()
    for path in (REPOSITORY / ".venv").iterdir():
        if path.name != "data":
            (folder / ".venv" / path.name).symlink_to(path)
    shutil.copy(REPOSITORY / ".venv/data", folder / ".venv/data")
    start = "git init -q && git add -A && git commit -qm start && .venv/bin/dvc pull -q data.dvc"
    assert run("sh", "-c", start, cwd=folder).returncode == 0


def blocks(language: str, document: Path) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


def require(document: Path) -> None:
    """Skip a page whose commands other tests run, or whose examples are of a data set that was removed."""
    if document.name in ELSEWHERE:
        pytest.skip(ELSEWHERE[document.name])
    code = "\n".join(blocks(r"\w+", document))
    known = {path.stem for path in (REPOSITORY / "conf/data").glob("*.yaml")} | own_names(code)
    if gone := set(re.findall(r"(?:data=|data: |[^/]data/)([a-z]\w+)", code)) - known:
        pytest.skip(f"its examples are of {', '.join(gone)}, which this project no longer has")


def own_names(text: str) -> set[str]:
    """Data sets, models and experiments that a text adds, by a YAML block or from a file of the reader's."""
    return {*re.findall(r"^# conf/\w+/(\w+).yaml$", text, re.MULTILINE), *re.findall(r"path=/somewhere/(\w+)", text)}


def test_every_setting_named_exists(reader: Path) -> None:
    """In the text of the pages too; of a sweep its first trial."""
    text = "\n".join(page.read_text() for page in DOCUMENTS if page.name not in ELSEWHERE)
    own = own_names(text)
    commands = []
    for typed in sorted({c for c in re.findall(TYPED, text, re.MULTILINE) if "=..." not in c and "dept=" not in c}):
        words = [re.sub(r"(=[^[,]+),.*", r"\1", word) for word in typed.split() if not word.startswith("hydra/")]
        commands += [words] if not own & {word.partition("=")[2] for word in words} else []
    ended = run(sys.executable, "-c", COMPOSE, json.dumps(commands), cwd=reader / "deepmine")
    assert len(commands) > 5 and ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader follows the pages: a clone in `deepmine`, and the files that they name in /somewhere."""
    folder, rng = tmp_path_factory.mktemp("reader"), np.random.default_rng(0)
    copy(folder / "deepmine")
    n = 120
    classes, numbers = np.arange(n) % 2, rng.normal(size=n).round(3)
    colours, kinds = rng.choice(["red", "blue"], n), np.where(classes, "rose", "daisy")
    flowers = pd.DataFrame({"id": range(n), "height": numbers + classes, "colour": colours, "kind": kinds})
    flowers.to_csv(folder / "flowers.csv", index=False)
    months, plans = rng.integers(1, 60, n), rng.choice(["basic", "plus"], n)
    pd.DataFrame({"months": months, "plan": plans, "churned": np.where(numbers + months / 30 > 1, "no", "yes")}).to_csv(
        folder / "churn.csv", index=False
    )
    pay = pd.DataFrame(
        {"months": months, "pay": [f"{47 + k},{k:03}" for k in range(n)], "leaves": np.where(classes, "yes", "no")}
    )
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
    return run("sh", "-c", line, cwd=folder / "deepmine")


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


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks("sh", d)], ids=lambda path: path.name)
def test_the_commands_of_a_page_work_as_shown(document: Path, reader: Path) -> None:
    require(document)
    text, output = document.read_text(), ""
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if re.match(r"# (conf|src)/\S+\n", block):
            write(block, reader)
        elif language == "sh":
            output = type_in(block, reader)
        elif language == "python":
            ended = run(sys.executable, "-c", block, cwd=reader / "deepmine")
            assert ended.returncode == 0, ended.stderr
        elif language == "text" and output:
            for line in filter(str.split, block.replace("─", "").splitlines()):
                assert any(is_like(line, said) for said in output.splitlines()), f"{line}\n{output}"


def test_the_round_of_versions_runs_as_shown(tmp_path: Path) -> None:
    if not (REPOSITORY / "conf/data/titanic.yaml").exists():
        pytest.skip("its example is titanic, which this project no longer has")
    copy(tmp_path / "deepmine")
    there, back = blocks("sh", REPOSITORY / "docs/guides/data-versions.md")

    def do(block: str) -> str:
        ended = done(f"set -e\n{block}", tmp_path)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

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
