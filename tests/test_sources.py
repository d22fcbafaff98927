"""Sources of tables: files and databases of every kind, strange ones too, and joins."""

import gzip
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data.raw import Raw
from deepmine.data.readers import table

letters = st.characters(codec="utf-8", categories=("L",))
# texts begin with a letter and a dash, so that none is like a number, a date or a truth value
texts = st.text(st.one_of(letters, st.sampled_from(' ,;"\n\t')), max_size=8).map(lambda text: f"x-{text}x")
numbers = st.integers(-(10**9), 10**9).map(lambda n: (2 * n + 1) / 8)
dates = st.dates(pd.Timestamp("1700-01-01").date(), pd.Timestamp("2200-01-01").date())
rows = st.lists(
    st.tuples(numbers, st.integers(-(2**53), 2**53), texts, dates, st.none() | numbers, st.none() | texts),
    min_size=2,
    max_size=20,
)


def frame_of(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["real", "whole", "text", "day", "maybe_real", "maybe_text"])
    return frame.astype({"real": float, "maybe_real": float, "day": "datetime64[us]"})


def write(frame: pd.DataFrame, folder: Path, kind: str) -> dict:
    if kind == "csv":
        frame.to_csv(folder / "t.csv", index=False)
    elif kind == "csv.gz":
        frame.to_csv(folder / "t.csv.gz", index=False, sep=";", decimal=",")
    elif kind == "parquet":
        frame.to_parquet(folder / "t.parquet")
    elif kind == "jsonl":
        frame.assign(day=frame["day"].dt.strftime("%Y-%m-%d")).to_json(
            folder / "t.jsonl", orient="records", lines=True, double_precision=15
        )
    else:
        with closing(sqlite3.connect(folder / "t.sqlite")) as db:
            frame.to_sql("t", db, index=False)
    return {"t": {"path": f"t.{kind}", **({"decimal": ","} if kind == "csv.gz" else {})}}


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "jsonl", "sqlite"])
@settings(max_examples=10, deadline=None)
@given(rows=rows)
def test_a_frame_is_read_as_it_was_written(kind: str, rows: list[tuple]) -> None:
    frame = frame_of(rows)
    with tempfile.TemporaryDirectory() as folder:
        raw = table.read(Path(folder), write(frame, Path(folder), kind))
    assert raw.rows.tolist() == list(range(len(frame)))
    wanted = frame.astype({"whole": float, "text": "str", "maybe_text": "str"})
    pd.testing.assert_frame_equal(raw.X.dropna(axis=1, how="all"), wanted.dropna(axis=1, how="all"), rtol=1e-12)


def read(folder: Path, content: bytes, name: str = "t.csv", **how: object) -> Raw:
    (folder / name).write_bytes(content)
    return table.read(folder, {"t": {"path": name, **how}})


def told(raw: Raw) -> str:
    return "\n".join(entry.what for entry in raw.facts["ledger"])


