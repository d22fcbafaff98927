"""Long work is seen: a bar in a terminal, a line every ten seconds in a log; nothing where it takes two seconds."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

EVERY = 10.0  # seconds, in a log
LINE = "{desc}: {percentage:.0f} % after {elapsed}\n"


def progress(what: str, total: float | None = None, **how: Any) -> Any:
    """tqdm's bar."""
    from tqdm import tqdm

    log: dict[str, Any] = {} if sys.stderr.isatty() else {"bar_format": LINE, "mininterval": EVERY, "delay": EVERY}
    return tqdm(desc=what, total=total, **{"leave": False, "unit_scale": True, "delay": 2, **log, **how})


@contextmanager
def watched(what: str, done: Callable[[], float], total: float = 100) -> Iterator[None]:
    """The same of one long call, while `done` says how much of the total it has done."""
    ended = Event()

    def look() -> None:
        while not ended.wait(0.5):
            bar.update(max(0, done() - bar.n))

    with progress(what, total) as bar:
        thread = Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
