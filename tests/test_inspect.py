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
    assert prepare("loan", {**settings, "train_fraction": 1.0}, tmp_path).dataset.info["classes"] == ["false", "true"]


def test_one_column_of_text_and_a_target_are_texts(tmp_path: Path) -> None:
    rows = [f'"It does number {n}, as documented",{"ab"[n % 2]}' for n in range(60)]
    found = inspect.inspect("docs", lines(tmp_path, "summary,package", *rows), "shop.csv", "package")
    assert (found.settings["kind"], found.settings["source"]["text"]) == ("text", "summary") and found.notes == []
    made = prepare("docs", {**found.settings, "train_fraction": 1.0}, tmp_path).dataset
    assert made.train.X[0].startswith("It does number") and set(made.train.y) == {"a", "b"}


def test_dates_lead_to_a_hint_at_a_split_by_time(tmp_path: Path) -> None:
    rows = [f"2024-01-{n % 28 + 1:02},{n},{'ab'[n % 2]}" for n in range(60)]
    notes = inspect.inspect("t", lines(tmp_path, "day,x,y", *rows), "shop.csv", "y").notes
    assert notes == ["To predict later rows, set split: {strategy: time, time: day}."]


@pytest.mark.parametrize(
    ("files", "target", "says"),
    [
        (["a.csv", "b.csv"], "y", r"folders by class, without `target`; this one holds \['.csv'\]"),
        (["a.csv"], None, "Give one file"),
        (["train-images-idx3-ubyte.gz"], None, "like MNIST: conf/data/"),
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


def test_a_column_named_like_a_setting_of_hydra_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`_target_`.*Rename it"):
        inspect.inspect("t", lines(tmp_path, "_target_,y", *("1,a", "2,b") * 20), "shop.csv", "y")
