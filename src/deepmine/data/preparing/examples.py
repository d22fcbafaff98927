"""Facts about examples of any kind, one row each, so that one mechanism checks tables, images, sequences and texts."""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from deepmine.data.raw import Raw


def describe(raw: Raw, target: str | None = None) -> pd.DataFrame:
    """One row per example with what a contract can hold, indexed by row id: a table as it is, of other kinds facts.

    Images: channels, height, width, darkest, brightest and mean value. Sequences: steps, and the least, largest and
    mean value of each feature. Texts: length, and the kinds of characters. Baskets: number of items. All of these:
    `content`, a hash, the same where two examples are.

    Args:
        raw: what a reader gave.
        target: the name of the target's column; None: `target`.
    """
    index = pd.Index(raw.rows, dtype="str" if raw.rows.dtype.kind == "U" else None)
    if isinstance(raw.X, pd.DataFrame):
        frame = raw.X.set_axis(index)
    else:
        digests = [blake2b(content, digest_size=8).hexdigest() for content in contents(raw.X)]
        facts = {"content": pd.array(digests, dtype="str"), **_facts(raw.X, raw.facts.get("columns"))}
        frame = pd.DataFrame(facts, index=index)
    if raw.y is None:
        return frame
    y = raw.y.astype(float) if raw.y.dtype.kind in "biuf" else pd.array(raw.y, dtype="str")
    return frame.assign(**{target or "target": y})


def _facts(X: Any, columns: Any) -> dict[str, Any]:
    """Numbers about each example of an array, by its kind, which its dimensions tell."""
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
    facts = {"steps": steps.astype(float)}
    of = {"min": np.fmin.reduce(X, 1), "max": np.fmax.reduce(X, 1), "mean": np.nansum(X, 1) / steps[:, None]}
    for number, name in enumerate(columns or range(X.shape[2])):
        facts |= {f"{name}_{fact}": values[:, number].astype(float) for fact, values in of.items()}
    return facts


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


def contents(X: Any) -> Iterable[Any]:
    """What each example of an array holds, as something that bytes are made of; equal ones give equal bytes."""
    if sparse.issparse(X):
        X = X.tocsr().sorted_indices()
        return (X.indices[start:end] for start, end in pairwise(X.indptr))
    return map(str.encode, X.tolist()) if X.ndim == 1 else np.ascontiguousarray(X)
