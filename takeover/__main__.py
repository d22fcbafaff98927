"""What `make new-project`, `remove`, `rename` and `update` call: `python -m takeover <verb> [key=value ...]`."""

import inspect
import sys
from importlib import import_module

from deepmine.config import exits
from deepmine.config.errors import UserError, nearest

with exits.of_program():
    verb = import_module(f"takeover.{sys.argv[1].replace('-', '_')}").main  # its parameters are the keys
    given, keys = dict(word.partition("=")[::2] for word in sys.argv[2:]), inspect.signature(verb).parameters
    if unknown := given.keys() - keys:
        raise UserError(f"There is no `{min(unknown)}`. {nearest(min(unknown), keys)}")
    verb(**given)
