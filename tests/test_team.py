"""What docs/guides/team.md promises, with its own lines, on real servers: S3 (moto), SSH (asyncssh) and MLflow.

All servers listen on 127.0.0.1 alone. moto and dvc-ssh are installed into folders of their own, from the package index.
"""

import asyncio
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import FEW, environment, make_clone, pipeline, run, stage
from deepmine import ROOT
from deepmine.commands import ui
from deepmine.config import compose
from deepmine.config.errors import UserError
from deepmine.data import dataset, digests
from deepmine.runs.tracking import store

pytestmark = pytest.mark.slow

SOON, LATER = 120, 600  # seconds that a command may take: a single one, the whole pipeline
FOREIGN = ("AWS_", "DVC_", "GIT_", "MLFLOW_")  # settings of the person who runs the tests
LOAD = """
import sys
import mlflow, numpy, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
X, y = pandas.read_parquet(f"{sys.argv[2]}/parts/X_test.parquet"), numpy.load(f"{sys.argv[2]}/parts/y_test.npy")
print((model.predict(X) == y).mean())
"""
CONNECT = """
import sys
from deepmine.runs.tracking import store
print(len(store.connect(sys.argv[1]).search_experiments()))
"""


@dataclass
class Remote:
    """A data server of the team."""

    lines: list[str]  # of docs/guides/team.md, which lead to it
    env: dict[str, str]  # what a person on it has set
    write: Callable[[str, bytes], None]  # overwrites the object with this MD5


# The lines of docs/guides/team.md, and what runs them


def documented(begin: str) -> str:
    """The one command or setting in docs/guides/team.md that begins like this."""
    text = (ROOT / "docs/guides/team.md").read_text(encoding="utf-8").replace("\\\n", " ")
    found = [s for s in [*text.splitlines(), *re.findall(r"`([^`\n]+)`", text)] if s.startswith(begin)]
    if begin in found:
        return begin
    assert len(found) == 1, f"docs/guides/team.md has {len(found)} lines that begin with {begin!r}"
    return found[0]


def do(line: str, root: Path, timeout: int = SOON, **env: str) -> str:
    """Run a line as a person would, which must succeed; its output."""
    return succeed(run("sh", "-euc", line, root=root, env=env, timeout=timeout))


def succeed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(*arguments: str | Path) -> None:
    subprocess.run([ROOT / ".venv/bin/uv", "pip", "install", "-q", *arguments], check=True, timeout=LATER)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
    """The status of an HTTP answer; 0 where nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def wait_until(true: Callable[[], bool], seconds: float, else_say: Callable[[], str]) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, else_say()
        time.sleep(0.1)


@contextmanager
def served(line: str, port: int, health: str, folder: Path) -> Iterator[None]:
    """A server in `folder` for as long as the block runs, started by a shell line."""
    log = folder / "server.log"
    with log.open("ab") as out:
        server = subprocess.Popen(
            ["sh", "-euc", line], cwd=folder, env=environment(), stdout=out, stderr=out, start_new_session=True
        )
    try:
        wait_until(lambda: ask(port, "GET", health) == 200 or server.poll() is not None, SOON, log.read_text)
        assert server.poll() is None, log.read_text()
        yield
    finally:
        stop(server)
        wait_until(lambda: ask(port, "GET", health) == 0, 30, log.read_text)


def stop(server: subprocess.Popen[bytes]) -> None:
    """End a server and all that it started."""
    with suppress(ProcessLookupError):  # gone already
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(30)


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[str]:
    """The server of docs/guides/team.md, for this machine alone; its address."""
    folder.mkdir(exist_ok=True)
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(ROOT / ".venv")
    line = documented("MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false")
    line = line.replace("--host 0.0.0.0 --port 5000", f"--host 127.0.0.1 --port {port}")
    with served(line, port, "/health", folder):
        yield f"http://127.0.0.1:{port}"


# Places and servers


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person's own settings, and no proxy before 127.0.0.1."""
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "dvc"))  # what DVC believes to be on a remote
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.com")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of a person in the team, on branch main, with the starter data."""
    folder = tmp_path / "deepmine"
    make_clone(folder)
    do("git branch -M main", folder)
    return folder


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """An S3 server with the bucket of docs/guides/team.md, and an AWS profile as in ~/.aws/credentials."""
    folder, port = tmp_path_factory.mktemp("s3"), free_port()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=SOON)
    install("--python", folder / "venv/bin/python", "moto[server]")
    credentials = folder / "credentials"
    credentials.write_text("[team]\naws_access_key_id = testing\naws_secret_access_key = testing\n")
    lines = [
        documented(".venv/bin/dvc remote modify starter url s3://"),
        documented(".venv/bin/dvc remote modify starter endpointurl").replace(
            "https://s3.example.org", f"http://127.0.0.1:{port}"
        ),
        documented(".venv/bin/dvc remote modify --local starter profile"),
    ]
    # moto lets nobody unnamed overwrite, and checks no signature
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"}
    bucket, prefix = lines[0].split("s3://")[1].split("/")

    def write(md5: str, content: bytes) -> None:
        assert ask(port, "PUT", f"/{bucket}/{prefix}/files/md5/{md5[:2]}/{md5[2:]}", content, **signed) == 200

    with served(f"exec venv/bin/moto_server -H 127.0.0.1 -p {port}", port, "/moto-api/", folder):
        assert ask(port, "PUT", f"/{bucket}") == 200
        yield Remote(lines, {"AWS_SHARED_CREDENTIALS_FILE": str(credentials)}, write)


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """An SSH server with a folder for the data, and a person whose key it knows."""
    import asyncssh

    folder = tmp_path_factory.mktemp("ssh")
    packages = folder / "packages"
    constraints = ("--no-deps", "-c", ROOT / "constraints.txt")
    install("--python", sys.executable, "--target", packages, *constraints, "dvc-ssh", "sshfs")
    store, home, key = folder / "store", folder / "home", asyncssh.generate_private_key("ssh-ed25519")
    store.mkdir()
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    key.write_private_key(home / ".ssh/id_ed25519")
    key.write_public_key(folder / "authorized_keys")
    options = {
        "server_host_keys": [asyncssh.generate_private_key("ssh-ed25519")],
        "authorized_client_keys": str(folder / "authorized_keys"),
        "sftp_factory": True,
    }

    def write(md5: str, content: bytes) -> None:
        path = store / "files/md5" / md5[:2] / md5[2:]
        path.chmod(0o644)
        path.write_bytes(content)

    with ssh_server(options) as port:
        line = documented(".venv/bin/dvc remote modify starter url ssh://")
        line = line.replace("data.example.org/srv/deepmine", f"127.0.0.1:{port}{store}")
        yield Remote([line], {"HOME": str(home), "PYTHONPATH": str(packages)}, write)


