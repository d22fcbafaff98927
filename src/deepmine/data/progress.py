"""Long work is seen: a bar in a terminal, a line every ten seconds in a log; nothing of what takes two seconds."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from tqdm import tqdm

LINE = "{desc}: {n_fmt} of {total_fmt}{unit} after {elapsed}\n"


def progress(what: str, total: float | None = None, of: Any = None, unit: str = "") -> tqdm:
    """tqdm's bar, to go through `of` or to `update`; pooch takes one too."""
    log: dict[str, Any] = {} if sys.stderr.isatty() else {"bar_format": LINE, "mininterval": 10, "delay": 10}
    return tqdm(of, what, total, leave=bool(log), unit=unit, unit_scale=True, **{"delay": 2, **log})


@contextmanager
def watched(what: str, percent: Callable[[], float]) -> Iterator[None]:
    """The same for one long call, of which `percent` says how much is done."""
    ended = Event()

    def look() -> None:
        with progress(what, 100, unit=" %") as bar:
            while not ended.wait(0.5):
                bar.update(max(0, percent() - bar.n))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
