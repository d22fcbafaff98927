"""Contracts: what is inferred holds, what changes is caught, and no text reaches a message."""

import re
import shutil
from functools import cache
from pathlib import Path

import hydra
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig
from scipy import sparse

from conftest import CONF
from deepmine import ROOT
from deepmine.commands import contract as stage
from deepmine.config import compose
from deepmine.config.check import check as check_config
from deepmine.config.errors import UserError
from deepmine.config.schema.data import Contract
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.contract import check, enforce, infer
from deepmine.data.preparing.examples import describe
from deepmine.data.raw import Raw

NAMES = sorted(path.stem for path in (CONF / "data/contract").glob("*.yaml"))
VALUES = st.one_of(st.none(), st.floats(-1e9, 1e9, allow_subnormal=False), st.sampled_from([np.inf, -np.inf]))
FRAMES = st.lists(
    st.tuples(VALUES, st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from(["a", "b", None]), st.dates()), min_size=1
).map(lambda rows: typed(pd.DataFrame(rows, columns=["size", "class", "town", "day"])))


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """As a reader gives it."""
    types = {"size": "float", "class": "float", "town": "str", "day": "datetime64[us]"}
    return frame.astype(types).set_axis(pd.Index([f"r{n}" for n in range(len(frame))], dtype="str"))


def full(contract: dict) -> dict:
    """With every default, as a stage gets it."""
    return Contract(**contract).model_dump()


@cache
def source(name: str) -> tuple[Raw, str | None, dict]:
    """Raw rows, target and frozen contract of a set."""
    data = compose.plain(compose.compose("~experiment", f"data={name}", trains=False))["data"]
    read = hydra.utils.get_method(data["source"].pop("_target_"))
    return read(ROOT / "data" / data["folder"], **data["source"]), data["source"].get("target"), full(data["contract"])


def rules(name: str, raw: Raw) -> list[str]:
    """The rules that rows break."""
    _, target, contract = source(name)
    return check(describe(raw, target), contract)["rule"].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_column_dropped_added_or_of_another_type_is_caught(name: str) -> None:
    raw, target, contract = source(name)
    frame = describe(raw, target)
    for column in frame:
        assert check(frame.drop(columns=column), contract)["rule"].tolist() == ["is not in the data"]
        swapped = frame[column].astype("str") if frame[column].dtype.kind == "f" else frame[column].str.len() * 1.0
        assert "must be of type" in check(frame.assign(**{column: swapped}), contract)["rule"].item()
    assert "is not in the contract" in check(frame.assign(extra=1.0), contract)["rule"].item()


@pytest.mark.parametrize("name", NAMES)
def test_doubled_rows_are_caught(name: str) -> None:
    raw, target, contract = source(name)
    frame = describe(raw, target)
    twice = pd.concat([frame, frame.set_axis(frame.index.astype(str) + "again")])
    assert any("must not repeat an earlier row" in rule for rule in check(twice, contract)["rule"])


def shifted(raw: Raw, factor: float) -> list[Raw]:
    """The raw rows with one feature in another unit, for each feature of numbers."""
    if isinstance(raw.X, pd.DataFrame):
        columns = raw.X.select_dtypes("number").columns
        return [raw._replace(X=raw.X.assign(**{column: raw.X[column] * factor})) for column in columns]
    if raw.X.ndim == 4:
        return [raw._replace(X=raw.X * float(factor))]
    features = np.eye(raw.X.shape[2]) * (factor - 1) + 1
    return [raw._replace(X=(raw.X * feature).astype(np.float32)) for feature in features]


@pytest.mark.parametrize("factor", [10, 1 / 255, 1 / 1000], ids=["x10", "pixels", "milli"])
@pytest.mark.parametrize(
    "name",
    ["voices", "digits", "birds", "cycles", "ferry"],
)
def test_another_unit_is_caught_in_every_feature(name: str, factor: float) -> None:
    for other in shifted(source(name)[0], factor):
        assert rules(name, other)


