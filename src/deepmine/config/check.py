"""What a config may hold: every key, its type, and which data, task and model go together.

`check` refuses the rest before anything is imported or written. The parameters of a model are not listed here:
they are those of the class that its YAML names.
"""

from collections.abc import Mapping
from typing import Any, Literal, Required, get_args

import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from deepmine import ROOT
from deepmine.config import trust
from deepmine.config.errors import UserError, nearest
from deepmine.config.schema.data import Audit, Clean, Contract, Privacy, Split
from deepmine.config.schema.source import Download, FirstForm, Strict
from deepmine.config.signature import signature

Kind = Literal["image", "sequence", "text", "table", "baskets"]
Task = Literal["classification", "regression", "clustering", "decomposition", "rules", "anomalies"]
SUPERVISED = ("classification", "regression")
CLASSES: dict[str, dict[str, Any]] = {  # settings that name a class, and what it is given by the estimator
    "net": {"input_shape": (), "n_outputs": 1},
    "optimizer": {"params": ()},
}


class Data(Strict):
    """conf/data/<name>.yaml."""

    kind: Kind
    task: Task
    folder: str
    download: Download | None = None
    source: dict[str, Any]
    contract: Contract | None = None
    clean: Clean = Clean()
    privacy: Privacy = Privacy()
    split: Split
    audit: Audit = Audit()
    train_fraction: float = Field(gt=0, le=1)

    @field_validator("split")
    @classmethod
    def _groups_are_kept(cls, split: Split, others: ValidationInfo) -> Split:
        privacy = others.data.get("privacy")
        rule = privacy.columns.get(split.group) if privacy and split.group else None
        if rule in ("mask", "drop"):
            raise ValueError(
                f"`privacy.columns.{split.group}: {rule}` leaves no groups in that column. Take pseudonymise "
                "there, which keeps them apart; a column that rows are grouped by is no feature"
            )
        return split


class Paths(Strict):
    """Where raw data lie, where they are looked for before their own mirrors, and where stages write."""

    data: str
    mirrors: list[str]
    out: str


class Tracking(Strict):
    """conf/tracking/<name>.yaml."""

    uri: str | None
    model: bool


class Config(Strict):
    """The whole of it; `model`, `trainer`, `steps` and `preprocessing` are checked against the classes they name."""

    seed: int = Field(ge=0, lt=2**32)
    threads: int = Field(ge=1)
    task: Task
    cv: int | None = Field(ge=2)
    chain: bool
    run: str | None
    overwrite: bool
    port: int = Field(ge=1, lt=2**16)
    path: str | None
    target: str | None
    name: str | None
    read: FirstForm
    paths: Paths
    trusted: list[str]
    data: Data
    tracking: Tracking
    model: dict[str, Any]
    trainer: dict[str, Any]
    preprocessing: dict[str, Any]
    steps: dict[str, Any] = Field({})


def check(config: Mapping[str, Any], choices: Mapping[str, str], trains: bool = True) -> None:
    """Raise `UserError` for the first thing in a composed config that cannot be used.

    Args:
        config: resolved, as plain containers, without `steps` where model and data do not go together.
        choices: the file chosen in each group, for the message (`{"model": "tree", ...}`).
        trains: whether model and data must go together.
    """
    if trains:
        _suits(config, choices)
    _validate(Config, config, "", choices)
    _validate_call("pytorch_lightning.trainer.trainer.Trainer", config["trainer"], "trainer", choices)
    sections = {"data.source": config["data"]["source"], "steps": config.get("steps"), "model": config["model"]}
    for section, value in sections.items():
        for key, node in trust.check_config(value, section, config["trusted"]):
            arguments = {k: v for k, v in node.items() if not k.startswith("_")}
            given = {"folder": ROOT, **arguments} if key == "data.source" else arguments
            _validate_call(node["_target_"], given, key, choices)
            for name in [name for name in CLASSES if isinstance(node.get(name), str)]:
                trust.check_name(node[name], config["trusted"], f"{key}.{name}")
                given = CLASSES[name] | (node.get(f"{name}_params") or {})
                _validate_call(node[name], given, f"{key}.{name}_params", choices, named_by=f"{key}.{name}")


def models_for(task: str, kind: str) -> list[str]:
    """The names in conf/model that do this task on this kind of data."""
    takes = yaml.safe_load((ROOT / "conf/preprocessing/default.yaml").read_text())
    found = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "conf/model").glob("*.yaml"))}
    return [n for n, model in found.items() if task in model["_tasks_"] and kind in takes[model["_takes_"]]]


