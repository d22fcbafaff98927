"""The audit: what is wrong with the rows and their split is found before any model sees them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.config.schema.config import SUPERVISED
from deepmine.data.preparing.examples import hashes
from deepmine.data.preparing.split import ADVICE, Index
from deepmine.data.raw import Raw

ROWS = 20_000  # training rows, evenly spread, that are searched for leaks
GIVEN_AWAY = 0.9  # share of errors that a column avoids on its own, from which it counts as a leak
KNOWN = "Was it known before the target?"
PURE, CHANCE = 0.99, 1e-9  # share of one class among rows with (or without) a value, and its largest probability
FOLDS = 3
LEAST = 20  # rows that lack a value, or have a late one, from which that counts
Finding = dict[str, str]  # level: fail or warn; check: a key of `config.schema.data.Audit`; message: for people


def audit(read: Raw, raw: Raw, index: Index, declared: Mapping[str, Any]) -> list[Finding]:
    """Everything that is wrong with `raw`, which was cleaned from `read`; `declared`: conf/data/<name>.yaml."""
    found, task, levels = [*_split(raw, index)], declared["task"], declared["audit"]
    if isinstance(raw.X, pd.DataFrame) and raw.y is not None and task in SUPERVISED and len(index["train"]) >= FOLDS:
        found += [*_leaks(raw, raw.y, index, task), *_late(read, map(str, raw.X), declared["split"]["time"])]
    said = [{"level": levels[check], "check": check, "message": message} for check, message in found]
    return [finding for finding in said if finding["level"] != "off"]


def refuse(findings: list[Finding], name: str) -> None:
    """Raise `UserError` with every finding whose level is `fail`."""
    if failed := [finding for finding in findings if finding["level"] == "fail"]:
        lines = "".join(f"  {finding['check']}: {finding['message']}\n" for finding in failed)
        intended = f"If it is intended, set `audit: {{{failed[0]['check']}: warn}}` there."
        raise UserError(f"The audit of {name} failed:\n{lines}Fix this in conf/data/{name}.yaml. {intended}")


def require_target(raw: Raw, target: str | None) -> None:
    """Raise `UserError` if the target is missing or infinite in some rows."""
    if unusable := pd.Series(raw.y).isin([None, np.nan, np.inf, -np.inf]).sum():
        raise UserError(
            f"The target `{target}` is missing or infinite in {unusable} of {len(raw.rows)} rows. To leave them out: "
            f"clean: {{impossible: {{{target}: {{min: ..., max: ...}}}}, missing: {{drop_rows: [{target}]}}}}"
        )


def require_classes(raw: Raw, index: Index) -> None:
    """Raise `UserError` if a class of the validation or test rows has no training row."""
    for part in ("val", "test"):
        if raw.y is not None and len(unknown := np.setdiff1d(raw.y[index[part]], raw.y[index["train"]])):
            rows = int((raw.y == unknown[0]).sum())
            raise UserError(f"The class `{unknown[0]}` has {rows} rows, some in {part} but none in train. {ADVICE}")


def _split(raw: Raw, index: Index) -> Iterator[tuple[str, str]]:
    """Groups, times and equal rows that the split tears apart or mixes."""
    content, groups, times = hashes(raw.X), raw.groups, raw.times
    for earlier, later in (("train", "val"), ("train", "test"), ("val", "test")):
        some, others = index[earlier], index[later]
        if groups is not None and (shared := len(np.intersect1d(groups[some], groups[others]))):
            yield "shared_groups", f"{earlier} and {later} share {shared} groups. Set split.strategy: group"
        if times is not None and (last := times[some].max()) >= times[others].min():
            yield "time_order", f"{later} begins before {earlier} ends ({last}). Set split.strategy: time"
        if earlier == "train" and (same := int(np.isin(content[others], content[some]).sum())):
            yield "duplicates", f"{same} of {len(others)} {later} rows have the same features as a training row"


def _leaks(raw: Raw, target: NDArray, index: Index, task: str) -> Iterator[tuple[str, str]]:
    """Columns that alone predict the target, by their value or because they are filled in."""
    train = index["train"]
    some = train[np.linspace(0, len(train) - 1, min(len(train), ROWS)).astype(int)]
    y = target[some]
    for name, column in raw.X.iloc[some].items():
        if said := _presence(column, y):
            yield "leaks", f"`{name}` gives the target away: {said}. {KNOWN}"
        elif (share := _errors_avoided(column, y, task)) >= GIVEN_AWAY:
            check = "single_predictors" if pd.api.types.is_numeric_dtype(column) else "leaks"
            yield check, f"`{name}` alone avoids {share:.0%} of the errors of the best guess. {KNOWN}"


def _late(read: Raw, features: Iterable[str], time: str | None) -> Iterator[tuple[str, str]]:
    """Columns that look written down with the target, as they lack the same rows, or after the time of their row."""
    begun = read.X.notna().any(axis=1).to_numpy()  # a row without any value says nothing
    lost = pd.Series(read.y).isna().to_numpy() & begun
    for name in features:
        column = read.X[name]
        gone = column.isna().to_numpy() & begun
        if (both := int((gone & lost).sum())) >= max(LEAST, PURE * gone.sum(), lost.sum() / 2):
            where = f"{both:,} of the {lost.sum():,} rows without a target, and in {gone.sum() - both:,} others"
            yield "known_late", f"`{name}` is missing in {where}, as if written down with it. {KNOWN}"
        if time is not None and column.dtype.kind == read.X[time].dtype.kind == "M":
            later = int((column.dt.normalize() > read.X[time]).sum())
            if later >= max(LEAST, PURE * column.notna().sum()):
                yield "known_late", f"`{name}` is a later day than `{time}` in {later:,} rows. {KNOWN}"


def _errors_avoided(column: pd.Series, y: NDArray, task: str) -> float:
    """The share of the errors of the best constant guess that a small tree on this column avoids, cross-validated."""
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if not pd.api.types.is_numeric_dtype(column):  # in order of appearance codes predict a target that is sorted
        codes, texts = pd.factorize(column)
        column = pd.Series(np.append(np.random.default_rng(0).permutation(len(texts)), np.nan)[codes])
    values = column.to_numpy(float)
    X = np.where(np.isnan(values), np.nanmin(values, initial=0) - 1, values)[:, None]
    most = np.unique(y, return_counts=True)[1].max() / len(y)
    kind = DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier
    tree = kind(max_leaf_nodes=32, min_samples_leaf=5, random_state=0)
    score = float(cross_val_score(tree, X, y, cv=KFold(FOLDS, shuffle=True, random_state=0)).mean())  # R2, accuracy
    return 0.0 if most == 1 else score if task == "regression" else (score - most) / (1 - most)


def _presence(column: pd.Series, y: NDArray) -> str | None:
    """Are rows that have a value, or lack it, nearly all of one class, and more than by chance?"""
    missing = column.isna().to_numpy()
    for side, word in ((~missing, "with"), (missing, "without")) if missing.any() and not missing.all() else ():
        shares = pd.Series(y[side]).value_counts(normalize=True)
        if side.sum() >= LEAST and shares.iloc[0] >= PURE and np.mean(y == shares.index[0]) ** side.sum() < CHANCE:
            return f"{shares.iloc[0]:.0%} of the rows {word} a value are `{shares.index[0]}`"
    return None
