"""Give the project a name of its own, wherever the old one is written: package, program, configs, docs, tests.

make rename name=...
"""

import keyword
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from deepmine import __name__ as NAME
from deepmine.config.errors import UserError

KEPT = (".dvc/", "tests/records/")  # raw data and remotes; records, which a change of one byte makes damaged


def main(name: str = "") -> None:
    """Rename what git knows, or nothing."""
    require_name(name)
    require_clean()
    rename(name)
    print("Nothing is committed. Next: make check test, commit, make repro, where no score may change.")


def rename(name: str) -> None:
    """Bring the renamed files into the folder and into git's index, in one step."""
    git("add", "--all")
    before = git("write-tree")
    git("read-tree", "-m", "-u", before, renamed(before, name))
    for own in git("ls-files", "-oz", "--exclude=__pycache__", "--", f"src/{NAME}").split("\0")[:-1]:
        os.renames(own, own.replace(f"src/{NAME}", f"src/{name}", 1))  # what git ignores, such as a .env
    git("clean", "-fdxq", "--", f"src/{NAME}", f"src/{NAME}.egg-info")  # compiled files
    write_reference()
    git("add", "docs/reference")


def require_name(name: str) -> None:
    """A `UserError` unless this can be the name of a package, and can be told from all other words in the code."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UserError(f"`name` is {name!r}, but must be a word in lower-case letters, digits and _.")
    found = git("grep", "-liw", name, "--", "src", "conf", "takeover", codes=(0, 1)).splitlines()
    if found or find_spec(name):
        what = f"a word in {found[0]}" if found else "a package that is installed"
        raise UserError(f"`{name}` is {what}: nothing could tell the two apart. Take another, such as {name}_project.")


def require_clean() -> None:
    """A `UserError` if git could not bring everything back as it is."""
    if changed := git("status", "--porcelain").splitlines():
        raise UserError(f"Commit first what is not committed: {', '.join(line[3:] for line in changed[:3])}.")


def renamed(tree: str, name: str, without: tuple[str, ...] = ()) -> str:
    """The git tree that a tree becomes, under this name and without some paths."""
    with TemporaryDirectory() as folder, TemporaryDirectory() as beside:
        env = {**os.environ, "GIT_INDEX_FILE": f"{beside}/index", "GIT_WORK_TREE": folder}
        git("read-tree", tree, env=env)
        git("rm", "-rqf", "--cached", "--ignore-unmatch", "none", *without, env=env)
        git("checkout-index", "--all", env=env)
        _write(Path(folder), name)
        git("add", "--all", "--force", env=env)
        return git("write-tree", env=env)


def _write(root: Path, name: str) -> None:
    """Write the name, as it is, as a title and as a constant, in all files but those of `KEPT`."""
    old = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    forms = {form(old): form(name) for form in (str.lower, str.upper, lambda n: n.replace("_", " ").capitalize())}
    word = re.compile(rf"(?<![^\W_])(?:{'|'.join(forms)})(?![^\W_])")
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and not path.relative_to(root).as_posix().startswith(KEPT):
            text = path.read_bytes().decode(errors="surrogateescape")
            path.write_bytes(word.sub(lambda found: forms[found[0]], text).encode(errors="surrogateescape"))
    (root / "src" / old).rename(root / "src" / name)
    for command in (["check", "--fix-only", "--select=I"], ["format"]):  # the name decides order and length of lines
        subprocess.run([sys.executable, "-m", "ruff", *command, "--quiet", "--no-cache", "."], cwd=root, check=True)


def write_reference() -> None:
    """Write docs/reference from the code and conf/ as they are now."""
    done = subprocess.run([sys.executable, "docs/reference.py"], env={**os.environ, "PYTHONPATH": "src"})
    if done.returncode:
        raise UserError("All is done but docs/reference, see above. Then: .venv/bin/python docs/reference.py")


def git(*command: str, codes: tuple[int, ...] = (0,), env: dict[str, str] | None = None) -> str:
    """What git says, without the last line's end; `UserError` for another exit code."""
    done = subprocess.run(["git", *command], capture_output=True, text=True, env=env)
    if done.returncode not in codes:
        raise UserError(f"git {command[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout.rstrip("\n")
