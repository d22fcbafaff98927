"""Take a data set out, with its experiments, contract and runs; or an experiment, or a model. Several names: `a,b`.

make remove data=titanic              says what it would remove
make remove data=titanic yes=true     removes it
"""

import re
import shutil
import subprocess
from pathlib import Path

import yaml

from deepmine import ROOT
from deepmine.commands import new_data
from deepmine.commands.rename import git, require_clean
from deepmine.config.errors import UserError, nearest

CONFIG, PIPELINE = Path("conf/config.yaml"), Path("conf/pipeline.yaml")
MENTIONS = (  # sections, rows of tables, and commands
    r"^(?:##+ `?(?:{0})\b.*\n(?:(?!##).*\n)*|\| [\[`]*(?:{0})\b.*\n|(?:#\s+)?make .*=(?:{0})(?![\w-])(?:.*\\\n)*.*\n)"
)


def main(data: str = "", experiment: str = "", model: str = "", yes: str = "") -> None:
    """Show what goes; with `yes=true` remove it."""
    given = {"data": data, "experiment": experiment, "model": model}
    if remove({group: set(filter(None, names.split(","))) for group, names in given.items()}, yes == "true"):
        print("Nothing is committed. Next: make configure check test, .venv/bin/dvc push data.dvc, commit.")


def remove(gone: dict[str, set[str]], agreed: bool, more: tuple[str, ...] = ()) -> bool:
    """Show what goes with these names by group, and `more` (globs); if it is agreed, remove it, and what names it."""
    gone["experiment"] |= {name for name in files("experiment") if chosen(name)["data"] in gone["data"]}
    _require_removable(gone)
    paths = [*_places(gone), *(path for pattern in more for path in sorted(Path().glob(pattern)))]
    print("This goes, and what conf/, dvc.lock and the documents say about it:", *paths, sep="\n  ")
    if not agreed:
        print("Nothing is removed yet. To remove it, type this command again with yes=true.")
        return False
    require_clean()
    if subprocess.run([ROOT / ".venv/bin/dvc", "status", "--quiet", "data.dvc"]).returncode:
        raise UserError("data/ is not as data.dvc says, so it could not be brought back. First: .venv/bin/dvc add data")
    for path in filter(Path.exists, paths):  # one may lie in another
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    _choose_defaults()
    _forget("|".join(sorted(set().union(*gone.values()))))
    new_data.version("data")
    return True


def files(group: str) -> set[str]:
    """The names in a group of conf/."""
    return {path.stem for path in Path("conf", group).glob("*.yaml")}


def chosen(experiment: str | None) -> dict[str, str]:
    """What an experiment's `defaults`, or else those of conf/config.yaml, choose in each group."""
    paths = [CONFIG, *([Path(f"conf/experiment/{experiment}.yaml")] if experiment else [])]
    choices = [item for path in paths for item in _read(path).get("defaults", []) if isinstance(item, dict)]
    return {key.removeprefix("override /").partition("@")[0]: name for item in choices for key, name in item.items()}


def _require_removable(gone: dict[str, set[str]]) -> None:
    for group, names in gone.items():
        if wrong := names - files(group):
            raise UserError(f"There is no conf/{group}/{min(wrong)}.yaml. {nearest(min(wrong), files(group))}")
    if not any(gone.values()) or gone["data"] == files("data"):
        raise UserError("Nothing is named, or all data sets: one must be left. Your own: make new-data path=...")
    users = [e for e in sorted(files("experiment") - gone["experiment"]) if chosen(e)["model"] in gone["model"]]
    if users:
        raise UserError(f"The model is used by {', '.join(users)}. First: make remove experiment={','.join(users)}")


def _places(gone: dict[str, set[str]]) -> list[Path]:
    """Settings, raw and prepared data, runs that exist; and the tests of the template as it was."""
    found = [Path(f"conf/{group}/{name}.yaml") for group, names in gone.items() for name in sorted(names)]
    raw = {name: Path("data", _read(Path(f"conf/data/{name}.yaml"))["folder"]) for name in sorted(files("data"))}
    kept = {folder for name, folder in raw.items() if name not in gone["data"]}
    for name in sorted(gone["data"]):
        found += [Path(f"conf/data/contract/{name}.yaml"), Path("out/datasets", name), *Path("out").glob(f"*/{name}-*")]
        found += [raw[name]] if raw[name].parent == Path("data") and raw[name] not in kept else []
    found += [Path("out/runs", name) for name in sorted(gone["experiment"])]
    return [path for path in [*found, Path("tests/test_template.py")] if path.exists()]


def _forget(names: str) -> None:
    """Take these names, a regular expression, out of the lists, and their mentions out of documents and comments."""
    for path in (PIPELINE, Path("dvc.lock")):
        _edit(path, rf"^  (?:- |\w+@)?(?:{names})(?:\n|:\n(?:    .*\n)+)", "")
    _edit(PIPELINE, r"^(datasets):\n(?!  )", r"\1: []\n")
    _edit(PIPELINE, r"^(experiments):\n(?!  )", r"\1: {}\n")
    for path in [*Path().glob("*.md"), *Path("docs").rglob("*.md"), *Path("conf").rglob("*.yaml")]:
        _edit(path, MENTIONS.format(names), "")
    if named := git("grep", "-lwE", names, "--", "*.md", "conf", codes=(0, 1)).split():
        print("Still named in", *named, "for you to read.")


def _choose_defaults() -> None:
    """Where conf/config.yaml chooses what is gone, let it choose the first experiment that is left, or data alone."""
    now, first = chosen(None), min(files("experiment"), default=None)
    if now["data"] not in files("data") or now["experiment"] not in {None, *files("experiment")}:
        choices = chosen(first) if first else {"data": min(files("data"))}
        for group, name in {**choices, "experiment@_global_": first or "null"}.items():
            _edit(CONFIG, rf"^(  - {group}: )\S+", rf"\g<1>{name}")


def _read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _edit(path: Path, pattern: str, new: str) -> None:
    if path.is_file():
        path.write_text(re.sub(pattern, new, path.read_text(encoding="utf-8"), flags=re.M), encoding="utf-8")
