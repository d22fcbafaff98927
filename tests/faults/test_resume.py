"""Trainings killed at random moments, by SIGKILL and SIGTERM in turns, end as if nothing had happened, to the bit.

More kills than the usual few: FAULTS=20 .venv/bin/python -m pytest tests/faults/test_resume.py -m '' -s
"""

import hashlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import PROJECT, environment
from deepmine.runs import record

KILLS = int(os.environ.get("FAULTS", "2"))
NET = ["experiment=voices_gru", "trainer.max_epochs=120", "model.patience=110", "model.lr=0.001"]
FOLDS = ["experiment=ferry_mlp", "trainer.max_epochs=60", "cv=4", "model.net_params.dropout=0.1"]
SWEEP = ["experiment=ferry_mlp", "trainer.max_epochs=60", "model.net_params.dropout=0.1,0.3", "seed=1,2"]
SERVER = """
import json, os, sys
from deepmine import cli
from deepmine.commands import evaluate, sweep
from deepmine.models import training
for line in sys.stdin:
    log, *words = json.loads(line)
    if not (child := os.fork()):
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1), os.dup2(file, 2)
        sys.argv = ["deepmine", *words]
        sys.exit(cli.main())
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Program:
    """`deepmine` in a process of its own each time, forked from one that has imported everything."""

    def __init__(self, out: Path) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.server = subprocess.Popen([sys.executable, "-c", SERVER], cwd=PROJECT, env=environment(), **pipes)
        self.log = out / "log.txt"

    def run(self, out: Path, *words: str, after: float | None = None, kill: int = 0) -> int:
        """The exit code of a command, which gets a signal `after` some seconds if it still runs."""
        given = [str(self.log), *words, f"paths.out={out}", "tracking=none"]
        print(json.dumps(given), file=self.server.stdin, flush=True)
        child = int(self.server.stdout.readline())
        if after is not None and not select.select([self.server.stdout], [], [], after)[0]:
            os.kill(child, kill)
            sent = time.monotonic()
            code = int(self.server.stdout.readline())
            print(f"  {signal.Signals(kill).name} after {after:.1f} s, {time.monotonic() - sent:.1f} s to exit {code}")
            print(*("    " + line for line in self.log.read_text().splitlines() if "resume:" in line), sep="\n")
            return code
        return int(self.server.stdout.readline())


@pytest.fixture
def program(tmp_path: Path):
    made = Program(tmp_path)
    yield made
    made.server.stdin.close()
    made.server.wait()


def results(out: Path) -> list[tuple]:
    """All numbers of the finished runs below a folder, without times, by the settings that differ."""
    found = []
    for run in record.find_all(out):
        curves = [{key: value for key, value in line.items() if key != "time"} for line in run.curves]
        model = hashlib.sha256((run.folder / "model.skops").read_bytes()).hexdigest()
        found.append((json.dumps(run.config), model, run.metrics, run.cross_validation, curves, run.status["status"]))
    return sorted(found, key=lambda run: run[0])


def killed_and_resumed(program: Program, out: Path, kills: int, life: float, *words: str) -> int:
    """Repeat a command, and kill it after up to half of `life` seconds, until it ends or was killed so often."""
    moments, done = random.Random(f"{words} {out.name}"), 0
    while True:
        how = signal.SIGTERM if done % 2 else signal.SIGKILL
        after = moments.uniform(0, life / 2) if done < kills else None
        code = program.run(out, *words, "resume=true", after=after, kill=how)
        if code == 0:
            return done
        assert code in (-how, 128 + how), program.log.read_text()
        done += 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["train", *NET], ["train", *FOLDS], ["sweep", *SWEEP]], ids=["net", "folds", "sweep"]
)
def test_killed_at_random_moments(words: list[str], tmp_path: Path, program: Program) -> None:
    begin = time.monotonic()
    assert program.run(tmp_path / "straight", *words) == 0, program.log.read_text()
    life, straight, kills, rounds = time.monotonic() - begin, results(tmp_path / "straight"), 0, 0
    print(f"\n{life:.1f} s, epochs: {[len(run[4]) for run in straight]}")
    while kills < KILLS:
        out, rounds = tmp_path / str(rounds), rounds + 1
        kills += killed_and_resumed(program, out, min(KILLS - kills, 5), life, *words)
        assert results(out) == straight, program.log.read_text()
        assert not list(out.rglob("checkpoint.skops"))
    print(f"{kills} kills in {rounds} runs, all as those that were not interrupted")
