"""Made-up raw files of each kind of data, at most 200 rows each: the sets of tests/conf/data."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 200


def write(data: Path) -> None:
    """Write every set, the same each time."""
    for make in (ferry, birds, digits, voices, first_names, market, cycles):
        folder = data / make.__name__
        folder.mkdir(parents=True)
        make(folder, np.random.default_rng(0))


def ferry(folder: Path, rng: np.random.Generator) -> None:
    """Families share a ticket; women and the first class are saved; some ages and one fare are missing."""
    ids, tickets = [f"P{n:04}" for n in range(ROWS)], np.array([f"T{n}" for n in rng.integers(100, 250, ROWS)])
    passengers = pd.DataFrame({"passenger_id": ids, "name": [f"Doe, Mr. {n}" for n in ids]})
    passengers["sex"] = rng.choice(["female", "male"], ROWS)
    passengers["age"] = pd.Series(rng.integers(1, 80, ROWS)).where(rng.random(ROWS) < 0.8).astype("Int64")
    passengers["ticket"] = tickets
    passengers["embarked"] = rng.choice(["C", "Q", "S"], ROWS)
    fares = pd.DataFrame({"ticket": np.unique(tickets)})
    fares["pclass"] = rng.integers(1, 4, len(fares))
    fares["fare"] = (rng.gamma(3, 10, len(fares)) / fares["pclass"]).round(2)
    fares.loc[0, "fare"] = np.nan
    pclass = passengers.merge(fares, on="ticket")["pclass"]
    survived = ((passengers["sex"] == "female") & (pclass < 3)) ^ (rng.random(ROWS) < 0.15)
    passengers.to_csv(folder / "passengers.csv", index=False)
    fares.to_csv(folder / "tickets.csv", index=False)
    pd.DataFrame({"passenger_id": ids, "survived": survived.astype(int)}).to_csv(folder / "outcomes.csv", index=False)


def birds(folder: Path, rng: np.random.Generator) -> None:
    """Three species that differ in two of four measures."""
    species = np.arange(ROWS) % 3
    table = pd.DataFrame(
        {"bird": [f"B{n:03}" for n in range(ROWS)], "species": np.array(["Auk", "Coot", "Gull"])[species]}
    )
    table["bill_length_mm"] = (rng.normal(40, 2, ROWS) + 8 * (species > 0)).round(1)
    table["bill_depth_mm"] = (rng.normal(18, 0.8, ROWS) - 4 * (species > 1)).round(1)
    table["wing_mm"] = (rng.normal(200, 8, ROWS) + 20 * (species > 1)).round().astype(int)
    table["mass_g"] = (rng.normal(4000, 300, ROWS) + 900 * (species > 1)).round().astype(int)
    table.loc[:1, ["bill_length_mm", "bill_depth_mm"]] = np.nan
    table.to_csv(folder / "birds.csv", index=False)


def digits(folder: Path, rng: np.random.Generator) -> None:
    """A bright square in one of ten places, on noise; sorted by class, and a tenth have the label of another."""
    y = np.repeat(np.arange(10, dtype=np.uint8), ROWS // 10)
    X = rng.integers(0, 60, (ROWS, 12, 12), np.uint8)
    for image, label in zip(X, y, strict=True):
        top, left = divmod(int(label), 4)
        image[4 * top : 4 * top + 3, 3 * left : 3 * left + 3] = rng.integers(180, 255, (3, 3))
    some = rng.choice(ROWS, ROWS // 10, replace=False)
    y[some] = rng.permutation(y[some])
    X = np.pad(np.kron(X, np.ones((1, 2, 2), np.uint8)), ((0, 0), (2, 2), (2, 2)))  # 28 x 28, as nets for MNIST expect
    for name, array in (("images", X), ("labels", y)):
        head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (folder / f"{name}.gz").write_bytes(gzip.compress(head + array.tobytes(), mtime=0))


def voices(folder: Path, rng: np.random.Generator) -> None:
    """Each speaker has a level of their own in each channel."""
    lines = ["series_id,split,label,t,c01,c02,c03"]
    for series in range(60):
        level = np.eye(3)[series % 3]
        for t in range(rng.integers(5, 13)):
            values = ",".join(f"{value:.3f}" for value in level + rng.normal(0, 0.3, 3))
            lines.append(f"{series},{'train' if series < 40 else 'test'},{series % 3},{t},{values}")
    (folder / "voices.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


def first_names(folder: Path, rng: np.random.Generator) -> None:
    """Women's names end in a vowel, men's do not; two look as if they were missing."""
    names = {"Nan": "female", "Na": "female"}
    while len(names) < 160:
        woman, stem = rng.random() < 0.6, "".join(rng.choice(list("aeioubdlmnrst"), rng.integers(2, 6)))
        names.setdefault(
            (stem + rng.choice(list("ae" if woman else "nrs"))).capitalize(), "female" if woman else "male"
        )
    lines = [f"{name},{sex}" for name, sex in names.items()]
    (folder / "names.csv").write_text("\n".join(["name,sex", *lines]) + "\n")


def market(folder: Path, rng: np.random.Generator) -> None:
    """Twelve items and postage; who buys the first often buys the second and third."""
    X = rng.random((ROWS, 13)) < 0.25
    X[:, 1:3] |= X[:, :1] & (rng.random((ROWS, 2)) < 0.8)
    lines = [f"{n},{' '.join(map(str, np.flatnonzero(row)))}" for n, row in enumerate(X) if row.any()]
    (folder / "baskets.csv.gz").write_bytes(gzip.compress("\n".join(["customer,items", *lines]).encode(), mtime=0))
    items = [f"{n},{'POSTAGE' if n == 12 else f'ITEM {chr(65 + n)}'}" for n in range(13)]
    (folder / "items.csv").write_text("\n".join(["item_id,description", *items]) + "\n")


def cycles(folder: Path, rng: np.random.Generator) -> None:
    """Eleven years from top to top."""
    values = 50 + 45 * np.sin(np.arange(ROWS) * 2 * np.pi / 11) + rng.normal(0, 4, ROWS)
    lines = [f"{1800 + n},{value:.1f}" for n, value in enumerate(values.clip(0))]
    (folder / "cycles.csv").write_text("\n".join(["YEAR,ACTIVITY", *lines]) + "\n")
