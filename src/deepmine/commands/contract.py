"""Freeze what a data set promises: conf/data/contract/<name>.yaml, for a person to read and correct.

make contract data=titanic
"""

from datetime import date
from pathlib import Path
from typing import Any

import hydra
import yaml
from omegaconf import DictConfig, OmegaConf

from deepmine.commands import prepare
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.config.schema.config import Data
from deepmine.data.preparing.contract import infer
from deepmine.data.preparing.examples import describe


def main(cfg: DictConfig) -> None:
    """Write the contract, and the line in conf/data/<name>.yaml that brings it in."""
    name = cfg.choices.data
    file = f"data/contract/{name}.yaml"
    if (compose.CONF / file).exists() and not cfg.overwrite:
        raise UserError(
            f"There is a contract already, conf/{file}. To infer it anew: make contract data={name} overwrite=true"
        )
    settings: Any = OmegaConf.to_container(cfg.data, resolve=True)
    source, rules = settings["source"], Data(**settings).privacy.columns
    raw_folder = prepare.require_raw(cfg)
    raw = hydra.utils.get_method(source.pop("_target_"))(folder=raw_folder, **source)
    frame = describe(raw, source.get("target"))
    head = f"# What {name} promised on {date.today()}, inferred from its {len(frame):,} rows (deepmine.contract).\n"
    write(compose.CONF / file, head, infer(frame, [column for column, rule in rules.items() if rule != "keep"]))
    bring_in(compose.CONF / f"data/{name}.yaml", name)
    print(f"conf/{file}: {len(frame.columns)} columns. Read it and correct it: every preparation is held to it.")


def write(path: Path, head: str, contract: dict[str, Any]) -> None:
    """A contract as YAML, one line for each column, so that it reads as a table."""
    columns = [_line(name, column) for name, column in contract["columns"].items()]
    rest = yaml.safe_dump({k: v for k, v in contract.items() if k != "columns"}, sort_keys=False)
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([head + rest + "columns:", *columns]) + "\n", encoding="utf-8")


def bring_in(path: Path, name: str) -> None:
    """Have `contract: <name>` in the defaults list of conf/data/<name>.yaml; all else, comments too, stays.

    Raises:
        UserError: its defaults list is not one item a line.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    defaults = yaml.safe_load("".join(lines)).get("defaults")
    if {"contract": name} in (defaults or []):
        return
    if defaults is None:
        at = next(number for number, line in enumerate(lines) if line.strip() and not line.startswith("#"))
        lines[at:at] = ["defaults:\n", f"  - contract: {name}\n", "  - _self_\n"]
    elif "defaults:\n" in lines:
        lines.insert(lines.index("defaults:\n") + 1, f"  - contract: {name}\n")
    else:
        raise UserError(f"Add `contract: {name}` to the defaults list of {path} yourself, before `_self_`.")
    path.write_text("".join(lines), encoding="utf-8")


def _line(name: str, column: dict[str, Any]) -> str:
    text = yaml.safe_dump({name: column}, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return f"  {text.strip()[1:-1]}"


def run() -> None:
    """Run this verb with the overrides of the command line."""
    compose.run(main, trains=False)
