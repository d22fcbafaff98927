"""Build a run again from its record, in a git worktree of its own: its code, data, settings, and if asked environment.

What is missing is named, with who could supply it. The code of a run may come from a tracker, so `agree` shows what of it
is not in this branch, and asks; git and DVC remotes are always those of this checkout.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
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
    """A run that ended well, by the folder of its record, its record id or MLflow's run id; UserError: it cannot be built.

    What a tracker has of it is kept in out/fetched/.
    """
    if name is None:
        raise UserError("Which run? Give the folder of its record, its record id, or MLflow's run id.")
    out = Path(cfg.paths.out)
    here = [path.parent for path in out.glob("*/*/provenance.json") if f'"record_id": "{name}"' in path.read_text()]
    folder = Path(name) if (Path(name) / "provenance.json").is_file() else next(iter(here), None)
    if folder is None and cfg.tracking.uri is not None:
        from deepmine.runs.tracking import store

        folder = store.fetch(cfg.tracking.uri, name, out / "fetched", record.FILES)
    if folder is None:
        raise UserError(f"There is no run {name} in {out}/, nor in the tracker. Whoever trained it: make publish")
    run = record.find(folder)
    _require(run)
    for _ in check.named(run.config, cfg.trusted):
        pass
    return run


def _require(run: Record) -> None:
    git = run.provenance["git"]
    if not run.metrics:
        raise UserError(f"{run.folder} has no scores to compare with: it is {run.status['status']}.")
    if not re.fullmatch(r"[0-9a-f]{40,64}", str(git["commit"])):
        raise UserError(f"{run.folder} was made without git ({git.get('note')}), so its code is not known.")
    if subprocess.run(["git", "cat-file", "-e", f"{git['commit']}^{{commit}}"], cwd=ROOT, capture_output=True).returncode:
        ask = f"ask {run.provenance['user']}, who ran it on branch {git['branch']}, to push it"
        raise UserError(f"Commit {git['commit'][:10]} of {run.folder} is not in this clone: git fetch, or {ask}.")


def agree(run: Record, yes: bool) -> None:
    """Show the code of a run that this branch does not have, and ask whether to run it; UserError: no."""
    commit, patch = run.provenance["git"]["commit"], _patch(run)
    ours = subprocess.run(["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=ROOT, capture_output=True)
    if not patch and ours.returncode == 0:
        return
    shown = (provenance.git("apply", "--stat", stdin=patch) + b"\n" + patch).decode(errors="replace") if patch else ""
    print("".join(sign if sign.isprintable() or sign in "\n\t" else "�" for sign in shown))  # nothing may hide
    print(f"{run.folder}: commit {commit}" + " and the uncommitted changes above" * bool(patch))
    if ours.returncode:
        print("This commit is not in the history of your branch.")
    if not yes and not sys.stdin.isatty():
        raise UserError("This code would run with your rights. Read it, and allow it with yes=true.")
    if not yes and input("Run this code with your rights? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UserError("Nothing was run.")


def differences(run: Record) -> list[str]:
    """What is installed here but was not there, or the other way round, and the processor."""
    there, here = run.provenance, provenance.environment()
    names = {**there["versions"], **here["versions"]}
    pairs = [(f"{name} ", there["versions"].get(name), here["versions"].get(name)) for name in names]
    pairs += [(f"{key} ", there.get(key), here[key]) for key in here if key != "versions"]
    return [f"{name}{before} then, {now} here" for name, before, now in pairs if before != now]


@contextmanager
def environment(run: Record, kind: str) -> Iterator[str]:
    """The Python to build a run with: this one, or `exact`, one with the packages that the run's own lock names."""
    if kind == "here":
        yield sys.executable
        return
    with worktree(run) as tree:
        _use_our_data_remote(tree)
        if subprocess.run(["sh", ".ci/setup", sys.executable], cwd=tree, env=_settings(tree)).returncode:
            raise UserError(f"The environment of {run.folder} could not be built, see above.")
        yield str(tree / ".venv/bin/python")


