"""The model contract: a scikit-learn Pipeline, whatever is in it, built from config and saved without pickle."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from deepmine.config.errors import UserError
from deepmine.config.schema.config import SUPERVISED
from deepmine.data.dataset import Part

TORCH_ARRAYS = "sklearn.externals.array_api_compat.torch"


def build(steps: Mapping[str, Any], model: Mapping[str, Any]) -> Pipeline:
    """The pipeline that a config describes, not fitted.

    Args:
        steps: name and config of each transformer before the model, in order; None leaves one out.
        model: config of the estimator at the end, which is then the step `model`.

    Raises:
        UserError: scikit-learn refuses a parameter's value.
    """
    settings = {k: v for k, v in model.items() if k not in ("_takes_", "_tasks_")}
    nodes = {k: node for k, node in {**steps, "model": settings}.items() if node is not None}
    pipeline = Pipeline([(k, hydra.utils.instantiate(node, _convert_="all")) for k, node in nodes.items()])
    for name, estimator in pipeline.get_params().items():  # the steps, and the estimators inside them
        if hasattr(estimator, "_parameter_constraints"):
            for key, allowed in estimator._parameter_constraints.items():  # YAML has no tuples
                if tuple in list(allowed) and isinstance(getattr(estimator, key), list):
                    setattr(estimator, key, tuple(getattr(estimator, key)))
            try:
                estimator._validate_params()
            except ValueError as error:
                place = name.replace("__", ".")
                raise UserError(f"{error} (`{place if place.startswith('model') else f'steps.{place}'}`)") from None
    return pipeline


def fit(
    pipeline: Pipeline, task: str, train: Part, val: Part, on_epoch: Callable[[int, dict[str, float]], None]
) -> None:
    """Fit every step on the training rows, in place; a model that takes an `eval_set` gets the validation rows.

    The target is given for classification and regression alone: clustering never sees it. But for a step before the
    model that cannot do without (scikit-learn's tag `target_tags.required`), as a net whose features are clustered.
    """
    *steps, (_, model) = pipeline.steps
    X, X_val = train.X, val.X
    for _, step in steps:
        needs = get_tags(step).target_tags.required
        step.fit(X, train.y if needs or task in SUPERVISED else None, **_offer(step, X_val, val.y, None))
        X, X_val = step.transform(X), step.transform(X_val)
    y, y_val = (train.y, val.y) if task in SUPERVISED else (None, None)
    model.fit(X, y, **_offer(model, X_val, y_val, on_epoch))


def _offer(estimator: Any, X_val: Any, y_val: Any, on_epoch: Any) -> dict[str, Any]:
    """The arguments of `fit` beyond X and y, those that an estimator takes."""
    offered = {"eval_set": (X_val, y_val), "on_epoch": on_epoch}
    return {name: value for name, value in offered.items() if has_fit_parameter(estimator, name)}


def save(pipeline: Pipeline, path: Path) -> None:
    """Write a fitted pipeline to one skops file: no pickle, nothing that runs when it is loaded."""
    _skops().dump(pipeline, path)


def load(path: Path, trusted: Sequence[str]) -> Pipeline:
    """Read a model file that holds trusted types alone.

    Args:
        path: written by `save`.
        trusted: prefixes of the names of types that may be built.

    Raises:
        UserError: there is no such file, or it names another type.
    """
    if not path.is_file():
        raise UserError(f"There is no model in {path.parent}. Train it first.")
    io = _skops()
    types = io.get_untrusted_types(file=path)
    if strangers := [name for name in types if not name.startswith(tuple(trusted))]:
        raise UserError(
            f"{path} holds types that are not trusted: {', '.join(strangers)}. If you know where the file comes from, "
            "add their package to `trusted` in conf/config.yaml."
        )
    return io.load(path, trusted=types)


def _skops() -> Any:
    """`skops.io`, without torch where nobody needs it.

    To list scikit-learn's estimators it imports every module of scikit-learn, one of which, for arrays of torch, costs
    a second. A module that cannot be imported is passed over, so that one is hidden meanwhile.
    """
    sys.modules.setdefault(TORCH_ARRAYS, None)  # type: ignore[arg-type]
    try:
        import skops.io
    finally:
        if sys.modules[TORCH_ARRAYS] is None:
            del sys.modules[TORCH_ARRAYS]
    return skops.io
