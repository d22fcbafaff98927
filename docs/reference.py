"""Write docs/reference/*.md from the code, where each fact has its one home; tests/test_docs.py finds a stale page.

.venv/bin/python docs/reference.py
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from deepmine import ROOT, cli, tasks
from deepmine.config import compose
from deepmine.config.schema import config, data, source
from deepmine.data import dataset
from deepmine.runs import record

FOLDER = ROOT / "docs/reference"
SCORES = "out/scores/{}.json"  # those that git keeps
TYPES = {"object": "mapping", "string": "text", "boolean": "true or false"}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
KEYS = """`make <verb> key=value` sets a key for one run; a key inside another is `data.split.seed`. The other keys of a
model are the parameters of the class that its `_target_` names; `trainer` takes those of Lightning's `Trainer`,
`preprocessing` those of its steps. `.venv/bin/deepmine train --cfg job` prints all keys as they are composed."""
METRICS = """A key is `<part>/<score>`: `val/accuracy`, `test/accuracy`, `baseline/test/accuracy`. The first score of a
task ranks its runs, by the validation rows; a score without a direction ranks nothing. How some are counted:
[comparison](../concepts/comparison.md)."""
EXPERIMENTS = """What `make repro` runs, with the score that ranks: on validation rows, on test rows, the baseline's.
`make compare` prints these for your own runs; another processor may round differently."""


def pages() -> dict[str, str]:
    """The pages that the code alone decides."""
    schema = "src/deepmine/config/schema/ and conf/config.yaml"
    modules = "src/deepmine/runs/record.py and src/deepmine/data/dataset.py"
    return {
        "config.md": page("Config keys", schema, KEYS, settings()),
        "metrics.md": page("Metrics", "src/deepmine/tasks/", METRICS, metrics()),
        "record.md": page("Files of a run and of a data set", modules, "All are plain files.", files()),
        "verbs.md": page(
            "Verbs",
            "Makefile, src/deepmine/commands/ and takeover/",
            "Typed as `make <verb> [key=value ...]`.",
            verbs(),
        ),
    }


def page(title: str, home: str, about: str, lines: Iterator[str]) -> str:
    """A page with the note where to change it; `<` outside of code would begin HTML."""
    body = re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "&lt;", "\n".join([about, *lines, ""]))
    return f"<!-- docs/reference.py writes this page from {home} -->\n\n# {title}\n\n{body}"


def settings() -> Iterator[str]:
    """Every key with its type, default and meaning: a section for each class of the schema."""
    for module in (config, data, source):
        for name, model in sorted(vars(module).items(), key=lambda item: item[0] != "Config"):
            if inspect.isclass(model) and issubclass(model, BaseModel) and model.__module__ == module.__name__:
                own = {key: entry for key, entry in keys(model).items() if entry}
                parent = (
                    f"The keys of `{model.__base__.__name__}`, and these. " if model.__base__ is source.Form else ""
                )
                head = ["| key | type | default | meaning |", "|---|---|---|---|"] if own else []
                yield "\n".join(
                    [f"\n## {name}\n\n{parent}{inspect.cleandoc(model.__doc__ or '')}\n", *head, *own.values()]
                )


def keys(model: type[BaseModel]) -> dict[str, str]:
    """The row of each key that a class adds to its parent; notes of conf/config.yaml come first."""
    group = {config.Config: (), config.Data: ("data",), config.Paths: ("paths",)}.get(model, ("-",))
    defaults: Any = yaml.safe_load((ROOT / "conf/config.yaml").read_text())
    for part in group:
        defaults = defaults.get(part, {})
    meaning = {key[-1]: text for key, text in yaml_comments().items() if key[:-1] == group}
    required = model.model_json_schema(by_alias=True).get("required", []) if model is not config.Config else []
    rows = {}
    for name, entry in model.model_json_schema(by_alias=True)["properties"].items():
        if (field := name.strip("_")) in model.__annotations__:
            value = defaults.get(name, entry.get("default", {}))
            default = "" if isinstance(value, dict) else f"`{json.dumps(value)}`"
            default = "required" if name in set(required) - set(defaults) else default
            note = meaning.get(name) or class_comments(model).get(field, "")
            rows[name] = f"| `{name}` | {kind(entry)} | {default} | {note} |"
    return rows


def kind(entry: dict[str, Any]) -> str:
    """A JSON schema in words."""
    if "$ref" in entry:
        name = entry["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(kind(member) for member in entry["anyOf"]))
    if values := entry.get("enum", [entry["const"]] if "const" in entry else []):
        return ", ".join(f"`{value}`" for value in values)
    if "items" in entry:
        return f"list of {kind(entry['items'])}"
    if isinstance(values := entry.get("additionalProperties"), dict):
        return f"mapping to {kind(values)}"
    word = entry.get("type", "anything")
    return " ".join([TYPES.get(word, word), *(f"{sign} {entry[key]}" for key, sign in LIMITS.items() if key in entry)])


def class_comments(model: type[BaseModel]) -> dict[str, str]:
    """The comment beside each field of a class."""
    text = inspect.getsource(model)
    fields = [node for node in ast.parse(text).body[0].body if isinstance(node, ast.AnnAssign)]  # type: ignore[attr-defined]
    rest = {ast.unparse(node.target): text.splitlines()[node.end_lineno - 1][node.end_col_offset :] for node in fields}
    return {name: cell(after.partition("#")[2]) for name, after in rest.items()}


def yaml_comments() -> dict[tuple[str, ...], str]:
    """The comment beside each key of conf/config.yaml, or above it."""
    notes, parent, above = {}, "", ""
    for line in (ROOT / "conf/config.yaml").read_text().partition("\nseed:")[2].join(["seed:", ""]).splitlines():
        key, _, comment = line.partition("#")
        if name := key.partition(":")[0].strip(' "'):
            parent = parent if line.startswith(" ") else name
            notes[(parent, name) if line.startswith(" ") else (name,)] = cell(comment or above).rstrip(",")
        above = f"{above} {comment}" if comment and not name else ""
    return notes


def cell(text: str) -> str:
    """Text in one line of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def metrics() -> Iterator[str]:
    """Every score of every task, in its order."""
    for name in config.TASKS:
        yield f"\n## {name}\n\n| score | better |\n|---|---|"
        for score, better in tasks.find(name).directions.items():
            yield f"| `{score}` | { {True: 'higher', False: 'lower', None: 'no direction'}[better] } |"


