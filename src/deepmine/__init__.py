"""Deepmine: neural networks and data mining on one path, from raw data to a tracked, reproducible run."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]  # the checkout: conf/, data/ and out/ lie here

# MLflow reads these when it is imported
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default an absent server costs 4 minutes a call
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


def load(run: str | Path) -> tuple[Any, Any, Any]:
    """A run's record, its fitted pipeline and its data set: `load("out/runs/mnist_mlp")`, from any folder."""
    record = import_module("deepmine.runs.record").find(ROOT / run)  # by name: `import deepmine` itself stays light
    return record, *record.opened()
