"""Estimators of other packages, such as LightGBM: each gets targets and validation rows in the way that it wants."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import has_fit_parameter


def adapted(estimator: Any) -> Any:
    """A classifier or regressor of another package, behind one of the classes below; any other estimator as it is."""
    kinds = {"classifier": OutsideClassifier, "regressor": OutsideRegressor}
    return kinds[kind](estimator) if _is_outside(estimator) and (kind := _kind(estimator)) in kinds else estimator


def arguments(estimator: Any, y: Any, eval_set: Any, **more: Any) -> dict[str, Any]:
    """What its `fit` takes of `more` and of the validation rows, under the names that it has for them."""
    if eval_set is not None:
        X_val, y_val = eval_set  # less the rows of classes that are never learned:
        if _kind(estimator) == "classifier" and not (known := np.isin(y_val, y)).all():
            if not known.any():
                return arguments(estimator, y, None, **more)
            X_val, y_val = _safe_indexing(X_val, np.flatnonzero(known)), y_val[known]
        if has_fit_parameter(estimator, "X_val"):  # scikit-learn's boosting, an error where it is not to stop early
            more |= {} if getattr(estimator, "early_stopping", None) is False else {"X_val": X_val, "y_val": y_val}
        elif has_fit_parameter(estimator, "eval_X"):  # LightGBM, which deprecates `eval_set`
            more |= {"eval_X": X_val, "eval_y": y_val}
        else:
            more["eval_set"] = [(X_val, y_val)] if _is_outside(estimator) else (X_val, y_val)
    if _is_outside(estimator) and _kind(estimator) and estimator.get_params().get("verbose") is None:
        more["verbose"] = False  # else XGBoost prints a line for each tree
    return {name: value for name, value in more.items() if has_fit_parameter(estimator, name)}


def _kind(estimator: Any) -> str | None:
    return get_tags(estimator).estimator_type if hasattr(estimator, "__sklearn_tags__") else None


def _is_outside(estimator: Any) -> bool:
    return type(estimator).__module__.split(".")[0] not in ("sklearn", "skrub", "deepmine")


@dataclass(eq=False, repr=False)
class OutsideRegressor(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    """Predicts `(n,)`, whatever the shape in which `estimator` does."""

    estimator: Any

    def fit(self, X: Any, y: Any, eval_set: Any = None) -> "OutsideRegressor":
        self.estimator_ = clone(self.estimator).fit(X, y, **arguments(self.estimator, y, eval_set))
        return self

    def predict(self, X: Any) -> NDArray:
        return np.ravel(self.estimator_.predict(X))


class OutsideClassifier(ClassifierMixin, OutsideRegressor):
    """Learns class numbers from 0, which every package takes, and answers in the labels of the data."""

    def fit(self, X: Any, y: Any, eval_set: Any = None) -> Any:
        self.classes_, codes = np.unique(y, return_inverse=True)
        return super().fit(X, codes, eval_set and (eval_set[0], np.searchsorted(self.classes_, eval_set[1])))

    def predict(self, X: Any) -> NDArray:
        return self.classes_[super().predict(X).astype(int)]

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))
    def predict_proba(self, X: Any) -> NDArray:
        return self.estimator_.predict_proba(X)
