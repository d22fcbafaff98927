"""Deepmine: neural networks and data mining on one path, from raw data to a tracked, reproducible run."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the checkout: conf/, data/ and out/ lie here
