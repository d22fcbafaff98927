"""The publisher: a process of its own that follows records while they are written, so no tracker slows or fails a run.

Its input is JSON lines, so nothing secret is on its command line: the settings, then `["run", folder]` when a run begins
and `["ended", folder]` when it has ended. The end of the input is the end of the run's process, also by kill -9. From
then on each record has a minute, whatever a server does.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from deepmine.config.errors import UserError, shown

WAIT = 10  # seconds in all that a run waits for a server when it has ended; for a local store as long as it takes
LAST, LAST_LOCAL = 60, 600  # seconds for each record once the input has ended: with a server, with a local store
LOCAL = "sqlite:"
PAUSE, LONGEST_PAUSE = 3.0, 60.0  # seconds between two batches; twice as long after one that failed
_process: subprocess.Popen[str] | None = None  # one for all trials of a sweep


# In the run's process


def follow(folder: Path, delay: float, **settings: Any) -> None:
    """Have a record published while it is written, but not before `delay` seconds; `settings` as for `publish`."""
    global _process
    if _process is None:
        command, pipe, no = [sys.executable, "-P", "-m", __name__], subprocess.PIPE, subprocess.DEVNULL
        # in a session of its own it outlives Ctrl-C and the terminal
        _process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=no, text=True, start_new_session=True)
        _tell(settings | {"delay": delay})
    _tell(["run", os.path.abspath(folder)])


def ended(folder: Path | None) -> None:
    """Have the rest of a record sent; None: another process will send it."""
    _tell(["ended", os.path.abspath(folder) if folder else ""])


def wait(uri: str, patience: float = WAIT) -> str:
    """Wait until everything is sent, then say what could not be; the publisher goes on by itself."""
    global _process
    process, _process = _process, None
    if process is None:
        return ""
    try:
        said, _ = process.communicate(timeout=None if patience and uri.startswith(LOCAL) else patience)
    except subprocess.TimeoutExpired:
        return f"MLflow at {shown(uri)} has not taken everything within {patience} seconds. It gets another minute."
    ended_early = f"The process that publishes to {shown(uri)} ended early ({process.returncode})."
    return said.strip() or (ended_early if process.returncode else "")


def _tell(message: Any) -> None:
    if _process and _process.stdin:
        with suppress(BrokenPipeError):  # `wait` says that it ended
            print(json.dumps(message), file=_process.stdin, flush=True)


# In the publisher


def main() -> None:
    """Publish what the input names; at its end say why the first record that was not sent was not."""
    os.nice(10)  # the run comes first
    settings = json.loads(sys.stdin.readline())
    messages: SimpleQueue[list[str]] = SimpleQueue()
    last = LAST_LOCAL if settings["uri"].startswith(LOCAL) else LAST
    Thread(target=_read, args=(messages, last), daemon=True).start()
    batches, failed = iter([0.0]), list[str]()
    delay, pause, running, happened = settings.pop("delay"), None, "", ""
    while happened != "gone":
        try:
            happened, folder = messages.get(timeout=pause)
        except Empty:
            pause = next(batches)
            continue
        if happened == "run":
            running, pause, batches = folder, delay, _batches(folder, settings["uri"])
        else:
            if signal.getitimer(signal.ITIMER_REAL)[0]:
                signal.alarm(last)
            rest = folder if happened == "ended" else running  # which has had no time to say that it ends
            failed += _send(rest, settings) if rest else []
            running, pause = "", None
    print(*failed[:1])


def _read(messages: SimpleQueue[list[str]], last: int) -> None:
    for line in sys.stdin:
        messages.put(json.loads(line))
    signal.alarm(last)  # it ends the process, even one that hangs in a request
    messages.put(["gone", ""])


def _batches(folder: str, uri: str) -> Iterator[float]:
    """Send the curves of a run as they grow, a batch at each step; the seconds until the next."""
    pause = PAUSE
    while True:
        with suppress(Exception):  # whatever it is, `_send` meets it at the end of the run, and says it
            from deepmine.runs.record import Record
            from deepmine.runs.tracking import publishing

            for _ in publishing.live(Record(Path(folder)), uri):
                yield (pause := PAUSE)
        yield (pause := min(2 * pause, LONGEST_PAUSE))


def _send(folder: str, settings: Mapping[str, Any]) -> list[str]:
    """Send a whole record; what went wrong."""
    from deepmine.runs.record import Record
    from deepmine.runs.tracking import publishing

    run = Record(Path(folder))
    end = time.monotonic() + 5
    try:
        while run.status["status"] == "RUNNING" and time.monotonic() < end:
            time.sleep(0.1)  # the process that wrote it is only just gone
        publishing.publish(run, **settings)
    except UserError as error:
        return [str(error)]
    return []


if __name__ == "__main__":
    main()
