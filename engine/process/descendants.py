"""Which processes belong to a measured command, and their end.

On Linux the engine is a subreaper: whatever a command leaves behind (`setsid`, a double fork, a parent that died)
becomes a child of the engine and is found there, whatever it did to its name, environment or session. Children that the
engine started for itself are told apart in two ways: a plain child shares the engine's own session id, which no escaped
process can join; one that was started in a session of its own is announced with `starting()`.

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
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

LINUX = sys.platform == "linux"
MARKER = "AUTORESEARCH_PROCESS"
"""In the environment of each command: which run of which engine it is."""
SESSION = "AUTORESEARCH_SESSION"

_QUIET = 200
"""Looks without a new child after which a hunt is over."""
_WAITED_FOR = 64
"""At most so many processes are waited for at once: each takes a file descriptor."""
KILL_S = 10.0
"""How long processes that got KILL are waited for: only an uninterruptible one (a hung file system) needs more."""

_TICK_HZ = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as it was at one look."""

    pid: int
    parent: int
    group: int
    session: int
    tty: int
    """0: no controlling terminal."""
    start: int
    """Kernel start time in clock ticks: with the pid it names a process for good."""
    state: str
    cpu_s: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Leftover:
    """A process of an earlier engine that was ended, and how it was recognised."""

    pid: int
    name: str
    why: str
    ended: bool


# The engine's own children in sessions of their own, and the main processes of running commands (pid -> marker).
_own: set[int] = set()
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


def own(pid: int) -> None:
    """`pid` is a long-lived child of the engine itself, not left over from a command."""
    _own.add(pid)


def disown(pid: int) -> None:
    _own.discard(pid)


@contextlib.contextmanager
def starting() -> Iterator[Callable[[int], None]]:
    """Around starting a child in a session of its own; yields `own`. No sweep judges children meanwhile."""
    global _starting, _generation
    with _settled:
        _starting += 1
        _generation += 1
    try:
        yield own
    finally:
        with _settled:
            _starting -= 1
            _settled.notify_all()


def register(pid: int, marker: str) -> None:
    """`pid` is the main process of a running command; its own runner reaps it."""
    _running[pid] = marker


def unregister(pid: int) -> None:
    _running.pop(pid, None)


def start_time(pid: int) -> int | None:
    """The kernel start time that, with the pid, names a process; None when there is none."""
    seen = look(pid)
    return seen.start if seen else None


