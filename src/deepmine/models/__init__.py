"""Everything that learns: plug-ins, one estimator each."""
