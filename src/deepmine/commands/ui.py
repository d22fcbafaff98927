"""Open the MLflow UI on the tracker that runs are published to.

make ui
"""

import os
import socket
import sys
from pathlib import Path

from omegaconf import DictConfig

from deepmine.config.errors import UserError, shown

QUIET = {"PYTHONWARNINGS": "ignore", "MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def main(cfg: DictConfig) -> None:
    """Serve a local store on this machine, or say where the team's server is."""
    uri = cfg.tracking.uri
    if uri is None:
        raise UserError("There is no tracker: `tracking.uri` is null. Choose tracking=mlflow.")
    if uri.startswith("http"):
        print(f"The runs are on {shown(uri)}")
        return
    try:
        socket.create_server(("127.0.0.1", cfg.port)).close()
    except OSError:
        raise UserError(f"Port {cfg.port} is taken. Choose another: make ui port={cfg.port + 1}") from None
    from deepmine.runs.tracking import store

    address = f"http://127.0.0.1:{cfg.port}"
    print(f"MLflow is on {address}  (Ctrl-C ends it). The runs of")
    for name, link in store.views(store.connect(uri), address):
        print(f"  {name}\n    {link}")
    sys.stdout.flush()
    options = ["--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(cfg.port), "--workers", "1"]
    options += ["--uvicorn-opts", "--log-level critical"]  # else each request, and a traceback after Ctrl-C
    program = str(Path(sys.executable).with_name("mlflow"))
    os.execve(program, [program, "ui", *options], os.environ | QUIET)  # it becomes the server, until Ctrl-C
