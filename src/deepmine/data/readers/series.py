"""A series over time, cut into windows: the values of some steps, and the next one to forecast."""

from pathlib import Path

import numpy as np
import pandas as pd

from deepmine.config.errors import UserError
from deepmine.data.raw import Raw, raw_files, read_csv


def read(
    folder: Path,
    file: str,  # .csv or .csv.gz, with a header
    time: str,  # the column of times, evenly spaced: numbers, or ISO dates (hours, days, months, ...)
    target: str,  # the column of values
    window: int,  # how many values a forecast sees
) -> Raw:
    """Windows float32 `(n, window, 1)`, the oldest value first, and the value that follows each, `(n,)`.

    A row's id is the time of the value to forecast; rows are in the order of time, as the split `time` needs them.
    A `UserError` if times are not evenly spaced, or a value is missing.
    """
    path = raw_files(folder, file)[0]
    frame = read_csv(path, (time, target))
    values, times = (pd.to_numeric(frame[column], errors="coerce") for column in (target, time))
    if times.isna().any():
        times = pd.to_datetime(frame[time], format="ISO8601", errors="coerce")
    for column, found in ((time, times), (target, values)):
        if (wrong := (found.isna() | found.isin([np.inf, -np.inf])).to_numpy()).any():
            also = ", or all dates such as 2024-01-31" * (column == time)
            raise UserError(f"{path}, line {wrong.argmax() + 2}: `{column}` must be a number{also}.")
    order = np.argsort(times.to_numpy(), kind="stable")
    times, y = times.iloc[order], values.to_numpy(float)[order]
    if times.dtype.kind == "M":  # months differ in length: they are counted
        months = times.dt.year * 12 + times.dt.month
        same_day = times.dt.day.nunique() == 1 or times.dt.is_month_end.all()
        times = months if same_day and months.is_unique else times
    steps = np.diff(times.to_numpy()).astype(float)
    if len(steps) and (steps.min() <= 0 or not np.allclose(steps, steps[0])):
        at = frame[time].iloc[order[int(np.argmax(~np.isclose(steps, np.median(steps)))) + 1]]
        raise UserError(f"{path}: `{time}` must be evenly spaced, but is not at {at}.")
    if not 1 <= window < len(y):
        raise UserError(f"`data.source.window` is {window}, but must be 1 to {len(y) - 1}: {path} has {len(y)} values.")
    X = np.lib.stride_tricks.sliding_window_view(y, window)[:-1, :, None].astype(np.float32)
    facts = {"columns": [target], "target": target, "persistence": 0}  # the feature whose last value is the baseline
    return Raw(X, y[window:], frame[time].iloc[order[window:]].astype(str).to_numpy(np.str_), facts=facts)
