"""Send run records to MLflow: all that the tracker lacks, or one record.

make publish
make publish run=out/runs/mnist_mlp
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path

from omegaconf import DictConfig

from deepmine.config.errors import UserError, shown
from deepmine.runs import record
from deepmine.runs.tracking import follower

DELAY = 5  # seconds before a run of the pipeline is followed: a training that takes less is published with its scores


def main(cfg: DictConfig) -> None:
    """Publish the record in `run`, or every record below out/."""
    if cfg.tracking.uri is None:
        raise UserError("Nowhere to publish to: `tracking.uri` is null. Choose tracking=mlflow.")
    from deepmine.runs.tracking import publishing, store

    store.connect(cfg.tracking.uri)  # one that does not answer is said once
    records = [record.find(Path(cfg.run))] if cfg.run else record.find_all(Path(cfg.paths.out))
    failed = []
    for run in records:
        try:
            publishing.publish(run, cfg.tracking.uri, cfg.tracking.model, cfg.trusted)
            print(f"{run.folder} is in {shown(cfg.tracking.uri)}")
        except UserError as error:
            failed.append(f"{run.folder}: {error}")
    if failed:
        raise UserError("Not sent: " + "\n".join(failed))


@contextmanager
def following(run: record.Record, cfg: DictConfig, only_failures: bool = False) -> Iterator[None]:
    """Publish a record while the block writes it, and then the rest (or `only_failures`); a tracker costs no run."""
    if cfg.tracking.uri is None:
        yield
        return
    settings = {"uri": cfg.tracking.uri, "send_model": cfg.tracking.model, "trusted": list(cfg.trusted)}
    follower.follow(run.folder, 0 if cfg.chain else DELAY, **settings)
    try:
        yield
    finally:
        later = only_failures and run.training["status"] == "FINISHED"
        follower.ended(None if later else run.folder)
        if later or isinstance(sys.exception(), KeyboardInterrupt | SystemExit):
            follower.wait(cfg.tracking.uri, 0)  # it sends the rest by itself
        elif not cfg.trial or parent_process():  # else `sweep` waits for all trials of this process
            wait(cfg, run.folder)


def wait(cfg: DictConfig, place: Path) -> None:
    """Wait some seconds until what is in `place` is published; else say what to do."""
    hint = f"The record in {place} is complete. Send it later: make publish"
    try:
        if problem := follower.wait(cfg.tracking.uri or ""):
            print(f"{problem}\n{hint}", file=sys.stderr)
    except (KeyboardInterrupt, SystemExit):  # a signal
        print(hint, file=sys.stderr)
        raise
