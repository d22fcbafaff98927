"""What every task has, and tables that a person reads."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepmine import tasks
from deepmine.data.dataset import Part

TASKS = [path.stem for path in Path(tasks.__file__).parent.glob("[!_]*.py")]


@pytest.mark.parametrize("name", TASKS)
def test_a_file_in_the_folder_is_a_task(name: str) -> None:
    task = tasks.find(name)
    assert task.columns and set(task.columns) <= set(task.directions)
    assert set(task.directions.values()) <= {True, False, None}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines\r\nand  more", "two lines and more"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)>"),
        ("[here](http://x)", r"\[here](http://x)"),
        (62400, "62400"),
        (62401.0, "62401"),
        (0.123456, "0.1235"),
        (None, ""),
    ],
)
def test_no_value_breaks_a_markdown_table_and_large_numbers_stay_whole(value: object, shown: str) -> None:
    *_, line = tasks.markdown(pd.DataFrame({"x|y": [value]}))
    assert line == f"| {shown} |"
    assert tasks.markdown(pd.DataFrame({"x|y": [value]}))[0] == r"| x\|y |"


def test_a_row_can_be_found_by_its_id() -> None:
    part = Part(pd.DataFrame({"x": [1.0, 2.0]}), None, np.array([62401, 105_702]))
    assert tasks.markdown(tasks.readable(part, np.array([1])))[-1] == "| 105702 | 2 |"
