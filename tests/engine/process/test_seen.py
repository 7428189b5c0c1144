"""What a look at a process says, whatever the process calls itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from processes import python

from autoresearch.engine.process import seen

pytestmark = pytest.mark.skipif(not seen.LINUX, reason="read from /proc")
ODD = ") R 1 (x) 2"


def test_a_process_is_seen_as_it_is_whatever_its_name(strangers: list[subprocess.Popen[bytes]]) -> None:
    code = f"import sys; open('/proc/self/comm', 'w').write({ODD!r}); print(flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env={"MARK": "a=b"}
    )
    strangers.append(child)
    assert child.stdout is not None
    child.stdout.readline()
    found = seen.look(child.pid)
    assert found is not None
    assert (found.pid, found.parent, found.group, found.session) == (child.pid, os.getpid(), child.pid, child.pid)
    assert (found.tty, found.rss_mb > 1) == (0, True)
    assert found.start == seen.start_time(child.pid) == seen.table()[child.pid].start
    assert [seen.variable(child.pid, name) for name in ("MARK", "MAR", "a")] == ["a=b", None, None]


def test_a_process_that_is_gone_is_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    dead = seen.look(child.pid)
    assert dead is not None
    assert dead.state == "Z"
    child.wait()
    assert [seen.look(child.pid), seen.start_time(child.pid), seen.variable(child.pid, "PATH")] == [None] * 3
