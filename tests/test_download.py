"""Downloads from mirrors on this machine: what is wrong does not enter data/."""

import gzip
import re
from hashlib import md5
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from conftest import stage
from deepmine.config.errors import UserError
from deepmine.data.readers import download

CONTENT = bytes(range(256)) * 100
MD5 = md5(CONTENT).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_next_mirror_is_tried_and_what_is_there_is_not_asked_for_again(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    httpserver.expect_ordered_request("/one/a").respond_with_data(status=404)
    httpserver.expect_ordered_request("/two/a").respond_with_data(b"wrong bytes")
    httpserver.expect_ordered_request("/three/a").respond_with_data(CONTENT)
    mirrors = [httpserver.url_for(f"/{name}") for name in ("one", "two", "three")]
    for _ in range(2):
        download.fetch(tmp_path / "set", {"a": MD5}, mirrors)
    assert (tmp_path / "set/a").read_bytes() == CONTENT and names(tmp_path) == ["set", "set/a"]
    httpserver.check_assertions()


def test_a_folder_is_a_mirror_and_a_gz_file_may_be_compressed_in_another_way(tmp_path: Path) -> None:
    for level in (1, 9):
        (tmp_path / "mirror/train").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror/train/a.gz").write_bytes(gzip.compress(CONTENT, level, mtime=level))
        download.fetch(tmp_path / str(level), {"train/a.gz": MD5}, [str(tmp_path / "mirror")])
        assert names(tmp_path / str(level)) == ["train", "train/a.gz"]


def test_no_mirror_has_it_all_are_named_without_password_and_nothing_is_left(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    httpserver.expect_request("/a.gz").respond_with_data(gzip.compress(CONTENT)[:-9])
    mirrors = [httpserver.url_for("").replace("//", "//joe:secret@"), str(tmp_path / "nowhere")]
    with pytest.raises(UserError, match=r"(?s)a.gz could not be downloaded.*nowhere.*paths.mirrors=") as said:
        download.fetch(tmp_path / "set", {"a.gz": MD5}, mirrors)
    assert "secret" not in str(said.value) and names(tmp_path / "set") == []


@pytest.mark.parametrize("name", ["../a", "/tmp/a", "b/../../a"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    with pytest.raises(UserError, match=f"{re.escape(name)} is outside"):
        download.fetch(tmp_path / "set", {name: MD5}, [str(tmp_path)])


@pytest.mark.slow
def test_a_stage_without_a_network_ends_with_one_message(tmp_path: Path) -> None:
    mirrors = f"data.download.mirrors=[{tmp_path}/nowhere]"
    done = stage("prepare", "data=remote", mirrors, f"paths.data={tmp_path}/data", f"paths.out={tmp_path}/out")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "paths.mirrors" in done.stderr
    assert "Traceback" not in done.stderr and not list((tmp_path / "data/remote").iterdir())
