"""Which processes belong to a measured command, and their end.

On Linux the engine is a subreaper: whatever a command leaves behind (`setsid`, a double fork, a parent that died)
becomes a child of the engine and is found there, whatever it did to its name, environment or session. Children that the
engine started for itself are told apart in two ways: a plain child shares the engine's own session id, which no escaped
process can join; one that was started in a session of its own is announced with `starting_child()`.

Elsewhere (macOS) psutil finds children, and orphans by the marker in their environment: a weaker promise.

No signal is ever sent to a pid whose kernel start time is not the one that was seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine.process.seen import LINUX, Seen, look, start_time, table, variable

MARKER = "AUTORESEARCH_PROCESS"
"""In the environment of each command: which run of which engine it is."""

_QUIET = 200
"""Looks without a new child after which a hunt is over."""
_WAITED_FOR = 64
"""At most so many processes are waited for at once: each takes a file descriptor."""
KILL_S = 10.0
"""How long processes that got KILL are waited for: only an uninterruptible one (a hung file system) needs more."""

_PR_SET_CHILD_SUBREAPER = 36


# The engine's own children in sessions of their own, and the main processes of running commands (pid -> marker).
own_children: set[int] = set()
_running: dict[int, str] = {}
_starting = 0
_generation = 0
_settled = threading.Condition()
_subreaper = False


def become_subreaper() -> None:
    """Orphaned descendants become children of this process instead of init's. Does nothing outside Linux."""
    global _subreaper
    if _subreaper or not LINUX:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this process cannot become a subreaper")
    _subreaper = True


def claim(pid: int) -> None:
    """`pid` is a long-lived child of the engine itself, not left over from a command."""
    own_children.add(pid)


def release(pid: int) -> None:
    own_children.discard(pid)


@contextlib.contextmanager
def starting_child() -> Iterator[None]:
    """Around starting a child in a session of its own, and claiming it. No sweep looks at children meanwhile."""
    global _starting, _generation
    with _settled:
        _starting += 1
        _generation += 1
    try:
        yield
    finally:
        with _settled:
            _starting -= 1
            _settled.notify_all()


def register(pid: int, marker: str) -> None:
    """`pid` is the main process of a running command; its own runner reaps it."""
    _running[pid] = marker


def unregister(pid: int) -> None:
    _running.pop(pid, None)


@dataclass(frozen=True, slots=True)
class Found:
    alive: dict[int, Seen]
    reaped: int
    """Zombies that were reaped in this look: where something has just died, something may just have been born."""


def family(main: int, marker: str) -> Found:
    """What runs of one command now: its main process, all descendants, and orphans of theirs that we inherited.

    Zombies that are ours to reap are reaped on the way.
    """
    while True:
        with _settled:
            _settled.wait_for(lambda: _starting == 0)
            generation = _generation
        processes = table()
        with _settled:
            if generation == _generation:
                break
    me = os.getpid()
    roots = {main} | {pid for pid, seen in processes.items() if seen.parent == me and _inherited(seen, marker)}
    if not _subreaper:
        roots |= {pid for pid in processes if pid != me and variable(pid, MARKER) == marker}
    alive: dict[int, Seen] = {}
    reaped = 0
    for pid in with_descendants(roots, processes):
        seen = processes[pid]
        if seen.state != "Z":
            alive[pid] = seen
        elif seen.parent == me and pid not in _running:
            reaped += reap(pid)
    return Found(alive, reaped)


def nothing_inherited() -> bool:
    """Whether this process surely has no child but its own: the quick look after each run (20 microseconds).

    The kernel's list can skip an entry while a sibling exits, so it is read twice.
    """
    return _subreaper and not (_has_foreign_child() or _has_foreign_child())


def end(find: Callable[[], Found], grace_s: float, group: int = 0, marker: str = "") -> tuple[set[int], set[int]]:
    """End all that `find` finds, until it finds nothing: TERM, `grace_s` seconds, KILL.

    `group` is the process group of the command with this `marker`, whose main process is not yet reaped. With it, KILL
    goes to whole groups at a stroke, so that a chain that forks faster than we look ends as well.
    Returns the pids that were signalled and those that even KILL did not end within KILL_S.
    """
    asked: dict[int, int] = {}
    rounds = 0
    gentle_until = time.monotonic() + grace_s
    give_up = gentle_until + KILL_S
    while (found := find()).alive or found.reaped:
        now = time.monotonic()
        if now >= give_up:
            return set(asked), set(found.alive)
        gentle = now < gentle_until
        for seen in found.alive.values():
            if not gentle:
                send(seen, signal.SIGKILL)
            elif asked.get(seen.pid) != seen.start:
                send(seen, signal.SIGTERM)
                send(seen, signal.SIGCONT)  # a stopped process acts on TERM only when it goes on
            asked[seen.pid] = seen.start
        if group and not gentle:
            _kill_groups({group} | {seen.group for seen in found.alive.values() if seen.session != os.getsid(0)})
            if rounds := rounds + 1 if _subreaper else 0:
                _hunt(min(0.05 * rounds, give_up - now), marker)
        if found.alive:
            # In the gentle phase a look now and then finds what was forked since; killing does not wait for it.
            _wait_gone(found.alive.values(), min(gentle_until - now, 0.5) if gentle else 0.2)
        elif gentle:
            time.sleep(0.005)
    return set(asked), set()


