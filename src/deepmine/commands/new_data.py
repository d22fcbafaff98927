"""Your own data, without Python: a table, a folder of images by class, or a file of baskets becomes a data set.

make new-data path=/somewhere/churn.csv target=churned
make new-data path=/somewhere/photos
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from deepmine import ROOT
from deepmine.config import compose
from deepmine.config.errors import UserError

NO_NAMES = ("inf", "nan", "null", "true", "false")  # which a command line takes for a value
FIRST_MODELS = {  # that are trained, by task
    "classification": ["tree", "mlp"],
    "regression": ["regression_tree", "regression_mlp"],
    "clustering": ["kmeans", "gmm"],
    "decomposition": ["pca"],
    "anomalies": ["isolation_forest"],
    "rules": ["rules"],
}
NEXT = """conf/data/{name}.yaml says how {name} is read, cleaned, protected and split, conf/data/contract/{name}.yaml
what it promised. Read and edit both, they are yours. Next:
  make train data={name} model={model} seed=1
  make compare
  git add conf data.dvc && git commit -m "Add {name}" && .venv/bin/dvc push
"""


def main(cfg: DictConfig) -> None:
    """Copy the files below data/, write their config, version them, train and compare.

    What an earlier call made of the same files is kept, edited or not: after a stop, the same command goes on.
    """
    path, name = _require_path(cfg.path), cfg.name or _slug(Path(cfg.path or "").name.partition(".")[0])
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise UserError(f"`name` is {name!r}; wanted letters, digits and _, such as name={_slug(name)}")
    raw = Path(cfg.paths.data) / name
    made = [raw, *(compose.CONF / f"data/{place}{name}.yaml" for place in ("", "contract/"))]
    if not any(place.exists() for place in made):
        with _all_or_nothing(*made):
            _copy(path, raw)
            _write_config(name, raw, path.name, cfg.target, OmegaConf.to_container(cfg.read))
    else:
        _require_same(path, name, cfg.target, made)
        print(f"{name} is there already, made of the same files: going on with conf/data/{name}.yaml as it is.")
    try:
        _version(cfg.paths.data)
        print(NEXT.format(name=name, model=_train(name)))
    except BaseException:
        print(f"data/{name} and conf/data/{name}.yaml are kept: the same command goes on from here.", file=sys.stderr)
        raise


def _require_same(path: Path, name: str, target: str | None, made: list[Path]) -> None:
    """An earlier call made all of this, of the same files and for the same target."""
    raw, settings, _ = made
    whole = all(place.exists() for place in made) and _contents(path) == _contents(raw)
    if not whole or target not in (None, yaml.safe_load(settings.read_text(encoding="utf-8"))["source"].get("target")):
        there = ", ".join(str(place) for place in made if place.exists())
        raise UserError(
            f"{there}: there already, but not all of it made of {path} and this target. Choose another name: make "
            f"new-data path={path} name=... Or go on with it: make train data={name} model=... Or remove it."
        )


def _contents(path: Path) -> dict[Path, str]:
    """The digest of a file, or of each file of a folder that is not hidden, by its name there."""
    from deepmine.data import digests

    folder = path if path.is_dir() else path.parent
    files = (file.relative_to(folder) for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
    return {file: digests.file_digest(folder / file) for file in files if not re.search(r"(^|/)[.]", str(file))}


def _write_config(name: str, raw: Path, file: str, target: str | None, read: Any) -> None:
    """Look at the files, say in conf/ what they are and promise."""
    from deepmine.commands import contract
    from deepmine.data.preparing import inspect

    found = inspect.inspect(name, raw, file, target, read)
    for note in found.notes:
        print(note)
    head = f"# {found.title}.\n#   make train data={name} model={FIRST_MODELS[found.settings['task']][0]}\n"
    compose.dump(compose.CONF / f"data/{name}.yaml", found.settings, head)
    contract.main(compose.compose("~experiment", f"data={name}", trains=False))


def _version(data: str) -> None:
    """Have DVC note the raw files in data.dvc."""
    done = subprocess.run([str(ROOT / ".venv/bin/dvc"), "add", "--quiet", data])
    if done.returncode:
        raise UserError(f"DVC could not version {data}/ (see above).")


def _train(name: str) -> str:
    """Train the first models, print the table of this data set's runs; the last of the models."""
    from deepmine.commands import compare, train

    data = compose.compose("~experiment", f"data={name}", trains=False).data
    models = FIRST_MODELS[data.task] + ["cnn"] * (data.kind == "image" and data.task == "classification")
    settings = [compose.compose("~experiment", f"data={name}", f"model={model}") for model in models]
    for cfg in settings:
        train.train(cfg)
    compare.main(settings[0], only=name)
    return models[-1]


def _require_path(path: str | None) -> Path:
    if not path:
        raise UserError("What are the data? make new-data path=/somewhere/churn.csv target=churned")
    if not Path(path).expanduser().exists():
        raise UserError(f"{path} is not there. Wanted: a table, a file of baskets, or a folder of images by class.")
    return Path(path).expanduser().resolve()


def _slug(text: str) -> str:
    """A name that files, commands and SQL can bear."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()
    return f"data_{name}" if not name or name[0].isdigit() or name in NO_NAMES else name


def _copy(path: Path, raw: Path) -> None:
    """The file, or all files of the folder, to data/<name>; hidden ones stay behind."""
    try:
        if path.is_dir():
            shutil.copytree(path, raw, ignore=shutil.ignore_patterns(".*"))
        else:
            raw.mkdir(parents=True)
            shutil.copy2(path, raw / path.name)
    except OSError as error:  # shutil.Error too, which lists what could not be copied
        raise UserError(f"{path} cannot be copied to {raw}: {error}") from None


@contextmanager
def _all_or_nothing(*made: Path) -> Iterator[None]:
    """Remove what was made if it cannot be finished."""
    try:
        yield
    except BaseException:
        for path in made:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if sys.exc_info()[0] is not KeyboardInterrupt:
            print("Nothing was kept of it, below data/ or conf/.", file=sys.stderr)
        raise


def run() -> None:
    """Run this verb with the overrides of the command line."""
    compose.run(main, trains=False)