@pytest.mark.parametrize(
    ("content", "values", "note"),
    [
        (b"a;b\n1;2,5\n2;3,75\n", [1.0, 2.5], "decimal comma"),
        (b"\xef\xbb\xbfa,b\n1,2\n", [1.0, 2.0], "1 rows, 2 columns"),
        ("name,b\nMüller,1\nGroß,2\n".encode("latin-1"), ["Müller", 1.0], "not in UTF-8"),
        ("name,b\nMüller,1\nGroß,2\n".encode("utf-16"), ["Müller", 1.0], "utf-16"),
        (b"a,b\n31.01.2020,2020-01-31\n15.02.2020,2020-02-15\n", [pd.Timestamp("2020-01-31")] * 2, ""),
        (b"a\n31.01.2020\n2020-01-31\n", ["31.01.2020"], "`a` stays text though it looks like dates"),
        (b"a,a,A\n1,2,3\n", [1.0, 2.0, 3.0], "`a` stands twice in the header: the second is a_1"),
        (b'a,b\n1,"x\ny"\n2,"z, ""q"""\n', [1.0, "x\ny"], "2 rows"),
        (b"Report of May\n\na,b\n1,2\n3,4\n", [1.0, 2.0], "lines before the header are left out"),
        (b"1,2\n3,4\n", [1.0, 2.0], "no header"),
        (b"a,b\n007,true\n008,false\n", ["007", 1.0], ""),
    ],
)
def test_strange_files_are_read_and_what_is_odd_is_told(
    tmp_path: Path, content: bytes, values: list, note: str
) -> None:
    raw = read(tmp_path, content)
    assert raw.X.iloc[0].tolist() == values
    assert note in told(raw)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "t.csv is empty"),
        (b"a,b,c\n", r"columns \(a, b, c\), but no rows"),
        (b"a,b,c\n1,2,3\n4,5\n", "line 3 has 2 of them, the header 3"),
        (b"a,b,c\n" + b"1,2,3\n" * 30_000 + b"4,5,6,7\n", "Line: 30002, Expected Number of Columns: 3 Found: 4"),
        (b"a,b\n1,2,3\n3,4,5\n", "lines before line 2 are cut otherwise"),
        (bytes(range(256)), "it holds no text"),
        (b"PK\3\4...", "Excel"),
        (b"PAR1...", "let its name end with .parquet"),
        (gzip.compress(b"a\n1\n", mtime=0), "let its name end with .gz"),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        read(tmp_path, content)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    for name in ("t.parquet", "t.sqlite"):
        with pytest.raises(UserError, match="is not what its name says"):
            read(tmp_path, b"a,b\n1,2\n", name)
    with pytest.raises(UserError, match="cannot be unpacked"):
        read(tmp_path, b"a,b\n1,2\n", "t.csv.gz")
    with pytest.raises(UserError, match="cannot be read as a table"):
        read(tmp_path, b'{"a": 1}\n{"a":', "t.jsonl")


def test_a_packed_file_that_is_cut_or_damaged_far_inside_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,%.9f\n" % (n, n**0.5) for n in range(20_000)))
    for broken in (packed[:-20_000], packed[:-20_000] + bytes(100) + packed[-19_900:]):
        with pytest.raises(UserError, match="cannot be unpacked"):
            read(tmp_path, broken, "t.csv.gz")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT CAST(a AS INTEGER) FROM t", "Could not convert string ... to INT32"),
        ("SELECT strptime(a, '%Y') FROM t", "Could not parse string ..."),
        ("SELECT nowhere FROM t", 'Referenced column "nowhere" not found'),
    ],
)
def test_a_query_that_fails_shows_no_value(tmp_path: Path, query: str, says: str) -> None:
    (tmp_path / "t.csv").write_text('a,b\n"O\'Neill, ""Anna""",1\n')
    with pytest.raises(UserError, match=re.escape(says)) as refused:
        table.read(tmp_path, {"t": "t.csv"}, query)
    assert "Neill" not in str(refused.value) and "Anna" not in str(refused.value)


def test_an_id_that_stands_twice_and_texts_among_numbers_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing or repeated in 1 rows") as refused:
        read(tmp_path, b"a,b\nanna,1\nanna,2\n")
        table.read(tmp_path, {"t": "t.csv"}, row_id="a")
    assert "anna" not in str(refused.value)
    raw = read(tmp_path, b"a,b\n" + b"1,2\n" * 9 + b"anna,3\n")
    [note] = [entry.what for entry in raw.facts["ledger"] if "stays text" in entry.what]
    assert "1 of 10 values are no numbers;" in note


def test_what_is_not_found_out_can_be_said(tmp_path: Path) -> None:
    assert read(tmp_path, b'a\n"1,234"\n', thousands=",").X["a"].tolist() == [1234]
    assert read(tmp_path, b"a;b\n1;1,234\n", decimal=",").X["b"].tolist() == [1.234]
    assert read(tmp_path, b"a\n01/02/2020\n", date_format="%d/%m/%Y").X["a"].tolist() == [pd.Timestamp("2020-02-01")]
    assert read(tmp_path, b"a\n1\n", dtype={"a": "VARCHAR"}).X["a"].tolist() == ["1"]
    assert read(tmp_path, b"1|2\n", delimiter="|", header=False, names=["a", "b"]).X["b"].tolist() == [2]
    assert read(tmp_path, "a\nШишкин\n".encode("koi8-r"), encoding="koi8-r").X["a"].tolist() == ["Шишкин"]
    with pytest.raises(UserError, match="is not in ascii"):
        read(tmp_path, b"a\n\xff\n", encoding="ascii")


