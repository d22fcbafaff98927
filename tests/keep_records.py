"""Keep a few small records of today's format for test_old_records.py, when the format changes.

.venv/bin/python tests/keep_records.py 2026-11     writes tests/records/2026-11
"""

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

RECORDS = Path(__file__).parent / "records"
SMALL = ("experiment=ferry_mlp", "trainer.max_epochs=2", "model.net_params.hidden=[2]")
RUNS = {
    "net": ("train", *SMALL),
    "tree": ("train", "experiment=ferry_tree", "model.max_depth=2"),
    "folds": ("train", "experiment=ferry_tree", "model.max_depth=1", "cv=2"),
    "clusters": ("train", "experiment=birds_kmeans"),
    "failed": ("train", *SMALL, "trainer.precision=8-true"),
    "trial": ("sweep", "experiment=ferry_tree", "model.max_depth=1,3"),
}


def main(date: str) -> None:
    """Run each in the tests' project, and keep its record packed, without pictures and without what names this machine."""
    sys.path.append(str(Path(__file__).parent))
    from conftest import environment, make_clone

    with tempfile.TemporaryDirectory() as folder:
        project, out = Path(folder) / "project", Path(folder) / "project/out/adhoc"
        make_clone(project)
        env = environment(project, USER="anna", LOGNAME="anna", LNAME="anna", USERNAME="anna")
        for name, (verb, *overrides) in RUNS.items():
            place = [f"run=out/adhoc/{name}"] if verb == "train" else []
            command = [sys.executable, "-m", "deepmine", verb, *overrides, *place, "tracking=none"]
            code = subprocess.run(command, cwd=project, env=env).returncode
            assert code == (name == "failed"), name
        for name in RUNS:
            found = out / name if (out / name).exists() else sorted(out.glob("ferry-tree-*"))[0]
            kept = shutil.copytree(found, RECORDS / date / name, ignore=shutil.ignore_patterns("figures", ".*"))
            for path in kept.rglob("*.json"):
                text = path.read_text().replace(str(project), ".").replace(sys.prefix, ".venv")
                path.write_text(text.replace(platform.node(), "example"))
            for path in kept.glob("*.skops"):
                pack(path)


def pack(path: Path) -> None:
    """Compress the members of an archive."""
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


if __name__ == "__main__":
    main(sys.argv[1])
