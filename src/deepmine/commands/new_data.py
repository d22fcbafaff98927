"""Your own data, without Python: a table, texts, a folder of images by class, or baskets become a data set.

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

NO_NAMES = ("inf", "nan", "null", "true", "false")  # which a command line takes for a value
FIRST_MODELS = {  # that are trained, by task
    "classification": ["tree", "mlp"],
    "regression": ["ridge", "regression_boosting", "regression_mlp"],
    "clustering": ["kmeans", "gmm"],
    "decomposition": ["pca"],
    "anomalies": ["isolation_forest"],
    "rules": ["rules"],
}
NEXT = """conf/data/{name}.yaml says how {name} is read, cleaned, protected and split, conf/data/contract/{name}.yaml
what it promised. Read and edit both, they are yours. Next:
  make train data={name} model={model} seed=1
  make compare
  git add conf data.dvc && git commit -m "Add {name}" && .venv/bin/dvc push"""


def main(cfg: DictConfig) -> None:
    """Copy the files below data/, write their config, version them, train and compare.

    What an earlier call made of the same files is kept, edited or not: after a stop, the same command continues.
    """
    path, name = _require_path(cfg.path), cfg.name or _slug(Path(cfg.path or "").name.partition(".")[0])
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise UserError(f"`name` is {name!r}, but must be letters, digits and _, such as name={_slug(name)}")
    raw = Path(cfg.paths.data) / name
    made = [raw, *(compose.CONF / f"data/{place}{name}.yaml" for place in ("", "contract/"))]
    if any(place.exists() for place in made):
        _require_same(path, name, cfg.target, made)
        print(f"{name} exists, made of the same files: continuing with conf/data/{name}.yaml as it is.")
    else:
        try:
            _describe(name, path, raw, cfg.target, OmegaConf.to_container(cfg.read))
        except BaseException:
            for place in made:
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
            raise
    try:
        version(cfg.paths.data)
        print(NEXT.format(name=name, model=_train(name)))
    except BaseException:
        print(f"data/{name} and conf/data/{name}.yaml are kept: the same command continues from here.", file=sys.stderr)
        raise


def _require_path(given: str | None) -> Path:
    path = Path(given or "").expanduser().resolve()
    if not given or not path.exists():
        raise UserError(f"{given} does not exist. Which data? make new-data path=/somewhere/churn.csv target=churned")
    if ROOT.is_relative_to(path):
        raise UserError(f"{path} holds this repository. Name the file or folder that holds the data alone.")
    for file in path.rglob("*") if path.is_dir() else [path]:
        if not file.is_file() and not file.is_dir():
            raise UserError(f"{file} is not a regular file. Remove it, or name another path.")
    return path


def _require_same(path: Path, name: str, target: str | None, made: list[Path]) -> None:
    """A `UserError` unless an earlier call made all of this, of the same files and for the same target."""
    raw, settings, _ = made
    files = [str(file.relative_to(raw)) for file in raw.rglob("*") if file.is_file()]
    same = filecmp.cmpfiles(path if path.is_dir() else path.parent, raw, files, shallow=False)[0]
    whole = all(place.exists() for place in made) and sorted(same) == sorted(files)
    if not whole or target not in (None, yaml.safe_load(settings.read_text(encoding="utf-8"))["source"].get("target")):
        there = ", ".join(str(place) for place in made if place.exists())
        raise UserError(f"{there}: exists, but not all of it from {path} and this target. Add name=..., or remove it.")


def _slug(text: str) -> str:
    """A name that is valid for files, commands and SQL."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()
    return f"data_{name}" if not name or name[0].isdigit() or name in NO_NAMES else name


def _describe(name: str, path: Path, raw: Path, target: str | None, read: Any) -> None:
    """Copy all files but hidden ones, look at them, say in conf/ what they are and promise."""
    from deepmine.commands import contract
    from deepmine.data.preparing import inspect

    try:
        if path.is_dir():
            shutil.copytree(path, raw, ignore=shutil.ignore_patterns(".*"))
        else:
            raw.mkdir(parents=True)
            shutil.copy2(path, raw)
    except OSError as error:  # shutil.Error too
        raise UserError(f"{path} cannot be copied to {raw}: {error}") from None
    found = inspect.inspect(name, raw, path.name, target, read)
    print(*found.notes, sep="\n")
    model = "logistic" if found.settings["kind"] == "text" else FIRST_MODELS[found.settings["task"]][0]
    head = f"# {found.title}.\n#   make train data={name} model={model}\n"
    compose.dump(compose.CONF / f"data/{name}.yaml", _literal(found.settings), head)
    contract.main(compose.compose("~experiment", f"data={name}", trains=False))


def _literal(value: Any) -> Any:
    """Names that come from data are not expressions: `${...}` in them is escaped, for OmegaConf."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def version(data: str) -> None:
    """Note the raw files in data.dvc, and for .ci/setup that data/ is what it lists."""
    if subprocess.run([str(ROOT / ".venv/bin/dvc"), "add", "--quiet", data]).returncode:
        raise UserError(f"DVC could not version {data}/ (see above).")
    with Path(f"{data}.dvc").open("rb") as noted, (ROOT / ".venv/data").open("wb") as stamp:
        subprocess.run("cksum", stdin=noted, stdout=stamp, check=True)


def _train(name: str) -> str:
    """Train the first models, print the table of this data set's runs; the last of the models."""
    from deepmine.commands import compare, train

    data = compose.compose("~experiment", f"data={name}", trains=False).data
    models = ["logistic"] if data.kind == "text" else FIRST_MODELS[data.task] + ["cnn"] * (data.kind == "image")
    settings = [compose.compose("~experiment", f"data={name}", f"model={model}") for model in models]
    for cfg in settings:
        train.train(cfg)
    compare.main(settings[0], only=name)
    return models[-1]
