"""New rows in a CSV file: the same answers as `evaluate`, a reason for each bad row, and nothing half-written."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from omegaconf import DictConfig, OmegaConf

from deepmine import tasks
from deepmine.commands import predict, train
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.runs import record


@pytest.fixture(scope="module", params=["ferry_tree", "birds_kmeans", "ferry_mlp"])
def cfg(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DictConfig:
    """The config of `predict` for a run; a test names its files."""
    out = tmp_path_factory.mktemp("out")
    composed = compose.compose(f"experiment={request.param}", f"paths.out={out}", "tracking=none")
    return OmegaConf.merge(composed, {"run": str(train.train(composed))})


def opened(cfg: DictConfig) -> tuple[tasks.Task[Any], Any, Any]:
    run = record.find(Path(cfg.run))
    return tasks.find(run.config["task"]), *run.opened()


def test_the_answers_are_those_of_evaluate_to_the_bit_in_pieces_too(
    cfg: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task, pipeline, data = opened(cfg)
    data.test.X.assign(number="007").to_csv(tmp_path / "new.csv", index=False)
    for name, rows in (("whole", 100_000), ("pieces", 7)):
        monkeypatch.setattr(predict, "ROWS", rows)
        predict.main(OmegaConf.merge(cfg, {"input": f"{tmp_path}/new.csv", "output": f"{tmp_path}/{name}.csv"}))
    found = pd.read_csv(tmp_path / "whole.csv", dtype={"number": "str"})
    expected = task.predict(pipeline, data.test)
    assert found["predicted"].tolist() == expected.predicted.tolist()
    for name, values in expected.columns.items():
        assert found[name].astype(values.dtype).tolist() == values.tolist()
    assert set(found["number"]) == {"007"} and found["problem"].isna().all()
    if "mlp" not in cfg.run:  # a net's arithmetic depends on how many rows it gets at once
        assert (tmp_path / "pieces.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert f"whole.csv: {len(data.test)} rows, 0 of them" in capsys.readouterr().out


def test_a_bad_row_gets_its_reason_and_leaves_the_others_as_they_are(cfg: DictConfig, tmp_path: Path) -> None:
    task, pipeline, data = opened(cfg)
    some = data.test.X.head(5).astype(object)
    name = str(data.test.X.select_dtypes("number").columns[0])
    some.loc[[1, 2, 3], name] = ["abc", "inf", "1e300"]
    some.to_csv(tmp_path / "new.csv", index=False)
    predict.main(OmegaConf.merge(cfg, {"input": f"{tmp_path}/new.csv", "output": f"{tmp_path}/scored.csv"}))
    found = pd.read_csv(tmp_path / "scored.csv", dtype="str", keep_default_na=False)
    expected = task.predict(pipeline, data.test.take([0, 4])).predicted
    assert found["predicted"].tolist() == [str(expected[0]), "", "", "", str(expected[1])]
    assert found["problem"].tolist()[1] == f"{name} is 'abc': not a number, or too large" and found[name][3] == "1e300"
    assert (found["problem"] == "").tolist() == [True, False, False, False, True]


def test_a_piece_of_bad_rows_alone_shifts_no_column_and_a_scored_file_is_scored_again(
    cfg: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "ROWS", 2)
    some = opened(cfg)[2].test.X.head(6).astype(object)
    some.iloc[:2, list(some.columns).index(some.infer_objects().select_dtypes("number").columns[0])] = "abc"
    some.to_csv(tmp_path / "new.csv", index=False)
    predict.main(OmegaConf.merge(cfg, {"input": f"{tmp_path}/new.csv", "output": f"{tmp_path}/once.csv"}))
    found = pd.read_csv(tmp_path / "once.csv")
    assert found["predicted"].isna().tolist() == [True] * 2 + [False] * 4 and len(found) == 6
    assert found["problem"].notna().tolist() == [True] * 2 + [False] * 4
    predict.main(OmegaConf.merge(cfg, {"input": f"{tmp_path}/once.csv", "output": f"{tmp_path}/twice.csv"}))
    assert (tmp_path / "twice.csv").read_bytes() == (tmp_path / "once.csv").read_bytes()


def test_no_rows_give_no_rows(cfg: DictConfig, tmp_path: Path) -> None:
    opened(cfg)[2].test.X.head(0).to_csv(tmp_path / "new.csv", index=False)
    predict.main(OmegaConf.merge(cfg, {"input": f"{tmp_path}/new.csv", "output": f"{tmp_path}/scored.csv"}))
    assert len(found := pd.read_csv(tmp_path / "scored.csv")) == 0 and {"predicted", "problem"} <= set(found)


@pytest.mark.parametrize(
    ("text", "given", "says"),
    [
        (b"", {"input": None}, "predict needs a run"),
        (b"", {"input": "{}/none.csv"}, "none.csv is no CSV file"),
        (b"", {}, "is no CSV file"),
        (b"a,b\n1,2\n", {}, "new.csv has no .*The model was given: "),
        (b"\xff\xfe\n", {}, "is no CSV file"),
        (b"", {"output": "{}/new.csv"}, "new.csv exists"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_writes_nothing(
    cfg: DictConfig, tmp_path: Path, text: bytes, given: dict[str, Any], says: str
) -> None:
    (tmp_path / "new.csv").write_bytes(text)
    files = {"input": "{}/new.csv", "output": "{}/scored.csv", **given}
    named = {key: value and value.format(tmp_path) for key, value in files.items()}
    with pytest.raises(UserError, match=says):
        predict.main(OmegaConf.merge(cfg, named))
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_a_line_that_is_broken_far_below_leaves_nothing(
    cfg: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "ROWS", 3)
    _, _, data = opened(cfg)
    data.test.X.to_csv(tmp_path / "new.csv", index=False)
    with (tmp_path / "new.csv").open("a") as file:
        file.write(",".join("1" * 99) + "\n")
    with pytest.raises(UserError, match="is no CSV file that can be read: .*line"):
        predict.main(OmegaConf.merge(cfg, {"input": f"{tmp_path}/new.csv", "output": f"{tmp_path}/scored.csv"}))
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_predict_takes_tables(tmp_path: Path) -> None:
    composed = compose.compose("experiment=digits_tree", f"paths.out={tmp_path}/out", "tracking=none")
    given = {"run": str(train.train(composed)), "input": f"{tmp_path}/new.csv", "output": f"{tmp_path}/scored.csv"}
    with pytest.raises(UserError, match="data of kind image, and predict takes tables"):
        predict.main(OmegaConf.merge(composed, given))
