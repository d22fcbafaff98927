"""Every example as one row of a table, so that one contract and one report serve every kind of data."""

from hashlib import blake2b
from itertools import pairwise
from typing import Any
from unicodedata import category

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from deepmine.data.raw import Raw


def describe(raw: Raw, target: str | None = None) -> pd.DataFrame:
    """A row for each example, indexed by row id, with the target last: a table as it is, of other kinds measures.

    All but tables have `content`, a hash that is equal for equal examples; the rest depends on the kind (`_measures`).
    """
    if isinstance(raw.X, pd.DataFrame):
        frame = raw.X.copy(deep=False)
    else:
        frame = pd.DataFrame({"content": hashes(raw.X), **_measures(raw.X, raw.facts.get("columns"))})
    if raw.y is not None:
        frame[target or "target"] = raw.y.astype(float) if raw.y.dtype.kind in "biuf" else pd.array(raw.y, dtype="str")
    return frame.set_axis(pd.Index(raw.rows, dtype="str" if raw.rows.dtype.kind == "U" else None))


def hashes(X: Any) -> NDArray:
    """A hash of each row of a table or array; equal rows have equal hashes."""
    if isinstance(X, pd.DataFrame):
        return pd.util.hash_pandas_object(X, index=False).to_numpy()
    if sparse.issparse(X):
        X = X.tocsr().sorted_indices()
        buffers: Any = (X.indices[start:end] for start, end in pairwise(X.indptr))
    else:
        buffers = map(str.encode, X.tolist()) if X.ndim == 1 else np.ascontiguousarray(X)
    return np.array([blake2b(buffer, digest_size=8).hexdigest() for buffer in buffers])


def _measures(X: Any, columns: Any) -> dict[str, Any]:
    if sparse.issparse(X):
        return {"items": np.diff(X.tocsr().indptr).astype(float)}
    if X.ndim == 1:
        kinds = [" ".join(sorted(set(map(category, text)))) for text in X]  # "Ll Lu Zs": unicode.org/reports/tr44
        return {"length": np.char.str_len(X).astype(float), "characters": kinds}
    if X.ndim == 4:
        flat = X.reshape(len(X), -1)
        shape = dict(zip(("channels", "height", "width"), map(float, X.shape[1:]), strict=True))
        return {**shape, "darkest": flat.min(1) * 1.0, "brightest": flat.max(1) * 1.0, "mean": flat.mean(1)}
    steps = (~np.isnan(X)).any(2).sum(1)
    of = {"min": np.fmin.reduce(X, 1), "max": np.fmax.reduce(X, 1), "mean": np.nansum(X, 1) / steps[:, None]}
    names = enumerate(columns or range(X.shape[2]))
    return {"steps": steps * 1.0, **{f"{name}_{key}": of[key][:, n].astype(float) for n, name in names for key in of}}
