"""What a model leans on: on made-up data of which one knows it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from conftest import cut, prepared
from deepmine import config, interpret, model, tasks
from deepmine.dataset import Part


def table(n: int = 200) -> Part:
    """The class is the sign of `tells`; `noise` says nothing, `flat` neither."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"noise": rng.normal(size=n), "tells": rng.normal(size=n), "flat": np.zeros(n)})
    return Part(X, np.where(X["tells"] > 0, "yes", "no"), np.arange(n).astype(str))


def classifier(part: Part):
    return make_pipeline(FunctionTransformer(), LogisticRegression()).fit(part.X, part.y)


def test_the_column_that_tells_is_found() -> None:
    part = table()
    found = interpret.importance(classifier(part), part, "accuracy")
    assert list(found) == ["column", "importance", "deviation"]
    assert found["column"][0] == "tells" and 0.4 < found["importance"][0] < 0.6
    assert found.set_index("column")["importance"][["noise", "flat"]].abs().max() < 0.05
    assert interpret.in_words(found, "accuracy").startswith("It leans most on tells (0.")
    assert interpret.most_important_numbers(found, part, 1) == ["tells"]
    pd.testing.assert_frame_equal(found, interpret.importance(classifier(part), part, "accuracy"))


def test_a_model_that_leans_on_nothing_says_so() -> None:
    part = table()
    found = interpret.importance(classifier(Part(part.X * 0, part.y, part.rows)), part, "accuracy")
    assert "no more than chance" in interpret.in_words(found, "accuracy")
    assert interpret.most_important_numbers(found, part) == []


def test_the_rows_looked_at_are_limited() -> None:
    X, y = interpret._some(table(interpret.ROWS * 3))
    assert len(X) == len(y) == interpret.ROWS and X.index[[0, -1]].tolist() == [0, interpret.ROWS * 3 - 1]


def test_partial_dependence_of_a_line_is_its_slope() -> None:
    part = table()
    line = make_pipeline(FunctionTransformer(), LinearRegression()).fit(part.X, 3 * part.X["tells"] + 1)
    grid, [mean] = interpret._dependence(line, part.X, "tells")
    np.testing.assert_allclose(mean, 3 * grid + 1, atol=1e-6)
    [axes] = interpret.dependence_figure(line, part, ["tells"]).axes
    assert axes.get_ylabel() == "mean prediction"


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
    added = interpret.attributions(pipeline, X[:20], y[:20])
    assert added.shape == (20, 1, 4, 4)
    assert np.unravel_index(np.abs(added).mean(axis=(0, 1)).argmax(), (4, 4)) == (1, 2)
    with torch.inference_mode():
        image, empty = (net.net_(torch.from_numpy(a)) for a in (scale.transform(X[:20]), np.zeros_like(added)))
    difference = (image - empty).numpy()[np.arange(20), y[:20]]
    np.testing.assert_allclose(added.sum(axis=(1, 2, 3)), difference, atol=0.2 * np.abs(difference).max())


def test_a_tree_on_images_has_no_gradients() -> None:
    X = np.zeros((4, 1, 2, 2), np.uint8)
    flat = make_pipeline(FunctionTransformer(lambda X: X.reshape(len(X), -1)), LogisticRegression())
    assert interpret.attributions(flat.fit(X, [0, 1, 0, 1]), X, np.zeros(4)) is None


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("titanic_tree", {"tree", "confusion_matrix", "roc_pr_calibration", "importance", "partial_dependence"}),
        ("mnist_mlp", {"confusion_matrix", "roc_pr_calibration", "confident_mistakes", "attributions"}),
        ("mnist_tree", {"tree", "confusion_matrix", "roc_pr_calibration", "confident_mistakes"}),
    ],
)
def test_a_classifier_shows_what_suits_its_data(name: str, pictures: set) -> None:
    cfg = config.compose(f"experiment={name}", "trainer.max_epochs=1")
    settings, data = config.decisive(cfg), cut(prepared(cfg.choices.data))
    pipeline = model.build(settings["steps"], settings["model"])
    model.fit(pipeline, cfg.task, data.train, data.val, lambda *_: None)
    task = tasks.find(cfg.task)
    outcomes = {part: task.predict(pipeline, rows) for part, rows in data.parts()}
    assert {name for name, _ in task.figures(pipeline, data, outcomes)} == pictures
    assert ("importance" in task.knowledge(pipeline, data, outcomes).tables) == ("importance" in pictures)
