"""What `source.files` and `download` in conf/data/<name>.yaml may hold."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """No unknown keys, and no conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Form(Strict):
    """How a file is written: `encoding`, and options of https://duckdb.org/docs/current/data/csv/overview."""

    table: str | None = None  # of a database; or a query in its own SQL
    encoding: str | None = None  # null: UTF-8
    delimiter: str | None = None  # between cells
    quotechar: str | None = None  # around a cell
    escapechar: str | None = None  # before a quote inside a cell
    decimal: Literal[".", ","] | None = None  # of numbers
    thousands: str | None = Field(None, min_length=1, max_length=1)  # one character
    comment: str | None = None  # begins a line that is no row
    header: bool | None = None  # whether the first line names the columns
    names: list[str] | None = None  # of the columns, where it does not
    skiprows: int | None = Field(None, ge=0)  # lines before the table
    date_format: str | None = None  # such as %d.%m.%Y
    timestamp_format: str | None = None  # such as %d.%m.%Y %H:%M
    dtype: dict[str, str] | None = None  # the DuckDB type of a column


class FirstForm(Form):
    """What a person tells `new-data` about a file; `baskets`: each line is one."""

    null_values: list[str] = []  # texts that mean missing
    baskets: bool = False  # each line is a basket
    basket: str | None = None  # the column that names the basket
    item: str | None = None  # the column that names an item
    one_hot: bool = False  # each column is an item, 1 or a word where the basket has it


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

    mirrors: list[str]  # URLs or folders, tried in this order
    files: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{32}$")]] = Field(min_length=1)  # name: MD5 of the content
