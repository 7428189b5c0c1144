from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from clocks import Leaping
from processes import ESCAPES, has_pid, pid_in, python, runs

from autoresearch.engine.process import Exit, claim, descendants, run, runner, starting_child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="whole-tree ends are promised on Linux")


@pytest.mark.parametrize("kind", ESCAPES)
def test_a_descendant_dies_with_the_timeout(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(runner, "time", Leaping(lambda: has_pid(tmp_path / "pid")))
    done = run(command(ESCAPES[kind]))
    assert done.cause == "timeout"
    assert "60 s" in done.detail
    assert not runs(pid_in(tmp_path / "pid"))
    assert done.survivors == ()


@pytest.mark.parametrize(
    "script",
    [
        "sleep 300 & echo $! > pid",
        "(setsid bash -c 'echo $$ > pid; exec sleep 300' &); until [ -s pid ]; do :; done",
        "(trap '' TERM; setsid bash -c 'echo $$ > pid; while :; do sleep 0.2; done' &); until [ -s pid ]; do :; done",
    ],
)
def test_a_child_that_keeps_the_output_open_neither_blocks_nor_survives(
    command: Any, tmp_path: Path, script: str
) -> None:
    done = run(command(script))
    assert (done.code, done.cause) == (0, None)
    assert done.leftovers >= 1
    assert not runs(pid_in(tmp_path / "pid"))


def test_a_process_whose_first_thread_has_ended_dies_too(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_has_ended() -> bool:
        if not has_pid(tmp_path / "pid"):
            return False
        pid = (tmp_path / "pid").read_text()
        return "\nState:\tZ" in Path(f"/proc/{pid}/task/{pid}/status").read_text()

    code = (
        "import ctypes, os, threading, time; open('pid', 'w').write(str(os.getpid()));"
        "threading.Thread(target=lambda: time.sleep(300)).start(); ctypes.CDLL(None).pthread_exit(None)"
    )
    monkeypatch.setattr(runner, "time", Leaping(first_has_ended))
    done = run(command(python(code)))
    assert done.cause == "timeout"
    assert not runs(pid_in(tmp_path / "pid"))
    assert done.code == -signal.SIGTERM


@pytest.mark.parametrize("hide", ["", "os.setsid()"])
def test_a_chain_that_forks_faster_than_we_look_ends(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hide: str
) -> None:
    look = descendants.table
    # As on a machine with thousands of processes, where a whole look takes longer than a link of the chain lives.
    monkeypatch.setattr(descendants, "table", lambda: (look(), time.sleep(0.02))[0])
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "end = time.monotonic() + 60\n"
        "open('beat', 'w').close()\n"
        "while time.monotonic() < end:\n"
        "    if os.fork(): os._exit(0)\n"
        f"    {hide}\n    open('beat', 'w').close()\n"
    )
    done = run(command(python(code)))
    assert done.survivors == ()
    (tmp_path / "beat").unlink()
    time.sleep(0.2)  # long for a chain that beats thousands of times a second
    assert not (tmp_path / "beat").exists()


def test_our_own_children_survive_a_sweep(
    command: Any, tmp_path: Path, strangers: list[subprocess.Popen[bytes]]
) -> None:
    plain = subprocess.Popen(["sleep", "300"])
    with starting_child():
        apart = subprocess.Popen(["sleep", "300"], start_new_session=True)
        claim(apart.pid)
    strangers += [plain, apart]
    done = run(command("setsid sleep 300 & sleep 0.1", timeout_s=30))
    assert done.leftovers == 1
    assert plain.poll() is None
    assert apart.poll() is None


def test_two_commands_at_once_leave_each_other_alone(command: Any, tmp_path: Path) -> None:
    answers: dict[str, Exit] = {}
    go_on = tmp_path / "go-on"
    # The orphan of the long command outlives the short command's sweep, and is needed afterwards.
    long = command(
        "(setsid bash -c 'echo $$ > long; until [ -e go-on ]; do sleep 0.05; done; echo alive > answer' &);"
        "until [ -e answer ]; do sleep 0.05; done",
        output=tmp_path / "long.log",
    )
    thread = threading.Thread(target=lambda: answers.update(long=run(long)))
    thread.start()
    pid_in(tmp_path / "long")
    short = run(command("(setsid bash -c 'echo $$ > short; exec sleep 300' &); until [ -s short ]; do :; done"))
    go_on.touch()
    thread.join(20)
    assert not thread.is_alive()
    assert short.leftovers == 1
    assert answers["long"].cause is None
    assert (tmp_path / "answer").read_text() == "alive\n"
