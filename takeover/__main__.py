"""What `make new-project`, `remove`, `rename` and `update` call: `python -m takeover <verb> [key=value ...]`."""

import inspect
import sys
from importlib import import_module

from deepmine.config import exits
from deepmine.config.errors import UserError, nearest


def main(verb: str, *arguments: str) -> None:
    """Call the `main` of the verb's module, whose parameters are the keys."""
    call = import_module(f"takeover.{verb.replace('-', '_')}").main
    given, keys = dict(argument.partition("=")[::2] for argument in arguments), inspect.signature(call).parameters
    if unknown := given.keys() - keys:
        raise UserError(f"There is no `{min(unknown)}`. {nearest(min(unknown), keys)}")
    call(**given)


if __name__ == "__main__":
    with exits.of_program():
        main(*sys.argv[1:])
