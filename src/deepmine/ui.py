"""Open the MLflow UI on the tracker that runs are published to.

make ui
"""

import os
import sys
from pathlib import Path

from omegaconf import DictConfig

from deepmine import config
from deepmine.errors import UserError


def main(cfg: DictConfig) -> None:
    """Serve a local store on this machine, or say where the team's server is."""
    uri = cfg.tracking.uri
    if uri is None:
        raise UserError("There is no tracker: `tracking.uri` is null. Choose tracking=mlflow.")
    if uri.startswith("http"):
        print(f"The runs are on {uri}")
        return
    from deepmine import store

    store.connect(uri)
    print(f"MLflow is on http://127.0.0.1:{cfg.port}  (Ctrl-C ends it)", flush=True)
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    os.execv(
        mlflow,
        [
            mlflow,
            "ui",
            "--backend-store-uri",
            uri,
            "--host",
            "127.0.0.1",
            "--port",
            str(cfg.port),
            "--workers",
            "1",
        ],
    )


if __name__ == "__main__":
    config.run(main, trains=False)
