"""Whatever the user's repository looks like, it stays byte for byte what it was."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from engines import check_agreement, command, environment, run, session
from repos import git, make_target, patch, snapshot, write


def go(folder: Path, patches: Path, *args: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    return run(folder, "--replay", str(patches), *args, expect=expect)


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    folder = tmp_path / "patches"
    write(folder, {"1.patch": patch("better", "VALUE = 10.0", "VALUE = 9.0")})
    return folder


def dirty(repo: Path) -> Path:
    write(repo, {"README.md": "changed\n", "knob.py": "VALUE = 3\n", "new/file.txt": "mine"})
    git(repo, "add", "knob.py")
    (repo / "bench.py").chmod(0o755)
    return repo


def stashed(repo: Path) -> Path:
    write(repo, {"README.md": "for later\n"})
    git(repo, "stash")
    return repo


def one_commit(repo: Path) -> Path:
    return repo


def shallow(repo: Path) -> Path:
    for n in range(3):
        git(repo, "commit", "-q", "--allow-empty", "-m", str(n))
    clone = repo.with_name("shallow")
    git(repo.parent, "clone", "-q", "--depth", "1", f"file://{repo}", str(clone))
    return clone


def linked_worktree(repo: Path) -> Path:
    other = repo.with_name("linked")
    git(repo, "worktree", "add", "-q", "-b", "side", str(other))
    return other


def submodule(repo: Path) -> Path:
    inner = make_target(repo.with_name("inner"))
    git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    git(repo, "commit", "-qm", "submodule")
    return repo


def hooks(repo: Path) -> Path:
    for name in (
        "pre-commit",
        "commit-msg",
        "prepare-commit-msg",
        "post-checkout",
        "reference-transaction",
        "post-commit",
    ):
        hook = repo / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    return repo


def signing(repo: Path) -> Path:
    git(repo, "config", "commit.gpgSign", "true")
    git(repo, "config", "gpg.program", "/bin/false")
    return repo


def odd_config(repo: Path) -> Path:
    for key, value in {
        "core.autocrlf": "true", "status.showUntrackedFiles": "no", "index.version": "4", "core.splitIndex": "true",
        "color.ui": "always", "diff.noprefix": "true", "commit.verbose": "true", "core.quotePath": "true",
        "core.abbrev": "4", "merge.conflictStyle": "zdiff3", "diff.external": "/bin/false", "fetch.prune": "true",
    }.items():  # fmt: skip
        git(repo, "config", key, value)
    return repo


def detached(repo: Path) -> Path:
    git(repo, "checkout", "-q", "--detach")
    return repo


SITUATIONS: list[Callable[[Path], Path]] = [
    dirty, stashed, one_commit, shallow, linked_worktree, submodule, hooks, signing, odd_config, detached,
]  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda f: f.__name__)
def test_the_users_repository_is_what_it_was(situation: Callable[[Path], Path], tmp_path: Path, patches: Path) -> None:
    repo = situation(make_target(tmp_path / "r"))
    before = snapshot(repo)
    go(repo, patches, *(["--trust"] if situation is shallow else []))  # a clone's commands came from elsewhere
    assert snapshot(repo) == before
    history = check_agreement(repo)
    assert [row.status for row in history.rows] == ["keep", "keep"]


def test_a_target_in_a_sub_directory_of_a_monorepo(tmp_path: Path, patches: Path) -> None:
    repo = make_target(tmp_path / "r", prefix="pkgs/knob")
    write(repo, {"pkgs/other/x.py": "1\n"})
    before = snapshot(repo)
    go(repo / "pkgs/knob", patches)
    assert {k: v for k, v in snapshot(repo).items() if "/.autoresearch" not in k} == before
    history = check_agreement(repo / "pkgs/knob")
    assert [row.status for row in history.rows] == ["keep", "keep"]
    changed = git(repo, "diff", "--name-only", "HEAD", session(repo / "pkgs/knob").branch).split()
    assert changed == ["pkgs/knob/knob.py"]


def test_no_git_identity(tmp_path: Path, patches: Path) -> None:
    repo = make_target(tmp_path / "r")
    go(repo, patches)
    assert git(repo, "log", "-1", "--format=%an", session(repo).branch).strip() == "autoresearch"


@pytest.mark.parametrize("meddling", [["clean", "-xffdq"], ["gc", "-q", "--prune=now"], ["worktree", "prune"]])
def test_the_users_own_housekeeping_in_between(meddling: list[str], tmp_path: Path, patches: Path) -> None:
    repo = make_target(tmp_path / "r")
    write(patches, {"2.patch": patch("better still", "VALUE = 9.0", "VALUE = 8.0")})
    go(repo, patches, "--max-experiments", "2", expect=3)
    git(repo, "reflog", "expire", "--expire=now", "--all")
    git(repo, *meddling)
    go(repo, patches)
    assert [row.status for row in check_agreement(repo).rows] == ["keep", "keep", "keep"]


def test_a_deleted_cache_of_trees_is_made_again(tmp_path: Path, patches: Path) -> None:
    repo = make_target(tmp_path / "r")
    go(repo, patches, "--max-experiments", "1", expect=3)
    shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"]) / "autoresearch")
    go(repo, patches)
    check_agreement(repo)


def test_a_moved_repository_goes_on(tmp_path: Path, patches: Path) -> None:
    repo = make_target(tmp_path / "r")
    go(repo, patches, "--max-experiments", "1", expect=3)
    moved = repo.rename(tmp_path / "elsewhere")
    before = snapshot(moved)
    go(moved, patches)
    check_agreement(moved)
    assert snapshot(moved) == before
    assert (moved / ".autoresearch" / session(moved).name / "autoresearch.jsonl").is_file()


def test_a_checked_out_session_branch_is_refused_with_the_fix(tmp_path: Path, patches: Path) -> None:
    repo = make_target(tmp_path / "r")
    go(repo, patches, "--max-experiments", "1", expect=3)
    git(repo, "switch", "-q", session(repo).branch.removeprefix("refs/heads/"))
    before = snapshot(repo)
    refused = go(repo, patches, expect=2)
    assert "git switch -" in refused.stderr
    assert snapshot(repo) == before
    git(repo, "switch", "-q", "main")
    go(repo, patches)
    check_agreement(repo)


def test_a_branch_that_somebody_moved_pauses_with_the_fix(tmp_path: Path, patches: Path) -> None:
    repo = make_target(tmp_path / "r")
    go(repo, patches)
    name = session(repo).branch.removeprefix("refs/heads/")
    other = git(repo, "commit-tree", "HEAD^{tree}", "-m", "other").strip()
    wanted = git(repo, "rev-parse", name).strip()
    git(repo, "branch", "-f", name, other)
    go(repo, patches, expect=1)
    control = session(repo).history().control
    assert control.state == "paused"
    assert f"git branch -f {name}" in control.fix
    git(repo, "branch", "-f", name, wanted)
    go(repo, patches)
    check_agreement(repo)


def test_a_folder_that_is_no_repository_gets_a_clear_question(tmp_path: Path) -> None:
    write(tmp_path / "plain", {"autoresearch.toml": 'name = "x"\n'})
    refused = run(tmp_path / "plain", expect=2)
    assert "--git-init" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_a_command_that_names_an_untracked_file_says_so_before_anything_runs(tmp_path: Path, patches: Path) -> None:
    repo = make_target(tmp_path / "r")
    git(repo, "rm", "-q", "--cached", "bench.py")
    git(repo, "commit", "-qm", "forgotten")
    refused = go(repo, patches, expect=2)
    assert "git add bench.py" in refused.stderr
    assert not (repo / ".git/autoresearch").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a bind mount needs root")
def test_a_read_only_git_folder_is_one_clear_sentence(tmp_path: Path, patches: Path) -> None:
    repo = make_target(tmp_path / "r")
    go(repo, patches, "--max-experiments", "1", expect=3)
    git_dir = str(repo / ".git")
    script = f'mount --bind "{git_dir}" "{git_dir}" && mount -o remount,ro,bind "{git_dir}" && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command("run", "--headless", "--replay", str(patches))],
        cwd=repo, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert "writ" in done.stderr or "read-only" in done.stderr.lower()
    go(repo, patches)
    check_agreement(repo)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small tmpfs needs root")
@pytest.mark.parametrize("size_kb", [900, 1000, 1100, 1250, 1400])
def test_a_full_disk_loses_nothing(size_kb: int, tmp_path: Path) -> None:
    """The repository lies on a tmpfs that fills up at some write; the engine ends, and goes on when there is room."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(small)], check=True)
    try:
        repo = make_target(small / "r")
        patches = tmp_path / "patches"
        steps = [10.0, 9.0, 8.0, 7.0, 6.0]
        write(
            patches,
            {
                f"{n}.patch": patch(f"{n}", f"VALUE = {a}", f"VALUE = {b}")
                for n, (a, b) in enumerate(itertools.pairwise(steps))
            },
        )
        full = run(repo, "--replay", str(patches), AUTORESEARCH_MIN_FREE_MB="0")
        assert full.returncode in (0, 1, 2)
        assert "Traceback" not in full.stdout
        kept = session(repo).history().rows if (repo / ".git/autoresearch").exists() and full.returncode == 1 else []
        subprocess.run(["mount", "-o", "remount,size=40m", str(small)], check=True)
        run(repo, "--replay", str(patches), expect=0, AUTORESEARCH_MIN_FREE_MB="0")
        history = check_agreement(repo)
        assert [row.sha for row in history.rows][: len(kept)] == [row.sha for row in kept]
        assert [row.status for row in history.rows] == ["keep"] * 5
    finally:
        subprocess.run(["umount", str(small)], check=True)
