"""A series over time, cut into windows: the values of some steps, and the next one to forecast."""

from pathlib import Path

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError
from deepmine.data.raw import Raw, raw_file, read_csv


def read(folder: Path, file: str, time: str, target: str, window: int) -> Raw:
    """Windows float32 `(n, window, 1)`, the oldest value first, and the value that follows each, `(n,)`.

    A row's id is the time of the value to forecast; rows are in the order of time, as the split `time` needs them.

    Args:
        folder: where the file lies.
        file: .csv or .csv.gz, with a header.
        time: the column of times: numbers at equal distances.
        target: the column of values.
        window: how many values a forecast sees.

    Raises:
        UserError: the file cannot be read, a column is missing, times are not evenly spaced, or a value is missing.
    """
    path = raw_file(folder, file)
    frame = _series(path, time, target)
    if not 1 <= window < len(frame):
        raise UserError(f"`data.source.window` is {window}: {path} has {len(frame)} values, so 1 to {len(frame) - 1}.")
    values = frame[target].to_numpy(float)
    X = np.lib.stride_tricks.sliding_window_view(values, window)[:-1, :, None].astype(np.float32)
    facts = {"columns": [target], "target": target, "persistence": 0}  # the feature whose last value is "as before"
    return Raw(X, values[window:], frame[time].iloc[window:].astype(str).to_numpy(np.str_), facts=facts)


def _series(path: Path, time: str, target: str) -> pd.DataFrame:
    frame = read_csv(path, (time, target))
    for column in (time, target):
        wrong = ~np.isfinite(pd.to_numeric(frame[column], errors="coerce").to_numpy(float))
        if wrong.any():
            raise UserError(f"{path}, line {wrong.argmax() + 2}: `{column}` should be a number.")
    frame = frame.sort_values(time, kind="stable", ignore_index=True)
    steps = np.diff(frame[time].to_numpy(float))
    if len(steps) and (steps.min() <= 0 or not np.allclose(steps, steps[0])):
        at = frame[time].iloc[int(np.argmax(~np.isclose(steps, np.median(steps)))) + 1]
        raise UserError(f"{path}: `{time}` should go on by equal steps, but does not at {at}.")
    return frame
