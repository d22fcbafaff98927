"""What a stage may replace, and what is left when it fails, is killed or is not alone."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pandas as pd
import pytest

from deepmine import ROOT
from deepmine.commands import compare, configure
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import dataset, folders
from deepmine.runs import record
from deepmine.runs.tracking import store

OURS = {"mark.txt": "made by us", "*.csv": ""}


def someone_s(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("ten years")
    return folder


def enter(context: AbstractContextManager) -> None:
    with context:
        pass


@pytest.mark.parametrize(
    ("place", "write"),
    [
        ("any", lambda out: enter(record.claimed(out / "any", out / "adhoc"))),
        ("run/evaluation", lambda out: enter(record.evaluation(record.Record(out / "run")))),
        ("any", lambda out: dataset.save(None, out / "any")),
        ("any", lambda out: compare.write({"a": pd.DataFrame()}, out / "any")),
        ("configs", lambda out: configure.main(compose.compose(f"paths.out={out}", trains=False))),
    ],
    ids=["train", "evaluate", "prepare", "compare", "configure"],
)
def test_no_stage_deletes_what_it_did_not_write(tmp_path: Path, place: str, write) -> None:
    folder = someone_s(tmp_path / place)
    with pytest.raises(UserError, match=r"did not write (thesis|it)"):
        write(tmp_path)
    assert (folder / "thesis.txt").read_text() == "ten years"


@pytest.mark.parametrize(
    "place",
    ["file", "link", "dangling", "marked", "few", str(ROOT), str(ROOT.parent), "/", ".", str(ROOT / "docs/..")],
    ids=["file", "link", "dangling", "marked", "few", "checkout", "parent", "root", "here", "round about"],
)
def test_what_is_not_ours_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(ROOT)
    ours = someone_s(tmp_path / "marked")  # among our files lies one of a person
    (ours / "mark.txt").write_text("made by us")
    (someone_s(tmp_path / "few") / "thesis.txt").rename(tmp_path / "few/a.csv")  # a name as ours have, but no mark
    (tmp_path / "file").write_text("a file")
    (tmp_path / "link").symlink_to(ours)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is not replaced"):
        enter(folders.rebuilt(tmp_path / place if place.isalpha() else Path(place), OURS))
    assert (ours / "thesis.txt").is_file() and (tmp_path / "few/a.csv").is_file()
    assert len(list(tmp_path.iterdir())) == 5 and (ROOT / "src").is_dir()


def make(folder: Path, text: str) -> None:
    with folders.rebuilt(folder, OURS) as new:
        (new / "mark.txt").write_text("made by us")
        (new / "a.csv").write_text(text)


def test_the_last_one_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "deep/set"
    make(folder, "first")
    with pytest.raises(KeyboardInterrupt), folders.rebuilt(folder, OURS) as new:
        (new / "a.csv").write_text("half")
        assert (folder / "a.csv").read_text() == "first"
        raise KeyboardInterrupt
    assert (folder / "a.csv").read_text() == "first"
    make(folder, "second")
    assert (folder / "a.csv").read_text() == "second"
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_what_a_killed_stage_left_is_cleared_away_or_put_back(tmp_path: Path) -> None:
    make(tmp_path / "set", "good")
    (tmp_path / "set").rename(tmp_path / ".set.deepmine-old")  # killed between the two renames
    someone_s(tmp_path / ".set.deepmine-new")
    with folders.locked(tmp_path / "set"):
        assert (tmp_path / "set/a.csv").read_text() == "good"
    make(tmp_path / "set", "better")
    assert (tmp_path / "set/a.csv").read_text() == "better"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_next_stage_in_a_folder_sweeps_it_but_for_what_is_being_written(tmp_path: Path) -> None:
    make(tmp_path / ".killed.deepmine-old", "good")
    someone_s(tmp_path / ".killed.deepmine-new")
    someone_s(tmp_path / ".other.deepmine-new")
    (tmp_path / ".score.json.deepmine-new").write_text("half")  # of another process, perhaps: it takes a moment
    (tmp_path / ".model.skops.deepmine-new").write_text("half")
    os.utime(tmp_path / ".model.skops.deepmine-new", (0, 0))
    with other_holds(tmp_path / "busy"):
        someone_s(tmp_path / ".busy.deepmine-new")
        make(tmp_path / "set", "new")
        names = {path.name for path in tmp_path.iterdir()}
    left = {".busy.deepmine-new", ".busy.deepmine-lock", ".score.json.deepmine-new"}
    assert names == {"set", "killed"} | left
    assert (tmp_path / "killed/a.csv").read_text() == "good"


@pytest.mark.parametrize("renames", [1, 2])
def test_a_signal_between_two_renames_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    make(tmp_path / "set", "first")
    done, rename = [], Path.rename

    def interrupted(path: Path, target: Path) -> None:
        rename(path, target)
        done.append(path)
        if len(done) == renames:
            sys.exit(143)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(SystemExit):
        make(tmp_path / "set", "second")
    assert (tmp_path / "set/a.csv").read_text() == ("first" if renames == 1 else "second")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new/file.txt"
    with folders.written(path) as new:
        new.write_text("first")
    with pytest.raises(OSError, match="full"), folders.written(path) as new:
        new.write_text("sec")
        raise OSError("full")
    assert path.read_text() == "first" and list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may be two users")
def test_the_lock_of_a_killed_user_is_another_user_s(tmp_path: Path) -> None:
    place = Path(tempfile.mkdtemp(dir="/tmp"))  # whose parents all may enter
    place.chmod(0o777)
    try:
        with other_holds(place / "set", user=65534) as other:
            other.kill()
        assert (place / ".set.deepmine-lock").stat().st_mode & 0o777 == 0o666
        with folders.locked(place / "set", patience=0):
            pass
        assert not list(place.iterdir())
    finally:
        shutil.rmtree(place)


@contextmanager
def other_holds(path: Path, user: int | None = None) -> Iterator[subprocess.Popen]:
    """Another process locks a folder meanwhile."""
    holder = "import os, sys; from pathlib import Path; from deepmine.data.folders import locked\n" + (
        f"if {user}: os.setuid({user})\n"
        f"with locked(Path({str(path)!r})):\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdin=-1, stdout=-1, text=True, cwd=ROOT) as other:
        assert other.stdout.readline() == "held\n"
        yield other
        other.stdin.close()


def test_one_process_at_a_time_and_the_other_is_named(tmp_path: Path) -> None:
    with other_holds(tmp_path / "set") as other:
        says = rf"is being written by process {other.pid} since .*run=out/adhoc/set-2"
        with pytest.raises(UserError, match=says):
            enter(record.claimed(tmp_path / "set", Path("out/adhoc")))
    with folders.locked(tmp_path / "set", patience=0), folders.locked(tmp_path / "set", patience=0):
        pass  # who holds it may take it again
    assert not list(tmp_path.iterdir())


def test_a_store_that_cannot_be_created_is_an_error_at_once() -> None:
    with pytest.raises(UserError, match=r"sqlite:////proc/x\.db cannot be created: No such file"):
        store.connect("sqlite:////proc/x.db")
