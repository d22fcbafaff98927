"""Your own data, without Python: a table or several, texts, images or baskets become a data set.

make new-data path=/somewhere/churn.csv target=churned
make new-data path=/somewhere/photos
"""

import filecmp
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from deepmine import ROOT
from deepmine.config import compose
from deepmine.config.errors import UserError

QUICK = {"text": ["logistic"], "image": ["logistic", "mlp", "cnn"]}  # where other first models of the task take long
NEXT = """conf/data/{name}.yaml says how {name} is read, cleaned, protected and split, conf/data/contract/{name}.yaml
what it promised. Read and edit both, they are yours. Next:
  make train data={name} model={model} seed=1
  make compare
  .venv/bin/dvc push data.dvc && git add .dvc conf data.dvc && git commit -m 'Add {name}'"""


def main(cfg: DictConfig) -> None:
    """Copy the files below data/, write their config, version them, train and compare; or continue after a stop."""
    path, name = _require_path(cfg.path), cfg.name or _slug(Path(cfg.path or "").name.partition(".")[0])
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise UserError(f"`name` is {name!r}, but must be letters, digits and _, such as name={_slug(name)}")
    raw, question = Path(cfg.paths.data) / name, ""
    made = [raw, *(compose.CONF / f"data/{place}{name}.yaml" for place in ("", "contract/"))]
    if any(place.exists() for place in made):
        _require_same(path, cfg.target, *made[:2])
        print(f"{name} exists, made of the same files: continuing with conf/data/{name}.yaml as it is.")
    else:
        try:
            question = _describe(name, path, raw, cfg.target, OmegaConf.to_container(cfg.read))
        except BaseException:
            for place in made:
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
            raise
    try:
        if question:
            raise UserError(question)
        version(cfg.paths.data)
        print(NEXT.format(name=name, model=_train(name, made[2])))
    except BaseException:
        print(f"data/{name} and conf/data/{name}.yaml are kept: the same command continues from here.", file=sys.stderr)
        raise


def _require_path(given: str | None) -> Path:
    path = Path(given or "").expanduser().resolve()
    if not given or not path.exists():
        raise UserError(f"{given} does not exist. Which data? make new-data path=/somewhere/churn.csv target=churned")
    if ROOT.is_relative_to(path):
        raise UserError(f"{path} holds this repository. Name the file or folder that holds the data alone.")
    if odd := [file for file in (path, *path.rglob("*")) if not file.is_file() and not file.is_dir()]:
        raise UserError(f"{odd[0]} is not a regular file. Remove it, or name another path.")
    return path


def _require_same(path: Path, target: str | None, raw: Path, settings: Path) -> None:
    """A `UserError` unless an earlier call made all of this, of the same files and for the same target."""
    files = sorted(str(file.relative_to(raw)) for file in raw.rglob("*") if file.is_file())
    equal = filecmp.cmpfiles(path if path.is_dir() else path.parent, raw, files, shallow=False)[0]
    same = settings.exists() and files == sorted(equal) != []
    if not same or target not in (None, yaml.safe_load(settings.read_bytes())["source"].get("target")):
        raise UserError(f"{raw} or its YAML exist, but not all of it from {path} and this target. Add name=...")


def _slug(text: str) -> str:
    """A name that is valid for files and SQL, and that a command line does not take for a value."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()
    return name if re.fullmatch("(?!(inf|nan|null|true|false)$)[a-z_].*", name) else f"data_{name}"


def _describe(name: str, path: Path, raw: Path, target: str | None, read: Any) -> str:
    """Copy all files but hidden ones, look at them, say in conf/ what they are; what is still to be asked."""
    from deepmine.data.preparing import inspect

    hidden = shutil.ignore_patterns(".*")
    try:
        raw.mkdir(parents=True)
        shutil.copytree(path, raw, ignore=hidden, dirs_exist_ok=True) if path.is_dir() else shutil.copy2(path, raw)
    except OSError as error:  # shutil.Error too
        raise UserError(f"{path} cannot be copied to {raw}: {error}") from None
    found = inspect.inspect(name, raw, path.name, target, read)
    print("".join(f"{note}\n" for note in found.notes), end="")
    settings = compose.CONF / f"data/{name}.yaml"
    compose.dump(settings, found.settings, f"# {found.title}.\n#   make prepare data={name}\n")
    return found.question


def version(data: str) -> None:
    """Note the raw files in data.dvc, and for .ci/setup that data/ is what it lists."""
    if subprocess.run([str(ROOT / ".venv/bin/dvc"), "add", "--quiet", data]).returncode:
        raise UserError(f"DVC could not version {data}/, see above.")
    with Path(f"{data}.dvc").open("rb") as noted, (ROOT / ".venv/data").open("wb") as stamp:
        subprocess.run("cksum", stdin=noted, stdout=stamp, check=True)


def _train(name: str, promised: Path) -> str:
    """Freeze the contract, train the first models, print the table of this data set's runs; the last of the models."""
    from deepmine import tasks
    from deepmine.commands import compare, contract, train

    cfg = compose.compose("~experiment", f"data={name}", trains=False)
    if not promised.exists():
        contract.main(cfg)
    for model in QUICK.get(cfg.data.kind, tasks.find(cfg.data.task).first_models):
        if (compose.CONF / f"model/{model}.yaml").exists():
            sys.argv = [sys.argv[0], "train", f"data={name}", f"model={model}"]  # what its record quotes
            train.train(cfg := compose.compose("~experiment", *sys.argv[2:]))
    compare.main(cfg, only=name)
    return cfg.choices.model
