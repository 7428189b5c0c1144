"""The bare command on a target without a session offers to start one."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from engines import command, environment, session, until
from repos import make_target

from autoresearch.state.session import SessionError


def test_the_bare_command_starts_a_first_session_when_asked(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "r")
    toml = (repo / "autoresearch.toml").read_text().replace('kind = "replay"', 'kind = "tuner"')
    (repo / "autoresearch.toml").write_text(toml)
    master, slave = pty.openpty()
    env = environment(TERM="xterm-256color")
    viewer = subprocess.Popen(
        command(), cwd=repo, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    try:
        seen = b""
        while b"start one?" not in seen:
            seen += os.read(master, 4096)
        os.write(master, b"\n")
        os.set_blocking(master, False)

        def baseline() -> bool:
            try:
                os.read(master, 1 << 16)
            except BlockingIOError:
                pass
            try:
                return bool(session(repo).history().rows)
            except SessionError:
                return False

        until(baseline, "the baseline was measured")
    finally:
        viewer.kill()
        viewer.wait()
        os.close(master)
    subprocess.run(command("stop"), cwd=repo, env=env, check=True, capture_output=True)
    until(lambda: session(repo).engine_pid() is None, "the engine ended")
