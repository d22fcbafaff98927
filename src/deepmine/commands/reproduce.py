"""Build a run again from its record and compare every score: exit code 0 if each is identical or within the tolerance.

make reproduce run=out/runs/titanic_tree
"""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from deepmine.commands import publish
from deepmine.config.errors import UserError
from deepmine.runs import provenance, rebuild, record

KIND = ("cpu", "vector_units", "device")  # of processor; on the same, scores are the same to the bit
NET, OTHER = 0.02, 5e-4  # tolerance on another: of a network's scores, and of any other model's


def main(cfg: DictConfig) -> None:
    """Build the run; the new record is kept in out/reproduced/, and in MLflow below the first run."""
    run = rebuild.find(cfg.run, cfg)
    rebuild.agree(run, cfg.yes)
    for line in rebuild.differences(run.provenance, provenance.environment()) if cfg.env == "here" else ():
        print(f"environment, then and here: {line}")
    place = Path(cfg.paths.out, "reproduced", f"{run.provenance['name']}-{datetime.now():%Y%m%d-%H%M%S}")
    with rebuild.environment(run, cfg.env) as python:
        built = rebuild.rebuild(place, python, run, run, run.config, cfg.trusted)
    then, now = run.provenance, built.provenance
    record.write_json(place / "provenance.json", now | {"reproduces": then["record_id"]})
    if cfg.tracking.uri is not None:
        _publish(place, cfg)
    same = all(then.get(key) == now.get(key) for key in KIND)
    tolerance = (0.0 if same else NET if now["device"] else OTHER) if cfg.tolerance is None else cfg.tolerance
    cells = verdicts(run.metrics, built.metrics, tolerance)
    print(cells.to_string(float_format="{:.6g}".format))
    if then["data"]["digest"] != now["data"]["digest"]:
        print("The prepared data differ: another key for pseudonyms, or other versions.")
    counts = ", ".join(f"{number} {name}" for name, number in cells["verdict"].value_counts().items())
    where = f"on {'the same' if same else 'another'} kind of processor"
    said = f"{run.folder}, built again in {place}: {counts} (tolerance {tolerance:g}, {where})."
    if "different" in set(cells["verdict"]):
        raise UserError(said)
    print(said)


def verdicts(then: dict[str, float], now: dict[str, float], tolerance: float) -> pd.DataFrame:
    """For each score: identical, within the tolerance (times the score, where that is above 1), or different."""
    cells = pd.DataFrame({"then": then, "now": now}, dtype=float)
    same = (cells["then"] == cells["now"]) | cells.isna().all(axis=1)
    near = (cells["then"] - cells["now"]).abs() <= tolerance * cells["then"].abs().clip(lower=1)
    return cells.assign(verdict=np.select([same, near], ["identical", "within the tolerance"], "different"))


def _publish(place: Path, cfg: DictConfig) -> None:
    """In MLflow, too; the model is that of the first run."""
    cfg.run, cfg.tracking.model = str(place), False
    try:
        publish.main(cfg)
    except UserError as error:
        print(f"{error} Later: make publish run={place}")
