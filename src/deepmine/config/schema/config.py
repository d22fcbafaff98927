"""What conf/config.yaml and the files of its groups may hold, besides the parameters of the classes that they name."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepmine.config.schema.data import Audit, Clean, Contract, Privacy, Split
from deepmine.config.schema.source import Download, FirstForm, Strict

TASKS = sorted(path.stem for path in (Path(__file__).parents[2] / "tasks").glob("[!_]*.py"))
SUPERVISED = ("classification", "regression")
Kind = Literal["image", "sequence", "text", "table", "baskets"]
Text = Annotated[str, Field(min_length=1)]


Task = Literal[*TASKS]  # type: ignore[valid-type]


class Data(Strict):
    """conf/data/<name>.yaml."""

    kind: Kind  # what an example is
    task: Task  # a file of src/deepmine/tasks
    folder: Text  # below `paths.data`, where the raw files are
    download: Download | None = None
    source: dict[str, Any]  # `_target_`, a reader, and its parameters
    contract: Contract | None = None  # in YAML its name in conf/data/contract
    on_violation: Literal["stop", "reject"] = "stop"
    clean: Clean = Clean()
    privacy: Privacy = Privacy()
    split: Split
    audit: Audit = Audit()
    train_fraction: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _roles(self) -> Self:
        roles = {role: self.source[role] for role in ("target", "row_id") if role in self.source}
        if self.task in SUPERVISED and roles.get("target", True) is None:
            raise ValueError(f"{self.task} needs `source.target`, the column to predict")
        if len(roles) == 2 and roles["target"] == roles["row_id"] is not None:
            raise ValueError(f"{roles['target']} is the row id (`source.row_id`), so it cannot be the target")
        if self.split.group and self.privacy.columns.get(self.split.group) == "drop":
            must = "Use pseudonymise, which keeps them apart; the column that rows are grouped by is never a feature"
            raise ValueError(f"`privacy.columns.{self.split.group}: drop` leaves no groups in that column. {must}")
        about = self.clean != Clean() or {*self.privacy.columns} - {roles.get("row_id")}
        if self.kind != "table" and (about or self.split.group or self.split.time or self.split.part):
            rules = "`clean`, `privacy` and `split.group`, `time` and `part` are rules about columns"
            raise ValueError(f"{rules}, but data of kind {self.kind} have no columns. Change the raw files instead")
        return self


class Model(BaseModel):
    """conf/model/<name>.yaml; the other keys are parameters of the class."""

    model_config = ConfigDict(extra="allow", strict=True)

    target: str = Field(alias="_target_")  # the class
    tasks: list[Task] = Field(alias="_tasks_", min_length=1)  # what it does
    takes: str = Field(alias="_takes_")  # a key of conf/preprocessing: matrix, unscaled, sparse, tensor, ...


class Paths(Strict):
    """The raw data; mirrors that are tried before the data's own; the folder that verbs write to."""

    data: Text
    mirrors: list[str]
    out: Text


class Tracking(Strict):
    """conf/tracking/<name>.yaml."""

    uri: Text | None  # of MLflow; null: nowhere
    model: bool  # send the fitted model too


class Config(Strict):
    """All of it."""

    seed: int = Field(ge=0, lt=2**32)
    threads: int = Field(ge=1)
    task: Task
    cv: int | None = Field(ge=2)
    chain: bool
    run: Text | None
    resume: bool
    config: Text | None
    a: Text | None
    b: Text | None
    tolerance: float | None = Field(ge=0)
    env: Literal["here", "exact"]
    yes: bool
    input: Text | None
    output: Text | None
    overwrite: bool
    port: int = Field(ge=1, lt=2**16)
    mend: bool
    path: str | None
    target: str | None
    name: str | None
    read: FirstForm
    paths: Paths
    trusted: list[str]
    data: Data
    tracking: Tracking
    model: Model
    trainer: dict[str, Any]
    preprocessing: dict[str, Any]
    steps: dict[str, Any] = Field({})


class Listed(Strict):
    """An experiment of the pipeline, and the data set that its file chooses."""

    data: str  # as in the file of the experiment


class Pipeline(Strict):
    """conf/pipeline.yaml."""

    model_config = ConfigDict(title="conf/pipeline.yaml")

    datasets: list[str]  # that `make repro` prepares
    experiments: dict[str, Listed]  # that it trains, by their files in conf/experiment
