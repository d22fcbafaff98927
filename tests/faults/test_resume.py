"""Trainings killed at random moments, by SIGKILL and SIGTERM in turns, end as if nothing had happened, to the bit.

More kills than the usual few: FAULTS=20 .venv/bin/python -m pytest tests/faults/test_resume.py -m '' -s
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import PROJECT, environment
from deepmine.runs import record

KILLS = int(os.environ.get("FAULTS", "3"))
NET = ["experiment=voices_gru", "trainer.max_epochs=150", "model.patience=140", "model.lr=0.001"]
FOLDS = ["experiment=ferry_mlp", "trainer.max_epochs=150", "cv=4", "model.net_params.dropout=0.1"]
SWEEP = ["experiment=ferry_mlp", "trainer.max_epochs=150", "model.net_params.dropout=0.1,0.3", "seed=1,2"]
QUIET = ["tracking=none"]


def launched(out: Path, verb: str, *overrides: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "deepmine", verb, *overrides, f"paths.out={out}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=PROJECT, env=environment(), **pipes)


def results(out: Path) -> list[tuple]:
    """All numbers of the finished runs below a folder, without times, by the settings that differ."""
    found = []
    for run in record.find_all(out):
        curves = [{key: value for key, value in line.items() if key != "time"} for line in run.curves]
        model = hashlib.sha256((run.folder / "model.skops").read_bytes()).hexdigest()
        found.append((json.dumps(run.config), model, run.metrics, run.cross_validation, curves, run.status["status"]))
    return sorted(found, key=lambda run: run[0])


def killed_and_resumed(out: Path, kills: int, life: float, *command: str) -> tuple[int, list[tuple]]:
    """Repeat a command, and kill it after up to `life` seconds, until it ends or was killed so often."""
    moments, done = random.Random(f"{out.name}{kills}"), 0
    while True:
        begin, process = time.monotonic(), launched(out, *command, "resume=true")
        how = signal.SIGTERM if done % 2 else signal.SIGKILL
        try:
            process.wait(moments.uniform(0.3, life) if done < kills else None)
        except subprocess.TimeoutExpired:
            sent = time.monotonic()
            process.send_signal(how)
        said, _ = process.communicate()
        if process.returncode in (-how, 128 + how, -signal.SIGTERM):
            done += 1
            assert how != signal.SIGTERM or time.monotonic() - sent < 5
            lines = [len(run.curves) for run in record.find_all(out)]
            print(f"  {how.name} after {sent - begin:.1f} s: epochs {lines}, exit {process.returncode}")
        else:
            assert process.returncode == 0, said
            return done, results(out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["train", *NET], ["train", *FOLDS], ["sweep", *SWEEP]], ids=["net", "folds", "sweep"]
)
def test_killed_at_random_moments(command: list[str], tmp_path: Path) -> None:
    begin, process = time.monotonic(), launched(tmp_path / "straight", *command, *QUIET)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    life, straight = time.monotonic() - begin, results(tmp_path / "straight")
    print(f"\n{life:.1f} s, curves of {[len(run[4]) for run in straight]}")
    kills, rounds = 0, 0
    while kills < KILLS:
        rounds += 1
        more, again = killed_and_resumed(tmp_path / str(rounds), min(KILLS - kills, 5), life, *command, *QUIET)
        kills += more
        assert again == straight
        assert not list((tmp_path / str(rounds)).rglob("checkpoint.skops"))
    print(f"{kills} kills in {rounds} runs: all {len(straight) * rounds} as those that were not interrupted")
