"""The data report: one page for a browser about what a data set holds and what preparing did to it."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from deepmine.data.dataset import Dataset
from deepmine.data.ledger import Ledger
from deepmine.data.preparing.examples import describe
from deepmine.data.raw import Raw

FILE = "report.html"
ROWS, COLUMNS = 10_000, 30  # training rows, evenly spread, and last columns that are summarised: a few seconds


def page(dataset: Dataset, ledger: Ledger) -> str:
    """The page as HTML, which needs no other file and no network: the ledger and training rows, after privacy rules."""
    from jinja2 import Environment

    text = Path(__file__).with_name("report.html.jinja").read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)
    n, info = len(dataset.train), dataset.info
    train = dataset.train.take(np.linspace(0, n - 1, min(n, ROWS)).astype(int))
    table = describe(Raw(train.X, train.y, train.rows, facts={"columns": info["columns"]}), info["target"])
    table = table.drop(columns="content", errors="ignore").reset_index(drop=True)
    shown = table.iloc[:, -COLUMNS:]
    return template.render(
        info=info,
        ledger=[entry._asdict() for entry in ledger],
        parts=dict(dataset.parts()),
        shown=f"{len(shown):,} of {n:,} training rows, {shown.shape[1]} of {table.shape[1]} columns",
        summary=_summary(shown),
    )


def _summary(table: pd.DataFrame) -> str:
    """skrub's report as HTML, the same each time: without its random ids and dates."""
    import matplotlib
    from skrub import TableReport

    draw = {"open_tab": "distributions", "plot_distributions": True, "compute_associations": True}
    with matplotlib.rc_context({"svg.hashsalt": FILE}):
        html = re.sub("<dc:date>.*?</dc:date>", "", TableReport(table, verbose=0, **draw).html_snippet())
    for number, name in enumerate(dict.fromkeys(re.findall(r'(?:report_|id=")([0-9a-f]{8})\b', html))):
        html = html.replace(name, f"{number:08}")
    return html
