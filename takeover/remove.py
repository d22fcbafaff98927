"""Take out a data set, an experiment or a model, with the experiments and runs of them. Several names: `a,b`.

make remove data=titanic              says what it would remove
make remove data=titanic yes=true     removes it
"""

import re
import shutil
import subprocess
from pathlib import Path

from hydra import initialize_config_dir
from hydra.compose import compose

from deepmine import ROOT
from deepmine.commands import new_data
from deepmine.config import exits
from deepmine.config.errors import UserError, nearest
from takeover.rename import git, require_clean, write_reference

CONFIG, PIPELINE = Path("conf/config.yaml"), Path("conf/pipeline.yaml")
STAMPED = "out/datasets/{0}-" + "[0-9a-f]" * 8, "out/adhoc/{0}-{1}-" + "-".join("[0-9a-f]" * n for n in (8, 6, 4))
PLACES = {  # of a name, by its group; {1} is any model
    "data": ("conf/data/{0}.yaml", "conf/data/contract/{0}.yaml", "out/datasets/{0}", *STAMPED),
    "experiment": ("conf/experiment/{0}.yaml", "out/runs/{0}", "out/scores/{0}.json"),
    "model": ("conf/model/{0}.yaml",),
}
LISTS = {"data": " *- |  prepare@", "experiment": "  |  train@|  evaluate@", "model": "(?!)"}  # before a name
COMMANDS = r"^(?:#\s+)?make .*\b{0}={1}(?![\w-])(?:.*\\\n)*.*\n"
SECTIONS = r"|^##+ `?{1}(?![\w-]).*\n(?:(?!##).*\n)*|^\| [\[`]*{1}(?![\w-]).*\n"


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
    globs = {place.format(name, model) for group, name in gone for place in PLACES[group] for model in files("model")}
    paths = sorted({path for glob in (*globs, "tests/test_template.py", *more) for path in Path().glob(glob)})
    paths += raw(gone, there - gone)
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
    _forget(gone)
    new_data.version("data")
    return True


def files(group: str) -> set[str]:
    """The names in a group of conf/."""
    return {path.stem for path in Path("conf", group).glob("*.yaml")}


def raw(gone: set[tuple[str, str]], left: set[tuple[str, str]]) -> list[Path]:
    """The folders directly in data/ that only data sets among these read from, none that is left."""
    alone = _folders(gone) - {place for folder in _folders(left) for place in (folder, *folder.parents)}
    return [Path("data", path.name) for path in sorted(Path("data").resolve().glob("*/")) if path in alone]


def _folders(names: set[tuple[str, str]]) -> set[Path]:
    """Where the raw files of the data sets among these are, links and `..` resolved."""
    with exits.composing(), initialize_config_dir(str(Path("conf").absolute()), version_base=None):
        settings = [compose(f"data/{name}").data for group, name in names if group == "data"]
    return {Path("data", each.get("folder") or "..").resolve() for each in settings}


def chosen(experiment: str | None) -> dict[str, str]:
    """What an experiment's `defaults`, or else those of conf/config.yaml, choose in each group."""
    paths = [CONFIG, *Path("conf/experiment").glob(f"{experiment}.yaml")]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    return dict(re.findall(r"^ *- (?:override /)?(\w+)[@\w]*: ([\w-]+)", text, flags=re.MULTILINE))


def _choose_defaults(gone: set[tuple[str, str]]) -> None:
    """Where conf/config.yaml chooses what is gone: no experiment, whose settings other models lack; but its groups."""
    if gone & (now := chosen(None)).items():
        left = {group: min(files(group) & {now[group]} or files(group)) for group in ("data", "model")}
        choices = {**left, **(chosen(min(files("experiment"))) if files("experiment") else {})}
        for group, name in {**choices, "experiment@_global_": "null"}.items():
            _edit(CONFIG, rf"^(  - {group}: )\S+", rf"\g<1>{name}")


def _forget(gone: set[tuple[str, str]]) -> None:
    """Take these names out of the lists; sections, rows of tables and commands about them out of documents and heads."""
    for group, name in gone:
        for path in (PIPELINE, Path("dvc.lock")):
            _edit(path, rf"^(?:{LISTS[group]}){name}(?:\n|:\n(?:    .*\n)+)", "")
        about = COMMANDS + SECTIONS * all(name not in files(other) for other in PLACES)  # or another is left
        for path in [*Path().glob("*.md"), *Path("docs").rglob("*.md"), *Path("conf").rglob("*.yaml")]:
            _edit(path, about.format(group, name), "")
    _edit(PIPELINE, r"^(datasets):\n(?! *-)", r"\1: []\n")
    _edit(PIPELINE, r"^(experiments):\n(?!  )", r"\1: {}\n")
    names = "|".join(sorted({name for _, name in gone}))
    if named := names and git("grep", "-lwE", names, "--", "*.md", "conf", codes=(0, 1)).split():
        print("Still named in", *named, "for you to read.")


def _edit(path: Path, pattern: str, new: str) -> None:
    if path.is_file():
        path.write_text(re.sub(pattern, new, path.read_text(encoding="utf-8"), flags=re.M), encoding="utf-8")
