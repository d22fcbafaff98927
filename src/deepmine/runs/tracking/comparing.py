"""The records of this folder beside the runs of the tracker."""

from collections.abc import Sequence

import mlflow

from deepmine.data import digests
from deepmine.runs.record import Record
from deepmine.runs.tracking import publishing, store


def compare(records: Sequence[Record], uri: str) -> tuple[list[Record], list[str]]:
    """The records that the tracker lacks, or has in part, but for running ones; and its other runs, a line each."""
    store.connect(uri)
    every = f"tags.{store.RECORD_ID} LIKE '%'"
    found = mlflow.search_runs(search_all_experiments=True, filter_string=every, output_format="list")
    runs = {run.data.tags[store.RECORD_ID]: run for run in found if "kind" not in run.data.tags}  # no fold, no sweep
    lacking = []
    for record in records:
        run = runs.pop(record.provenance["record_id"], None)
        sent = run.data.tags.get(publishing.PUBLISHED, "") if run else ""
        if record.status["status"] != "RUNNING" and not sent.startswith(digests.folder_digest(record.folder)):
            lacking.append(record)
    return lacking, [f"{run.info.run_name} ({run.info.status}, {run.info.run_id})" for run in runs.values()]
