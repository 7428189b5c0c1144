from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from processes import pid_in, python, runs, until

from autoresearch.engine.process import Command, claim, end_leftovers, release, run, seen

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="whole-tree ends are promised on Linux")


@pytest.fixture
def orphan(strangers: list[subprocess.Popen[bytes]], tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    def start(script: str = "echo $$ > orphan; exec sleep 300", **options: Any) -> subprocess.Popen[bytes]:
        options = {"cwd": "/", "env": {"PATH": os.environ["PATH"]}, "start_new_session": True, **options}
        child = subprocess.Popen(["bash", "-c", f"cd_to={tmp_path}; {script.replace('> ', '> $cd_to/')}"], **options)
        strangers.append(child)
        return child

    return start


def test_leftovers_are_found_by_pid_file_with_their_descendants(orphan: Any, tmp_path: Path) -> None:
    child = orphan("setsid bash -c 'echo $$; exec sleep 300' > orphan & wait")
    below = pid_in(tmp_path / "orphan")
    file = tmp_path / "pid"
    file.write_bytes(orjson.dumps({"pid": child.pid, "start": seen.start_time(child.pid)}))
    ended = end_leftovers("", [], [file, tmp_path / "missing"], grace_s=1)
    assert ended == {child.pid: "pid file", below: "descendant"}
    assert not runs(child.pid)
    assert not runs(below)


def test_leftovers_are_found_by_environment(orphan: Any, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"]}
    mine = orphan(env={**env, "AUTORESEARCH_SESSION": f"{tmp_path}/a"})
    other = orphan(env={**env, "AUTORESEARCH_SESSION": f"{tmp_path}/ab"})
    until(lambda: all(Path(f"/proc/{one.pid}/comm").read_text() == "sleep\n" for one in (mine, other)))
    assert end_leftovers(f"{tmp_path}/a", [], [], grace_s=1) == {mine.pid: "environment"}
    assert not runs(mine.pid)
    assert other.poll() is None


def test_leftovers_are_found_by_working_directory(orphan: Any, tmp_path: Path) -> None:
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree-2").mkdir()
    inside = orphan(cwd=tmp_path / "tree/deep")
    beside = orphan(cwd=tmp_path / "tree-2")
    ended = end_leftovers("", [tmp_path / "tree"], [], grace_s=1)
    assert ended == {inside.pid: "working directory"}
    assert not runs(inside.pid)
    assert beside.poll() is None


def test_a_shell_with_a_terminal_in_a_tree_is_left_alone(tmp_path: Path) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvp("bash", ["bash", "-c", "echo ready; exec sleep 300"])
    try:
        assert b"ready" in os.read(terminal, 100)
        assert end_leftovers("", [tmp_path], [], grace_s=1) == {}
        assert runs(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_a_pid_that_was_given_to_another_process_is_left_alone(orphan: Any, tmp_path: Path) -> None:
    child = orphan()
    pid_in(tmp_path / "orphan")
    file = tmp_path / "pid"
    start = seen.start_time(child.pid)
    assert start is not None
    file.write_bytes(orjson.dumps({"pid": child.pid, "start": start - 1}))
    torn = tmp_path / "torn"
    torn.write_bytes(b'{"pid": ')
    assert end_leftovers("", [], [file, torn], grace_s=1) == {}
    assert child.poll() is None


def test_the_engine_itself_and_what_started_it_are_spared(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from autoresearch.engine.process import end_leftovers\n"
        "print(end_leftovers('mine', [Path.cwd()], []))"
    )
    parent = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {code!r}]).returncode)"
    env = {**os.environ, "AUTORESEARCH_SESSION": "mine"}
    done = subprocess.run(python(parent), env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{}\n", "")


def test_what_a_killed_engine_left_is_found(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from autoresearch.engine.process import Command, run\n"
        "run(Command(argv=['bash', '-c', 'setsid sleep 300 & echo $! > below; wait'], cwd=Path.cwd(),"
        " env={'PATH': '/usr/bin:/bin'}, output=Path('log'), timeout_s=300, pid_file=Path('pid')))"
    )
    engine = subprocess.Popen(python(code), cwd=tmp_path, start_new_session=True)
    claim(engine.pid)
    below = pid_in(tmp_path / "below")
    main = until(lambda: (tmp_path / "pid").exists() and orjson.loads((tmp_path / "pid").read_bytes()))["pid"]
    engine.kill()
    engine.wait()
    release(engine.pid)
    assert runs(main)
    ended = end_leftovers("", [], [tmp_path / "pid"], grace_s=1)
    assert {main, below} <= ended.keys()
    assert not runs(main)
    assert not runs(below)


def test_more_processes_than_file_descriptors_are_ended_all_the_same(tmp_path: Path) -> None:
    """A run that leaves hundreds of sleepers, measured by an engine that may open few files."""
    script = "for i in $(seq 120); do setsid sleep 600 & done; echo ready"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 40, hard))
    try:
        exited = run(
            Command(
                argv=("bash", "-c", script), cwd=tmp_path, env={"PATH": os.environ["PATH"]},
                output=tmp_path / "log", timeout_s=60, grace_s=0.5,
            )
        )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert exited.code == 0
    assert exited.leftovers >= 120
    assert exited.survivors == ()
