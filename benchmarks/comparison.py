"""How often is a verdict wrong, how often does it find a difference, and how long does a table of 200 runs take?

PYTHONPATH=src python benchmarks/comparison.py

Pairs of classifiers, right on each of 1,000 test rows with a chance of 80 % and of 80 % less a difference; pairs of
regressions, whose absolute errors share a part and differ in the mean. Then 200 records with 10,000 test rows each.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from deepmine.commands import compare
from deepmine.runs import record, significance

PAIRS, ROWS, DIFFERENCES = 1000, 1000, (0.0, 0.02, 0.04, 0.06, 0.08)
RECORDS, LINES = 200, 10_000


def right(rng: np.random.Generator, difference: float) -> tuple[np.ndarray, np.ndarray]:
    """Which rows two classifiers get right; their answers depend on each other, as those of real ones do."""
    hard, own = rng.random(ROWS), rng.random((2, ROWS))
    a, b = (hard + own) / 2  # a triangle from 0 to 1, below 1 - sqrt((1 - q) / 2) with a chance of q >= 1/2
    return a < 1 - np.sqrt(0.2 / 2), b < 1 - np.sqrt((0.2 + difference) / 2)


def errors(rng: np.random.Generator, difference: float) -> tuple[np.ndarray, np.ndarray]:
    """The absolute errors of two regressions, with a heavy tail."""
    shared, own = rng.standard_t(4, ROWS), rng.standard_t(4, (2, ROWS))
    a, b = np.abs(shared + own)
    return a, b * (1 + difference)


def called_different(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """The share of pairs with another verdict than *not distinguishable*."""
    tables = [significance.judged({"a": a, "b": b}, True) for a, b in pairs]
    return float(np.mean([table["verdict"].iloc[1] != "not distinguishable" for table in tables]))


def seconds_for_a_table() -> float:
    """Of `RECORDS` records of a classifier with ten classes, read and judged."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, LINES)
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for n in range(RECORDS):
            predicted = np.where(rng.random(LINES) < 0.9, y, rng.integers(0, 10, LINES))
            origin = {"data": {"dataset": "out/datasets/ferry", "digest": "some"}, "record_id": "x", "command": []}
            (place := Path(folder, f"run-{n}", "evaluation")).mkdir(parents=True)
            settings = {"task": "classification", "choices": {"model": "tree"}}
            run = record.start(place.parent, settings, origin, b"")
            accuracy = float(np.mean(predicted == y))
            record.write_json(run.folder / "metrics.json", {"val/accuracy": accuracy, "test/accuracy": accuracy})
            with record.status(run.folder / "status.json", "train"):
                pass
            p = ",0.1" * 10
            lines = [f"{n},{actual},{answer}{p}" for n, (actual, answer) in enumerate(zip(y, predicted, strict=True))]
            header = ",".join(["row", "actual", "predicted", *(f"p_{n}" for n in range(10))])
            (place / "predictions.csv").write_text("\n".join([header, *lines]))
            runs.append(run)
        begin = time.perf_counter()
        assert compare.leaderboard(runs)["verdict"].notna().all()
        return time.perf_counter() - begin


def main() -> None:
    """Print both curves and the time."""
    print(f"{PAIRS} pairs, {ROWS} test rows: called different\n\ndifference  classification  regression")
    for difference in DIFFERENCES:
        rng = np.random.default_rng(0)
        shares = [called_different([make(rng, difference) for _ in range(PAIRS)]) for make in (right, errors)]
        print(f"{difference:10.0%}  {shares[0]:14.1%}  {shares[1]:10.1%}")
    print(f"\nA table of {RECORDS} records with {LINES} test rows: {seconds_for_a_table():.1f} s")


if __name__ == "__main__":
    main()
