"""Tables: one or many CSV or Parquet files, made one by an SQL query that DuckDB runs."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from deepmine.data import Raw, raw_file
from deepmine.errors import UserError, nearest


def read(
    folder: Path,
    files: dict[str, str],
    query: str,
    row_id: str,
    target: str | None = None,
    null_values: Sequence[str] = ("",),
) -> Raw:
    """The rows of `query`, ordered by `row_id`; numbers as float64, the rest as text.

    Args:
        folder: where the files lie.
        files: the name of each table in the query, and its file (.csv, .csv.gz, .tsv or .parquet).
        query: SQL, in DuckDB's dialect: https://duckdb.org/docs/sql/introduction
        row_id: the column that names a row; unique.
        target: the column to predict; its rows must have it.
        null_values: texts that mean "missing".

    Raises:
        UserError: a file cannot be read, the query fails, a column is missing, ids or targets are not as promised.
    """
    frame = _query(folder, files, query, list(null_values))
    for column in filter(None, (row_id, target)):
        if column not in frame:
            raise UserError(f"The query gives no column `{column}`. {nearest(column, frame.columns)}")
    _check(frame, row_id, target)
    frame = frame.sort_values(row_id, kind="stable", ignore_index=True)
    rows = frame.pop(row_id).astype(str).to_numpy(np.str_)
    y = None if target is None else _plain(frame.pop(target))
    return Raw(frame.apply(_typed), y, rows)


def _query(folder: Path, files: dict[str, str], query: str, null_values: list[str]) -> pd.DataFrame:
    with duckdb.connect() as db:
        for table, file in files.items():
            path = str(raw_file(folder, file))
            try:
                scan = db.read_parquet(path) if path.endswith(".parquet") else db.read_csv(path, na_values=null_values)
                scan.create(table)
            except duckdb.Error as error:
                raise UserError(f"{path} cannot be read as a table: {_first_line(error)}") from None
        try:
            return db.sql(query).df()
        except duckdb.Error as error:
            have = "; ".join(f"{table} has {', '.join(db.table(table).columns)}" for table in files)
            raise UserError(f"The query in {folder} fails: {_first_line(error)}. Table {have}.") from None


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]


def _check(frame: pd.DataFrame, row_id: str, target: str | None) -> None:
    if frame.empty:
        raise UserError("The query gives no rows.")
    twice = frame.loc[frame[row_id].duplicated() | frame[row_id].isna(), row_id]
    if len(twice):
        raise UserError(
            f"`{row_id}` should name each row once; missing or repeated {len(twice)} times, first: {twice.iloc[0]}."
        )
    if target is not None and (missing := int(frame[target].isna().sum())):
        raise UserError(f"`{target}` is missing in {missing} of {len(frame)} rows. Leave them out in the query.")


def _typed(column: pd.Series) -> pd.Series:
    """Numbers and truth values as float64, everything else as text; missing stays missing."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column.astype(float)
    return column.astype("str").where(column.notna())


def _plain(target: pd.Series) -> np.ndarray:
    return target.to_numpy() if pd.api.types.is_numeric_dtype(target) else target.astype(str).to_numpy(np.str_)
