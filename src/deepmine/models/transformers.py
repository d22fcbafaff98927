"""Steps before a model: from the arrays of a data set to what the model takes."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import PositiveInt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted


class Stateless(TransformerMixin, BaseEstimator):
    """A step with nothing to learn."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "Stateless":
        """Nothing to do."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True


class Flatten(Stateless):
    """Each row to one line of numbers: `(n, ...)` to `(n, features)`."""

    def transform(self, X: ArrayLike) -> NDArray:
        """Reshape, without a copy where NumPy can."""
        X = np.asarray(X)
        return X.reshape(len(X), -1)


class PixelScaler(Stateless):
    """Grey or colour values 0 to 255 to float32 between 0 and 1, in the same shape."""

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Divide by 255."""
        return np.asarray(X, np.float32) / np.float32(255)


class Sequences(TransformerMixin, BaseEstimator):
    """A step that takes sequences `(n, steps, features)`, NaN after the end of a shorter one."""

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may test it with."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array, tags.input_tags.allow_nan = False, True, True
        return tags

    def _sequences(self, X: ArrayLike, reset: bool = False) -> NDArray[np.float64]:
        """Check the shape; the number of features is learned with `reset`, and must be the same afterwards."""
        X = np.asarray(X, np.float64)
        if X.ndim != 3 or 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}, wanted (n, steps, features)")
        if reset:
            self.n_features_in_ = X.shape[2]
        check_is_fitted(self, "n_features_in_")
        if X.shape[2] != self.n_features_in_:
            raise ValueError(f"X has {X.shape[2]} features, but {type(self).__name__} expects {self.n_features_in_}")
        if np.isnan(X[:, 0]).any():
            raise ValueError("a sequence has no first step")
        return X


