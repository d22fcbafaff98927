"""Make the repository your project: another name for the package, the program, and wherever it is written.

make rename name=...
make rename name=... yes=true      with work that is not committed, too
"""

import keyword
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from deepmine import ROOT
from deepmine.config.errors import UserError

NAME = __name__.partition(".")[0]
NEXT = """{old} is {new} now, and nothing is committed. Next:
  make check test
  make repro            the code of every stage was edited, so all run again; no score may change
  git add -A && git commit -m "Rename to {new}"
Models saved before, as those of out/adhoc, name the old package and cannot be loaded; their scores still count."""


def main(name: str, yes: str = "") -> None:
    """Rename what git tracks, in one step, so that a failure leaves everything as it was."""
    require_name(name)
    if yes != "true":
        require_clean(f"Or add all of it to the change: make rename name={name} yes=true")
    rename(name)
    print(NEXT.format(old=NAME, new=name))


def rename(name: str) -> None:
    """Bring the renamed files into the folder and into git's index."""
    git("add", "--all")
    before = git("write-tree")
    git("read-tree", "-m", "-u", before, renamed(before, name))
    git("clean", "-fdXq", "--", f"src/{NAME}", f"src/{NAME}.egg-info")  # compiled files


def require_name(name: str) -> None:
    """A `UserError` unless this can be the name of a package, and can be told from every other word in the code."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UserError(f"`name` is {name!r}, but must be lower-case letters, digits and _.")
    if name == NAME:
        raise UserError(f"The project is called {name} already.")
    if name in sys.stdlib_module_names or find_spec(name):
        raise UserError(f"There is a package {name} already: imports would find one for the other. Take another name.")
    if found := git("grep", "-liw", name, "--", "src", "conf", codes=(0, 1)).splitlines():
        raise UserError(
            f"`{name}` is a word in {found[0]} and could not be told from the project's name later. Take another name, "
            f"such as {name}_project."
        )


def require_clean(otherwise: str = "") -> None:
    """A `UserError` if git could not bring everything back as it is."""
    if changed := git("status", "--porcelain").splitlines():
        names = ", ".join(line[3:] for line in changed[:3])
        raise UserError(f"There is work that is not committed ({names}): commit or stash it first. {otherwise}".strip())


def renamed(tree: str, name: str, without: tuple[str, ...] = ()) -> str:
    """A git tree with the files of another one, but `without`, where the project has this name; they are formatted."""
    with TemporaryDirectory() as folder:
        root = Path(folder, "tree")
        root.mkdir()
        at = {"GIT_INDEX_FILE": f"{folder}/index", "GIT_DIR": git("rev-parse", "--absolute-git-dir")}
        git("read-tree", tree, cwd=root, env=at)
        if without:
            git("rm", "-rq", "--cached", "--ignore-unmatch", *without, cwd=root, env=at)
        git("checkout-index", "--all", cwd=root, env=at)
        old = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
        if old != name:
            _write(root, old, name)
            git("add", "--all", "--force", cwd=root, env=at)
        return git("write-tree", cwd=root, env=at)


def _write(root: Path, old: str, name: str) -> None:
    forms = {form(old): form(name) for form in (str.lower, str.upper, lambda n: n.replace("_", " ").capitalize())}
    word = re.compile(rf"(?<![^\W_])(?:{'|'.join(forms)})(?![^\W_])")
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.relative_to(root).parts[0] != ".dvc":  # raw data, remotes
            text = path.read_bytes().decode(errors="surrogateescape")
            new = word.sub(lambda found: forms[found[0]], text)
            if new != text:
                path.write_bytes(new.encode(errors="surrogateescape"))
    (root / "src" / old).rename(root / "src" / name)
    for command in (["check", "--fix-only", "--select=I"], ["format"]):  # the name decides the order of imports
        subprocess.run([ROOT / ".venv/bin/ruff", *command, "--quiet", "--no-cache", "."], cwd=root, check=True)


def git(*command: str, cwd: Path = ROOT, codes: Sequence[int] = (0,), env: Mapping[str, str] | None = None) -> str:
    """What git says, without the last line's end; `UserError` for another exit code."""
    done = subprocess.run(["git", *command], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True)
    if done.returncode not in codes:
        raise UserError(f"git {command[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout.rstrip("\n")
