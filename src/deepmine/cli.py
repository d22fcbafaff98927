"""The command line: `deepmine <verb> [key=value ...]`. Each file in `commands/` is a verb.

`make <verb>` and the stages of dvc.yaml call it. It imports a verb only when that verb is asked for.
"""

import ast
import os
import signal
import sys
import time
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from threading import Thread, Timer
from typing import Any

from deepmine.config.errors import ended_by

COMMANDS = Path(__file__).with_name("commands")
TRAINING = {"train", "evaluate", "sweep"}  # verbs for which data and model must go together
HELP = {"-h", "--help"}
GRACE = 4  # seconds that a verb has to end after a signal
USAGE = """usage: deepmine <verb> [key=value ...]

{verbs}

More about a verb: `deepmine <verb> --help`. All keys: `deepmine train --cfg job`. What else there is: `make`.
"""


def verbs(folder: Path = COMMANDS) -> dict[str, str]:
    """Each verb and the docstring of its module."""
    files = sorted(path for path in folder.glob("*.py") if path.stem[0] != "_")
    return {file.stem.replace("_", "-"): ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "" for file in files}


def main() -> None:
    """Run the verb that the command line names, and end as a program should."""
    try:
        end_by_signals()
        run()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def run() -> None:
    """Run the verb that the command line names; exit code 2 where there is none."""
    known, verb = verbs(), sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in HELP:
        lines = [f"  {name:<10} {text.partition(chr(10))[0]}" for name, text in known.items()]
        print(USAGE.format(verbs="\n".join(lines)), end="")
    elif verb not in known:
        close = get_close_matches(verb, known, n=1, cutoff=0.5)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        print(f"error: There is no verb `{verb}`.{hint} Valid: {', '.join(known)}.", file=sys.stderr)
        sys.exit(2)
    elif HELP & set(sys.argv[2:]):
        print(f"{known[verb]}\n\nAll keys and their values: deepmine {verb} --cfg job")
    else:
        from deepmine.config import compose

        command = import_module(f"deepmine.commands.{verb.replace('-', '_')}")
        compose.run(command.main, verb in TRAINING, getattr(command, "conclude", None))


def end_by_signals() -> None:
    """Let SIGTERM and SIGHUP end the program as `sys.exit` does, and every signal within `GRACE` seconds."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    sys.unraisablehook = _again
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # what ends a worker does not end us
    Thread(target=_insist, args=(heard,), daemon=True).start()


def _again(ignored: Any) -> None:
    """An end that came where Python ignores what is raised, as in the callback of a weak reference, comes once more."""
    if number := ended_by(ignored.exc_value):
        Timer(0.1, signal.raise_signal, [number]).start()
    else:
        sys.__unraisablehook__(ignored)


def _insist(heard: int) -> None:
    """Python sees a signal only between two steps of its own: not in compiled code, nor where an exit is caught."""
    while (number := os.read(heard, 1)[0]) not in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        pass
    time.sleep(GRACE)
    os._exit(128 + number)
