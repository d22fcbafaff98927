"""From a command line to a checked config: Hydra composes, `check` checks."""

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import md5
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict

from deepmine import ROOT
from deepmine.config import check, exits
from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.config import Pipeline

CONF = ROOT / "conf"
DECISIVE = ("seed", "threads", "task", "data", "steps", "model")  # what a run's numbers depend on; and `cv`, if set
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())
DECIDED = {*DECISIVE, "cv", *GROUPS} - {"tracking"}  # by `config`, all of it
VERBATIM = ("path", "target", "name", "config", "data.source.query")  # names and SQL are not expressions
ALIASES = 20  # in a YAML file; with more, a few lines can hold billions of values


def compose(*overrides: str, trains: bool = True) -> DictConfig:
    """The checked config for the overrides of a command line; `trains` as for `run`."""
    with exits.composing():
        refuse(overrides)
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return complete(*_compose(*overrides), trains)


def refuse(arguments: Sequence[str]) -> None:
    """Raise `UserError` for what Hydra would misread or ignore, on a command line and in conf/."""
    refuse_files(CONF)
    keys = [argument.lstrip("+~").partition("=")[0] for argument in arguments]
    for argument, key in zip(arguments, keys, strict=True):
        if not 0 < len(key) < 200 or key.startswith("-") or not ("=" in argument or argument.startswith("~")):
            raise UserError(f"`{argument:.60}` is not a setting. Write key=value; `--cfg job` prints all keys.")
        if keys.count(key) > 1:
            raise UserError(f"`{key}` is set twice.")
        if argument.endswith("={}"):
            raise UserError(f"`{argument}` changes nothing, because mappings are merged. To remove it: {key}=null.")
        if "config" in keys and re.split(r"[.@]", key)[0] in DECIDED:
            raise UserError(f"`config` holds all that decides a run, so `{key}` cannot be set beside it.")


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
        value = QuotedString(_literal(value), Quote.single).with_quotes()
    plain = equals and key[0] not in "+~" and not key.startswith("hydra") and key.partition("@")[0] not in GROUPS
    return f"{'++' if plain else ''}{key}{equals}{value}"


