"""Sequences of unequal length: a CSV file in long format, one line for each step of each sequence."""

from pathlib import Path

import numpy as np

from deepmine.config.errors import UserError
from deepmine.data.raw import Raw, raw_files, read_csv


def read(
    folder: Path,
    file: str,  # .csv or .csv.gz, with a header
    sequence: str,  # the column that says to which sequence a line belongs; it names the rows
    step: str,  # the column that orders the lines of a sequence
    target: str | None = None,  # the column to predict, one value for each sequence
    part: str | None = None,  # the column that says "train" or "test", for a published split
) -> Raw:
    """Float32 `(n, steps, features)`, each sequence in the order of its steps, NaN after its end.

    All other columns are features. A `UserError` if one has gaps or is not of numbers, or a step is there twice.
    """
    path, named = raw_files(folder, file)[0], [c for c in (sequence, step, target, part) if c is not None]
    frame = read_csv(path, named)
    features = frame.drop(columns=named)
    if frame.empty or features.empty or len(features.select_dtypes(exclude="number").columns):
        kinds = ", ".join(f"`{c}` {kind}" for c, kind in features.dtypes.items())
        raise UserError(f"{path} must have lines and features that are numbers: {len(frame)} lines, {kinds}.")
    gaps = frame.isna().any(axis=1) | ~np.isfinite(features.to_numpy(float)).all(axis=1)
    for wrong, why in ((gaps, "a missing or infinite value"), (frame.duplicated([sequence, step]), "a step twice")):
        if wrong.any():
            where = ", ".join(f"{c} {frame[c][wrong].iloc[0]}" for c in (sequence, step))
            raise UserError(f"{path}: {wrong.sum()} lines have {why}, first: {where}. Correct or remove the sequence.")
    frame = frame.sort_values([sequence, step], kind="stable")
    of = frame.groupby(sequence)
    for column in named[2:]:
        if (several := of[column].nunique() > 1).any():
            raise UserError(f"`{column}` must be the same in all lines of {sequence} {several.idxmax()}.")
    lengths = of.size()
    X = np.full((len(lengths), lengths.max(), features.shape[1]), np.nan, np.float32)
    X[np.arange(X.shape[1]) < lengths.to_numpy()[:, None]] = features.loc[frame.index].to_numpy(np.float32)
    y, parts = (None if c is None else np.array(of[c].first().tolist()) for c in (target, part))
    return Raw(X, y, lengths.index.astype(str).to_numpy(np.str_), parts, {"columns": list(features), "target": target})
