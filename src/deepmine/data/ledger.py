"""What preparing did: every row and cell that was touched is counted, none disappears in silence."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One thing that was done. `cells`: values changed in rows that stay."""

    step: str  # read, integrate, contract, clean, privacy, split, audit
    what: str  # a sentence: "age: 3 values above 110 emptied"
    rows_before: int
    rows_after: int
    cells: int = 0


class Ledger(list[Entry]):
    """The entries, in the order of what was done; they are kept in preparation.json and told in the report."""

    def add(self, step: str, what: str, before: int, after: int, cells: int = 0) -> None:
        """Note one thing that was done."""
        self.append(Entry(step, what, before, after, cells))