def test_other_texts_and_baskets_are_caught() -> None:
    names, _, _ = source("first_names")
    for other in (np.char.lower(names.X), np.char.add(names.X, " B."), np.char.multiply(names.X, 3)):
        assert rules("first_names", names._replace(X=other))
    shop, _, _ = source("market")
    assert rules("market", shop._replace(X=sparse.csr_matrix(1 - shop.X[:50].toarray()), rows=shop.rows[:50]))


@given(FRAMES)
@settings(max_examples=30, deadline=None)
def test_rows_keep_what_is_inferred_from_them(frame: pd.DataFrame) -> None:
    contract = full(infer(frame))
    assert check(frame, contract).empty
    ledger = Ledger()
    assert enforce(frame, contract, "stop", ledger).empty
    assert [entry[2:] for entry in ledger] == [(len(frame), len(frame), 0)]


@given(FRAMES, st.integers(-5, 5))
@settings(max_examples=30, deadline=None)
def test_rejected_rows_are_all_accounted_for_and_the_rest_keeps_the_contract(frame: pd.DataFrame, most: int) -> None:
    columns = {
        "size": {"type": "number", "max": most, "missing": 1.0},
        "class": {"type": "integer", "max": 2},
        "town": {"type": "text", "categories": ["a"], "missing": 1.0},
        "day": {"type": "date", "max": "1999-12-31"},
    }
    contract = full({"columns": columns})
    bad = (frame["size"] > most) | (frame["class"] > 2) | (frame["town"] == "b") | (frame["day"] >= "2000")
    ledger = Ledger()
    if bad.all():
        with pytest.raises(UserError, match="break their contract"):
            enforce(frame, contract, "reject", ledger)
        return
    broken, kept = enforce(frame, contract, "reject", ledger), frame[~bad]
    assert set(broken["row"]) == set(frame.index[bad])
    assert [entry[2:4] for entry in ledger] == [(len(frame), len(kept))]
    assert enforce(kept, contract, "stop", ledger).empty


@pytest.mark.parametrize(
    ("column", "rule", "value", "says"),
    [
        ("size", {"min": 0}, -7.25, "must be at least 0"),
        ("size", {"max": 5}, 99.25, "must be at most 5"),
        ("size", {}, None, "must not be missing"),
        ("class", {"type": "integer"}, 1.5, "must be a whole number"),
        ("town", {"categories": ["a", "b"]}, "Secretville", "must be one of the categories"),
        ("day", {"min": "2000-01-01"}, "1987-06-05", "must be at least 2000-01-01"),
        ("day", {"max": "2026-12-31"}, "2027-01-01", "must be at most 2026-12-31"),
    ],
)
def test_a_row_that_breaks_a_rule_is_named_without_its_value(column: str, rule: dict, value: object, says: str) -> None:
    frame = typed(pd.DataFrame({"size": 1.0, "class": 1.0, "town": ["a"] * 9, "day": "2026-12-31 23:00"}))
    types = {"size": "number", "class": "number", "town": "text", "day": "date"}
    columns = {name: {"type": kind} | (rule if name == column else {}) for name, kind in types.items()}
    contract = full({"columns": columns})
    assert check(frame, contract).empty
    frame.loc["r4", column] = value
    assert check(frame, contract).to_numpy().tolist() == [["r4", column, says]]
    with pytest.raises(UserError, match=re.escape(f"`{column}` {says}: r4\n")) as error:
        enforce(frame, contract, "stop", Ledger())
    assert str(value) not in str(error.value)
    assert enforce(frame, contract, "reject", Ledger())["row"].tolist() == ["r4"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"repeated_rows": 0.5}, "rows must not repeat an earlier row in more than 50%"),
        ({"columns": {"size": {"type": "number", "median": [2, 3]}}}, "must have a median from 2 to 3"),
        ({"columns": {"size": {"type": "number", "missing": 0.1}}}, "must not be missing in more than 10%"),
    ],
)
def test_what_no_row_is_to_blame_for_stops_always(change: dict, says: str) -> None:
    frame = pd.DataFrame({"size": [None, None, *[1.0] * 7]}, index=[f"r{n}" for n in range(9)])
    contract = full({"columns": {"size": {"type": "number", "missing": 1.0}}} | change)
    with pytest.raises(UserError, match=says):
        enforce(frame, contract, "reject", Ledger())


