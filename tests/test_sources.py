"""Sources of tables: files and databases of every kind, strange ones too, one query, and the account of its tables."""

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


@pytest.mark.parametrize(
    ("content", "values", "note"),
    [
        (b"a;b\n1;2,5\n2;3,75\n", [1.0, "2,5"], "`b` is text, but 2 of 2 values look like numbers (9,99)"),
        (
            b"a,b\n1,NA\n2,2\n3,7\n",
            [1.0, "NA"],
            "`b` is text, but 2 of 3 values look like numbers (9); NA may mean missing",
        ),
        (b"1,2\n3,4\n", [1.0, 2.0], "0 lines at the top were skipped, and no header was found"),
        (b"a,b\n1,2,3\n3,4,5\n", [1.0, 2.0, 3.0], "1 lines at the top were skipped, and no header was found"),
        (b"\xef\xbb\xbfa,b\n1,2\n", [1.0, 2.0], ""),
        (b"a,b\n31.01.2020,2020-01-31\n15.02.2020,2020-02-15\n", [pd.Timestamp("2020-01-31")] * 2, ""),
        (b"a\n31.01.2020\n2020-01-31\n", ["31.01.2020"], ""),
        (b"a,a,A\n1,2,3\n", [1.0, 2.0, 3.0], ""),
        (b'a,b\n1,"x\ny"\n2,"z, ""q"""\n', [1.0, "x\ny"], ""),
        (b"Report of May\n\na,b\n1,2\n3,4\n", [1.0, 2.0], "2 lines at the top were skipped, and a header"),
        (b"a,b\n007,true\n008,false\n", ["007", 1.0], ""),
        (b"a,b\nA1,1E-3\nB2,2.5E3\n", ["A1", 0.001], ""),
    ],
)
def test_strange_files_are_read_as_they_are_and_what_may_be_misread_is_told(
    tmp_path: Path, content: bytes, values: list, note: str
) -> None:
    raw = read(tmp_path, content)
    assert raw.X.iloc[0].tolist() == values
    told = [entry.what for entry in raw.facts["ledger"][1:]]
    assert len(told) == (note != "") and note in "".join(told)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "t.csv is empty"),
        (b"a,b,c\n", r"columns \(a, b, c\), but no rows"),
        (b"a,b,c\n1,2,3\n4,5\n", "lines are not all divided alike.*read={baskets: true}"),
        (b"a,b,c\n" + b"1,2,3\n" * 30_000 + b"4,5,6,7\n", "Line: 30002, Expected Number of Columns: 3 Found: 4"),
        ("name,b\nMüller,1\n".encode("latin-1"), "not in UTF-8; set `encoding`, such as cp1252"),
        (bytes(range(256)), "not all divided alike"),
        (b"PK\3\4...", "Excel"),
        (b"PAR1...", "is parquet, against its name"),
        (gzip.compress(b"a\n1\n", mtime=0), "is gzip, against its name"),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        read(tmp_path, content)
    assert "\n" not in str(refused.value)


