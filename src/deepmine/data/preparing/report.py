"""One page about a data set, for a browser: what it holds, and what preparing did to it. No other file is needed."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from deepmine.data.dataset import Dataset

FILE = "report.html"
DROP = ("contract", "clean", "privacy")  # steps that may leave rows out
TEMPLATE = Path(__file__).with_name("report.html.jinja")


def page(dataset: Dataset, account: Mapping[str, Any], rejects: pd.DataFrame) -> str:
    """The page as HTML, pictures inside. Only the training rows are described, so that nobody learns from the others.

    Args:
        dataset: as prepared, after protecting: nothing protected can stand here.
        account: how it was made: `ledger`, and what it was `made_from`.
        rejects: rows that the contract refused: `row`, `column`, `rule`.
    """
    from jinja2 import Environment

    from deepmine.data.preparing import pictures

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE.read_text())
    return template.render(
        info=dataset.info,
        account=account,
        sizes={name: len(part) for name, part in dataset.parts()},
        left_out=sum(e["rows_before"] - e["rows_after"] for e in account["ledger"] if e["step"] in DROP),
        refused=rejects.groupby(["column", "rule"], as_index=False, dropna=False).agg(
            rows=("row", "size"), first=("row", "first")
        ),
        columns=list(_columns(dataset.train.X)) if isinstance(dataset.train.X, pd.DataFrame) else [],
        pictures=[(title, _embedded(figure)) for title, figure in pictures.draw(dataset)],
    )


def _columns(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """What a person wants to know of each column."""
    for name, column in frame.items():
        numeric = pd.api.types.is_numeric_dtype(column)
        most = column.value_counts().head(3)
        yield {
            "name": name,
            "kind": "number" if numeric else "text",
            "missing": f"{column.isna().mean():.1%}",
            "distinct": column.nunique(),
            "holds": f"{column.min():.6g} to {column.max():.6g}, median {column.median():.6g}"
            if numeric
            else ", ".join(f"{value} ({count})" for value, count in most.items()),
        }


def _embedded(figure: Any) -> str:
    """A figure as the text of a PNG."""
    from deepmine.figures import DPI

    file = BytesIO()
    figure.savefig(file, dpi=DPI, format="png", metadata={"Software": None})
    return b64encode(file.getvalue()).decode()
