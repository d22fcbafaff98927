"""Build a run again from its record, in a git worktree: its code, raw data, settings and, if asked, its environment.

What is missing is named, with who could supply it. A record may come from a tracker: `agree` shows what of its code is
not in this branch, and asks; remotes of git and DVC are always those of this checkout.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any

from omegaconf import DictConfig

from deepmine import ROOT
from deepmine.config import check, compose
from deepmine.config.errors import UserError
from deepmine.data.digests import file_digests, folder_digest
from deepmine.data.raw import require_inside
from deepmine.runs import provenance, record
from deepmine.runs.record import Record


def find(name: str | None, cfg: DictConfig) -> Record:
    """The run of a record's folder, a record id or MLflow's run id; UserError: there is none that can be built again.

    What only the tracker has is kept in out/fetched/.
    """
    if name is None:
        raise UserError("Which run? Give the folder of its record, its record id or MLflow's run id.")
    out, folder = Path(cfg.paths.out), Path(name)
    if not (folder / "provenance.json").is_file():
        its = [path for path in out.glob("*/*/provenance.json") if f'"record_id": "{name}"' in path.read_text()]
        folder = its[0].parent if its else _fetch(name, cfg, out / "fetched")
    run = record.find(folder)
    git = run.provenance["git"]
    if not run.metrics:
        raise UserError(f"{folder} has no scores to compare with: it is {run.status['status']}.")
    if not re.fullmatch("[0-9a-f]{40,64}", str(git["commit"])):
        raise UserError(f"{folder} was made without git ({git.get('note')}), so nobody knows its code.")
    if not provenance.git("rev-parse", "--quiet", "--verify", f"{git['commit']}^{{commit}}", check=False):
        ask = f"ask {run.provenance['user']}, who ran it on branch {git['branch']}, to push it"
        raise UserError(f"Commit {git['commit'][:10]} of {folder} is not in this clone: git fetch, or {ask}.")
    list(check.named(run.config, cfg.trusted))  # raises for the first that is not trusted
    return run


def _fetch(name: str, cfg: DictConfig, place: Path) -> Path:
    if cfg.tracking.uri is not None:
        from deepmine.runs.tracking import store

        if found := store.fetch(cfg.tracking.uri, name, place, record.FILES):
            return found
    raise UserError(f"No run {name} is in {cfg.paths.out}/ or MLflow. Whoever trained it can send it: make publish")


def agree(run: Record, yes: bool) -> None:
    """Show what of a run's code this branch does not have, and ask whether to run it; UserError: no."""
    commit, what = run.provenance["git"]["commit"], []
    if provenance.git("rev-list", "-1", commit, "^HEAD"):
        what = [f"commit {commit}, which is not in your branch"]
    if patch := _patch(run):
        what.append("the uncommitted changes above")
        text = (provenance.git("apply", "--stat", stdin=patch) + b"\n" + patch).decode(errors="replace")
        print("".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text))  # nothing hides itself
    if not what:
        return
    print(f"{run.folder} has {' and '.join(what)}.")
    if not yes and not sys.stdin.isatty():
        raise UserError("This code would run as you. Read it, then allow it: yes=true")
    if not yes and input("Run this code as you? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("Nothing was run.")


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """How the lock, what was installed and the processor differ, by the provenance of two runs."""
    old, new = ({**its, **its["versions"]} for its in (before, after))
    keys = ("lock", "python", "platform", "cpu", "vector_units", *(before["versions"] | after["versions"]))
    return [f"{key} {old.get(key)} -> {new.get(key)}" for key in keys if old.get(key) != new.get(key)]


@contextmanager
def environment(run: Record, kind: str) -> Iterator[str]:
    """The Python to build a run with: this one, or `exact`, one with the packages that the run's own lock names."""
    if kind == "here":
        yield sys.executable
        return
    with worktree(run) as tree:
        if subprocess.run(["sh", ".ci/setup", sys.executable], cwd=tree).returncode:
            raise UserError(f"The environment of {run.folder} could not be built, see above.")
        yield str(tree / ".venv/bin/python")


def rebuild(place: Path, python: str, code: Record, data: Record, settings: Mapping[str, Any], trusted: Any) -> Record:
    """Prepare, train and evaluate with the code of one run, the raw data of one, and settings; its record."""
    with worktree(code) as tree:
        _restore(tree, data, settings["data"])
        compose.dump(tree.parent / "config.yaml", settings)
        given = (f"config={tree.parent}/config.yaml", f"trusted={[*trusted]}", f"run={place.resolve()}")
        command = [python, "-m", "deepmine", "train", *given, "tracking=none"]
        around = {**os.environ, "PYTHONPATH": str(tree / "src")}
        failed = subprocess.run(command, cwd=tree, env=around, stdout=subprocess.DEVNULL).returncode
    if failed:
        left = "".join(f"\n  {name}: {why}" for name, why in code.provenance["git"]["left_out"].items())
        ask = f" {code.provenance['user']} has files that its patch left out:{left}" if left else ""
        raise UserError(f"{code.folder} could not be built again, see above.{ask}")
    return record.find(place)


@contextmanager
def worktree(run: Record) -> Iterator[Path]:
    """The code of a run in a temporary folder: its commit, and what was not committed."""
    git = run.provenance["git"]
    with tempfile.TemporaryDirectory(prefix="deepmine-") as folder:
        tree = Path(folder, "checkout")
        try:
            provenance.git("worktree", "add", "--detach", str(tree), git["commit"])
            if patch := _patch(run):
                provenance.git("apply", "--index", "--whitespace=nowarn", at=tree, stdin=patch)
            if provenance.git("write-tree", at=tree).decode().strip() != git["tree"]:
                raise UserError(f"{run.folder}/patch.diff is not what the run had.")
            _use_our_data(tree)
            yield tree
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip()
            raise UserError(f"The code of {run.folder} cannot be restored: {said}") from None
        finally:
            provenance.git("worktree", "remove", "--force", str(tree), check=False)


def changed_code(a: Record, b: Record) -> list[str]:
    """The files of src/ that differ between two runs."""
    with worktree(a), worktree(b):  # for git to have both trees
        trees = [run.provenance["git"]["tree"] for run in (a, b)]
        return os.fsdecode(provenance.git("diff", "--name-only", *trees, "--", "src")).splitlines()


def _patch(run: Record) -> bytes:
    return (run.folder / "patch.diff").read_bytes()


def _use_our_data(tree: Path) -> None:
    """Where data come from is never taken from a run: its worktree gets this checkout's DVC settings and cache."""
    ours = ConfigParser(interpolation=None)
    ours.read([ROOT / ".dvc/config", ROOT / ".dvc/config.local"])
    for section in [name for name in ours.sections() if "://" not in ours.get(name, "url", fallback="://")]:
        ours[section]["url"] = str((ROOT / ".dvc" / ours[section]["url"]).resolve())
    cache = ROOT / ".dvc" / ours.get("cache", "dir", fallback="cache")
    cache.mkdir(parents=True, exist_ok=True)
    ours.remove_section("cache")
    (tree / ".dvc/cache").symlink_to(cache.resolve())
    with (tree / ".dvc/config.local").open("w") as file:
        ours.write(file)


def _restore(tree: Path, run: Record, settings: Mapping[str, Any]) -> None:
    """The raw data that a run saw, copied from here or by DVC; UserError: they are in neither place."""
    facts, data = run.provenance["data"], ROOT / "data"
    here, target = require_inside(data / settings["folder"], data), f"data/{settings['folder']}"
    if folder_digest(here) == facts["raw"]:
        copytree(here, tree / target)
        return
    if settings.get("download"):
        return  # `train` downloads and checks them
    compose.dump(tree / "data.dvc", {"outs": [{"md5": facts["data.dvc"], "hash": "md5", "path": "data"}]})
    subprocess.run([sys.executable, "-m", "dvc", "pull", "--force", target], cwd=tree, stdout=subprocess.DEVNULL)
    if folder_digest(tree / target) != facts["raw"]:
        ask = f"Ask {run.provenance['user']}, who had them: .venv/bin/dvc add data, and .venv/bin/dvc push data.dvc"
        raise UserError(f"The raw data of {run.folder} are neither in {target} nor in the data remote. {ask}.")
    changed = file_digests(here).items() ^ file_digests(tree / target).items()
    names = ", ".join(sorted({name for name, _ in changed}))
    print(f"{target} is not what {run.folder} saw ({names}); DVC restored that.", file=sys.stderr)
