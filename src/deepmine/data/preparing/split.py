"""Which rows are trained with, validated on and tested on: cut once, and the same for every model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.data.raw import Raw

Index = dict[str, NDArray[np.int64]]  # row numbers of each part
ADVICE = "Add rows, leave the class out (`source.leave_out`, or WHERE in the query), or set data.split.strategy=random."


def split(settings: Mapping[str, Any], raw: Raw, train_fraction: float = 1.0) -> Index:
    """The row numbers of each part, in the order of the source, or of time for `strategy: time`.

    `train_fraction` of the training rows stay; no other part depends on it. Raises `UserError` if a class or a part
    has too few rows, there are too few groups, or there is no published split.
    """
    strategy, seed, everything = settings["strategy"], settings["seed"], np.arange(len(raw.rows))
    labels = raw.y if raw.y is not None and raw.y.dtype.kind != "f" else None
    if strategy == "time":
        train, val, test = _by_time(settings, raw)
    elif strategy == "published":
        rest, test = _published(raw)
        train, val = _cut(rest, settings["val"], labels, seed)
    else:
        by, groups = {"group": (labels, raw.groups), "stratified": (raw.y, None), "random": (None, None)}[strategy]
        rest, test = _cut(everything, settings["test"], by, seed, groups)
        train, val = _cut(rest, settings["val"] / (1 - settings["test"]), by, seed, groups)
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
    times = np.arange(n) if raw.times is None else raw.times
    order = np.argsort(times, kind="stable")
    return np.split(order, np.searchsorted(times[order], times[order][np.minimum(ends, n - 1)]))


def _published(raw: Raw) -> tuple[NDArray, NDArray]:
    found = [] if raw.parts is None else np.unique(raw.parts).tolist()
    if found != ["test", "train"]:
        raise UserError(
            f"The source publishes no split into `train` and `test` ({found or 'it names no parts'}). Name the column "
            "that holds it in data.source, if the reader takes one, or choose another data.split.strategy."
        )
    return np.flatnonzero(raw.parts == "train"), np.flatnonzero(raw.parts == "test")


def _cut(index: NDArray, share: float, labels: Any, seed: int, groups: Any = None) -> tuple[NDArray, NDArray]:
    """Two pieces, of which the second has about this share of each class; whole `groups` if they are given."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, train_test_split

    y = None if labels is None else labels[index]
    folds = max(2, round(1 / share))
    if groups is not None and (n := len(np.unique(groups[index]))) < folds:
        raise UserError(f"Taking {share:.0%} of the rows by `split.group` needs {folds} different values; it has {n}.")
    try:
        if groups is None:
            return train_test_split(index, test_size=share, stratify=y, random_state=seed)
        cutter = (GroupKFold if y is None else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)
        kept, cut = next(cutter.split(index, y, groups[index]))
        return index[kept], index[cut]
    except ValueError:
        if labels is None:
            raise UserError(f"{len(index)} rows are too few to take {share:.0%}. Change `data.split`.") from None
        classes, counts = np.unique(labels, return_counts=True)
        fewest = f"`{classes[counts.argmin()]}` has the fewest rows, {counts.min()} of {len(labels)}"
        problem = f"The rows cannot be split so that each class keeps its share: of {len(classes)} classes, {fewest}."
        raise UserError(f"{problem} {ADVICE}") from None