@contextmanager
def ssh_server(options: dict[str, Any]) -> Iterator[int]:
    """An SSH server in a thread of this process; its port."""
    import asyncssh

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncssh.listen("127.0.0.1", 0, **options))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.get_port()
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


# Shared data


@pytest.mark.parametrize("kind", ["s3", "ssh"])
def test_the_data_come_back_whole_from_the_teams_remote_or_not_at_all(
    kind: str, checkout: Path, request: pytest.FixtureRequest
) -> None:
    remote = request.getfixturevalue(kind)
    move_data(checkout, remote)
    wanted = dataset.folder_digest(checkout / "data")
    assert wanted in (checkout / "data.dvc").read_text()
    some_file = min((checkout / "data").rglob("*.csv"))
    md5, content = digests.file_digest(some_file), some_file.read_bytes()

    for on_server, whole in ((content, True), (b"damaged", False), (content, True)):
        remote.write(md5, on_server)
        forget_data(checkout)
        pulled = run(".venv/bin/dvc", "pull", "data.dvc", root=checkout, env=remote.env, timeout=SOON)
        assert (pulled.returncode == 0) is whole, pulled.stdout + pulled.stderr
        assert some_file.exists() is whole
    assert dataset.folder_digest(checkout / "data") == wanted


@pytest.mark.slow
def test_setup_removes_no_file_that_dvc_never_saved(checkout: Path) -> None:
    shared = checkout / ".venv"
    shared.unlink()  # setup writes there: the clone gets one of its own, with the installed things of the other
    shared.mkdir()
    for path in (ROOT / ".venv").iterdir():
        if path.name not in ("ready", "data"):
            (shared / path.name).symlink_to(path)
    do("cat pyproject.toml constraints.txt .ci/setup | cksum > .venv/ready", checkout)
    new, changed = checkout / "data/ferry/mine.csv", min((checkout / "data/birds").iterdir())
    saved = changed.read_bytes()
    for path in (new, changed):
        path.write_text("mine")
    ended = run("sh", ".ci/setup", "python3", root=checkout)
    assert ended.returncode == 1
    assert f"{changed}\n{new}\nMove them" in ended.stderr and "--force" not in ended.stderr
    assert new.read_text() == changed.read_text() == "mine"
    for path in (new, changed):
        path.unlink()
    do("sh .ci/setup python3", checkout)
    assert changed.read_bytes() == saved


def move_data(checkout: Path, remote: Remote) -> None:
    """All that docs/guides/team.md says, from the starter data in git to the team's remote."""
    then = [".venv/bin/dvc push data.dvc", "git rm", 'git commit -qam "Keep']
    for line in [*remote.lines, *map(documented, then)]:
        do(line, checkout, **remote.env)


