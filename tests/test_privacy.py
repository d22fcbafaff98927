"""Privacy: protected values reach no frame, message or ledger; what looks personal stops."""

import hashlib
import hmac
import re

import numpy as np
import pandas as pd
import pytest

from deepmine.config.errors import UserError
from deepmine.config.schema.data import Privacy
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.privacy import DEMO, personal, protect

KEY = "DEEPMINE_TEST_KEY"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "a key for tests, long enough")


def framed(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["age", "postcode", "born", "note"])
    frame = frame.astype({"age": "float", "postcode": "str", "born": "datetime64[us]", "note": "str"})
    return frame.set_axis(pd.Index([f"r{n}" for n in range(len(rows))], dtype="str"))


def rules(columns: dict) -> dict:
    return Privacy(columns=columns, key=KEY).model_dump()


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
    with pytest.raises(ValueError, match="needs `key`"):
        Privacy(columns={"note": "pseudonymise"})


def test_each_rule_does_what_it_says_and_tells_no_value() -> None:
    frame = framed([(4711.25 + n, f"Secret{n}", "1987-06-05", f"Mr. Secret {n}") for n in range(5)])
    frame.loc["r0"], before, ledger = None, frame.copy(), Ledger()
    before.loc["r0"] = None
    with pytest.raises(UserError, match="    note: drop") as error:
        protect(frame, rules({}), ledger)
    ways = {"note": "pseudonymise", "postcode": "keep", "age": "pseudonymise", "born": "drop"}
    done = protect(frame, rules(ways), ledger)
    pd.testing.assert_frame_equal(frame, before)
    assert list(done) == ["age", "postcode", "note"] and done["age"].isna().equals(done["note"].isna())
    assert done["postcode"].equals(frame["postcode"]) and done["note"].isna().tolist() == [True, *[False] * 4]
    assert [entry.cells for entry in ledger] == [4, 4, 4]
    told = str(error.value) + str(list(ledger)) + done.drop(columns="postcode").to_csv()
    assert not re.search("Secret|4711|1987", told)


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("contact", ["ann@example.org", "none", "bob.b+x@mail.example.com"], "an e-mail address"),
        ("contact", ["+44 20 7946 0958", "(202) 555-0143", "030 1234567"], "a phone number"),
        ("contact", ["Allen, Miss. Elisabeth", "Dr Who", "J. Doe"], "the name of a person"),
        ("contact", ["078-05-1120", "219-09-9999"], "an identity number"),
        ("contact", ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"], "an identity number"),
        ("E-Mail", [1.0], "an e-mail address"),
        ("firstName", ["Ann"], "the name of a person"),
        ("Phone No", [4.0], "a phone number"),
        ("SSN", [1.0], "an identity number"),
        ("Date of birth", [1.0], "a date of birth"),
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
