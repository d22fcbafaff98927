"""What each group of conf/ may hold, as pydantic models. Light: nothing here imports torch, scikit-learn or pandas."""
