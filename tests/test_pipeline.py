"""The DVC pipeline: what each change runs again, and that no stage reads code that it does not depend on."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import FEW, ROOT, pipeline, run

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SOURCE = ROOT / "src/deepmine"
# code that decides no number: it finds settings, writes down, or sends; and what a stage does only by hand
OTHER = ("config/", "runs/", "cli.py", "__init__.py", "commands/publish.py")
OTHER += ("data/digests.py", "data/folders.py")  # these see that files are complete
BY_HAND = {
    "train": (
        "commands/prepare.py",
        "commands/evaluate.py",
        "data/preparing/",
        "data/raw.py",
        "data/ledger.py",
        "tasks/",
    )
}
EARLIER = {"compare": "evaluate"}  # a change there runs this stage too, by its outputs


def imported(file: Path) -> set[Path]:
    """The modules of ours that a module imports, at any place in it."""
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    names = [f"{node.module}.{alias.name}" for node in nodes for alias in node.names] + [n.module for n in nodes]
    paths = [SOURCE.parent / str(name).replace(".", "/") for name in names if str(name).startswith("deepmine")]
    return {path for p in paths for path in (p.with_suffix(".py"), p / "__init__.py") if path.is_file()}


def needed(stage: str) -> set[str]:
    """All files that decide a stage's numbers."""
    found, new = set(), {SOURCE / f"commands/{stage}.py"}
    while new:
        file = new.pop()
        found.add(file)
        later = {path for path in imported(file) if not name(path).startswith((*OTHER, *BY_HAND.get(stage, ())))}
        new |= {path for path in later if path.name != "__init__.py"} - found
    return {name(path) for path in found}


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def dependencies(stage: str) -> tuple[str, ...]:
    block = STAGES[stage].get("do", STAGES[stage])
    return tuple(dep.removeprefix("${code}/") for dep in block["deps"] if dep.startswith("${code}/"))


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "configure"])
def test_a_stage_depends_on_the_code_that_it_uses(stage: str) -> None:
    earlier = needed(EARLIER[stage]) if stage in EARLIER else set()
    assert {file for file in needed(stage) - earlier if not file.startswith(dependencies(stage))} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_module_with_a_short_main(stage: str) -> None:
    tree = ast.parse((SOURCE / f"commands/{stage}.py").read_text())
    [main] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    assert main.end_lineno - main.lineno < 25
    assert f"make {stage}" in ast.get_docstring(tree)


def repro(clone: Path) -> set[str]:
    """Run the real `dvc repro`; the stages that ran."""
    done = run(".venv/bin/dvc", "repro", root=clone, env={"MLFLOW_TRACKING_URI": f"sqlite:///{clone}/mlflow.db"})
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"Running stage '(\S+)'", done.stdout))


def cells(*experiments: str, stages: tuple[str, ...] = ("train", "evaluate")) -> set[str]:
    return {f"{stage}@{name}" for stage in stages for name in experiments}


@pytest.fixture(scope="module")
def reproduced(clone: Path) -> Path:
    """A clone in which everything has run once."""
    everything = {"configure", "compare", *(f"prepare@{name}" for name in pipeline(clone)["datasets"])}
    assert repro(clone) == everything | cells(*FEW)
    return clone


@pytest.fixture
def change(reproduced: Path) -> Callable[[str, Callable[[str], str]], set[str]]:
    """Change a file of the clone, run `dvc repro`, and put the file back afterwards."""
    before: dict[Path, str] = {}

    def edit(name: str, how: Callable[[str], str]) -> set[str]:
        path = reproduced / name
        before[path] = path.read_text()
        assert how(before[path]) != before[path]
        path.write_text(how(before[path]))
        return repro(reproduced)

    yield edit
    for path, text in before.items():
        path.write_text(text)
    repro(reproduced)


@pytest.mark.slow
def test_nothing_changed_runs_nothing(reproduced: Path) -> None:
    assert repro(reproduced) == set()


@pytest.mark.slow
def test_a_run_again_gives_the_same_metrics_to_the_bit(reproduced: Path) -> None:
    before = (reproduced / "out/runs/digits_mlp/metrics.json").read_bytes()
    done = run(".venv/bin/dvc", "repro", "--single-item", "--force", "train@digits_mlp", root=reproduced)
    assert done.returncode == 0, done.stderr
    assert "evaluate@digits_mlp" in repro(reproduced)
    assert (reproduced / "out/runs/digits_mlp/metrics.json").read_bytes() == before


@pytest.mark.slow
def test_a_value_of_a_model_runs_the_cells_that_use_it(change) -> None:
    ran = change("conf/model/tree.yaml", lambda text: text.replace("criterion: gini", "criterion: entropy"))
    assert ran == {"configure", "compare"} | cells("digits_tree", "ferry_tree")


@pytest.mark.slow
def test_another_model_in_a_defaults_list_runs_that_cell(change) -> None:
    ran = change("conf/experiment/birds_kmeans.yaml", lambda text: text.replace("/model: kmeans", "/model: gmm"))
    assert ran == {"configure", "compare"} | cells("birds_kmeans")


@pytest.mark.slow
def test_a_comment_trains_nothing(change) -> None:
    assert change("conf/model/tree.yaml", lambda text: f"# another comment\n{text}") == {"configure"}


@pytest.mark.slow
def test_other_scores_evaluate_without_training(change) -> None:
    ran = change("src/deepmine/tasks/classification.py", lambda text: f"{text}\n# another line\n")
    assert ran >= cells(*FEW, stages=("evaluate",))
    assert not any(stage.startswith("train") for stage in ran)


@pytest.mark.slow
def test_another_report_of_the_data_trains_nothing(change) -> None:
    ran = change("src/deepmine/data/preparing/report.py", lambda text: f"{text}\n# another line\n")
    assert ran == {"prepare@digits", "prepare@birds", "prepare@ferry"}


@pytest.mark.slow
def test_a_raw_file_runs_the_cells_of_its_data_set(change) -> None:
    ran = change("data/birds/birds.csv", lambda text: text.replace("B100,", "B900,"))
    assert ran == {"prepare@birds", "compare"} | cells("birds_kmeans")


@pytest.mark.slow
def test_dvc_shows_metrics_and_plots(reproduced: Path) -> None:
    metrics = run(".venv/bin/dvc", "metrics", "show", "--json", root=reproduced)
    assert "out/scores/digits_mlp.json" in metrics.stdout and "made_on" in metrics.stdout
    plots = run(".venv/bin/dvc", "plots", "show", root=reproduced)
    page = (reproduced / "dvc_plots/index.html").read_text()
    assert plots.returncode == 0 and plots.stderr == "", plots.stderr
    diff = run(".venv/bin/dvc", "plots", "diff", "HEAD", root=reproduced)
    assert diff.returncode == 0, diff.stderr
    assert "digits_mlp/evaluation/curves/loss.csv" in page and "confusion_matrix.png" in page
