"""What a model depends on: on made-up data of which one knows it."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from conftest import cut, prepared
from deepmine import tasks
from deepmine.config import compose
from deepmine.data.dataset import Dataset, Part
from deepmine.models import pipelines
from deepmine.models.transformers import Dense, Flatten, SequenceScaler, SequenceSummary, TextEncoder
from deepmine.tasks import anomalies, regression
from deepmine.tasks.explain import attributions, feature_names, importance, trees

TABLE = {"kind": "table", "columns": ["noise", "tells", "flat"]}


def part_of(X, y) -> Part:
    return Part(X, y, np.arange(len(y)).astype(str))


def table(n: int = 200) -> Part:
    """The class is the sign of `tells`; `noise` says nothing, `flat` neither."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"noise": rng.normal(size=n), "tells": rng.normal(size=n), "flat": np.zeros(n)})
    return part_of(X, np.where(X["tells"] > 0, "yes", "no"))


def sequences(n: int = 200) -> Part:
    """3 to 6 steps of two features; the class is whether the second is above 0 at step 1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6, 2)).astype(np.float32)
    X[np.arange(6) >= rng.integers(3, 7, n)[:, None]] = np.nan
    return part_of(X, (X[:, 1, 1] > 0).astype(int))


def texts(n: int = 200) -> Part:
    """Two to five letters; the class is whether the last is an a."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("bcd"), rng.integers(1, 5))) + rng.choice(["a", "e"]) for _ in range(n)]
    return part_of(np.array(words), np.array([word[-1] for word in words]))


def images(n: int = 200) -> Part:
    """8 x 6 pixels; the class is whether that at 5,2 is bright."""
    X = np.random.default_rng(0).integers(0, 256, (n, 1, 8, 6), np.uint8)
    return part_of(X, (X[:, 0, 5, 2] > 127).astype(int))


def classifier(part: Part) -> Pipeline:
    return make_pipeline(FunctionTransformer(), LogisticRegression()).fit(part.X, part.y)


LETTERS = make_pipeline(TfidfVectorizer(analyzer="char_wb"), Dense())
SECOND = FunctionTransformer(lambda X: X[:, 1])  # its two features at step 1, which every sequence has


@pytest.mark.parametrize(
    ("part", "step", "info", "tells", "kinds"),
    [
        (table(), FunctionTransformer(), TABLE, ["tells"], ["column"]),
        (sequences(), SECOND, {"kind": "sequence", "columns": ["a", "b"]}, ["step 1", "b"], ["feature", "step"]),
        (texts(), LETTERS, {"kind": "text"}, ["letter 1 from the end"], ["letter"]),
        (images(), Flatten(), {"kind": "image"}, ["patch at pixel 5,2"], ["patch"]),
    ],
    ids=["table", "sequence", "text", "image"],
)
def test_the_part_that_tells_is_found(part: Part, step, info: dict, tells: list, kinds: list) -> None:
    pipeline = make_pipeline(step, StandardScaler(), LogisticRegression(max_iter=1000)).fit(part.X, part.y)
    found = importance.importance(pipeline, part, info, "accuracy")
    assert list(found) == ["kind", "input", "importance", "deviation"] and list(found["kind"].unique()) == kinds
    ranked = found.sort_values("importance", ascending=False, ignore_index=True)
    first, others = ranked[: len(kinds)], ranked[len(kinds) :]
    assert first["input"].tolist() == tells and first["importance"].between(0.3, 0.7).all()
    assert others["importance"].max() < 0.2  # letter 3 is the last of some texts
    says = rf"Most important: {tells[0]}[ .].*Shuffling it lowers test accuracy by 0\.\d+\."
    assert re.match(says, importance.in_words(ranked, "accuracy"))
    pd.testing.assert_frame_equal(found, importance.importance(pipeline, part, info, "accuracy"))
    assert importance.figure(found, part.X, "accuracy").axes


def test_a_model_that_depends_on_nothing_says_so() -> None:
    part = table()
    found = importance.importance(classifier(part_of(part.X * 0, part.y)), part, TABLE, "accuracy")
    assert "no more than chance" in importance.in_words(found, "accuracy")


def test_an_exchange_moves_values_between_the_rows_that_have_them() -> None:
    X, sources = sequences().X, np.random.default_rng(1).permutation(200)
    new = importance.exchanged(X, (slice(None), 1), sources)
    np.testing.assert_array_equal(np.isnan(new), np.isnan(X))
    np.testing.assert_array_equal(new[:, :, 0], X[:, :, 0])
    both = ~np.isnan(X[:, :, 1]) & ~np.isnan(X[sources][:, :, 1])
    np.testing.assert_array_equal(new[:, :, 1], np.where(both, X[sources][:, :, 1], X[:, :, 1]))


