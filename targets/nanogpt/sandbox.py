"""What the kernel can do to keep a candidate away from its evaluator. Protected; used by `evaluator.py` alone.

On Linux: no privileges (also for root), no writes but to a scratch folder that nobody else sees, no network and no
shared memory, no other process in sight, and an end that takes all descendants along. What the running kernel or the
account does not offer is left out and named, never silently. Elsewhere only the process itself is ended. Written with
raw system calls so that a copied folder needs nothing installed.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path, PurePath

LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_SECUREBITS = 1, 4, 24, 28
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 1 << 27, 1 << 28, 1 << 29, 1 << 30
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC_PRIVATE = 1, 32, 4096, 0x4000 | 0x40000
NOROOT_AND_LOCKS = 0x2F
"""Securebits: an exec as user 0 gives no capabilities; keep-caps off; both locked, and no ambient ones."""


ACCELERATORS = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/accel[0-9]*")
"""Devices that compute."""


class SandboxError(Exception):
    """A system call that ought to work did not."""


def _call(name: str, *arguments: object) -> int:
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _prctl(option: int, value: int, extra: int = 0) -> None:
    _call("prctl", *(ctypes.c_ulong(number) for number in (option, value, extra, 0, 0)))


# ------------------------------------------------------------------------------------------- the evaluator itself


def shield() -> None:
    """Makes this process one that no other without privileges can read, write, trace or take descriptors from, and the
    one to which every orphan among its descendants falls."""
    if LINUX:
        _prctl(PR_SET_DUMPABLE, 0)
        _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_descendants(started: list[subprocess.Popen[bytes]], patience_s: float = 20) -> None:
    """Kills and reaps every descendant of this process; orphans fall to it and are met in the next round. `started`
    are those known by name: elsewhere than on Linux, only they and their process groups are ended."""
    deadline = time.monotonic() + patience_s
    for process in started:
        _kill(-process.pid)
    while True:
        for pid in _children():
            _kill(pid)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if time.monotonic() > deadline:
            raise SandboxError("processes of the candidate could not be ended")
        time.sleep(0.002)


def has_accelerator() -> bool:
    return any(any(Path("/").glob(pattern[1:])) for pattern in ACCELERATORS)


def uses_accelerator(process: subprocess.Popen[bytes]) -> bool:
    """Whether it, or a descendant, has a device open that computes."""
    waiting = [process.pid]
    while waiting:
        pid = waiting.pop()
        waiting += _children(pid)
        try:
            opened = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue  # it ended while we looked, or may not be looked into
        if any(PurePath(path).match(pattern) for path in opened for pattern in ACCELERATORS):
            return True
    return False


def _children(of: int | None = None) -> list[int]:
    """Direct children: the fourth field of /proc/PID/stat, behind the name in brackets, is the parent."""
    found = []
    for folder in Path("/proc").iterdir() if LINUX else ():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it ended while we looked
            if parent == (of or os.getpid()):
                found.append(int(folder.name))
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # gone, or on macOS a group of zombies; what lives on is met again until the deadline


# ----------------------------------------------------------------------------------------- the candidate's process


PROTECTIONS = ("no privileges", "own network", "own shared memory", "own scratch folder", "own processes", "Landlock")


def start(
    command: list[str], *, scratch: Path, hidden: Path | None, fds: list[int], env: dict[str, str], output: int
) -> tuple[subprocess.Popen[bytes], list[str]]:
    """Starts `command` confined, in a session of its own, with these descriptors and nothing else open.

    Returns the process and what protects from it: names of PROTECTIONS, the last with its version.
    """
    told, tell = os.pipe()
    order = json.dumps({"command": command, "scratch": str(scratch), "hidden": str(hidden or ""), "tell": tell})
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).resolve()), order],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            pass_fds=[*fds, tell],
            start_new_session=True,
        )
    finally:
        os.close(tell)
    with os.fdopen(told, "rb") as report:
        line = report.read()
    if not line:
        raise SandboxError("the confined process did not start")
    return process, json.loads(line)


def _become(command: list[str], scratch: Path, hidden: Path | None, tell: int) -> None:
    """Runs in the fresh process: gives everything up, says what held, and becomes the command."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    held: list[str] = []
    if LINUX:
        _own_namespaces(held, scratch)
        _drop_privileges()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        held.insert(0, "no privileges")
        # CUDA names its threads through /proc, and gives up where it cannot.
        private = {"own shared memory": Path("/dev/shm"), "own scratch folder": scratch, "own processes": Path("/proc")}
        _landlock(held, [place for name, place in private.items() if name in held], hidden)
    os.write(tell, json.dumps(held).encode())
    os.close(tell)
    os.execv(command[0], command)


