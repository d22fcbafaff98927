"""Numbers as people write them: read where there is no doubt, asked about where there is, and never lost."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepmine.data.raw import Raw
from deepmine.data.readers import table

COMMA = "numbers are written with a decimal comma"


def read(folder: Path, text: str, **how: object) -> Raw:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return table.read(folder, {"t": {"path": "t.csv", **how}})


def told(raw: Raw) -> str:
    return "\n".join(entry.what for entry in raw.facts["ledger"])


def column(raw: Raw) -> list:
    """The last column, missing values as None."""
    values = raw.X.iloc[:, -1]
    return values.astype(object).where(values.notna(), None).tolist()


@pytest.mark.parametrize(
    ("text", "values", "note"),
    [
        ("a;b\n1;2,5\n2;3\n", [2.5, 3], COMMA),
        ("a;b\n1;47,300\n2;5,125\n", [47.3, 5.125], COMMA),  # the semicolon says so
        ("a;b\n2,5;47,300\n3;5,125\n", [47.3, 5.125], COMMA),
        ("a;b\n1;50.123,45\n2;1,5\n", [50123.45, 1.5], "numbers such as 1.234,5 in `b` are read as 1234.5"),
        ("a;b\n2,5;1.234\n3;22.345\n", [1234, 22345], "numbers such as 1.234,5 in `b`"),
        ("a;b;c\n47,300;n/a;1.234\n5,125;2;22.345\n", [1234, 22345], "`b`: 1 of its values ('n/a')"),
        ("a;b\n40,300;1.100\n5,125;n/a\n", [1100, None], "numbers such as 1.234,5 in `b`"),
        ("a;b\n2,5;1.2\n3;22.345\n", [1.2, 22.345], COMMA),
        ("a;b\n2,5;1.5\n3;2.25\n", [1.5, 2.25], COMMA),  # both signs in one file
        ("a\tb\n1.5\t47,300\n2\t5,125\n", [47300, 5125], "numbers such as 1,234.5 in `b`"),
        ('a,b\n1,"1,234.56"\n2,7\n', [1234.56, 7], "numbers such as 1,234.5 in `b`"),
        ('a,b\n"1,234.56","1,234"\n2,7\n', [1234, 7], "numbers such as 1,234.5 in `a`, `b`"),
        ('a,b\n1,"1,234,567"\n2,7\n', [1234567, 7], "numbers such as 1,234.5 in `b`"),
        ("a;b\n1;1 234,5\n2;3\n", [1234.5, 3], "numbers such as 1 234,5 in `b`"),
        ("a;b\n1;1\u202f234\n2;3\n", [1234, 3], "numbers such as 1 234.5 in `b`"),
        ("a;b\n1;1'234.5\n2;3\n", [1234.5, 3], "numbers such as 1'234.5 in `b`"),
        ("a,b\n1,2\n2,n/a\n3,-\n4,5\n", [2, None, None, 5], "`b`: 2 of its values ('-', 'n/a') read as missing"),
        ("a;b\n1;2,5\n2;?\n3;NA\n4;unknown\n", [2.5, None, None, None], COMMA),
        ("a,b\n1,2\n2,inf\n3,NaN\n4,-Infinity\n", [2, np.inf, None, -np.inf], ""),
        ("a,b\n" + "1,2\n" * 30_000 + "1,-\n", [*[2] * 30_000, None], "`b`: 1 of its values ('-') read as missing"),
    ],
)
def test_numbers_as_people_write_them_are_read_and_told(tmp_path: Path, text: str, values: list, note: str) -> None:
    raw = read(tmp_path, text)
    assert column(raw) == values and note in told(raw)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ('a,b\n1,"47,300"\n2,"5,125"\n', "is 1,234 in it 1.234 or 1234? Set `decimal` or `thousands`"),
        ("a,b\n1,2\n2,absent\n3,4\n", "1 of 3 values are no numbers; do they mean missing? Set `null_values`"),
        (
            "a,b\n" + "1,2\n" * 10_000 + "".join(f"1,x{n}\n" for n in range(2_000)),
            "2000 of 12000 values are no numbers",
        ),
        ("a;b\n1;10.100\n2;11.101\n", "is 1.234 in it 1.234 or 1234? Set `decimal` or `thousands`"),
        ("a;b\n1;600 123 456\n2;700 123 456\n", "if 1 234 in it is a number, set `thousands`"),
    ],
)
def test_what_can_be_two_things_stays_text_and_is_asked(tmp_path: Path, text: str, question: str) -> None:
    raw = read(tmp_path, text)
    assert raw.X["b"].dtype == "str" and f"`b` stays text: {question}" in told(raw)


@pytest.mark.parametrize(
    "values",
    [
        ["007", "-"],
        ["1.2.3.4", "10.2.3.4"],
        ["192.168.1.1", "10.0.0.1"],
        ["1,2,3", "12,34"],
        ["+49 600 123 456"],
        ["+491710007919", "+491711007919"],
        ["+49.171.101.201"],
        ["-", "?"],
    ],
)
def test_what_is_no_number_stays_text_in_silence(tmp_path: Path, values: list[str]) -> None:
    raw = read(tmp_path, "a;b\n" + "".join(f"1;{value}\n" for value in values))
    assert column(raw) == values and told(raw) == f"t.csv: {len(values)} rows, 2 columns"


def test_words_for_missing_stay_in_columns_of_text(tmp_path: Path) -> None:
    raw = read(tmp_path, "code,n\nNA,1\nDE,NA\nunknown,2\n")
    assert raw.X["code"].tolist() == ["NA", "DE", "unknown"] and column(raw) == [1, None, 2]


def test_what_is_set_decides(tmp_path: Path) -> None:
    text = 'a,b\n1,"47,300"\n2,"5,125"\n'
    assert column(read(tmp_path, text, thousands=",")) == [47300, 5125]
    assert column(read(tmp_path, text, decimal=",")) == [47.3, 5.125]
    assert column(read(tmp_path, text, decimal=".")) == [47300, 5125]
    assert column(read(tmp_path, text, dtype={"b": "VARCHAR"})) == ["47,300", "5,125"]
    assert column(read(tmp_path, "a;b\n1;600 123 456\n", thousands=" ")) == [600123456]
    assert column(read(tmp_path, "a;b\n1;1.234\n", decimal=",", thousands=".")) == [1234]
    text = "a;b\n1;10.100\n2;11.101\n"
    assert column(read(tmp_path, text, decimal=".")) == [10.1, 11.101]
    assert column(read(tmp_path, text, thousands=".")) == column(read(tmp_path, text, decimal=",")) == [10100, 11101]
    assert column(read(tmp_path, "a;b\n2.5;10.100\n3;11.101\n")) == [10.1, 11.101]  # the other column tells
    (tmp_path / "t.csv").write_text("a,b\n1,2\n2,absent\n")
    assert column(table.read(tmp_path, {"t": "t.csv"}, null_values=["", "absent"])) == [2, None]


SIGNS = [(".", ""), (",", ""), (",", "."), (".", ","), (",", " "), (".", "'")]


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.none() | st.integers(-(10**8), 10**8).map(lambda n: (2 * n + 1) / 4), min_size=1, max_size=9),
    signs=st.sampled_from(SIGNS),
    word=st.sampled_from(["", "n/a", "-", "NULL"]),
)
def test_numbers_with_decimals_are_read_in_any_style(values: list, signs: tuple[str, str], word: str) -> None:
    def written(value: float | None) -> str:
        return word if value is None else f"{value:_.2f}".replace(".", signs[0]).replace("_", signs[1])

    values = [1234.25, *values]
    with tempfile.TemporaryDirectory() as folder:
        frame = pd.DataFrame({"a": 1, "b": list(map(written, values))})
        raw = read(Path(folder), frame.to_csv(index=False, sep="|"))
    assert column(raw) == values
