"""What a model depends on: on made-up data of which one knows it."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from deepmine.data.dataset import Dataset, Part
from deepmine.models.transformers import Flatten, SequenceScaler, SequenceSummary, TextEncoder
from deepmine.tasks import Report, anomalies, classification, explain, regression
from deepmine.tasks.explain import feature_names

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


SECOND = FunctionTransformer(lambda X: X[:, 1])  # its two features at step 1, which every sequence has


def test_the_column_that_tells_is_found() -> None:
    part = table()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(part.X, part.y)
    found = explain.importance(pipeline, part, "accuracy")
    assert list(found) == ["column", "importance", "deviation"] and found["column"][0] == "tells"
    assert 0.3 < found["importance"][0] < 0.7 and found["importance"][1:].max() < 0.2
    says = r"Most important, in this order: tells\..*Shuffling the first lowers test accuracy by 0\.\d+\."
    assert re.match(says, explain.in_words(found, "accuracy"))
    pd.testing.assert_frame_equal(found, explain.importance(pipeline, part, "accuracy"))
    assert explain.importance_figure(found, "accuracy").axes[0].get_yticklabels()[0].get_text() == "tells"


def test_a_model_that_depends_on_nothing_says_so() -> None:
    part = table()
    found = explain.importance(classifier(part_of(part.X * 0, part.y)), part, "accuracy")
    assert "no more than chance" in explain.in_words(found, "accuracy")


def test_the_rows_looked_at_are_limited() -> None:
    part, seen = table(3000), []
    model = make_pipeline(FunctionTransformer(lambda X: seen.append(len(X)) or X), LogisticRegression())
    explain.importance(model.fit(part.X, part.y), part, "accuracy")
    assert max(seen[1:]) == explain.MOST


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
    added = explain.attributions(pipeline, scale.transform(X[:20]), y[:20])
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
    added = explain.attributions(pipeline, pipeline[:-1].transform(X), pipeline.predict(X))
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
    added = explain.attributions(pipeline, pipeline[:-1].transform(part.X), predicted).sum(axis=2)
    lengths = np.char.str_len(part.X)
    last = added[np.arange(len(added)), lengths - 1]
    assert np.mean(last == np.nanmax(added, axis=1)) > 0.9
    figure = explain.attribution_figure(pipeline, data, predicted)
    says, text = figure.axes[0].get_title(loc="center").split("\n")
    assert text in part.X and says in ("a as a", "e as e") and len(figure.axes) == 8


def test_a_tree_on_sequences_names_steps_and_features() -> None:
    X = 100 + 10 * sequences().X[:, :3]
    tree = make_pipeline(SequenceSummary(["values"]), DecisionTreeRegressor(max_depth=1))
    tree.fit(X, np.where(X[:, 1, 1] > 105, 7.0, 3.0))
    names = feature_names(tree, X, ["a", "b"])
    assert drawn(tree, names)[0].startswith("step1_b <= 104.9")
    deep = tree.set_params(decisiontreeregressor__max_depth=5).fit(X, X[:, 1, 1])
    assert "(...)" in drawn(deep, names)


def drawn(tree: Pipeline, names: list[str]) -> list[str]:
    [axes] = explain.tree(tree[-1], names).axes
    assert axes.get_title(loc="center").startswith("Decision tree with ")
    return [text.get_text().strip() for text in axes.texts]


def test_the_column_that_makes_a_row_strange_is_named_behind_any_step() -> None:
    X = table().X.assign(colour="red")
    rows = X.iloc[[0, 1]].copy()
    rows["noise"], rows["tells"] = [9.0, 0], [0.0, 9]
    numbers = FunctionTransformer(lambda X: X[["noise", "tells"]] @ np.array([[1.0, 1], [1, -1]]))  # a code that mixes
    pipeline = make_pipeline(numbers, IsolationForest(random_state=0)).fit(X)
    first, second = anomalies.reasons(pipeline, X, rows)
    assert first.startswith("noise 9.0 (typical ") and second.startswith("tells 9.0 (typical ")
    assert "flat" not in first + second and "colour" not in first + second


def test_a_regression_on_a_table_has_importance_too() -> None:
    part = table()
    line = make_pipeline(StandardScaler(), LinearRegression())
    found = reported(regression, part_of(part.X, 3 * part.X["tells"].to_numpy()), {**TABLE, "target": "y"}, line)
    assert {name for name, _ in found.figures} == {"predictions", "importance"}
    names = [*TABLE["columns"], "actual", "predicted", "residual"]
    assert list(found.tables["largest_errors"]) == ["row", *names]


def net(kind: str = "Classifier", network: str = "RNN", **sizes: int) -> Any:
    from deepmine.models import lightning

    return getattr(lightning, f"Lightning{kind}")(
        f"deepmine.models.networks.{network}", sizes, lr=0.03, random_state=0, trainer={"max_epochs": 1}
    )


KINDS = {
    table: TABLE,
    sequences: {"kind": "sequence", "columns": ["a", "b"]},
    texts: {"kind": "text"},
    images: {"kind": "image", "columns": None},
}
STUMP = DecisionTreeClassifier(max_depth=1, max_features=1, random_state=0)


@pytest.mark.parametrize(
    ("make", "step", "model", "pictures"),
    [
        (table, SimpleImputer(), STUMP, {"importance", "tree"}),
        (images, Flatten(), STUMP, {"tree", "confident_mistakes"}),
        (
            images,
            FunctionTransformer(np.float32),
            {"network": "MLP"},
            {"confident_mistakes", "attributions"},
        ),
        (sequences, SECOND, LogisticRegression(), set()),
        (sequences, SequenceScaler(), {"hidden_size": 4}, {"attributions"}),
        (texts, CountVectorizer(analyzer="char"), LogisticRegression(), set()),
        (texts, TextEncoder(), {"hidden_size": 4}, {"attributions"}),
    ],
)
def test_a_classifier_shows_what_suits_it(make: Any, step: Any, model: Any, pictures: set) -> None:
    pipeline = make_pipeline(step, net(**model) if isinstance(model, dict) else model)
    found = reported(classification, make(), KINDS[make], pipeline)
    assert {name for name, _ in found.figures} == {"confusion_matrix", "roc_pr_calibration"} | pictures
    assert set(found.tables) == {"classes", "confident_mistakes"} | ({"importance"} & pictures)
    assert 1 <= len(found.findings) <= 3


@pytest.mark.parametrize(
    ("step", "model", "more"),
    [
        (SECOND, LinearRegression(), set()),
        (SequenceSummary(["first"]), DecisionTreeRegressor(max_depth=2), {"tree"}),
        (SequenceScaler(), {"kind": "Regressor", "hidden_size": 4}, {"attributions"}),
    ],
    ids=["linear", "tree", "network"],
)
def test_a_model_of_a_series_shows_what_suits_it(step: Any, model: Any, more: set) -> None:
    part, series = sequences(), {**KINDS[sequences], "target": "next", "persistence": 1}
    part = part_of(part.X[:, :3], part.X[:, 1, 1].astype(float))
    found = reported(regression, part, series, make_pipeline(step, net(**model) if isinstance(model, dict) else model))
    assert {name for name, _ in found.figures} == {"predictions", "forecast"} | more


def reported(task: Any, part: Part, info: dict, pipeline: Pipeline) -> Report:
    """What a task reports about a model that is fitted to, and measured on, the same rows."""
    data = Dataset(info, *(Part(part.X, part.y, np.char.add(name, part.rows)) for name in "abc"))
    pipeline.fit(part.X, part.y)
    parts = {name: task.predict(pipeline, rows) for name, rows in data.parts()}
    return task.report(pipeline, data, parts, task.TASK.scores(data, parts, 0))
