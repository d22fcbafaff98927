"""From a record to MLflow, and nowhere else is mlflow imported: publish, and the store."""
