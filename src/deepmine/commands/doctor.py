"""Are all runs whole, told truly, and in the tracker? A line for each that is not; no record is ever deleted.

make doctor
make doctor mend=true     closes dead runs, cuts torn lines, sweeps leftovers, sends what the tracker lacks
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from zipfile import is_zipfile

from omegaconf import DictConfig

from deepmine.config.errors import UserError, shown
from deepmine.data import folders
from deepmine.runs import record

Finding = tuple[str, str, Callable[[], object] | None]  # what is wrong, what to do, and what does it
AGAIN = "train it again (make repro, if it is the pipeline's)"


def main(cfg: DictConfig) -> None:
    """Print the findings, and with `mend` mend what needs no person; UserError: something is left to do."""
    out, left = Path(cfg.paths.out), 0
    files = [path for kind in ("runs", "adhoc") for path in out.glob(f"{kind}/[!.]*/*.json")]
    runs = sorted({path.parent for path in files if path.name in ("status.json", "provenance.json")})
    for what, do, mend in chain(leftovers(out), *map(of_record, runs), of_tracker(cfg, out)):
        print(f"{what}: {'mend=true ' if mend else ''}{do}", flush=True)
        try:
            if cfg.mend and mend:
                mend()
            else:
                left += 1
        except UserError as error:
            left += 1
            print(error)
    if left:
        raise UserError(f"{left} of these are left to do.")
    print(f"All is well in {out}.")


def leftovers(out: Path) -> Iterator[Finding]:
    """What stages that were killed left beside their places."""
    for place in folders.leftovers(out):
        yield f"{place} has temporary files of a killed stage beside it", "sweeps them", partial(folders.clear, place)


def of_record(folder: Path) -> Iterator[Finding]:
    """What is wrong with the record in a folder, if no process is writing it."""
    try:
        training = record.read_status(folder / "status.json")
        run = record.find(folder) if (folder / "provenance.json").is_file() else None
    except UserError as error:
        yield "damaged", str(error), None
        return
    if (run.status if run else training)["status"] == "RUNNING":
        return
    if run is None:
        yield f"{folder} is no record, for its run was killed when it began", "delete it, or " + AGAIN, None
        return
    for path in (folder / "status.json", *folder.glob("evaluation/status.json")):
        now = record.read_status(path)
        if now["status"] == "KILLED" and "ended" not in now:  # its last sign of life is the time of the file
            now["ended"] = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="milliseconds")
            yield f"{path} says RUNNING, but {now['reason']}", "closes it", partial(record.write_json, path, now)
    curves = folder / "metrics.jsonl"
    if (text := curves.read_bytes()) and not text.endswith(b"\n"):
        yield f"{curves} ends within a line", "cuts it", partial(os.truncate, curves, text.rfind(b"\n") + 1)
    if training["status"] == "FINISHED" and not any(folder.glob("model.*")):
        yield f"{folder} has no model", AGAIN, None
    for path in [path for path in folder.glob("*.skops") if not is_zipfile(path)]:
        yield f"{path} is damaged", AGAIN, None


def of_tracker(cfg: DictConfig, out: Path) -> Iterator[Finding]:
    """What the tracker lacks; runs whose record is not here are not wrong, and only told."""
    if cfg.tracking.uri is None:
        return
    from deepmine.runs.tracking import comparing, publishing

    uri = cfg.tracking.uri
    try:
        lacking, elsewhere = comparing.compare(record.find_all(out), uri)
    except UserError as error:
        yield "no tracker", str(error), None
        return
    for run in lacking:
        send = partial(publishing.publish, run, uri, cfg.tracking.model, cfg.trusted)
        yield f"{run.folder} is not, or not all, in {shown(uri)}", "sends it", send
    if elsewhere:
        print("In the tracker but not here (in another folder, a colleague's, or deleted):", *elsewhere, sep="\n  ")
