"""Sequences, texts and series: readers, splits, the steps before a model, and the regression task."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from conftest import prepared
from deepmine import ROOT
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data.dataset import Dataset, Part
from deepmine.data.preparing.split import split
from deepmine.data.raw import Raw
from deepmine.data.readers import sequences, series, table
from deepmine.models.transformers import SequenceScaler, SequenceSummary, TextEncoder
from deepmine.tasks import regression
from deepmine.tasks.regression import Estimated

LINES = "id,part,speaker,t,a,b\n7,train,x,0,1,2\n3,test,y,1,5,6\n7,train,x,1,3,4\n3,test,y,0,7,8\n3,test,y,2,9,10\n"
COLUMNS = {"sequence": "id", "step": "t", "target": "speaker", "part": "part"}


def test_sequences_are_put_in_order_and_padded(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LINES)
    raw = sequences.read(tmp_path, "a.csv", **COLUMNS)
    assert raw.X.dtype == np.float32 and raw.rows.tolist() == ["3", "7"]
    np.testing.assert_array_equal(raw.X, [[[7, 8], [5, 6], [9, 10]], [[1, 2], [3, 4], [np.nan, np.nan]]])
    assert raw.y.tolist() == ["y", "x"] and raw.parts.tolist() == ["test", "train"]
    assert raw.facts["columns"] == ["a", "b"]


@pytest.mark.parametrize(
    ("old", "new", "settings", "says"),
    [
        ("", "", {"target": "speakr"}, "no column `speakr`. Did you mean `speaker`"),
        ("0,1,2", "0,,2", {}, "1 lines have a missing or infinite value, first: id 7, t 0"),
        ("0,1,2", "0,inf,2", {}, "missing or infinite"),
        ("0,1,2", "0,one,2", {}, "features that are numbers: .*`a` str"),
        ("7,train,x,1", "7,train,x,0", {}, "1 lines have a step twice, first: id 7, t 0"),
        ("7,train,x,1", "7,train,z,1", {}, "`speaker` must be the same.*id 7"),
        (LINES, "", {}, "is damaged"),
        (LINES, LINES.splitlines()[0], {}, ": 0 lines"),
    ],
)
def test_a_spoilt_file_of_sequences_is_named(tmp_path: Path, old: str, new: str, settings: dict, says: str) -> None:
    (tmp_path / "a.csv").write_text(LINES.replace(old, new, 1) if old else LINES)
    with pytest.raises(UserError, match=says):
        sequences.read(tmp_path, "a.csv", **{**COLUMNS, **settings})


def test_a_file_that_is_no_gzip_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(LINES.encode())[:30])
    with pytest.raises(UserError, match=r"a\.csv\.gz is damaged"):
        sequences.read(tmp_path, "a.csv.gz", **COLUMNS)


def test_the_voices_keep_their_published_test_part() -> None:
    made = prepared("voices")
    assert sorted(made.test.rows.astype(int)) == list(range(40, 60))
    assert [len(part) for _, part in made.parts()] == [32, 8, 20]
    assert np.ptp(np.unique(made.val.y, return_counts=True)[1]) <= 1  # stratified
    lengths = np.isfinite(np.concatenate([part.X for _, part in made.parts()])[:, :, 0]).sum(axis=1)
    assert (lengths.min(), lengths.max()) == (5, 12)


NAMES = "name,sex\nNan,f\nNa,f\nJohn,m\n"


def names(folder: Path, query: str = "SELECT name AS id, name, sex FROM n", content: str = NAMES) -> Raw:
    (folder / "n.csv").write_text(content)
    return table.read(folder, {"n": "n.csv"}, query, row_id="id", target="sex", text="name")


def test_names_that_look_missing_are_names(tmp_path: Path) -> None:
    assert names(tmp_path).X.tolist() == ["John", "Na", "Nan"]
    everyone = np.concatenate([part.X for _, part in prepared("first_names").parts()])
    assert {"Nan", "Na"} <= set(everyone) and len(everyone) == 160


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT name AS id, sex FROM n", "there is: none"),
        ("SELECT name AS id, name, sex, sex AS other FROM n", r"`name` \(str, 0 missing\), `other`"),
        ("SELECT name AS id, length(name) AS name, sex FROM n", r"`name` \(float64, 0 missing\)"),
        ("SELECT name AS id, nullif(name, 'Na') AS name, sex FROM n", r"`name` \(str, 1 missing\)"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, query: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        names(tmp_path, query)


SERIES = "year,v\n" + "".join(f"{1900 + i},{i}\n" for i in range(20))


def windows(folder: Path, content: str = SERIES, window: int = 3, **columns: str) -> Raw:
    (folder / "s.csv").write_text(content)
    return series.read(folder, "s.csv", **{"time": "year", "target": "v", **columns}, window=window)


def test_a_window_is_what_came_before(tmp_path: Path) -> None:
    raw = windows(tmp_path)
    assert raw.X.shape == (17, 3, 1) and raw.X.dtype == np.float32
    assert raw.X[0, :, 0].tolist() == [0, 1, 2] and raw.y[0] == 3 and raw.rows[0] == "1903"
    assert raw.X[-1, :, 0].tolist() == [16, 17, 18] and raw.y[-1] == 19 and raw.rows[-1] == "1919"


@pytest.mark.parametrize(("freq", "last"), [("D", "2024-01-20"), ("MS", "2025-08-01"), ("h", "2024-01-01 19:00:00")])
def test_times_may_be_dates(tmp_path: Path, freq: str, last: str) -> None:
    times = pd.date_range("2024-01-01", periods=20, freq=freq).astype(str)
    lines = [f"{time},{n}\n" for n, time in enumerate(times)]
    raw = windows(tmp_path, "year,v\n" + "".join(lines[::-1]))
    assert raw.y.tolist() == list(range(3, 20)) and raw.rows[-1] == last
    with pytest.raises(UserError, match=f"evenly spaced, but is not at {times[9]}"):
        windows(tmp_path, "year,v\n" + "".join(lines[:8] + lines[9:]))
    with pytest.raises(UserError, match="line 3: `year` must be a number, or all dates such as 2024-01-31"):
        windows(tmp_path, "year,v\n2024-01-01,1\nsoon,2\n2024-01-03,3\n")


@pytest.mark.parametrize(
    ("old", "new", "settings", "says"),
    [
        ("", "", {"target": "w"}, "no column `w`"),
        ("", "", {"window": 20}, "`data.source.window` is 20, but must be 1 to 19"),
        ("1905,5\n", "", {}, "evenly spaced, but is not at 1906"),
        ("1905,5", "1904,5", {}, "evenly spaced"),
        ("1905,5", "1905,", {}, "line 7: `v` must be a number"),
        ("1905,5", "1905,many", {}, "line 7: `v` must be a number"),
    ],
)
def test_a_spoilt_series_is_named(tmp_path: Path, old: str, new: str, settings: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        windows(tmp_path, SERIES.replace(old, new) if old else SERIES, **settings)


def test_no_window_has_seen_a_value_that_a_later_part_is_to_forecast() -> None:
    made = prepared("cycles")
    window = made.train.X.shape[1]
    value = dict(
        line.split(",") for line in (ROOT / "data/cycles/cycles.csv").read_text().splitlines()[1:]
    )  # by year, as text
    for earlier, later in ((made.train, made.val), (made.val, made.test)):
        assert earlier.rows.astype(int).max() < later.rows.astype(int).min()
    for _, part in made.parts():
        for X, y, year in zip(part.X, part.y, part.rows.astype(int), strict=True):
            seen = [float(value[str(before)]) for before in range(year - window, year)]  # all before its own target
            np.testing.assert_allclose(X[:, 0], seen, rtol=1e-6)
            assert y == float(value[str(year)])


def rows(n: int = 40, parts: np.ndarray | None = None) -> Raw:
    return Raw(np.zeros((n, 1)), np.arange(n) % 2, np.arange(n).astype(str), parts)


def test_a_published_split_needs_parts_that_are_published() -> None:
    settings = {"strategy": "published", "val": 0.25, "seed": 0}
    index = split(settings, rows(40, np.repeat(["test", "train"], 20)))
    assert index["test"].tolist() == list(range(20)) and len(index["val"]) == 5
    for parts in (None, np.repeat(["learn", "test"], 20)):
        with pytest.raises(UserError, match="publishes no split"):
            split(settings, rows(40, parts))


def test_a_split_by_time_keeps_the_order() -> None:
    index = split({"strategy": "time", "val": 0.1, "test": 0.2, "seed": 0}, rows())
    assert np.concatenate([index[part] for part in ("train", "val", "test")]).tolist() == list(range(40))
    assert [len(index[part]) for part in ("train", "val", "test")] == [28, 4, 8]


@pytest.mark.parametrize("strategy", ["random", "stratified", "published", "time"])
def test_less_training_rows_leave_the_other_parts_alone(strategy: str) -> None:
    settings = {"strategy": strategy, "val": 0.25, "test": None if strategy == "published" else 0.25, "seed": 0}
    raw = rows(40, np.repeat(["train", "test"], 20))
    whole, half, again = (split(settings, raw, fraction) for fraction in (1.0, 0.5, 0.5))
    assert len(half["train"]) == pytest.approx(len(whole["train"]) / 2, abs=1)
    assert set(half["train"]) < set(whole["train"])
    for part in ("val", "test"):
        np.testing.assert_array_equal(half[part], whole[part])
    np.testing.assert_array_equal(half["train"], again["train"])


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ("data.train_fraction=0", "greater than 0"),
        ("data.train_fraction=1.5", "less than or equal to 1"),
        ("data.split.strategy=published", "`test` is a share of the rows; only `published`"),
        ("data.split.test=null", "`test` is a share of the rows"),
        ("data.split.test=0.95", "leave no training rows"),
    ],
)
def test_a_split_that_cannot_be_is_named(overrides: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        compose.compose(overrides)


def test_less_training_data_is_a_data_set_of_its_own() -> None:
    assert compose.compose("data.train_fraction=0.1").folders.dataset != compose.compose().folders.dataset
    assert compose.compose("data.train_fraction=1.0").folders.dataset == compose.compose().folders.dataset


def ragged(n: int = 30, steps: int = 9, features: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, (n, steps, features)).astype(np.float32)
    X[np.arange(steps) >= rng.integers(1, steps + 1, n)[:, None]] = np.nan
    X[0] = rng.normal(3, 2, (steps, features))
    return X


def test_sequences_are_scaled_by_their_own_steps_alone() -> None:
    X = ragged()
    scaled = SequenceScaler().fit(X).transform(X)
    np.testing.assert_array_equal(np.isnan(scaled), np.isnan(X))
    np.testing.assert_allclose(np.nanmean(scaled, axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(np.nanstd(scaled, axis=(0, 1)), 1, atol=1e-5)


def test_a_summary_says_what_each_sequence_is_without_its_padding() -> None:
    X = ragged()
    summary = SequenceSummary().fit(X)
    names_out = summary.get_feature_names_out(["a", "b"]).tolist()
    for row, sequence in zip(summary.transform(X), X, strict=True):
        found = dict(zip(names_out, row, strict=True))
        a = sequence[~np.isnan(sequence[:, 0]), 0].astype(float)
        slope = np.polyfit(np.arange(len(a)), a, 1)[0] if len(a) > 1 else 0
        wanted = [a.mean(), a.std(), a.min(), a.max(), a[0], a[-1], slope]
        kinds = ("mean", "std", "min", "max", "first", "last", "slope")
        np.testing.assert_allclose([found[f"{kind}_a"] for kind in kinds], wanted, atol=1e-9)
        assert found["length"] == len(a)


def test_more_padding_changes_no_summary() -> None:
    X = ragged()
    longer = np.concatenate([X, np.full_like(X, np.nan)], axis=1)
    np.testing.assert_array_equal(*(SequenceSummary().fit(x).transform(x) for x in (X, longer)))


def test_the_values_of_windows_are_taken_as_they_are() -> None:
    X = np.arange(12.0).reshape(2, 3, 2)
    step = SequenceSummary(["values", "last"]).fit(X)
    np.testing.assert_array_equal(step.transform(X)[0], [0, 1, 2, 3, 4, 5, 4, 5])
    assert step.get_feature_names_out()[[1, 4, 7]].tolist() == ["step0_x1", "step2_x0", "last_x1"]


def test_texts_are_encoded_and_can_be_read_back() -> None:
    texts = np.array(["anna", "bo", "", "ünal"])
    step = TextEncoder().fit(texts)
    X = step.transform(texts)
    assert X.shape == (4, 4, 6) and X.dtype == np.float32
    back = ["".join(step.vocabulary_[line.argmax()] for line in row if line.sum() == 1) for row in X]
    assert back == texts.tolist()
    assert np.isnan(X[1, 2:]).all() and not np.isnan(X[1, :2]).any()
    assert (X[2, 0] == 0).all() and np.isnan(X[2, 1:]).all()  # an empty text is one step that says nothing


def test_what_the_training_texts_lack_is_a_step_of_zeros_and_what_is_longer_is_cut() -> None:
    X = TextEncoder().fit(np.array(["ab", "b"])).transform(np.array(["xab", "a"]))
    np.testing.assert_array_equal(X[0], [[0, 0], [1, 0]])
    np.testing.assert_array_equal(X[1], [[1, 0], [np.nan, np.nan]])


def test_words_can_be_the_units_and_the_most_frequent_kept() -> None:
    step = TextEncoder("words", max_length=2, max_vocabulary=2).fit(np.array(["the cat", "the dog the cat"]))
    assert step.vocabulary_ == ["cat", "the"]
    np.testing.assert_array_equal(step.transform(np.array(["the dog the cat"]))[0], [[0, 1], [0, 0]])


@pytest.mark.parametrize(
    ("step", "X"),
    [
        (SequenceScaler(), ragged()),
        (SequenceSummary(), ragged()),
        (TextEncoder(), np.array(["anna", "bo"])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_steps_keep_scikit_learns_protocol(step, X: np.ndarray) -> None:
    before, parameters = X.copy(), step.get_params()
    with pytest.raises(NotFittedError):
        step.transform(X)
    fitted = step.fit(X)
    assert fitted is step and step.get_params() == parameters
    one_by_one = np.concatenate([step.transform(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(one_by_one, step.transform(X), rtol=1e-6)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(clone(step).fit_transform(X), step.transform(X))


def test_a_statistic_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match=r"no statistic \['meen'\]. Valid: mean"):
        SequenceSummary(["meen"]).fit(ragged())


def test_a_step_refuses_another_number_of_features() -> None:
    with pytest.raises(ValueError, match="X has 1 features, but StandardScaler is expecting 2"):
        SequenceScaler().fit(ragged()).transform(ragged(features=1))


def test_the_scores_of_a_regression() -> None:
    scores = regression.TASK.score(Estimated(np.array([1.0, 2, 3, 6]), np.array([1.0, 2, 5, 3])))
    wanted = {"mae": 1.25, "rmse": np.sqrt(13 / 4), "r2": 1 - 13 / 14, "median_absolute_error": 1, "max_error": 3}
    assert scores == pytest.approx(wanted)
    assert "r2" not in regression.TASK.score(Estimated(np.array([1.0]), np.array([1.0])))


def made(info: dict) -> Dataset:
    """A sequence of two features; the target is one more than the last value of the second."""
    X = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    part = [Part(X + n, X[:, -1, 1] + n + 1.0, np.array([f"{n}{i}" for i in range(4)])) for n in range(3)]
    return Dataset({"kind": "sequence", "target": "v", **info}, *part)


def test_the_baseline_is_the_mean_or_for_a_series_the_value_before() -> None:
    data = made({})
    np.testing.assert_array_equal(regression.baseline(data, {}, 0).predicted, [data.train.y.mean()] * 4)
    data = made({"persistence": 1})
    np.testing.assert_array_equal(regression.baseline(data, {}, 0).predicted, data.test.y - 1)


@pytest.mark.parametrize(("info", "drawn"), [({}, 1), ({"persistence": 1}, 2)])
def test_what_a_regression_found_is_said_and_drawn(info: dict, drawn: int) -> None:
    data = made({"columns": ["a", "b"], **info})
    pipeline = make_pipeline(SequenceSummary(["last"]), Ridge()).fit(data.train.X, data.train.y)
    parts = {name: Estimated(part.y, part.y - 0.5) for name, part in data.parts()}
    found = regression.report(pipeline, data, parts, regression.TASK.scores(data, parts, 0))
    assert "Mean absolute error on test rows: 0.5; predicting" in found.findings[1]
    assert found.findings[0].startswith("R2: ")
    assert list(found.tables["largest_errors"]["residual"]) == [0.5] * 4
    assert len(list(found.figures)) == drawn
