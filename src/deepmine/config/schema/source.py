"""What `source` and `download` in conf/data/<name>.yaml may hold. Light, as `schema_data.py`."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Strict(BaseModel):
    """No key more, none less, and no guessing of types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Form(Strict):
    """How a file is read; what is not set is found out.

    `table`: one of those of an SQLite file. The others are DuckDB's for CSV
    (https://duckdb.org/docs/current/data/csv/overview), but `thousands`, the sign between groups of digits.
    """

    table: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quotechar: str | None = None
    escapechar: str | None = None
    decimal: Literal[".", ","] | None = None
    thousands: str | None = Field(None, min_length=1, max_length=1)
    comment: str | None = None
    header: bool | None = None
    names: list[str] | None = None
    skiprows: int | None = Field(None, ge=0)
    date_format: str | None = None
    timestamp_format: str | None = None
    dtype: dict[str, str] | None = None


class FirstForm(Form):
    """What a person says to `new-data` of a file that it cannot find out; `null_values`: texts that mean missing."""

    null_values: list[str] = []


class File(Form):
    """A table of a source; `passengers.csv` is short for `{path: passengers.csv}`.

    `path`: a file, or a pattern (`part-*.csv`) for files with the same columns. `url`: the environment variable that
    holds the URL of a PostgreSQL database, which has the `table`.
    """

    path: str | None = None
    url: str | None = Field(None, pattern=r"^\w+$")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("wanted either `path`, or `url` and `table`")
        if self.url is not None and self.table is None:
            raise ValueError("a database, `url`, wants `table` too")
        return self


Rule = Literal["first", "max", "mean", "drop"]


class Join(Strict):
    """A table to join: each row of those before it gets the one row with its key.

    `using`: the key, as in SQL, or a list of columns, or `{there: here}` where the names differ, `there` in the tables
    before. `conflict`: which value counts where a key has several, for all columns or `{column: rule}`, in which `*`
    is all others; `drop` leaves the value empty.
    """

    table: str
    using: dict[str, str] = {}
    conflict: dict[str, Rule] = {}

    @field_validator("using", mode="before")
    @classmethod
    def _names(cls, given: Any) -> Any:
        names = [given] if isinstance(given, str) else given
        return {name: name for name in names} if isinstance(names, list) else given

    @field_validator("conflict", mode="before")
    @classmethod
    def _all(cls, given: Any) -> Any:
        return {"*": given} if isinstance(given, str) else given


class Download(Strict):
    """Raw files that are fetched where they are not there; see `deepmine.data.readers.download.fetch`."""

    mirrors: list[str]
    files: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{32}$")]] = Field(min_length=1)
