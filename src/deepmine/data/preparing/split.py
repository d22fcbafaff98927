"""Which rows are trained with, validated on and tested on: cut once, the same for every model."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.data.raw import Raw

Index = dict[str, NDArray[np.int64]]  # the rows of each part, by number


def split(settings: Mapping[str, Any], raw: Raw, train_fraction: float = 1.0) -> Index:
    """The rows of each part, by number, each part in the order of the source, or of time where that splits.

    Args:
        settings: `schema_data.Split`.
        raw: the rows.
        train_fraction: share of the training rows that is kept; the other parts do not depend on it.

    Raises:
        UserError: the classes are too small for a stratified split, the groups too few, or there is no published one.
    """
    if settings["strategy"] == "group" and raw.groups is None:
        raise UserError("`split.strategy: group` goes by a column of a table, and this source has none. Take random.")
    if settings["strategy"] == "group" and (n_groups := len(np.unique(np.asarray(raw.groups)))) < 3:
        raise UserError(
            f"`split.group` has {n_groups} different values, but train, val and test want groups of their own. Take "
            "another column or another `split.strategy`; a rule of `privacy` for the column may have made values equal."
        )
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
    parts = {"train": train, "val": val, "test": test}
    if empty := [name for name, part in parts.items() if not len(part)]:
        raise UserError(f"The split leaves no row of {len(raw.rows)} for {empty[0]}. Change `data.split`.")
    return {name: _by_moment(part, raw.times if strategy == "time" else None) for name, part in parts.items()}


def _by_moment(part: NDArray, times: NDArray | None) -> NDArray:
    part = np.sort(part)
    return part if times is None else part[np.argsort(times[part], kind="stable")]


def _by_time(settings: Mapping[str, Any], raw: Raw) -> list[NDArray[np.int64]]:
    """The earliest rows to train with, the latest to test on; rows of one moment stay in one part."""
    n = len(raw.rows)
    ends = [round(n * (1 - settings["test"] - later)) for later in (settings["val"], 0)]
    if raw.times is None:
        return np.split(np.arange(n), ends)
    order = np.argsort(raw.times, kind="stable")
    times = raw.times[order]
    return np.split(order, np.searchsorted(times, times[np.minimum(ends, n - 1)]))


def _published(raw: Raw) -> tuple[NDArray, NDArray]:
    """The rows to train with and those to test on, as the source has them."""
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


def _too_few(index: NDArray, share: float, labels: NDArray | None) -> str:
    """Why a share of these rows cannot be cut out; a class is counted in all rows, as a person sees it."""
    if labels is None:
        return f"{len(index)} rows are too few to cut {share:.0%} out of them. Change `data.split`."
    classes, counts = np.unique(labels, return_counts=True)
    fewest = f"`{classes[counts.argmin()]}` has the fewest rows, {counts.min()} of {len(labels)}"
    return (
        f"The rows cannot be split so that each class keeps its share: of {len(classes)} classes, {fewest}. Add "
        "some, leave the class out (data.source.leave_out of images, WHERE in the query of a table), or take "
        "data.split.strategy=random."
    )


def _cut_groups(
    groups: NDArray, index: NDArray, share: float, labels: NDArray | None, seed: int
) -> tuple[NDArray, NDArray]:
    """One fold of `1 / share`, so the share of the rows is near the one asked for; classes keep theirs nearly too."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    folds = {"n_splits": max(2, round(1 / share)), "shuffle": True, "random_state": seed}
    cutter = GroupKFold(**folds) if labels is None else StratifiedGroupKFold(**folds)
    try:
        kept, cut = next(cutter.split(index, None if labels is None else labels[index], groups[index]))
    except ValueError:
        n_groups = len(np.unique(groups[index]))
        if n_groups >= folds["n_splits"]:
            raise UserError(_too_few(index, share, labels)) from None
        raise UserError(
            f"`split.group` has {n_groups} different values where {share:.0%} of the rows are to be cut out, which "
            f"wants {folds['n_splits']}. Raise `split.val` and `split.test`, or take another column."
        ) from None
    return index[kept], index[cut]
