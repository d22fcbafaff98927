"""Privacy: protected values reach no frame, message or ledger; what looks personal stops."""

import hashlib
import hmac
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import prepared
from deepmine import ROOT
from deepmine.config.errors import UserError
from deepmine.config.schema.data import Privacy
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.privacy import DEMO, personal, protect

KEY = "DEEPMINE_TEST_KEY"
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(-1e6, 1e6)),
        st.one_of(st.none(), st.sampled_from(["N1 4XA", "N1 9QQ", "SE3"])),
        st.one_of(st.none(), st.dates(pd.Timestamp("1890-01-01").date(), pd.Timestamp("2030-01-01").date())),
        st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
    ),
    min_size=1,
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "a key for tests, long enough")


def framed(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["age", "postcode", "born", "note"])
    frame = frame.astype({"age": "float", "postcode": "str", "born": "datetime64[us]", "note": "str"})
    return frame.set_axis(pd.Index([f"r{n}" for n in range(len(rows))], dtype="str"))


def rules(columns: dict, **more: object) -> dict:
    return Privacy(columns=columns, key=KEY, **more).model_dump()


@given(ROWS, st.sampled_from([0.1, 0.3, 1.0, 7.5]), st.sampled_from(["decade", "year", "month"]), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_generalising_twice_is_generalising_once(rows: list, width: float, date: str, characters: int) -> None:
    frame = framed(rows)
    before = frame.copy()
    way = {"age": {"width": width}, "born": {"date": date}, "postcode": {"characters": characters}, "note": "mask"}
    once = protect(frame, rules(way), Ledger())
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(protect(once, rules(way), Ledger()), once)
    for name in ("age", "born", "postcode"):
        assert once[name].isna().equals(frame[name].isna()) and once[name].dtype == frame[name].dtype
    assert (
        (once["age"] <= frame["age"] + 1e-6) & (frame["age"] < once["age"] + width + 1e-6) | frame["age"].isna()
    ).all()
    assert ((once["born"] <= frame["born"]) | frame["born"].isna()).all()


def test_each_rule_does_what_it_says() -> None:
    frame = framed([(37, "N1 4XA", "1912-04-15", "x"), (None, None, None, None), (-3, "SE", "1910-01-01", "y")])
    way = {
        "age": {"width": 10.0},
        "postcode": {"characters": 2},
        "born": {"date": "decade"},
        "note": {"map": {"x": "z"}},
    }
    done = protect(frame, rules(way), Ledger())
    assert done["age"].dropna().tolist() == [30, -10] and done["postcode"].dropna().tolist() == ["N1****", "SE"]
    assert done["born"].dropna().dt.year.tolist() == [1910, 1910] and done["note"].dropna().tolist() == ["z", "other"]
    months = protect(frame, rules({"born": {"date": "month"}, "age": {"map": {"37": "grown up"}}}), Ledger())
    assert str(months["born"].iloc[0]) == "1912-04-01 00:00:00" and months["age"].dropna().tolist() == [
        "grown up",
        "other",
    ]
    done = protect(frame, rules({"age": "drop", "note": "mask", "postcode": "keep"}), Ledger())
    assert list(done) == ["postcode", "born", "note"] and done["note"].tolist() == ["*"] * 3
    assert done["postcode"].equals(frame["postcode"])


def test_pseudonyms_are_hmac_sha256_of_the_value_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "Jefe, what do ya want")
    frame = framed([(12, "what do ya want for nothing?", None, "12"), (12.5, None, None, "12")])
    done = protect(frame, rules({"postcode": "pseudonymise", "age": "pseudonymise", "note": "pseudonymise"}), Ledger())
    assert done["age"].iloc[0] == done["note"].iloc[0] == done["note"].iloc[1] != done["age"].iloc[1]
    assert re.fullmatch("[0-9a-f]{16}", done["postcode"].iloc[0]) and done["postcode"].isna().tolist() == [False, True]
    wanted = hmac.new(b"Jefe, what do ya want", b"what do ya want for nothing?", hashlib.sha256).hexdigest()
    assert done["postcode"].iloc[0] == wanted[:16]
    monkeypatch.setenv(KEY, "another key, long enough")
    assert protect(frame, rules({"note": "pseudonymise"}), Ledger())["note"].iloc[0] != done["note"].iloc[0]


