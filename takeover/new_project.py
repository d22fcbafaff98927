"""Begin a project: your name, the starter sets that you want to keep (`a,b`), and no runs.

make new-project name=... keep=titanic              says what it would remove
make new-project name=... keep=titanic yes=true     does it
"""

from deepmine.config.errors import UserError, nearest
from takeover import remove, rename

RUNS = ("out", "dvc.lock", "mlflow.db*", "mlruns", "multirun")


def main(name: str = "", keep: str = "", yes: str = "") -> None:
    """Show what goes; with `yes=true` remove it, with all runs, and rename."""
    rename.require_name(name)
    kept, sets = set(keep.split(",")), remove.files("data")
    if wrong := kept - sets:
        raise UserError(f"`keep` is {keep!r}. {nearest(min(wrong), sets)}")
    if remove.remove({("data", gone) for gone in sets - kept}, yes == "true", RUNS):
        rename.rename(name)
        print("Next: make check test repro, commit, .venv/bin/dvc push; in a clone git remote rename origin template.")