def _own_namespaces(held: list[str], scratch: Path) -> None:
    """Stops at the first thing that is not to be had; `held` then lacks it and what comes after."""
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWPID
    try:
        try:
            _call("unshare", flags)
        except PermissionError:  # an ordinary user needs a user namespace around them
            _call("unshare", flags | CLONE_NEWUSER)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        held.append("own network")
        _mount(None, b"/", None, MS_REC_PRIVATE)
        _mount(b"tmpfs", b"/dev/shm", b"tmpfs")
        held.append("own shared memory")
        _mount(b"tmpfs", os.fsencode(scratch), b"tmpfs")
        held.append("own scratch folder")
    except OSError:
        return
    _continue_in_child()  # a process namespace begins with the next process
    try:
        _mount(b"proc", b"/proc", b"proc")
        for setting in (b"/proc/sys", b"/proc/sysrq-trigger"):  # of the whole machine, and root may write them
            if Path(os.fsdecode(setting)).exists():
                _mount(setting, setting, None, MS_BIND)
                _mount(None, setting, None, MS_REMOUNT | MS_BIND | MS_RDONLY)
        held.append("own processes")
    except OSError:
        return


def _mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int = 0) -> None:
    _call("mount", source, target, kind, ctypes.c_ulong(flags), None)


def _continue_in_child() -> None:
    """Returns in the child; the parent only waits for it and ends as it ended."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    child = os.fork()
    if child:
        for fd in range(3, 256):
            try:
                os.close(fd)
            except OSError:
                continue  # was not open
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(code if code >= 0 else 128 - code)


def _drop_privileges() -> None:
    """All capabilities, for good: for root too, whose files then are protected by Landlock alone."""
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    status = Path("/proc/self/status").read_text()
    if int(status.split("CapEff:")[1].split()[0], 16) >> 8 & 1:  # CAP_SETPCAP: an ordinary user has nothing to drop
        for capability in range(64):
            try:
                _prctl(PR_CAPBSET_DROP, capability)
            except OSError:
                break  # beyond the last one this kernel knows
        _prctl(PR_SET_SECUREBITS, NOROOT_AND_LOCKS)
    header = struct.pack("<Ii", 0x20080522, 0)
    _call("capset", header, bytes(24))
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


# ----------------------------------------------------------------------------------------------------- Landlock

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
READ_FILE, READ_DIR, WRITE_FILE, TRUNCATE, REFER = 1 << 2, 1 << 3, 1 << 1, 1 << 14, 1 << 13
WRITES = WRITE_FILE | sum(1 << bit for bit in range(4, 13))
"""Write, and remove or make any kind of entry."""
OF_FILES = READ_FILE | WRITE_FILE | TRUNCATE
DEVICES = ("/dev/null", "/dev/zero", "/dev/nvidia*", "/dev/kfd", "/dev/dri/*", "/dev/accel*")


def _landlock(held: list[str], writable: list[Path], hidden: Path | None) -> None:
    try:
        version = _call("syscall", CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    except OSError:
        return  # a kernel without it, or one with it switched off: `held` lacks it
    writes = WRITES | (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0)
    reads = READ_FILE | READ_DIR if hidden and hidden.is_dir() else 0
    network = 3 if version >= 4 else 0  # bind and connect of TCP
    scoped = 3 if version >= 6 else 0  # abstract sockets and signals
    attributes = struct.pack("<QQQ", writes | reads, network, scoped)[
        : 24 if version >= 6 else 16 if version >= 4 else 8
    ]
    ruleset = _call("syscall", CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    for place in writable:
        _allow(ruleset, place, writes | reads)
    for pattern in DEVICES:
        for device in Path("/").glob(pattern[1:]):
            _allow(ruleset, device, (writes | reads) & OF_FILES)
    if reads and hidden:
        _allow_reading_all_but(ruleset, hidden.resolve(), reads)
    _call("syscall", RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    held.append(f"Landlock {version}")


def _allow(ruleset: int, place: Path, rights: int) -> None:
    try:
        fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not there or not ours to see: then it stays forbidden
    try:
        _call("syscall", ADD_RULE, ruleset, 1, struct.pack("<Qi", rights, fd), 0)
    finally:
        os.close(fd)


def _allow_reading_all_but(ruleset: int, hidden: Path, reads: int) -> None:
    """Landlock only ever allows, so all entries beside the path to the hidden folder are."""
    for ancestor in hidden.parents:
        for entry in ancestor.iterdir():
            if entry != hidden and entry not in hidden.parents and not entry.is_symlink():
                _allow(ruleset, entry, reads if entry.is_dir() else reads & OF_FILES)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    _become(given["command"], Path(given["scratch"]), Path(given["hidden"]) if given["hidden"] else None, given["tell"])
