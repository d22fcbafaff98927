"""Data sets: the contract, reading raw files, splitting, and what is written to disk."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import sparse

from conftest import prepared
from deepmine import ROOT
from deepmine.commands import prepare
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import dataset, digests
from deepmine.data.dataset import Dataset, Part
from deepmine.data.preparing.split import split
from deepmine.data.raw import Raw
from deepmine.data.readers import table

NAMES = ["birds", "cycles", "digits", "ferry", "first_names", "market", "voices"]


def image_part(rows: list[str], dtype: type = np.uint8) -> Part:
    return Part(np.zeros((len(rows), 1, 2, 2), dtype), np.zeros(len(rows)), np.array(rows))


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_prepares_and_survives_the_disk(name: str, tmp_path: Path) -> None:
    made = prepared(name)
    dataset.save(made, tmp_path / name)
    loaded = dataset.load(tmp_path / name)
    for (_, part), (_, back) in zip(made.parts(), loaded.parts(), strict=True):
        np.testing.assert_array_equal(part.rows, back.rows)
        np.testing.assert_array_equal(part.y, back.y)
        assert type(part.X) is type(back.X) or made.info["kind"] not in ("table", "baskets")
        if made.info["kind"] == "table":
            pd.testing.assert_frame_equal(part.X, back.X)
        else:
            np.testing.assert_array_equal(*(X.toarray() if sparse.issparse(X) else X for X in (part.X, back.X)))


@pytest.mark.parametrize("name", NAMES)
def test_parts_have_their_shares_and_every_row_once(name: str) -> None:
    made = prepared(name)
    n = sum(len(part) for _, part in made.parts())
    published = made.info["split"]["strategy"] == "published"
    if published:  # then the source says how many test rows there are, and val is a share of the others
        n -= len(made.test)
    for part in ("val",) if published else ("val", "test"):
        assert len(getattr(made, part)) == pytest.approx(made.info["split"][part] * n, abs=2)
    rows = np.concatenate([part.rows for _, part in made.parts()])
    assert len(np.unique(rows)) == len(rows)


def test_a_stratified_split_keeps_the_shares_of_the_classes() -> None:
    for _, part in prepared("digits").parts():
        assert set(np.unique(part.y, return_counts=True)[1]) == {len(part) // 10}


def test_the_digest_leaves_out_what_dvc_ignores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    (tmp_path / ".dvcignore").write_text("# downloaded\n/data/big\n")
    for folder in ("small", "big"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    (tmp_path / "data/small/a").write_text("a")
    before, empty = (dataset.folder_digest(tmp_path / "data" / name) for name in ("", "big"))
    (tmp_path / "data/big/b").write_text("b")
    assert dataset.folder_digest(tmp_path / "data") == before
    assert dataset.folder_digest(tmp_path / "data/big") != empty  # asked for itself, it counts


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((["a"], ["b"], ["a"]), "in two parts"),
        ((["a"], ["b"], []), "no rows"),
    ],
)
def test_the_contract_checks_the_rows(parts: tuple[list[str], ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Dataset({"kind": "image"}, *map(image_part, parts))


def test_the_contract_checks_the_values() -> None:
    good = image_part(["a"]), image_part(["b"])
    with pytest.raises(ValueError, match=r"part test of kind image: X is \('f', 4, False\), must be \('u'"):
        Dataset({"kind": "image"}, *good, image_part(["c"], float))
    with pytest.raises(UserError, match="ndarray, which is not data of kind table"):
        Dataset({"kind": "table"}, *good, image_part(["c"]))
    dense = Part(np.zeros((1, 2), np.uint8), None, np.array(["a"]))
    with pytest.raises(ValueError, match=r"kind baskets: X is \('u', 2, False\), must be \('u', 2, True\)"):
        Dataset({"kind": "baskets"}, dense, *good[1:], image_part(["c"]))


def test_an_interrupted_save_leaves_the_older_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Dataset({"kind": "image"}, *map(image_part, (["a"], ["b"], ["c"])))
    dataset.save(made, tmp_path / "set")
    before = dataset.folder_digest(tmp_path / "set")
    monkeypatch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        dataset.save(made, tmp_path / "set")
    assert dataset.folder_digest(tmp_path / "set") == before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda parts: flip(parts / "X_train.npy"),
        lambda parts: (parts / "y_val.npy").write_bytes((parts / "y_val.npy").read_bytes()[:-4]),
        lambda parts: (parts / "rows_test.npy").unlink(),
        lambda parts: (parts / "info.json").write_text((parts / "info.json").read_text()[:40]),
    ],
    ids=["flipped", "cut", "gone", "info"],
)
@pytest.mark.parametrize("racy", [0, digests.RACY])
def test_a_damaged_data_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil, racy: int) -> None:
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    monkeypatch.setattr(digests, "RACY", racy)  # 0: digests are kept at once
    (tmp_path / ".dvcignore").touch()
    dataset.save(Dataset({"kind": "image", "name": "set"}, *map(image_part, (["a"], ["b"], ["c"]))), tmp_path / "set")
    dataset.load(tmp_path / "set")
    spoil(tmp_path / "set/parts")
    with pytest.raises(UserError, match=f"damaged.*rm -r {tmp_path}/set"):
        dataset.load(tmp_path / "set")


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    (tmp_path / ".dvcignore").touch()
    (tmp_path / "big").mkdir()
    for name in ("a", "b"):
        (tmp_path / "big" / name).write_text(name)
    read, hashed = [], digests.hashed
    monkeypatch.setattr(digests, "hashed", lambda file, how: read.append(Path(file.name).name) or hashed(file, how))
    whole = digests.folder_digest(tmp_path / "big")
    assert digests.folder_digest(tmp_path / "big") == whole and sorted(read) == ["a", "a", "b", "b"]  # just written
    monkeypatch.setattr(digests, "RACY", 0)
    read.clear()
    for _ in range(2):
        assert digests.folder_digest(tmp_path / "big") == whole and sorted(read) == ["a", "b"]
    (tmp_path / "big/b").write_text("c")
    os.utime(tmp_path / "big/b", ns=(0, 0))
    assert digests.folder_digest(tmp_path / "big") != whole and sorted(read) == ["a", "b", "b"]


def test_raw_files_that_are_not_those_of_data_dvc_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(digests, "ROOT", tmp_path)
    (tmp_path / ".dvcignore").touch()
    for name in ("data/set/a.csv", "data/set/b.csv", "data/other/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    listed = [{"md5": md5, "relpath": name} for name, md5 in digests.file_digests(tmp_path / "data").items()]
    whole = digests.folder_digest(tmp_path / "data")
    listing = tmp_path / ".dvc/cache/files/md5" / whole[:2] / whole[2:]
    listing.parent.mkdir(parents=True)
    listing.write_text(json.dumps(listed))
    (tmp_path / "data.dvc").write_text(yaml.safe_dump({"outs": [{"md5": whole, "path": "data"}]}))

    def said(folder: str) -> str:
        digests.compare_with_dvc.cache_clear()
        for _ in range(2):
            digests.compare_with_dvc(tmp_path / folder)
        return capsys.readouterr().err

    assert said("data/set") == ""
    flip(tmp_path / "data/set/a.csv")
    (tmp_path / "data/set/b.csv").unlink()
    (tmp_path / "data/set/new.csv").touch()
    assert said("data/set").count("a.csv (changed), b.csv (missing), new.csv (added)") == 1
    assert said("data/other") == "" and "dvc add data" in said("data/set") and "dvc pull" in said("data/set")
    listing.unlink()
    assert "dvc data status" in said("data/other")


def test_a_data_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make prepare data=nothing"):
        dataset.load(tmp_path / "nothing")


def test_it_is_prepared_again_only_when_files_settings_or_code_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    cfg = compose.compose("experiment=birds_kmeans", f"paths.out={tmp_path}/out", f"paths.data={tmp_path}/data")
    raw = tmp_path / "data/birds/birds.csv"
    raw.parent.mkdir(parents=True)
    raw.write_text((ROOT / "data/birds/birds.csv").read_text())
    prepare.ensure(cfg)
    assert "118 train" in capsys.readouterr().out
    prepare.ensure(cfg)
    assert capsys.readouterr().out == ""
    account = tmp_path / "out/datasets/birds/preparation.json"
    account.write_text(account.read_text()[:99])
    prepare.ensure(cfg)
    assert "118 train" in capsys.readouterr().out
    raw.write_text("".join(raw.read_text().splitlines(keepends=True)[:-20]))
    prepare.ensure(cfg)
    assert "106 train" in capsys.readouterr().out


def test_the_same_seed_splits_the_same_way() -> None:
    raw = Raw(np.zeros((50, 1)), np.arange(50) % 2, np.arange(50).astype(str))
    settings = {"strategy": "stratified", "val": 0.2, "test": 0.2, "seed": 3}
    one, two, other = (split({**settings, "seed": seed}, raw) for seed in (3, 3, 4))
    assert all((one[part] == two[part]).all() for part in one)
    assert not (one["test"] == other["test"]).all()


def test_a_class_too_small_to_split_is_named() -> None:
    raw = Raw(np.zeros((9, 1)), np.array([0] * 8 + [1]), np.arange(9).astype(str))
    with pytest.raises(UserError, match="of 2 classes, `1` has the fewest rows, 1 of 9"):
        split({"strategy": "stratified", "val": 0.2, "test": 0.2, "seed": 0}, raw)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("id,town,age,ok\nb,Rome,NA,1\na,,30,0\n")
    return tmp_path


def test_a_table_has_numbers_and_texts_and_missing_values(people: Path) -> None:
    raw = table.read(people, {"a": "a.csv"}, row_id="id", target="ok", null_values=["", "NA"])
    assert raw.rows.tolist() == ["a", "b"] and raw.y.tolist() == [0, 1]
    assert [str(kind) for kind in raw.X.dtypes] == ["str", "float64"]
    assert raw.X.isna().to_numpy().tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("query", "settings", "says"),
    [
        ("SELECT id, height FROM a", {}, "height.*Table a has id, town, age, ok"),
        ("FROM a", {"row_id": "key"}, "no column `key`"),
        ("FROM a", {"target": "okay"}, "no column `okay`. Did you mean `ok`?"),
        ("FROM a WHERE id = 'c'", {}, "no rows"),
        ("FROM a UNION ALL FROM a", {}, "must name each row once"),
        ("SELEKT", {}, "Parser Error"),
    ],
)
def test_a_bad_query_or_column_is_named(people: Path, query: str, settings: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        table.read(people, {"a": "a.csv"}, query, **{"row_id": "id", "null_values": ["", "NA"], **settings})


@pytest.mark.parametrize("name", ["ferry", "digits", "voices", "first_names", "market"])
def test_a_data_set_says_how_it_was_made_the_same_each_time(tmp_path: Path, name: str) -> None:
    cfg = compose.compose("~experiment", f"data={name}", trains=False)
    for folder in (tmp_path / "one", tmp_path / "two"):
        cfg.folders.dataset = str(folder)
        prepare.main(cfg)
    assert dataset.folder_digest(tmp_path / "one") == dataset.folder_digest(tmp_path / "two")
    account = json.loads((tmp_path / "one/preparation.json").read_text())
    assert account["made_from"]["raw"] == dataset.folder_digest(ROOT / "data" / cfg.data.folder)
    assert {entry["step"] for entry in account["ledger"]} >= {"read", "contract"}
    page = (tmp_path / "one/report.html").read_text()
    assert "Distributions" in page and not re.search(r"(src=.?(http|/)|<link|@import|url\(.?http)", page)


def test_info_says_what_a_model_must_know(tmp_path: Path) -> None:
    dataset.save(prepared("ferry"), tmp_path / "ferry")
    info = dataset.require_info(tmp_path / "ferry")
    assert info["classes"] == [0, 1] and info["target"] == "survived"
    assert len(info["digest"]) == 36
