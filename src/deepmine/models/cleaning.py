"""Cleaning of tables that is learned from the training rows: steps of the model, saved with it."""

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, PositiveFloat
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class DropColumns(TransformerMixin, BaseEstimator):
    """Drop columns in which a larger share than `max_missing` is missing, and those without any value."""

    def __init__(self, max_missing: Annotated[float, Field(ge=0, le=1)] = 1.0) -> None:
        self.max_missing = max_missing

    def fit(self, X: pd.DataFrame, y: object = None) -> "DropColumns":
        """Choose the columns. `columns_`: those that stay."""
        validate_data(self, X, skip_check_array=True)
        missing = X.isna().mean()
        self.columns_ = [str(name) for name in X.columns[(missing <= self.max_missing) & (missing < 1)]]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The columns that stay."""
        check_is_fitted(self)
        return X[self.columns_]

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """The columns that stay."""
        check_is_fitted(self)
        return np.array(self.columns_, object)


class Outliers(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Clip numbers far from the others, or set them missing; a column with no spread stays as it is.

    Args:
        method: `iqr`, beyond the quartiles by `threshold` interquartile ranges (Tukey, "Exploratory Data Analysis",
            1977; usually 1.5), or `robust_z`, from the median by `threshold` standard deviations, estimated as
            MAD / 0.6745 (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993; usually 3.5).
        action: `clip` to the limits, or `empty`, which leaves a missing value.
    """

    def __init__(
        self,
        method: Literal["iqr", "robust_z"] = "iqr",
        threshold: PositiveFloat = 3.0,
        action: Literal["clip", "empty"] = "clip",
    ) -> None:
        self.method = method
        self.threshold = threshold
        self.action = action

    def fit(self, X: pd.DataFrame, y: object = None) -> "Outliers":
        """Learn the limits. `limits_`: lower and upper limit of each column of numbers with any spread."""
        validate_data(self, X, skip_check_array=True)
        numbers = X.select_dtypes("number")
        low, high = (numbers.quantile(q) for q in ((0.25, 0.75) if self.method == "iqr" else (0.5, 0.5)))
        spread = high - low if self.method == "iqr" else (numbers - low).abs().median() / 0.6745
        reach = self.threshold * spread[spread > 0]
        self.limits_ = {str(n): [float(low[n] - reach[n]), float(high[n] + reach[n])] for n in reach.index}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The frame without outliers."""
        check_is_fitted(self)
        X = X.copy(deep=False)
        for name, limits in self.limits_.items():
            within = X[name].clip(*limits)
            X[name] = within if self.action == "clip" else X[name].where(X[name] == within)
        return X
