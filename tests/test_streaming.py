"""Components of rows that are larger than memory, in a process that may take no more."""

import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import IncrementalPCA

from deepmine.config import compose
from deepmine.data.dataset import Part
from deepmine.models import pipelines
from deepmine.models.streaming import StreamingPCA

ALLOWED = 32 * 2**20  # bytes beyond what the imports take


@pytest.mark.parametrize("n", [50, 1000, 1003])
def test_the_components_are_scikit_learns(n: int) -> None:
    X = np.random.default_rng(0).integers(0, 256, (n, 20), np.uint8)
    ours, theirs = StreamingPCA(5, batch_size=100), IncrementalPCA(5, batch_size=100).fit(X)
    for _ in range(2):  # a second fit forgets the first
        np.testing.assert_array_equal(ours.fit(X).components_, theirs.components_)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-9)


def fit(path: Path, *overrides: str) -> int:
    """Fit on a memory-mapped array with little memory, all the way from the config; the rows seen."""
    compose.limit_threads(1)
    cfg = compose.compose("data=mnist5k", "task=decomposition", "model=incremental_pca", *overrides)
    settings = compose.decisive(cfg)
    pipeline = pipelines.build(settings["steps"], settings["model"])
    X, no_rows = np.load(path, mmap_mode="r"), np.empty(0, str)
    pipeline[-1].fit(np.eye(50))  # what is loaded the first time
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + ALLOWED,) * 2)
    pipelines.fit(pipeline, cfg.task, Part(X, None, no_rows), Part(X[:50], None, no_rows), lambda *_: None)
    return int(pipeline[-1].n_samples_seen_)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux limits memory so")
def test_images_larger_than_memory_can_be_fitted(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (800_000, 1, 8, 8), np.uint8)
    np.save(tmp_path / "X.npy", images)
    assert images.nbytes > 1.5 * ALLOWED
    settings = (tmp_path / "X.npy", "model.n_components=5", "model.batch_size=2000")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        assert processes.submit(fit, *settings).result() == len(images)
        with pytest.raises((MemoryError, BrokenProcessPool)):  # not every library bears to be refused memory
            processes.submit(fit, *settings, "model._target_=sklearn.decomposition.IncrementalPCA").result()
