"""Send run records to MLflow: all that the tracker lacks, or one record.

make publish
make publish run=out/runs/mnist_mlp
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from deepmine.config.errors import UserError, shown
from deepmine.runs import record


def main(cfg: DictConfig) -> None:
    """Publish the record in `run`, or every record below out/."""
    if cfg.tracking.uri is None:
        raise UserError("Nowhere to publish to: `tracking.uri` is null. Choose tracking=mlflow.")
    records = [record.find(Path(cfg.run))] if cfg.run else record.find_all(Path(cfg.paths.out))
    failed = []
    for run in records:
        try:
            _publish(run, cfg)
            print(f"{run.folder} is in {shown(cfg.tracking.uri)}")
        except UserError as error:
            failed.append(f"{run.folder}: {error}")
    if failed:
        raise UserError("Not sent: " + "\n".join(failed))


@contextmanager
def afterwards(run: record.Record, cfg: DictConfig, only_failures: bool = False) -> Iterator[None]:
    """Publish a record after a block, even one that fails (or `only_failures`); a tracker that is away costs no run."""
    try:
        yield
    finally:
        if cfg.tracking.uri is not None and not (only_failures and run.training["status"] == "FINISHED"):
            try:
                _publish(run, cfg)
            except Exception as error:  # the run itself ended as it ended
                if not isinstance(error, UserError):  # a defect of ours, not of the tracker
                    traceback.print_exc()
                print(f"{error}\nThe record in {run.folder} is complete. Send it later: make publish", file=sys.stderr)


def _publish(run: record.Record, cfg: DictConfig) -> None:
    from deepmine.runs.tracking import publishing

    publishing.publish(run, cfg.tracking.uri, cfg.tracking.model, cfg.trusted)
