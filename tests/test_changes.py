"""The patch of uncommitted changes: it makes the same tree again, and holds no secret and no large file."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from deepmine.config.errors import shown
from deepmine.runs import provenance

GITHUB = "ghp_" + 36 * "a"


def git(folder: Path, *command: str) -> bytes:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "core.autocrlf=false")
    return subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a commit of one file."""
    root = (tmp_path / "root").resolve()
    root.mkdir()
    git(root, "init", "-q")
    (root / "code.py").write_text("import os\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    monkeypatch.setattr(provenance, "ROOT", root)
    return root


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def nested(root: Path, commits: bool) -> None:
    write(root / "nested/inside.txt", b"1")
    git(root / "nested", "init", "-q")
    if commits:
        git(root / "nested", "add", "-A")
        git(root / "nested", "commit", "-qm", "inside")


@pytest.mark.parametrize(
    "change",
    [
        lambda root: write(root / "latin.txt", "Caf\xe9\n".encode("latin-1")),
        lambda root: write(root / "code.py", b"caf\xe9 = 1\n"),
        lambda root: write(root / os.fsdecode(b"caf\xe9"), b"a name that is not UTF-8"),
        lambda root: write(root / "lines.txt", b"CR LF\r\nCR\rno end"),
        lambda root: write(root / "zz.bin", bytes(range(256)) * 9),
        lambda root: (root / "code.py").unlink(),
        lambda root: (root / "code.py").chmod(0o755),
        lambda root: (root / "link").symlink_to("code.py"),
        lambda root: ((root / "code.py").unlink(), write(root / "code.py/inside", b"a folder now")),
        lambda root: (git(root, "mv", "code.py", "moved.py"), write(root / "code.py", b"another")),
        lambda root: nested(root, commits=False),
        lambda root: nested(root, commits=True),
        lambda root: (write(root / "out/x", b"of a stage"), write(root / "dvc.lock", b"of DVC")),
        lambda root: None,
    ],
    ids=[
        *("latin-1", "tracked", "name", "CR", "binary", "deleted", "mode", "link", "folder", "moved"),
        *("empty-nested", "nested", "outputs", "nothing"),
    ],
)
def test_the_patch_makes_the_same_tree_again(repository: Path, tmp_path: Path, change) -> None:
    change(repository)
    found, patch = provenance.code()
    assert "nested" in str(found["left_out"]) if (repository / "nested").exists() else not found["left_out"]
    git(tmp_path, "clone", "-q", str(repository), "again")
    write(tmp_path / "patch.diff", patch)
    if patch:
        git(tmp_path / "again", "apply", "--cached", "--check", str(tmp_path / "patch.diff"))
        git(tmp_path / "again", "apply", "--index", str(tmp_path / "patch.diff"))
    assert git(tmp_path / "again", "write-tree").decode().strip() == found["tree"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *[
            (name, "x = 1")
            for name in (".env.local", "deploy/tls.pem", ".ssh/id_rsa", "secrets.yaml", "secrets/prod.ini")
        ],
        ("aws.py", "key = 'AKIA" + 16 * "Z" + "'"),
        ("notes.txt", "-----BEGIN OPENSSH PRIVATE KEY-----"),
        ("notebook.ipynb", json.dumps({"source": ['password = "hunter2-hunter2"']})),
        ("settings.yaml", "user: joe\npassword: hunter2-hunter2\n"),
        ("db.toml", 'url = "postgresql://joe:hunter2@host/db"'),
        ("code.py", f"import os\ntoken = {GITHUB}\n"),
        ("weights.bin", f"\0\0{GITHUB}\0"),
    ],
)
def test_what_looks_like_a_secret_is_named_and_not_kept(repository: Path, name: str, content: str) -> None:
    write(repository / name, content.encode())
    write(repository / "fine.py", b"password = os.environ['PASSWORD']\ntokens: int = 5\n")
    found, patch = provenance.code()
    assert list(found["left_out"]) == [name] and "secret" in found["left_out"][name] and found["dirty"]
    assert patch.count(b"diff --git") == 1 and b"fine.py" in patch


def test_a_large_file_and_a_pipe_are_named_and_git_does_not_grow(repository: Path) -> None:
    write(repository / "large.bin", bytes(provenance.LARGE + 1))
    os.mkfifo(repository / "pipe")
    (repository / "code.py").unlink()
    os.mkfifo(repository / "code.py")
    write(repository / "small.txt", b"small")
    before = sorted((repository / ".git").rglob("*"))
    found, patch = provenance.code()
    digest = subprocess.run(["md5sum", repository / "large.bin"], capture_output=True, text=True).stdout.split()[0]
    assert found["left_out"] == {"code.py": "not a file", "large.bin": f"over 1 MB, md5 {digest}"}
    assert b"small.txt" in patch and len(patch) < 1000
    assert sorted((repository / ".git").rglob("*")) == before


def test_a_repository_of_someone_else_costs_no_run(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    found, patch = provenance.code()
    assert "dubious ownership" in found["note"] and "safe.directory" in found["note"] and patch == b""
    monkeypatch.setenv("PATH", "")
    assert "git" in provenance.code()[0]["note"]


def test_a_user_without_a_name_costs_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: {}["no name"])
    (tmp_path / "raw").mkdir()
    assert provenance.collect(tmp_path, "some", tmp_path / "raw")[0]["user"] == str(os.getuid())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://joe:p@ss@host:5000/x", "http://***@host:5000/x"),
        ("paths.mirrors=[ftp://a:b@c/d,/e@f]", "paths.mirrors=[ftp://***@c/d,/e@f]"),
        ("postgresql://host/db?user=joe&password=p%40ss", "postgresql://host/db?user=joe&password=***"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("model.max_depth=4", "model.max_depth=4"),
    ],
)
def test_a_password_is_not_shown(text: str, expected: str) -> None:
    assert shown(text) == expected
