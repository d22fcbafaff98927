"""Take out a data set, an experiment or a model, with the experiments and runs of them. Several names: `a,b`.

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
from deepmine.config.errors import UserError, nearest
from takeover.rename import git, require_clean, write_reference

CONFIG, PIPELINE = Path("conf/config.yaml"), Path("conf/pipeline.yaml")
PLACES = {  # of a name, by its group
    "data": ("conf/data/{0}.yaml", "conf/data/contract/{0}.yaml", "out/datasets/{0}", "out/*/{0}-*"),
    "experiment": ("conf/experiment/{0}.yaml", "out/runs/{0}", "out/scores/{0}.json"),
    "model": ("conf/model/{0}.yaml",),
}
MENTIONS = r"^(?:##+ `?{0}\b.*\n(?:(?!##).*\n)*|\| [\[`]*{0}\b.*\n|(?:#\s+)?make .*={0}(?![\w-])(?:.*\\\n)*.*\n)"


def main(data: str = "", experiment: str = "", model: str = "", yes: str = "") -> None:
    """Show what goes; with `yes=true` remove it."""
    given = {"data": data, "experiment": experiment, "model": model}
    if remove({(group, n) for group, names in given.items() for n in names.split(",") if n}, yes == "true"):
        write_reference()
        print("Nothing is committed. Next: make configure check test, .venv/bin/dvc push data.dvc, commit.")


def remove(gone: set[tuple[str, str]], agreed: bool, more: tuple[str, ...] = ()) -> bool:
    """Show what goes with these names of groups, and `more` (globs); if it is agreed, remove it, and what names it."""
    there = {(group, name) for group in PLACES for name in files(group)}
    for group, name in sorted(gone - there):
        raise UserError(f"There is no conf/{group}/{name}.yaml. {nearest(name, files(group))}")
    if not {*gone, *more} or {"data", "model"} - {group for group, _ in there - gone}:
        raise UserError("Nothing is named, or all: one must be left. Your own data: make new-data path=...")
    gone |= {("experiment", name) for name in files("experiment") if gone & chosen(name).items()}
    globs = [place.format(name) for group, name in sorted(gone) for place in PLACES[group]]
    paths = [path for pattern in (*globs, "tests/test_template.py", *more) for path in sorted(Path().glob(pattern))]
    paths += sorted(raw(gone) - raw(there - gone))
    print("This goes, and what conf/, dvc.lock and the documents say about it:", *paths, sep="\n  ")
    if not agreed:
        print("Nothing is removed yet. To remove it, type this command again with yes=true.")
        return False
    require_clean()
    if subprocess.run([ROOT / ".venv/bin/dvc", "status", "--quiet", "data.dvc"]).returncode:
        raise UserError("data/ is not as data.dvc says, so it could not be brought back. First: .venv/bin/dvc add data")
    for path in filter(Path.exists, paths):  # one may lie in another
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    _choose_defaults(gone)
    _forget("|".join(sorted({name for _, name in gone})))
    new_data.version("data")
    return True


def files(group: str) -> set[str]:
    """The names in a group of conf/."""
    return {path.stem for path in Path("conf", group).glob("*.yaml")}


def raw(names: set[tuple[str, str]]) -> set[Path]:
    """The folders of data/ that hold the raw files of the data sets among these."""
    settings = [yaml.safe_load(Path(f"conf/data/{name}.yaml").read_bytes()) for group, name in names if group == "data"]
    folders = {Path("data", setting["folder"]) for setting in settings}
    return {folder for folder in folders if folder.parent == Path("data") and folder.exists()}


def chosen(experiment: str | None) -> dict[str, str]:
    """What an experiment's `defaults`, or else those of conf/config.yaml, choose in each group."""
    paths = [CONFIG, *Path("conf/experiment").glob(f"{experiment}.yaml")]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    return dict(re.findall(r"^ *- (?:override /)?(\w+)[@\w]*: (\w+)", text, flags=re.MULTILINE))


def _choose_defaults(gone: set[tuple[str, str]]) -> None:
    """Where conf/config.yaml chooses what is gone: no experiment, whose settings other models lack; but its groups."""
    if gone & (now := chosen(None)).items():
        left = {group: min(files(group) & {now[group]} or files(group)) for group in ("data", "model")}
        choices = {**left, **(chosen(min(files("experiment"))) if files("experiment") else {})}
        for group, name in {**choices, "experiment@_global_": "null"}.items():
            _edit(CONFIG, rf"^(  - {group}: )\S+", rf"\g<1>{name}")


def _forget(names: str) -> None:
    """Take these names out of the lists; sections, rows of tables and commands about them out of documents and heads."""
    for path in (PIPELINE, Path("dvc.lock")):
        _edit(path, rf"^(?:  )?(?:- |\w+@)?(?:{names})(?:\n|:\n(?:    .*\n)+)", "")
    _edit(PIPELINE, r"^(datasets):\n(?! *-)", r"\1: []\n")
    _edit(PIPELINE, r"^(experiments):\n(?!  )", r"\1: {}\n")
    for path in [*Path().glob("*.md"), *Path("docs").rglob("*.md"), *Path("conf").rglob("*.yaml")]:
        _edit(path, MENTIONS.format(f"(?:{names})"), "")
    if named := git("grep", "-lwE", names, "--", "*.md", "conf", codes=(0, 1)).split():
        print("Still named in", *named, "for you to read.")


def _edit(path: Path, pattern: str, new: str) -> None:
    if path.is_file():
        path.write_text(re.sub(pattern, new, path.read_text(encoding="utf-8"), flags=re.M), encoding="utf-8")