def test_many_columns_are_read(tmp_path: Path) -> None:
    X = np.arange(900.0).reshape(3, 300)
    frame = pd.DataFrame(X, columns=[f"column {n}" for n in range(300)])
    assert (read(tmp_path, frame.to_csv(index=False).encode()).X.to_numpy() == X).all()


def test_files_of_a_pattern_are_one_table_by_the_names_of_their_columns(tmp_path: Path) -> None:
    (tmp_path / "part-1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "part-2.csv").write_text("b,a\n4,3\n")
    assert table.read(tmp_path, {"t": "part-*.csv"}).X["a"].tolist() == [1, 3]
    (tmp_path / "part-3.csv").write_text("a,c\n5,6\n")
    with pytest.raises(UserError, match=r"part-3.csv should have the columns of part-1.csv; only one has b, c"):
        table.read(tmp_path, {"t": "part-*.csv"})
    with pytest.raises(UserError, match=r"other-\*.csv is not there"):
        table.read(tmp_path, {"t": "other-*.csv"})


def test_a_missing_target_stays_missing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,kind,n\n1,x,1\n2,,\n3,y,0\n")
    assert table.read(tmp_path, {"t": "t.csv"}, target="kind").y.tolist() == [
        "x",
        pytest.approx(np.nan, nan_ok=True),
        "y",
    ]
    np.testing.assert_array_equal(table.read(tmp_path, {"t": "t.csv"}, target="n").y, [1, np.nan, 0])
    whole = table.read(tmp_path, {"t": "t.csv"}, "SELECT * FROM t WHERE n IS NOT NULL", target="n").y
    assert whole.tolist() == [1, 0] and whole.dtype.kind == "i"


def test_a_table_of_sqlite_is_chosen_and_typed_by_its_values(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "t.db")) as db, db:
        db.execute("CREATE TABLE one (a, b REAL, c DATE, d DATE)")
        db.executemany(
            "INSERT INTO one VALUES (?, ?, ?, ?)", [(1, 2, "2020-01-31", "soon"), ("x", None, None, "later")]
        )
        db.execute("CREATE TABLE two (a)")
    before = (tmp_path / "t.db").read_bytes()
    raw = table.read(tmp_path, {"t": {"path": "t.db", "table": "one"}})
    assert raw.X.iloc[0].tolist() == ["1", 2.0, pd.Timestamp("2020-01-31"), "soon"]
    with pytest.raises(UserError, match="say which `table`.*Valid: one, two"):
        table.read(tmp_path, {"t": "t.db"})
    with pytest.raises(UserError, match=r"columns \(a\), but no rows"):
        table.read(tmp_path, {"t": {"path": "t.db", "table": "two"}})
    assert [path.name for path in tmp_path.iterdir()] == ["t.db"] and (tmp_path / "t.db").read_bytes() == before
    (tmp_path / "t.db-wal").write_bytes(b"")
    with pytest.raises(UserError, match="is in use"):
        table.read(tmp_path, {"t": {"path": "t.db", "table": "one"}})


SHOP = {
    "orders.csv": "order,customer,price\n1,C1,10\n2,C2,20\n3,C1,30\n4,C9,40\n5,,50\n",
    "customers.csv": "id,city,age,price\nC1,Ulm,30,1\nC1,Ulm,32,1\nC2,Bonn,40,1\nC3,Kiel,50,1\n",
}


def shop(folder: Path, conflict: object = None, **how: object) -> Raw:
    for name, text in SHOP.items():
        (folder / name).write_text(text)
    customers = {"table": "customers", "using": {"customer": "id"}}
    joined = [{"table": "orders"}, customers | ({} if conflict is None else {"conflict": conflict})]
    files = {"orders": "orders.csv", "customers": "customers.csv"}
    return table.read(folder, **{"files": files, "join": joined, **how})


