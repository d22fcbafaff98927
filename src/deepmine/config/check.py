"""Does a composed config fit: its keys and types, the parameters of the classes it names, and data, task and model?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from deepmine import ROOT
from deepmine.config import trust
from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.config import SUPERVISED, Config
from deepmine.config.signature import signature

# Settings that name a class, and the arguments that the estimator gives it.
CLASSES: dict[str, dict[str, Any]] = {"net": {"input_shape": (), "n_outputs": 1}, "optimizer": {"params": ()}}
Choices = Mapping[str, str | None]  # the file chosen in each group, {"model": "tree", ...}


def check(config: Mapping[str, Any], choices: Choices, trains: bool = True) -> None:
    """Raise `UserError` for the first mistake; a config has no `steps` where the model does not take such data."""
    _validate(Config, config, "", choices)
    if trains:
        _suits(config, choices)
    _validate_call("pytorch_lightning.trainer.trainer.Trainer", config["trainer"], "trainer", choices)
    for key, node in named(config, config["trusted"]):
        arguments = {k: v for k, v in node.items() if not k.startswith("_")}
        given = {"folder": ROOT, **arguments} if key == "data.source" else arguments
        _validate_call(node["_target_"], given, key, choices)
        for name in [name for name in CLASSES if isinstance(node.get(name), str)]:
            given = CLASSES[name] | (node.get(f"{name}_params") or {})
            _validate_call(node[name], given, f"{key}.{name}_params", choices, named_by=f"{key}.{name}")


def named(config: Mapping[str, Any], trusted: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each mapping that names a class or reader, and its place, once the names in it are found to be trusted."""
    trees = {"data.source": config["data"]["source"], "steps": config.get("steps"), "model": config["model"]}
    for section, tree in trees.items():
        for key, node in trust.check_config(tree, section, trusted):
            for name in [name for name in CLASSES if isinstance(node.get(name), str)]:
                trust.check_name(node[name], trusted, f"{key}.{name}")
            yield key, node


def _suits(config: Mapping[str, Any], choices: Choices) -> None:
    task, model, kind = config["task"], config["model"], config["data"]["kind"]

    def able() -> str:
        takes = yaml.safe_load((ROOT / "conf/preprocessing/default.yaml").read_bytes())
        models = {path.stem: yaml.safe_load(path.read_bytes()) for path in sorted((ROOT / "conf/model").glob("*.yaml"))}
        found = [name for name, m in models.items() if task in m["_tasks_"] and kind in takes[m["_takes_"]]]
        return f"Models for {task} on data of kind {kind}: {', '.join(found) or 'none yet'}."

    if task not in model["_tasks_"]:
        does = f"Model `{choices['model']}` does {' and '.join(model['_tasks_'])}"
        but = f"but the task of data `{choices['data']}` is {task}"
        raise UserError(f"{does}, {but}. {able()} Or choose another task: task={model['_tasks_'][0]}.")
    if config["cv"] is not None and task not in SUPERVISED:
        raise UserError(f"cv={config['cv']} needs a target to score against, which {task} does not have. Remove `cv`.")
    if (task == "rules") != (kind == "baskets"):
        must = "use data of kind baskets" if task == "rules" else "use task=rules"
        raise UserError(f"Task {task} does not go with data `{choices['data']}`, of kind {kind}: {must}.")
    if "steps" not in config:
        does = f"`{choices['model']}` with preprocessing={choices['preprocessing']} does not take data of kind {kind}"
        raise UserError(f"Model {does}, such as `{choices['data']}`. {able()}")


def _validate_call(target: str, given: dict[str, Any], key: str, choices: Choices, named_by: str = "") -> None:
    try:
        parameters = signature(target)
    except (LookupError, ImportError) as error:
        raise UserError(f"`{named_by or key}` names {target}, but {error}.") from None
    if parameters is None:
        return
    for name in [*given, *(name for name, (_, required) in parameters.items() if required)]:
        if name not in parameters:
            raise UserError(f"There is no `{key}.{name}`. {nearest(name, parameters)} {_where(key, choices)}")
        if name not in given:
            raise UserError(f"`{key}.{name}` is missing. {_where(key, choices)}")
        _validate(parameters[name][0], given[name], f"{key}.{name}", choices)


def _validate(schema: Any, value: Any, place: str, choices: Choices) -> None:
    try:
        TypeAdapter(schema).validate_python(value, strict=True)
    except ValidationError as invalid:
        error = invalid.errors()[0]
        parts = map(str, (place, *error["loc"]))
        key = ".".join(part for part in parts if part and not part.startswith("("))  # (a union's member) is not a key
        raise UserError(f"{_describe(key, error, schema)} {_where(key, choices)}") from None


def _describe(key: str, error: Any, schema: Any) -> str:
    if error["type"] == "extra_forbidden":
        for part in error["loc"][:-1]:
            schema = _fields(schema).get(part, schema)  # else the key of a mapping, or the member of a union
        return f"There is no `{key}`. {nearest(str(error['loc'][-1]), _fields(schema))}"
    if error["type"] == "missing":
        return f"`{key}` is missing."
    must = error["msg"].removeprefix("Value error, ").replace("an instance of Sequence", "a list").rstrip(".")
    found = f"`{key}`" if isinstance(error["input"], dict) else f"`{key}` is {error['input']!r:.60}"
    return f"{found}: {re.sub(r'^[A-Z][a-z]+ should', 'it should', must)}."


def _fields(schema: Any) -> dict[str, Any]:
    """The fields of a model, or of the models in a type: those of `Contract` in `Contract | None`."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return {name: field.annotation for name, field in schema.model_fields.items()}
    return {name: kind for member in get_args(schema) for name, kind in _fields(member).items()}


def _where(key: str, choices: Choices) -> str:
    group = key.partition(".")[0].replace("steps", "preprocessing")
    folder = "data/contract" if key.startswith("data.contract") else group
    file = f"conf/{folder}/{choices[group]}.yaml" if choices.get(group) else "conf/config.yaml"
    experiment = f", conf/experiment/{choices['experiment']}.yaml" if choices["experiment"] else ""
    return f"(It is set in {file}{experiment} or on the command line.)"
