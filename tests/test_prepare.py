"""Preparing: nothing is ignored in silence, and what cannot be prepared is said in one sentence."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from deepmine.config.errors import UserError
from deepmine.data.ledger import Entry, Ledger
from deepmine.data.preparing import privacy, report
from deepmine.data.preparing.prepare import Prepared, prepare

IMAGES = {"_target_": "deepmine.data.readers.arrays.read", "kind": "image", "X": "images.npy"}
NUMBERS = {"_target_": "deepmine.data.readers.arrays.read", "kind": "table", "X": "X.npy", "y": "y.npy"}
TABLE = {"_target_": "deepmine.data.readers.table.read", "files": {"t": "t.csv"}, "row_id": "key", "target": "y"}
RANDOM = {"strategy": "random", "val": 0.15, "test": 0.25, "seed": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("raw"), np.random.default_rng(0)
    np.save(folder / "images.npy", rng.integers(0, 255, (20, 4, 4), np.uint8))
    np.save(folder / "X.npy", rng.normal(size=(20, 3)))
    np.save(folder / "y.npy", np.arange(20) % 2)
    table = {"a": rng.normal(size=20), "month": [f"2020-{n % 12 + 1:02}" for n in range(20)], "same": 1, "huge": 1e300}
    parts = {"part": ["train"] * 12 + ["test"] * 8, "y": np.arange(20) % 2, "amount": np.arange(20)}
    pd.DataFrame({"key": [f"k{n}" for n in range(20)], **table, **parts}).to_csv(folder / "t.csv", index=False)
    return folder


def made(folder: Path, source: dict[str, Any], kind: str = "table", split: Any = None, **more: Any) -> Prepared:
    settings = {"kind": kind, "task": "classification", "folder": "x", "train_fraction": 1.0}
    return prepare("x", {**settings, "source": source, "split": split or RANDOM, **more}, folder)


def query(columns: str, **more: Any) -> dict[str, Any]:
    return {**TABLE, "query": f"SELECT {columns} FROM t", **more}


def test_the_target_of_an_array_is_no_feature(folder: Path) -> None:
    data = made(folder, NUMBERS).dataset
    assert list(data.train.X) == ["x0", "x1", "x2"] and set(data.train.y) == {0, 1}


@pytest.mark.parametrize(
    "more",
    [
        {"privacy": {"columns": {"face": "drop"}}},
        {"clean": {"duplicates": "drop"}},
        {"split": {**RANDOM, "time": "taken"}},
    ],
)
def test_rules_about_columns_are_refused_where_there_are_none(folder: Path, more: dict) -> None:
    with pytest.raises(ValueError, match="are rules about columns, but data of kind image have no columns"):
        made(folder, IMAGES, "image", **more)


@pytest.mark.parametrize(
    ("columns", "more", "says"),
    [
        ("key, a, y, month", {"split": {**RANDOM, "strategy": "time", "time": "month"}}, "`month`.* holds text"),
        ("key, a, y, same", {"split": {**RANDOM, "strategy": "time", "time": "same"}}, "none of 20 rows for train"),
        ("key, a, y", {"privacy": {"columns": {"y": "drop"}}}, "`data.source.target` names `y`"),
        ("key, y, a", {"privacy": {"columns": {"a": "drop"}}}, "No column is left to learn from"),
        ("key, a, y, huge", {}, "`huge` is .* beyond 3e.38 in 20 rows.*set clean"),
        (
            "key, y, a / (amount > 3)::INT AS a",
            {},
            "`a` is infinite .* in 4 rows.*set clean",
        ),
    ],
)
def test_what_cannot_be_prepared_is_said(folder: Path, columns: str, more: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        made(folder, query(columns), **more)


def test_few_rows_are_enough(folder: Path) -> None:
    assert len(made(folder, {**TABLE, "query": "SELECT key, a, y FROM t WHERE y = 0 LIMIT 4"}).dataset.train) == 2


def test_whole_numbers_to_predict_are_no_classes_of_a_published_split(folder: Path) -> None:
    split = {"strategy": "published", "part": "part", "val": 0.25, "seed": 0}
    data = made(folder, query("key, a, amount, part", target="amount"), split=split, task="regression").dataset
    assert [len(part) for _, part in data.parts()] == [9, 3, 8] and data.train.y.dtype.kind == "i"


def test_cleaning_and_audit_say_what_they_compare(tmp_path: Path) -> None:
    rows = [(f"k{n}", n // 2 % 10, n // 2 % 2, f"g{n // 2}") for n in range(80)]  # each twice, but for the id
    pd.DataFrame(rows, columns=["key", "a", "y", "who"]).to_csv(tmp_path / "t.csv", index=False)
    by_group = {"strategy": "group", "group": "who", "val": 0.2, "test": 0.2, "seed": 0}
    source = {**TABLE, "query": "SELECT * FROM t"}
    data = made(tmp_path, source, split=by_group, clean={"duplicates": "drop"}, audit={"single_predictors": "off"})
    assert "dropped 40 rows that repeat an earlier one" in str(data.ledger)
    for finding in data.dataset.info["audit"]:  # the other groups are left, and a model sees them as equal
        assert finding["message"].endswith("have the same features as a training row")


PEOPLE = pd.DataFrame(
    {
        "key": [f"k{n:02}" for n in range(60)],
        "a": np.sin(range(60)),
        "doctor": [f"Dr. {n % 3 % 2}" for n in range(60)],
        "ticket": [f"t{n // 2}" for n in range(60)],
    }
)
BY_TICKET = {"strategy": "group", "group": "ticket", "val": 0.2, "test": 0.2, "seed": 0}
STRATIFIED = {**RANDOM, "strategy": "stratified", "test": 0.2}


def split_of(folder: Path, people: pd.DataFrame, split: dict, **columns: str) -> list[list[str]]:
    """The ids of the rows in each part, found again by `a` where they are pseudonyms."""
    people.to_csv(folder / "t.csv", index=False)
    source, keys = query("*", target="doctor"), dict(zip(PEOPLE["a"], PEOPLE["key"], strict=True))
    privacy = {"key": "SOME_KEY", "columns": {"doctor": "keep", **columns}}
    data = made(folder, source, split=split, privacy=privacy, audit={"single_predictors": "off"}).dataset
    return [[keys[a] for a in part.X["a"]] for _, part in data.parts()]


@pytest.mark.parametrize("split", [BY_TICKET, STRATIFIED, RANDOM], ids=["group", "stratified", "random"])
@pytest.mark.parametrize("column", ["ticket", "doctor", "key"])
def test_the_split_depends_on_no_pseudonym(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: dict, column: str
) -> None:
    people = PEOPLE if split is BY_TICKET else PEOPLE.assign(ticket=range(60))
    splits = []
    for key in ("the key of today, long enough", "the key of tomorrow, long enough"):
        monkeypatch.setenv("SOME_KEY", key)
        splits.append(split_of(tmp_path, people, split, **{column: "pseudonymise"}))
    assert splits[0] == splits[1]


def test_the_split_does_not_depend_on_the_order_in_which_rows_arrive(tmp_path: Path) -> None:
    for split in (BY_TICKET, STRATIFIED, RANDOM):
        assert split_of(tmp_path, PEOPLE, split) == split_of(tmp_path, PEOPLE.sample(frac=1, random_state=0), split)


def test_no_pseudonym_depends_on_the_name_of_the_project() -> None:
    assert "deepmine" not in (privacy.DEMO + privacy.DEMO_KEY).lower()


def test_rows_without_ids_are_named_by_their_number(tmp_path: Path) -> None:
    pd.DataFrame({"a": np.arange(20) % 7, "y": np.arange(20) % 2}).to_csv(tmp_path / "t.csv", index=False)
    source = {"_target_": TABLE["_target_"], "files": {"t": "t.csv"}, "target": "y"}
    contract = {"columns": {"a": {"type": "integer", "max": 4}, "y": {"type": "integer"}}}
    with pytest.raises(UserError, match="`a` must be at most 4: 5, 6, 12, 13, 19\n"):
        made(tmp_path, source, contract=contract)
    with pytest.raises(UserError, match="must not repeat (.|\n)*`a` must be at most 4: 5, 6, 12, 13, 19\n"):
        made(tmp_path, source, contract={**contract, "repeated_rows": 0.01})  # which no single row is to blame for
    data = made(tmp_path, source, contract=contract, on_violation="reject")
    kept = np.concatenate([part.rows for _, part in data.dataset.parts()])
    assert data.rejects["row"].tolist() == [5, 6, 12, 13, 19] and kept.dtype.kind == "i"
    assert {*kept.tolist()} == {*range(20)} - {5, 6, 12, 13, 19}


def test_a_time_split_keeps_rows_of_one_moment_together(tmp_path: Path) -> None:
    days = [f"2026-01-{1 + n // 7:02}" for n in range(60)]
    PEOPLE.assign(day=days).drop(columns="ticket").to_csv(tmp_path / "t.csv", index=False)
    by_day = {**RANDOM, "strategy": "time", "time": "day"}
    data = made(tmp_path, query("*", target="doctor"), split=by_day, privacy={"columns": {"doctor": "keep"}}).dataset
    moments = [{days[int(row[1:])] for row in part.rows} for _, part in data.parts()]
    assert max(moments[0]) < min(moments[1]) and max(moments[1]) < min(moments[2])
    assert sum(map(len, moments)) == len(set(days)) and "day" not in data.train.X


def test_what_the_contract_rejects_is_counted_and_listed(folder: Path) -> None:
    contract = {"columns": {"a": {"type": "number", "max": 0.5}, "y": {"type": "integer"}}}
    data = made(folder, query("key, a, y"), contract=contract, on_violation="reject")
    n = sum(len(part) for _, part in data.dataset.parts())
    assert 0 < len(data.rejects) == 20 - n and data.ledger[-1][2:4] == (20, n)


@pytest.mark.parametrize("kind", ["table", "image"])
def test_the_report_is_one_page_the_same_each_time(folder: Path, kind: str) -> None:
    data = made(folder, query("key, a, y, month") if kind == "table" else IMAGES, kind, task="clustering")
    ledger = Ledger([Entry("read", "<script>", 0, 20)])
    pages = [report.page(data.dataset, ledger) for _ in range(2)]
    assert pages[0] == pages[1] and "&lt;script&gt;" in pages[0]
    assert not re.search(r"(src=.?(http|/)|<link|@import|url\(.?http)", pages[0])
