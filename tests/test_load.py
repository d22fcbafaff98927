"""`deepmine.load`; that it opens a trained run, docs/guides/use-a-model.md shows, whose commands test_docs.py runs."""

import pytest

import deepmine
from deepmine.config.errors import UserError


def test_a_folder_without_a_record_is_named() -> None:
    with pytest.raises(UserError, match=r"There is no run record in .*out/nowhere\. Train it first"):
        deepmine.load("out/nowhere")
