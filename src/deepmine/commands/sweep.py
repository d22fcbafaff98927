"""Train once for each combination of settings; the validation rows choose.

make sweep experiment=titanic_tree model.max_depth=2,4,8
"""

from pathlib import Path

from omegaconf import DictConfig

from deepmine.commands import train

main = train.main  # of each trial


def conclude(cfg: DictConfig, name: str) -> None:
    """Say which trial of a sweep the validation rows choose, once all have ended."""
    from deepmine.commands import publish
    from deepmine.runs import ranking, record

    runs = record.find_all(Path(cfg.paths.out), ("adhoc",))
    said = ranking.verdict([run for run in runs if (run.provenance.get("trial") or {}).get("sweep") == name])
    place = f"\nIn MLflow the trials are below the run sweep {name}." if cfg.tracking.uri else ""
    if said:
        print(f"{said}{place} {train.NEXT}")
    publish.wait(cfg, Path(cfg.paths.out))
