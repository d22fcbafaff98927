"""The status of a stage, a file that tells the truth: RUNNING, FINISHED, FAILED (error) or KILLED (signal), and why.

A kill without notice and a full disk are told too. A living stage changes the time of its file now and then.
"""

import json
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import yaml

from deepmine.config import signals
from deepmine.config.errors import UserError
from deepmine.data import digests, folders

BEAT, SILENCE = 30, 600  # seconds between two signs of life, and without any until a stage elsewhere counts as dead
ROOM = 4096  # bytes of a file that says RUNNING, in which its end finds room on a full disk


@contextmanager
def status(path: Path, stage: str) -> Iterator[dict[str, Any]]:
    """Keep a status file true while the block runs and after it, and write what the block adds."""
    now, over = running(stage), Event()
    write_json(path, now, ROOM)
    Thread(target=_beat, args=(path, over), daemon=True).start()
    conclude = partial(_conclude, path, now)
    try:
        with signals.last_words(conclude):
            yield now
        write_json(path, {**now, "status": "FINISHED", "ended": _now()})
    except BaseException as end:
        conclude(end)
        raise
    finally:
        over.set()


def running(stage: str) -> dict[str, Any]:
    """The status of a stage that begins; a number is that of a process only together with its time."""
    process = {"pid": os.getpid(), "create_time": psutil.Process().create_time(), "host": platform.node()}
    return {"status": "RUNNING", "stage": stage, "started": _now(), **process}


def read_status(path: Path) -> dict[str, Any]:
    """The status of a stage; one that still says RUNNING although its process is gone was KILLED."""
    found = read(path, keys=("status", "stage", "started", "pid", "host"))
    if found["status"] == "RUNNING" and (reason := _dead(found, path.stat().st_mtime)):
        found |= {"status": "KILLED", "reason": reason}
    return found


def write_json(path: Path, value: Any, room: int = 0) -> None:
    """Write a JSON file, whole or not at all, with spaces up to `room` bytes."""
    with folders.written(path) as new:
        new.write_text(json.dumps(value, indent=2).ljust(room - 1) + "\n")


def read(path: Path, parse: Callable[[str], Any] = json.loads, keys: Sequence[str] = (), digest: str = "") -> Any:
    """A file that holds a mapping, with these keys and this md5 where they are given."""
    try:
        found = parse(path.read_text(encoding="utf-8"))
        if digest not in ("", digests.file_digest(path)) or not set(keys) <= set(dict(found)):
            raise ValueError("it is not as the run wrote it")
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        why = str(error).splitlines()[0]
        raise UserError(f"{path} is damaged ({why}). Train that run again, or delete its folder.") from None
    return found


def _conclude(path: Path, now: dict[str, Any], end: BaseException) -> None:
    """Write how a stage ended; where the disk is full, shortened, in the room of RUNNING."""
    told = {"status": "FAILED", "reason": f"{type(end).__name__}: {end}", "traceback": traceback.format_exc()}
    if number := signals.ended_by(end):
        told = {"status": "KILLED", "reason": number.name}
    told = {**now, **told, "ended": _now()}
    try:
        write_json(path, told)
    except OSError:
        with suppress(OSError), path.open("r+") as file:
            file.write(json.dumps({**told, "reason": told["reason"][:200], "traceback": ""}).ljust(ROOM))


def _beat(path: Path, over: Event) -> None:
    while not over.wait(BEAT):
        with suppress(OSError):
            os.utime(path)


def _dead(found: dict[str, Any], last_sign: float) -> str | None:
    """Why a stage that says RUNNING does not; a clock that is set changes `create_time`, but not the signs of life."""
    silent = time.time() - last_sign
    if found["host"] != platform.node():
        since = f"{datetime.fromtimestamp(last_sign):%d %B %Y, %H:%M}"
        return f"no sign of life since {since} from {found['host']}" if silent > SILENCE else None
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(found["pid"])
        same = process.create_time() == found.get("create_time") or silent < 2 * BEAT
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return None
    return "its process ended without notice (killed, or out of memory)"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
