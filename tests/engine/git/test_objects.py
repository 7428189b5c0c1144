"""Objects written without a process of git each."""

from __future__ import annotations

from pathlib import Path

from repos import git, make_target, write
from workspaces import Open, take

from autoresearch.engine.workspace import head_of


def test_a_candidate_is_the_tree_that_git_itself_would_write(tmp_path: Path, open_workspace: Open) -> None:
    """Filters of the user's attributes, modes, new folders, emptied folders: against `git add` and `git write-tree`."""
    repo = make_target(tmp_path / "r")
    write(
        repo,
        {".gitattributes": "*.txt text eol=crlf\n", "src/a/deep/x.py": "1\n", "src/a/y.py": "2\n", "src/z.txt": "l\n"},
    )
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "files")
    workspace = open_workspace(repo, edit=("src/**",))
    base = head_of(workspace.place)
    root = workspace.propose.root
    for step, change in enumerate(
        (
            {"src/z.txt": "one\r\ntwo\r\n", "src/new/folder/n.txt": "a\r\n"},
            {"src/a/y.py": "3\n", "src/b.py": "x\n", "src/a.py": "beside the folder\n"},
            {"src/é ü.py": "names\n"},
        )
    ):
        workspace.propose.at(base)
        write(root, {name: text for name, text in change.items()})
        if step == 1:
            (root / "src/a/deep/x.py").unlink()
            (root / "src/b.py").chmod(0o755)
        taken = take(workspace, base)
        git(root, "add", "-A", "src")
        assert git(repo, "rev-parse", f"{taken.sha}^{{tree}}") == git(root, "write-tree")
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
    shown = git(repo, "log", "-1", "--format=%an <%ae>|%B", taken.sha)
    assert shown.startswith("autoresearch <autoresearch@localhost>|a change\n\nAutoresearch-Proposal: {")
