"""Cleaning: what is declared and nothing else, every row and cell counted; what is learned belongs to the model."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import prepared
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.config.schema.data import Clean
from deepmine.data.dataset import Part
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.clean import clean
from deepmine.models import pipelines
from deepmine.models.transformers import Outliers

NUMBERS = st.one_of(st.none(), st.integers(-50, 50).map(float), st.sampled_from([1e6, -1e6]))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from(["Rome", "Oslo", None]), st.booleans()), min_size=8)
SETTINGS = st.builds(
    lambda duplicates, rows: {
        "impossible": {"size": {"min": -9.0, "max": 30.0}},
        "duplicates": duplicates,
        "missing": {"drop_rows": rows},
    },
    st.sampled_from(["keep", "drop"]),
    st.sampled_from([[], ["size"], ["town"]]),
)


def config(*overrides: str) -> dict:
    return compose.plain(compose.compose("experiment=ferry_tree", *overrides))


def framed(rows: list[tuple]) -> tuple[pd.DataFrame, np.ndarray]:
    """A frame as a reader gives it, and which rows are to train."""
    *columns, train = zip(*rows, strict=True)
    frame = pd.DataFrame(dict(zip(("size", "weight", "town"), columns, strict=True)))
    frame = frame.astype({"size": "float", "weight": "float", "town": "str"})
    return frame.set_axis(pd.Index([f"r{n}" for n in range(len(rows))], dtype="str")), np.array(train)


@given(ROWS, SETTINGS)
@settings(max_examples=40, deadline=None)
def test_cleaning_twice_is_cleaning_once_and_every_row_is_counted(rows: list, given_settings: dict) -> None:
    frame, _ = framed(rows)
    before, ledger, rules = frame.copy(), Ledger(), Clean(**given_settings).model_dump()
    try:
        once = clean(frame, rules, ledger)
    except UserError as error:
        assert "No row is left" in str(error)
        return
    pd.testing.assert_frame_equal(frame, before)
    assert list(once) == list(before) and once["weight"].equals(before.loc[once.index, "weight"])
    counts = [(entry.rows_before, entry.rows_after) for entry in ledger]
    assert [len(frame), *(after for _, after in counts)] == [*(before for before, _ in counts), len(once)]
    twice = Ledger()
    pd.testing.assert_frame_equal(clean(once, rules, twice), once)
    assert sum(entry.cells for entry in twice) == 0


def test_each_step_does_what_it_says_and_counts_it() -> None:
    frame, _ = framed(
        [(1, 1, "Rome", 1), (99, 1, "Rome", 1), (-9, None, "Oslo", 1), (1, 1, "Rome", 1), (3, 1, None, 1)]
    )
    rules = {
        "impossible": {"size": {"max": 50.0}, "weight": {"min": 0.0}},
        "duplicates": "drop",
        "missing": {"drop_rows": ["size"]},
    }
    ledger = Ledger()
    done = clean(frame, Clean(**rules).model_dump(), ledger)
    assert done.index.tolist() == ["r0", "r2", "r4"] and done["size"].tolist() == [1, -9, 3]
    assert [tuple(entry[1:]) for entry in ledger] == [
        ("size: emptied 1 values outside -inf to 50, of which 0 are infinite", 5, 5, 1),
        ("weight: emptied 0 values outside 0 to inf, of which 0 are infinite", 5, 5, 0),
        ("dropped 1 rows that repeat an earlier one (row id aside)", 5, 4, 0),
        ("dropped 1 rows where size is missing", 4, 3, 0),
    ]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"impossible": {"twn": {}}}, "`twn`, which is not a column. Did you mean `town`?"),
        ({"impossible": {"town": {"max": 1.0}}}, "for numbers, but `town` does not hold numbers"),
        ({"missing": {"drop_rows": ["sizes"]}}, "Did you mean `size`?"),
        ({"impossible": {"size": {"max": -1e9}}, "missing": {"drop_rows": ["size"]}}, "No row is left"),
    ],
)
def test_a_rule_that_does_not_fit_is_named(rules: dict, says: str) -> None:
    frame, _ = framed([(1.0, 2.0, "a", True)] * 3)
    with pytest.raises(UserError, match=says):
        clean(frame, Clean(**rules).model_dump(), Ledger())


SKEWED = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]  # Iglewicz and Hoaglin, section 3: 8.2 and 8.3 stand out


@pytest.mark.parametrize(
    ("step", "values", "done"),
    [
        (Outliers("robust_z", 3.5, "empty"), SKEWED, [*SKEWED[:8], None, None]),
        (Outliers("iqr", 1.5), [*range(9), 15.0], [*range(9), 6.75 + 1.5 * 4.5]),  # quartiles 2.25 and 6.75
        (Outliers("iqr", 1.5), [*[0.0] * 9, 5.0], [*[0.0] * 9, 5.0]),  # no spread, no outliers
        (Outliers(), [None, None], [None, None]),
    ],
)
def test_limits_are_those_of_the_sources(step: Outliers, values: list, done: list) -> None:
    frame = pd.DataFrame({"x": values, "self": "a"}).astype({"x": float, "self": "str"})
    pd.testing.assert_frame_equal(step.fit(frame).transform(frame), frame.assign(x=pd.Series(done, dtype=float)))
    assert list(step.get_feature_names_out()) == ["x", "self"]
    assert len(step.fit(frame[["self"]]).transform(frame[["self"]])) == len(frame)  # a table without numbers


def test_columns_are_dropped_for_what_is_missing() -> None:
    frame = pd.DataFrame({"all": [1.0, 2, 3, 4], "half": [1, None, None, 4], "none": None})
    for share, kept in ((1.0, ["all", "half"]), (0.5, ["all", "half"]), (0.4, ["all"])):
        cfg = config("preprocessing=clean", f"preprocessing.columns.transformer.drop_null_fraction={share}")
        step = pipelines.build(cfg["steps"], cfg["model"])["columns"].fit(frame)
        assert list(step.transform(frame)) == list(step.get_feature_names_out()) == kept


def test_new_rows_are_clipped_by_the_limits_that_the_saved_model_holds(tmp_path: Path) -> None:
    """Folds learn limits of their own; evaluation and whoever serves the model see the same rows."""
    cfg = config("preprocessing=clean", "preprocessing.outliers.threshold=1.5")
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"fare": rng.normal(size=200), "empty": np.nan, "sex": pd.array(["a", "b"] * 100, dtype="str")})
    y = (X["fare"] > 0).to_numpy(int)
    half, rest = (
        Part(X[some].reset_index(drop=True), y[some], np.arange(100)) for some in (slice(100), slice(100, 200))
    )
    half.X.loc[0, "fare"] = 50.0
    limits = []
    for train, val in ((half, rest), (rest, half)):
        pipeline = pipelines.build(cfg["steps"], cfg["model"])
        pipelines.fit(pipeline, "classification", train, val, lambda *_: None)
        limits.append(pipeline["outliers"].limits_["fare"])
        low, high = np.quantile(train.X["fare"], [0.25, 0.75])
        assert limits[-1] == pytest.approx([low - 1.5 * (high - low), high + 1.5 * (high - low)])
    assert limits[0] != limits[1]
    pipelines.save(pipeline, tmp_path / "model.skops")
    served = pipelines.load(tmp_path / "model.skops", cfg["trusted"])
    seen = served[:2].transform(half.X)
    assert list(seen) == ["fare", "sex"] and seen["fare"].max() == limits[1][1] < 50
    np.testing.assert_array_equal(served.predict_proba(half.X), pipeline.predict_proba(half.X))


@pytest.mark.parametrize("filling", ["knn", "iterative", "indicator"])
def test_what_is_filled_is_learned_in_the_pipeline(filling: str, tmp_path) -> None:
    cfg, data = config(f"preprocessing={filling}"), prepared("ferry")
    pipeline = pipelines.build(cfg["steps"], cfg["model"])
    pipelines.fit(pipeline, "classification", data.train, data.val, lambda *_: None)
    assert data.train.X.isna().any().any() and np.isfinite(pipeline[:-1].transform(data.test.X)).all()
    pipelines.save(pipeline, tmp_path / "model.skops")
    loaded = pipelines.load(tmp_path / "model.skops", cfg["trusted"])
    assert loaded.score(data.test.X, data.test.y) == pipeline.score(data.test.X, data.test.y) > 0.7
    names = list(pipeline[:-1].get_feature_names_out())
    assert ("missingindicator_age" in names) == (filling == "indicator")


def test_a_column_of_many_categories_widens_no_table_without_end() -> None:
    cfg, shops = config(), [f"shop {n}" for n in range(500)]
    frame = pd.DataFrame({"shop": [*shops[:60] * 3, *shops], "few": ["a", "b"] * 340}).astype("str")
    encoder = pipelines.build(cfg["steps"], cfg["model"])[:-1].fit(frame)
    names = list(encoder.get_feature_names_out())
    assert len(names) == 50 + 2 and {"shop_infrequent_sklearn", "few_a", "few_b"} <= set(names)
    never_seen = encoder.transform(pd.DataFrame({"shop": ["shop 501"], "few": ["c"]}).astype("str"))
    assert np.ravel(never_seen)[names.index("shop_infrequent_sklearn")] == 1 and np.sum(never_seen) == 1