def test_what_is_inferred_is_short_and_plain() -> None:
    n = 200
    frame = pd.DataFrame(
        {
            "height": np.linspace(1.23456, 98.7654, n),
            "legs": np.tile([2.0, 4.0], n // 2),
            "code": pd.array([f"P{k:04}" for k in range(n)], dtype="str"),
            "town": pd.array(["Rome", None] * (n // 2), dtype="str"),
            "day": pd.date_range("2020-03-04", periods=n),
            "surname": pd.array(["Smith", "Jones"] * (n // 2), dtype="str"),
        }
    )
    assert infer(frame) == {
        "repeated_rows": 0,
        "columns": {
            "height": {"type": "number", "min": 1.23, "max": 98.8, "median": [25.6, 74.4]},
            "legs": {"type": "integer", "min": 2, "max": 4},
            "code": {"type": "text", "unique": True},
            "town": {"type": "text", "categories": ["Rome"], "missing": 0.5},
            "day": {"type": "date", "min": "2020-01-01", "max": "2020-12-31"},
            "surname": {"type": "text"},  # of people: their names do not belong into git
        },
    }
    hidden = infer(frame, ["height", "code", "town", "day"])["columns"]
    assert hidden["height"] == {"type": "number"} and hidden["code"] == {"type": "text", "unique": True}
    assert hidden["town"] == {"type": "text", "missing": 0.5} and hidden["day"] == {"type": "date"}


def test_infinite_values_promise_no_limits_and_break_those_that_there_are() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, np.inf], "y": [0.5, -np.inf, 1.5], "z": np.inf}, index=list("abc"))
    assert list(infer(frame)["columns"].values()) == [{"type": "number"}] * 3
    assert check(frame, full(infer(frame))).empty
    finite = full({"columns": {name: {"type": "number", "min": -9, "max": 9} for name in "xyz"}})
    assert check(frame, finite)["row"].tolist() == ["c", "b", *"abc"]


def test_facts_of_sequences_images_texts_and_baskets() -> None:
    X = np.array([[[1, 5], [3, 7]], [[2, 4], [np.nan, np.nan]]], np.float32)
    facts = describe(Raw(X, np.array([0, 1]), np.array(["a", "b"]), facts={"columns": ["u", "v"]}), "label")
    assert facts.drop(columns="content").loc["a"].tolist() == [2, 1, 3, 2, 5, 7, 6, 0]
    assert facts.drop(columns="content").loc["b"].tolist() == [1, 2, 2, 2, 4, 4, 4, 1]
    image = describe(Raw(np.arange(12, dtype=np.uint8).reshape(1, 3, 2, 2), None, np.array(["a"])))
    assert image.drop(columns="content").loc["a"].tolist() == [3, 2, 2, 0, 11, 5.5]
    text = describe(Raw(np.array(["Ab 1!", "b", "b"]), None, np.array(["a", "b", "c"])))
    assert text["characters"].tolist() == ["Ll Lu Nd Po Zs", "Ll", "Ll"]
    assert text["length"].tolist() == [5, 1, 1] and text.duplicated().tolist() == [False, False, True]
    baskets = describe(Raw(sparse.csr_matrix([[1, 0, 1], [0, 1, 0]]), None, np.array(["a", "b"])))
    assert baskets["items"].tolist() == [2, 1] and baskets["content"].is_unique


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compose, "CONF", Path(shutil.copytree(CONF, tmp_path / "conf")))
    return compose.CONF


@cache
def birds() -> DictConfig:
    return compose.compose("~experiment", "data=birds", trains=False)


def test_the_verb_writes_a_contract_that_the_data_set_then_has(conf: Path) -> None:
    file, written = conf / "data/ferry.yaml", conf / "data/contract/ferry.yaml"
    with_contract = file.read_text()
    file.write_text(with_contract.replace("contract: ferry\n", ""))
    written.unlink()
    cfg = compose.compose("~experiment", "data=ferry", "data.privacy.columns.sex=drop", trains=False)
    assert cfg.data.contract is None
    stage.main(cfg)
    contract = yaml.safe_load(written.read_text())
    assert contract["columns"]["sex"] == {"type": "text"}  # and no categories
    assert file.read_text() == with_contract
    again = compose.compose("~experiment", "data=ferry", trains=False)
    assert compose.plain(again)["data"]["contract"] == compose.decisive(again)["data"]["contract"] == contract
    with pytest.raises(UserError, match="overwrite=true"):
        stage.main(cfg)
    written.unlink()
    with pytest.raises(UserError, match="has no ferry.yaml. Create it: make contract data=ferry data.contract=null"):
        compose.compose("~experiment", "data=ferry", trains=False)
    stage.main(compose.compose("~experiment", "data=ferry", "data.contract=null", trains=False))
    assert written.is_file() and file.read_text() == with_contract


ADDED = ("choices", "trial", "folders")  # to a config that was checked
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200),
    st.sampled_from(["${oc.env:HOME}", "${seed}", "???", "_target_", "\\${seed}", "=", "no", "1", "a: {b}", "-"]),
)