PACKED = gzip.compress(b"a,b\n" + b"".join(b"%d,%.9f\n" % (n, n**0.5) for n in range(20_000)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.parquet", b"a,b\n1,2\n"),
        ("t.parquet", b"PAR1" + bytes(99)),
        ("t.sqlite", b"a,b\n1,2\n"),
        ("t.sqlite", b"SQLite format 3\0" + bytes(99)),
        ("t.csv.gz", b"a,b\n1,2\n"),
        ("t.csv.gz", PACKED[:-20_000]),
        ("t.csv.gz", PACKED[:-20_000] + bytes(100) + PACKED[-19_900:]),
        ("t.jsonl", b'{"a": 1}\n{"a":'),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(UserError, match="damaged|cannot be read") as refused:
        read(tmp_path, content, name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT b, CAST(a AS INTEGER) FROM t", "Could not convert string ... to INT32"),
        ("SELECT b, strptime(a, '%Y') FROM t", "Could not parse string ..."),
        ("SELECT nowhere FROM t", 'Referenced column "nowhere" not found'),
    ],
)
def test_a_query_that_fails_shows_no_value(tmp_path: Path, query: str, says: str) -> None:
    (tmp_path / "t.csv").write_text('a,b\n"O\'Neill, ""Anna""",1\n')
    with pytest.raises(UserError, match=re.escape(says)) as refused:
        table.read(tmp_path, {"t": "t.csv"}, query, row_id="b")
    assert "Neill" not in str(refused.value) and "Anna" not in str(refused.value)


def test_an_id_that_is_repeated_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\nanna,1\nanna,2\n")
    with pytest.raises(UserError, match="missing or repeated in 1 rows") as refused:
        table.read(tmp_path, {"t": "t.csv"}, row_id="a")
    assert "anna" not in str(refused.value)


def test_what_is_not_found_out_can_be_said(tmp_path: Path) -> None:
    assert read(tmp_path, b'a\n"1,234"\n', thousands=",").X["a"].tolist() == [1234]
    assert read(tmp_path, b"a;b\n1;1,234\n", decimal=",").X["b"].tolist() == [1.234]
    assert read(tmp_path, b"a\n01/02/2020\n", date_format="%d/%m/%Y").X["a"].tolist() == [pd.Timestamp("2020-02-01")]
    assert read(tmp_path, b"a\n1\n", dtype={"a": "VARCHAR"}).X["a"].tolist() == ["1"]
    assert read(tmp_path, b"1|2\n", delimiter="|", header=False, names=["a", "b"]).X["b"].tolist() == [2]
    assert read(tmp_path, "a\nMüller\n".encode("utf-16"), encoding="utf-16").X["a"].tolist() == ["Müller"]
    assert read(tmp_path, b"a,b\n1,2\n1E3,3\n", dtype={"a": "VARCHAR"}).X["a"].tolist() == ["1", "1E3"]
    assert read(tmp_path, b'a;b\n"1.234,5";1\n', decimal=",", thousands=".").X["a"].tolist() == [1234.5]
    assert read(tmp_path, "a\nШишкин\n".encode("koi8-r"), encoding="koi8-r").X["a"].tolist() == ["Шишкин"]
    with pytest.raises(UserError, match="is damaged, or not in ascii"):
        read(tmp_path, b"a\n\xff\n", encoding="ascii")


def test_many_columns_are_read(tmp_path: Path) -> None:
    X = np.arange(450.0).reshape(3, 150)
    frame = pd.DataFrame(X, columns=[f"column {n}" for n in range(150)])
    assert (read(tmp_path, frame.to_csv(index=False).encode()).X.to_numpy() == X).all()


def test_files_of_a_pattern_are_one_table_by_the_names_of_their_columns(tmp_path: Path) -> None:
    (tmp_path / "part-1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "part-2.csv").write_text("b,a\n4,3\n")
    assert table.read(tmp_path, {"t": "part-*.csv"}).X["a"].tolist() == [1, 3]
    (tmp_path / "part-3.csv").write_text("a,c\n5,6\n")
    with pytest.raises(UserError, match=r"part-3.csv must have the columns of part-1.csv; only one has b, c"):
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
    whole = table.read(tmp_path, {"t": "t.csv"}, "SELECT * FROM t WHERE n IS NOT NULL", row_id="a", target="n").y
    assert whole.tolist() == [1, 0] and whole.dtype.kind == "i"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "we ird#.db")) as db, db:
        db.execute("CREATE TABLE one (a, b REAL, c DATE)")
        db.executemany("INSERT INTO one VALUES (?, ?, ?)", [(1, 2, "2020-01-31"), ("x", None, None)])
        db.execute("CREATE TABLE two (a DATE)")
        db.execute("INSERT INTO two VALUES ('anna')")
        db.execute("CREATE TABLE three (a)")
    return tmp_path / "we ird#.db"


@pytest.mark.parametrize("by_url", [False, True])
def test_a_table_of_a_database_is_read(database: Path, monkeypatch: pytest.MonkeyPatch, by_url: bool) -> None:
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{database}")
    source = {"url": "SHOP_DATABASE"} if by_url else {"path": database.name}
    before = database.read_bytes()
    raw = table.read(database.parent, {"t": {**source, "table": "one"}})
    assert raw.X.iloc[0].tolist() == ["1", 2.0, pd.Timestamp("2020-01-31")] and raw.X["b"].isna().tolist() == [
        False,
        True,
    ]
    assert table.read(database.parent, {"t": {**source, "table": "SELECT b FROM one WHERE a = 1"}}).X["b"].tolist() == [
        2
    ]
    for wanted, says in (
        ("on", "Did you mean `one`"),
        ("three", "no rows"),
        ("SELECT x FROM one", "no such column: x"),
    ):
        with pytest.raises(UserError, match=says):
            table.read(database.parent, {"t": {**source, "table": wanted}})
    with pytest.raises(UserError, match="does not have its column's type") as refused:
        table.read(database.parent, {"t": {**source, "table": "two"}})
    assert "anna" not in str(refused.value)
    assert [path.name for path in database.parent.iterdir()] == [database.name] and database.read_bytes() == before


