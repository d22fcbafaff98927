"""Which classes YAML and model files may name: names are checked as text, then by kind before anything is built.

In `trusted`, a package (`lightgbm.`) adds its estimators, and for model files its other public classes, as their parts;
a full name (no dot at its end) is accepted whatever it is.
"""

import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from deepmine.config.errors import UserError

PACKAGES = ("deepmine.", "sklearn.", "skrub.", "torch.nn.", "torch.optim.", "pytorch_lightning.callbacks.")
READER = re.compile(r"deepmine\.data\.readers\.[a-z]\w*\.read")  # a new file in that folder is a reader by existing
PUBLIC = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+")  # no part starts with an underscore
EXPERIMENTAL = "sklearn.impute._iterative.IterativeImputer"  # its public name needs another import first
UNSAFE = {"memory", "input"}  # joblib unpickles what is in `memory`; vectorizers open the files that their texts name

# Kinds are names of base classes, classes and whole modules, so that a check imports neither torch nor scikit-learn.
SAVED = {
    "sklearn.base.BaseEstimator",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.gaussian_process.kernels.Kernel",
    *(f"sklearn.{module}" for module in ("metrics._dist_metrics", "neighbors._ball_tree", "neighbors._kd_tree")),
    "skrub.selectors._base.Selector",
    "deepmine.models.augment",
}
BUILT = SAVED | {"torch.nn.modules.module.Module", "torch.optim.optimizer.Optimizer"}
BUILT |= {"pytorch_lightning.callbacks.callback.Callback"}
HELPERS = {  # parts of fitted estimators that skops does not trust by itself; the functions look at a column, no more
    "collections.OrderedDict",
    "numpy.dtype",
    *(f"skrub._dataframe._common.is_{kind}" for kind in ("any_date", "categorical", "numeric")),
    *(f"skrub._table_vectorizer.{name}" for name in ("ShortReprDict", "_created_by_predicate")),
    "skrub.selectors._selectors._cardinality_below",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.impute._iterative._ImputerTriplet",
    "sklearn.tree._tree.Tree",
}
loading: ContextVar[Sequence[str]] = ContextVar("loading", default=())  # `trusted`, while a model file is loaded


def check_config(node: Any, key: str, trusted: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each mapping with a `_target_`, and its place, once its name and its keys are checked."""
    if isinstance(node, Mapping) and "_target_" in node:
        name, ours = node["_target_"], {"_target_", *(("_tasks_", "_takes_") if key == "model" else ())}
        if key == "data.source" and name not in trusted and not READER.fullmatch(str(name)):
            raise UserError(f"`{key}` names {name}, which is not a reader: deepmine.data.readers.<module>.read.")
        check_name(name, trusted, key)
        for wrong in [k for k in node if k in UNSAFE or (str(k).startswith("_") and k not in ours)]:
            raise UserError(f"`{key}.{wrong}` may not be set: a config could run code or read any file with it.")
        yield key, node
    items = enumerate(node) if isinstance(node, Sequence) and not isinstance(node, str) else ()
    for name, child in node.items() if isinstance(node, Mapping) else items:
        yield from check_config(child, f"{key}.{name}", trusted)


def check_name(name: Any, trusted: Sequence[str], place: object) -> None:
    """Raise `UserError` unless a name is a public one of a trusted package, or is in `trusted` in full."""
    packages = PACKAGES + tuple(entry for entry in trusted if entry.endswith("."))
    if name not in (EXPERIMENTAL, *trusted) and not (PUBLIC.fullmatch(str(name)) and str(name).startswith(packages)):
        raise UserError(
            f"`{place}` names {name}, which is not trusted: it must be a public name that starts with "
            f"{', '.join(packages).removesuffix('.')}. If you know the package, add it to `trusted` in conf/config.yaml: "
            f"`trusted: [{', '.join([*trusted, str(name).partition('.')[0]])}.]`."
        )


def resolve(name: str, trusted: Sequence[str], place: object, kinds: set[str] = BUILT) -> Any:
    """Import what a checked name stands for; raise `UserError` if it is not a class of these kinds."""
    try:
        found = pkgutil.resolve_name(":".join(name.rsplit(".", 1)))
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"`{place}` names {name}, which cannot be imported: {error}.") from None
    bases = {f"{base.__module__}.{base.__qualname__}" for base in getattr(found, "__mro__", ())}  # empty: not a class
    if bases and not name.startswith(PACKAGES) and found.__module__.partition(".")[0] == name.partition(".")[0]:
        part = kinds is SAVED and not found.__name__.startswith("_")
        bases |= kinds if part or {"fit", "get_params"} <= set(dir(found)) else set()  # a class of a package of yours
    if name not in trusted and not (bases and (bases | {found.__module__}) & kinds):
        raise UserError(f"`{place}` names {name}, which is not an estimator, network or optimizer class.")
    return found


def check_saved(names: list[str], trusted: Sequence[str], path: Path) -> list[str]:
    """The types in a model file; `UserError` unless all are estimators of trusted packages, or parts of them."""
    refused = []
    for name in sorted(set(names) - HELPERS - set(trusted)):
        try:
            check_name(re.sub(r"\._(?!_)", ".", name), trusted, path)  # saved under private modules: `tree._classes`
            resolve(name, trusted, path, SAVED)
        except UserError:
            refused.append(name)
    if refused:
        raise UserError(
            f"{path} holds types that are not trusted. If you trained this model yourself, put into conf/config.yaml\n"
            f"  trusted: [{', '.join([*trusted, *refused])}]\n"
            f"and go on without a second fit: make evaluate run={path.parent}"
        )
    return names
