"""The tables of runs: what ranks them, what they show."""

import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from deepmine.commands import compare
from deepmine.config.errors import UserError
from deepmine.runs import looks, ranking, record

FOLDS = {"cv/accuracy": 0.81234, "cv/accuracy_std": 0.0119}
SCORES = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss")
COMMAND = ["deepmine", "train", "model=tree", "chain=false", "model.options=a|b"]
LONG = "ferry-tree-20261122-185145-abcd"


def made(folder: Path, scores: dict[str, float], task: str = "classification", steps: Any = None) -> record.Record:
    """The record of a run with these scores."""
    settings = {"task": task, "choices": {"model": "tree"}, "steps": steps or {"scale": {}}}
    run = record.start(
        folder,
        settings,
        {"data": {"dataset": "out/datasets/ferry", "digest": "some"}, "record_id": "x", "command": COMMAND},
        b"",
    )
    record.write_json(folder / "metrics.json", scores)
    with record.status(folder / "status.json", "train") as status:
        status["fit_seconds"] = 1.5
    return run


def classified(folder: Path, val: float, test: float, more: dict[str, float] | None = None) -> record.Record:
    parts = {"val": val, "test": test, "baseline/test": 0.5}
    scores = {f"{part}/{key}": value for part, value in parts.items() for key in SCORES}
    return made(folder, scores | {"baseline/test/log_loss": 1.0} | (more or {}))


def test_validation_rows_rank_and_test_rows_do_not(tmp_path: Path) -> None:
    table = compare.leaderboard([classified(tmp_path / "a", 0.7, 0.9), classified(tmp_path / "b", 0.8, 0.6)])
    assert list(table.index) == ["b", "a"]
    assert table["val_accuracy"].tolist() == [0.8, 0.7] and table["test_accuracy"].tolist() == [0.6, 0.9]
    assert table["baseline_accuracy"].tolist() == [0.5, 0.5]


def test_folds_rank_where_every_run_has_them(tmp_path: Path) -> None:
    more = {"cv/accuracy": 0.85, "cv/accuracy_std": 0.01}
    folded, better = classified(tmp_path / LONG, 0.8, 0.8, FOLDS), classified(tmp_path / "better", 0.7, 0.7, more)
    assert list(compare.leaderboard([folded, better]).index) == ["better", LONG]
    table = compare.leaderboard([folded, better, classified(tmp_path / "plain", 0.9, 0.7)])
    assert list(table.index) == ["plain", LONG, "better"]
    assert table["cv_accuracy"].fillna("").tolist() == ["", "0.812 ± 0.012", "0.850 ± 0.010"]
    assert "cv_accuracy" not in compare.leaderboard([classified(tmp_path / "plain", 0.9, 0.7)])


def test_a_score_without_direction_ranks_nothing(tmp_path: Path) -> None:
    scores = {"a": 0.02, "b": 0.0, "c": 0.5}
    runs = [made(tmp_path / name, {"val/share_flagged": share}, "anomalies") for name, share in scores.items()]
    assert ranking.ranked(runs, "anomalies") == runs
    trials = [ranking.Trial(n, [f"seed={n}"], run.metrics) for n, run in enumerate(runs)]
    assert ranking.best("anomalies", trials) is None


def test_clusterings_are_compared_inside_one_space_with_their_own_baselines(tmp_path: Path) -> None:
    spaces = {"a": "scale", "b": "scale", "c": "embedding"}
    runs = [
        made(tmp_path / name, {"val/silhouette": 0.3, "baseline/test/silhouette": n / 10}, "clustering", {step: {}})
        for n, (name, step) in enumerate(spaces.items())
    ]
    groups = compare.comparable(runs)
    assert {name: [run.folder.name for run in group] for name, group in groups.items()} == {
        "ferry, clustering after scale": ["a", "b"],
        "ferry, clustering after embedding": ["c"],
    }
    table = compare.leaderboard(groups["ferry, clustering after scale"])
    assert table["baseline_silhouette"].tolist() == [0.0, 0.1]
    steps = [made(tmp_path / name, {}, steps={name: {}}) for name in "de"]
    assert len(compare.comparable(steps)) == 1  # the steps before a classifier are part of what is compared


