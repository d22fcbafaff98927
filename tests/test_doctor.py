"""The doctor: what it finds in records, beside them and in the tracker, what it mends, and what it leaves alone."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest

from conftest import run as run_command
from deepmine.commands import doctor
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import digests, folders
from deepmine.runs import record
from deepmine.runs.tracking import publishing

KEPT = sorted((Path(__file__).parent / "records").iterdir())[-1]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two records that are well: a net and a tree."""
    for name in ("net", "tree"):
        shutil.copytree(KEPT / name, tmp_path / "out/adhoc" / name)
    return tmp_path / "out"


def examine(out: Path, capsys: pytest.CaptureFixture, mend: bool = False, uri: str | None = None) -> tuple[list, bool]:
    """The lines that the doctor prints, and whether all is well."""
    cfg = SimpleNamespace(
        paths=SimpleNamespace(out=str(out)), mend=mend, tracking=SimpleNamespace(uri=uri, model=False), trusted=[]
    )
    capsys.readouterr()
    try:
        doctor.main(cfg)
        well = True
    except UserError:
        well = False
    return capsys.readouterr().out.splitlines(), well


def set_status(path: Path, **values: object) -> None:
    found = {**json.loads(path.read_text()), **values}
    found.pop("ended", None)
    path.write_text(json.dumps(found))


