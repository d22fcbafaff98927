"""The data report: one page for a browser about what a data set holds and what preparing did to it."""

import re
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepmine.data.dataset import Dataset
from deepmine.data.preparing.examples import describe
from deepmine.data.raw import Raw

FILE = "report.html"
ROWS = 10_000  # training rows, evenly spread, that are summarised
COLUMNS = 60  # that are summarised


def page(dataset: Dataset, account: Mapping[str, Any], rejects: pd.DataFrame) -> str:
    """The page as HTML; it needs no other file and no network.

    Only training rows are summarised, so that nobody learns from the others, and only after privacy rules applied.

    Args:
        dataset: as prepared.
        account: the `ledger`, and what the data set was `made_from`.
        rejects: violations of the contract: `row`, `column`, `rule`.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        Path(__file__).with_name("report.html.jinja").read_text(encoding="utf-8")
    )
    train = dataset.train.take(np.linspace(0, len(dataset.train) - 1, min(len(dataset.train), ROWS)).astype(int))
    table, summary = _summary(dataset, train)
    return template.render(
        info=dataset.info,
        account=account,
        sizes={name: len(part) for name, part in dataset.parts()},
        rejected=rejects.groupby(["column", "rule"], dropna=False)["row"].agg(["size", "first"]).reset_index(),
        summary=summary,
        columns=f"{min(table.shape[1], COLUMNS)} of {table.shape[1]} columns of {len(train)} training rows",
        images=_images(train) if dataset.info["kind"] == "image" else None,
    )


def _summary(dataset: Dataset, train: Any) -> tuple[pd.DataFrame, str]:
    """The training rows with their target, or their measures where they are not a table, and skrub's HTML on them."""
    from skrub import TableReport

    raw = Raw(train.X, train.y, train.rows, facts={"columns": dataset.info["columns"]})
    table = describe(raw, dataset.info["target"]).drop(columns="content", errors="ignore").reset_index(drop=True)
    shown = table.iloc[:, -COLUMNS:]
    report = TableReport(shown, verbose=0, open_tab="stats", plot_distributions=True, compute_associations=True)
    return table, re.sub(r"report_[0-9a-f]{8}", "report", report.html_snippet())  # its ids are random


def _images(train: Any) -> str:
    """The first eight images of up to 24 classes, a class in each row, as the text of a PNG."""
    from PIL import Image

    y = np.zeros(len(train), int) if train.y is None else train.y
    rows = [np.concatenate(_eight(train.X[np.flatnonzero(y == label)[:8]]), axis=2) for label in np.unique(y)[:24]]
    pixels = np.concatenate(rows, axis=1).transpose(1, 2, 0)  # (height, width, channels)
    file = BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, format="png")
    return b64encode(file.getvalue()).decode()


def _eight(images: Any) -> Any:
    return np.pad(images, [(0, 8 - len(images)), (0, 0), (2, 2), (2, 2)])
