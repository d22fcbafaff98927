"""How fast is our search for frequent item sets? Beside PyFIM (Borgelt's C) and mlxtend, where these are installed.

PYTHONPATH=src python benchmarks/rules.py --baskets 1000000 --support 0.01 --rounds 3

Each round runs every method once, in turn, from the same sparse matrix to the sets and their counts, including the
conversion to what the method takes (lists, a frame). All must find the same number of sets.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from deepmine.models.itemsets import mine


def generate(n: int, n_items: int = 1000, n_patterns: int = 2000, seed: int = 0) -> csr_array:
    """Baskets of about 10 items, made from patterns of about 4 items that lose some of them.

    After Agrawal, Srikant: Fast algorithms for mining association rules, VLDB 1994, in short.
    """
    rng = np.random.default_rng(seed)
    popularity = rng.exponential(size=n_items)
    sizes = np.maximum(1, rng.poisson(4, n_patterns))
    patterns = np.full((n_patterns, sizes.max()), -1)
    for row, size in zip(patterns, sizes, strict=True):
        row[:size] = rng.choice(n_items, size, replace=False, p=popularity / popularity.sum())
    weights, kept = rng.exponential(size=n_patterns), rng.normal(0.7, 0.3, n_patterns).clip(0.1, 1)
    chosen = rng.choice(n_patterns, int(3.7 * n), p=weights / weights.sum())
    items = np.where(rng.random((len(chosen), patterns.shape[1])) < kept[chosen, None], patterns[chosen], -1)
    baskets = np.broadcast_to(rng.integers(n, size=len(chosen))[:, None], items.shape)
    there = items >= 0
    X = csr_array((np.ones(there.sum(), np.uint8), (baskets[there], items[there])), (n, n_items))
    X.sum_duplicates()
    X.data[:] = 1
    return X


def ours(X: csr_array, min_count: int) -> int:
    """Bit-set Eclat in NumPy."""
    return len(mine(X, min_count, None, 10**7).counts)


def pyfim(X: csr_array, min_count: int) -> int:
    """Eclat in C."""
    import fim

    items, ends = X.indices.tolist(), X.indptr.tolist()
    lists = [items[begin:end] for begin, end in pairwise(ends)]
    return len(fim.eclat(lists, target="s", supp=-min_count, zmin=1, report="a"))


def mlxtend(X: csr_array, min_count: int) -> int:
    """FP-growth in Python."""
    import pandas as pd
    from mlxtend.frequent_patterns import fpgrowth

    return len(fpgrowth(pd.DataFrame(X.toarray().astype(bool)), min_support=min_count / X.shape[0]))


def main() -> None:
    """Print the seconds of each round, the medians, and how they compare with ours."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--baskets", type=int, default=100_000)
    options.add_argument("--support", type=float, default=0.01)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--methods", default="ours,pyfim,mlxtend")
    chosen = options.parse_args()
    needs: dict[Callable[[csr_array, int], int], str] = {ours: "numpy", pyfim: "fim", mlxtend: "mlxtend"}
    methods = [m for m, package in needs.items() if m.__name__ in chosen.methods.split(",") and find_spec(package)]
    X = generate(chosen.baskets)
    print("python", *sys.argv)
    print(f"{X.shape[0]:,} baskets of {X.nnz / X.shape[0]:.1f} items")
    seconds: dict[str, list[float]] = {method.__name__: [] for method in methods}
    for _ in range(chosen.rounds):
        found = set()
        for method in methods:
            begin = time.perf_counter()
            found.add(method(X, int(np.ceil(chosen.support * X.shape[0]))))
            seconds[method.__name__].append(time.perf_counter() - begin)
        assert len(found) == 1, f"the methods differ: {found}"
    print(f"{found.pop():,} sets")
    for name, times in seconds.items():
        median = statistics.median(times)
        ratio = median / statistics.median(seconds[methods[0].__name__])
        print(f"{name:8} median {median:7.3f} s, {ratio:6.2f} times ours; each: {', '.join(f'{t:.3f}' for t in times)}")


if __name__ == "__main__":
    main()
