"""Run a verb: once with the config of the command line, or in a sweep once for each trial; `exits` ends it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from threadpoolctl import threadpool_limits

from deepmine import ROOT
from deepmine.config import compose, exits

COMMAND = "command.txt"  # of a sweep, in its folder
Main = Callable[[DictConfig], None]


def run(main: Main, trains: bool = True, after: Callable[[Any, str], None] | None = None) -> None:
    """Run a verb with the config of the command line; exit as a program should.

    `trains`: data and model must fit. `after` makes it a sweep, and ends it with the trials' config and its name.
    """
    os.chdir(ROOT)
    given = sys.argv[2:]
    with exits.of_program():
        if "--cfg" in given:
            print(
                OmegaConf.to_yaml(compose.compose(*(a for a in given if a not in ("--cfg", "job")), trains=trains)),
                end="",
            )
        elif after:
            _sweep(main, given, after)
        else:
            cfg = compose.compose(*given, trains=trains)
            limit_threads(cfg.threads)
            main(cfg)


def _sweep(main: Main, given: list[str], after: Callable[[Any, str], None]) -> None:
    words = "\n".join(word for word in given if not word.lstrip("+").startswith(("resume=", "hydra")))
    before = _last_sweep(words) if "resume=true" in map(str.lower, given) else None
    place = before or Path("multirun", compose.stamp())

    def trial(composed: DictConfig) -> None:
        its = HydraConfig.get()
        with exits.of_trial(its.job.num, [text.lstrip("+").replace("@_global_", "") for text in its.overrides.task]):
            cfg = compose.complete(composed, its.runtime.choices, trial={"sweep": place.name, "number": its.job.num})
            limit_threads(cfg.threads)
            main(cfg)

    with exits.composing():
        compose.refuse(given)
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors, instead of printing them its own way
        sys.argv = [sys.argv[0], "--multirun", *map(compose.translated, given), f"hydra.sweep.dir={place}"]
        if not before:
            place.mkdir(parents=True)
            (place / COMMAND).write_text(words)
        try:
            hydra.main(version_base="1.3", config_path=str(compose.CONF), config_name="config")(trial)()
        finally:
            if (cfg := _swept(place / "multirun.yaml")) is not None:
                after(cfg, place.name)


def _swept(path: Path) -> Any:
    """The config that Hydra writes before the trials; None: it did not, or was killed and has not come to the end."""
    try:
        cfg = OmegaConf.load(path)
        return cfg if OmegaConf.select(cfg, "tracking.model") is not None else None
    except (OSError, yaml.YAMLError, OmegaConfBaseException):
        return None


def _last_sweep(words: str) -> Path | None:
    """The folder of the last sweep of the same command, but for `resume` and Hydra's own settings."""
    same = [path.parent for path in sorted(Path("multirun").glob(f"*/{COMMAND}")) if path.read_text() == words]
    print(f"resume: it goes on with sweep {same[-1].name}." if same else "resume: no sweep of this command; it starts.")
    return same[-1] if same else None


def limit_threads(threads: int) -> None:
    """Give every numerical library its number of threads, those loaded already and those to come."""
    for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    threadpool_limits(threads)
