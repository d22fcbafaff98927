"""The command line's `key=value`, for any key, also one that no YAML mentions, as Hydra needs it."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.core.override_parser.types import Quote, QuotedString

from deepmine import ROOT
from deepmine.config.errors import UserError

GROUPS = sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir())
VERBATIM = ("path", "target", "name", "data.source.query")  # names of files and columns, and SQL, are not expressions
ALIASES = 20  # in a YAML file; with more, a few lines can hold billions of values


def refuse(arguments: Sequence[str]) -> None:
    """Raise `UserError` for what Hydra would misread or ignore."""
    keys = [argument.lstrip("+~").partition("=")[0] for argument in arguments]
    for argument, key in zip(arguments, keys, strict=True):
        if not 0 < len(key) < 200 or key.startswith("-") or not ("=" in argument or argument.startswith("~")):
            raise UserError(f"`{argument:.60}` is not a setting. Write key=value; `--cfg job` prints all keys.")
        if keys.count(key) > 1:
            raise UserError(f"`{key}` is set twice.")
        if argument.endswith("={}"):
            raise UserError(f"`{argument}` changes nothing, because mappings are merged. To remove it: {key}=null.")


def refuse_files(conf: Path) -> None:
    """Raise `UserError` for YAML files that would stop Hydra without their name, or hang it."""
    for path in conf.rglob("*.yaml"):
        text = path.read_bytes().decode(errors="surrogateescape")  # what cannot be decoded is not printable
        if yaml.reader.Reader.NON_PRINTABLE.search(text):
            raise UserError(f"{path} is not UTF-8 text.")
        if len(re.findall(r"[\s,\[{:-]\*\w", text)) > ALIASES:
            raise UserError(f"{path} has more than {ALIASES} YAML aliases (`*name`). Use ${{...}} instead.")


def translated(argument: str) -> str:
    """An argument as Hydra needs it; whether there is such a key, `check` says."""
    key, equals, value = argument.partition("=")
    if key in ("experiment", "~experiment"):
        key += "@_global_"  # an experiment holds keys of the whole config
    if key.partition("@")[0] in GROUPS and value == "null":
        return f"~{key}"
    if key in VERBATIM and value not in ("", "null") and value[0] not in "'\"":
        value = QuotedString(re.sub(r"(\\*)\$\{", r"\1\1\\${", value), Quote.single).with_quotes()
    plain = equals and key[0] not in "+~" and not key.startswith("hydra") and key.partition("@")[0] not in GROUPS
    return f"{'++' if plain else ''}{key}{equals}{value}"