def forget_data(checkout: Path) -> None:
    for folder in ("data", ".dvc/cache"):
        shutil.rmtree(checkout / folder, ignore_errors=True)


def test_settings_of_one_person_stay_out_of_git(checkout: Path) -> None:
    do(documented(".venv/bin/dvc remote modify starter url s3://"), checkout)
    do(documented(".venv/bin/dvc remote modify --local"), checkout)
    assert "profile = team" in (checkout / ".dvc/config.local").read_text()
    assert "config.local" not in do("git status --short --untracked-files=all", checkout)
    assert do("git diff --numstat", checkout) == "1\t1\t.dvc/config\n"  # one line, and `verify` is not in it


def test_the_setup_script_has_the_extras_that_the_page_names() -> None:
    assert documented("[dev,s3]") in (ROOT / ".ci/setup").read_text()


def test_a_pull_request_shows_changed_scores(checkout: Path) -> None:
    path = checkout / "out/scores/ferry_tree.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"test/accuracy": 0.75}\n')
    do("git add -A && git commit -qm scores", checkout)
    path.write_text('{"test/accuracy": 0.5}\n')
    changed = do(documented(".venv/bin/dvc metrics diff main"), checkout).splitlines()
    assert len(changed) == 2
    assert re.search(r"ferry_tree.json +test/accuracy +0\.[78]\d* +0\.5 ", changed[1])


def test_a_colleague_has_all_runs_without_training(s3: Remote, checkout: Path, tmp_path: Path) -> None:
    move_data(checkout, s3)
    nobody = f"http://127.0.0.1:{free_port()}"
    do(".venv/bin/dvc repro", checkout, LATER, MLFLOW_TRACKING_URI=nobody)
    do("git add -A", checkout)  # the first scores and the lock are new here
    for line in [documented(".venv/bin/dvc push"), documented('git commit -qam "Train')]:
        do(line, checkout, **s3.env)

    colleague = tmp_path / "colleague"
    do(f"git clone -q {checkout} {colleague}", tmp_path)
    (colleague / ".venv").symlink_to(ROOT / ".venv")
    do(s3.lines[-1], colleague)
    do(documented(".venv/bin/dvc pull"), colleague, **s3.env)
    assert "up to date" in do(".venv/bin/dvc status", colleague)
    with mlflow_server(tmp_path / "server", free_port()) as uri:
        succeed(stage("publish", root=colleague, env={"MLFLOW_TRACKING_URI": uri}, timeout=LATER))
        names = [found.info.run_name for name in pipeline(checkout)["datasets"] for found in runs(uri, name)]
    assert sorted(names) == sorted(FEW)


# Shared MLflow


def test_the_address_is_one_line_for_a_person_and_one_for_everybody(checkout: Path) -> None:
    ui, says = ".venv/bin/deepmine ui", "The runs are on http://mlflow.example.org:5000\n"
    assert do(f"{documented('export MLFLOW_TRACKING_URI')}; {ui}", checkout) == says
    path = checkout / "conf/tracking/mlflow.yaml"
    path.write_text(re.sub("^uri: .*", documented("uri: "), path.read_text(), flags=re.MULTILINE))
    assert do(ui, checkout) == says
    assert "http://mine" in do(ui, checkout, MLFLOW_TRACKING_URI="http://mine")


def test_the_server_answers_to_the_names_it_was_given(tmp_path: Path) -> None:
    port, name = free_port(), "mlflow.example.org:5000"
    given = {"Host": name, "Origin": f"http://{name}", "Content-Type": "application/json"}
    search = ("POST", "/ajax-api/2.0/mlflow/runs/search", b'{"experiment_ids": ["0"]}')
    with mlflow_server(tmp_path / "server", port):
        assert ask(port, *search, **given) == 200
        assert ask(port, *search, **given | {"Host": "elsewhere.example.org"}) == 403
        assert ask(port, *search, **given | {"Origin": "http://elsewhere.example.org"}) == 403


