"""Take a data set out, with its experiments, contract and runs; or an experiment, or a model. Several names: `a,b`.

make remove data=titanic              says what it would remove
make remove data=titanic yes=true     removes it
"""

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import yaml

from deepmine import ROOT
from deepmine.commands import new_data
from deepmine.commands.rename import git, require_clean
from deepmine.config.errors import UserError, nearest

CONFIG = Path("conf/config.yaml")
PIPELINE = Path("conf/pipeline.yaml")
Gone = dict[str, set[str]]  # names by group: data, experiment, model
MENTIONS = (  # sections, rows of tables, and commands
    r"^(?:##+ `?(?:{0})\b.*\n(?:(?!##).*\n)*|\| [\[`]*(?:{0})\b.*\n|(?:#\s+)?make .*=(?:{0})(?![\w-])(?:.*\\\n)*.*\n)"
)
NEXT = """Nothing is committed: `git status` shows all of it. Next:
  make configure check test
  git add -A && git commit -m "Remove {names}"
  .venv/bin/dvc push data.dvc"""


def main(data: str = "", experiment: str = "", model: str = "", yes: str = "") -> None:
    """Show what goes; with `yes=true` remove it."""
    gone = with_experiments({"data": _names(data), "experiment": _names(experiment), "model": _names(model)})
    paths = places(gone)
    print("This goes, and what conf/, dvc.lock and the documents say about it:", *paths, sep="\n  ")
    if yes != "true":
        return print("Nothing is removed yet. To remove it, type this command again with yes=true.")
    require_clean()
    remove(gone, paths)
    print(NEXT.format(names=", ".join(sorted(set().union(*gone.values())))))


def with_experiments(gone: Gone) -> Gone:
    """Add the experiments on the data sets that go; a `UserError` if there is no such name, or something needs it."""
    for group, names in gone.items():
        if wrong := names - (valid := files(group)):
            raise UserError(f"There is no conf/{group}/{min(wrong)}.yaml. {nearest(min(wrong), valid)}")
    if not any(gone.values()):
        raise UserError("Remove what? make remove data=titanic, or experiment=..., or model=...")
    if files("data") == gone["data"]:
        raise UserError("No data set would be left. First put in your own: make new-data path=/somewhere/churn.csv")
    on_data = {name for name in files("experiment") if chosen(name)["data"] in gone["data"]}
    gone = {**gone, "experiment": gone["experiment"] | on_data}
    if users := [n for n in sorted(files("experiment") - gone["experiment"]) if chosen(n)["model"] in gone["model"]]:
        raise UserError(f"The model is used by {', '.join(users)}. First: make remove experiment={','.join(users)}")
    return gone


def files(group: str) -> set[str]:
    """The names in a group of conf/."""
    return {path.stem for path in Path("conf", group).glob("*.yaml")}


def chosen(experiment: str) -> dict[str, str]:
    """What an experiment's `defaults`, or else those of conf/config.yaml, choose in each group."""
    return _defaults(CONFIG) | _defaults(Path(f"conf/experiment/{experiment}.yaml"))


def _defaults(path: Path) -> dict[str, str]:
    choices = [choice.items() for choice in _read(path).get("defaults", []) if isinstance(choice, dict)]
    return {key.removeprefix("override /").partition("@")[0]: name for items in choices for key, name in items}


def places(gone: Gone) -> list[Path]:
    """Files and folders that go: settings, raw and prepared data, runs; and the tests of the template as it was."""
    data, out = (Path(_read(CONFIG)["paths"][key]) for key in ("data", "out"))
    raw = {name: data / _read(Path(f"conf/data/{name}.yaml"))["folder"] for name in sorted(files("data"))}
    kept = {folder for name, folder in raw.items() if name not in gone["data"]}
    found = [Path(f"conf/{group}/{name}.yaml") for group, names in gone.items() for name in sorted(names)]
    for name in sorted(gone["data"]):
        found += [Path(f"conf/data/contract/{name}.yaml"), *out.glob(f"datasets/{name}"), *out.glob(f"*/{name}-*")]
        inside = raw[name].resolve().parent.is_relative_to(data.resolve())
        found += [raw[name]] if inside and not any(raw[name] in (other, *other.parents) for other in kept) else []
    found += [out / "runs" / name for name in sorted(gone["experiment"])]
    return [path for path in [*found, Path("tests/test_template.py")] if path.exists()]


def remove(gone: Gone, paths: Iterable[Path]) -> None:
    """Remove the paths, and what other files say about the names; note which data are left."""
    data = _read(CONFIG)["paths"]["data"]
    if subprocess.run([ROOT / ".venv/bin/dvc", "status", "--quiet", f"{data}.dvc"]).returncode:
        raise UserError(f"{data}/ is not as {data}.dvc says, so it could not be brought back. First: dvc add {data}")
    for path in paths:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    names = "|".join(sorted(set().union(*gone.values())))
    for path in (PIPELINE, Path("dvc.lock")):
        _edit(path, rf"^  (?:- |\w+@)?(?:{names})(?:\n|:\n(?:    .*\n)+)", "")
    _edit(PIPELINE, r"^(datasets):\n(?!  )", r"\1: []\n")
    _edit(PIPELINE, r"^(experiments):\n(?!  )", r"\1: {}\n")
    for path in [*Path().glob("*.md"), *Path("docs").rglob("*.md"), *Path("conf").rglob("*.yaml")]:
        _edit(path, MENTIONS.format(names), "")
    _choose_defaults(gone)
    if gone["data"]:
        new_data.version(data)
    if named := git("grep", "-lwE", names, "--", "*.md", "*.py", "conf", "Makefile", codes=(0, 1)).split():
        print("Still named, and yours to read:", *named, sep="\n  ")


def _choose_defaults(gone: Gone) -> None:
    """Where conf/config.yaml chose what is gone, let it choose the first experiment that is left, or data alone."""
    if any(_defaults(CONFIG).get(group) in names for group, names in gone.items()):
        first = min(files("experiment"), default=None)
        choices = chosen(first) if first else {"data": min(files("data"))}
        for group, name in {**choices, "experiment@_global_": first or "null"}.items():
            _edit(CONFIG, rf"^(  - {group}: )\S+", rf"\g<1>{name}")


def _names(given: str) -> set[str]:
    return set(filter(None, given.split(",")))


def _read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _edit(path: Path, pattern: str, new: str) -> None:
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(pattern, new, text, flags=re.MULTILINE), encoding="utf-8")
