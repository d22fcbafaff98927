"""How long does it take to prepare ten million rows, and how much memory? Beside reading the file twice with DuckDB.

PYTHONPATH=src python benchmarks/scale.py --rows 10000000 --rounds 3

The file is made in a temporary folder: a CSV of 12 columns, numbers, categories and dates, some values missing. Each
round runs each way once, in a process of its own, whose peak memory is what the system says it was (ru_maxrss).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

COLUMNS = """
    hash(i, 0) % 1000003 / 1000 AS price,
    hash(i, 1) % 1000 AS amount,
    hash(i, 2) % 10007 / 100 AS weight,
    if(hash(i, 3) % 10 = 0, NULL, hash(i, 3) % 90) AS age,
    if(hash(i, 4) % 50 = 0, NULL, hash(i, 4) % 100003 / 7) AS distance,
    (hash(i, 5) % 2000001)::BIGINT - 1000000 AS balance,
    'shop ' || hash(i, 6) % 300 AS shop,
    ['red', 'green', 'blue', NULL][(hash(i, 7) % 4 + 1)::BIGINT] AS colour,
    chr((65 + hash(i, 8) % 26)::INTEGER) || hash(i, 8) % 1000 AS code,
    DATE '2015-01-01' + (hash(i, 9) % 3650)::INTEGER AS ordered,
    TIMESTAMP '2020-01-01' + to_seconds((hash(i, 10) % 100000000)::BIGINT) AS paid,
    (hash(i, 11) >> 20) % 2 AS returned  -- other bits than those that empty a value, or the audit calls it a leak
"""
CONTRACT = {
    "price": {"type": "number", "min": 0, "max": 1001},
    "amount": {"type": "integer", "min": 0, "max": 999},
    "weight": {"type": "number", "min": 0, "max": 101},
    "age": {"type": "integer", "min": 0, "max": 89, "missing": 0.2},
    "distance": {"type": "number", "min": 0, "max": 14300, "missing": 0.1},
    "balance": {"type": "integer"},
    "shop": {"type": "text"},
    "colour": {"type": "text", "categories": ["red", "green", "blue"], "missing": 0.3},
    "code": {"type": "text"},
    "ordered": {"type": "date", "min": "2015-01-01", "max": "2024-12-31"},
    "paid": {"type": "date"},
    "returned": {"type": "integer", "min": 0, "max": 1},
}


def prepared(folder: Path) -> None:
    """As the stage `prepare` does it: from the CSV file by contract, cleaning, split and audit to parts and report."""
    from deepmine.commands import prepare
    from deepmine.config.schema.config import Data

    settings = Data(
        kind="table",
        task="classification",
        folder=folder.name,
        source={
            "_target_": "deepmine.data.readers.table.read",
            "files": {"orders": "orders.csv"},
            "target": "returned",
        },
        contract={"columns": CONTRACT},
        clean={"impossible": {"weight": {"min": 0.1}}, "missing": {"drop_rows": ["distance"]}},
        split={"strategy": "stratified", "val": 0.2, "test": 0.2, "seed": 0},
        train_fraction=1.0,
    )
    prepare.write("scale", settings.model_dump(), folder, folder / "prepared")


def twice(folder: Path) -> None:
    """Read the file into memory with DuckDB, two times."""
    for _ in range(2):
        duckdb.connect().read_csv(str(folder / "orders.csv")).to_arrow_table()


def measured(way: str, folder: Path) -> tuple[float, float]:
    """Seconds and peak gigabytes of one way, in a process of its own."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, __file__, "--way", way, "--folder", str(folder)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.perf_counter() - begin, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def main() -> None:
    """Print seconds and gigabytes of each round, the medians, and how they compare."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.way:
        return WAYS[chosen.way](chosen.folder)
    print("python", *sys.argv)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "orders.csv"
        duckdb.connect().execute(f"COPY (SELECT {COLUMNS} FROM range({chosen.rows}) t(i)) TO '{path}'")
        print(f"{chosen.rows:,} rows, {path.stat().st_size / 1e9:.2f} GB")
        rounds = [{way: measured(way, Path(folder)) for way in WAYS} for _ in range(chosen.rounds)]
    medians = {
        way: [statistics.median(values) for values in zip(*(r[way] for r in rounds), strict=True)] for way in WAYS
    }
    for way, (seconds, memory) in medians.items():
        each = ", ".join(f"{r[way][0]:.1f} s {r[way][1]:.2f} GB" for r in rounds)
        ratio = seconds / medians["twice"][0]
        print(f"{way:9} median {seconds:6.1f} s, {memory:.2f} GB, {ratio:.2f} times reading twice; each: {each}")


WAYS = {"prepared": prepared, "twice": twice}

if __name__ == "__main__":
    main()
