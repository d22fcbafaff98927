"""What a class named in a YAML file can be given, read from its source without importing it.

A wrong name in a config is then an error in milliseconds, not after seconds of importing torch.
"""

import ast
import typing
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, cast

import pydantic

from deepmine.config.schema.source import File, Join

OURS = {"File": File, "Join": Join}  # what a reader's settings may be besides


class Parameter(NamedTuple):
    """An argument of a constructor or function: its annotation (`Any` where not simple); whether it must be given."""

    annotation: Any
    required: bool


def signature(target: str) -> dict[str, Parameter] | None:
    """The parameters of a class or function by its dotted name; None where it takes any (`**kwargs`).

    Raises:
        LookupError: there is no such module or name.
    """
    module, _, name = target.rpartition(".")
    found = _find(module, name)
    try:
        function = _constructor(*found)
    except LookupError:
        return {}
    arguments = function.args
    if arguments.kwarg:
        return None
    plain = arguments.posonlyargs + arguments.args
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = list(zip(plain, defaults, strict=True)) + list(
        zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    )
    return {a.arg: Parameter(_evaluate(a.annotation), default is None) for a, default in pairs if a.arg != "self"}


def _find(module: str, name: str) -> tuple[str, ast.stmt]:
    """The module and the node that define `name`, followed through `from .x import name`."""
    path = _source(module)
    for node in _parse(path).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and name in [alias.asname or alias.name for alias in node.names]:
            parts = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
            parents = parts[: len(parts) - node.level + 1] if node.level else []
            original = next(alias.name for alias in node.names if name in (alias.asname, alias.name))
            return _find(".".join([*parents, *filter(None, [node.module])]), original)
    raise LookupError(f"module {module} has no {name}")


def _source(module: str) -> Path:
    first, *rest = module.split(".")
    spec = find_spec(first) if first else None
    for place in (spec and spec.submodule_search_locations) or []:
        path = Path(place).joinpath(*rest)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    raise LookupError(f"there is no module {module}")


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _constructor(module: str, node: ast.stmt) -> ast.FunctionDef:
    """`__init__` of a class, its own or that of the first base that has one; a function is its own."""
    if isinstance(node, ast.FunctionDef):
        return node
    assert isinstance(node, ast.ClassDef)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        fields = [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
        return cast(ast.FunctionDef, ast.parse(f"def __init__({', '.join(fields)}): ...").body[0])
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return item
    for base in [base.id for base in node.bases if isinstance(base, ast.Name)]:
        try:
            return _constructor(*_find(module, base))
        except LookupError:  # none that is written in Python here, or none with an __init__
            continue
    raise LookupError(f"{node.name} has no __init__")


def _evaluate(annotation: ast.expr | None) -> Any:
    if annotation is None:
        return Any
    try:
        return eval(ast.unparse(annotation), vars(typing) | vars(pydantic.types) | OURS)
    except (NameError, TypeError, SyntaxError):  # a type of the module's own: anything goes here
        return Any
