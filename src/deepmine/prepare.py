"""Raw files to a prepared data set: read, split once, keep the row ids.

make prepare data=titanic
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from deepmine import config
from deepmine import dataset as contract
from deepmine.data import RESTORE, Raw
from deepmine.dataset import Dataset, Part
from deepmine.errors import UserError


def main(cfg: DictConfig) -> None:
    """Write out/datasets/<name>."""
    folder = Path(cfg.folders.dataset)
    settings = OmegaConf.to_container(cfg.data, resolve=True)
    raw_folder = require_raw(Path(cfg.paths.data), cfg.data.folder)
    dataset = prepare(cfg.choices.data, settings, raw_folder)
    contract.save(dataset, folder)
    shares = ", ".join(f"{len(part)} {name}" for name, part in dataset.parts())
    print(f"{folder}: {shares}")


def ensure(cfg: DictConfig) -> None:
    """Prepare the data set unless it is there and made from the same files, settings and code."""
    raw_folder, folder = require_raw(Path(cfg.paths.data), cfg.data.folder), Path(cfg.folders.dataset)
    with contract.locked(folder):  # two trials of a sweep at once: the second finds what the first made
        info = contract.read_info(folder)
        if info is None or info["made_from"] != _made_from(OmegaConf.to_container(cfg.data, resolve=True), raw_folder):
            main(cfg)


def prepare(name: str, settings: Any, raw_folder: Path) -> Dataset:
    """Read and split the raw files of one data set.

    Args:
        name: of the data set.
        settings: conf/data/<name>.yaml, resolved.
        raw_folder: where its raw files lie.

    Raises:
        UserError: the files cannot be used.
    """
    source = dict(settings["source"])
    raw: Raw = hydra.utils.get_method(source.pop("_target_"))(folder=raw_folder, **source)
    parts = {part: _take(raw, index) for part, index in split(settings["split"], raw).items()}
    info = {
        "name": name,
        "kind": settings["kind"],
        "target": source.get("target"),
        "columns": raw.columns or list(getattr(raw.X, "columns", [])) or None,
        "classes": np.unique(raw.y).tolist() if raw.y is not None and settings["task"] != "regression" else None,
        "split": settings["split"],
        "made_from": _made_from(settings, raw_folder),
    }
    return Dataset(info, **parts)


def split(settings: Mapping[str, Any], raw: Raw) -> dict[str, NDArray[np.int64]]:
    """The rows of each part, by number, each part in the order of the source.

    Raises:
        UserError: the classes are too small for a stratified split.
    """
    from sklearn.model_selection import train_test_split

    labels = raw.y if settings["strategy"] == "stratified" else None
    rest, test = _cut(train_test_split, np.arange(len(raw.rows)), settings["test"], labels, settings["seed"])
    share = settings["val"] / (1 - settings["test"])
    train, val = _cut(train_test_split, rest, share, labels, settings["seed"])
    return {"train": np.sort(train), "val": np.sort(val), "test": np.sort(test)}


def require_raw(data: Path, folder: str) -> Path:
    """The folder of one data set's raw files.

    Raises:
        UserError: it is not there.
    """
    if not (data / folder).is_dir():
        have = f"{data}/ is not there" if not data.is_dir() else f"{data}/{folder}/ is not there"
        raise UserError(f"{have}. Restore what data.dvc lists: {RESTORE}")
    return data / folder


def _made_from(settings: Any, raw_folder: Path) -> dict[str, str]:
    """What a prepared data set depends on: raw files, settings, code."""
    here = Path(__file__).parent
    code = [here / "prepare.py", here / "dataset.py", *sorted((here / "data").glob("*.py"))]
    return {
        "raw": contract.folder_digest(raw_folder),
        "settings": config.digest(settings),
        "code": config.digest([contract.file_digest(path) for path in code]),
    }


def _cut(cut: Any, index: NDArray, share: float, labels: NDArray | None, seed: int) -> tuple[NDArray, NDArray]:
    stratify = None if labels is None else labels[index]
    try:
        return cut(index, test_size=share, stratify=stratify, random_state=seed)
    except ValueError as error:
        raise UserError(f"The rows cannot be split: {error} Try data.split.strategy=random.") from None


def _take(raw: Raw, index: NDArray) -> Part:
    X = raw.X.iloc[index].reset_index(drop=True) if hasattr(raw.X, "iloc") else raw.X[index]  # type: ignore[index]
    return Part(X, None if raw.y is None else raw.y[index], raw.rows[index])


if __name__ == "__main__":
    config.run(main, trains=False)