def decisive(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run's numbers, resolved, as plain containers."""
    values = plain(cfg) if isinstance(cfg, DictConfig) else cfg
    return {key: values[key] for key in DECISIVE} | ({"cv": values["cv"]} if values["cv"] else {})


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A composed config, resolved, as plain containers, with the data's contract in place of its name.

    A contract holds values of the data, which are never expressions: so Hydra and OmegaConf do not see it.
    """
    values: Any = OmegaConf.to_container(cfg, resolve=True)
    if (name := OmegaConf.select(cfg, "data.contract")) and not cfg.config:  # which holds the contract itself
        if not re.fullmatch(r"[\w-]+", str(name)):
            raise UserError(f"`data.contract` is {name!r}: it should be the name of a file in conf/data/contract.")
        path = (folder := CONF / "data/contract") / f"{name}.yaml"
        if not path.is_file():
            raise UserError(f"{folder} has no {name}.yaml. Create it: make contract data={name} data.contract=null")
        values["data"]["contract"] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values


def digest(value: Any) -> str:
    """MD5 of plain containers."""
    return md5(yaml.safe_dump(value).encode(), usedforsecurity=False).hexdigest()


class Dumper(yaml.SafeDumper):
    """Quotes texts with Unicode's line breaks, which PyYAML would write as they are; a text of lines is a block."""

    def choose_scalar_style(self) -> str:  # noqa: D102
        text, style = str(getattr(self.event, "value", "")), super().choose_scalar_style()
        if re.search("[\x85\u2028\u2029]", text):
            return '"'
        lines = "\n" in text and self.analysis and self.analysis.allow_block and not self.simple_key_context
        return "|" if lines else style


def dump(path: Path, value: Any, head: str = "") -> None:
    """Write plain containers as block-style YAML, below a comment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10**6)
    path.write_text(head + text, encoding="utf-8")


def pipeline() -> dict[str, Any]:
    """conf/pipeline.yaml: the data sets and experiments that `dvc repro` runs."""
    with exits.composing():
        return Pipeline.model_validate(yaml.safe_load((CONF / "pipeline.yaml").read_bytes())).model_dump()


def _compose(*overrides: str) -> tuple[DictConfig, Mapping[str, str]]:
    composed = hydra.compose("config", [*map(translated, overrides)], return_hydra_config=True)
    choices = composed.hydra.runtime.choices
    with open_dict(composed):
        del composed.hydra
    return composed, choices


def complete(composed: DictConfig, choices: Mapping[str, str], trains: bool = True, trial: Any = None) -> DictConfig:
    """Check a composed config; add what was chosen in each group, the folders of data set and run, and the `trial`."""
    cfg = composed.copy()
    chosen = _chosen(_taken(cfg) if cfg.config else {key.partition("@")[0]: choices[key] for key in choices})
    files, _ = _compose("~experiment", f"data={chosen['data']}", f"model={chosen['model']}")  # without other settings
    with open_dict(cfg):
        place = f"preprocessing.{OmegaConf.select(cfg, 'model._takes_')}.{OmegaConf.select(cfg, 'data.kind')}"
        if OmegaConf.select(cfg, place) is None and not cfg.config:
            del cfg.steps  # the model does not take such data, which `check` says better than an interpolation
        values = plain(cfg)
        check.check(values, chosen, trains)
        name, dataset = chosen["preprocessing"], f"{cfg.paths.out}/datasets/{chosen['data']}"
        if trains and name != "default" and values["steps"] == OmegaConf.to_container(files.steps, resolve=True):
            raise UserError(f"preprocessing={name} changes nothing for {values['data']['kind']} data.")
        if files.data != cfg.data:  # other settings than those of the file: a data set of its own
            dataset += f"-{digest(OmegaConf.to_container(cfg.data))[:8]}"
        cfg.choices, cfg.trial = chosen, trial
        cfg.folders = {"dataset": dataset, "run": cfg.run or (_run_folder(cfg) if trains else None)}
    return cfg


def _taken(cfg: DictConfig) -> Mapping[str, str]:
    """Give a config what decided another run, as its record keeps it in config.yaml; what that was composed of."""
    try:
        found = _literal(yaml.safe_load(Path(cfg.config).read_bytes()))
        with open_dict(cfg):
            cfg.update({key: found[key] for key in DECISIVE}, cv=found.get("cv"))
        return dict(found["choices"])
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{cfg.config} is not the config.yaml of a run record: {error}.") from None


def _literal(value: Any) -> Any:
    """A text in which nothing is an expression; so are all texts of plain containers."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def _chosen(choices: Mapping[str, str]) -> dict[str, str | None]:
    """The file chosen in each group; only the experiment may be left out."""
    chosen = {group: choices.get(group) for group in GROUPS}
    for group, name in chosen.items():
        valid = [path.stem for path in (CONF / group).glob("*.yaml")]
        if name not in valid and (name or group != "experiment"):
            raise UserError(f"`{group}={name or 'null'}` is not a file of conf/{group}. {nearest(str(name), valid)}")
    return chosen


def _run_folder(cfg: DictConfig) -> str:
    """out/runs/<experiment> for an experiment as it is in its file; else, and in a sweep, a new one in out/adhoc/."""
    name = cfg.choices.experiment
    listed = not cfg.trial and name in pipeline()["experiments"]
    if listed and decisive(_compose(f"experiment={name}")[0]) == decisive(cfg):
        return f"{cfg.paths.out}/runs/{name}"
    return f"{cfg.paths.out}/adhoc/{cfg.choices.data}-{cfg.choices.model}-{stamp()}"


def stamp() -> str:
    """A name for a run or a sweep: names sort as the times do."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