def test_a_run_is_on_the_server_once_with_its_model(checkout: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with mlflow_server(tmp_path / "server", free_port()) as uri:
        at("train", "experiment=ferry_tree", checkout=checkout, out=out, uri=uri)
        at("train", "experiment=ferry_mlp", "trainer.max_epochs=3", checkout=checkout, out=out, uri=uri)
        at("evaluate", "experiment=ferry_tree", checkout=checkout, out=out, uri=uri)  # sends the record again
        assert at("publish", checkout=checkout, out=out, uri=uri).stdout.count(f"is in {uri}") == 2
        found = {found.data.params["model._target_"].split(".")[-1]: found for found in runs(uri, "ferry")}
        tree, net = found.pop("DecisionTreeClassifier"), found.pop("LightningClassifier")
        assert len(runs(uri, "ferry")) == 2

        assert tree.info.status == net.info.status == "FINISHED"
        assert {"config.yaml", "provenance.json", "metrics.json", "evaluation"} <= artifacts(uri, tree)
        assert points(uri, tree) == {1}
        assert points(uri, net) == {1, 3}  # final scores once, three epochs once
        for one in (tree, net):
            assert accuracy(uri, one, out / "datasets/ferry") == pytest.approx(one.data.metrics["test/accuracy"])


def test_an_outage_costs_no_run(checkout: Path, tmp_path: Path) -> None:
    port, out = free_port(), tmp_path / "out"
    with mlflow_server(tmp_path / "server", port) as uri:
        at("train", "experiment=ferry_tree", checkout=checkout, out=out, uri=uri)
    says = at("train", "experiment=ferry_tree", "model.max_depth=3", checkout=checkout, out=out, uri=uri).stderr
    assert f"The MLflow server {uri} does not answer" in says
    assert f"Send it later: {documented('make publish')}" in says

    done = stage("publish", f"paths.out={out}", root=checkout, env={"MLFLOW_TRACKING_URI": uri}, timeout=SOON)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
    with mlflow_server(tmp_path / "server", port):
        at("publish", checkout=checkout, out=out, uri=uri)
        assert sorted(found.data.params["model.max_depth"] for found in runs(uri, "ferry")) == ["3", "5"]
        assert {found.info.status for found in runs(uri, "ferry")} == {"FINISHED"}


@pytest.mark.parametrize("backlog", [None, 1], ids=["absent", "silent"])
def test_a_dead_server_costs_seconds(backlog: int | None) -> None:
    from deepmine.runs.tracking import store

    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        if backlog is not None:
            dead.listen(backlog)  # takes the call, says nothing
        begin = time.monotonic()
        with pytest.raises(UserError, match="does not answer"):
            store.connect(f"http://127.0.0.1:{dead.getsockname()[1]}")
    assert time.monotonic() - begin < 10


def test_eight_processes_may_be_the_first_to_use_a_local_store(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    command = [sys.executable, "-c", CONNECT, uri]
    all_at_once = [
        subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    try:
        results = [process.communicate(timeout=SOON) for process in all_at_once]
    finally:
        for process in all_at_once:
            process.kill()
    assert [process.returncode for process in all_at_once] == [0] * 8, results
    assert {out for out, _ in results} == {"1\n"}


def at(verb: str, *overrides: str, checkout: Path, out: Path, uri: str) -> subprocess.CompletedProcess[str]:
    """Run a stage of the checkout that writes to `out` and publishes to `uri`, which must succeed."""
    overrides = (*overrides, f"paths.out={out}", "tracking=mlflow")
    done = stage(verb, *overrides, root=checkout, env={"MLFLOW_TRACKING_URI": uri}, timeout=SOON)
    succeed(done)
    return done


def runs(uri: str, experiment: str) -> list[Any]:
    """All runs in an MLflow experiment, which bears the name of the data set."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


def artifacts(uri: str, found: Any) -> set[str]:
    from mlflow import MlflowClient

    return {file.path for file in MlflowClient(uri).list_artifacts(found.info.run_id)}


def points(uri: str, found: Any) -> set[int]:
    """How many points the metrics of a run have."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    return {len(client.get_metric_history(found.info.run_id, key)) for key in found.data.metrics}


def accuracy(uri: str, found: Any, folder: Path) -> float:
    """The share of test rows that the model from the server predicts, in a process that has nothing else."""
    command = [sys.executable, "-c", LOAD, f"runs:/{found.info.run_id}/model", str(folder)]
    return float(succeed(run(*command, root=folder, env={"MLFLOW_TRACKING_URI": uri}, timeout=SOON)).split()[-1])


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cfg = compose.compose(f"port={port}", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", trains=False)
        with pytest.raises(UserError, match=f"Port {port} is taken"):
            ui.main(cfg)


def test_the_ui_links_the_runs_of_each_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = store.connect(uri)
    number = store.experiment(client, "birds", uri)
    for task in ("decomposition", "clustering", "clustering"):
        store.share_view(client, number, task)
    monkeypatch.setattr(os, "execve", lambda *_: None)
    ui.main(compose.compose("port=5079", f"tracking.uri={uri}", trains=False))
    runs = f"    http://127.0.0.1:5079/#/experiments/{number}/runs?workflowType=machine_learning&viewStateShareKey="
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  birds, clustering",
        f"{runs}clustering",
        "  birds, decomposition",
        f"{runs}decomposition",
    ]
