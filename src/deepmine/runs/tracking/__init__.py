"""From a record to MLflow, and nowhere else is mlflow imported: publish, the store, parent runs of sweeps, views."""