def test_letters_are_exchanged_from_either_end() -> None:
    X, sources = np.array(["anna", "bo", "", "ünal"]), np.array([1, 2, 3, 0])
    assert importance.exchanged(X, -1, sources).tolist() == ["anno", "bo", "", "ünaa"]
    assert importance.exchanged(X, 2, sources[::-1]).tolist() == ["anna", "bo", "", "ünal"]
    assert importance.exchanged(X, 0, sources).tolist() == ["bnna", "bo", "", "anal"]


def test_steps_are_taken_together_where_there_are_many() -> None:
    names = [name for _, name, _ in importance._inputs(np.zeros((2, 50, 1)), {"kind": "sequence", "columns": ["a"]})]
    assert names[0] == "steps 0-2" and names[-1] == "steps 48-49" and len(names) == importance.RUNS


def test_patches_cover_an_image_once() -> None:
    seen = np.zeros((1, 30, 5))
    for place in importance.patches(30, 5):
        seen[place] += 1
    assert (seen == 1).all()


def test_the_rows_looked_at_are_limited() -> None:
    part, seen = table(3000), []
    model = make_pipeline(FunctionTransformer(lambda X: seen.append(len(X)) or X), LogisticRegression())
    importance.importance(model.fit(part.X, part.y), part, TABLE, "accuracy")
    assert max(seen[1:]) == importance.ROWS


def test_partial_dependence_of_a_line_is_its_slope() -> None:
    part = table()
    line = make_pipeline(FunctionTransformer(), LinearRegression()).fit(part.X, 3 * part.X["tells"] + 1)
    [axes] = importance.partial_dependence(line, part.X, ["tells"]).axes[-1:]
    drawn = axes.lines[0].get_xydata()
    np.testing.assert_allclose(drawn[:, 1], 3 * drawn[:, 0] + 1, atol=1e-6)


def test_pixels_that_matter_are_found_and_add_up() -> None:
    """Integrated gradients are complete: they sum to the difference of the outputs of image and empty image."""
    from deepmine.models.lightning import LightningClassifier

    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (120, 1, 4, 4), np.uint8)
    y = (X[:, 0, 1, 2] > 127).astype(int)
    scale = FunctionTransformer(lambda X: (np.asarray(X) / 255).astype(np.float32))
    net = LightningClassifier(lr=0.01, random_state=0, trainer={"max_epochs": 60})
    pipeline = make_pipeline(scale, net).fit(X, y)
    added = attributions.attributions(pipeline, scale.transform(X[:20]), y[:20])
    assert added.shape == (20, 1, 4, 4)
    assert np.unravel_index(np.abs(added).mean(axis=(0, 1)).argmax(), (4, 4)) == (1, 2)
    with torch.inference_mode():
        image, empty = (net.net_(torch.from_numpy(a)) for a in (scale.transform(X[:20]), np.zeros_like(added)))
    difference = (image - empty).numpy()[np.arange(20), y[:20]]
    np.testing.assert_allclose(added.sum(axis=(1, 2, 3)), difference, atol=0.2 * np.abs(difference).max())


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_what_steps_add_is_in_the_unit_of_the_target_and_padding_adds_nothing(cell: str) -> None:
    from deepmine.models.lightning import LightningRegressor

    X = sequences(60).X
    y = 50 + 10 * X[:, 0, 0].astype(float)
    net = LightningRegressor("deepmine.models.networks.RNN", {"cell": cell, "hidden_size": 8}, lr=0.05, random_state=0)
    pipeline = make_pipeline(SequenceScaler(), net.set_params(trainer={"max_epochs": 30})).fit(X, y)
    added = attributions.attributions(pipeline, pipeline[:-1].transform(X), pipeline.predict(X))
    np.testing.assert_array_equal(np.isnan(added), np.isnan(X))
    assert np.nanmean(np.abs(added), axis=0).argmax() == 0  # feature 0 at step 0
    scaler = pipeline[0].scaler_
    empty = np.where(np.isnan(X), np.nan, scaler.mean_).astype(np.float32)
    difference = pipeline.predict(X) - pipeline.predict(empty)
    np.testing.assert_allclose(np.nansum(added, axis=(1, 2)), difference, atol=0.05 * np.abs(difference).max())


def test_what_letters_add_is_drawn_on_them() -> None:
    from deepmine.models.lightning import LightningClassifier

    part = texts()
    net = LightningClassifier("deepmine.models.networks.RNN", {"hidden_size": 8}, lr=0.03, random_state=0)
    pipeline = make_pipeline(TextEncoder(), net.set_params(trainer={"max_epochs": 20})).fit(part.X, part.y)
    data = Dataset({"kind": "text"}, *(Part(part.X, part.y, np.char.add(n, part.rows)) for n in "abc"))
    predicted = pipeline.predict(part.X)
    assert np.mean(predicted == part.y) > 0.95
    added = attributions.attributions(pipeline, pipeline[:-1].transform(part.X), predicted).sum(axis=2)
    lengths = np.char.str_len(part.X)
    last = added[np.arange(len(added)), lengths - 1]
    assert np.mean(last == np.nanmax(added, axis=1)) > 0.9
    figure = attributions.figure(pipeline, data, predicted)
    says, text = figure.axes[0].get_title(loc="center").split("\n")
    assert text in part.X and says in ("a as a", "e as e") and len(figure.axes) == 8


