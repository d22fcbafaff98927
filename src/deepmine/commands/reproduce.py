"""Build a run again from its record, here, and compare every score: exit code 0 if all are identical or close enough.

make reproduce run=out/runs/titanic_tree
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from deepmine.commands import publish
from deepmine.config.errors import UserError
from deepmine.runs import rebuild, record
from deepmine.runs.record import Record

NET, OTHER = 0.02, 5e-4  # how far scores may move on another kind of processor: a net's, and any other model's
KIND = ("cpu", "vector_units", "device")


class Verdict(NamedTuple):
    """A score then and now; `differs` in which way."""

    score: str
    then: float
    now: float
    differs: str


def main(cfg: DictConfig) -> None:
    """Rebuild the run; its record is kept in out/reproduced/, and is a child of the first one in MLflow."""
    run = rebuild.find(cfg.run, cfg)
    rebuild.agree(run, cfg.yes)
    if cfg.env == "here":
        print(*(f"environment: {line}" for line in rebuild.differences(run)), sep="\n")
    place = Path(cfg.paths.out, "reproduced", f"{run.provenance['name']}-{datetime.now():%Y%m%d-%H%M%S}")
    with rebuild.environment(run, cfg.env) as python:
        built = rebuild.rebuild(place, python, run, run, run.config, cfg.trusted)
    record.write_json(place / "provenance.json", built.provenance | {"reproduces": run.provenance["record_id"]})
    _publish(built, cfg)
    _judge(run, built, cfg.tolerance)


def _judge(run: Record, built: Record, given: float | None) -> None:
    """Print a verdict for each score; UserError: one differs."""
    same_kind = all(run.provenance.get(key) == built.provenance[key] for key in KIND)
    expected = 0.0 if same_kind else NET if built.provenance["device"] else OTHER
    tolerance = expected if given is None else given
    found = verdicts(run.metrics, built.metrics, tolerance)
    for one in found:
        print(f"{one.score:<40} {one.then:>12.6g} {one.now:>12.6g}   {one.differs}")
    stated = f"{tolerance:g} ({'given' if given is not None else 'the same' if same_kind else 'another'} processor)"
    if run.provenance["data"]["digest"] != built.provenance["data"]["digest"]:
        print("The prepared data differ: another key for pseudonyms, or other versions (see above).")
    different = [one.score for one in found if one.differs == "different"]
    if different:
        raise UserError(f"{len(different)} of {len(found)} scores of {run.folder} differ by more than {stated}.")
    identical = sum(one.differs == "identical" for one in found)
    print(f"{run.folder}: {identical} of {len(found)} scores are identical, the others within {stated}: {built.folder}")


def verdicts(then: dict[str, float], now: dict[str, float], tolerance: float) -> list[Verdict]:
    """Is each score identical, within the tolerance (of its size, where that is above 1), or different?"""
    found = []
    for score in {**then, **now}:
        before, after = then.get(score, float("nan")), now.get(score, float("nan"))
        near = abs(before - after) <= tolerance * max(1, abs(before))
        same = repr(before) == repr(after) and (score in then) == (score in now)
        found.append(Verdict(score, before, after, "identical" if same else "close" if near else "different"))
    return found


def _publish(built: Record, cfg: DictConfig) -> None:
    if cfg.tracking.uri is not None:
        cfg.run, cfg.tracking.model = str(built.folder), False  # the first run has the model
        try:
            publish.main(cfg)
        except UserError as error:
            print(f"{error} Later: make publish run={built.folder}")
