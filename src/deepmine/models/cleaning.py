"""Cleaning of tables that is learned from the training rows: a step of the model, saved with it."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd
from pydantic import PositiveFloat
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


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
