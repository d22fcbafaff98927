"""What conf/data/<name>.yaml may hold about contract, cleaning, privacy, split and audit; `source.py` has the rest."""

import math
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deepmine.config.schema.source import Strict

Level = Literal["fail", "warn", "off"]
Share = Annotated[float, Field(gt=0, lt=1)]


class Column(Strict):
    """The rules for one column."""

    type: Literal["integer", "number", "date", "text"]  # of the values
    min: float | str | None = None  # dates are ISO texts
    max: float | str | None = None  # of dates the last day
    median: list[float] | None = Field(None, min_length=2, max_length=2)  # its limits: a change of unit moves it
    categories: list[str] | None = None  # all texts that there may be
    unique: bool = False  # whether no value may repeat
    missing: float = Field(0.0, ge=0, le=1)  # the largest share of missing values

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        unfit = {"text": ("min", "max", "median"), "date": ("categories", "median")}.get(self.type, ("categories",))
        if found := next((name for name in unfit if getattr(self, name) is not None), None):
            raise ValueError(f"a column of type {self.type} cannot have `{found}`")
        for limit in (self.min, self.max):
            if limit is not None and isinstance(limit, str) != (self.type == "date"):
                raise ValueError("limits of a date must be ISO texts such as 2026-01-31, those of a number numbers")
            if isinstance(limit, str):
                date.fromisoformat(limit)
        return self


class Contract(Strict):
    """conf/data/contract/<name>.yaml. What no single row is at fault for always stops: a column, a share, a median."""

    repeated_rows: float = Field(1.0, ge=0, le=1)  # the largest share of rows that equal an earlier one (row id aside)
    columns: dict[str, Column]  # all that there may be


class Limits(Strict):
    """Possible values; those outside are emptied."""

    min: float = -math.inf  # the smallest possible value
    max: float = math.inf  # the largest


class Missing(Strict):
    """`drop_rows`: drop the rows where one of these columns is missing."""

    drop_rows: list[str] = []  # the columns


class Clean(Strict):
    """Applied in this order. What is learned (filling, outliers, sparse columns) belongs to conf/preprocessing."""

    impossible: dict[str, Limits] = {}  # by column
    duplicates: Literal["keep", "drop"] = "keep"  # drop rows that equal an earlier one in every column but the row id
    missing: Missing = Missing()  # rows that cannot be used


class Privacy(Strict):
    """A rule for each column that could identify a person; `key` *names* the environment variable with the key."""

    columns: dict[str, Literal["keep", "drop", "pseudonymise"]] = {}  # the rule of each
    key: str | None = None  # needed by pseudonymise

    @model_validator(mode="after")
    def _has_key(self) -> Self:
        if self.key is None and "pseudonymise" in self.columns.values():
            raise ValueError("`pseudonymise` needs `key`, the name of the environment variable that holds the key")
        return self


class Audit(Strict):
    """The level of each check; a missing target always fails."""

    shared_groups: Level = "fail"  # a group in two parts
    time_order: Level = "fail"  # training rows later than test rows
    leaks: Level = "fail"  # a text, or the mere presence of a value, that gives the target away
    single_predictors: Level = "warn"  # a number that alone does nearly all: a leak, or an easy problem
    known_late: Level = "warn"  # a column that looks known only after the target
    duplicates: Level = "warn"  # validation or test rows with the same features as a training row


class Split(Strict):
    """How the rows are cut into train, validation and test. The columns that steer it are not features."""

    strategy: Literal["random", "stratified", "published", "time", "group"]  # the rule
    val: Share  # of all rows; with `published` of those that are not test rows
    test: Share | None = None  # of all rows; null with `published`
    seed: int  # of the split alone, so that runs with other seeds see the same rows
    group: str | None = None  # rows with equal values in this column stay in one part
    time: str | None = None  # the earliest rows train, by this column or, without it, in the order of the source
    part: str | None = None  # holds `train` or `test`, for a table with `published`

    @model_validator(mode="after")
    def _test_or_published(self) -> Self:
        if (self.test is None) != (self.strategy == "published"):
            raise ValueError("`test` is a share of the rows; only `published`, which has test rows, has `test: null`")
        if self.val + (self.test or 0) >= 1:
            raise ValueError("`val` and `test` leave no training rows")
        if self.strategy == "group" and self.group is None:
            raise ValueError("`strategy: group` needs `group`, the column whose equal values stay together")
        return self