def look(pid: int) -> Seen | None:
    """The process as it is now."""
    if not LINUX:
        return _look_elsewhere(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as file:  # noqa: PTH123 - this is read in a hot loop
            data = file.read()
    except OSError:
        return None
    # The name in parentheses may hold anything, parentheses too.
    field = data[data.rindex(b")") + 2 :].split()
    return Seen(
        pid=pid,
        parent=int(field[1]),
        group=int(field[2]),
        session=int(field[3]),
        tty=int(field[4]),
        start=int(field[19]),
        # A process whose first thread has ended looks like a zombie while its other threads run.
        state="R" if int(field[17]) > 1 else field[0].decode(),
        cpu_s=(int(field[11]) + int(field[12])) / _TICK_HZ,
        rss_mb=int(field[21]) * _PAGE_MB,
    )


def table() -> dict[int, Seen]:
    """All processes (0.3 ms for 80 of them)."""
    if LINUX:
        pids: Iterable[int] = (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - hot
    else:
        import psutil

        pids = psutil.pids()
    return {pid: seen for pid in pids if (seen := look(pid))}


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
        roots |= {pid for pid in processes if pid != me and _marker_of(pid) == marker}
    alive: dict[int, Seen] = {}
    reaped = 0
    for pid in _with_descendants(roots, processes):
        seen = processes[pid]
        if seen.state != "Z":
            alive[pid] = seen
        elif seen.parent == me and pid not in _running:
            reaped += _reap(pid)
    return Found(alive, reaped)


def nothing_inherited() -> bool:
    """Whether this process surely has no child but its own: the quick look after each run (20 microseconds).

    The kernel's list can skip an entry while a sibling exits, so it is read twice.
    """
    return _subreaper and not (_foreign_children() or _foreign_children())


def end(find: Callable[[], Found], grace_s: float, group: int = 0) -> tuple[set[int], set[int]]:
    """End all that `find` finds, until it finds nothing: TERM, `grace_s` seconds, KILL.

    `group` is the process group of a command whose main process is not yet reaped. With it, KILL goes to whole groups
    at a stroke, so that a chain that forks faster than we look ends as well.
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
                _hunt(min(0.05 * rounds, give_up - now))
        if found.alive:
            # In the gentle phase a look now and then finds what was forked since; killing does not wait for it.
            _wait_gone(found.alive.values(), min(gentle_until - now, 0.5) if gentle else 0.2)
        elif gentle:
            time.sleep(0.005)
    return set(asked), set()


def send(seen: Seen, number: signal.Signals) -> bool:
    """Signal exactly this process; False when it is gone or is not ours to signal."""
    try:
        if not LINUX:
            if start_time(seen.pid) != seen.start:
                return False
            os.kill(seen.pid, number)
            return True
        handle = os.pidfd_open(seen.pid)
        try:
            if start_time(seen.pid) != seen.start:
                return False
            signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_leftovers(
    session_id: str, folders: Iterable[Path], pid_files: Iterable[Path], grace_s: float = 5.0
) -> list[Leftover]:
    """End what an earlier engine of this session left running; the engine that recovers calls it first.

    Found by a pid file whose start time still holds, by AUTORESEARCH_SESSION in the environment, or by a working
    directory inside `folders` (the session's trees); with all descendants. A process with a controlling terminal is
    never taken for its working directory alone: that is a person's shell who looked in. Never this process, its
    ancestors, or another user's.
    """
    recorded = {pair for path in pid_files if (pair := _recorded(path))}
    inside = [os.path.realpath(folder) for folder in folders]
    why: dict[tuple[int, int], tuple[str, str]] = {}

    def find() -> Found:
        processes = table()
        spared = _ancestors(os.getpid(), processes) | _own
        roots: dict[int, str] = {}
        for pid, seen in processes.items():
            if pid in spared or seen.state == "Z":
                continue
            if (pid, seen.start) in why:
                roots[pid] = why[pid, seen.start][1]
            elif (pid, seen.start) in recorded:
                roots[pid] = "pid file"
            elif session_id and _variable(pid, SESSION) == session_id:
                roots[pid] = "environment"
            elif seen.tty == 0 and _is_inside(pid, inside):
                roots[pid] = "working directory"
        alive: dict[int, Seen] = {}
        for pid in _with_descendants(roots, processes):
            seen = processes[pid]
            if pid not in spared and seen.state != "Z":
                why.setdefault((pid, seen.start), (_name(pid), roots.get(pid, "descendant")))
                alive[pid] = seen
        ours = [pid for (pid, start) in why if pid in processes and processes[pid].parent == os.getpid()]
        return Found(alive, sum(_reap(pid) for pid in ours if processes[pid].state == "Z"))

    _, survivors = end(find, grace_s)
    return [Leftover(pid, name, reason, pid not in survivors) for (pid, _), (name, reason) in why.items()]


def _inherited(seen: Seen, marker: str) -> bool:
    """Whether a child of ours was left by the command with this marker."""
    if seen.pid in _running or seen.pid in _own or seen.session == os.getsid(0):
        return False
    # Only with several commands at once does it matter whose orphan it is; one that hides is taken by who looks first.
    others = [other for other in _running.values() if other != marker]
    return not others or _marker_of(seen.pid) not in others


def _marker_of(pid: int) -> str | None:
    return _variable(pid, MARKER)


def _with_descendants(roots: Collection[int], processes: dict[int, Seen]) -> list[int]:
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


def _ancestors(pid: int, processes: dict[int, Seen]) -> set[int]:
    """`pid` and everything above it."""
    chain: set[int] = set()
    while pid in processes and pid not in chain:
        chain.add(pid)
        pid = processes[pid].parent
    return chain | {1}


def _foreign_children() -> list[int]:
    """Our children, zombies too, that neither we nor a runner of ours started."""
    ours = os.getsid(0)
    found = []
    for pid in _children():
        if pid not in _running and pid not in _own:
            seen = look(pid)
            if seen and seen.session != ours:
                found.append(pid)
    return found


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


def _hunt(seconds: float) -> None:
    """Kill whatever becomes our child, at once and again: each link of a chain that forks and exits is orphaned to us.

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
                if pid in _running or pid in _own:
                    continue
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if os.getsid(pid) != ours:
                        os.kill(pid, signal.SIGKILL)
                        quiet = 0
                        _reap(pid)


def _kill_groups(groups: Iterable[int]) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _reap(pid: int) -> bool:
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
    try:
        for seen in itertools.islice(processes, _WAITED_FOR):
            try:
                handle = os.pidfd_open(seen.pid)
            except ProcessLookupError:
                continue
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                break  # those that we have are enough to wait for: whoever calls looks again
            handles.add(handle)
            poller.register(handle, select.POLLIN)
        while handles and (left := deadline - time.monotonic()) > 0:
            for handle, _ in poller.poll(max(1, int(left * 1000))):
                poller.unregister(handle)
                os.close(handle)
                handles.discard(handle)
    finally:
        for handle in handles:
            os.close(handle)


def _recorded(path: Path) -> tuple[int, int] | None:
    """pid and start time in a pid file; None when it is missing or was cut off by a power cut."""
    try:
        data = orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, orjson.JSONDecodeError):
        return None
    if not isinstance(data, dict):
        return None
    pid, start = data.get("pid"), data.get("start")
    return (pid, start) if isinstance(pid, int) and isinstance(start, int) else None


def _variable(pid: int, name: str) -> str | None:
    """A variable of a process's environment as it was given at its start; None when it cannot be read."""
    if not LINUX:
        import psutil

        try:
            value: str | None = psutil.Process(pid).environ().get(name)
            return value
        except (psutil.Error, OSError):
            return None
    try:
        with open(f"/proc/{pid}/environ", "rb", 0) as file:  # noqa: PTH123 - hot
            data = file.read()
    except OSError:
        return None
    key = name.encode() + b"="
    for entry in data.split(b"\0"):
        if entry.startswith(key):
            return os.fsdecode(entry[len(key) :])
    return None


def _is_inside(pid: int, folders: list[str]) -> bool:
    if LINUX:
        try:
            cwd = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")  # noqa: PTH115 - hot
        except OSError:
            return False
    else:
        import psutil

        try:
            cwd = psutil.Process(pid).cwd()
        except (psutil.Error, OSError):
            return False
    return any(cwd == folder or cwd.startswith(folder + os.sep) for folder in folders)


def _name(pid: int) -> str:
    if not LINUX:
        return str(pid)
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return str(pid)


def _look_elsewhere(pid: int) -> Seen | None:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return Seen(
                pid=pid,
                parent=process.ppid(),
                group=os.getpgid(pid),
                session=os.getsid(pid),
                tty=1 if process.terminal() else 0,
                start=int(process.create_time() * 1000),
                state="Z" if process.status() == psutil.STATUS_ZOMBIE else "R",
                cpu_s=times.user + times.system,
                rss_mb=process.memory_info().rss / 2**20,
            )
    except (psutil.Error, OSError):
        return None