def test_rows_of_a_server_come_in_an_order_of_their_own(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{database}")
    for order in ("a", "a DESC"):
        source = {"url": "SHOP_DATABASE", "table": f"SELECT a, b FROM one ORDER BY {order}"}
        assert table.read(database.parent, {"t": source}).X["a"].tolist() == ["1", "x"]


def test_a_database_in_use_or_without_a_chosen_table_is_refused(database: Path) -> None:
    with pytest.raises(UserError, match="has no table ``: set `table`, or SELECT.*one, three, two"):
        table.read(database.parent, {"t": database.name})
    database.with_name(f"{database.name}-wal").write_bytes(b"")
    with pytest.raises(UserError, match="is in use"):
        table.read(database.parent, {"t": {"path": database.name, "table": "one"}})


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (None, "Set the environment variable SHOP_DATABASE"),
        ("postgresql://joe:secret@127.0.0.1:1/shop", "SHOP_DATABASE cannot be read"),
        ("nothing://joe:secret@host/shop", "SHOP_DATABASE cannot be read"),
        ("joe:secret", "SHOP_DATABASE cannot be read"),
        ("sqlite:////nowhere/secret.db", "SHOP_DATABASE cannot be read: unable to open"),
    ],
)
def test_the_url_of_a_database_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | None, says: str
) -> None:
    monkeypatch.delenv("SHOP_DATABASE", raising=False)
    if url:
        monkeypatch.setenv("SHOP_DATABASE", url)
    with pytest.raises(UserError, match=says) as refused:
        table.read(tmp_path, {"t": {"url": "SHOP_DATABASE", "table": "orders"}})
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


SHOP = {
    "orders.csv": "order,customer,price\n1,C1,10\n2,C2,20\n3,C1,30\n4,C9,40\n5,,50\n",
    "customers.csv": "id,city,age\nC1,Ulm,30\nC1,Ulm,32\nC2,Bonn,40\nC3,Kiel,50\n",
}
JOINED = (
    'SELECT "order", price, age FROM orders LEFT JOIN (SELECT id, max(age) AS age FROM customers GROUP BY id) '
    "ON customer = id"
)


def shop(folder: Path, query: str | None = JOINED, key: object = None, **how: object) -> Raw:
    for name, text in SHOP.items():
        (folder / name).write_text(text)
    keys = {"customers": key or {"customer": "id"}}
    files = {"orders": "orders.csv", "customers": "customers.csv"}
    return table.read(folder, files, query, **{"keys": keys, "row_id": "order", **how})


def test_the_account_of_a_join_counts_keys_conflicts_and_unmatched_rows(tmp_path: Path) -> None:
    raw = shop(tmp_path)
    np.testing.assert_array_equal(raw.X["age"], [32, 40, 32, np.nan, np.nan])
    assert [entry.what for entry in raw.facts["ledger"] if entry.step == "integrate"] == [
        "2 of 5 rows of orders have no match in customers, 1 of its keys are unused, 1 of its keys name several rows, "
        "1 with different values of `age`",
        "query: 5 rows from 5 of orders",
    ]


