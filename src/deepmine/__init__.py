"""Deepmine: neural networks and data mining on one path, from raw data to a tracked, reproducible run."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the checkout: conf/, data/ and out/ lie here

# MLflow reads these when it is imported
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # by default an absent server costs 4 minutes a call
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
