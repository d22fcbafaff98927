"""The audit: what is wrong with the rows and their split is found before any model sees them."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.check import SUPERVISED
from deepmine.config.errors import UserError
from deepmine.data.preparing.examples import contents
from deepmine.data.preparing.split import ADVICE, Index
from deepmine.data.raw import Raw

ROWS = 20_000  # training rows, evenly spread, that are searched for leaks
GIVEN_AWAY = 0.9  # share of the errors of the best constant guess that a leaking column avoids on its own
PURE, CHANCE = 0.99, 1e-9  # share of one class among rows with (or without) a value, and its largest probability
FOLDS = 3
FIRST = 1000  # rows that tell most columns apart


class Finding(NamedTuple):
    """`level`: fail or warn; `check`: a key of `config.schema.data.Audit`; `message`: for people."""

    level: str
    check: str
    message: str


def audit(raw: Raw, index: Index, task: str, settings: Mapping[str, str]) -> list[Finding]:
    """Everything that is wrong; `settings` (`config.schema.data.Audit`) gives each check a level: fail, warn or off."""
    found = (*_split(raw, index), *_leaks(raw, index, task), *_columns(raw.X))
    return [Finding(settings[check], check, message) for check, message in found if settings[check] != "off"]


def refuse(findings: list[Finding], name: str) -> None:
    """Raise `UserError` with every finding whose level is `fail`."""
    failed = [finding for finding in findings if finding.level == "fail"]
    if failed:
        lines = "\n".join(f"  {finding.check}: {finding.message}" for finding in failed)
        raise UserError(
            f"The audit of {name} failed:\n{lines}\n"
            f"Fix this in conf/data/{name}.yaml. If it is intended, set `audit: {{{failed[0].check}: warn}}` there."
        )


def require_target(raw: Raw, target: str | None) -> None:
    """Raise `UserError` if the target is missing or infinite in some rows."""
    if raw.y is None:
        return
    if missing := int(pd.isna(raw.y).sum()):
        raise UserError(
            f"The target `{target}` is missing in {missing} of {len(raw.rows)} rows. To leave them out, set "
            f"clean: {{missing: {{drop_rows: [{target}]}}}}"
        )
    if infinite := int(np.isinf(raw.y).sum()) if raw.y.dtype.kind == "f" else 0:
        raise UserError(
            f"The target `{target}` is infinite in {infinite} of {len(raw.rows)} rows. To leave them out, set "
            f"clean: {{impossible: {{{target}: {{min: ..., max: ..., action: drop}}}}}}"
        )


def require_classes(raw: Raw, index: Index) -> None:
    """Raise `UserError` if a class of the validation or test rows has no training row."""
    for part in ("val", "test"):
        if raw.y is not None and len(unknown := np.setdiff1d(raw.y[index[part]], raw.y[index["train"]])):
            rows = int((raw.y == unknown[0]).sum())
            raise UserError(f"The class `{unknown[0]}` has {rows} rows, some in {part} but none in train. {ADVICE}")


def _split(raw: Raw, index: Index) -> Iterator[tuple[str, str]]:
    train = index["train"]
    for part in ("val", "test"):
        shared = 0 if raw.groups is None else len(np.intersect1d(raw.groups[train], raw.groups[index[part]]))
        if shared:
            yield "shared_groups", f"train and {part} share {shared} groups. Set split.strategy: group"
    for earlier, later in (("train", "val"), ("val", "test")):
        if raw.times is not None and (last := raw.times[index[earlier]].max()) >= raw.times[index[later]].min():
            yield "time_order", f"{later} begins before {earlier} ends ({last}). Set split.strategy: time"
    content = row_hashes(raw.X)
    same = {part: int(np.isin(content[index[part]], content[train]).sum()) for part in ("val", "test")}
    if any(same.values()):
        counts = " and ".join(f"{n} of {len(index[part])} {part} rows" for part, n in same.items())
        yield "duplicates", f"{counts} have the same features as a training row"


def _leaks(raw: Raw, index: Index, task: str) -> Iterator[tuple[str, str]]:
    """Columns that alone predict the target, by their value or because they are filled in."""
    train = index["train"]
    if not isinstance(raw.X, pd.DataFrame) or raw.y is None or task not in SUPERVISED or len(train) < FOLDS:
        return
    some = train[np.linspace(0, len(train) - 1, min(len(train), ROWS)).astype(int)]
    y = raw.y[some]
    for name, column in raw.X.iloc[some].items():
        numeric = pd.api.types.is_numeric_dtype(column)
        if task != "regression" and (said := _presence(column, y)):
            yield "leaks", f"`{name}` gives the target away: {said}. Was it known before the target?"
        elif (share := _errors_avoided(column, y, task)) >= GIVEN_AWAY:
            said = f"`{name}` alone avoids {share:.0%} of the errors of the best guess. Was it known before the target?"
            yield ("single_predictors" if numeric else "leaks"), said


def _errors_avoided(column: pd.Series, y: NDArray, task: str) -> float:
    """By a small tree on this column, cross-validated, against the best constant guess."""
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(float)
    else:  # codes in random order: in order of appearance they predict the target wherever rows are sorted by it
        codes, texts = pd.factorize(column)
        values = np.append(np.random.default_rng(0).permutation(len(texts)), np.nan)[codes]
    X = np.where(np.isnan(values), np.nanmin(values, initial=0) - 1, values)[:, None]
    classes = task != "regression"
    tree = (DecisionTreeClassifier if classes else DecisionTreeRegressor)(
        max_leaf_nodes=32, min_samples_leaf=5, random_state=0
    )
    target = np.unique(y, return_inverse=True)[1] if classes else y
    predicted = cross_val_predict(tree, X, target, cv=KFold(FOLDS, shuffle=True, random_state=0))
    wrong = np.mean(target != predicted) if classes else np.var(target - predicted)
    guess = 1 - np.bincount(target).max() / len(target) if classes else np.var(target)
    return float(1 - wrong / guess) if guess > 0 else 0.0


def _presence(column: pd.Series, y: NDArray) -> str | None:
    """Are rows that have a value, or lack it, nearly all of one class, and more than by chance?"""
    missing = column.isna().to_numpy()
    for side, word in ((~missing, "with"), (missing, "without")):
        if 0 < side.sum() < len(y):
            classes, counts = np.unique(y[side], return_counts=True)
            common, share = classes[counts.argmax()], counts.max() / side.sum()
            if share >= PURE and np.mean(y == common) ** side.sum() < CHANCE:
                return f"{share:.0%} of the rows {word} a value are `{common}`"
    return None


def _columns(X: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(X, pd.DataFrame):
        return
    constant, alike = [], dict[int, list[Any]]()  # `alike`: columns by the hash of their first rows
    for name, column in X.items():
        if column.head(FIRST).nunique(dropna=False) == 1 and column.nunique(dropna=False) == 1:
            constant.append(name)
        first = hash(pd.util.hash_pandas_object(column.head(FIRST), index=False).to_numpy().tobytes())
        if same := next((other for other in alike.setdefault(first, []) if column.equals(X[other])), None):
            yield "identical_columns", f"`{name}` is the same as `{same}`"
        alike[first].append(name)
    if constant:
        more = f" and {len(constant) - 10} more" if len(constant) > 10 else ""
        yield "constant_columns", f"one value in every row: {', '.join(f'`{name}`' for name in constant[:10])}{more}"


def row_hashes(X: Any) -> NDArray[np.uint64]:
    """A number for each row; equal rows have equal numbers."""
    if isinstance(X, pd.DataFrame):
        return np.asarray(pd.util.hash_pandas_object(X, index=False), np.uint64)
    return np.array([hash(bytes(content)) for content in contents(X)], np.int64).view(np.uint64)
