"""Which rows are trained with, validated on and tested on: cut once, and the same for every model."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.data.raw import Raw

Index = dict[str, NDArray[np.int64]]  # row numbers of each part
ADVICE = "Add rows, leave the class out (`source.leave_out`, or WHERE in the query), or set data.split.strategy=random."


def split(settings: Mapping[str, Any], raw: Raw, train_fraction: float = 1.0) -> Index:
    """The row numbers of each part, in the order of the source, or of time for `strategy: time`.

    A float target is never stratified. `train_fraction` of the training rows stay; no other part depends on it.

    Raises:
        UserError: a class or a part has too few rows, there are too few groups, or there is no published split.
    """
    strategy, seed, everything = settings["strategy"], settings["seed"], np.arange(len(raw.rows))
    labels = raw.y if raw.y is not None and raw.y.dtype.kind != "f" else None
    if strategy == "time":
        train, val, test = _by_time(settings, raw)
    elif strategy == "published":
        rest, test = _published(raw)
        train, val = _cut(rest, settings["val"], labels, seed)
    else:
        cut: Any = partial(_cut_groups, np.asarray(raw.groups)) if strategy == "group" else _cut
        by = {"group": labels, "stratified": raw.y, "random": None}[strategy]
        rest, test = cut(everything, settings["test"], by, seed)
        train, val = cut(rest, settings["val"] / (1 - settings["test"]), by, seed)
    if train_fraction < 1:
        _, train = _cut(train, train_fraction, None if strategy in ("random", "time", "group") else labels, seed)
    parts = {"train": np.sort(train), "val": np.sort(val), "test": np.sort(test)}
    if empty := [name for name, part in parts.items() if not len(part)]:
        raise UserError(f"The split leaves none of {len(raw.rows)} rows for {empty[0]}. Change `data.split`.")
    if strategy != "time" or raw.times is None:
        return parts
    return {name: part[np.argsort(raw.times[part], kind="stable")] for name, part in parts.items()}


def _by_time(settings: Mapping[str, Any], raw: Raw) -> list[NDArray[np.int64]]:
    """The earliest rows train, the latest test; rows with equal times stay in one part."""
    n = len(raw.rows)
    ends = [round(n * (1 - settings["test"] - later)) for later in (settings["val"], 0)]
    if raw.times is None:
        return np.split(np.arange(n), ends)
    order = np.argsort(raw.times, kind="stable")
    times = raw.times[order]
    return np.split(order, np.searchsorted(times, times[np.minimum(ends, n - 1)]))


def _published(raw: Raw) -> tuple[NDArray, NDArray]:
    found = [] if raw.parts is None else np.unique(raw.parts).tolist()
    if raw.parts is None or found != ["test", "train"]:
        raise UserError(
            f"The source publishes no split into `train` and `test` ({found or 'it names no parts'}). Name the column "
            "that holds it in data.source, if the reader takes one, or choose another data.split.strategy."
        )
    return np.flatnonzero(raw.parts == "train"), np.flatnonzero(raw.parts == "test")


def _cut(index: NDArray, share: float, labels: NDArray | None, seed: int) -> tuple[NDArray, NDArray]:
    from sklearn.model_selection import train_test_split

    stratify = None if labels is None else labels[index]
    try:
        return train_test_split(index, test_size=share, stratify=stratify, random_state=seed)
    except ValueError:
        raise UserError(_too_few(index, share, labels)) from None


def _cut_groups(
    groups: NDArray, index: NDArray, share: float, labels: NDArray | None, seed: int
) -> tuple[NDArray, NDArray]:
    """One of `1 / share` folds, so that rows and classes have nearly their shares."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    folds, found = max(2, round(1 / share)), len(np.unique(groups[index]))
    if found < folds:
        raise UserError(
            f"Taking {share:.0%} of the rows by `split.group` needs {folds} different values; it has {found}."
        )
    cutter = (GroupKFold if labels is None else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)
    try:
        kept, cut = next(cutter.split(index, None if labels is None else labels[index], groups[index]))
    except ValueError:
        raise UserError(_too_few(index, share, labels)) from None
    return index[kept], index[cut]


def _too_few(index: NDArray, share: float, labels: NDArray | None) -> str:
    if labels is None:
        return f"{len(index)} rows are too few to take {share:.0%} of them. Change `data.split`."
    classes, counts = np.unique(labels, return_counts=True)
    fewest = f"`{classes[counts.argmin()]}` has the fewest rows, {counts.min()} of {len(labels)}"
    return f"The rows cannot be split so that each class keeps its share: of {len(classes)} classes, {fewest}. {ADVICE}"
