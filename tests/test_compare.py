"""The tables of runs: folds beside the scores, and every name whole in a narrow terminal."""

from pathlib import Path

import pytest

from deepmine.commands import compare
from deepmine.runs import record

SCORES = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss")


def made(folder: Path, accuracy: float, folds: dict[str, float]) -> record.Record:
    """The record of a run with these scores."""
    settings = {"task": "classification", "choices": {"model": "tree"}}
    run = record.start(folder, settings, {"data": {"dataset": "out/datasets/titanic", "digest": "some"}}, "")
    scores = {f"test/{key}": accuracy for key in SCORES} | {f"baseline/test/{key}": 0.5 for key in SCORES}
    record.write_json(folder / "metrics.json", scores | folds)
    with record.status(folder / "status.json", "train") as status:
        status["fit_seconds"] = 1.5
    return run


FOLDS = {"cv/accuracy": 0.81234, "cv/accuracy_std": 0.0119}
LONG = "titanic-tree-20261122-185145-abcd"


def test_the_mean_over_folds_has_a_column_where_a_run_has_folds(tmp_path: Path) -> None:
    plain, folded = made(tmp_path / "plain", 0.7, {}), made(tmp_path / LONG, 0.8, FOLDS)
    table = compare.leaderboard([plain, folded])
    assert list(table.index) == [LONG, "plain", "baseline"]
    assert table["cv_accuracy"].fillna("").tolist() == ["0.812 ± 0.012", "", ""]
    assert list(compare.leaderboard([plain])) == ["model", *SCORES, "fit_seconds"]
    compare.write({"titanic, classification": table}, tmp_path / "compare")
    line = f"| {LONG} | tree | 0.8000 | 0.812 ± 0.012 | 0.8000 | 0.8000 | 0.8000 | 0.8000 | 1.50 |"
    assert line in (tmp_path / "compare/compare.md").read_text().splitlines()


@pytest.mark.parametrize(("width", "left_out"), [(80, "f1 macro, roc auc, log loss"), (120, None)])
def test_a_narrow_terminal_gets_whole_names_and_fewer_scores(
    width: int, left_out: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    compare.show("titanic", compare.leaderboard([made(tmp_path / LONG, 0.8, FOLDS)]), Path("out/compare"))
    printed = capsys.readouterr().out
    assert f" {LONG}    0.8000  0.812 ± 0.012    0.8000" in printed and "1.50" in printed
    assert max(map(len, printed.splitlines())) <= width
    assert (f"out/compare/compare.md: {left_out}" in printed) if left_out else ("Too wide" not in printed)