def send(seen: Seen, number: signal.Signals) -> None:
    """Signal exactly this process, if it is there and ours to signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError), contextlib.ExitStack() as stack:
        if LINUX:
            handle = os.pidfd_open(seen.pid)
            stack.callback(os.close, handle)
        if start_time(seen.pid) != seen.start:
            return
        if LINUX:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(seen.pid, number)


def _inherited(seen: Seen, marker: str) -> bool:
    """Whether a child of ours was left by the command with this marker."""
    if seen.pid in _running or seen.pid in own_children or seen.session == os.getsid(0):
        return False
    return not _is_of_another(seen.pid, marker)


def _is_of_another(pid: int, marker: str) -> bool:
    """Only with several commands at once does it matter whose an orphan is; one that hides is whose who looks first."""
    others = [other for other in _running.values() if other != marker]
    return bool(others) and variable(pid, MARKER) in others


def with_descendants(roots: Collection[int], processes: dict[int, Seen]) -> list[int]:
    children: dict[int, list[int]] = {}
    for seen in processes.values():
        children.setdefault(seen.parent, []).append(seen.pid)
    found: dict[int, None] = {}
    waiting = [pid for pid in roots if pid in processes]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found[pid] = None
            waiting.extend(children.get(pid, ()))
    return list(found)


def _has_foreign_child() -> bool:
    """Whether a child of ours, a zombie too, was started neither by us nor by a runner of ours."""
    others = (look(pid) for pid in _children() if pid not in _running and pid not in own_children)
    return any(seen and seen.session != os.getsid(0) for seen in others)


def _children() -> list[int]:
    """Our children, from the kernel's lists per thread where it keeps them."""
    me = os.getpid()
    if not Path(f"/proc/{me}/task/{me}/children").exists():
        return [pid for pid, seen in table().items() if seen.parent == me]
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208 - hot
        # A thread may end between the two lines.
        with (
            contextlib.suppress(FileNotFoundError),
            open(f"/proc/self/task/{task}/children", "rb", 0) as file,  # noqa: PTH123 - hot
        ):
            found.extend(map(int, file.read().split()))
    return found


def _hunt(seconds: float, marker: str) -> None:
    """Kill whatever of this command becomes our child, at once and again: each link of a chain that forks and exits is
    orphaned to us.

    Reading the kernel's list takes microseconds where a whole look takes milliseconds, so a chain that leaves its group
    at every link is caught even on a busy machine.
    """
    ours = os.getsid(0)
    until = time.monotonic() + seconds
    quiet = 0
    while quiet < _QUIET and time.monotonic() < until:
        quiet += 1
        with _settled:  # nothing of ours begins meanwhile, and what began has said whose it is
            _settled.wait_for(lambda: _starting == 0)
            for pid in _children():
                if pid in _running or pid in own_children or _is_of_another(pid, marker):
                    continue
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if os.getsid(pid) != ours:
                        os.kill(pid, signal.SIGKILL)
                        quiet = 0
                        reap(pid)


def _kill_groups(groups: Iterable[int]) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False


def _wait_gone(processes: Iterable[Seen], timeout_s: float) -> None:
    """Wait until these have all exited, or the time is over."""
    deadline = time.monotonic() + timeout_s
    if not LINUX:
        waiting = list(processes)
        while time.monotonic() < deadline and any(start_time(seen.pid) == seen.start for seen in waiting):
            time.sleep(0.01)
        return
    poller = select.poll()
    handles: set[int] = set()
    with contextlib.ExitStack() as stack:
        for seen in itertools.islice(processes, _WAITED_FOR):
            try:
                handle = os.pidfd_open(seen.pid)
            except ProcessLookupError:
                continue
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                break  # those that we have are enough to wait for: whoever calls looks again
            stack.callback(os.close, handle)
            handles.add(handle)
            poller.register(handle, select.POLLIN)
        while handles and (left := deadline - time.monotonic()) > 0:
            for handle, _ in poller.poll(max(1, int(left * 1000))):
                poller.unregister(handle)
                handles.discard(handle)
