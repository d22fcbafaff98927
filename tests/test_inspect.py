"""What a file is found to be, before anybody has described it."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from deepmine.config.errors import UserError
from deepmine.data.preparing import inspect
from deepmine.data.preparing.prepare import prepare


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
    with pytest.raises(UserError, match="has one class of 5 rows or more"):
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


@pytest.mark.parametrize("header", ["items", "Item(s)", "Item 1,Item 2", "transaction_id,products"])
def test_a_header_of_baskets_is_no_basket(tmp_path: Path, header: str) -> None:
    found = inspect.inspect("shop", lines(tmp_path, header, "milk,bread", "beer", "milk,beer"), "shop.csv", None)
    assert found.settings["source"]["header"] is True and found.title == "3 baskets from shop.csv"
    assert found.notes[-1] == f"The first line ({header}) is taken for a header (source.header)."


@pytest.mark.parametrize("first", ["milk,butter", "item 1,milk", "item 1,item 3"])
def test_a_first_basket_is_no_header(tmp_path: Path, first: str) -> None:
    found = inspect.inspect("shop", lines(tmp_path, first, "milk,bread", "beer", "item 1"), "shop.csv", None)
    assert "header" not in found.settings["source"] and found.title == "4 baskets from shop.csv"


@pytest.mark.parametrize(("names", "separator"), [("id,item", ","), ("Order ID;Product name", ";")])
def test_pairs_are_baskets(tmp_path: Path, names: str, separator: str) -> None:
    pairs = [separator.join(pair) for pair in (("7", "milk"), ("7", '"bread, dark"'), ("8", "milk"), ("9", "beer"))]
    found = inspect.inspect("shop", lines(tmp_path, names, *pairs), "shop.csv", None)
    basket, item = names.split(separator)
    wanted = {"file": "shop.csv", "basket": basket, "item": item, "separator": separator}
    assert found.settings["source"] == {"_target_": "deepmine.data.readers.transactions.read", **wanted}
    assert found.title == "3 baskets from shop.csv" and f"`{item}` an item in it" in found.notes[0]


@pytest.mark.parametrize(
    "rows",
    [
        ["id,item", "1,milk", "2,bread", "3,beer", "4,milk"],  # each id once: a table of items
        ["width,height", "1,2", "1,3", "2,4", "2,5"],
        ["width;height", "1,5;2", "1,5;3,5", "2;4", "2;5,5"],  # decimal commas
        ["id,item", "ann@x.org,milk", "ann@x.org,bread", "bob@x.org,milk"],  # what is personal is dropped from tables
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
    assert prepare("loan", {**settings, "train_fraction": 1.0}, tmp_path).dataset.info["classes"] == ["false", "true"]
