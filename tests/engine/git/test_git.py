"""Refs, patches and batch processes of git, on real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from repos import git, make_target
from workspaces import Open

from autoresearch.engine.git import GitError
from autoresearch.engine.workspace import head_of


def test_refs_move_in_one_transaction_or_not_at_all(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    workspace.propose_ref(4, base)
    assert workspace.list_refs() == {"p4": base}
    workspace.number_ref(1, base, 4)
    assert workspace.list_refs() == {"1": base}
    lock = workspace.place.common_dir / f"{workspace.experiment_ref(2)}.lock"
    lock.write_text("")
    with pytest.raises(GitError, match="lock"):
        workspace.number_ref(2, base, None)
    assert workspace.remove_stale_locks() == [lock]
    workspace.number_ref(2, base, None)
    assert set(workspace.list_refs()) == {"1", "2"}


def test_a_batch_process_that_died_under_us_is_not_taken_for_a_missing_ref(
    tmp_path: Path, open_workspace: Open
) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    for script in ("exec <&- >&-; sleep 60", "read line"):  # it closed its ends; it ended while we asked
        with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as dying:
            workspace.refs._reads._child = dying  # no process of git's can be made to die at that moment
            assert workspace.refs.resolve("refs/heads/main") == head_of(workspace.place)
            dying.kill()


def test_a_patch_is_told_without_context_and_as_often_as_asked(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    before = head_of(workspace.place)
    (repo / "knob.py").write_text("# the knob\nVALUE = 9.0\n# the end\n")
    (repo / "image.bin").write_bytes(bytes(range(256)))
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "change")
    after = head_of(workspace.place)
    for _ in range(2):
        lines = workspace.patch_of(before, after).splitlines()
        assert [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")] == [
            "-VALUE = 10.0",
            "+VALUE = 9.0",
        ]
        assert "Binary files /dev/null and b/image.bin differ" in lines
    assert workspace.patch_of(after, after) == ""
    assert workspace.patch_of(before, "0" * 40) == ""
