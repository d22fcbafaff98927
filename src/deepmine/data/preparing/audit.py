"""Is it safe to train on this? What is wrong with the rows and their split is looked for before any model sees them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepmine.config.errors import UserError
from deepmine.config.schema.config import SUPERVISED
from deepmine.data.preparing.examples import contents
from deepmine.data.preparing.split import Index
from deepmine.data.raw import Raw

ROWS = 20_000  # training rows, evenly spread, in which leaks are looked for
GIVEN_AWAY = 0.9  # of the way from the best guess to certainty: a column that alone goes so far is a leak
PURE, CHANCE = 0.99, 1e-9  # share of one class among rows that have (or lack) a value, and its largest probability
FOLDS = 3  # in which a column is tried
FIRST = 1000  # rows that tell most columns apart


class Finding(NamedTuple):
    """`level`: fail or warn; `check`: the key of `schema_data.Audit`; `message`: for a person."""

    level: str
    check: str
    message: str


def audit(raw: Raw, index: Index, task: str, settings: Mapping[str, str]) -> list[Finding]:
    """Everything that is wrong, in the order of `CHECKS`.

    Args:
        raw: the rows, with groups and times where the split knows them.
        index: the rows of each part.
        task: leaks are looked for where there is a target to predict.
        settings: `schema_data.Audit`: for each check fail, warn or off.
    """
    levels = {check: level for check, level in settings.items() if level != "off"}
    found = ((check, CHECKS[check](raw, index, task)) for check in CHECKS if check in levels)
    return [Finding(levels[check], check, message) for check, messages in found for message in messages]


def refuse(findings: list[Finding], name: str) -> None:
    """Raise `UserError` with every finding whose level is `fail`."""
    failed = [finding for finding in findings if finding.level == "fail"]
    if failed:
        lines = "\n".join(f"  {finding.check}: {finding.message}" for finding in failed)
        raise UserError(
            f"The audit of {name} stops before training:\n{lines}\n"
            f"Mend it in conf/data/{name}.yaml; if it is meant, say so there: audit: {{{failed[0].check}: warn}}."
        )


def require_target(raw: Raw, target: str | None) -> None:
    """Raise `UserError` if rows lack the target, or it is infinite: no split and no score can do without."""
    if raw.y is None:
        return
    if missing := int(pd.isna(raw.y).sum()):
        raise UserError(
            f"The target `{target}` is missing in {missing} of {len(raw.rows)} rows. Leave them out: "
            f"clean: {{missing: {{drop_rows: [{target}]}}}}, which counts them."
        )
    if infinite := int(np.isinf(raw.y).sum()) if raw.y.dtype.kind == "f" else 0:
        raise UserError(
            f"The target `{target}` is infinite in {infinite} of {len(raw.rows)} rows. Leave them out: "
            f"clean: {{impossible: {{{target}: {{min: ..., max: ..., action: drop}}}}}}, which counts them."
        )


def require_classes(raw: Raw, index: Index) -> None:
    """Raise `UserError` if rows that are predicted are of a class that no training row has: nobody can learn it."""
    if raw.y is None:
        return
    for part in ("val", "test"):
        unknown = np.setdiff1d(raw.y[index[part]], raw.y[index["train"]])
        if len(unknown):
            count = int((raw.y == unknown[0]).sum())
            raise UserError(
                f"The class `{unknown[0]}` has {count} rows, some in {part} but none among the training rows. Leave it "
                "out (data.source.leave_out of images, WHERE in the query of a table), or take another "
                "data.split.strategy, such as stratified."
            )


def _shared_groups(raw: Raw, index: Index, task: str) -> Iterator[str]:
    if raw.groups is not None:
        train = set(raw.groups[index["train"]])
        shared = {part: len(train & set(raw.groups[index[part]])) for part in ("val", "test")}
        if any(shared.values()):
            yield (
                f"{shared['val']} groups of the training rows are in validation too, {shared['test']} in test. "
                "Take split.strategy: group"
            )


def _time_order(raw: Raw, index: Index, task: str) -> Iterator[str]:
    if raw.times is None:
        return
    for earlier, later in (("train", "val"), ("val", "test")):
        last, first = raw.times[index[earlier]].max(), raw.times[index[later]].min()
        if last >= first:
            yield f"{earlier} holds rows of {last}, {later} begins with {first}. Take split.strategy: time"


def _leaks(raw: Raw, index: Index, task: str) -> Iterator[str]:
    """Texts that alone predict the target, and columns whose being filled in does: written down afterwards."""
    for name, column, y in _columns(raw, index, task):
        said = _presence(column, y) if task != "regression" else None
        if not said and not pd.api.types.is_numeric_dtype(column):
            said = _alone(column, y, task)
        if said:
            yield f"`{name}` {said}. If it is known only after the target, leave it out of the query and the contract"


def _single_predictors(raw: Raw, index: Index, task: str) -> Iterator[str]:
    """Numbers that alone predict the target: a leak, or a problem that needs no model."""
    for name, column, y in _columns(raw, index, task):
        if pd.api.types.is_numeric_dtype(column) and (said := _alone(column, y, task)):
            yield f"`{name}` {said}. Is it known before the target is?"


def _columns(raw: Raw, index: Index, task: str) -> Iterator[tuple[Any, pd.Series, NDArray]]:
    """Each column of a table and the target, in at most `ROWS` training rows; none where nothing is predicted."""
    train = index["train"]
    if isinstance(raw.X, pd.DataFrame) and raw.y is not None and task in SUPERVISED and len(train) >= FOLDS:
        some = train[np.linspace(0, len(train) - 1, min(len(train), ROWS)).astype(int)]
        yield from ((name, column, raw.y[some]) for name, column in raw.X.iloc[some].items())


def _alone(column: pd.Series, y: NDArray, task: str) -> str | None:
    """Does a small tree on this column alone predict the rows that it was not fitted on?"""
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    numbers = column.to_numpy(float) if pd.api.types.is_numeric_dtype(column) else pd.factorize(column)[0].astype(float)
    X = np.where(np.isnan(numbers), np.nanmin(numbers, initial=0) - 1, numbers)[:, None]
    tree = (DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier)(
        max_leaf_nodes=32, min_samples_leaf=5, random_state=0
    )
    codes = y if task == "regression" else np.unique(y, return_inverse=True)[1]
    predicted = cross_val_predict(tree, X, codes, cv=KFold(FOLDS, shuffle=True, random_state=0))
    if task == "regression":
        wrong, guess = float(np.var(codes - predicted)), float(np.var(codes))
    else:
        wrong, guess = float(np.mean(codes != predicted)), 1 - float(np.bincount(codes).max() / len(codes))
    if guess > 0 and 1 - wrong / guess >= GIVEN_AWAY:
        return f"alone predicts the target: a tree on it makes {1 - wrong / guess:.0%} fewer errors than the best guess"
    return None


def _presence(column: pd.Series, y: NDArray) -> str | None:
    """Are rows that have a value, or lack it, nearly all of one class, more than chance could do?"""
    missing = column.isna().to_numpy()
    for side, word in ((~missing, "with"), (missing, "without")):
        if not 0 < side.sum() < len(y):
            continue
        classes, counts = np.unique(y[side], return_counts=True)
        common = classes[counts.argmax()]
        share, usual = counts.max() / side.sum(), float(np.mean(y == common))
        if share >= PURE and usual ** side.sum() < CHANCE:
            return f"gives the target away: of the {side.sum()} rows {word} a value {share:.0%} are `{common}`"
    return None


def _duplicates(raw: Raw, index: Index, task: str) -> Iterator[str]:
    """By what a model sees, so also where `clean.duplicates` keeps rows apart: by target, group or time."""
    again = _repeated(raw.X, index["train"], np.concatenate([index["val"], index["test"]]))
    same = {part: int(np.isin(index[part], again).sum()) for part in ("val", "test")}
    if any(same.values()):
        yield (
            f"{same['val']} of {len(index['val'])} validation rows and {same['test']} of {len(index['test'])} test "
            "rows have the same features as a training row (target and columns of the split aside)"
        )


def _constant_columns(raw: Raw, index: Index, task: str) -> Iterator[str]:
    if isinstance(raw.X, pd.DataFrame):
        candidates = raw.X.loc[:, raw.X.head(FIRST).nunique(dropna=False) == 1]  # most columns vary at once
        constant = [name for name, column in candidates.items() if column.nunique(dropna=False) == 1]
        if constant:
            yield f"{_list(constant)} {'hold' if len(constant) > 1 else 'holds'} one value in every row"


def _identical_columns(raw: Raw, index: Index, task: str) -> Iterator[str]:
    if isinstance(raw.X, pd.DataFrame):
        alike: dict[int, list[Any]] = {}  # columns by what their first rows hold
        for name, column in raw.X.items():
            content = pd.util.hash_pandas_object(column.head(FIRST), index=False).to_numpy().tobytes()
            begin = alike.setdefault(hash(content), [])
            same = next((other for other in begin if column.equals(raw.X[other])), None)
            if same is not None:
                yield f"`{name}` is the same as `{same}`"
            begin.append(name)


def _repeated(X: Any, train: NDArray, others: NDArray) -> NDArray:
    """Those of the other rows that equal a training row; texts are only looked at where the numbers agree."""
    table = isinstance(X, pd.DataFrame)
    numbers = X.select_dtypes("number") if table else X
    if not table or numbers.shape[1] in (0, X.shape[1]):
        content = row_hashes(X)
        return others[np.isin(content[others], content[train])]
    suspects = _repeated(numbers, train, others)
    if not len(suspects):
        return suspects
    alike = _repeated(numbers, suspects, train)
    content = row_hashes(X.iloc[np.concatenate([suspects, alike])])
    return suspects[np.isin(content[: len(suspects)], content[len(suspects) :])]


def row_hashes(X: Any) -> NDArray[np.uint64]:
    """A number for each row; equal rows have the same."""
    if isinstance(X, pd.DataFrame):
        return np.asarray(pd.util.hash_pandas_object(X, index=False), np.uint64)
    return np.array([hash(bytes(content)) for content in contents(X)], np.int64).view(np.uint64)


def _list(names: list[Any]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


CHECKS: dict[str, Callable[[Raw, Index, str], Iterator[str]]] = {
    "shared_groups": _shared_groups,
    "time_order": _time_order,
    "leaks": _leaks,
    "single_predictors": _single_predictors,
    "duplicates": _duplicates,
    "constant_columns": _constant_columns,
    "identical_columns": _identical_columns,
}
