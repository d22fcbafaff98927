"""Steps between the arrays of a data set and a model, where scikit-learn has none."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import PositiveFloat, PositiveInt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data


class Stateless(TransformerMixin, BaseEstimator):
    """A step that learns only the number of features."""

    def fit(self, X: Any, y: ArrayLike | None = None) -> "Stateless":
        self.n_features_in_ = int(np.prod(X.shape[1:]))
        return self


class Flatten(Stateless):
    """One row of numbers per example: `(n, ...)` to `(n, features)`."""

    def transform(self, X: ArrayLike) -> NDArray:
        return np.reshape(X, (np.shape(X)[0], -1))


class PixelScaler(Stateless):
    """Grey or colour values from 0 to 255 to float32 from 0 to 1, in the same shape."""

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        return np.asarray(X, np.float32) / np.float32(255)


class Dense(OneToOneFeatureMixin, Stateless):
    """A sparse matrix to a dense one of float32, for models that take no sparse ones."""

    def transform(self, X: Any) -> NDArray[np.float32]:
        return X.astype(np.float32).toarray()


class SequenceScaler(TransformerMixin, BaseEstimator):
    """Each feature of `(n, steps, features)` to mean 0 and variance 1 over all training steps; NaN stays NaN."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "SequenceScaler":
        self.scaler_ = StandardScaler().fit(np.reshape(np.asarray(X, np.float64), (-1, np.shape(X)[2])))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        rows = np.reshape(np.asarray(X, np.float64), (-1, np.shape(X)[2]))
        return self.scaler_.transform(rows).reshape(np.shape(X)).astype(np.float32)


@dataclass(eq=False, repr=False)
class SequenceSummary(TransformerMixin, BaseEstimator):
    """One row of numbers per sequence: `(n, steps, features)`, padded with NaN, to `(n, statistics of each feature)`.

    Of each feature: `mean`, `std` (population), `min`, `max`, `first`, `last`, `slope` (least squares, per step; 0 for
    one step), `values` (all steps); of the sequence: `length`, in steps.
    """

    statistics: tuple[str, ...] | list[str] = ("mean", "std", "min", "max", "first", "last", "slope", "length")

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "SequenceSummary":
        _, self.steps_, self.n_features_in_ = np.shape(X)
        if unknown := set(self.statistics) - {*_STATISTICS}:
            raise ValueError(f"There is no statistic {sorted(unknown)}. Valid: {', '.join(_STATISTICS)}.")
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        X = np.asarray(X, np.float64)
        lengths = (~np.isnan(X).any(axis=2)).sum(axis=1, keepdims=True)
        return np.concatenate([_STATISTICS[name](X, lengths) for name in self.statistics], axis=1)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        features = [f"x{i}" for i in range(self.n_features_in_)] if input_features is None else list(input_features)
        names = {"values": [f"step{t}_{f}" for t in range(self.steps_) for f in features], "length": ["length"]}
        return np.array([n for s in self.statistics for n in names.get(s, [f"{s}_{f}" for f in features])], object)


_STATISTICS = {  # of sequences and their lengths, `(n, 1)`
    "mean": lambda X, _: np.nanmean(X, axis=1),
    "std": lambda X, _: np.nanstd(X, axis=1),
    "min": lambda X, _: np.nanmin(X, axis=1),
    "max": lambda X, _: np.nanmax(X, axis=1),
    "first": lambda X, _: X[:, 0],
    "last": lambda X, lengths: X[np.arange(len(X)), lengths[:, 0] - 1],
    "slope": lambda X, n: (  # sum of (t - mean t) x over sum of (t - mean t)^2, for t = 0 ... n - 1
        np.nansum((np.arange(X.shape[1])[:, None] - (n[:, :, None] - 1) / 2) * X, axis=1)
        / np.maximum(n * (n**2 - 1) / 12, np.finfo(float).tiny)
    ),
    "values": lambda X, _: X.reshape(len(X), -1),
    "length": lambda _, lengths: lengths.astype(float),
}


@dataclass(eq=False, repr=False)
class TextEncoder(TransformerMixin, BaseEstimator):
    """Each text to its characters or words, one-hot: `(n,)` to `(n, steps, vocabulary)`, padded with NaN.

    A unit outside the vocabulary, or an empty text, is a step of zeros. `words` are separated by white space.
    `max_length` steps of each text are kept, and the `max_vocabulary` most frequent units; None: all.
    """

    unit: Literal["characters", "words"] = "characters"
    max_length: PositiveInt | None = None
    max_vocabulary: PositiveInt | None = None

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "TextEncoder":
        texts = [self._units(text) for text in np.asarray(X)]
        counts = Counter(unit for text in texts for unit in text)
        self.vocabulary_ = sorted(sorted(counts, key=lambda unit: (-counts[unit], unit))[: self.max_vocabulary])
        self.steps_ = self.max_length or max(map(len, texts))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        size, columns = len(self.vocabulary_), {unit: number for number, unit in enumerate(self.vocabulary_)}
        texts = [[columns.get(unit, size) for unit in self._units(text)[: self.steps_]] for text in np.asarray(X)]
        codes = [[*(text or [size]), *[size + 1] * (self.steps_ - max(1, len(text)))] for text in texts]
        return np.vstack([np.eye(size), np.zeros(size), np.full(size, np.nan)]).astype(np.float32)[np.array(codes)]

    def _units(self, text: str) -> str | list[str]:
        return text if self.unit == "characters" else text.split()


@dataclass(eq=False, repr=False)
class Outliers(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Clip numbers far from the others, or empty them; a column with no spread stays as it is.

    `iqr`: beyond the quartiles by `threshold` interquartile ranges (Tukey, "Exploratory Data Analysis", 1977: 1.5).
    `robust_z`: from the median by `threshold` times MAD / 0.6745, an estimate of the standard deviation (Iglewicz and
    Hoaglin, "How to Detect and Handle Outliers", 1993: 3.5).
    """

    method: Literal["iqr", "robust_z"] = "iqr"
    threshold: PositiveFloat = 3.0
    action: Literal["clip", "empty"] = "clip"

    def fit(self, X: pd.DataFrame, y: object = None) -> "Outliers":
        validate_data(self, X, skip_check_array=True)
        numbers = X.select_dtypes("number")
        low, high = (numbers.quantile(q) for q in ((0.25, 0.75) if self.method == "iqr" else (0.5, 0.5)))
        spread = high - low if self.method == "iqr" else (numbers - low).abs().median() / 0.6745
        reach = self.threshold * spread[spread > 0]
        self.limits_ = {str(n): [float(low[n] - reach[n]), float(high[n] + reach[n])] for n in reach.index}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        check_is_fitted(self)
        inside = {name: X[name].clip(*limits) for name, limits in self.limits_.items()}
        if self.action == "empty":
            inside = {name: X[name].where(X[name] == clipped) for name, clipped in inside.items()}
        return X.assign(**inside)
