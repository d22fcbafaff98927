"""The model contract: a scikit-learn Pipeline, whatever is in it, built from config and saved without pickle."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import cloudpickle
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from deepmine.config import trust
from deepmine.config.errors import UserError
from deepmine.config.schema.config import SUPERVISED
from deepmine.data import folders
from deepmine.data.dataset import Part
from deepmine.models import outside

OURS = ("_target_", "_takes_", "_tasks_")  # keys that are no arguments
TORCH_ARRAYS = "sklearn.externals.array_api_compat.torch"
sys.modules.setdefault(TORCH_ARRAYS, None)  # type: ignore[arg-type]  # skops imports all of scikit-learn: without torch
import skops.io  # noqa: E402                                         # that takes 0.3 s instead of 1.3 s

if sys.modules[TORCH_ARRAYS] is None:
    del sys.modules[TORCH_ARRAYS]


def build(steps: Mapping[str, Any], model: Mapping[str, Any], trusted: Sequence[str] = ()) -> Pipeline:
    """The pipeline that a config describes, not fitted; each class is checked before anything is called."""
    nodes = [*trust.check_config(steps, "steps", trusted), *trust.check_config(model, "model", trusted)]
    classes = {node["_target_"]: trust.resolve(node["_target_"], trusted, key) for key, node in nodes}
    made = [(name, _create(node, classes)) for name, node in steps.items() if node is not None]
    pipeline = Pipeline([*made, ("model", outside.adapted(_create(model, classes)))])
    for name, estimator in pipeline.get_params().items():  # the steps, and the estimators inside them
        if hasattr(estimator, "_parameter_constraints"):
            for key, allowed in estimator._parameter_constraints.items():
                if tuple in list(allowed) and isinstance(value := getattr(estimator, key), list):
                    setattr(estimator, key, tuple(value))  # YAML has no tuples
            try:
                estimator._validate_params()
            except ValueError as error:
                place = ("" if name.startswith("model") else "steps.") + name.replace("__", ".")
                raise UserError(f"{error} (`{place}`)") from None
    return pipeline


def _create(node: Any, classes: Mapping[str, type]) -> Any:
    if isinstance(node, Mapping):
        values = {key: _create(value, classes) for key, value in node.items() if key not in OURS}
        return classes[node["_target_"]](**values) if "_target_" in node else values
    return [_create(item, classes) for item in node] if isinstance(node, Sequence) and type(node) is not str else node


def fit(
    pipeline: Pipeline, task: str, train: Part, val: Part, on_epoch: Callable[..., None], checkpoint: Path | None = None
) -> None:
    """Fit as `Pipeline.fit` does, and carry an `eval_set` of validation rows through the same steps.

    Only classification and regression give the model a target; a step before it that needs one gets it for every task,
    such as a network whose features are clustered. A network calls `on_epoch(epoch, values)` after each epoch, from 1,
    and goes on from `checkpoint`, if that file exists; the steps before it, which are quick, are fitted again.
    """
    *steps, (_, model) = pipeline.steps
    X, X_val, supervised = train.X, val.X, task in SUPERVISED
    for _, step in steps:
        y = train.y if supervised or get_tags(step).target_tags.required else None
        more = outside.arguments(step, y, (X_val, val.y))
        # fit_transform, because cross-fitting encoders give the rows that they learn from other values than new rows
        X = step.fit_transform(X, y, **more) if hasattr(step, "fit_transform") else step.fit(X, y, **more).transform(X)
        X_val = step.transform(X_val)
    y, y_val = (train.y, val.y) if supervised else (None, None)
    model.fit(X, y, **outside.arguments(model, y, (X_val, y_val), on_epoch=on_epoch, checkpoint=checkpoint))


def save(pipeline: Pipeline, path: Path, trusted: Sequence[str] = ()) -> None:
    """Write a skops file, without pickle; its memory addresses become numbers, so that equal fits are equal files.

    No fit is lost: a pipeline that skops cannot write, or not read again, is kept in model.pickle.
    """
    names: dict[str, str] = {}
    try:
        dumped = skops.io.dumps(pipeline)
        _read(dumped, skops.io.get_untrusted_types(data=dumped), trusted)
    except Exception as error:  # whatever a class that is not made for it raises
        with folders.written(path.with_suffix(".pickle")) as new:
            new.write_bytes(cloudpickle.dumps(pipeline))
        print(f"{path} is not written: {error}", file=sys.stderr)
        return
    with folders.written(path) as new, ZipFile(BytesIO(dumped)) as old, ZipFile(new, "w") as archive:
        schema = re.sub(
            r'("__id__": |"file": "|"_stop_words_id": \{[^}]*"content": ")([\w-]+)',  # the last by scikit-learn's texts
            lambda found: found[1] + names.setdefault(found[2], str(len(names) + 1)),
            old.read("schema.json").decode(),
        )
        for member in old.namelist():
            name, dot, kind = member.partition(".")
            content = schema if member == "schema.json" else old.read(member)
            archive.writestr(ZipInfo(names.get(name, name) + dot + kind), content)  # ZipInfo's time is 1980
    path.with_suffix(".pickle").unlink(missing_ok=True)


def load(path: Path, trusted: Sequence[str] = ()) -> Pipeline:
    """Read a model file, also one from MLflow, after checking all its types; raise `UserError` if it is not trusted.

    MLflow's own loaders believe the list of types that a model brings with it: use this for a stranger's model.
    """
    if path.with_suffix(".pickle").is_file():
        raise UserError(
            f"{path.parent} keeps a fit that skops cannot save as model.pickle, which can run code and is not loaded. "
            "To go on without a second fit: docs/guides/outside-packages.md, `A model that cannot be saved`."
        )
    if not path.is_file():
        raise UserError(f"There is no model in {path.parent}. Train it first.")
    try:
        types = trust.check_saved(skops.io.get_untrusted_types(file=path), trusted, path)
        pipeline = _read(path.read_bytes(), types, trusted)
        assert isinstance(pipeline, Pipeline), "it holds no pipeline"
        return pipeline
    except UserError:
        raise
    except Exception as error:  # whatever a damaged file makes zipfile, NumPy or an estimator raise
        raise UserError(f"{path} is damaged or not a model file ({error}). Train again.") from error


def _read(content: bytes, types: list[str], trusted: Sequence[str]) -> Any:
    context = copy_context()
    context.run(trust.loading.set, trusted)
    return context.run(skops.io.loads, content, trusted=types)