def vanished() -> dict[str, object]:
    """The status of a run whose process is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {"status": "RUNNING", "pid": process.pid, "host": os.uname().nodename}


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def test_all_is_well(out: Path, capsys: pytest.CaptureFixture) -> None:
    assert examine(out, capsys) == ([f"All is well in {out}."], True)


def test_a_dead_run_is_closed_at_its_last_sign_of_life(out: Path, capsys: pytest.CaptureFixture) -> None:
    status = out / "adhoc/net/status.json"
    set_status(status, **vanished())
    os.utime(status, (1.8e9, 1.8e9))
    [line], well = examine(out, capsys)
    assert f"{status} says RUNNING, but its process ended" in line and "mend=true closes it" in line and not well
    assert json.loads(status.read_text())["status"] == "RUNNING"
    examine(out, capsys, mend=True)
    found = json.loads(status.read_text())
    assert (found["status"], found["ended"]) == ("KILLED", "2027-01-15T08:00:00.000+00:00")
    assert examine(out, capsys) == ([f"All is well in {out}."], True)


def test_a_dead_evaluation_is_closed(out: Path, capsys: pytest.CaptureFixture) -> None:
    set_status(out / "adhoc/tree/evaluation/status.json", **vanished())
    _, well = examine(out, capsys, mend=True)
    assert well and record.find(out / "adhoc/tree").status["status"] == "KILLED"


def test_a_torn_line_is_cut(out: Path, capsys: pytest.CaptureFixture) -> None:
    curves = out / "adhoc/net/metrics.jsonl"
    whole = curves.read_text()
    curves.write_text(whole + '{"epoch": 3, "tr')
    assert "ends within a line" in examine(out, capsys)[0][0]
    assert examine(out, capsys, mend=True)[1] and curves.read_text() == whole


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        ("model.skops", Path.unlink, "has no model"),
        ("model.skops", truncate, "model.skops is damaged"),
        ("checkpoint.skops", Path.touch, "checkpoint.skops is damaged"),
        ("metrics.json", truncate, "metrics.json is damaged"),
        ("config.yaml", truncate, "config.yaml is damaged"),
        ("provenance.json", Path.unlink, "is no record"),
        ("status.json", truncate, "status.json is damaged"),
        ("status.json", Path.unlink, "status.json is damaged"),
    ],
)
def test_what_is_damaged_needs_a_person(
    out: Path, name: str, spoil: Callable[[Path], object], says: str, capsys: pytest.CaptureFixture
) -> None:
    spoil(out / "adhoc/tree" / name)
    before = digests.folder_digest(out)
    for mend in (False, True):
        [line], well = examine(out, capsys, mend)
        assert says in line and str(out / "adhoc/tree") in line and "mend=true" not in line and not well
    assert digests.folder_digest(out) == before


def test_a_run_at_work_is_left_alone(out: Path, capsys: pytest.CaptureFixture) -> None:
    with record.status(out / "adhoc/net/status.json", "train"):
        (out / "adhoc/net/model.skops").unlink()
        (out / "adhoc/net/metrics.jsonl").write_text('{"epo')
        assert examine(out, capsys, mend=True) == ([f"All is well in {out}."], True)


def test_an_evaluation_at_work_is_left_alone(out: Path, capsys: pytest.CaptureFixture) -> None:
    with record.evaluation(record.find(out / "adhoc/tree")) as new:
        assert new.name == ".evaluation.deepmine-new"
        assert examine(out, capsys, mend=True) == ([f"All is well in {out}."], True)
    assert record.find(out / "adhoc/tree").status["status"] == "FINISHED"


def leave_behind(place: Path) -> None:
    """What a process leaves that is killed while it builds a folder anew, between the two renames."""
    code = (
        f"import os, pathlib\nfrom deepmine.data import folders\nplace = pathlib.Path({str(place)!r})\n"
        "with folders.locked(place):\n"
        "    place.rename(folders._beside(place, 'old'))\n"
        "    folders._beside(place, 'new').mkdir()\n    os._exit(9)"
    )
    run_command(sys.executable, "-c", code)
    for path in place.parent.glob(".*"):
        os.utime(path, (0, 0))


def test_leftovers_are_swept_and_what_was_put_aside_comes_back(out: Path, capsys: pytest.CaptureFixture) -> None:
    (out / "datasets/birds").mkdir(parents=True)
    (out / "datasets/birds/report.html").touch()
    leave_behind(out / "datasets/birds")
    [line], well = examine(out, capsys)
    assert str(out / "datasets/birds") in line and "mend=true sweeps" in line and not well
    assert not (out / "datasets/birds").exists()
    assert examine(out, capsys, mend=True)[1]
    assert [path.name for path in (out / "datasets").rglob("*")] == ["birds", "report.html"]


def test_a_writer_at_work_leaves_nothing_behind(out: Path, capsys: pytest.CaptureFixture) -> None:
    with folders.rebuilt(out / "compare", {}) as new:
        for path in (new, folders._beside(out / "compare", "lock")):
            os.utime(path, (0, 0))
        (out / "adhoc/net/.status.json.deepmine-new").touch()  # on its way
        assert examine(out, capsys, mend=True)[1]
        assert new.is_dir()


def test_the_tracker_gets_what_it_lacks(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    lines, well = examine(out, capsys, uri=uri)
    assert len(lines) == 2 and all("mend=true sends it" in line for line in lines) and not well
    publishing.publish(record.find(out / "adhoc/tree"), uri, False, [])
    [line], _ = examine(out, capsys, uri=uri)
    assert str(out / "adhoc/net") in line
    examine(out, capsys, mend=True, uri=uri)
    assert examine(out, capsys, uri=uri) == ([f"All is well in {out}."], True)
    with record.status(out / "adhoc/tree/evaluation/status.json", "evaluate"):  # another digest, and it is here
        assert examine(out, capsys, uri=uri) == ([f"All is well in {out}."], True)
    set_status(out / "adhoc/net/status.json", **vanished())
    assert examine(out, capsys, mend=True, uri=uri)[1]
    found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert sorted(run.info.status for run in found) == ["FINISHED", "KILLED"]
    shutil.rmtree(out / "adhoc/net")
    [head, line, _], well = examine(out, capsys, uri=uri)
    assert "not here" in head and "net" in line and "KILLED" in line and well


def test_what_cannot_be_sent_does_not_keep_the_others_from_it(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, sent = publishing.publish, []

    def refuse(run: record.Record, *more: object) -> None:
        if run.folder.name == "net":
            raise UserError("it is refused")
        sent.append(send(run, *more))

    monkeypatch.setattr(publishing, "publish", refuse)
    lines, well = examine(out, capsys, mend=True, uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert "it is refused" in lines and len(sent) == 1 and not well


def test_a_tracker_that_is_away_is_told_after_the_records(out: Path, capsys: pytest.CaptureFixture) -> None:
    (out / "adhoc/net/model.skops").unlink()
    lines, well = examine(out, capsys, uri="http://127.0.0.1:9")
    assert "has no model" in lines[0] and "does not answer" in lines[1] and not well


def test_as_a_person_runs_it(out: Path) -> None:
    code = (
        "import sys\nfrom deepmine import cli\ncli.main()\nassert not {'mlflow', 'torch', 'sklearn'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "doctor", "tracking=none", f"paths.out={out}"]
    done = run_command(*command)
    assert done.returncode == 0 and done.stdout == f"All is well in {out}.\n", done.stderr
    truncate(out / "adhoc/net/model.skops")
    done = run_command(*command)
    assert done.returncode == 1 and "error: 1 of these are left" in done.stderr


def test_its_settings_are_those_of_every_verb() -> None:
    assert compose.compose("mend=true", trains=False).mend
    with pytest.raises(UserError, match="mend"):
        compose.compose("mend=7", trains=False)
