"""What can I type? One file for each verb; `cli.py` finds them by their names."""
