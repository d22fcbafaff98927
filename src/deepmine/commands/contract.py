"""Freeze a data set's contract in conf/data/contract/<name>.yaml, for a person to read and correct.

make contract data=titanic
"""

from datetime import date
from typing import Any

import yaml
from omegaconf import DictConfig

from deepmine.commands import prepare
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.config.schema.config import Data


def main(cfg: DictConfig) -> None:
    """Write the contract, and the line in conf/data/<name>.yaml that names it."""
    import hydra

    from deepmine.data.preparing import contract
    from deepmine.data.preparing.examples import describe

    name = cfg.choices.data
    path = compose.CONF / f"data/contract/{name}.yaml"
    if path.exists() and not cfg.overwrite:
        raise UserError(f"{path} exists. To infer it again: make contract data={name} overwrite=true")
    data = compose.plain(cfg)["data"]
    source = dict(data["source"])
    read = hydra.utils.get_method(source.pop("_target_"))
    frame = describe(read(folder=prepare.require_raw(cfg), **source), source.get("target"))
    protected = [column for column, rule in Data(**data).privacy.columns.items() if rule != "keep"]
    head = f"# The contract of {name}: inferred from its {len(frame):,} rows by `make contract` on {date.today()}.\n"
    compose.dump(path, by_line(contract.infer(frame, protected)), head)
    settings = compose.CONF / f"data/{name}.yaml"
    text = settings.read_text(encoding="utf-8")
    if "contract" not in yaml.safe_load(text):
        settings.write_text(text.replace("kind: ", f"contract: {name}\nkind: ", 1), encoding="utf-8")
    print(f"{path}: {len(frame.columns)} columns. Read and correct it: every preparation is checked against it.")


class _Line(dict):
    """A mapping that YAML writes in one line."""


compose.Dumper.add_representer(_Line, lambda to, line: to.represent_mapping("tag:yaml.org,2002:map", line, True))


def by_line(contract: dict[str, Any]) -> dict[str, Any]:
    """The same contract, with a line for each column, so that the file reads as a table."""
    return contract | {"columns": {name: _Line(column) for name, column in contract["columns"].items()}}
