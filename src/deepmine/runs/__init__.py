"""What does a run leave? The record, its provenance, folds and sweeps, and publishing to MLflow."""