class SequenceScaler(Sequences):
    """Each feature to mean 0 and variance 1 over all steps of the training rows; the padding stays NaN."""

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "SequenceScaler":
        """Learn the mean and the standard deviation of each feature."""
        X = self._sequences(X, reset=True)
        self.scaler_ = StandardScaler().fit(X.reshape(-1, X.shape[2]))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Float32 in the same shape."""
        X = self._sequences(X)
        return self.scaler_.transform(X.reshape(-1, X.shape[2])).reshape(X.shape).astype(np.float32)


class SequenceSummary(Sequences):
    """Each sequence to one line of numbers: `(n, steps, features)` to `(n, statistics of each feature)`.

    Args:
        statistics: of each feature: `mean`, `std` (of all steps, not of a sample), `min`, `max`, `first`, `last`,
            `slope` (least squares, per step; 0 for one step) and `values` (every step, for sequences of one length);
            of the sequence: `length`, in steps.
    """

    def __init__(
        self, statistics: Sequence[str] = ("mean", "std", "min", "max", "first", "last", "slope", "length")
    ) -> None:
        self.statistics = statistics

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "SequenceSummary":
        """Learn the shape."""
        self.steps_ = self._sequences(X, reset=True).shape[1]
        if unknown := set(self.statistics) - {*_STATISTICS, "values", "length"}:
            valid = ", ".join([*_STATISTICS, "values", "length"])
            raise ValueError(f"there is no statistic {sorted(unknown)}; there are {valid}")
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """The statistics in their order, each of all features."""
        X = self._sequences(X)
        return np.concatenate([self._statistic(name, X) for name in self.statistics], axis=1)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """`mean_x0`, `mean_x1`, ..., or with the features' own names."""
        check_is_fitted(self)
        features = [f"x{i}" for i in range(self.n_features_in_)] if input_features is None else list(input_features)
        names = {"values": [f"step{t}_{f}" for t in range(self.steps_) for f in features], "length": ["length"]}
        return np.array([n for s in self.statistics for n in names.get(s, [f"{s}_{f}" for f in features])], object)

    def _statistic(self, name: str, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """One statistic, `(n, its columns)`."""
        if name == "values":
            if X.shape[1] != self.steps_ or np.isnan(X).any():
                raise ValueError(f"`values` wants sequences of {self.steps_} steps, all of the same length")
            return X.reshape(len(X), -1)
        lengths = (~np.isnan(X).any(axis=2)).sum(axis=1)
        return lengths[:, None].astype(float) if name == "length" else _STATISTICS[name](X, lengths)


def _slope(X: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Least squares over the steps that are there: sum of (t - mean t) x, divided by sum of (t - mean t) squared."""
    t = np.where(np.isnan(X), np.nan, np.arange(X.shape[1])[:, None]) - (lengths[:, None, None] - 1) / 2
    return np.nansum(t * X, axis=1) / np.maximum(np.nansum(t**2, axis=1), np.finfo(float).tiny)


_STATISTICS = {  # of sequences and their lengths
    "mean": lambda X, _: np.nanmean(X, axis=1),
    "std": lambda X, _: np.nanstd(X, axis=1),
    "min": lambda X, _: np.nanmin(X, axis=1),
    "max": lambda X, _: np.nanmax(X, axis=1),
    "first": lambda X, _: X[:, 0],
    "last": lambda X, lengths: X[np.arange(len(X)), lengths - 1],
    "slope": _slope,
}


class Texts(TransformerMixin, BaseEstimator):
    """A step that takes texts `(n,)`."""

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may test it with."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = False, True, True
        return tags

    def _texts(self, X: ArrayLike) -> list[str]:
        X = np.asarray(X)
        if X.ndim != 1 or len(X) == 0 or not all(isinstance(text, str) for text in X):
            raise ValueError(f"X is {X.dtype} of shape {X.shape}, wanted texts (n,)")
        return X.tolist()


class TextEncoder(Texts):
    """Each text to the sequence of its characters or words, one-hot: `(n,)` to `(n, steps, vocabulary)`.

    A unit that is not in the vocabulary is a step of zeros; an empty text is one such step. NaN after the end of a
    shorter text.

    Args:
        unit: `characters`, or `words`, which are separated by white space.
        max_length: steps that are kept of a text; None: as many as the longest text in `fit` has.
        max_vocabulary: the most frequent units are kept; None: all. A step takes 4 bytes for each.

    Attributes:
        vocabulary_: the units, sorted, in the order of the columns.
        steps_: of every text.
    """

    def __init__(
        self,
        unit: Literal["characters", "words"] = "characters",
        max_length: PositiveInt | None = None,
        max_vocabulary: PositiveInt | None = None,
    ) -> None:
        self.unit = unit
        self.max_length = max_length
        self.max_vocabulary = max_vocabulary

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "TextEncoder":
        """Learn the vocabulary, and the number of steps where it is not given."""
        if self.unit not in ("characters", "words"):
            raise ValueError(f"unit is {self.unit!r}, wanted 'characters' or 'words'")
        texts = [self._units(text) for text in self._texts(X)]
        counts = sorted(Counter(unit for text in texts for unit in text).items(), key=lambda item: (-item[1], item[0]))
        if not counts:
            raise ValueError("all texts are empty")
        self.vocabulary_ = sorted(unit for unit, _ in counts[: self.max_vocabulary])
        self.steps_ = self.max_length or max(map(len, texts))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Float32 `(n, steps_, len(vocabulary_))`; what is longer is cut."""
        check_is_fitted(self)
        texts = [self._units(text)[: self.steps_] for text in self._texts(X)]
        columns = {unit: column for column, unit in enumerate(self.vocabulary_)}
        encoded = np.full((len(texts), self.steps_, len(columns)), np.nan, np.float32)
        for row, text in zip(encoded, texts, strict=True):
            row[: max(1, len(text))] = 0
            for step, unit in enumerate(text):
                if unit in columns:
                    row[step, columns[unit]] = 1
        return encoded

    def _units(self, text: str) -> Sequence[str]:
        return text if self.unit == "characters" else text.split()


class TextCounts(Texts):
    """How often each run of characters or words occurs, weighted by how rare it is: `(n,)` to `(n, runs)`.

    scikit-learn's `TfidfVectorizer`, as a dense array, which every estimator takes. Runs of characters stay inside
    words, and a space marks where a word begins and ends.

    Args:
        unit: `characters` or `words`.
        shortest: units of the shortest run.
        longest: units of the longest run.
        max_features: the most frequent runs are kept; None: all.
    """

    def __init__(
        self,
        unit: Literal["characters", "words"] = "characters",
        shortest: PositiveInt = 1,
        longest: PositiveInt = 3,
        max_features: PositiveInt | None = 2000,
    ) -> None:
        self.unit = unit
        self.shortest = shortest
        self.longest = longest
        self.max_features = max_features

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "TextCounts":
        """Learn the runs and how rare they are."""
        analyzer = {"characters": "char_wb", "words": "word"}.get(self.unit)
        if analyzer is None:
            raise ValueError(f"unit is {self.unit!r}, wanted 'characters' or 'words'")
        lengths = (self.shortest, self.longest)
        self.vectorizer_ = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, max_features=self.max_features)
        self.vectorizer_.fit(self._texts(X))
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Float32 `(n, runs)`, each row of length 1."""
        check_is_fitted(self)
        return self.vectorizer_.transform(self._texts(X)).astype(np.float32).toarray()

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The runs."""
        check_is_fitted(self)
        return self.vectorizer_.get_feature_names_out()
