"""Long work is seen in a log, and quick work is not."""

import os
import pty
import sys
import termios
import time
from contextlib import closing, suppress

import pytest

from deepmine.data import progress


def test_a_log_gets_a_line_of_what_takes_long(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.1)
    for _ in progress.progress("images", iterable=range(20)):
        time.sleep(0.02)
    for _ in progress.progress("reading", iterable=range(2)):
        pass
    said = capsys.readouterr().err
    assert "images: 50 % after 00:00\n" in said or said.count("images: ") >= 2
    assert "reading" not in said


def test_a_terminal_gets_a_bar_that_goes_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    with closing(os.fdopen(terminal, "w")) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        for _ in progress.progress("images", iterable=range(4), delay=0, mininterval=0, miniters=1):
            time.sleep(0.01)
    said = b""
    with closing(os.fdopen(screen, "rb", buffering=0)) as shown, suppress(OSError):  # EIO: all of it is read
        while more := shown.read(4096):
            said += more
    assert b"images:  25%|" in said and b"\n" not in said and said.endswith(b"\r")
