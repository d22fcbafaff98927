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


@pytest.mark.parametrize("rows", [[62401, 105_702], ["a", "007"], ["a", "1e5"], ["a", "105702.0"], ["a", "2026-11-24"]])
@pytest.mark.parametrize(("X", "shown"), [(pd.DataFrame({"x": [1.0, 2.0]}), " 2 |"), (np.array(["b", "c"]), " c |")])
def test_a_row_is_shown_with_its_id_as_it_is(rows: list, X: object, shown: str) -> None:
    table = tasks.readable(Part(X, None, np.array(rows)), np.array([1]), pd.DataFrame({"actual": ["no", "yes"]}))
    assert tasks.markdown(table)[-1] == f"| {rows[1]} |{shown} yes |"


def scores(own: float, loss: float) -> dict[str, float]:
    return {"test/accuracy": own, "test/log_loss": loss, "baseline/test/accuracy": 0.7, "baseline/test/log_loss": 0.6}


@pytest.mark.parametrize(
    ("some", "says"),
    [
        (scores(0.71, 0.5), ""),
        (scores(0.7, 0.5), "accuracy 0.7 (baseline 0.7)."),
        (scores(0.64, 1.25), "accuracy 0.64 (baseline 0.7), log loss 1.25 (baseline 0.6)."),
        ({"test/accuracy": 0.2}, ""),
        ({"baseline/test/accuracy": 0.2, "test/average_precision": 0.1, "baseline/test/average_precision": 0.2}, ""),
    ],
    ids=["better", "the same", "worse in both", "no baseline", "nothing to compare, or not shown"],
)
def test_a_model_below_its_baseline_says_so(some: dict[str, float], says: str) -> None:
    said = tasks.find("classification").no_better(some)
    assert said == (says and f"No better than the baseline on test rows: {says}")


def test_a_score_without_a_direction_is_neither_better_nor_worse() -> None:
    assert tasks.find("decomposition").no_better({"test/components": 2, "baseline/test/components": 0}) == ""
