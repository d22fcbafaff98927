"""The ledger of looks at test rows, out/looks.csv: who scores the same rows often enough finds a good score by chance."""

import csv
from datetime import UTC, datetime
from pathlib import Path

from deepmine.runs.record import Record

FILE = "looks.csv"  # time, digest of the data set, id of the run; only ever appended to


def note(out: Path, run: Record) -> None:
    """Note that a run was scored on the test rows of its data set."""
    origin = run.provenance
    out.mkdir(parents=True, exist_ok=True)
    with (out / FILE).open("a", encoding="utf-8") as file:  # one write of one line is whole, also beside another
        file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ},{origin['data']['digest']},{origin['record_id']}\n")


def count(out: Path, digest: str) -> int:
    """How often the test rows of a data set were scored in this folder, by whatever became of the runs since."""
    if not (out / FILE).exists():
        return 0
    with (out / FILE).open(encoding="utf-8", newline="") as file:
        return sum(line[1:2] == [digest] for line in csv.reader(file))
