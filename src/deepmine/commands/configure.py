"""Compose every experiment of conf/pipeline.yaml to one file each, for DVC to watch.

A stage of `dvc repro` depends on the *composed* config of its experiment: an edit under conf/ re-runs exactly the
experiments whose settings it changes.

make configure
"""

from pathlib import Path

from omegaconf import DictConfig

from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import folders

FILES = {"configure.txt": "Written by `configure`", "*.yaml": "", "data": ""}  # of out/configs


def main(cfg: DictConfig) -> None:
    """Write out/configs/<experiment>.yaml and out/configs/data/<name>.yaml."""
    pipeline = compose.pipeline()
    experiments = {name: compose.compose(f"experiment={name}") for name in pipeline["experiments"]}
    for name, composed in experiments.items():
        _check(name, composed, pipeline)
    datasets = {composed.choices.data: compose.decisive(composed)["data"] for composed in experiments.values()}
    folder = Path(cfg.paths.out) / "configs"
    with folders.rebuilt(folder, FILES) as new:
        (new / "configure.txt").write_text("Written by `configure`, which replaces the whole folder.\n")
        for name, composed in experiments.items():
            compose.dump(new / f"{name}.yaml", compose.decisive(composed))
        for name, settings in datasets.items():
            compose.dump(new / f"data/{name}.yaml", settings)
    print(f"{folder}: {len(experiments)} experiments on {len(datasets)} data sets")


def _check(name: str, composed: DictConfig, pipeline: dict) -> None:
    """Does conf/pipeline.yaml agree with the file of an experiment?"""
    listed, chosen = pipeline["experiments"][name]["data"], composed.choices.data
    if listed != chosen or chosen not in pipeline["datasets"]:
        do = f"Write `data: {chosen}` there, and list {chosen} under `datasets`."
        raise UserError(f"conf/pipeline.yaml lists `data: {listed}` for {name}, but its file chooses {chosen}. {do}")
    if composed.cv:
        raise UserError(f"conf/experiment/{name}.yaml sets `cv`. DVC tracks no folds: set it on the command line.")
    if Path(composed.folders.dataset).name != chosen:
        why = f"so its scores would not compare with others on {chosen}"
        do = f"Give it a data set of its own: copy conf/data/{chosen}.yaml."
        raise UserError(f"conf/experiment/{name}.yaml changes settings of `data`, {why}. {do}")
