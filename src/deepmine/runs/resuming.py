"""Which run does `resume=true` go on with? The last of the same settings and data, unless one has finished."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepmine.config.errors import UserError
from deepmine.runs import provenance
from deepmine.runs.record import Record, write_json

STAMP = r"-\d{8}-\d{6}-\w{4}$"  # of a record in out/adhoc


def find(place: Path, drafts: Path, settings: Mapping[str, Any], data: str, trial: Any) -> Record | None:
    """A finished run of these settings on the data of this digest, else the last; None: there is none.

    It is sought in `place` and among the drafts of that name. UserError: it is running.
    """
    found, kind = [], re.sub(STAMP, "", place.name)
    for folder in [place, *drafts.glob(f"{kind}-[0-9]*")]:
        run = Record(folder)
        try:
            if (folder / "provenance.json").is_file() and _is(run, place, settings, data, trial):
                found.append((run.training, run))
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)
    if not found:
        print("resume: no run of these settings on these data; it starts.")
        return None
    status, run = max(found, key=lambda both: (both[0]["status"] == "FINISHED", both[0]["started"]))
    if status["status"] == "RUNNING":
        process = f"process {status['pid']} on {status['host']}"
        raise UserError(f"{run.folder} runs since {status['started']}: {process}. Wait for it.")
    return run


def _is(run: Record, place: Path, settings: Mapping[str, Any], data: str, trial: Any) -> bool:
    its = run.provenance
    same = its["data"]["digest"] == data and its.get("trial") == (trial and dict(trial))
    named = its["name"] in (place.name, run.folder.name)
    return same and named and {**run.config, "choices": None} == {**settings, "choices": None}


def go_on(run: Record) -> Record:
    """Say so, and note it in the provenance."""
    if run.training["status"] == "FINISHED":
        print(f"resume: {run.folder} is fitted.")
        return run
    its, (git, _) = run.provenance, provenance.code()
    other = "" if git.get("tree") == its["git"].get("tree") else ", with code that has changed since"
    print(f"resume: it goes on in {run.folder}, after epoch {len(run.curves)}{other}.")
    write_json(run.folder / "provenance.json", {**its, "resumed": [*its.get("resumed", []), git]})
    return run
