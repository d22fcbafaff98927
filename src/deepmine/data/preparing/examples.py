"""Every example as one row of a table, so that one contract and one report serve every kind of data."""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from deepmine.data.raw import Raw


def describe(raw: Raw, target: str | None = None) -> pd.DataFrame:
    """A row for each example, indexed by row id, with the target as the last column.

    A table stays as it is. Images: channels, height, width, darkest, brightest and mean value. Sequences: steps, and
    the minimum, maximum and mean of each feature. Texts: length and kinds of characters. Baskets: number of items.
    All but tables: `content`, a hash that is equal for equal examples.
    """
    index = pd.Index(raw.rows, dtype="str" if raw.rows.dtype.kind == "U" else None)
    if isinstance(raw.X, pd.DataFrame):
        frame = raw.X.set_axis(index)
    else:
        digests = [blake2b(content, digest_size=8).hexdigest() for content in contents(raw.X)]
        measures = {"content": pd.array(digests, dtype="str"), **_measures(raw.X, raw.facts.get("columns"))}
        frame = pd.DataFrame(measures, index=index)
    if raw.y is None:
        return frame
    y = raw.y.astype(float) if raw.y.dtype.kind in "biuf" else pd.array(raw.y, dtype="str")
    return frame.assign(**{target or "target": y})


def contents(X: Any) -> Iterable[Any]:
    """The content of each example of an array as a buffer of bytes; equal examples give equal bytes."""
    if sparse.issparse(X):
        X = X.tocsr().sorted_indices()
        return (X.indices[start:end] for start, end in pairwise(X.indptr))
    return map(str.encode, X.tolist()) if X.ndim == 1 else np.ascontiguousarray(X)


def _measures(X: Any, columns: Any) -> dict[str, Any]:
    if sparse.issparse(X):
        return {"items": np.diff(X.tocsr().indptr).astype(float)}
    if X.ndim == 1:
        texts = pd.Series(X, dtype="str")
        return {"length": texts.str.len().to_numpy(float), "characters": _characters(texts).array}
    if X.ndim == 4:
        flat = X.reshape(len(X), -1)
        shape = dict(zip(("channels", "height", "width"), map(float, X.shape[1:]), strict=True))
        return {**shape, "darkest": flat.min(1) * 1.0, "brightest": flat.max(1) * 1.0, "mean": flat.mean(1)}
    steps = (~np.isnan(X)).any(2).sum(1)
    of = {"min": np.fmin.reduce(X, 1), "max": np.fmax.reduce(X, 1), "mean": np.nansum(X, 1) / steps[:, None]}
    names = [str(name) for name in columns or range(X.shape[2])]
    values = {f"{name}_{key}": of[key][:, n].astype(float) for n, name in enumerate(names) for key in of}
    return {"steps": steps.astype(float), **values}


def _characters(texts: pd.Series) -> pd.Series:
    """The kinds of characters in each text, such as `upper lower blanks`."""
    kinds = {
        "upper": texts != texts.str.lower(),
        "lower": texts != texts.str.upper(),
        "digits": texts.str.contains(r"\d"),
        "blanks": texts.str.contains(r"\s"),
        "signs": texts.str.contains(r"[^\w\s]"),
    }
    held = sum((has.map({True: f" {kind}", False: ""}) for kind, has in kinds.items()), pd.Series("", texts.index))
    return held.astype("str").str.strip()
