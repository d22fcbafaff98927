"""Bring a later version of the template into the project: renamed as the project is, then merged by git.

make update                    from the git remote `template`
make update began=4f1c2d7      the first time, where git's history does not say with which version the project began

The branch `template` holds the template's versions under the project's name, without what a project makes for itself
(`OWN`). What the project has deleted stays away.
"""

from deepmine.config.errors import UserError
from takeover.rename import NAME, git, renamed, require_clean

OWN = (".dvc", "data.dvc", "dvc.lock", "out", "tests/test_template.py", "docs/reference/experiments.md")


def main(began: str = "") -> None:
    """Fetch, rename, merge; conflicts are left in the files, as git leaves them."""
    require_clean()
    if "template" not in git("remote").split():
        raise UserError("There is no git remote `template`. git remote add template <where the template comes from>")
    tip = git("log", "-1", "--format=%s", "refs/heads/template", "--", codes=(0, 128))
    if tip and not tip.startswith("Template "):
        raise UserError(f"An update needs the name of your branch `template` ({tip}): git branch -m template <another>")
    git("fetch", "--quiet", "--no-tags", "template", "HEAD")
    latest = git("rev-parse", "FETCH_HEAD")
    last = git("merge-base", "HEAD", latest, codes=(0, 1)) or (began and git("rev-parse", began))
    if not last:
        raise UserError("git's history holds no version of the template. Say which one was yours: began=<commit>")
    if last == latest:
        return print(f"The template has nothing newer than {last[:8]}.")
    base = git("log", "-1", "--format=%H", f"--grep=^Template {last}$")
    if not base:  # the first time: note in the history which version the files came from; no file changes
        base, note = _version(last), f"Began with the template at {last}"
        git("merge", "-s", "ours", "--allow-unrelated-histories", "-m", note, base)
    git("branch", "--force", "template", _version(latest, base))
    _merge()
    print(f"Merged the template up to {latest[:8]}. Next: make check test repro, and .venv/bin/dvc metrics diff.")


def _version(commit: str, *before: str) -> str:
    """A commit with the template's files at `commit`, under the name of the project."""
    parents = [flag for parent in (*before, commit) for flag in ("-p", parent)]
    return git("commit-tree", renamed(commit, NAME, OWN), *parents, "-m", f"Template {commit}")


def _merge() -> None:
    # without a close likeness, a data set deleted here and one added are not one file that was moved
    git("merge", "--no-edit", "-X", "find-renames=90%", "template", codes=(0, 1))
    for line in git("status", "--porcelain").splitlines():
        if line.startswith("DU "):  # deleted here, changed there
            git("rm", "--quiet", "--", line[3:])
    if conflicts := git("diff", "--name-only", "--diff-filter=U"):
        said = f"The template and you changed the same lines of\n{conflicts}\nEdit, then `git add` and `git commit`"
        raise UserError(f"{said}; or take all of it back: git merge --abort")
    if git("rev-parse", "--quiet", "--verify", "MERGE_HEAD", codes=(0, 1)):
        git("commit", "--quiet", "--no-edit")
