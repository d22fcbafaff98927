"""Cleaning: what was declared and nothing else, every row and cell counted, nothing learned from test rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conftest import prepared
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.config.schema.data import Clean
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.clean import clean, drop_columns, outliers
from deepmine.models import pipelines

NUMBERS = st.one_of(st.none(), st.integers(-50, 50).map(float), st.sampled_from([1e6, -1e6]))
ROWS = st.lists(
    st.tuples(NUMBERS, NUMBERS, st.sampled_from([" Rome", "rome ", "Oslo", None]), st.booleans()), min_size=8
)
SETTINGS = st.builds(
    lambda strip, lower, action, duplicates, rows: {
        "spelling": {"town": {"strip": strip, "lower": lower, "map": {"oslo": "Oslo, Norway"} if not lower else {}}},
        "impossible": {"size": {"min": -9.0, "max": 30.0, "action": action}},
        "duplicates": duplicates,
        "missing": {"drop_rows": rows},
    },
    st.booleans(),
    st.booleans(),
    st.sampled_from(["empty", "clip", "drop"]),
    st.sampled_from(["keep", "drop"]),
    st.sampled_from([[], ["size"], ["town"]]),
)
OUTLIERS = [("iqr", "drop", 1.5), ("iqr", "clip", 1.5), ("iqr", "flag", 1.5), ("robust_z", "drop", 3.5)]
OUTLIERS += [("robust_z", "clip", 3.5), ("robust_z", "flag", 3.5)]
FOREST = [("isolation_forest", "drop", 0.1), ("isolation_forest", "flag", 0.1)]


def framed(rows: list[tuple]) -> tuple[pd.DataFrame, np.ndarray]:
    """A frame as a reader gives it, and which rows are to train."""
    *columns, train = zip(*rows, strict=True)
    frame = pd.DataFrame(dict(zip(("size", "weight", "town"), columns, strict=True)))
    frame = frame.astype({"size": "float", "weight": "float", "town": "str"})
    return frame.set_axis(pd.Index([f"r{n}" for n in range(len(rows))], dtype="str")), np.array(train)


def seek(method: str, action: str, threshold: float, **more: object) -> dict:
    given = {"outliers": {"method": method, "action": action, "threshold": threshold, **more}}
    return Clean(**given).model_dump()["outliers"]


@given(ROWS, SETTINGS)
@settings(max_examples=40, deadline=None)
def test_cleaning_twice_is_cleaning_once_and_every_row_is_counted(rows: list, given_settings: dict) -> None:
    frame, _ = framed(rows)
    before, ledger, rules = frame.copy(), Ledger(), Clean(**given_settings).model_dump()
    try:
        once = clean(frame, rules, ledger)
    except UserError as error:
        assert "leaves no row" in str(error)
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
        [(1, 1, " Rome", 1), (99, 1, "rome", 1), (-9, None, "OSLO", 1), (1, 1, "Rome", 1), (3, 1, None, 1)]
    )
    rules = {
        "spelling": {"town": {"lower": True, "map": {"oslo": "Norway", "rome": None}}},
        "impossible": {"size": {"max": 50.0}, "weight": {"min": 0.0, "action": "drop"}},
        "duplicates": "drop",
        "missing": {"drop_rows": ["size"]},
    }
    ledger = Ledger()
    done = clean(frame, Clean(**rules).model_dump(), ledger)
    assert done.index.tolist() == ["r0", "r2", "r4"] and done["size"].tolist() == [1, -9, 3]
    assert [tuple(entry[1:]) for entry in ledger] == [
        ("town: 4 spellings changed", 5, 5, 4),
        ("size: 1 values outside -inf to 50 emptied", 5, 5, 1),
        ("weight: 0 values outside 0 to inf and their rows dropped", 5, 5, 0),
        ("1 rows that equal an earlier one in all but the row id dropped", 5, 4, 0),
        ("size: 1 rows without a value dropped", 4, 3, 0),
    ]


@given(ROWS, st.sampled_from([0.0, 0.5, 0.9]), st.data())
@settings(max_examples=40, deadline=None)
def test_columns_are_dropped_for_what_training_rows_lack(rows: list, share: float, data: st.DataObject) -> None:
    frame, train = framed(rows)
    assume(train.any())
    train, ledger = np.flatnonzero(train), Ledger()
    done = drop_columns(frame, train, share, ledger)
    assert list(done) == [name for name in frame if frame[name].iloc[train].isna().mean() <= min(share, 0.999)]
    assert len(ledger) == frame.shape[1] - done.shape[1] and len(done) == len(frame)
    other = frame.copy()
    other.iloc[np.setdiff1d(np.arange(len(frame)), train)] = None  # what other rows hold decides nothing
    assert list(drop_columns(other, train, share, Ledger())) == list(done)


def test_infinite_values_and_columns_without_any_are_named() -> None:
    frame = pd.DataFrame({"size": [1.0, np.inf, 99.0], "town": pd.array([None, None, "Hull"], dtype="str")})
    ledger = Ledger()
    done = clean(frame, Clean(impossible={"size": {"max": 50.0}}).model_dump(), ledger)
    assert done["size"].notna().tolist() == [True, False, False]
    assert list(drop_columns(done, np.array([0, 1]), None, ledger)) == ["size"]
    assert [entry.what for entry in ledger] == [
        "size: 2 values outside -inf to 50 (1 infinite) emptied",
        "town: dropped, none of its values is there in the training rows",
    ]


@given(ROWS, st.sampled_from(OUTLIERS), st.data())
@settings(max_examples=50, deadline=None)
def test_test_rows_teach_nothing_about_outliers(rows: list, how: tuple, data: st.DataObject) -> None:
    frame, train = framed(rows)
    assume(train.sum() > 3 and not train.all())
    other = frame.copy()
    for name in ("size", "weight"):
        values = data.draw(st.lists(NUMBERS, min_size=len(rows), max_size=len(rows)))
        other[name] = frame[name].where(train, pd.Series(values, frame.index, dtype=float))
    check_test_rows(frame, other, train, seek(*how))


@pytest.mark.parametrize("how", FOREST)
def test_test_rows_teach_a_forest_nothing(how: tuple) -> None:
    draw = np.random.default_rng(0)
    frame, train = framed([(*draw.normal(size=2), "a", n % 3 > 0) for n in range(90)])
    other = frame.assign(size=frame["size"].where(train, 1e9))
    check_test_rows(frame, other, train, seek(*how))


def check_test_rows(frame: pd.DataFrame, other: pd.DataFrame, train: np.ndarray, how: dict) -> None:
    results = []
    for one in (frame, other):
        ledger = Ledger()
        try:
            done, kept = outliers(one, train, {**how, "columns": ["size"]}, ledger)
        except UserError as error:
            results.append(str(error))
            continue
        assert len(done) == len(kept) and set(frame.index[~train]) <= set(done.index)
        assert done["weight"].equals(one.loc[done.index, "weight"])
        assert len(frame) - len(done) == sum(entry.rows_before - entry.rows_after for entry in ledger)
        results.append(done[kept])
    if isinstance(results[0], str):
        assert results[0] == results[1]
    else:
        pd.testing.assert_frame_equal(*results)


@given(ROWS, st.sampled_from(["iqr", "robust_z"]))
@settings(max_examples=40, deadline=None)
def test_clipping_twice_is_clipping_once(rows: list, method: str) -> None:
    frame, train = framed(rows)
    assume(train.any())
    once, _ = outliers(frame, train, seek(method, "clip", 3.5), Ledger())
    twice, _ = outliers(once, train, seek(method, "clip", 3.5), Ledger())
    pd.testing.assert_frame_equal(once, twice)


def test_limits_are_those_of_the_sources() -> None:
    values = [
        2.1,
        2.6,
        2.4,
        2.5,
        2.3,
        2.1,
        2.3,
        2.6,
        8.2,
        8.3,
    ]  # Iglewicz and Hoaglin, section 3: 8.2 and 8.3 stand out
    frame, train = framed([(value, 1.0, "a", True) for value in values])
    flagged, _ = outliers(frame, train, seek("robust_z", "flag", 3.5, columns=["size"]), Ledger())
    assert flagged["outlier"].tolist() == [0.0] * 8 + [1.0] * 2
    frame, train = framed([(float(n), 1.0, "a", True) for n in [*range(9), 15]])  # quartiles 2.25 and 6.75
    clipped, _ = outliers(frame, train, seek("iqr", "clip", 1.5, columns=["size"]), Ledger())
    assert clipped["size"].max() == 6.75 + 1.5 * 4.5


def test_a_column_half_of_which_is_equal_is_left_alone_and_that_is_said() -> None:
    frame, train = framed([(0.0, float(n), "a", True) for n in range(9)] + [(5.0, 9.0, "a", True)])
    ledger = Ledger()
    done, _ = outliers(frame, train, seek("iqr", "drop", 1.5), ledger)
    assert len(done) == 10 and "size: no outliers sought" in ledger[0].what


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"spelling": {"twn": {}}}, "`twn`, which is not among the columns there. Did you mean `town`?"),
        ({"spelling": {"size": {}}}, "for texts, but `size` holds numbers"),
        ({"impossible": {"town": {"max": 1.0}}}, "for numbers, but `town` holds none"),
        ({"missing": {"drop_rows": ["sizes"]}}, "Did you mean `size`?"),
        ({"impossible": {"size": {"max": -1e9, "action": "drop"}}}, "leaves no row"),
    ],
)
def test_a_rule_that_does_not_fit_is_named(rules: dict, says: str) -> None:
    frame, _ = framed([(1.0, 2.0, "a", True)] * 3)
    with pytest.raises(UserError, match=says):
        clean(frame, Clean(**rules).model_dump(), Ledger())


def test_outliers_that_cannot_be_sought_are_named() -> None:
    frame, train = framed([(1.0, float(n), "a", True) for n in range(5)])
    with pytest.raises(UserError, match="Did you mean `size`?"):
        outliers(frame, train, seek("iqr", "drop", 1.5, columns=["sizes"]), Ledger())
    with pytest.raises(UserError, match="a column `outlier` already"):
        outliers(frame.assign(outlier=0.0), train, seek("iqr", "flag", 1.5), Ledger())


@pytest.mark.parametrize("filling", ["knn", "iterative", "indicator"])
def test_what_is_filled_is_learned_in_the_pipeline(filling: str, tmp_path) -> None:
    cfg, data = compose.compose("experiment=titanic_tree", f"preprocessing={filling}"), prepared("titanic")
    pipeline = pipelines.build(cfg.steps, cfg.model)
    pipelines.fit(pipeline, "classification", data.train, data.val, lambda *_: None)
    assert data.train.X.isna().any().any() and np.isfinite(pipeline[:-1].transform(data.test.X)).all()
    pipelines.save(pipeline, tmp_path / "model.skops")
    loaded = pipelines.load(tmp_path / "model.skops", cfg.trusted)
    assert loaded.score(data.test.X, data.test.y) == pipeline.score(data.test.X, data.test.y) > 0.7
    names = list(pipeline[:-1].get_feature_names_out())
    assert ("missingindicator_age" in names) == (filling == "indicator")


def test_a_column_of_many_categories_widens_no_table_without_end() -> None:
    cfg, shops = compose.compose("experiment=titanic_tree"), [f"shop {n}" for n in range(500)]
    frame = pd.DataFrame({"shop": [*shops[:60] * 3, *shops], "few": ["a", "b"] * 340}).astype("str")
    encoder = pipelines.build(cfg.steps, cfg.model)[:-1].fit(frame)
    names = list(encoder.get_feature_names_out())
    assert len(names) == 50 + 2 and {"shop_infrequent_sklearn", "few_a", "few_b"} <= set(names)
    never_seen = encoder.transform(pd.DataFrame({"shop": ["shop 501"], "few": ["c"]}).astype("str"))
    assert np.ravel(never_seen)[names.index("shop_infrequent_sklearn")] == 1 and np.sum(never_seen) == 1