def files() -> Iterator[str]:
    """What the modules that write them say."""
    table = re.sub(r"^(\S[\w./, ]*?)  +(.*?)  +(\w+)$", r"| `\1` | \2 | \3 |", record.__doc__ or "", flags=re.MULTILINE)
    table = table.replace("\n\n| ", "\n\n| file | content | written by |\n|---|---|---|\n| ", 1)
    yield f"\n## A run\n\n{table}\n## A data set\n\n{(dataset.__doc__ or '').strip()}"


def verbs() -> Iterator[str]:
    """What `make` offers, then what each verb's own module says."""
    yield "\n| verb | what it does |\n|---|---|"
    for name, what in re.findall(r"^([a-z-]+):[^#\n]*# (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE):
        yield f"| `make {name}` | {cell(what)} |"
    for name, said in sorted({**cli.verbs(), **cli.verbs(ROOT / "takeover")}.items()):
        shell = re.sub(r"((?:^make .*\n)+)", r"```sh\n\1```\n", said.strip() + "\n", flags=re.MULTILINE)
        yield f"\n## {name}\n\n{shell.strip()}"


def experiments() -> Iterator[str]:
    """conf/pipeline.yaml with the scores in out/scores, best first; a table for what may be compared."""
    tables: dict[str, list[tuple[float, str]]] = {}
    for name in compose.pipeline()["experiments"]:
        cfg, found = compose.compose(f"experiment={name}"), ROOT / SCORES.format(name)
        task, scores = tasks.find(cfg.task), json.loads(found.read_text()) if found.is_file() else {}
        first = task.columns[0]
        after = f" after {', '.join(cfg.steps)}" if task.in_transformed_space else ""
        cells = [
            f"{scores[key]:.3f}" if key in scores else ""
            for key in (f"val/{first}", f"test/{first}", f"baseline/test/{first}")
        ]
        rank = scores.get(f"val/{first}", 0) * (-1 if task.directions[first] else 1)
        table = tables.setdefault(f"{cfg.choices.data}, {cfg.task}{after}: {first.replace('_', ' ')}", [])
        table.append((rank, f"| `{name}` | {cfg.choices.model} | {' | '.join(cells)} |"))
    for title, rows in sorted(tables.items()):
        yield f"\n## {title}\n\n| experiment | model | val | test | baseline |\n|---|---|---:|---:|---:|"
        yield from (row for _, row in sorted(rows))


def main() -> None:
    """Write the pages; with `--check` only name those that the code alone decides and that are stale."""
    if "--check" in sys.argv:
        stale = [name for name, text in pages().items() if (FOLDER / name).read_text("utf-8") != text]
        sys.exit(f"{', '.join(stale)} is stale. Write it again: .venv/bin/python docs/reference.py" if stale else 0)
    written = {**pages(), "experiments.md": page("Experiments", "conf/pipeline.yaml", EXPERIMENTS, experiments())}
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