def rebuild(place: Path, python: str, code: Record, data: Record, settings: Mapping[str, Any], trusted: Any) -> Record:
    """Prepare, train and evaluate with the code of one run, the raw data of one and some settings; its record."""
    with worktree(code) as tree:
        _restore(tree, data, settings["data"])
        compose.dump(tree.parent / "config.yaml", settings)
        given = [f"config={tree.parent}/config.yaml", f"trusted={[*trusted]}"]
        if not re.search("^config:", (tree / "conf/config.yaml").read_text(), re.MULTILINE):  # an older version
            given = code.overrides
        command = [python, "-m", "deepmine", "train", *given, "tracking=none", f"run={place.resolve()}"]
        ended = subprocess.run(command, cwd=tree, env=_settings(tree), stdout=subprocess.DEVNULL)
    if ended.returncode:
        left = "".join(f"\n  {name}: {why}" for name, why in code.provenance["git"]["left_out"].items())
        ask = f" These files of {code.provenance['user']} were left out of its patch, and may be needed:" if left else ""
        raise UserError(f"{code.folder} could not be built again, see above.{ask}{left}")
    built = record.find(place)
    if {**built.config, "choices": ""} != {**settings, "choices": ""}:
        raise UserError(f"{place} has other settings than asked for: its code is older than `config=`.")
    return built


@contextmanager
def worktree(run: Record) -> Iterator[Path]:
    """The code of a run in a temporary folder: its commit and what was not committed."""
    git = run.provenance["git"]
    with tempfile.TemporaryDirectory(prefix="deepmine-") as folder:
        tree = Path(folder, "checkout")
        try:
            provenance.git("worktree", "add", "--detach", str(tree), git["commit"])
            if patch := _patch(run):
                provenance.git("apply", "--index", "--whitespace=nowarn", at=tree, stdin=patch)
            if provenance.git("write-tree", at=tree).decode().strip() != git["tree"]:
                raise UserError(f"{run.folder}/patch.diff is damaged: with it the code is not what the run had.")
            yield tree
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip()
            raise UserError(f"The code of {run.folder} cannot be restored: {said}") from None
        finally:
            provenance.git("worktree", "remove", "--force", str(tree), check=False)


def changed_code(a: Record, b: Record) -> list[str]:
    """The files of the code that differ between two runs."""
    with worktree(a), worktree(b):  # for git to have both trees
        trees = [run.provenance["git"]["tree"] for run in (a, b)]
        return os.fsdecode(provenance.git("diff", "--name-only", *trees, "--", "src")).splitlines()


def _patch(run: Record) -> bytes:
    return (run.folder / "patch.diff").read_bytes()


def _settings(tree: Path) -> dict[str, str]:
    found = {"UV_FIND_LINKS": links} if (links := os.environ.get("PIP_FIND_LINKS")) else {}
    return {**found, **os.environ, "PYTHONPATH": str(tree / "src")}


def _restore(tree: Path, run: Record, settings: Mapping[str, Any]) -> None:
    """The raw data that a run saw, copied from here or by DVC; UserError: they are in neither place."""
    facts, data = run.provenance["data"], ROOT / "data"
    here, there = require_inside(data / settings["folder"], data), tree / "data" / settings["folder"]
    if here.is_dir() and folder_digest(here) == facts["raw"]:
        copytree(here, there)
    elif facts["data.dvc"] and not settings.get("download"):  # which `train` does by itself
        print(f"{here} is not what {run.folder} saw; DVC restores it.", file=sys.stderr)
        _use_our_data_remote(tree)
        compose.dump(tree / "data.dvc", {"outs": [{"md5": facts["data.dvc"], "path": "data"}]})
        target = f"data/{settings['folder']}"
        subprocess.run([sys.executable, "-m", "dvc", "pull", "-q", "--force", target], cwd=tree)
    if there.is_dir() and folder_digest(there) == facts["raw"]:
        _name_changes(here, there)
    elif not settings.get("download"):
        ask = f"Ask {run.provenance['user']}, who has them: .venv/bin/dvc add data, and dvc push data.dvc"
        raise UserError(f"The raw data of {run.folder} are neither in {here} nor in the data remote. {ask}.")


def _name_changes(here: Path, there: Path) -> None:
    found, wanted = (file_digests(folder) if folder.is_dir() else {} for folder in (here, there))
    for name in sorted({name for name, _ in found.items() ^ wanted.items()}):
        how = "added" if name not in wanted else "changed" if name in found else "missing"
        print(f"{here / name} is {how} here; the run gets the file that it saw.", file=sys.stderr)


def _use_our_data_remote(tree: Path) -> None:
    """Where data come from is never taken from a run: its worktree gets this checkout's DVC settings and cache."""
    ours = ConfigParser(interpolation=None)
    ours.read([ROOT / ".dvc/config", ROOT / ".dvc/config.local"])
    ours.read_dict({"cache": {"dir": ours.get("cache", "dir", fallback="cache")}})
    for key, section in [("dir", "cache"), *(("url", name) for name in ours.sections() if "remote" in name)]:
        if "://" not in ours.get(section, key, fallback="://"):
            ours[section][key] = str((ROOT / ".dvc" / ours[section][key]).resolve())
    with (tree / ".dvc/config.local").open("w") as file:
        ours.write(file)
