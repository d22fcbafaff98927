"""What `source.files` and `download` in conf/data/<name>.yaml may hold."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """No unknown keys, and no conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Form(Strict):
    """How a file is written: `encoding`, and options of https://duckdb.org/docs/current/data/csv/overview."""

    table: str | None = None  # of a database; or a query in its own SQL
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
    """What a person tells `new-data` about a file; `baskets`: each line is one."""

    null_values: list[str] = []
    baskets: bool = False
    basket: str | None = None
    item: str | None = None
    one_hot: bool = False


class File(Form):
    """A table of a source; `passengers.csv` is short for `{path: passengers.csv}`."""

    path: str | None = None  # or a pattern (`part-*.csv`) for files with the same columns
    url: str | None = Field(None, pattern=r"^\w+$")  # the environment variable that holds a database's SQLAlchemy URL

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.url is None) or (self.url is not None and self.table is None):
            raise ValueError("it must have either `path`, or `url` and `table`")
        return self


class Download(Strict):
    """Raw files that are downloaded if missing; see `deepmine.data.readers.download.fetch`."""

    mirrors: list[str]
    files: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{32}$")]] = Field(min_length=1)
