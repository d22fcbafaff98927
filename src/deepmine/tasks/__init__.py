"""What a model is for: one module for each task, all with the same names.

- `SCORES`: what is measured, and whether higher is better (None: neither).
- `COLUMNS`: the scores that a table of runs shows, the one that ranks them first.
- `predict(pipeline, part)`: the arrays that the functions below take, by name; `y` and `predicted` among them, and
  in `columns`, by name, what else a line of predictions.csv should say.
- `enrich(pipeline, data, outcomes, seed)`: optional; adds what is dear or needs several parts, once for all below.
- `hint(pipeline)`: optional; what to do where the model found nothing, to be printed; else an empty text.
- `score(**arrays)`: a flat dict of floats.
- `baseline(data, outcomes, seed)`: the arrays of the test rows as one predicts them who learned nothing; or None.
- `figures(pipeline, data, outcomes)`: name and picture of what a person should see.
- `knowledge(pipeline, data, outcomes)`: what the run found, in tables and sentences.

`outcomes` are the arrays of each part, by its name. A module is found by the name of its task: a new task, a new file.
"""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import pandas as pd
from numpy.typing import NDArray

from deepmine.data.dataset import Part


class Knowledge(NamedTuple):
    """Tables by name, and the findings that stand out, one sentence each."""

    tables: dict[str, pd.DataFrame]
    findings: list[str]


def find(task: str) -> ModuleType:
    """The module of a task."""
    return import_module(f"deepmine.tasks.{task}")


def readable(part: Part, index: NDArray) -> pd.DataFrame:
    """What a person can read of some rows, by number: `row`, their id; of a table its columns; of texts the `text`."""
    rows = pd.DataFrame({"row": part.rows[index]})
    if isinstance(part.X, pd.DataFrame):
        return pd.concat([rows, part.X.iloc[index].reset_index(drop=True)], axis=1)
    return rows.assign(text=part.X[index]) if part.X.dtype.kind == "U" else rows


def markdown(table: pd.DataFrame) -> list[str]:
    """The lines of a Markdown table: numbers with four digits, aligned right."""
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    lines = [list(map(str, table.columns)), ["---:" if n else "---" for n in numeric]]
    lines += [
        ["" if pd.isna(v) else f"{v:.4g}" if n else str(v) for v, n in zip(row, numeric, strict=True)]
        for row in table.itertuples(index=False)
    ]
    return ["| " + " | ".join(line) + " |" for line in lines]
