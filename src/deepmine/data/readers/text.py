"""Texts: one column of a table, read as `deepmine.data.readers.table` reads it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deepmine.config.errors import UserError
from deepmine.config.schema.source import File
from deepmine.data.raw import Raw
from deepmine.data.readers import table


def read(
    folder: Path,
    files: dict[str, File],
    query: str,
    row_id: str,
    target: str | None = None,
    null_values: Sequence[str] = ("",),
) -> Raw:
    """Texts `(n,)`, the one column of the query that is neither `row_id` nor `target`.

    The arguments are those of `deepmine.data.readers.table.read`.

    Raises:
        UserError: as there; or there is another number of columns, or a text is missing.
    """
    raw = table.read(folder, files, query, None, row_id, target, null_values)
    columns = list(raw.X)
    if len(columns) != 1:
        raise UserError(f"The query should give one column of text beside id and target, but gives {columns}.")
    [text] = columns
    column = raw.X[text]
    if (missing := int(column.isna().sum())) or column.dtype == float:
        found = f"is missing in {missing} of {len(column)} rows" if missing else "holds numbers"
        raise UserError(f"`{text}` should be text in every row, but {found}. Change the query, or null_values.")
    return raw._replace(X=column.to_numpy(np.str_), facts={**raw.facts, "columns": columns})
