"""From a command line to a checked config: Hydra composes, `schema` checks, a stage runs.

Every verb is started by `run(main)`. A person's mistake ends in one message and exit code 1 (`exits.py`), before
anything heavy is imported.
"""

import os
import re
import secrets
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from hashlib import md5
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from deepmine import ROOT
from deepmine.config import check, exits

CONF = ROOT / "conf"
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())
VERBATIM = ("path", "target", "name", "data.source.query")  # files, columns and SQL are no expressions of Hydra
DECISIVE = (
    "seed",
    "threads",
    "task",
    "data",
    "steps",
    "model",
)  # what a run's numbers depend on, and nothing else; `cv` too, where it is asked for


def run(
    main: Callable[[DictConfig], None], trains: bool = True, after: Callable[[Any, str], None] | None = None
) -> None:
    """Run a stage's `main` with the config that the command line asks for; exit as a program should.

    Args:
        main: the stage.
        trains: whether the stage needs a model that suits the data; `prepare` does not.
        after: what a sweep ends with, well or not; it gets the config of all trials and the sweep's name.
    """
    os.chdir(ROOT)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on, instead of printing them its own way
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    program, verb, *arguments = sys.argv
    arguments, place = [_override(argument) for argument in arguments], Path("multirun", _stamp())
    if {"-m", "--multirun"} & set(arguments):
        arguments.append(f"hydra.sweep.dir={place}")

    def task(composed: DictConfig) -> None:
        hydra_ = HydraConfig.get()
        sweeps = hydra_.mode == RunMode.MULTIRUN
        trial = {"sweep": Path(hydra_.sweep.dir).name, "number": hydra_.job.num} if sweeps else None
        sys.argv = [program, verb, *arguments]  # what the provenance quotes and a process of Lightning's repeats
        with exits.of_trial(hydra_, verb) if sweeps else exits.of_program():
            cfg = _complete(composed, hydra_.runtime.choices, trains, trial)
            limit_threads(cfg.threads)
            main(cfg)

    with exits.of_program():
        sys.argv = [program, *arguments]  # for Hydra, which knows no verbs
        try:
            hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
        finally:
            if after and (place / "multirun.yaml").is_file():
                after(OmegaConf.load(place / "multirun.yaml"), place.name)


def compose(*overrides: str, trains: bool = True) -> DictConfig:
    """The checked config for these overrides, as a stage gets it from the command line.

    Args:
        overrides: as on the command line.
        trains: as for `run`.

    Raises:
        UserError: the overrides or the YAML files cannot be used.
    """
    inside = GlobalHydra.instance().is_initialized()  # in a stage Hydra is at work already
    hydra_ = nullcontext() if inside else hydra.initialize_config_dir(str(CONF), version_base="1.3")
    with exits.explained(), hydra_:
        return _complete(*_compose(*map(_override, overrides)), trains)


def decisive(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run's numbers, resolved, as plain containers."""
    plain = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else cfg
    folds = {"cv": plain["cv"]} if plain["cv"] else {}  # type: ignore[index, call-overload]
    return {key: plain[key] for key in DECISIVE} | folds  # type: ignore[index, call-overload]


def names(cfg: DictConfig) -> dict[str, Any]:
    """What was chosen, for the record: `experiment`, and the file taken in each group."""
    return {"experiment": cfg.choices.experiment, "choices": dict(cfg.choices)}


def digest(value: Any) -> str:
    """MD5 of plain containers."""
    return md5(yaml.safe_dump(value).encode(), usedforsecurity=False).hexdigest()


def dump(path: Path, value: Any, head: str = "") -> None:
    """Write plain containers as block-style YAML, below a comment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")


def pipeline() -> dict[str, Any]:
    """conf/pipeline.yaml: the data sets and experiments that `dvc repro` runs."""
    return yaml.safe_load((CONF / "pipeline.yaml").read_text(encoding="utf-8"))


def limit_threads(threads: int) -> None:
    """Give every numerical library its number of threads, those loaded already and those to come."""
    for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "threadpoolctl" in sys.modules:
        sys.modules["threadpoolctl"].threadpool_limits(threads)


def _override(argument: str) -> str:
    """`a.b=1` may set any key, also one that no YAML mentions: whether there is such a key, `schema` says."""
    key, _, value = argument.partition("=")
    if key in GROUPS and value == "null":
        return f"~{key}"
    if key in VERBATIM and value and value[0] not in "'\"" and value != "null":
        quoted = re.sub(r"(\\*)(')", r"\1\1\\\2", value)  # as in Hydra's grammar: backslashes before a quote are two
        quoted += "\\" * (len(value) - len(value.rstrip("\\")))
        argument = f"{key}='{quoted}'"
    plain = "=" in argument and key[0] not in "+~-" and not key.startswith(("hydra.", "hydra/"))
    return f"++{argument}" if plain and key.partition("@")[0] not in GROUPS else argument


def _compose(*overrides: str) -> tuple[DictConfig, Mapping[str, str]]:
    composed = hydra.compose("config", list(overrides), return_hydra_config=True)
    choices = composed.hydra.runtime.choices
    with open_dict(composed):
        del composed.hydra
    return composed, choices


def _complete(
    composed: DictConfig, choices: Mapping[str, str], trains: bool = True, trial: dict[str, Any] | None = None
) -> DictConfig:
    """Check a composed config; add what was chosen in each group, the folders of data set and run, and the `trial`."""
    cfg = composed.copy()
    with open_dict(cfg):
        place = f"preprocessing.{OmegaConf.select(cfg, 'model._takes_')}.{OmegaConf.select(cfg, 'data.kind')}"
        if OmegaConf.select(cfg, place) is None:
            del cfg.steps  # the model does not take such data, which `check` says better than an interpolation
        cfg.choices = {group: choices.get(group) for group in GROUPS}
        plain: Any = OmegaConf.to_container(cfg, resolve=True)
        check.check({k: v for k, v in plain.items() if k != "choices"}, plain["choices"], trains)
        cfg.trial = trial
        cfg.folders = {
            "dataset": _dataset_folder(cfg),
            "run": cfg.run or (_run_folder(cfg) if trains else None),
        }
    return cfg


def _dataset_folder(cfg: DictConfig) -> str:
    """out/datasets/<name>, or a folder of its own for data settings that are not those of the file."""
    file, _ = _compose("~experiment", f"data={cfg.choices.data}")
    suffix = "" if file.data == cfg.data else f"-{digest(OmegaConf.to_container(cfg.data))[:8]}"
    return f"{cfg.paths.out}/datasets/{cfg.choices.data}{suffix}"


def _run_folder(cfg: DictConfig) -> str:
    """out/runs/<experiment> for an experiment as it is in its file; else out/adhoc/<data>-<model>-<when>.

    A trial of a sweep is never the pipeline's, whatever its settings.
    """
    experiment = cfg.choices.experiment
    if (
        not cfg.trial
        and experiment in pipeline()["experiments"]
        and decisive(_compose(f"experiment={experiment}")[0]) == decisive(cfg)
    ):
        return f"{cfg.paths.out}/runs/{experiment}"
    return f"{cfg.paths.out}/adhoc/{cfg.choices.data}-{cfg.choices.model}-{_stamp()}"


def _stamp() -> str:
    """A name that says when and is not given twice."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
