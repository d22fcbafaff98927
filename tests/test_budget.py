"""The size of the code that a team takes over. A larger budget is a decision, made here and in the pull request."""

from pathlib import Path

from conftest import ROOT

MAX_LINES = 5785  # of src, without blank ones; docstrings and comments count
MAX_FILE = 215


def lines(path: Path) -> int:
    return sum(bool(line.strip()) for line in path.read_text(encoding="utf-8").splitlines())


FILES = [path for path in (ROOT / "src/deepmine").rglob("*") if path.suffix in (".py", ".jinja")]


def test_the_code_stays_within_its_budget() -> None:
    total = sum(map(lines, FILES))
    assert total <= MAX_LINES, f"src has {total} lines: delete {total - MAX_LINES}, or raise MAX_LINES and say why"


def test_no_file_is_too_long_to_read() -> None:
    assert [f"{path.relative_to(ROOT)}: {lines(path)}" for path in FILES if lines(path) > MAX_FILE] == []
