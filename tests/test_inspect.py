"""What a file is found to be, before anybody has described it."""

from pathlib import Path

import pytest
from PIL import Image

from deepmine.data import inspect
from deepmine.errors import UserError


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
    images(tmp_path / "test", round=2, square=2, oval=9)
    found = inspect.inspect("shapes", tmp_path, "shapes", None)
    assert found.settings["source"]["leave_out"] == ["oval"]
