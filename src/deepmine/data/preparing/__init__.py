"""`Raw` to `Dataset`: contract, cleaning, privacy, split, audit, report."""
