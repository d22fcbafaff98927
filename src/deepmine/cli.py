"""The command line: `deepmine <verb> [key=value ...]`. Each file in `commands/` is a verb.

`make <verb>` and the stages of dvc.yaml call it. It imports a verb only when that verb is asked for.
"""

import ast
import sys
from importlib import import_module
from pathlib import Path

from deepmine.config import signals
from deepmine.config.errors import nearest

COMMANDS = Path(__file__).with_name("commands")
TRAINING = {"train", "evaluate", "sweep"}  # verbs for which data and model must go together
HELP = {"-h", "--help"}
USAGE = """usage: deepmine <verb> [key=value ...]

{verbs}

More about a verb: `deepmine <verb> --help`. All keys: `deepmine train --cfg job`. What else there is: `make`.
"""


def verbs(folder: Path = COMMANDS) -> dict[str, str]:
    """Each verb and the docstring of its module."""
    files = sorted(path for path in folder.glob("*.py") if path.stem[0] != "_")
    return {file.stem.replace("_", "-"): ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "" for file in files}


def main() -> None:
    """Run the verb that the command line names; exit code 2 where there is none."""
    signals.watch()
    known, verb = verbs(), sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in HELP:
        lines = [f"  {name:<10} {text.partition(chr(10))[0]}" for name, text in known.items()]
        print(USAGE.format(verbs="\n".join(lines)), end="")
    elif verb not in known:
        print(f"error: There is no verb `{verb}`. {nearest(verb, known)}", file=sys.stderr)
        sys.exit(2)
    elif HELP & set(sys.argv[2:]):
        print(f"{known[verb]}\n\nAll keys and their values: deepmine {verb} --cfg job")
    else:
        from deepmine.config import running

        command = import_module(f"deepmine.commands.{verb.replace('-', '_')}")
        running.run(command.main, verb in TRAINING, getattr(command, "conclude", None))
