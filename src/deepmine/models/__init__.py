"""What learns? Networks, estimators, transformers, and the pipeline that holds them."""