@given(st.lists(TEXTS, min_size=2, max_size=4, unique=True), TEXTS)
@settings(max_examples=30, deadline=None)
def test_what_comes_from_data_is_never_an_expression(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], category: str
) -> None:
    """Any text as column or category passes literally through the contract, the composed config and the record."""
    folder, cfg = tmp_path_factory.mktemp("conf"), birds()
    contract = infer(pd.DataFrame({name: pd.array([category] * 20, dtype="str") for name in [*names, "_target_"]}))
    compose.dump(folder / "data/contract/birds.yaml", stage.by_line(contract), "# A head.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "CONF", folder)
        values = compose.plain(cfg)
    assert values["data"]["contract"] == contract and contract["columns"]["_target_"]["categories"] == [category]
    check_config({k: v for k, v in values.items() if k not in ADDED}, values["choices"], trains=False)
    compose.refuse_files(folder)
    compose.dump(folder / "config.yaml", compose.decisive(values))
    assert yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["data"]["contract"] == contract


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"type": "number", "mx": 1}, "no `data.contract.columns.fare.mx`. Did you mean `max`?"),
        (
            {"type": "text", "min": 1},
            "cannot have `min`. (It is set in conf/data/contract/ferry",
        ),
        ({"type": "number", "min": "2026-01-31"}, "those of a number numbers"),
    ],
)
def test_a_mistake_in_a_contract_is_named(conf: Path, rule: dict, says: str) -> None:
    (conf / "data/contract/ferry.yaml").write_text(yaml.safe_dump({"columns": {"fare": rule}}))
    for more in ([], ["overwrite=true"]):  # a setting of `contract` lets no other verb pass over a contract
        with pytest.raises(UserError, match=re.escape(says)):
            compose.compose("~experiment", "data=ferry", *more, trains=False)


def test_a_mistake_in_a_privacy_rule_is_named() -> None:
    with pytest.raises(UserError, match="`data.privacy.columns.age` is 'drp': it should be 'keep', 'drop'"):
        compose.compose("~experiment", "data=ferry", "data.privacy.columns.age=drp", trains=False)