def test_without_a_key_nothing_is_done_and_the_demo_key_is_confessed(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = framed([(1, "a", None, "b")])
    for value, says in ((None, "which is not set"), ("short", "which holds fewer than 16 characters")):
        monkeypatch.setenv(KEY, value) if value else monkeypatch.delenv(KEY)
        with pytest.raises(UserError, match=f"{KEY}, {says}.*export {KEY}=") as error:
            protect(frame, rules({"note": "pseudonymise"}), Ledger())
        assert "short" not in str(error.value)
    ledger = Ledger()
    protect(frame, Privacy(columns={"note": "pseudonymise"}, key=DEMO).model_dump(), ledger)
    assert "public demo key, which protects nobody" in ledger[0].what
    with pytest.raises(ValueError, match="wants `key`"):
        Privacy(columns={"note": "pseudonymise"})


@given(
    st.lists(st.tuples(st.sampled_from([1.0, 2.0, None]), st.sampled_from(["a", "b", None])), min_size=1, max_size=30),
    st.integers(2, 5),
)
@settings(max_examples=80, deadline=None)
def test_no_group_is_smaller_than_k_and_every_row_is_counted(pairs: list, k: int) -> None:
    frame = framed([(age, postcode, None, None) for age, postcode in pairs])
    groups = pd.Series(list(zip(frame["age"].fillna(-1), frame["postcode"].fillna("-"), strict=True)), frame.index)
    sizes = groups.map(groups.value_counts())
    for on_fewer in ("suppress", "fail"):
        how = rules({}, k_anonymity={"columns": ["age", "postcode"], "k": k, "on_fewer": on_fewer})
        ledger = Ledger()
        if (sizes < k).all() or (on_fewer == "fail" and (sizes < k).any()):
            with pytest.raises(UserError, match=f"has {sizes.min()} rows, wanted {k}"):
                protect(frame, how, ledger)
            continue
        done = protect(frame, how, ledger)
        assert done.index.tolist() == frame.index[sizes >= k].tolist()
        assert f"has {sizes.min()} rows" in ledger[-1].what and ledger[-1][2:4] == (len(frame), len(done))


def test_a_card_is_known_by_its_check_digit_as_text_and_as_number() -> None:
    cards = ["4111111111111111", "5500 0055 5555 5559", "3782-822463-10005", "6011111111111117"]
    frame = pd.DataFrame({"paid_by": cards, "nr": [float(c.replace(" ", "").replace("-", "")) for c in cards]})
    frame["order"] = [4111111111111112.0 + 10 * n for n in range(4)]  # as long, but the last digit does not fit
    frame.loc[4] = ["", 0.0, 0.0]
    assert list(personal(frame)) == ["paid_by", "nr"] and "payment card" in personal(frame)["nr"]
    assert not personal(pd.DataFrame({"x": [np.nan, np.nan], "y": [np.inf, 4111111111111112.0], "t": ["0", "18"]}))


def test_no_value_reaches_a_message_or_the_ledger() -> None:
    frame = framed([(4711.25 + n, f"Secret{n}", "1987-06-05", f"Mr. Secret {n}") for n in range(5)])
    hidden = re.compile("Secret|4711|1987")
    ledger = Ledger()
    with pytest.raises(UserError, match="    note: drop") as error:
        protect(frame, rules({}), ledger)
    assert not hidden.search(str(error.value))
    for way in ({"width": 2.0}, {"date": "year"}):
        with pytest.raises(UserError, match="does not hold") as error:
            protect(frame, rules({"note": way}), ledger)
        assert not hidden.search(str(error.value))
    with pytest.raises(UserError, match="k-anonymity") as error:
        protect(frame, rules({"note": "keep"}, k_anonymity={"columns": ["age"], "k": 2}), ledger)
    assert not hidden.search(str(error.value))
    way = {"note": "pseudonymise", "postcode": {"characters": 1}, "age": {"width": 100.0}, "born": "drop"}
    done = protect(frame, rules(way, k_anonymity={"columns": ["age"], "k": 2}), ledger)
    assert len(ledger) == 5 and not hidden.search(str(list(ledger))) and not hidden.search(done.to_csv())


def test_the_tables_of_the_starter_sets_are_known_for_what_they_are() -> None:
    for name in ("titanic", "penguins"):
        assert personal(prepared(name).train.X) == {}
    for file, found in {
        "titanic/passengers.csv": {"name"},
        "titanic/titanic3.csv.gz": {"name"},
        "titanic/tickets.csv": set(),
        "titanic/outcomes.csv": set(),
        "penguins/penguins_raw.csv": set(),
        "online_retail_customers/items.csv.gz": set(),
        "census_names/first_names.csv.gz": {"name"},
        "sunspots/sunspots.csv": set(),
        "japanese_vowels/japanese_vowels.csv.gz": set(),
    }.items():
        assert set(personal(pd.read_csv(ROOT / "data" / file))) == found, file


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("contact", ["ann@example.org", "none", "bob.b+x@mail.example.com"], "an e-mail address"),
        ("contact", ["+44 20 7946 0958", "(202) 555-0143", "030 1234567"], "a phone number"),
        ("contact", ["Allen, Miss. Elisabeth", "Dr Who", "J. Doe"], "the name of a person"),
        ("contact", ["078-05-1120", "219-09-9999"], "an identity number"),
        ("contact", ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"], "an identity number"),
        ("contact", ["4111 1111 1111 1111"], "the number of a payment card"),
        ("E-Mail", [1.0], "an e-mail address"),
        ("firstName", ["Ann"], "the name of a person"),
        ("Phone No", [4.0], "a phone number"),
        ("SSN", [1.0], "an identity number"),
    ],
)
def test_what_looks_personal_is_found(name: str, values: list, what: str) -> None:
    assert what in personal(pd.DataFrame({name: values}))[name]


@pytest.mark.parametrize(
    "values",
    [
        ["2026-01-31", "1999-12-01"],
        ["2026-01-31 10:00:00"],
        ["192.168.0.1", "10.0.0.255"],
        ["N20A1", "N21A2"],
        ["12,345.00", "0.5", "100-200", "1234567890"],
        ["St Louis, MO", "Montreal, PQ / Chesterville, ON"],
        ["A/5 21171", "PC 17599", "SC/PARIS 2123"],
        ["@home", "a@b", "3 @ 4.50"],
    ],
)
def test_what_is_not_personal_is_left_alone(values: list) -> None:
    assert personal(pd.DataFrame({"value": np.array(values)})) == {}


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(UserError, match="Did you mean `note`?"):
        protect(framed([(1, "a", None, "b")]), rules({"notes": "drop"}), Ledger())
