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
    raw_folder = require_raw(cfg)
    dataset = prepare(cfg.choices.data, settings, raw_folder)
    contract.save(dataset, folder)
    shares = ", ".join(f"{len(part)} {name}" for name, part in dataset.parts())
    print(f"{folder}: {shares}")


def ensure(cfg: DictConfig) -> None:
    """Prepare the data set unless it is there and made from the same files, settings and code."""
    raw_folder, folder = require_raw(cfg), Path(cfg.folders.dataset)
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
    parts = {
        part: _take(raw, index) for part, index in split(settings["split"], raw, settings["train_fraction"]).items()
    }
    info = {
        "name": name,
        "kind": settings["kind"],
        "target": source.get("target"),
        "columns": list(getattr(raw.X, "columns", [])) or None,
        "classes": np.unique(raw.y).tolist() if raw.y is not None and settings["task"] != "regression" else None,
        "split": settings["split"],
        "train_fraction": settings["train_fraction"],
        **raw.facts,
        "made_from": _made_from(settings, raw_folder),
    }
    return Dataset(info, **parts)


def split(settings: Mapping[str, Any], raw: Raw, train_fraction: float = 1.0) -> dict[str, NDArray[np.int64]]:
    """The rows of each part, by number, each part in the order of the source.

    Args:
        settings: `schema.Split`.
        raw: the rows.
        train_fraction: share of the training rows that is kept; the other parts do not depend on it.

    Raises:
        UserError: the classes are too small for a stratified split, or there is no published one.
    """
    everything = np.arange(len(raw.rows))
    strategy, seed = settings["strategy"], settings["seed"]
    if strategy == "time":
        n_train, n_val = (round(len(everything) * (1 - settings["test"] - v)) for v in (settings["val"], 0))
        train, val, test = np.split(everything, [n_train, n_val])
        labels = None
    elif strategy == "published":
        rest, test = _published(raw)
        labels = raw.y if raw.y is not None and raw.y.dtype.kind != "f" else None
        train, val = _cut(rest, settings["val"], labels, seed)
    else:
        labels = raw.y if strategy == "stratified" else None
        rest, test = _cut(everything, settings["test"], labels, seed)
        train, val = _cut(rest, settings["val"] / (1 - settings["test"]), labels, seed)
    if train_fraction < 1:
        _, train = _cut(train, train_fraction, labels, seed)
    return {"train": np.sort(train), "val": np.sort(val), "test": np.sort(test)}


def require_raw(cfg: DictConfig) -> Path:
    """The folder of one data set's raw files, downloaded first where its settings say from where.

    Raises:
        UserError: it is not there.
    """
    data, folder = Path(cfg.paths.data), Path(cfg.paths.data, cfg.data.folder)
    if "download" in cfg.data and cfg.data.download is not None:
        from deepmine.data import download

        download.fetch(folder, cfg.data.download.files, [*cfg.paths.mirrors, *cfg.data.download.mirrors])
    if not folder.is_dir():
        have = f"{data}/ is not there" if not data.is_dir() else f"{folder}/ is not there"
        raise UserError(f"{have}. Restore what data.dvc lists: {RESTORE}")
    return folder


def _made_from(settings: Any, raw_folder: Path) -> dict[str, str]:
    """What a prepared data set depends on: raw files, settings, code."""
    here = Path(__file__).parent
    code = [here / "prepare.py", here / "dataset.py", *sorted((here / "data").glob("*.py"))]
    return {
        "raw": contract.folder_digest(raw_folder),
        "settings": config.digest(settings),
        "code": config.digest([contract.file_digest(path) for path in code]),
    }


def _published(raw: Raw) -> tuple[NDArray, NDArray]:
    """The rows to train with and those to test on, as the source has them."""
    found = [] if raw.parts is None else np.unique(raw.parts).tolist()
    if raw.parts is None or found != ["test", "train"]:
        raise UserError(
            f"The source publishes no split into `train` and `test` ({found or 'it names no parts'}). Name the column "
            "that holds it in data.source, if the reader takes one, or choose another data.split.strategy."
        )
    return np.flatnonzero(raw.parts == "train"), np.flatnonzero(raw.parts == "test")


def _cut(index: NDArray, share: float, labels: NDArray | None, seed: int) -> tuple[NDArray, NDArray]:
    from sklearn.model_selection import train_test_split

    stratify = None if labels is None else labels[index]
    try:
        return train_test_split(index, test_size=share, stratify=stratify, random_state=seed)
    except ValueError as error:
        raise UserError(f"The rows cannot be split: {error} Try data.split.strategy=random.") from None


def _take(raw: Raw, index: NDArray) -> Part:
    X = raw.X.iloc[index].reset_index(drop=True) if hasattr(raw.X, "iloc") else raw.X[index]  # type: ignore[index]
    return Part(X, None if raw.y is None else raw.y[index], raw.rows[index])


if __name__ == "__main__":
    config.run(main, trains=False)
