"""What a file is found to be, before anybody has described it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepmine.config.errors import UserError
from deepmine.data import readers
from deepmine.data.preparing import inspect
from deepmine.data.preparing.prepare import prepare
from deepmine.data.readers import table


def images(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (4, 4), number).save(folder / name / f"{number}.png")
    return folder


def test_classes_of_few_images_are_left_out_and_counted(tmp_path: Path) -> None:
    found = inspect.inspect("shapes", images(tmp_path, round=6, square=7, oval=1, wavy=4), "shapes", None)
    assert found.settings["source"]["leave_out"] == ["wavy", "oval"] and found.title == "13 images of 2 classes"
    assert found.notes == ["Left out: classes with fewer than 5 images (wavy: 4, oval: 1)."]


def test_one_class_of_images_is_nothing_to_predict(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 of its classes have 5 images or more"):
        inspect.inspect("shapes", images(tmp_path, round=6, square=1), "shapes", None)


def test_of_a_published_split_the_training_images_count(tmp_path: Path) -> None:
    images(tmp_path / "train", round=6, square=6, oval=1)
    images(tmp_path / "test", round=2, square=2, oval=9, wavy=1)
    found = inspect.inspect("shapes", tmp_path, "shapes", None)
    assert found.settings["source"]["leave_out"] == ["oval", "wavy"]
    assert found.notes == ["Left out: classes with fewer than 5 images (oval: 1, wavy: 0)."]


def lines(folder: Path, *lines: str) -> Path:
    folder.joinpath("shop.csv").write_text("\n".join(lines) + "\n")
    return folder


def baskets(folder: Path, read: dict) -> inspect.Found:
    return inspect.inspect("shop", folder, "shop.csv", None, read)


def test_baskets_are_read_where_a_person_says_so(tmp_path: Path) -> None:
    lines(tmp_path, "milk,bread", "beer", "milk,beer,bread")
    with pytest.raises(UserError, match="no rows"):
        baskets(tmp_path, {})
    for more in ("milk,beer,eggs", "tea"):
        lines(tmp_path, "milk,bread", "beer", "milk,beer,bread", more)
        with pytest.raises(UserError, match="(?s)lines at the top were skipped|not all divided alike.*baskets: true"):
            baskets(tmp_path, {})
    lines(tmp_path, "milk,bread", "beer", "milk,beer,bread")
    found = baskets(tmp_path, {"baskets": True})
    assert found.settings["source"] == {"_target_": "deepmine.data.readers.baskets.read", "file": "shop.csv"}
    assert found.title == "3 baskets from shop.csv" and found.settings["task"] == "rules"
    lines(tmp_path, "order_id,item", "7,milk", '7,"bread, dark"', "8,milk", "9,beer")
    with pytest.raises(UserError, match="'read={basket: order_id, item: item}', or not: 'read={header: true}'"):
        baskets(tmp_path, {})
    assert baskets(tmp_path, {"basket": "order_id", "item": "item"}).title == "3 baskets from shop.csv"
    assert baskets(tmp_path, {"header": True}).settings["kind"] == "table"


@pytest.mark.parametrize(
    "rows",
    [
        ["id,item", "1,milk", "2,bread", "3,beer", "4,milk"],  # each id once: a table of items
        ["width,height", "1,2", "1,3", "2,4", "2,5"],
        ["id,item,price", "1,milk,2", "1,bread,3", "2,milk,2", "2,beer,3"],
    ],
)
def test_other_tables_stay_tables(tmp_path: Path, rows: list[str]) -> None:
    assert inspect.inspect("shop", lines(tmp_path, *rows), "shop.csv", None).settings["kind"] == "table"


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["yes", "no"], ["no", "yes"]),
        (["True", "False"], ["False", "True"]),
        (["Y", "N"], ["N", "Y"]),
        (["1", "0"], [0, 1]),
        (["yes", "no", "", "yes", "no", "no"], ["no", "yes"]),
    ],
)
def test_a_target_keeps_its_own_words(tmp_path: Path, values: list[str], classes: list) -> None:
    rows = [f"{number},{values[number % len(values)]}" for number in range(60)]
    settings = inspect.inspect("loan", lines(tmp_path, "income,default", *rows), "shop.csv", "default").settings
    settings = {**settings, "train_fraction": 1.0}
    assert settings["task"] == "classification"
    assert prepare("loan", settings, tmp_path).dataset.info["classes"] == classes


def test_truth_values_of_other_files_are_named_so(tmp_path: Path) -> None:
    pd.DataFrame({"income": range(40), "default": [True, False] * 20}).to_parquet(tmp_path / "loan.parquet")
    settings = inspect.inspect("loan", tmp_path, "loan.parquet", "default").settings
    assert prepare("loan", {**settings, "train_fraction": 1.0}, tmp_path).dataset.info["classes"] == [
        "false",
        "true",
    ]


def test_one_column_of_text_and_a_target_are_texts(tmp_path: Path) -> None:
    rows = [f'"It does number {n}, as documented",{"ab"[n % 2]}' for n in range(60)]
    found = inspect.inspect("docs", lines(tmp_path, "summary,package", *rows), "shop.csv", "package")
    assert (found.settings["kind"], found.settings["source"]["text"]) == ("text", "summary") and found.notes == []
    made = prepare("docs", {**found.settings, "train_fraction": 1.0}, tmp_path).dataset
    assert made.train.X[0].startswith("It does number") and set(made.train.y) == {"a", "b"}


def test_dates_lead_to_the_question_of_a_split_by_time(tmp_path: Path) -> None:
    rows = [f"2024-01-{n % 28 + 1:02},{n},{'ab'[n % 2]}" for n in range(60)]
    [note] = inspect.inspect("t", lines(tmp_path, "day,x,y", *rows), "shop.csv", "y").notes
    assert "`day` holds dates" in note and "split: {strategy: time, time: day}" in note


@pytest.mark.parametrize("word", ["NA", "n/a", "?", "-", "NULL"])
def test_what_can_only_be_missing_among_numbers_is_not_asked(tmp_path: Path, word: str) -> None:
    rows = [f"{n if n % 3 else word},{word if n % 5 == 0 else n},{'ab'[n % 2]}" for n in range(60)]
    found = inspect.inspect("t", lines(tmp_path, "x,z,y", *rows), "shop.csv", "y")
    assert found.settings["source"]["null_values"] == ["", word] and found.notes[0].startswith(f"{word} among numbers")
    raw = table.read(tmp_path, **{key: value for key, value in found.settings["source"].items() if key != "_target_"})
    assert raw.X.isna().sum().tolist() == [20, 12] and set(raw.X.dtypes) == {np.dtype(float)}


def test_other_words_among_numbers_are_still_asked(tmp_path: Path) -> None:
    rows = [f"{['NA', 'none', n][n % 3]},{'ab'[n % 2]}" for n in range(60)]
    with pytest.raises(UserError, match="none may mean missing"):
        inspect.inspect("t", lines(tmp_path, "x,y", *rows), "shop.csv", "y")
    answered = inspect.inspect("t", tmp_path, "shop.csv", "y", {"null_values": ["none"]})
    assert answered.settings["source"]["null_values"] == ["", "none", "NA"]


@pytest.mark.parametrize("yes", [1, "t"])
def test_a_column_for_each_item_is_asked_about_and_read_as_baskets(tmp_path: Path, yes: object) -> None:
    no = 0 if yes == 1 else ""
    held = [(yes, no, yes), (yes, yes, no), (no, no, no), (yes, no, no)] * 5
    lines(tmp_path, "till,milk,bread,beer", *(",".join(map(str, (n, *row))) for n, row in enumerate(held)))
    answer = {"one_hot": True, "basket": "till"}
    with pytest.raises(UserError, match="'read={one_hot: true, basket: till}', or not: 'read={header: true}'"):
        baskets(tmp_path, {})
    found = baskets(tmp_path, answer)
    assert found.settings["task"] == "rules" and found.title == "15 baskets from shop.csv"
    raw = readers.baskets.read(tmp_path, "shop.csv", **answer)
    assert (entry := raw.facts["ledger"][0]).rows_before == 20 and entry.rows_after == 15 and "20 baskets" in entry.what
    assert raw.rows.tolist()[:4] == ["0", "1", "3", "4"] and raw.facts["columns"] == ["beer", "bread", "milk"]
    np.testing.assert_array_equal(raw.X[:3].toarray(), [[1, 0, 1], [0, 1, 1], [0, 0, 1]])
    assert baskets(tmp_path, {"header": True}).settings["kind"] == "table"
    if yes == 1:
        assert inspect.inspect("t", tmp_path, "shop.csv", "beer").settings["kind"] == "table"
    lines(tmp_path, "milk,bread", "1,2", "0,1")
    with pytest.raises(UserError, match="1 or 0.*Remove bread"):
        readers.baskets.read(tmp_path, "shop.csv", one_hot=True)


def idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes())


@pytest.mark.parametrize("parts", [[""], ["train-", "t10k-"], ["letters-train-", "letters-test-"]])
def test_a_folder_in_the_format_of_mnist_is_images(tmp_path: Path, parts: list[str]) -> None:
    for part in parts:
        idx(tmp_path / f"{part}images-idx3-ubyte", np.zeros((40, 5, 5), np.uint8))
        idx(tmp_path / f"{part}labels-idx1-ubyte", np.arange(40, dtype=np.uint8) % 4)
    (tmp_path / "readme.txt").touch()
    found = inspect.inspect("t", tmp_path, "folder", None)
    assert found.title == f"{40 * len(parts)} images of 4 classes"
    assert (found.settings["split"]["strategy"] == "published") == (len(parts) == 2)
    made = prepare("t", {**found.settings, "train_fraction": 1.0}, tmp_path).dataset
    assert len(made.test.X) == (40 if len(parts) == 2 else 10)


SHOP = {
    "orders.csv": [
        "number,customer_id,sku,year,late",
        *(f"{n},C{n % 9},S{n % 4},2024,{'ab'[n % 2]}" for n in range(60)),
    ],
    "customers.csv": ["id,city,year", *(f"C{n},{['Ulm', 'Bonn'][n % 2]},{1990 + n}" for n in range(10))],
    "products.csv": ["sku,price", *(f"S{n},{n}.5" for n in range(4))],
}


def shop(folder: Path, **more: list[str]) -> inspect.Found:
    for name, text in {**SHOP, **{f"{name}.csv": text for name, text in more.items()}}.items():
        (folder / name).write_text("\n".join(text) + "\n")
    return inspect.inspect("shop", folder, "folder", "late")


def test_tables_are_joined_where_one_has_the_key_of_the_other(tmp_path: Path) -> None:
    found = shop(tmp_path)
    source = found.settings["source"]
    assert source["keys"] == {"customers": {"customer_id": "id"}, "products": {"sku": "sku"}} and found.question == ""
    assert source["row_id"] == "number" and next(iter(source["files"])) == "orders"
    raw = prepare("shop", {**found.settings, "train_fraction": 1.0}, tmp_path).dataset
    assert list(raw.train.X) == ["customer_id", "sku", "year", "city", "customers_year", "price"]
    assert sum(len(part) for _, part in raw.parts()) == 60


@pytest.mark.parametrize(
    "table",
    [
        ["city,rain", "Ulm,1", "Bonn,2"],  # no column of orders
        ["sku,stock", "S1,1", "S1,2", "S2,3"],  # its rows are repeated
        ["number,late", "100,a", "101,b"],  # no row of orders
        ["number,x", "one,1", "two,2"],  # another type
    ],
)
def test_a_table_without_a_key_is_asked_about(tmp_path: Path, table: list[str]) -> None:
    found = shop(tmp_path, other=table)
    assert "Which rows of other belong to a row of orders?" in found.question
    assert "other" in found.settings["source"]["files"] and '"other"' not in found.settings["source"]["query"]


@pytest.mark.parametrize(
    ("files", "target", "says"),
    [
        (["a.csv", "b.csv"], "z", "gives no column `z`"),
        (["a.txt", "b.odt"], None, r"images in folders by class.*holds \['.odt', '.txt'\]"),
        (["train-images-idx3-ubyte.gz"], None, "MNIST's format is .*holds train-images-idx3-ubyte.gz"),
        ([], None, r"holds \[\]"),
    ],
)
def test_a_folder_of_other_files_leads_to_what_can_be_done(
    tmp_path: Path, files: list[str], target: str | None, says: str
) -> None:
    for name in files:
        (tmp_path / name).write_text("x,y\n1,2\n")
    with pytest.raises(UserError, match=says):
        inspect.inspect("t", tmp_path, "folder", target)


@pytest.mark.parametrize("strategy", ["random", "stratified", "group"])
def test_the_order_of_a_source_does_not_decide_what_is_tested(tmp_path: Path, strategy: str) -> None:
    """A database answers in any order; rows are ordered by their id before they are split."""
    frame = pd.DataFrame({"id": [f"R{n:03}" for n in range(90)], "x": range(90), "y": ["a", "b"] * 45})
    frame["g"] = frame["x"] // 3
    split = {"strategy": strategy, "val": 0.2, "test": 0.2, "seed": 0} | ({"group": "g"} if strategy == "group" else {})
    tested = []
    for seed in (None, 1, 2):
        with closing(sqlite3.connect(tmp_path / f"{seed}.db")) as database:
            (frame if seed is None else frame.sample(frac=1, random_state=seed)).to_sql("t", database, index=False)
        source = {"_target_": "deepmine.data.readers.table.read", "files": {"t": {"path": f"{seed}.db"}}}
        source |= {"row_id": "id", "target": "y", "query": "FROM t"}
        settings = {"kind": "table", "task": "classification", "folder": "t", "source": source, "split": split}
        tested.append(prepare("t", {**settings, "train_fraction": 1.0}, tmp_path).dataset.test.rows.tolist())
    assert tested[0] == tested[1] == tested[2]


def test_a_column_named_like_a_setting_of_hydra_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`_target_`.*Rename it"):
        inspect.inspect("t", lines(tmp_path, "_target_,y", *("1,a", "2,b") * 20), "shop.csv", "y")