def test_every_score_is_in_the_file_and_a_terminal_of_80_columns_shows_whole_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    table = compare.leaderboard([classified(tmp_path / LONG, 0.75, 0.8, FOLDS)])
    compare.write({"ferry, classification": table}, tmp_path / "compare")
    line = f"| {LONG} | tree | 0.75 | 0.812 ± 0.012 | 0.8 | 0.8 | 0.8 | 0.8 | 0.8 | 0.5 | 1.5 "
    assert line + r"| model.options=a\|b model=tree |" in (tmp_path / "compare/compare.md").read_text().splitlines()
    monkeypatch.setenv("COLUMNS", "80")
    compare.show("ferry", table)
    printed = capsys.readouterr().out
    assert LONG in printed and "0.812 ± 0.012" in printed and "0.5000" in printed
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize(
    ("task", "score", "reached", "said"),
    [
        (
            "classification",
            "accuracy",
            0.5,
            "run: No better than the baseline on test rows: {score} {reached:.4g} (baseline 0.5).\n",
        ),
        ("classification", "accuracy", 0.51, ""),
        (
            "regression",
            "mae",
            0.51,
            "run: No better than the baseline on test rows: {score} {reached:.4g} (baseline 0.5).\n",
        ),
        ("regression", "mae", 0.49, ""),
        ("anomalies", "share_flagged", 0.5, ""),  # neither is better
    ],
)
def test_a_run_that_does_not_beat_its_baseline_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture, task: str, score: str, reached: float, said: str
) -> None:
    run = made(tmp_path / "run", {f"val/{score}": 0.5, f"test/{score}": reached, f"baseline/test/{score}": 0.5}, task)
    compare.show("ferry", compare.leaderboard([run]))
    assert "".join(line for line in capsys.readouterr().out.splitlines(keepends=True) if "run:" in line) == said.format(
        score=score, reached=reached
    )


def answered(run: record.Record, wrong: int) -> record.Record:
    (run.folder / "evaluation").mkdir()
    lines = [f"{n},NA,{'NA' if n >= wrong else 'no'}" for n in range(200)]
    (run.folder / "evaluation/predictions.csv").write_text("\n".join(["row,actual,predicted", *lines]))
    return run


def test_a_table_says_which_differences_are_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = []
    for n in (70, 20, 24):
        accuracy = 1 - n / 200
        run = classified(tmp_path / f"{n}{LONG[2:]}", accuracy, accuracy, FOLDS | {"cv/accuracy": accuracy})
        runs.append(answered(run, n))
    table = compare.leaderboard(runs)
    assert table["verdict"].tolist() == ["best", "not distinguishable", "worse"]
    assert (table["low"] < table["test_accuracy"]).all() and (table["test_accuracy"] < table["high"]).all()
    compare.show("ferry", table)
    printed = capsys.readouterr().out
    assert "ferry: accuracy (baseline 0.5000)" in printed and f"\nworse: 70{LONG[2:]}\n" in printed
    assert max(map(len, printed.splitlines())) <= 80 and "scored 3 times" in printed
    (tmp_path / looks.FILE).write_text("2026-11-25T00:00:00Z,some,x\n" * 10**6)
    table = compare.leaderboard(runs, tmp_path)
    assert set(table["looks"]) == {10**6} and table["verdict"].tolist()[1:] == ["not distinguishable", "worse"]


def test_two_runs_in_depth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [tmp_path / kind / "same-name" for kind in ("runs", "adhoc")]
    for folder, wrong in zip(folders, (10, 40), strict=True):
        folder.parent.mkdir()
        answered(classified(folder, 0.9, 1 - wrong / 200), wrong)
    cfg = OmegaConf.create({"paths": {"out": str(tmp_path)}, "chain": True, "a": str(folders[0]), "b": str(folders[1])})
    compare.main(cfg)
    said = capsys.readouterr().out
    assert re.search(r"test/accuracy +0.9500 0.8000 +-0.1500", said) and "By accuracy, b is worse than a, on" in said
    assert "a is better on 30 rows. b is better on 0 rows." in said and re.search(r"\n +10 +NA +NA +no +a\n", said)
    assert f"make why a={folders[0]} b={folders[1]}" in said
    compare.main(OmegaConf.merge(cfg, {"a": cfg.b, "b": cfg.a}))
    assert "By accuracy, b is better than a, on" in capsys.readouterr().out


def test_two_runs_that_cannot_be_compared_are_named(tmp_path: Path) -> None:
    one, other = classified(tmp_path / "one", 0.9, 0.9), made(tmp_path / "other", {"test/mae": 1.0}, "regression")
    for a, b, says in [(one, None, "Name two runs"), (one, one, "Name two runs"), (one, other, "the same test rows")]:
        with pytest.raises(UserError, match=says):
            compare.in_depth(str(a.folder), b and str(b.folder), tmp_path)


def test_a_record_whose_predictions_are_damaged_has_no_verdict_and_stops_no_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [answered(classified(tmp_path / name, val, 0.9), 20) for name, val in (("a", 0.9), ("b", 0.8), ("c", 0.7))]
    (tmp_path / "b/evaluation/predictions.csv").write_bytes(b"\xff")
    assert compare.leaderboard(runs)["verdict"].fillna("").tolist() == ["best", "", "not distinguishable"]
    assert (
        "without a verdict" in (said := capsys.readouterr().err) and "b/evaluation/predictions.csv is damaged" in said
    )
    (tmp_path / "a/evaluation/predictions.csv").write_text("row,actual\n1,2\n")
    assert "verdict" not in compare.leaderboard(runs)


def test_a_pipeline_without_experiments_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = OmegaConf.create({"paths": {"out": str(tmp_path)}, "chain": False, "a": None, "b": None})
    compare.main(cfg)
    assert capsys.readouterr().out.startswith("There is nothing to compare in")
    assert (tmp_path / "compare/compare.md").is_file()
    with pytest.raises(UserError, match="make train"):
        compare.main(OmegaConf.merge(cfg, {"chain": True}))
