"""Two runs differ: what did it? `a` is built again with one thing of `b` at a time, and with three seeds for the noise.

make why a=out/runs/titanic_tree b=out/adhoc/titanic-tree-20260101-120000-abcd
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from deepmine import tasks
from deepmine.commands import evaluate
from deepmine.config.errors import UserError
from deepmine.runs import rebuild
from deepmine.runs.record import Record

SEEDS = 3
TAKES = {"random_state": "seed", "n_jobs": "threads"}  # where a model takes the settings of a run
Scores = Mapping[str, float]


def main(cfg: DictConfig) -> None:
    """Print how far each thing alone moves the first score of the task, on validation and test rows."""
    a, b = rebuild.find(cfg.a, cfg), rebuild.find(cfg.b, cfg)
    kinds = [f"{run.config['task']} of {run.config['choices']['data']}" for run in (a, b)]
    if kinds[0] != kinds[1]:
        raise UserError(f"Only runs of the same task on the same data set differ by a cause; these are {kinds}.")
    for run in (a, b):
        rebuild.agree(run, cfg.yes)
    found, around = dict(differences(a, b)), rebuild.differences(a.provenance, b.provenance)
    if cfg.env == "exact" and a.provenance["lock"] != b.provenance["lock"]:
        found["environment"] = ", ".join(around)
    for name, how in found.items():
        print(f"{name}: {how}")
    if around and "environment" not in found:
        print(f"environment, the same for all that is built now: {', '.join(around)}")
    if not found:
        print("Nothing else differs.")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        rebuild.environment(a, cfg.env) as first,
        rebuild.environment(b, cfg.env) as second,
    ):

        def build(taken: str = "", more: int = 0) -> Scores:
            its = defaultdict(lambda: a, {taken: b})
            seed, threads = its["seed"].config["seed"] + more, its["threads"].config["threads"]
            print(f"building a with {taken and f'the {taken} of b, '}seed {seed}", flush=True)
            settings = numbered(its["config"].config, seed, threads)
            place, python = Path(folder, f"{taken}-{more}"), second if taken == "environment" else first
            return rebuild.rebuild(place, python, its["code"], its["data"], settings, cfg.trusted).metrics

        start, built = build(), {name: build(name) for name in found}
        seeds = [start, *(build(more=more) for more in range(1, SEEDS))]
    table = moved(a, b, built, seeds)
    evaluate.print_table("What is taken from b, and how far that alone moves the scores of a", table)


def differences(a: Record, b: Record) -> Iterator[tuple[str, str]]:
    """What can be taken from `b` alone, cheapest first, and how it differs."""
    for name in TAKES.values():
        if a.config[name] != b.config[name]:
            yield name, f"{a.config[name]} -> {b.config[name]}"
    flat = [pd.json_normalize({**numbered(run.config, 0, 1), "choices": None}).iloc[0].to_dict() for run in (a, b)]
    before, after = ({str(key): repr(value) for key, value in settings.items()} for settings in flat)
    if keys := sorted({key for key, _ in before.items() ^ after.items()}):
        yield "config", ", ".join(f"{key} {before.get(key)} -> {after.get(key)}" for key in keys)
    if (raw := [run.provenance["data"]["raw"] for run in (a, b)])[0] != raw[1]:
        yield "data", f"{raw[0]} -> {raw[1]}"
    if files := rebuild.changed_code(a, b):
        yield "code", ", ".join(files)


def numbered(settings: Any, seed: int, threads: int) -> Any:
    """The settings of a run with another seed and number of threads, also where its steps and model take them."""
    before, after = {name: settings[name] for name in TAKES.values()}, {"seed": seed, "threads": threads}

    def follow(node: Any) -> Any:
        if isinstance(node, list):
            return [follow(item) for item in node]
        if not isinstance(node, dict):
            return node
        taken = {key: after[name] for key, name in TAKES.items() if key in node and node[key] == before[name]}
        return {key: follow(value) for key, value in node.items()} | taken

    return follow(settings) | after


def moved(a: Record, b: Record, built: Mapping[str, Scores], seeds: Sequence[Scores]) -> pd.DataFrame:
    """A row for each thing: how far the scores are from those of `a` built now, `seeds[0]`, and what that says."""
    first, start = next(iter(tasks.find(a.config["task"]).directions)), seeds[0]
    keys = [key for key in (f"val/{first}", f"test/{first}") if key in start]
    noise = {key: max(run[key] for run in seeds) - min(run[key] for run in seeds) for key in keys}

    def judged(scores: Scores) -> str:
        if scores == start:
            return "changes nothing"
        if scores == b.metrics:
            return "alone gives the scores of b"
        near = all(abs(scores[key] - start[key]) <= noise[key] for key in keys)
        return "within the noise of the seed" if near else "moves the scores"

    said = {name: judged(scores) for name, scores in built.items()}
    said["a, as recorded"] = "" if a.metrics == start else "not repeated here: another environment or processor"
    all_scores = {**built, "a, as recorded": a.metrics, "b, as recorded": b.metrics}
    rows = {name: {key: f"{scores[key] - start[key]:+.4f}" for key in keys} for name, scores in all_scores.items()}
    rows[f"{len(seeds)} seeds of a"] = {key: f"±{noise[key]:.4f}" for key in keys}
    return pd.DataFrame.from_dict(rows, orient="index").assign(says=pd.Series(said)).fillna("").rename_axis("taken")
