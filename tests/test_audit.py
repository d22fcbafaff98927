"""What the audit finds before training, and what it lets pass; splits by group and by time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from deepmine.config.errors import UserError
from deepmine.config.schema.data import Audit
from deepmine.data.preparing.audit import audit, refuse, require_classes, require_target
from deepmine.data.preparing.examples import hashes
from deepmine.data.preparing.split import split
from deepmine.data.raw import Raw

LEVELS = Audit().model_dump()
N = 300


def raw(X: object, y: object = None, **more: object) -> Raw:
    return Raw(X, y, np.arange(len(X)).astype(str), **more)


def declared(task: str = "clustering", time: str | None = None, **levels: str) -> dict:
    return {"task": task, "audit": LEVELS | levels, "split": {"time": time}}


def found(rows: Raw, task: str = "classification", **levels: str) -> dict[str, str]:
    index = split({"strategy": "random", "val": 0.2, "test": 0.2, "seed": 0}, rows)
    return {finding["check"]: finding["message"] for finding in audit(rows, rows, index, declared(task, **levels))}


@pytest.fixture
def wreck() -> Raw:
    """Passengers with what was written down after the rescue: the boat of the saved, the number of a body."""
    rng, saved = np.random.default_rng(0), np.arange(N) % 5 < 2
    frame = pd.DataFrame({"age": rng.normal(40, 12, N), "fare": rng.gamma(3, 10, N)})
    frame["boat"] = pd.Series(rng.choice(["1", "2", "3"], N)).where(saved & (rng.random(N) < 0.98))
    frame["body"] = pd.Series(rng.integers(1, 300, N).astype(float)).where(~saved & (rng.random(N) < 0.4))
    return raw(frame, saved.astype(int))


@pytest.fixture
def noise() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(N, 3)), columns=list("abc"))


def test_the_columns_written_down_after_the_rescue_are_found(wreck: Raw) -> None:
    index = split({"strategy": "stratified", "val": 0.15, "test": 0.25, "seed": 0}, wreck)
    leaks = [
        finding for finding in audit(wreck, wreck, index, declared("classification")) if finding["check"] == "leaks"
    ]
    assert [finding["message"].split("`")[1] for finding in leaks] == ["boat", "body"]
    with pytest.raises(UserError, match="`boat`(.|\n)*leaks: warn"):
        refuse(leaks, "wreck")


def test_a_number_that_says_it_all_is_only_doubted(noise: pd.DataFrame) -> None:
    y = (noise["a"] > 0.2).to_numpy(int)
    assert "`a`" in found(raw(noise, y))["single_predictors"]
    assert "leaks" not in found(raw(noise, y))
    assert "single_predictors" not in found(raw(noise, y), task="clustering")
    shuffled = np.random.default_rng(1).permutation(y)
    assert found(raw(noise, shuffled)) == {}


@pytest.mark.parametrize("in_order", [True, False])
def test_ids_of_rows_sorted_by_class_are_no_leak(in_order: bool) -> None:
    customers = pd.DataFrame({"id": [f"c{n}" for n in np.repeat(np.arange(N), 3)]}, dtype="str")
    rows = raw(customers, np.repeat(["a", "b", "c"], N))
    order = np.arange(3 * N) if in_order else np.random.default_rng(0).permutation(3 * N)
    assert "leaks" not in found(rows.take(order))
    towns = customers.assign(id=np.repeat(["x", "y", "z"], N))
    assert "`id` alone avoids 100%" in found(rows._replace(X=towns).take(order))["leaks"]


def test_a_regressions_leak_is_found(noise: pd.DataFrame) -> None:
    y = noise["b"].to_numpy() * 3 + 1
    assert "`b`" in found(raw(noise, y), task="regression")["single_predictors"]
    assert found(raw(noise[["a", "c"]], y), task="regression") == {}


def test_a_column_filled_in_for_one_value_of_a_number_is_a_leak(noise: pd.DataFrame) -> None:
    claims = np.where(noise["a"] > 0.5, noise["b"].abs() * 100 + 1, 0)
    paid = noise.assign(paid_on=np.where(claims > 0, noise["c"], np.nan))
    assert "100% of the rows without a value are `0.0`" in found(raw(paid, claims), task="regression")["leaks"]
    few = noise.assign(c=noise["c"].mask(noise.index < 5))  # equal targets of so few rows are chance
    assert found(raw(few, np.where(noise.index < 5, 7.0, noise["b"] ** 2)), task="regression") == {}


@pytest.fixture
def flights(noise: pd.DataFrame) -> pd.DataFrame:
    """30 of 300 were cancelled: they never arrived, and ten of them never left."""
    day = pd.Series(pd.date_range("2026-01-01", periods=N, freq="D"))
    flights = noise.assign(scheduled=day, arrived=day + pd.Timedelta(hours=5), landed=day + pd.Timedelta(days=2))
    flights["air_time"] = noise["a"].mask(noise.index < 30)
    flights["wind"] = noise["b"].mask(noise.index % 10 == 0)
    flights["crew"] = noise["c"].mask(noise.index < 10)
    return flights


def late(read: Raw, task: str = "regression") -> list[str]:
    kept = read.take(~np.isnan(read.y))
    index = split({"strategy": "random", "val": 0.2, "test": 0.2, "seed": 0}, kept)
    findings = audit(read, kept, index, declared(task, time="scheduled"))
    return [finding["message"] for finding in findings if finding["check"] == "known_late"]


def test_columns_known_with_or_after_the_target_are_named(flights: pd.DataFrame) -> None:
    delay = np.random.default_rng(1).normal(size=N)
    delay[:30] = np.nan
    landed, air_time = late(raw(flights, delay))
    assert "`air_time` is missing in 30 of the 30 rows without a target, and in 0 others" in air_time
    assert "`landed` is a later day than `scheduled` in 300 rows. Was it known before the target?" in landed
    assert late(raw(flights, delay), "clustering") == []


def test_rows_without_any_value_make_no_column_late(flights: pd.DataFrame) -> None:
    flights, target = flights.drop(columns=["landed", "air_time"]), np.sin(range(N))
    flights.iloc[:30], target[:30] = None, np.nan
    assert late(raw(flights, target)) == []


@pytest.mark.parametrize("kind", ["table", "image", "baskets", "text"])
def test_rows_that_stand_in_two_parts_are_counted(kind: str) -> None:
    rng = np.random.default_rng(0)
    X = {
        "table": pd.DataFrame({"x": rng.normal(size=N)}),
        "image": rng.integers(0, 255, (N, 1, 4, 4), np.uint8),
        "baskets": csr_matrix(np.unpackbits(np.arange(N, dtype=">u2").view(np.uint8)).reshape(N, 16)),
        "text": np.array([f"text {n}" for n in range(N)]),
    }[kind]
    assert len(np.unique(hashes(X))) == N
    assert found(Raw(X, None, np.arange(N).astype(str)), task="clustering") == {}
    double = Raw(X, None, np.arange(N).astype(str)).take(np.arange(N) // 2)
    double = double._replace(rows=np.arange(N).astype(str))
    assert "have the same features as a training row" in found(double, task="clustering")["duplicates"]
    assert found(double, task="clustering", duplicates="off") == {}


def test_shared_groups_and_a_broken_order_of_time_stop() -> None:
    rows = raw(np.zeros((N, 1, 1, 1)), groups=np.arange(N) // 3, times=np.arange(N))
    index = split({"strategy": "random", "val": 0.2, "test": 0.2, "seed": 0}, rows)
    findings = audit(rows, rows, index, declared(duplicates="off"))
    assert [finding["check"] for finding in findings] == ["shared_groups", "time_order"] * 3
    with pytest.raises(UserError, match=r"strategy: group(.|\n)*strategy: time"):
        refuse(findings, "x")


def test_a_missing_target_stops() -> None:
    for y in ([1.0, np.nan], [1.0, np.inf], np.array(["a", None], object)):
        with pytest.raises(UserError, match=r"`grade` is missing or infinite in 1 of 2 rows.*drop_rows: \[grade\]"):
            require_target(raw(np.zeros(2), np.asarray(y)), "grade")
    require_target(raw(np.zeros(2), np.array([1, 0])), "grade")


def test_a_class_that_no_training_row_has_stops() -> None:
    rows = raw(pd.DataFrame({"a": np.arange(5.0)}), np.array(["cat", "dog", "cat", "dog", "fox"]))
    parts = {"train": np.array([0, 1]), "val": np.array([2, 3]), "test": np.array([4])}
    with pytest.raises(UserError, match="class `fox` has 1 rows, some in test but none in train"):
        require_classes(rows, parts)
    require_classes(rows, {**parts, "test": np.array([2])})


@given(st.lists(st.integers(0, 20), min_size=60, max_size=200).filter(lambda groups: len(set(groups)) > 9))
def test_a_group_is_in_one_part(groups: list[int]) -> None:
    rows = raw(np.zeros(len(groups)), groups=np.array(groups))
    index = split({"strategy": "group", "val": 0.2, "test": 0.2, "seed": 0}, rows)
    parts = [set(rows.groups[part]) for part in index.values()]
    assert sum(map(len, parts)) == len(set(groups))
    assert sorted(np.concatenate(list(index.values()))) == list(range(len(groups)))


@pytest.mark.parametrize(
    ("n_groups", "labels", "says"),
    [
        (3, None, "Taking 20% of the rows by `split.group` needs 5 different values; it has 3"),
        (
            12,
            np.repeat(["a", "b", "c"], 4),
            "each class keeps its share: of 3 classes, `a` has the fewest rows, 4 of 12",
        ),
    ],
)
def test_groups_that_cannot_be_split_are_counted(n_groups: int, labels: np.ndarray | None, says: str) -> None:
    rows = raw(np.zeros(12), labels, groups=np.arange(12) % n_groups)
    with pytest.raises(UserError, match=says):
        split({"strategy": "group", "val": 0.2, "test": 0.2, "seed": 0}, rows)


@given(st.lists(st.dates(), min_size=40, max_size=120, unique=True))
def test_what_comes_later_is_tested_on(dates: list) -> None:
    rows = raw(np.zeros(len(dates)), times=np.array(dates, "datetime64[D]"))
    index = split({"strategy": "time", "val": 0.2, "test": 0.2, "seed": 0}, rows)
    train, val, test = (rows.times[part] for part in index.values())
    assert train.max() < val.min() and val.max() < test.min()
    assert len(test) == round(0.2 * len(dates))


def test_rows_of_one_moment_stay_together() -> None:
    rows = raw(np.zeros((100, 1, 1, 1)), times=np.repeat(np.arange(10), 10)[::-1])
    index = split({"strategy": "time", "val": 0.15, "test": 0.25, "seed": 0}, rows)
    assert [len(part) for part in index.values()] == [60, 10, 30]
    assert audit(rows, rows, index, declared(duplicates="off")) == []


def test_rows_are_equal_only_if_their_texts_are_too() -> None:
    frame = pd.DataFrame({"x": [1.0, 2, 1, 3], "name": ["a", "b", "c", "d"]})
    index = {"train": np.array([0, 1]), "val": np.array([2]), "test": np.array([3])}
    assert audit(raw(frame), raw(frame), index, declared()) == []
    twice = raw(frame.assign(name=["a", "b", "a", "b"]))
    findings = audit(twice, twice, index, declared())
    assert [finding["message"] for finding in findings] == ["1 of 1 val rows have the same features as a training row"]
