"""How a signal ends a program: in its first second too, in time, and whatever a library makes of it."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread, Timer
from typing import Any

GRACE = 4  # seconds
ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_heard: list[int] = []
_last_words: list[Callable[[BaseException], None]] = []


def watch() -> None:
    """Let a signal end the program as `sys.exit` does, with the code that a shell gives it, within `GRACE` seconds."""
    for number in ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _end)
    sys.unraisablehook = _again
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # what ends a worker does not end us
    Thread(target=_insist, args=(heard,), daemon=True).start()


def ended_by(end: BaseException) -> signal.Signals | None:
    """The signal behind an exit, Ctrl-C, or an error that a library made of either."""
    code = 128 + signal.SIGINT if isinstance(end, KeyboardInterrupt) else getattr(end, "code", None)
    numbers = [*_heard, *(number for number in ENDS if number + 128 == code and not isinstance(end, Exception))]
    return signal.Signals(numbers[0]) if numbers else None


@contextmanager
def last_words(say: Callable[[BaseException], None]) -> Iterator[None]:
    """What to do before the program ends, where a signal does not end the block as an exception does."""
    _last_words.append(say)
    try:
        yield
    finally:
        _last_words.remove(say)


def _end(number: int, _: Any) -> None:
    _heard.append(number)
    sys.exit(128 + number)


def _again(ignored: Any) -> None:
    """An exit that came where Python ignores what is raised, as in the callback of a weak reference, comes once more."""
    if isinstance(ignored.exc_value, SystemExit) and _heard:
        Timer(0.1, signal.raise_signal, [_heard[0]]).start()
    else:
        sys.__unraisablehook__(ignored)


def _insist(heard: int) -> None:
    """End the program in compiled code, which signals do not stop, and where a library catches every exit."""
    while (number := os.read(heard, 1)[0]) not in ENDS:
        pass
    time.sleep(GRACE)
    for say in _last_words:
        say(SystemExit(128 + number))
    os._exit(128 + number)
