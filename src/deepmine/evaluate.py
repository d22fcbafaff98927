"""Predict with a trained model, score it on every part beside a baseline, and draw what a person should see.

make evaluate experiment=titanic_tree
"""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deepmine import config, dataset, publish, record
from deepmine.dataset import Dataset, Part
from deepmine.errors import UserError
from deepmine.record import Record


def main(cfg: DictConfig) -> None:
    """Write metrics.json and evaluation/ into the record."""
    run = record.find(Path(cfg.folders.run))
    with publish.afterwards(run, cfg):
        evaluate(run, cfg.trusted)
        show(run)


def evaluate(run: Record, trusted: Sequence[str]) -> None:
    """Score the model of a record on the data that it was trained on.

    Raises:
        UserError: the prepared data are not those that the model was trained on.
    """
    from deepmine import figures, metrics, model

    folder = run.folder / "evaluation"
    shutil.rmtree(folder, ignore_errors=True)
    with record.status(folder / "status.json", "evaluate"):
        settings, task = run.config, run.config["task"]
        data = _same_data(run)
        pipeline = model.load(run.folder / "model.skops", trusted)
        outcomes = {name: predict(pipeline, task, part) for name, part in data.parts()}
        scores = {f"{n}/{k}": v for n, arrays in outcomes.items() for k, v in metrics.score(task, **arrays).items()}
        guesses = baseline(task, data, outcomes, settings["seed"])
        scores |= {f"baseline/test/{k}": v for k, v in metrics.score(task, **guesses).items()}
        _write_predictions(folder / "predictions.csv", data.test.rows, outcomes["test"])
        figures.draw(folder, task, outcomes["test"], run.curves)
        record.write_json(run.folder / "metrics.json", scores)


def predict(pipeline: Any, task: str, part: Part) -> dict[str, Any]:
    """What `metrics.score` takes: `y`, `predicted`, and `probabilities` with `classes`, or `X` as the model saw it."""
    if task == "clustering":
        X = pipeline[:-1].transform(part.X)
        return {"X": X, "y": part.y, "predicted": pipeline[-1].predict(X)}
    arrays = {"y": part.y, "predicted": pipeline.predict(part.X)}
    if hasattr(pipeline, "predict_proba"):
        arrays |= {"probabilities": pipeline.predict_proba(part.X), "classes": pipeline.classes_}
    return arrays


def baseline(task: str, data: Dataset, outcomes: dict[str, Any], seed: int) -> dict[str, Any]:
    """The test rows as one predicts them who learned nothing.

    Classification: always the most frequent class of the training rows, with their shares as probabilities
    (scikit-learn's `DummyClassifier(strategy="prior")`). Clustering: as many clusters, at random.
    """
    test = outcomes["test"]
    if task == "clustering":
        clusters = np.unique(outcomes["train"]["predicted"])
        return {**test, "predicted": np.random.default_rng(seed).choice(clusters, len(data.test))}
    from sklearn.dummy import DummyClassifier

    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(data.train), 1)), data.train.y)
    X = np.zeros((len(data.test), 1))
    return {
        "y": data.test.y,
        "predicted": dummy.predict(X),
        "probabilities": dummy.predict_proba(X),
        "classes": dummy.classes_,
    }


def show(run: Record) -> None:
    """Print the final scores: train, validation and test side by side, and the baseline's."""
    from deepmine.metrics import COLUMNS

    settings, scores = run.config, run.metrics
    table = Table(
        title=f"{settings['choices']['model']} on {settings['choices']['data']}",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("metric")
    parts = [*dataset.PARTS, "baseline/test"]
    for part in parts:
        table.add_column(part.replace("baseline/test", "baseline (test)"), justify="right")
    for key in COLUMNS[settings["task"]]:
        table.add_row(
            key.replace("_", " "),
            *(f"{scores[f'{p}/{key}']:.4f}" if f"{p}/{key}" in scores else "" for p in parts),
        )
    Console().print(table)


def _same_data(run: Record) -> Dataset:
    facts = run.passport["data"]
    data = dataset.load(Path(facts["dataset"]))
    if data.info["digest"] != facts["digest"]:
        raise UserError(
            f"{facts['dataset']} has changed since {run.folder} was trained on it: {data.info['digest']}, "
            f"then {facts['digest']}. Train again."
        )
    return data


def _write_predictions(path: Path, rows: np.ndarray, arrays: dict[str, Any]) -> None:
    """One line per test row: its id, what it is, what was predicted, and the probability of each class."""
    names = [f"p_{c}" for c in arrays.get("classes", [])]
    actual = arrays["y"] if arrays["y"] is not None else [""] * len(rows)
    probabilities = arrays.get("probabilities", np.empty((len(rows), 0)))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "actual", "predicted", *names])
        for row, y, guess, p in zip(rows, actual, arrays["predicted"], probabilities, strict=True):
            writer.writerow([row, y, guess, *(f"{value:.6g}" for value in p)])


if __name__ == "__main__":
    config.run(main)