def test_a_tree_on_sequences_names_steps_and_features() -> None:
    X = 100 + 10 * sequences().X[:, :3]
    tree = make_pipeline(SequenceSummary(["values"]), DecisionTreeRegressor(max_depth=1))
    tree.fit(X, np.where(X[:, 1, 1] > 105, 7.0, 3.0))
    names = feature_names(tree, X, ["a", "b"])
    rules = trees.rules(tree[-1], names)
    assert rules["rule"].str.fullmatch(r"step1_b (<=|>) 105(\.\d)?").all() and set(rules["prediction"]) == {3.0, 7.0}
    assert "share" not in rules and rules["rows"].sum() == len(X)
    deep = tree.set_params(decisiontreeregressor__max_depth=5).fit(X, X[:, 1, 1])
    assert "(...)" in {text.get_text().strip() for text in trees.figure(deep[-1], names).axes[0].texts}


def test_rules_hold_for_the_rows_that_they_count() -> None:
    """A later threshold on the same side of a column replaces a wider one."""
    X = pd.DataFrame({"x": np.arange(100.0), "z": np.random.default_rng(0).normal(size=100)})
    tree = DecisionTreeClassifier(max_depth=5, random_state=0).fit(X, (X["x"] // 20 % 2 + (X["z"] > 0)).astype(int))
    rules = trees.rules(tree, list(X))
    assert [len(X.query(rule)) for rule in rules["rule"]] == rules["rows"].tolist()
    assert rules["share"].between(0.3, 1).all()


def test_the_column_that_makes_a_row_strange_is_named_behind_any_step() -> None:
    X = table().X.assign(colour="red")
    rows = X.iloc[[0, 1]].copy()
    rows["noise"], rows["tells"] = [9.0, 0], [0.0, 9]
    numbers = FunctionTransformer(lambda X: X[["noise", "tells"]] @ np.array([[1.0, 1], [1, -1]]))  # a code that mixes
    pipeline = make_pipeline(numbers, IsolationForest(random_state=0)).fit(X)
    first, second = anomalies.reasons(pipeline, X, rows)
    assert first.startswith("noise 9.0 (typical ") and second.startswith("tells 9.0 (typical ")
    assert "flat" not in first + second and "colour" not in first + second


def test_a_regression_on_a_table_has_partial_dependence_too() -> None:
    part = table()
    line = make_pipeline(StandardScaler(), LinearRegression()).fit(part.X, 3 * part.X["tells"])
    parts = [Part(part.X, 3 * part.X["tells"].to_numpy(), np.char.add(name, part.rows)) for name in "abc"]
    data = Dataset({**TABLE, "target": "y"}, *parts)
    parts = {name: regression.predict(line, rows) for name, rows in data.parts()}
    found = regression.report(line, data, parts, regression.TASK.scores(data, parts, 0))
    assert {name for name, _ in found.figures} == {"predictions", "importance", "partial_dependence"}
    assert list(found.tables["largest_errors"]) == [
        *("row", "noise", "tells", "flat", "actual", "predicted", "residual")
    ]


BOTH = {"confusion_matrix", "roc_pr_calibration", "importance"}
FITS = {"predictions", "forecast", "importance"}


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("ferry_tree", BOTH | {"tree", "partial_dependence"}),
        ("digits_mlp", BOTH | {"confident_mistakes", "attributions"}),
        ("digits_tree", BOTH | {"tree", "confident_mistakes"}),
        ("voices_gru", BOTH | {"attributions"}),
        pytest.param("voices_boosting", BOTH, marks=pytest.mark.slow),
        pytest.param("first_names_gru", BOTH | {"attributions"}, marks=pytest.mark.slow),
        ("first_names_logistic", BOTH),
        ("cycles_gru", FITS | {"attributions"}),
        ("cycles_tree", FITS | {"tree"}),
    ],
)
def test_a_supervised_model_shows_what_suits_it(name: str, pictures: set) -> None:
    cfg = compose.compose(f"experiment={name}", "trainer.max_epochs=1")
    settings, data = compose.decisive(cfg), cut(prepared(cfg.choices.data))
    pipeline = pipelines.build(settings["steps"], settings["model"])
    pipelines.fit(pipeline, cfg.task, data.train, data.val, lambda *_: None)
    task = tasks.find(cfg.task)
    parts = {part: task.predict(pipeline, rows) for part, rows in data.parts()}
    found = task.report(pipeline, data, parts, task.scores(data, parts, 0))
    assert {name for name, _ in found.figures} == pictures
    assert 1 <= len(found.findings) <= 3
    assert found.tables["importance"]["importance"].is_monotonic_decreasing
    assert ("rules" in found.tables) == ("tree" in pictures)
    assert {"confident_mistakes", "largest_errors"} & set(found.tables)
