"""The command line: `deepmine <verb> [key=value ...]`. Each file in `commands/` is a verb.

`make <verb>` and the stages of dvc.yaml call it. It imports a verb only when that verb is asked for.
"""

import ast
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

COMMANDS = Path(__file__).with_name("commands")
USAGE = """usage: deepmine <verb> [key=value ...]

{verbs}

The keys are those of conf/: `deepmine train --cfg job` prints them all, `make` lists what else there is to do.
"""


def verbs() -> dict[str, str]:
    """Each verb and the first line of its module's docstring."""
    files = sorted(path for path in COMMANDS.glob("*.py") if path.stem != "__init__")
    docs = {file.stem.replace("_", "-"): ast.get_docstring(ast.parse(file.read_text("utf-8"))) for file in files}
    return {verb: (doc or "").partition("\n")[0] for verb, doc in docs.items()}


def main() -> None:
    """Run the verb that the command line names; exit code 2 where there is none."""
    known, verb = verbs(), sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("-h", "--help"):
        print(USAGE.format(verbs="\n".join(f"  {name:<10} {line}" for name, line in known.items())), end="")
    elif verb not in known:
        close = get_close_matches(verb, known, n=1, cutoff=0.5)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        print(f"error: There is no verb `{verb}`.{hint} Valid: {', '.join(known)}.", file=sys.stderr)
        sys.exit(2)
    else:
        import_module(f"deepmine.commands.{verb.replace('-', '_')}").run()
