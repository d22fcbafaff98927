"""Readers of common files: image folders, NumPy arrays, IDX, and baskets in one file."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepmine.commands.prepare import require_raw
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data.preparing import prepare
from deepmine.data.raw import read_csv
from deepmine.data.readers import arrays, baskets, image_folder

RED, GREEN = (250, 0, 0), (0, 250, 0)


def image(path: Path, colour: object = RED, size: tuple[int, int] = (4, 3), mode: str = "RGB", **settings) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **settings)
    return path


def test_a_folder_is_a_class(tmp_path: Path) -> None:
    image(tmp_path / "cat/b.png", RED)
    image(tmp_path / "cat/winter/a.png", GREEN)
    image(tmp_path / "ant/c.bmp", RED)
    for left_out in ("cat/.hidden.png", ".git/x.png", "cat/Thumbs.db", "labels.csv"):
        (tmp_path / left_out).parent.mkdir(exist_ok=True)
        (tmp_path / left_out).write_text("no image")
    raw = image_folder.read(tmp_path)
    assert [entry.what for entry in raw.facts["ledger"]] == ["3 images (ant 1, cat 2)"]
    assert raw.X.shape == (3, 3, 3, 4) and raw.X.dtype == np.uint8 and raw.parts is None  # 4 wide, 3 high
    assert raw.rows.tolist() == ["ant/c.bmp", "cat/b.png", "cat/winter/a.png"] and raw.y.tolist() == [
        "ant",
        "cat",
        "cat",
    ]
    assert [tuple(pixels[:, 0, 0]) for pixels in raw.X] == [RED, RED, GREEN]


def test_folders_train_and_test_are_a_published_split(tmp_path: Path) -> None:
    for name in ("train/cat/1.png", "train/ant/1.png", "test/cat/1.png"):
        image(tmp_path / name)
    raw = image_folder.read(tmp_path)
    assert list(zip(raw.rows, raw.y, raw.parts, strict=True)) == [
        ("train/ant/1.png", "ant", "train"),
        ("train/cat/1.png", "cat", "train"),
        ("test/cat/1.png", "cat", "test"),
    ]


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("RGBA", (*RED, 255), RED),
        ("RGBA", (*RED, 0), (255, 255, 255)),
        ("LA", (100, 0), (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
    ],
)
def test_any_mode_becomes_colour(tmp_path: Path, mode: str, colour: object, seen: tuple) -> None:
    image(tmp_path / "a/1.png", RED)
    image(tmp_path / "a/2.png", colour, mode=mode)
    assert tuple(image_folder.read(tmp_path).X[1, :, 0, 0]) == seen


def test_a_turned_photo_stands_upright(tmp_path: Path) -> None:
    photo = Image.new("RGB", (4, 3), RED)
    photo.paste(GREEN, (0, 0, 1, 3))  # the left column, which the camera's note says is the top row
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation
    (tmp_path / "a").mkdir()
    photo.save(tmp_path / "a/1.png", exif=exif)
    pixels = image_folder.read(tmp_path).X[0]
    assert pixels.shape == (3, 4, 3)
    assert (pixels[1, 0] == 250).all() and (pixels[1, 1:] == 0).all()


def test_sizes_are_made_the_same_where_a_size_is_given(tmp_path: Path) -> None:
    for number, size in enumerate([(4, 3), (4, 3), (8, 2)]):
        image(tmp_path / f"a/{number}.png", size=size)
    with pytest.raises(UserError, match=r"2 sizes: 2 are 3 x 4, 1 are 2 x 8.*data.source.size=\[3,4\]"):
        image_folder.read(tmp_path)
    assert image_folder.read(tmp_path, size=[6, 5]).X.shape == (3, 3, 6, 5)
    with pytest.raises(UserError, match="`size` be a height and a width"):
        image_folder.read(tmp_path, size=[6])


@pytest.mark.parametrize("size", [None, [3, 4]])
@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        ("a/2.png", lambda path: path.write_bytes(path.read_bytes()[:-30]), "2.png is damaged, or is not an image"),
        ("a/2.png", lambda path: path.write_bytes(b""), "2.png is damaged"),
        ("a/2.png", lambda path: Image.new("I;16", (4, 3)).save(path), "2.png has more than 8 bits"),
        ("b", lambda path: path.mkdir(), "b must hold images by class, in folders, but has no images"),
    ],
)
def test_a_spoilt_image_is_named(tmp_path: Path, size: list | None, name: str, spoil, says: str) -> None:
    image(tmp_path / "a/1.png")
    image(tmp_path / "a/2.png")
    spoil(tmp_path / name)
    with pytest.raises(UserError, match=says):
        image_folder.read(tmp_path, size=size)


def test_images_beside_each_other_have_no_class(tmp_path: Path) -> None:
    image(tmp_path / "1.png")
    with pytest.raises(UserError, match=r"must hold images by class, in folders, but has 1 images beside them \(1.png"):
        image_folder.read(tmp_path)


def test_a_class_with_one_image_is_named_by_the_split(tmp_path: Path) -> None:
    for name in (*(f"cat/{number}.png" for number in range(9)), "ant/1.png"):
        image(tmp_path / name)
    settings = {"strategy": "stratified", "val": 0.2, "test": 0.2, "seed": 0}
    with pytest.raises(UserError, match="of 2 classes, `ant` has the fewest rows, 1 of 10.*leave_out.*=random"):
        prepare.split(settings, image_folder.read(tmp_path))
    raw = image_folder.read(tmp_path, leave_out=["ant"])
    assert set(raw.y) == {"cat"} and len(raw.X) == len(raw.rows) == 9
    assert [(entry.rows_before, entry.rows_after) for entry in raw.facts["ledger"]] == [(10, 9)]
    for wrong, says in ((["bat"], "names 'bat'.*Did you mean `cat`"), (["ant", "cat"], "must leave a class")):
        with pytest.raises(UserError, match=says):
            image_folder.read(tmp_path, leave_out=wrong)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["train/a/1.png", "val/a/1.png", "test/a/1.png"], "holds test, train, val, but .* `train` and `test`"),
        (["a/1.png", "lost.PNG"], r"1 images beside them \(lost.PNG, "),
        (["train/a/1.png", "test/a/1.png", "test/2.png"], "1 images beside them"),
    ],
)
def test_folders_that_are_mixed_are_named(tmp_path: Path, more: list[str], says: str) -> None:
    for name in more:
        image(tmp_path / name)
    with pytest.raises(UserError, match=says):
        image_folder.read(tmp_path)


def test_an_array_is_mapped_and_not_loaded(tmp_path: Path) -> None:
    X = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", np.array([[1], [0], [1], [0]], np.uint8))
    raw = arrays.read(tmp_path, "image", "X.npy", "y.npy")
    assert isinstance(raw.X, np.memmap) and raw.y.tolist() == [1, 0, 1, 0] and raw.rows.tolist() == list("0123")
    np.testing.assert_array_equal(raw.X, X[:, None])


def test_channels_may_come_last_and_integers_be_wide(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.arange(240).reshape(2, 8, 5, 3))
    raw = arrays.read(tmp_path, "image", "X.npy")
    assert raw.X.shape == (2, 3, 8, 5) and raw.X.dtype == np.uint8
    assert raw.X[1, 2, 7, 4] == 239


def test_one_file_of_several_arrays_with_a_published_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=np.ones((3, 2)), y=["a", "b", "a"], x_test=np.zeros((1, 2)), y_test=["b"])
    names = {"X": "all.npz:x", "y": "all.npz:y", "X_test": "all.npz:x_test", "y_test": "all.npz:y_test"}
    raw = arrays.read(tmp_path, "table", **names)
    assert raw.X.columns.tolist() == ["x0", "x1"] and raw.X.dtypes.tolist() == [float, float]
    assert raw.rows.tolist() == ["train-0", "train-1", "train-2", "test-0"] and raw.y.tolist() == ["a", "b", "a", "b"]
    assert raw.parts.tolist() == ["train"] * 3 + ["test"] and raw.X["x1"].tolist() == [1, 1, 1, 0]


def test_sequences_end_with_nan(tmp_path: Path) -> None:
    X = np.array([[[1.0], [2.0], [np.nan]], [[1.0], [2.0], [3.0]]])
    np.save(tmp_path / "X.npy", X)
    raw = arrays.read(tmp_path, "sequence", "X.npy")
    assert raw.X.dtype == np.float32 and raw.facts["columns"] == ["x0"]
    np.testing.assert_array_equal(raw.X, X)
    np.save(tmp_path / "X.npy", X[:, :, 0])
    np.testing.assert_array_equal(arrays.read(tmp_path, "sequence", "X.npy").X, X)


NAN = np.nan


@pytest.mark.parametrize(
    ("kind", "X", "y", "settings", "says"),
    [
        ("image", np.ones((2, 3, 4)), None, {}, "integers 0 to 255.*astype"),
        ("image", np.full((2, 3, 4), 256), None, {}, "integers 0 to 255"),
        ("image", np.zeros((2, 3), np.uint8), None, {}, r"holds uint8 of shape \(2, 3\)"),
        ("table", np.ones((2, 3, 4)), None, {}, "numbers in 2 dimensions"),
        ("table", np.array([["a"]]), None, {}, "holds <U1"),
        ("table", np.array([[{}]]), None, {}, "pickles.*never read"),
        ("sequence", np.array([[NAN, 1], [1, 2]]), None, {}, "only from where a sequence ends"),
        ("sequence", np.array([[1, 2, 3], [1, NAN, 2]]), None, {}, "only from where a sequence ends"),
        ("sequence", np.array([[1, 2], [1, np.inf]]), None, {}, "only from where a sequence ends"),
        ("sequence", np.array([[[1, NAN]], [[1, 2]]]), None, {}, "only from where a sequence ends"),
        ("table", np.ones((2, 3)), np.ones(3), {}, "each of the 2 rows"),
        ("table", np.ones((2, 3)), np.eye(2), {}, "argmax"),
        ("table", np.ones((2, 3)), np.array([1, NAN]), {}, "one finite number or text"),
        ("table", np.ones((2, 3)), None, {"X_test": "X.npy", "y_test": "X.npy"}, "one finite number or text"),
        ("table", np.ones((2, 3)), np.ones(2), {"X_test": "X.npy"}, "with a target, test rows .* without a target"),
        ("table", np.ones((2, 3)), None, {"X": "X.npy:a"}, "`X.npy:a` is not an array of .*X.npy"),
        ("table", np.ones((2, 3)), None, {"X": "Z.npy"}, "Z.npy is not there"),
    ],
)
def test_an_array_that_cannot_be_used_is_named(tmp_path: Path, kind: str, X, y, settings: dict, says: str) -> None:
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    wanted = {"X": "X.npy", "y": None if y is None else "y.npy", **settings}
    with pytest.raises(UserError, match=says):
        arrays.read(tmp_path, kind, **wanted)


def test_a_damaged_or_unnamed_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", first=np.ones((2, 2)), second=np.zeros((2, 2)))
    with pytest.raises(UserError, match="Did you mean `two.npz:first`"):
        arrays.read(tmp_path, "table", "two.npz:firs")
    with pytest.raises(UserError, match="`two.npz` is not an array of .*two.npz:first"):
        arrays.read(tmp_path, "table", "two.npz")
    np.save(tmp_path / "cut.npy", np.ones((9, 9)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-9])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:-50])
    (tmp_path / "head.npy").write_bytes((tmp_path / "cut.npy").read_bytes().replace(b"}", b" ", 1))
    for name in ("cut.npy", "head.npy", "cut.npz"):
        with pytest.raises(UserError, match=f"{name} is damaged"):
            arrays.read(tmp_path, "table", name)


def idx_file(path: Path, array: np.ndarray) -> None:
    content = bytes([0, 0, 8, array.ndim, *np.array(array.shape, ">u4").tobytes()]) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_are_images_with_their_labels(tmp_path: Path, suffix: str) -> None:
    X = np.arange(24).reshape(4, 2, 3)
    idx_file(tmp_path / f"images{suffix}", X)
    idx_file(tmp_path / f"labels{suffix}", np.arange(4))
    raw = arrays.read(tmp_path, "image", f"images{suffix}", f"labels{suffix}")
    assert isinstance(raw.X, np.memmap) == (suffix == "")  # mapped, not loaded
    np.testing.assert_array_equal(raw.X[:, 0], X)
    assert raw.y.tolist() == [0, 1, 2, 3] and raw.y.dtype == np.int64


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda content: gzip.compress(content)[:30], "is damaged"),
        (lambda content: b"not gzip", "is damaged"),
        (lambda content: gzip.compress(b"\0\0\x0d\x01"), "is damaged, in another format"),
        (lambda content: gzip.compress(content[:-1]), "is damaged"),
        (lambda content: gzip.compress(content[:7] + b"\0" + content[8:16]), "at least one image"),
        (lambda content: gzip.compress(content[:15] + b"\0"), "at least one image"),
        (lambda content: gzip.compress(content[:7] + b"\2" + content[8:28]), "for each of the 2 rows"),
        (lambda content: gzip.compress(b"\0\0"), "is damaged"),
    ],
    ids=["cut", "not gzip", "floats", "short", "no images", "no pixels", "other labels", "head"],
)
def test_a_spoilt_idx_file_is_named(tmp_path: Path, spoil, says: str) -> None:
    idx_file(tmp_path / "x", np.arange(24).reshape(4, 2, 3))
    idx_file(tmp_path / "y.gz", np.arange(4))
    (tmp_path / "x.gz").write_bytes(spoil((tmp_path / "x").read_bytes()))
    with pytest.raises(UserError, match=says):
        arrays.read(tmp_path, "image", "x.gz", "y.gz")


def test_mnist_keeps_its_published_test_rows(tmp_path: Path) -> None:
    settings = compose.plain(compose.compose("data=remote", "~experiment", trains=False))["data"]
    for part, n in (("train", 200), ("t10k", 30)):
        idx_file(tmp_path / f"{part}-images-idx3-ubyte.gz", np.full((n, 28, 28), n))
        idx_file(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(n) % 10)
    made = prepare.prepare("mnist", settings, tmp_path).dataset
    assert [len(part) for _, part in made.parts()] == [180, 20, 30]
    assert (made.test.X == 30).all() and (made.train.X == 200).all()
    assert made.test.rows.tolist() == [f"test-{number}" for number in range(30)]


def held(raw) -> dict[str, set]:
    names = np.array(raw.facts["columns"])
    return {str(row): set(names[items.indices]) for row, items in zip(raw.rows, raw.X, strict=True)}


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("milk,bread\n\nbread, milk ,bread,,\n", {}, {"1": {"milk", "bread"}, "3": {"milk", "bread"}}),
        ('"cheese, old",tea\n', {}, {"1": {"cheese, old", "tea"}}),
        ("milk;bread\n", {"separator": ";"}, {"1": {"milk", "bread"}}),
        ("items\nmilk,bread\n", {"header": True}, {"2": {"milk", "bread"}}),
        ("milk,POSTAGE\nPOSTAGE\n", {"leave_out": ["POSTAGE"]}, {"1": {"milk"}}),
        ("milk\nmilk,tea\n", {"min_items": 2}, {"2": {"milk", "tea"}}),
        (
            "n,who,what\n1,bob,tea\n2,ann,milk\n3,bob,milk\n4,bob,tea\n",
            {"basket": "who", "item": "what"},
            {"bob": {"tea", "milk"}, "ann": {"milk"}},
        ),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_baskets_in_one_file(tmp_path: Path, text: str, settings: dict, expected: dict, packed: bool) -> None:
    name, content = ("b.csv.gz", gzip.compress(text.encode())) if packed else ("b.csv", text.encode("utf-8-sig"))
    (tmp_path / name).write_bytes(content)
    raw = baskets.read(tmp_path, name, **settings)
    assert held(raw) == expected
    assert raw.X.format == "csr" and raw.X.dtype == np.uint8 and set(raw.X.data) == {1}


def test_cells_may_hold_several_items_and_a_second_file_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("who,items\nann,7 9 7\nbob,9\ncy,\ndee,7 8 9\n")
    (tmp_path / "i.csv").write_text('id,name\n7,tea\n8,"cup, blue"\n9,POSTAGE\n')
    columns = {"basket": "who", "item": "items", "separator": " ", "names": "i.csv"}
    raw = baskets.read(tmp_path, "b.csv", **columns, leave_out=["POSTAGE"])
    assert held(raw) == {"ann": {"tea"}, "dee": {"tea", "cup, blue"}} and raw.y is None
    assert [entry.rows_after for entry in raw.facts["ledger"]] == [2]
    assert baskets.read(tmp_path, "b.csv", **columns, max_items=2).rows.tolist() == ["ann", "bob"]
    for content in ("id,name\n7,tea\n", "id,name\n7,tea\n8,a\n9,b\n7,c\n", "id,name,price\n7,tea,1\n8,a,1\n9,b,1\n"):
        (tmp_path / "i.csv").write_text(content)
        with pytest.raises(UserError, match="two columns, and name each item of b.csv once"):
            baskets.read(tmp_path, "b.csv", **columns)


def test_an_item_named_256_times_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text(",".join(["tea"] * 256))
    assert baskets.read(tmp_path, "b.txt").X.toarray().tolist() == [[1]]


@pytest.mark.parametrize(
    ("content", "settings", "says"),
    [
        (b"who,what\nbob,tea\n", {"basket": "who", "item": "wat"}, "no column `wat`. Did you mean `what`"),
        (b"who,what\nbob,tea\n,tea\n", {"basket": "who", "item": "what"}, "is empty in row 2"),
        (b"who,what\n", {"basket": "who", "item": "what"}, "holds no items"),
        (b"milk\n", {"basket": "who"}, "Set both `basket` and `item`"),
        (b"milk\n", {"separator": ", "}, "items between ', '"),
        (b"milk\n", {"leave_out": ["milkk"]}, "no such item. Did you mean `milk`"),
        (b"milk\n", {"min_items": 2}, "no basket of 2"),
        (b"caf\xe9\n", {}, "UTF-8"),
        (b"", {}, "holds no items"),
        (b"", {"basket": "who", "item": "what"}, "is damaged"),
    ],
)
def test_a_mistake_in_a_basket_file_is_named(tmp_path: Path, content: bytes, settings: dict, says: str) -> None:
    (tmp_path / "b.csv").write_bytes(content)
    with pytest.raises(UserError, match=f"{says}"):
        baskets.read(tmp_path, "b.csv", **settings)


def test_a_packed_csv_file_that_is_damaged_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,%.9f\n" % (n, n**0.5) for n in range(2_000)))
    for broken in (packed[:-2_000], packed[:-2_000] + bytes(100) + packed[-1_900:]):
        (tmp_path / "t.csv.gz").write_bytes(broken)
        with pytest.raises(UserError, match="is damaged"):
            read_csv(tmp_path / "t.csv.gz")


@pytest.mark.parametrize("name", ["../other/a.npy", "{other}/a.npy", "link.npy", "folder/*.npy"])
def test_files_and_links_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    np.save(other / "a.npy", np.ones((2, 2)))
    (own / "link.npy").symlink_to(other / "a.npy")
    (own / "folder").symlink_to(other)
    with pytest.raises(UserError, match="is outside .*own, so no version of it is kept"):
        arrays.read(own, "table", name.format(other=other))


@pytest.mark.parametrize("folder", ["/etc", "../..", "link"])
def test_a_folder_outside_data_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "link").symlink_to("/etc")
    cfg = compose.compose("data=remote", "~experiment", f"data.folder={folder}", f"paths.data={tmp_path}", trains=False)
    with pytest.raises(UserError, match="is outside"):
        require_raw(cfg)


def test_links_into_the_cache_of_dvc_are_followed(tmp_path: Path) -> None:
    cached = tmp_path / "cache/files/md5/ab" / ("0" * 30)
    cached.parent.mkdir(parents=True)
    np.save(tmp_path / "X.npy", np.ones((2, 2)))
    (tmp_path / "X.npy").rename(cached)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/X.npy").symlink_to(cached)
    assert arrays.read(tmp_path / "own", "table", "X.npy").X.shape == (2, 2)