def test_a_join_keeps_every_row_once_and_tells_what_it_did(tmp_path: Path) -> None:
    raw = shop(tmp_path, {"age": "mean"})
    assert list(raw.X) == ["order", "customer", "price", "city", "age", "customers_price"]
    assert raw.X["order"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(raw.X["age"], [31, 40, 31, np.nan, np.nan])
    entries = [entry for entry in raw.facts["ledger"] if entry.step == "integrate"]
    assert [(entry.rows_before, entry.rows_after) for entry in entries] == [(4, 3), (5, 5)]
    assert "1 key of customers stands in several rows; 1 of them with several values of `age`" in entries[0].what
    assert "2 of 5 rows have no match there, 1 of its 3 keys none here" in entries[1].what
    assert "its `price` is `customers_price`" in entries[1].what


@pytest.mark.parametrize(
    ("rule", "age"),
    [("first", 30), ("max", 32), ("mean", 31), ("drop", np.nan), ({"*": "first", "age": "max"}, 32)],
)
def test_a_rule_says_which_of_several_values_counts(tmp_path: Path, rule: object, age: float) -> None:
    np.testing.assert_array_equal(shop(tmp_path, rule).X["age"], [age, 40, age, np.nan, np.nan])


def test_a_conflict_stops_until_a_rule_is_chosen_and_shows_no_values(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"`age` has several values.*id, 1 times \(rows 1, 2\).*conflict: {age: first}"
    ) as stopped:
        shop(tmp_path)
    assert "30" not in str(stopped.value) and "32" not in str(stopped.value)


def test_keys_that_could_be_names_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,x\nAnn Lee,1\n")
    (tmp_path / "b.csv").write_text("name,y\nAnn Lee,1\nAnn Lee,2\n")
    join = [{"table": "a"}, {"table": "b", "using": "name"}]
    with pytest.raises(UserError, match=r"several values.*name, 1 times \(rows 1, 2\)") as stopped:
        table.read(tmp_path, {"a": "a.csv", "b": "b.csv"}, join=join)
    assert "Ann" not in str(stopped.value)


def test_of_a_conflict_rows_are_numbered_and_no_key_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("passport,day,x\nC4711001,1,1\n")
    twice = "".join(f"C471100{n},1,{x}\n" for n in range(4) for x in "12")
    (tmp_path / "b.csv").write_text("passport,day,y\nC4711009,1,1\n" + twice)
    for using in ("passport", ["passport", "day"]):
        join = [{"table": "a"}, {"table": "b", "using": using}]
        with pytest.raises(UserError, match=r"4 times \(rows 2, 3, 4, 5, 6, \.\.\.\)") as stopped:
            table.read(tmp_path, {"a": "a.csv", "b": "b.csv"}, join=join)
        assert "4711" not in str(stopped.value)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"table": "custommers", "using": "id"}, "Did you mean `customers`"),
        ({"table": "customers"}, "using: <column>"),
        ({"table": "customers", "using": "order"}, "no column of `customers`"),
        ({"table": "customers", "using": {"order": "id"}}, "is BIGINT before and VARCHAR in"),
        ({"table": "customers", "using": {"customer": "city"}, "conflict": "first"}, "No row of `customers` belongs"),
        ({"table": "customers", "using": {"customer": "id"}, "conflict": {"agee": "max"}}, "Did you mean `age`"),
    ],
)
def test_a_join_that_cannot_be_is_refused(tmp_path: Path, step: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        shop(tmp_path, join=[{"table": "orders"}, step])


def test_tables_are_joined_or_queried(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="by `join` or `query` how orders, customers become one"):
        shop(tmp_path, join=None)
    raw = shop(tmp_path, "first", query='SELECT "order" AS id, age FROM joined WHERE age > 35', row_id="id")
    assert raw.rows.tolist() == ["2"] and raw.facts["ledger"][-1].rows_before == 5
    with pytest.raises(UserError, match="`joined` is the name of what `join` makes"):
        shop(tmp_path, files={"joined": "orders.csv"})
    with pytest.raises(UserError, match="gives two columns `a`"):
        shop(tmp_path, join=None, query="SELECT 1 AS a, 2 AS a")


@settings(max_examples=10, deadline=None)
@given(
    left=st.lists(st.none() | st.integers(0, 5), min_size=1, max_size=12),
    right=st.lists(st.tuples(st.none() | st.integers(0, 5), st.none() | st.integers(0, 9)), min_size=1, max_size=12),
)
def test_a_join_is_what_pandas_makes_of_the_first_values(left: list, right: list) -> None:
    a = pd.DataFrame({"k": left, "place": range(len(left))}, dtype="Int64")
    b = pd.DataFrame(right, columns=["k", "v"], dtype="Int64")
    known = set(a["k"].dropna()) & set(b["k"].dropna())
    first = b.dropna(subset="k").groupby("k", as_index=False)["v"].first()
    with tempfile.TemporaryDirectory() as folder:
        a.to_parquet(Path(folder) / "a.parquet")
        b.to_parquet(Path(folder) / "b.parquet")
        join = [{"table": "a"}, {"table": "b", "using": "k", "conflict": "first"}]
        files = {"a": "a.parquet", "b": "b.parquet"}
        if not known:
            with pytest.raises(UserError, match="No row of `b` belongs"):
                table.read(Path(folder), files, join=join)
            return
        raw = table.read(Path(folder), files, join=join)
    wanted = a.merge(first, on="k", how="left").astype(float)
    pd.testing.assert_frame_equal(raw.X, wanted)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("+data.source.files.x={path: a.csv, dlimiter: x}", "Did you mean `delimiter`"),
        ("+data.source.files.x={table: people}", "wanted either `path`, or `url` and `table`"),
        ("+data.source.files.x={url: 'postgresql://u:p@host/db', table: t}", "data.source.files.x.url"),
        ("data.source.join.2.conflict.fare=median", "'first', 'max', 'mean' or 'drop'"),
        ("+data.source.join.2.usin=x", "Did you mean `using`"),
    ],
)
def test_a_wrong_setting_of_a_source_is_named(override: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        compose.compose("~experiment", "data=titanic", override, trains=False)


@pytest.mark.parametrize("path", ["{}/other/a.csv", "{}/other/*.csv", "../other/a.csv"])
def test_what_no_version_is_kept_of_is_not_read(path: str, tmp_path: Path) -> None:
    for folder in ("own", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(UserError, match=r"lies outside .*own, so no version of it is kept"):
        table.read(tmp_path / "own", {"a": path.format(tmp_path)})
    with pytest.raises(UserError, match=r"The query fails: .*file system operations are disabled"):
        table.read(tmp_path / "own", {"a": "a.csv"}, query=f"SELECT * FROM '{tmp_path}/other/a.csv'")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own; it refuses to run as root, so then it runs as `postgres`."""
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no PostgreSQL here")
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if become:
            shutil.chown(folder, "postgres")
        commands = (
            ["initdb", "-A", "trust", "-U", "tester", "-D", folder / "data"],
            ["pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", f"-k {folder} -h ''", "start"],
        )
        for command in commands:
            subprocess.run([*become, *command], check=True, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            subprocess.run(
                [*become, "pg_ctl", "-D", folder / "data", "stop"], check=True, cwd=folder, capture_output=True
            )


@pytest.mark.slow
def test_a_table_of_postgresql_is_read(postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(postgresql) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shop")
        cursor.execute(
            'CREATE TABLE shop."Orders" (id int, price numeric(9, 2), who uuid, paid boolean, day date, '
            "moment timestamptz, note text)"
        )
        cursor.execute(
            "INSERT INTO shop.\"Orders\" SELECT i, i + 0.25, '00000000-0000-0000-0000-000000000001', i % 2 = 0, "
            "'2020-01-31', '2020-01-31 10:00+02', CASE WHEN i = 1 THEN NULL ELSE 'é' END "
            "FROM generate_series(1, 250000) i"
        )
        connection.commit()
    files = {"orders": {"url": "SHOP_DATABASE", "table": "shop.Orders"}}
    with pytest.raises(UserError, match="Set the environment variable SHOP_DATABASE"):
        table.read(tmp_path, files)
    monkeypatch.setenv("SHOP_DATABASE", postgresql)
    raw = table.read(tmp_path, files, row_id="id")
    assert len(raw.rows) == 250_000 and list(raw.X.dtypes.astype(str)) == [
        "float64", "str", "float64", "datetime64[us]", "datetime64[us]", "str",
    ]  # fmt: skip
    day, moment = pd.Timestamp("2020-01-31"), pd.Timestamp("2020-01-31 08:00")
    assert raw.X.iloc[1].tolist() == [2.25, "00000000-0000-0000-0000-000000000001", 1.0, day, moment, "é"]
    assert pd.isna(raw.X["note"].iloc[0])
    with pytest.raises(UserError, match="nothing of SHOP_DATABASE cannot be read"):
        table.read(tmp_path, {"orders": {"url": "SHOP_DATABASE", "table": "nothing"}})
