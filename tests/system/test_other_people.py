"""Others on the machine: the folder is its owner's, requests and locks of others are refused and recorded, no port."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from engines import command, environment, place, run, session, start, until
from journals import Told, told
from repos import BENCH, TOML, make_target, patch, write
from terminals import Terminal

from autoresearch.engine.control import inbox
from autoresearch.state.session import Locked, Session, SessionError, list_sessions
from autoresearch.tui.cli import cli

STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def at(tmp_path: Path) -> Told:
    return told(tmp_path / "repo")


def plain(session: Session, name: str = "1-a.json") -> Path:
    """A request as anybody could write it."""
    request = {"id": "1-a", "kind": "idea", "args": {"text": "planted"}, "timestamp": 1}
    path = session.inbox / name
    path.write_text(json.dumps(request))
    return path


def of_another_user(path: Path) -> None:
    os.chown(path, STRANGER, STRANGER)


def symlinked(path: Path) -> None:
    path.rename(path.parent.parent / "real.json")
    path.symlink_to(path.parent.parent / "real.json")


def hard_linked(path: Path) -> None:
    (path.parent.parent / "other-name").hardlink_to(path)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


ODD: list[tuple[Callable[[Path], None], str]] = [
    (symlinked, "is a symbolic link"),
    (hard_linked, "hard link"),
    (a_pipe, "is no regular file"),
    (a_folder, "is no regular file"),
]
FOREIGN = pytest.param(of_another_user, "belongs to another user (uid 12345)", marks=as_root)


def warnings(session: Session) -> list[str]:
    return [notice.text for notice in session.history().notices]


@pytest.mark.parametrize(("make", "says"), [*ODD, FOREIGN])
def test_an_odd_or_foreign_request_is_refused_and_recorded_once(
    at: Told, make: Callable[[Path], None], says: str
) -> None:
    make(plain(at.session))
    assert inbox.drain(at.session) == []
    assert inbox.drain(at.session) == []
    assert (
        len([text for text in warnings(at.session) if text.startswith("1-a.json in the inbox") and says in text]) == 1
    )
    assert "planted" not in [idea.text for idea in at.session.history().ideas.values()]
    shown = CliRunner().invoke(cli, ["status", "-C", str(at.repo)]).stdout
    assert says in shown


def test_a_plain_request_of_ones_own_is_obeyed(at: Told) -> None:
    plain(at.session)
    inbox.drain(at.session)
    assert "planted" in [idea.text for idea in at.session.history().ideas.values()]


@as_root
def test_the_owner_of_the_folder_and_root_may_ask_an_engine_of_root(at: Told) -> None:
    os.chown(at.session.folder, STRANGER, STRANGER)
    os.chown(at.session.inbox, STRANGER, STRANGER)
    of_another_user(plain(at.session))
    inbox.drain(at.session)
    assert "planted" in [idea.text for idea in at.session.history().ideas.values()]


def test_a_request_of_many_megabytes_is_not_read(at: Told) -> None:
    plain(at.session).write_bytes(b'{"id": "' + b"x" * (2 << 20) + b'"}')
    assert "not a request" in inbox.drain(at.session)[0]


def test_a_running_engine_refuses_a_pipe_and_goes_on(tmp_path: Path) -> None:
    toml = TOML.replace('kind = "replay"', 'kind = "tuner"')
    repo = make_target(tmp_path / "repo", bench=BENCH + "import time; time.sleep(0.1)\n", toml=toml)
    engine = start(repo)
    try:
        until(lambda: list_sessions(place(repo)) and session(repo).engine_pid(), "an engine")
        found = session(repo)
        a_pipe(plain(found))
        until(lambda: any("no regular file" in text for text in warnings(found)), "a warning")
        rows = len(found.history().rows)
        until(lambda: len(found.history().rows) > rows, "another experiment")
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.communicate()


# -- the lock


@pytest.mark.parametrize(("make", "says"), [*ODD, FOREIGN])
def test_a_lock_that_is_not_ours_is_set_aside_and_recorded(
    tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    repo, patches = make_target(tmp_path / "repo"), tmp_path / "patches"
    write(patches, {"1.patch": patch("better", "VALUE = 10.0", "VALUE = 9.0")})
    run(repo, "--replay", str(patches), "--max-experiments", "1", expect=3)
    found = session(repo)
    make(found.lock_file)
    assert found.engine_pid() is None
    run(repo, "--replay", str(patches), "--max-experiments", "1", expect=3)
    assert len([text for text in warnings(found) if "session's lock" in text and says in text]) == 1
    run(repo, "--replay", str(patches), "--max-experiments", "1")
    assert len([text for text in warnings(found) if "session's lock" in text]) == 1
    info = found.lock_file.lstat()
    assert stat.S_ISREG(info.st_mode)
    assert info.st_uid == os.geteuid()


@as_root
def test_a_lock_that_another_user_holds_is_not_taken(at: Told) -> None:
    other = Session(at.session.folder)
    with other.lock():
        of_another_user(at.session.lock_file)
        with pytest.raises((SessionError, Locked)) as caught, at.session.lock():
            pass
    assert caught.value.code == 4
    assert "another user" in str(caught.value)


@as_root
def test_sessions_of_another_user_are_one_sentence(at: Told, tmp_path: Path) -> None:
    """In a process that is somebody else; forked, since the interpreter may lie where they cannot read."""
    for folder in (tmp_path, at.repo, at.place.common_dir):
        folder.chmod(0o755)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(at.place.common_dir)
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            here = type(at.place)(Path(), Path(), Path(), "")
            list_sessions(here)
        except SessionError as error:
            os.write(writer, f"{error.code} {error}".encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    assert said.startswith("1 ")
    assert "root's alone" in said


# -- modes


def test_the_folder_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    repo, patches = make_target(tmp_path / "repo"), tmp_path / "patches"
    write(patches, {"1.patch": patch("better", "VALUE = 10.0", "VALUE = 9.0")})
    inner = command("run", "--headless", "--replay", str(patches), "--max-experiments", "2")
    subprocess.run(
        ["bash", "-c", 'umask 000; exec "$@"', "-", *inner], cwd=repo, env=environment(), capture_output=True
    )
    found = session(repo)
    for folder in (found.folder, found.inbox, found.folder.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    found.folder.chmod(0o777)
    found.inbox.chmod(0o777)
    inbox.drain(found)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (found.folder, found.inbox)] == [0o700, 0o700]


# -- no port


def listening(pids: set[int]) -> list[str]:
    """Every socket that one of the processes listens on."""
    held = set()
    for pid in pids:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                held.add(str(fd.readlink()))
            except OSError:
                continue
    found = []
    for pid in pids:
        for table in ("tcp", "tcp6"):
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            rows = [line.split() for line in lines]
            found += [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held]
        for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
            row = line.split()
            if int(row[3], 16) & 0x10000 and f"socket:[{row[6]}]" in held:
                found.append(line)
    return found


def test_neither_engine_nor_screen_listens_on_anything(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)):
        assert listening({os.getpid()}), "the test can fail"
    toml = TOML.replace('kind = "replay"', 'kind = "tuner"')
    repo = make_target(tmp_path / "repo", bench=BENCH + "import time; time.sleep(0.2)\n", toml=toml)
    engine = start(repo)
    terminal = None
    try:
        until(lambda: list_sessions(place(repo)) and session(repo).engine_pid(), "an engine")
        terminal = Terminal(["env", "-C", str(repo), *command("attach")], **environment())
        screen = terminal
        screen.until(lambda: b"quit" in screen.written)
        rows = len(session(repo).history().rows)
        until(lambda: len(session(repo).history().rows) > rows, "another experiment")
        assert listening({engine.pid, screen.pid}) == []
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.communicate()
        if terminal is not None:
            terminal.press("q")
            terminal.close()
            terminal.wait()
