"""Downloads from a server on this machine that breaks off, stalls, ignores ranges, and sends wrong bytes or errors."""

import gzip
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from urllib3.util import Retry

from conftest import environment, stage
from deepmine.config.errors import UserError
from deepmine.data.readers import download

CUT = 2**17  # bytes after which a broken answer ends
CONTENT = np.random.default_rng(0).bytes(3 * CUT)
MD5 = md5(CONTENT).hexdigest()


class Mirror(ThreadingHTTPServer):
    """Serves CONTENT under any name; the first answers suffer the `faults`, one each; `asked` keeps the ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.faults, self.asked = CONTENT, [], []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        wanted, fault = self.headers["Range"], self.server.faults.pop(0) if self.server.faults else ""
        self.server.asked.append(wanted)
        if fault.isdigit():
            return self.send_error(int(fault))
        begin = int(wanted[len("bytes=") : -1]) if wanted and fault != "no range" else 0
        if begin and begin >= len(self.server.content):
            return self.send_error(416)
        body = self.server.content[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "wrong bytes":
            body = bytes(len(body))
        self.wfile.write(body[:CUT] if fault in ("cut", "stall") else body)
        if fault == "stall":
            time.sleep(1)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setattr(download, "BUSY", Retry(total=2, status_forcelist=[503], raise_on_status=False))
    monkeypatch.setattr(download, "TIMEOUT", (1, 0.3))
    with Mirror() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("faults", "asked"),
    [
        ([], [None]),
        (["cut"], [None, f"bytes={CUT}-"]),
        (["stall"], [None, f"bytes={CUT}-"]),
        (["cut", "cut"], [None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]),
        (["cut", "no range"], [None, f"bytes={CUT}-"]),
        (["cut", "wrong bytes"], [None, f"bytes={CUT}-", None]),
        (["503", "503"], [None, None, None]),
    ],
    ids=str,
)
def test_a_file_comes_whole_whatever_the_server_does(mirror: Mirror, tmp_path: Path, faults: list, asked: list) -> None:
    mirror.faults = list(faults)
    download.fetch(tmp_path / "set", {"a": MD5}, [mirror.url])
    assert (tmp_path / "set/a").read_bytes() == CONTENT
    assert mirror.asked == asked and names(tmp_path / "set") == ["a"]
    download.fetch(tmp_path / "set", {"a": MD5}, [mirror.url])
    assert mirror.asked == asked  # what is there is not asked for again


@pytest.mark.parametrize("held", [CONTENT[:1000], CONTENT, CONTENT + b"more", b"x" * 1000], ids=len)
def test_what_an_interrupted_process_left_is_used_or_replaced(mirror: Mirror, tmp_path: Path, held: bytes) -> None:
    (tmp_path / "a.part").write_bytes(held)
    download.fetch(tmp_path, {"a": MD5}, [mirror.url])
    assert (tmp_path / "a").read_bytes() == CONTENT and names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        (["404"], "404 Not Found"),
        (["503"] * 3, "503 Service Unavailable"),
        (["wrong bytes"], "sent another file: its MD5 is"),
        (["cut", *["404"] * 9], "404"),
    ],
    ids=["missing", "busy", "wrong", "cut"],
)
def test_the_next_mirror_is_tried_and_all_are_named(mirror: Mirror, tmp_path: Path, faults: list, says: str) -> None:
    mirror.faults = list(faults)
    with pytest.raises(UserError, match=f"(?s)a could not be downloaded.*{says}.*no such file.*paths.mirrors"):
        download.fetch(tmp_path / "set", {"a": MD5}, [mirror.url, str(tmp_path)])
    assert "a" not in names(tmp_path)
    mirror.faults = list(faults)
    (tmp_path / "a").write_bytes(CONTENT)
    download.fetch(tmp_path / "set", {"a": MD5}, [mirror.url, str(tmp_path)])
    assert (tmp_path / "set/a").read_bytes() == CONTENT and names(tmp_path / "set") == ["a"]


def test_a_connection_that_always_breaks_keeps_what_came(mirror: Mirror, tmp_path: Path) -> None:
    mirror.content = np.random.default_rng(0).bytes(7 * CUT)
    wanted = {"a": md5(mirror.content).hexdigest()}
    mirror.faults = ["cut"] * download.TRIES
    with pytest.raises(UserError, match="broke 5 times"):
        download.fetch(tmp_path, wanted, [mirror.url])
    assert names(tmp_path) == ["a.part"]
    download.fetch(tmp_path, wanted, [mirror.url])
    assert mirror.asked[-1] == f"bytes={5 * CUT}-" and (tmp_path / "a").read_bytes() == mirror.content


def test_a_gz_file_may_be_compressed_in_another_way(tmp_path: Path) -> None:
    for level in (1, 9):
        (tmp_path / "mirror").mkdir(exist_ok=True)
        (tmp_path / "mirror/a.gz").write_bytes(gzip.compress(CONTENT, level, mtime=level))
        download.fetch(tmp_path / str(level), {"a.gz": MD5}, [str(tmp_path / "mirror")])
    (tmp_path / "mirror/a.gz").write_bytes(gzip.compress(CONTENT)[:-9])
    with pytest.raises(UserError, match="sent another file"):
        download.fetch(tmp_path / "cut", {"a.gz": MD5}, [str(tmp_path / "mirror")])


def test_a_file_may_lie_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mirror/train").mkdir(parents=True)
    (tmp_path / "mirror/train/a").write_bytes(CONTENT)
    download.fetch(tmp_path / "set", {"train/a": MD5}, [str(tmp_path / "mirror")])
    assert names(tmp_path / "set") == ["a", "train"]


def test_no_network_leaves_nothing(tmp_path: Path) -> None:
    with Mirror() as server:
        url = server.url  # nobody answers there any more
    with pytest.raises(UserError, match="Connection refused"):
        download.fetch(tmp_path / "set", {"a": MD5}, [url])
    assert names(tmp_path) == []


def test_a_full_disk_is_said(mirror: Mirror, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CUT, hard))  # no file may grow beyond it
    try:
        with pytest.raises(UserError, match="a cannot be read or written .File too large; .* MB are free"):
            download.fetch(tmp_path, {"a": MD5}, [mirror.url])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["a.part"]
    download.fetch(tmp_path, {"a": MD5}, [mirror.url])
    assert mirror.asked[-1] == f"bytes={CUT}-" and names(tmp_path) == ["a"]


def test_of_two_processes_one_downloads(mirror: Mirror, tmp_path: Path) -> None:
    mirror.faults = ["stall"]
    program = "import sys; from pathlib import Path; from deepmine.data import download; "
    program += "download.fetch(Path(sys.argv[1]), {'a': sys.argv[2]}, [sys.argv[3]])"
    command = [sys.executable, "-c", program, str(tmp_path / "set"), MD5, mirror.url]
    both = [subprocess.Popen(command, env=environment()) for _ in range(2)]
    assert [process.wait(30) for process in both] == [0, 0]
    assert mirror.asked == [None, f"bytes={CUT}-"] and names(tmp_path / "set") == ["a"]


def test_a_stage_without_a_network_ends_with_one_message(tmp_path: Path) -> None:
    mirrors = f"data.download.mirrors=[{tmp_path}/nowhere]"
    done = stage("prepare", "data=mnist", mirrors, f"paths.data={tmp_path}/data", f"paths.out={tmp_path}/out")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "paths.mirrors" in done.stderr
    assert "Traceback" not in done.stderr and names(tmp_path) == ["data"]
