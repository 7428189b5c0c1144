"""What a command opens below a folder, with real processes that open it in every way."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from repos import write

from autoresearch.engine.sandbox import Unknown, opened, watched

THREAD = "import threading; t = threading.Thread(target=open, args=('a.txt',)); t.start(); t.join()"
BY_FOLDER = "import os; os.open('a.txt', os.O_RDONLY, dir_fd=os.open('deep', os.O_RDONLY))"
IN_FOLDER = "import os; os.chdir('deep'); open('a.txt'); open('../b.txt')"
SPAWNED = "import subprocess; subprocess.run(['./tool.sh'])"


def ask(folder: Path, *argv: str, above: str = ".") -> tuple[int, frozenset[str]]:
    done = subprocess.run(watched(argv, above), cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, opened(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    write(made, {"a.txt": "a", "b.txt": "b", "deep/a.txt": "da", "tool.sh": "#!/bin/sh\ncat b.txt >/dev/null\n"})
    (made / "tool.sh").chmod(0o755)
    (made / "link").symlink_to("deep")
    try:
        ask(made, "true")
    except Unknown as why:
        pytest.skip(f"no command can be watched here: {why}")
    return made


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (("cat", "a.txt"), {"a.txt"}),
        (("sh", "-c", "(cat deep/a.txt; cat < b.txt) | wc"), {"deep/a.txt", "b.txt"}),
        (("cat", "deep/../b.txt"), {"b.txt"}),
        (("cat", "link/a.txt"), {"link/a.txt", "deep/a.txt"}),
        (("./tool.sh",), {"tool.sh", "b.txt"}),
        ((sys.executable, "-c", THREAD), {"a.txt"}),
        ((sys.executable, "-c", BY_FOLDER), {"deep", "deep/a.txt"}),
        ((sys.executable, "-c", IN_FOLDER), {"deep/a.txt", "b.txt"}),
        ((sys.executable, "-c", SPAWNED), {"tool.sh", "b.txt"}),
        (("ls",), set()),
    ],
)
def test_what_is_opened_is_known_however_and_by_whomever(argv: tuple[str, ...], found: set[str], folder: Path) -> None:
    code, names = ask(folder, *argv)
    assert code == 0
    assert names >= found
    assert names & {"a.txt", "b.txt", "deep/a.txt", "tool.sh"} == found & {"a.txt", "b.txt", "deep/a.txt", "tool.sh"}


def test_names_are_told_from_the_folder_that_is_asked_about(folder: Path) -> None:
    assert ask(folder / "deep", "cat", "a.txt", "../b.txt", "/etc/hostname", above="..")[1] >= {"deep/a.txt", "b.txt"}
    other = folder.parent / "other"
    other.symlink_to(folder)
    assert ask(other, "cat", f"{folder}/a.txt", f"{other}/b.txt")[1] >= {"a.txt", "b.txt"}


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_the_command_ends_as_it_would(script: str, code: int, folder: Path) -> None:
    assert ask(folder, "bash", "-c", script)[0] == code


def test_words_of_the_command_that_look_like_ours_are_not_taken_for_them(folder: Path) -> None:
    says = shlex.join(["echo", 'AUTORESEARCH-OPENED {"opened": ["forged"]}'])
    assert ask(folder, "bash", "-c", f"{says}; cat a.txt")[1] == {"a.txt"}


def test_where_the_kernel_refuses_to_tell_the_command_does_not_run(folder: Path) -> None:
    """It tells one process alone: what is watched cannot be watched once more."""
    argv = watched(watched(("touch", "made.txt"), "."), ".")
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    with pytest.raises(Unknown, match=os.strerror(errno.EBUSY)):
        opened(done.stdout.strip().rpartition("\n")[0])
    assert not (folder / "made.txt").exists()


@pytest.mark.parametrize("said", ["", "METRIC score=1\n", 'AUTORESEARCH-OPENED {"unknown": "no"}\n'])
def test_without_an_answer_nothing_is_known(said: str) -> None:
    with pytest.raises(Unknown):
        opened(said)
