"""Does the incremental PCA fit images that are larger than memory? Prepared images, memory-mapped, under a limit.

PYTHONPATH=src python benchmarks/pca.py --gigabytes 0.25 --megabytes 64

Images of 8 x 8 random values go to the disk as `dataset.load` opens them. A process that may take only so many
megabytes beyond its imports (RLIMIT_DATA: a file that is mapped does not count, a copy of it does) then fits the
pipeline of `model=incremental_pca`, and the same with scikit-learn's own IncrementalPCA.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepmine.config import compose
from deepmine.data.dataset import Part
from deepmine.models import pipelines

PAGE = resource.getpagesize()
WIDTH = 8
SETTINGS = [
    "data=mnist5k",
    "task=decomposition",
    "model=incremental_pca",
    "model.n_components=10",
    "model.batch_size=5000",
]
SKLEARN = "sklearn.decomposition.IncrementalPCA"


def write(path: Path, rows: int, width: int = WIDTH) -> None:
    """Images `(rows, 1, width, width)`, batch by batch; some of their pixels go together."""
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(path, "w+", np.uint8, (rows, 1, width, width))
    for start in range(0, rows, 10_000):
        size = min(10_000, rows - start)
        noise = rng.integers(0, 128, (size, 1, width, width), np.uint8)
        X[start : start + size] = noise + rng.integers(0, 128, (size, 1, 1, width), np.uint8)


def fit(path: Path, overrides: list[str], megabytes: int) -> tuple[float, NDArray]:
    """Seconds and components of the pipeline of a config, fitted in no more than so much memory beyond the imports.

    Raises:
        MemoryError: that is not enough.
    """
    settings = compose.decisive(compose.compose(*SETTINGS, *overrides))
    pipeline = pipelines.build(settings["steps"], settings["model"])
    X = np.load(path, mmap_mode="r")  # as `dataset.load` does
    part = Part(X, None, np.empty(0, str))
    pipeline[-1].fit(np.eye(64))  # whatever is imported or started the first time
    used = int(Path("/proc/self/statm").read_text().split()[5]) * PAGE
    resource.setrlimit(resource.RLIMIT_DATA, (used + megabytes * 2**20,) * 2)
    begin = time.perf_counter()
    pipelines.fit(pipeline, "decomposition", part, Part(X[:5000], None, np.empty(0, str)), lambda *_: None)
    return time.perf_counter() - begin, pipeline[-1].components_


def main() -> None:
    """Print what fits and what does not."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--gigabytes", type=float, default=0.25)
    options.add_argument("--megabytes", type=int, default=64)
    chosen = options.parse_args()
    print("python", *sys.argv)
    with tempfile.TemporaryDirectory() as folder:
        path, rows = Path(folder) / "X.npy", int(chosen.gigabytes * 2**30 / WIDTH**2)
        write(path, rows)
        print(
            f"{rows:,} images, {path.stat().st_size / 2**20:,.0f} MB on disk; {chosen.megabytes} MB allowed", flush=True
        )
        for name, overrides in (("ours", []), ("scikit-learn's", [f"model._target_={SKLEARN}"])):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                try:
                    seconds, _ = pool.apply(fit, (path, overrides, chosen.megabytes))
                    print(f"{name:15} {seconds:.1f} s")
                except MemoryError as error:
                    print(f"{name:15} MemoryError: {error}")


if __name__ == "__main__":
    main()
