"""The parameters of a class or function that a config names, read by griffe from its source, without importing it."""

import typing
from functools import cache, reduce
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import griffe
import pydantic

from deepmine.config.schema import source

NAMES = vars(typing) | vars(pydantic.types) | vars(source)  # whose types pydantic can check without an import
OPEN = (griffe.ParameterKind.var_keyword, griffe.ParameterKind.var_positional)


def signature(target: str) -> dict[str, tuple[Any, bool]] | None:
    """Each parameter's type, and whether it is required; None if any is accepted; LookupError if there is no target."""
    found = _find(target)
    try:
        parameters = found.parameters if found.is_function else _constructor(found)
    except (LookupError, ImportError, griffe.GriffeError):  # a base class that is not written in Python
        return None
    if any(p.kind is OPEN[0] for p in parameters):
        return None
    return {p.name: (_type(p), p.required) for p in parameters if p.name != "self" and p.kind not in OPEN}


def _constructor(found: Any) -> Any:
    if "__init__" in found.members:
        return found.members["__init__"].parameters
    if any(decorator.callable_path == "dataclasses.dataclass" for decorator in found.decorators):
        kind, fields = griffe.ParameterKind.positional_or_keyword, found.attributes.items()
        return [griffe.Parameter(n, annotation=f.annotation, kind=kind, default=f.value) for n, f in fields]
    return next(filter(None, (_constructor(_find(base.canonical_path)) for base in found.bases)), ())


def _find(path: str) -> Any:
    """The class or function behind a name, through its imports; only `*` and `__getattr__` need a real import."""
    package, _, name = path.rpartition(".")
    module = _module(package)
    if name not in module.members and any(n == "__getattr__" or n.endswith("/*") for n in module.members):
        module = griffe.inspect(module.name, parent=module.parent)
    found = module.members.get(name)
    if found and found.is_alias and found.target_path != path:
        return _find(found.target_path)
    if not found or found.is_alias or not (found.is_class or found.is_function):
        raise LookupError(f"module {package} has no class or function {name}")
    return found


@cache
def _module(path: str) -> Any:
    *packages, name = path.split(".")
    first, *rest = [*packages, name]
    spec = find_spec(first)
    for part in rest:
        spec = spec and PathFinder.find_spec(part, spec.submodule_search_locations or ())
    if not (spec and spec.origin and spec.origin.endswith(".py")):
        raise LookupError(f"there is no module {path}")
    parent = reduce(lambda outer, inner: griffe.Module(inner, parent=outer), packages, None)  # for relative imports
    file = Path(spec.origin)
    return griffe.visit(name, file, file.read_text(encoding="utf-8"), parent=parent)


def _type(parameter: Any) -> Any:
    text = "Any" if parameter.annotation is None else str(parameter.annotation)
    try:
        return typing.get_type_hints(SimpleNamespace(__annotations__={"it": text}), NAMES, include_extras=True)["it"]
    except (NameError, TypeError, AttributeError, SyntaxError):  # it needs a class of the module's own
        return Any
