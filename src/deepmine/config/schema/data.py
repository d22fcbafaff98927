"""What conf/data/<name>.yaml may hold: `contract`, `clean`, `privacy`, `split`, `audit`; the rest: `schema_source.py`.

Light on purpose: it is loaded by every stage before anything heavy is.
"""

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from deepmine.config.schema.source import Strict

Level = Literal["fail", "warn", "off"]


class Column(Strict):
    """What one column promised. Dates are ISO texts, and the last day belongs to it.

    `median`: the two numbers between which the middle value lies, which another unit gives away. `missing`: the largest
    share of rows without a value.
    """

    type: Literal["integer", "number", "date", "text"]
    min: float | str | None = None
    max: float | str | None = None
    median: list[float] | None = Field(default=None, min_length=2, max_length=2)
    categories: list[str] | None = None
    pattern: str | None = None  # regular expression for the whole text
    unique: bool = False
    infinite: bool = False  # numbers may be, and limits are those of the others
    missing: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _of_its_type(self) -> Self:
        texts, limits = {"categories", "pattern"}, {"min", "max"}
        unfit = {"text": limits | {"median"}, "date": texts | {"median"}}.get(self.type, texts)
        if found := sorted(name for name in unfit if getattr(self, name) is not None):
            raise ValueError(f"a column of type {self.type} has no `{found[0]}`")
        for limit in filter(lambda value: value is not None, (self.min, self.max)):
            if isinstance(limit, str) != (self.type == "date"):
                raise ValueError("`min` and `max` of a date are ISO texts (2026-01-31), those of numbers are numbers")
            if isinstance(limit, str):
                datetime.fromisoformat(limit)
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"`pattern` is no regular expression: {error}") from None
        return self


class Contract(Strict):
    """conf/data/contract/<name>.yaml: what the data promised when it was frozen.

    `rows`: the least number of rows. `repeated_rows`: the largest share of rows that equal an earlier one (the row id
    aside). With `on_violation: reject` rows that break it go to rejects.csv; what no row alone is to blame for always
    stops: a column that is not there, is new, or of another type, a share, a median.
    """

    on_violation: Literal["stop", "reject"] = "stop"
    rows: int = Field(1, ge=1)
    repeated_rows: float = Field(1.0, ge=0, le=1)
    columns: dict[str, Column]


class Spelling(Strict):
    """Texts that mean the same, made the same: blanks at the ends, capitals, then `map`, old to new."""

    strip: bool = True
    lower: bool = False
    map: dict[str, str | None] = {}


class Limits(Strict):
    """Values that cannot be: outside they are emptied, clipped, or their rows dropped."""

    min: float | None = None
    max: float | None = None
    action: Literal["empty", "clip", "drop"] = "empty"


class Missing(Strict):
    """What is dropped for lack of values. What is filled is learned, so it lives in conf/preprocessing."""

    drop_rows: list[str] = []  # rows without a value in one of these columns
    drop_columns: float | None = Field(
        default=None, ge=0, le=1
    )  # columns that lack a larger share of the training rows


class Outliers(Strict):
    """Values far from the others, by what the training rows hold.

    `threshold`: for `iqr` times the interquartile range beyond the quartiles (usual: 1.5), for `robust_z` standard
    deviations estimated from the median absolute deviation (3.5), for `isolation_forest` the share of rows (0.01).
    `drop` drops training rows only: nobody can choose the rows that come later.
    """

    method: Literal["iqr", "robust_z", "isolation_forest"]
    action: Literal["drop", "clip", "flag"]
    threshold: float = Field(gt=0)
    columns: list[str] | None = None  # null: every column of numbers
    seed: int = 0

    @model_validator(mode="after")
    def _whole_rows(self) -> Self:
        if self.method == "isolation_forest" and self.action == "clip":
            raise ValueError("an isolation forest judges whole rows, which cannot be clipped; take `drop` or `flag`")
        return self


class Clean(Strict):
    """Applied in this order; `missing.drop_columns` and `outliers` after the split, by the training rows."""

    spelling: dict[str, Spelling] = {}
    impossible: dict[str, Limits] = {}
    duplicates: Literal["keep", "drop"] = "keep"  # of rows equal in every column but the row id the first stays
    missing: Missing = Missing()
    outliers: Outliers | None = None


class Generalise(Strict):
    """A value made coarser, by one of these."""

    width: float | None = Field(default=None, gt=0)  # numbers: to the lower end of their interval
    date: Literal["decade", "year", "month"] | None = None
    characters: int | None = Field(default=None, ge=1)  # of a place or a code: so many from the left, the others as *
    map: dict[str, str] | None = None  # old to new; what is not named becomes `other`

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in self.__dict__.values()) != 1:
            raise ValueError("wanted exactly one of `width`, `date`, `characters`, `map`")
        return self


class Anonymity(Strict):
    """No combination of these columns' values in fewer than `k` rows; `suppress` drops rows that are fewer."""

    columns: list[str] = Field(min_length=1)
    k: int = Field(ge=2)
    on_fewer: Literal["suppress", "fail"] = "fail"


Word = Literal["keep", "drop", "mask", "pseudonymise"]
Protection = Annotated[  # by what is given, so that a mistake is judged by the one that was meant
    Annotated[Word, Tag("(word)")] | Annotated[Generalise, Tag("(generalise)")],
    Discriminator(lambda given: "(word)" if isinstance(given, str) else "(generalise)"),
]


class Privacy(Strict):
    """What is done to each column that could point to a person; others are kept.

    `key` is the *name* of the environment variable that holds the key of the pseudonyms.
    """

    columns: dict[str, Protection] = {}
    key: str | None = None
    k_anonymity: Anonymity | None = None

    @model_validator(mode="after")
    def _key(self) -> Self:
        if self.key is None and "pseudonymise" in self.columns.values():
            raise ValueError("`pseudonymise` wants `key`, the name of the environment variable that holds the key")
        return self


class Audit(Strict):
    """What is looked for before anything is trained, and whether finding it stops; a missing target always does."""

    shared_groups: Level = "fail"
    time_order: Level = "fail"
    leaks: Level = "fail"
    single_predictors: Level = "warn"
    duplicates: Level = "warn"
    constant_columns: Level = "warn"
    identical_columns: Level = "warn"


Share = Annotated[float, Field(gt=0, lt=1)]


class Split(Strict):
    """How the rows are cut into train, validation and test.

    `val` and `test` are shares of all rows; of a `published` split the test rows are given (in a table by the words
    `train` and `test` in the column `part`), and `val` is a share of the others. `time` puts the earliest rows first,
    by the column `time` or else in the order of the source. `group` keeps the rows with the same value of the column
    `group` in one part. None of these columns is a feature.
    """

    strategy: Literal["random", "stratified", "published", "time", "group"]
    val: Share
    test: Share | None = None
    seed: int
    group: str | None = None
    time: str | None = None
    part: str | None = None

    @model_validator(mode="after")
    def _test_or_published(self) -> Self:
        if (self.test is None) != (self.strategy == "published"):
            raise ValueError(
                "`test` is a share of the rows; only `published`, whose source names them, has `test: null`"
            )
        if self.val + (self.test or 0) >= 1:
            raise ValueError("`val` and `test` leave no training rows")
        if self.strategy == "group" and self.group is None:
            raise ValueError("`strategy: group` wants `group`, the column whose equal values stay together")
        return self