def _suits(config: Mapping[str, Any], choices: Mapping[str, str]) -> None:
    """Does the model do this task, on this kind of data?"""
    task, model, data = config.get("task"), config["model"], config["data"]
    for key in ("_target_", "_tasks_", "_takes_"):
        if key not in model:
            raise UserError(f"conf/model/{choices['model']}.yaml has no `{key}`. See `Add a model` in README.md.")
    able = (
        f"Models for {task} on data of kind {data.get('kind')}: "
        + (", ".join(models_for(str(task), str(data.get("kind")))) or "none yet")
        + "."
    )
    if task in get_args(Task) and task not in model["_tasks_"]:
        raise UserError(
            f"Model `{choices['model']}` does {' and '.join(model['_tasks_'])}, but the task of data "
            f"`{choices['data']}` is {task}. {able} Or choose another task: task={model['_tasks_'][0]}."
        )
    if config.get("cv") is not None and task not in SUPERVISED:
        raise UserError(f"cv={config['cv']} needs a target to score against, which {task} has not. Leave `cv` out.")
    if (task == "rules") != (data.get("kind") == "baskets"):
        wanted = "data of kind baskets" if task == "rules" else "task=rules"
        raise UserError(
            f"Task {task} does not go with data `{choices['data']}`, of kind {data.get('kind')}: wanted {wanted}."
        )
    if "steps" not in config and data.get("kind") in get_args(Kind):
        kinds = [k for k in get_args(Kind) if k in config["preprocessing"].get(model["_takes_"], {})]
        raise UserError(
            f"Model `{choices['model']}` takes data of kind {' or '.join(kinds)}, but `{choices['data']}` "
            f"is of kind {data['kind']}. {able}"
        )


def _validate_call(
    target: str, arguments: dict[str, Any], key: str, choices: Mapping[str, str], named_by: str | None = None
) -> None:
    """Does a class or function take these arguments, which stand under `key`?"""
    try:
        parameters = signature(target)
    except LookupError as error:
        raise UserError(f"`{named_by or key}` names {target}, but {error}.") from None
    if parameters is not None:
        fields = {k: Required[p.annotation] if p.required else p.annotation for k, p in parameters.items()}
        call: Any = TypedDict("call", fields, total=False)  # type: ignore[misc]
        call.__pydantic_config__ = Strict.model_config  # type: ignore[attr-defined]
        _validate(call, arguments, key, choices)


def _validate(schema: Any, values: Mapping[str, Any], prefix: str, choices: Mapping[str, str]) -> None:
    try:
        TypeAdapter(schema).validate_python(values)
    except ValidationError as invalid:
        error = invalid.errors()[0]
        place = [str(part) for part in error["loc"] if not str(part).startswith("(")]  # (a union's member) is no key
        key = ".".join([*filter(None, [prefix]), *place])
        raise UserError(f"{_describe(key, error, schema)} {_where(key, choices)}") from None


def _describe(key: str, error: Any, schema: Any) -> str:
    if error["type"] == "extra_forbidden":
        for part in error["loc"][:-1]:
            schema = _fields(schema).get(part, schema)  # else the key of a mapping, or the member of a union
        return f"There is no `{key}`. {nearest(str(error['loc'][-1]), _fields(schema))}"
    if error["type"] == "missing":
        return f"`{key}` is missing."
    wanted = (
        error["msg"]
        .removeprefix("Value error, ")
        .replace("Input", "it", 1)
        .replace("an instance of Sequence", "a list")
    )
    return f"`{key}` is {error['input']!r}: {wanted}."


def _fields(schema: Any) -> dict[str, Any]:
    """The fields of a model, or of the models in a type: those of `Contract` in `Contract | None`."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return {name: field.annotation for name, field in schema.model_fields.items()}
    own = schema.__annotations__ if isinstance(schema, type) and hasattr(schema, "__annotations__") else {}
    return {name: kind for member in get_args(schema) for name, kind in _fields(member).items()} | own


def _where(key: str, choices: Mapping[str, str]) -> str:
    group = key.split(".", maxsplit=1)[0]
    home = f"conf/{group}/{choices[group]}.yaml" if choices.get(group) else "conf/config.yaml"
    home = home.replace("conf/data/", "conf/data/contract/") if key.startswith("data.contract") else home
    home = f"conf/preprocessing/{choices.get('preprocessing')}.yaml" if group == "steps" else home
    experiment = ROOT / f"conf/experiment/{choices.get('experiment')}.yaml"
    sets = experiment.is_file() and group in (yaml.safe_load(experiment.read_text()) or {})
    also = f" or conf/experiment/{experiment.name}" if sets else ""
    return f"(It is set in {home}{also}, or on the command line.)"
