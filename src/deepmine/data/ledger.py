"""What preparing did: every row and cell that it changed is counted; none disappears silently."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One thing that was done; `cells` are the values changed in rows that stay."""

    step: str  # read, integrate, contract, clean, privacy, split, audit
    what: str  # a sentence: "age: 3 values above 110 emptied"
    rows_before: int
    rows_after: int
    cells: int = 0


class Ledger(list[Entry]):
    """The entries in order, as they are kept in preparation.json and shown in the report."""

    def add(self, step: str, what: str, before: int, after: int, cells: int = 0) -> None:
        """Note one thing that was done."""
        self.append(Entry(step, what, before, after, cells))
