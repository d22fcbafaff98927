"""Scores: arrays in, a flat dict of floats out, the same key for the same thing, for nets and mining alike.

What is measured, and its source, stands in the module of each task, `deepmine/tasks/`.
"""

import math
from typing import Any

from deepmine import tasks


def score(task: str, **arrays: Any) -> dict[str, float]:
    """The scores of one set of rows; one that is not defined for them is left out.

    Args:
        task: name of a module in `deepmine.tasks`.
        arrays: arguments of its `score`, as its `predict` gives them.
    """
    module = tasks.find(task)
    scores = module.score(**arrays)
    assert set(scores) <= set(module.SCORES), "a score without a direction"
    return {key: float(value) for key, value in scores.items() if not math.isnan(value)}


def columns(task: str) -> tuple[str, ...]:
    """The scores that a table shows, the one that ranks the runs first."""
    return tasks.find(task).COLUMNS


def higher_is_better(task: str, key: str) -> bool | None:
    """The direction of a score; None where it has none."""
    return tasks.find(task).SCORES[key]


def in_transformed_space(task: str) -> bool:
    """Whether scores are measured after the steps before the model, so that other steps mean other scores."""
    return task in ("clustering", "decomposition")
