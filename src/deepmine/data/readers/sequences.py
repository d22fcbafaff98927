"""Sequences of unequal length: a CSV file in long format, one line for each step of each sequence."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.data.raw import Raw, raw_file, read_csv


def read(folder: Path, file: str, sequence: str, step: str, target: str | None = None, part: str | None = None) -> Raw:
    """Float32 `(n, steps, features)`, each sequence in the order of its steps, NaN after its end.

    Args:
        folder: where the file lies.
        file: .csv or .csv.gz, with a header.
        sequence: the column that says to which sequence a line belongs; it names the rows.
        step: the column that orders the lines of a sequence.
        target: the column to predict, one value for each sequence.
        part: the column that says "train" or "test", one value for each sequence, for a published split.

    All other columns are features, numbers without gaps.

    Raises:
        UserError: the file cannot be read, a column is missing, or the lines are not as promised.
    """
    frame = _lines(raw_file(folder, file), [c for c in (sequence, step, target, part) if c is not None])
    features = frame.drop(columns=[c for c in (sequence, step, target, part) if c is not None])
    _check(frame, features, sequence, step)
    frame = frame.sort_values([sequence, step], kind="stable")
    X = padded(features.loc[frame.index].to_numpy(np.float32), frame.groupby(sequence).size().to_numpy())
    y, parts = (None if c is None else _one_each(frame, sequence, c) for c in (target, part))
    rows = frame[sequence].drop_duplicates().astype(str).to_numpy(np.str_)
    return Raw(X, y, rows, parts, {"columns": list(features), "target": target})


def padded(lines: NDArray[np.float32], lengths: NDArray) -> NDArray[np.float32]:
    """The lines `(sum of lengths, features)` of one sequence after the other as `(n, steps, features)`, NaN behind."""
    X = np.full((len(lengths), lengths.max(), lines.shape[1]), np.nan, np.float32)
    X[np.arange(X.shape[1]) < lengths[:, None]] = lines
    return X


def _lines(path: Path, named: list[str]) -> pd.DataFrame:
    frame = read_csv(path, named)
    if frame.empty or len(frame.columns) == len(named):
        raise UserError(f"{path} has {len(frame)} lines and {len(frame.columns) - len(named)} columns of features.")
    return frame


def _check(frame: pd.DataFrame, features: pd.DataFrame, sequence: str, step: str) -> None:
    if words := features.select_dtypes(exclude="number").columns.tolist():
        raise UserError(f"Features should be numbers, but `{words[0]}` holds text.")
    gaps = frame.isna().any(axis=1) | ~np.isfinite(features.to_numpy(float)).all(axis=1)
    if gaps.any():
        first = frame[gaps].iloc[0]
        raise UserError(
            f"{gaps.sum()} lines have a missing or infinite value, first: {sequence} {first[sequence]}, {step} "
            f"{first[step]}. Missing values mark the end of a sequence: fill them, or leave the sequence out."
        )
    if (twice := frame.duplicated([sequence, step])).any():
        first = frame[twice].iloc[0]
        raise UserError(f"{sequence} {first[sequence]} has {step} {first[step]} twice.")


def _one_each(frame: pd.DataFrame, sequence: str, column: str) -> NDArray:
    """The one value that all lines of a sequence have."""
    values = frame.groupby(sequence)[column]
    if (several := values.nunique() > 1).any():
        raise UserError(
            f"`{column}` should be the same on all lines of a sequence; {sequence} {several.idxmax()} has more."
        )
    first = values.first()
    return first.to_numpy() if pd.api.types.is_numeric_dtype(first) else first.astype(str).to_numpy(np.str_)
