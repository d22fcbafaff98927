"""What `reproduce` and `why` decide before and after a run is built again; tests/faults/test_reproduce.py builds some."""

import json
import shutil
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from conftest import make_clone
from deepmine.commands import reproduce, why
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.runs import provenance, rebuild, record
from deepmine.runs.record import Record

NAN = float("nan")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rebuild") / "deepmine"
    make_clone(folder)
    return folder


@pytest.fixture
def run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A record of a clone whose tree is clean."""
    monkeypatch.setattr(provenance, "ROOT", root)
    monkeypatch.setattr(rebuild, "ROOT", root)
    cfg = compose.compose("experiment=ferry_tree", "model.max_depth=3")
    papers = provenance.collect(tmp_path / "data", "some", root / "data/ferry", None, "ferry_tree")
    made = record.start(tmp_path / "out/adhoc/one", {"choices": dict(cfg.choices), **compose.decisive(cfg)}, *papers)
    record.write_json(made.folder / "metrics.json", {"val/accuracy": 0.5})
    return made


def changed(run: Record, **git: object) -> None:
    origin = json.loads((run.folder / "provenance.json").read_text())
    record.write_json(run.folder / "provenance.json", {**origin, "git": origin["git"] | git})


def test_a_config_of_a_record_decides_as_it_is_written(tmp_path: Path) -> None:
    cfg = compose.compose("experiment=ferry_tree", "model.max_depth=3", "cv=3")
    settings = {"choices": dict(cfg.choices), **compose.decisive(cfg)}
    settings["data"]["source"]["query"] = "select '${oc.env:HOME}', \\${x}, \\\\${y} ${ from passengers"
    compose.dump(tmp_path / "its = own.yaml", settings)
    again = compose.compose(f"config={tmp_path}/its = own.yaml", "tracking=none", "paths.out=elsewhere")
    assert {"choices": dict(again.choices), **compose.decisive(again)} == settings
    assert again.tracking.uri is None and again.folders.run.startswith("elsewhere/adhoc/ferry-tree-")
    same = {"choices": dict(cfg.choices), **compose.decisive(compose.compose("experiment=ferry_tree"))}
    compose.dump(tmp_path / "same.yaml", same)
    assert compose.compose(f"config={tmp_path}/same.yaml").folders.run == "out/runs/ferry_tree"


@pytest.mark.parametrize("word", ["seed=1", "model=tree", "model.max_depth=3", "experiment=ferry_tree", "cv=3"])
def test_beside_a_config_nothing_else_may_decide(word: str) -> None:
    with pytest.raises(UserError, match=f"`{word.partition('=')[0]}` cannot be set beside it"):
        compose.compose("config=some.yaml", word)


@pytest.mark.parametrize(
    ("text", "why"),
    [(None, "No such file"), ("[", "is not the config.yaml"), ("seed: 1", "'threads'"), ("a", "is not the config")],
)
def test_what_is_no_config_of_a_record_is_named(tmp_path: Path, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=f"(?s)config.yaml is not the config.yaml of a run record.*{why}|{why}"):
        compose.compose(f"config={tmp_path}/config.yaml")


def test_a_config_of_a_record_is_checked_as_any_other(tmp_path: Path) -> None:
    cfg = compose.compose("experiment=ferry_tree")
    settings = {"choices": dict(cfg.choices), **compose.decisive(cfg)}
    compose.dump(tmp_path / "config.yaml", {**settings, "model": {**settings["model"], "_target_": "os.system"}})
    with pytest.raises(UserError, match="not trusted"):
        compose.compose(f"config={tmp_path}/config.yaml")
    compose.dump(tmp_path / "config.yaml", {**settings, "choices": {**settings["choices"], "data": "../../x"}})
    with pytest.raises(UserError, match="is not a file of conf/data"):
        compose.compose(f"config={tmp_path}/config.yaml")


def test_a_score_is_identical_close_or_different() -> None:
    then = {"same": 0.1, "last bit": 0.1, "large": 200.0, "far": 0.5, "none": NAN, "gone": 0.5, "became none": 0.5}
    now = {"same": 0.1, "last bit": 0.1 + 2e-17, "large": 201.0, "far": 0.52, "none": NAN, "new": 1.0}
    now |= {"became none": NAN}
    said = reproduce.verdicts(then, now, 0.01)["verdict"].to_dict()
    assert {name for name, verdict in said.items() if verdict == "identical"} == {"same", "none"}
    assert {name for name, verdict in said.items() if verdict == "within the tolerance"} == {"last bit", "large"}
    assert set(reproduce.verdicts(then, now, 0)["verdict"]) == {"identical", "different"}


def test_a_seed_is_followed_to_where_models_take_it() -> None:
    settings = {"seed": 0, "threads": 1, "data": {"split": {"seed": 0}}, "choices": {}}
    settings["model"] = {"random_state": 0, "n_jobs": 1, "steps": [{"random_state": 0}, {"random_state": 7}]}
    new = why.numbered(settings, 5, 2)
    assert new["seed"] == 5 and new["threads"] == 2 and new["data"] == settings["data"]
    assert new["model"] == {"random_state": 5, "n_jobs": 2, "steps": [{"random_state": 5}, {"random_state": 7}]}
    assert why.numbered(new, 0, 1) == settings


def test_each_thing_is_judged_by_all_scores_and_by_the_noise_of_the_seed(run: Record) -> None:
    def scores(val: float, loss: float = 0.1) -> dict[str, float]:
        return {"val/accuracy": val, "test/accuracy": 0.5, "test/log_loss": loss}

    record.write_json(run.folder / "metrics.json", scores(0.9))
    built = {"same": scores(0.7), "whole": scores(0.9), "noise": scores(0.72, 0.2), "part": scores(0.75)}
    said = why.moved(run, run, built, [scores(0.7), scores(0.72), scores(0.69)])
    assert said["says"].to_dict() == {
        "same": "changes nothing",
        "whole": "alone gives the scores of b",
        "noise": "within the noise of the seed",
        "part": "moves the scores",
        "a, as recorded": "not repeated here: another environment or processor",
        "b, as recorded": "",
        "3 seeds of a": "",
    }
    assert said["val/accuracy"].to_list() == [
        "+0.0000",
        "+0.2000",
        "+0.0200",
        "+0.0500",
        "+0.2000",
        "+0.2000",
        "±0.0300",
    ]


def test_what_can_be_taken_is_named_and_how_it_differs(run: Record, tmp_path: Path) -> None:
    other = shutil.copytree(run.folder, tmp_path / "out/adhoc/two")
    settings = {**run.config, "threads": 2, "model": {**run.config["model"], "max_depth": 8, "random_state": 0}}
    compose.dump(other / "config.yaml", settings)
    origin = run.provenance | {"config": record.digests.file_digest(other / "config.yaml")}
    record.write_json(other / "provenance.json", origin | {"data": origin["data"] | {"raw": "other"}})
    found = dict(why.differences(run, Record(other)))
    assert list(found) == ["threads", "config", "data"]
    assert found["config"] == "model.max_depth 3 -> 8" and found["threads"] == "1 -> 2"


def test_a_run_is_found_by_its_folder_or_its_id(run: Record) -> None:
    cfg = compose.compose("tracking=none", f"paths.out={run.folder.parents[1]}")
    for name in (str(run.folder), run.provenance["record_id"]):
        assert rebuild.find(name, cfg).folder == run.folder
    with pytest.raises(UserError, match=r"No run elsewhere is in .* make publish"):
        rebuild.find("elsewhere", cfg)
    with pytest.raises(UserError, match="Which run"):
        rebuild.find(None, cfg)


@pytest.mark.parametrize(
    ("git", "said"),
    [
        ({"commit": "0" * 40}, r"is not in this clone: git fetch, or ask \S+, who ran it on branch \S+, to push it"),
        ({"commit": None, "note": "no git here"}, r"was made without git \(no git here\)"),
        ({"commit": "--upload-pack=x"}, "was made without git"),
    ],
)
def test_code_that_is_not_here_is_named_with_who_has_it(run: Record, git: dict, said: str) -> None:
    changed(run, **git)
    with pytest.raises(UserError, match=said):
        rebuild.find(str(run.folder), compose.compose("tracking=none"))


def test_names_that_are_not_trusted_here_stop_it_before_anything_runs(run: Record) -> None:
    settings = run.config
    compose.dump(run.folder / "config.yaml", {**settings, "steps": {"x": {"_target_": "os.system", "command": "ls"}}})
    origin = {**run.provenance, "config": record.digests.file_digest(run.folder / "config.yaml")}
    record.write_json(run.folder / "provenance.json", origin)
    with pytest.raises(UserError, match="not trusted"):
        rebuild.find(str(run.folder), compose.compose("tracking=none"))


def test_a_run_without_scores_has_nothing_to_compare(run: Record) -> None:
    (run.folder / "metrics.json").unlink()
    with pytest.raises(UserError, match="no scores to compare with"):
        rebuild.find(str(run.folder), compose.compose("tracking=none"))


def test_code_of_this_branch_needs_no_consent_other_code_does(
    run: Record, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    rebuild.agree(run, yes=False)
    assert not capsys.readouterr().out
    (run.folder / "patch.diff").write_bytes(b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+\x1b[2K\xe2\x80\xaeb\n")
    with pytest.raises(UserError, match="yes=true"):
        rebuild.agree(run, yes=False)
    assert "+?[2K?b" in (said := capsys.readouterr().out) and "x | " in said
    rebuild.agree(run, yes=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    with pytest.raises(UserError, match="Nothing was run"):
        rebuild.agree(run, yes=False)
    monkeypatch.setattr("builtins.input", lambda _: "y")
    rebuild.agree(run, yes=False)
    (run.folder / "patch.diff").write_bytes(b"")
    monkeypatch.setattr("builtins.input", lambda _: "")
    tree = run.provenance["git"]["tree"]
    who = {f"GIT_{role}_{what}": "t@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    changed(run, commit=provenance.git("commit-tree", tree, "-m", "aside", settings=who).decode().strip())
    with pytest.raises(UserError, match="Nothing was run"):
        rebuild.agree(run, yes=False)
    assert "which is not in your branch" in capsys.readouterr().out


def test_a_patch_that_is_not_the_run_s_is_refused_and_no_worktree_is_left(run: Record, root: Path) -> None:
    (run.folder / "patch.diff").write_bytes(
        b"diff --git a/y b/y\nnew file mode 100644\n--- /dev/null\n+++ b/y\n@@ -0,0 +1 @@\n+a\n"
    )
    with pytest.raises(UserError, match="is not what the run had"), rebuild.worktree(run):
        pass
    (run.folder / "patch.diff").write_bytes(b"no patch")
    with pytest.raises(UserError, match="cannot be restored"), rebuild.worktree(run):
        pass
    assert len(provenance.git("worktree", "list").splitlines()) == 1


def test_a_run_brings_no_remote_of_its_own(run: Record, root: Path) -> None:
    (root / ".dvc/config.local").write_text("[cache]\n    dir = ../own-cache\n['remote \"s3\"']\n    url = s3://ours\n")
    try:
        with rebuild.worktree(run) as tree:
            (tree / ".dvc/config").write_text("['remote \"s3\"']\n    url = s3://theirs\n")
            kept = ConfigParser()
            kept.read([tree / ".dvc/config", tree / ".dvc/config.local"])
            assert kept["'remote \"s3\"'"]["url"] == "s3://ours"
            assert kept["'remote \"starter\"'"]["url"] == str(root / ".dvc/starter")
            assert (tree / ".dvc/cache").resolve() == (root / "own-cache").resolve()
    finally:
        (root / ".dvc/config.local").unlink()
        shutil.rmtree(root / "own-cache")


def test_what_differs_between_two_environments_is_listed(run: Record) -> None:
    before, after = run.provenance, run.provenance
    after["versions"]["numpy"], after["python"] = "9.9", "3.99"
    assert rebuild.differences(before, before) == []
    numpy, python = before["versions"]["numpy"], before["python"]
    assert rebuild.differences(before, after) == [f"python {python} -> 3.99", f"numpy {numpy} -> 9.9"]


def test_only_runs_of_one_task_and_data_set_have_a_cause(run: Record, tmp_path: Path) -> None:
    other = shutil.copytree(run.folder, tmp_path / "out/adhoc/two")
    settings = yaml.safe_load((other / "config.yaml").read_text())
    compose.dump(other / "config.yaml", {**settings, "choices": {**settings["choices"], "data": "birds"}})
    origin = {**run.provenance, "config": record.digests.file_digest(other / "config.yaml")}
    record.write_json(other / "provenance.json", origin)
    with pytest.raises(UserError, match="classification of birds"):
        why.main(compose.compose(f"a={run.folder}", f"b={other}", "tracking=none"))