def test_a_query_that_multiplies_rows_stops_unless_it_says_so(tmp_path: Path) -> None:
    doubled = JOINED.replace("(SELECT id, max(age) AS age FROM customers GROUP BY id)", "customers")
    with pytest.raises(UserError, match=r"`order` must .* repeated in 2 rows \(7 rows from 5 of orders; more than any"):
        shop(tmp_path, doubled)
    numbered = doubled.replace("SELECT", "SELECT row_number() OVER () AS n,")
    with pytest.raises(UserError, match="gives 7 rows from 5 of orders; more than any table has"):
        shop(tmp_path, numbered, row_id="n")
    assert len(shop(tmp_path, f"{numbered} CROSS JOIN (SELECT 1)", row_id="n").rows) == 7


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"key": "id"}, "both tables must have it.*`orders` has order, customer, price"),
        ({"key": {"customer": "name"}}, "both tables must have it.*`customers` has id"),
        ({"keys": {"clients": "id"}}, "`keys` says {clients: id}"),
        ({"key": {"order": "id"}}, "is 007 7"),
        ({"key": {"customer": "city"}}, "No row of `orders` has a match in `customers`"),
        ({"query": None}, "Several tables need a `query`"),
        ({"row_id": None}, "a query needs `row_id`.*rowid AS row"),
        ({"query": 'SELECT "order", 1 AS a, 2 AS a FROM orders'}, "gives two columns `a`"),
    ],
)
def test_what_a_query_and_its_keys_need_is_said(tmp_path: Path, how: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        shop(tmp_path, **how)


def test_an_aggregate_gives_the_same_bits_each_time(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=300_000) * 10.0 ** np.random.default_rng(1).integers(-8, 8, 300_000)
    pd.DataFrame({"k": np.arange(len(x)) % 7, "x": x}).to_parquet(tmp_path / "t.parquet")
    sums = [
        table.read(tmp_path, {"t": "t.parquet"}, "SELECT k, sum(x) AS s FROM t GROUP BY k", row_id="k").X["s"].tolist()
        for _ in range(5)
    ]
    assert sums == [sums[0]] * 5


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("+data.source.files.x={path: a.csv, dlimiter: x}", "Did you mean `delimiter`"),
        ("+data.source.files.x={table: people}", "must have either `path`, or `url` and `table`"),
        ("+data.source.files.x={url: 'postgresql://u:p@host/db', table: t}", "data.source.files.x.url"),
        ("+data.source.keys.outcomes=5", "data.source.keys.outcomes"),
    ],
)
def test_a_wrong_setting_of_a_source_is_named(override: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        compose.compose("~experiment", "data=ferry", override, trains=False)


@pytest.mark.parametrize("path", ["{}/other/a.csv", "{}/other/*.csv", "../other/a.csv"])
def test_what_no_version_is_kept_of_is_not_read(path: str, tmp_path: Path) -> None:
    for folder in ("own", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(UserError, match=r"is outside .*own, so no version of it is kept"):
        table.read(tmp_path / "own", {"a": path.format(tmp_path)})
    with pytest.raises(UserError, match=r"The query fails: .*file system operations are disabled"):
        table.read(tmp_path / "own", {"a": "a.csv"}, f"SELECT * FROM '{tmp_path}/other/a.csv'", row_id="x")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own; it refuses to run as root, so then it runs as `postgres`."""
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no PostgreSQL here")
    pytest.importorskip("psycopg")
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
    import sqlalchemy

    with sqlalchemy.create_engine(postgresql).begin() as connection:
        for command in (
            "CREATE SCHEMA shop",
            'CREATE TABLE shop."Orders" (id int, price numeric(9, 2), who uuid, paid boolean, day date, '
            "moment timestamptz, note text)",
            "INSERT INTO shop.\"Orders\" SELECT i, i + 0.25, '00000000-0000-0000-0000-000000000001', i % 2 = 0, "
            "'2020-01-31', '2020-01-31 10:00+02', CASE WHEN i = 1 THEN NULL ELSE 'é' END "
            "FROM generate_series(1, 2500) i",
        ):
            connection.execute(sqlalchemy.text(command))
    files = {"orders": {"url": "SHOP_DATABASE", "table": 'SELECT * FROM shop."Orders"'}}
    monkeypatch.setenv("SHOP_DATABASE", postgresql)
    raw = table.read(tmp_path, files, row_id="id")
    assert len(raw.rows) == 2_500 and list(raw.X.dtypes.astype(str)) == [
        "float64", "str", "float64", "datetime64[us]", "datetime64[us]", "str",
    ]  # fmt: skip
    day, moment = pd.Timestamp("2020-01-31"), pd.Timestamp("2020-01-31 08:00")
    assert raw.X.iloc[1].tolist() == [2.25, "00000000-0000-0000-0000-000000000001", 1.0, day, moment, "é"]
    assert pd.isna(raw.X["note"].iloc[0])
