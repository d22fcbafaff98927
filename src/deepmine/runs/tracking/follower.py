"""The publisher: a process of its own that follows records while they are written, so no tracker slows or fails a run.

Its input is JSON lines, so nothing secret is on its command line: the settings, then `["run", folder]` when a run begins
and `["ended", folder]` when it has ended. The end of the input is the end of the run's process, also by kill -9.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from typing import Any, BinaryIO

from deepmine.config.errors import UserError, shown

WAIT = 10  # seconds in all that a run waits for a server when it has ended; for a local store as long as it takes
LAST = 600  # seconds that the publisher has when the run's process is gone, whatever a server does
LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}  # what hangs costs a minute
PAUSE, LONGEST_PAUSE = 3.0, 60.0  # seconds between two batches; longer after each that failed
_process: Popen[str] | None = None  # one for all trials of a sweep


# In the run's process


def follow(folder: Path, delay: float, **settings: Any) -> None:
    """Have a record published while it is written, but not before `delay` seconds; `settings` as for `publish`."""
    global _process
    if _process is None:
        command, env = [sys.executable, "-P", "-m", __name__], LIMITS | os.environ
        # in a session of its own it outlives Ctrl-C and the terminal
        _process = Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True, start_new_session=True, env=env)
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
        said, _ = process.communicate(timeout=None if patience and uri.startswith("sqlite:") else patience)
    except TimeoutExpired:
        return f"MLflow at {shown(uri)} has not taken everything within {patience} seconds. It gets some minutes more."
    return said.strip() or (f"The process that publishes to {shown(uri)} ended early." if process.returncode else "")


def _tell(message: Any) -> None:
    if _process and _process.stdin:
        with suppress(BrokenPipeError):  # `wait` says that it ended
            print(json.dumps(message), file=_process.stdin, flush=True)


# In the publisher


def main() -> None:
    """Publish what the input names; at its end say why the first record that was not sent was not."""
    os.nice(10)  # the run comes first
    running, failed = "", list[str]()
    with open(0, "rb", buffering=0) as messages:  # else `select` misses the lines in the buffer
        settings = json.loads(messages.readline())
        delay = settings.pop("delay")
        while line := messages.readline():
            happened, folder = json.loads(line)
            if happened == "run":
                running = folder
                _follow_live(messages, folder, settings["uri"], delay)
            else:
                running = ""
                failed += _send(folder, settings) if folder else []
    signal.alarm(LAST)
    if running:  # killed before it could say that it ends
        time.sleep(1)  # until its process is counted as gone
        failed += _send(running, settings)
    print(*failed[:1])


def _follow_live(messages: BinaryIO, folder: str, uri: str, pause: float) -> None:
    """Send the curves of a run as they grow, until the next message."""
    batches = None
    while not select.select([messages], [], [], pause)[0]:
        try:
            from deepmine.runs.record import Record
            from deepmine.runs.tracking import publishing

            batches = batches or publishing.live(Record(Path(folder)), uri)
            next(batches)
            pause = PAUSE
        except Exception:  # whatever it is, `_send` meets it at the end of the run, and says it
            batches, pause = None, min(PAUSE + 2 * pause, LONGEST_PAUSE)


def _send(folder: str, settings: Mapping[str, Any]) -> list[str]:
    """Send a whole record; what went wrong."""
    from deepmine.runs.record import Record
    from deepmine.runs.tracking import publishing

    try:
        publishing.publish(Record(Path(folder)), **settings)
    except UserError as error:
        return [str(error)]
    return []


if __name__ == "__main__":
    main()
