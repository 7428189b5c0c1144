"""Starts confined commands; a small process of its own, alone in it, and never imported by the engine.

It is started once per view of the machine (network, hidden paths), takes its namespaces, and then makes one child per
request with CLONE_PARENT: the engine's own child, found, limited and reaped by it as if the engine had forked it.

Where the kernel has process namespaces, that child is the *init* of one: it mounts a /proc and a shared memory of the
command's own, forks the command, which gives up all privileges, enters Landlock and execs, then reaps what falls to it
and tells the engine over the run's own socket how the command ended. When the engine's end of that socket closes, or
when init is killed, the kernel ends everything inside. Programs may write what concerns themselves below such a /proc
(CUDA names its threads there), and nothing of anybody else's is in it. Elsewhere the child itself becomes the command.

Where the kernel has overlays, init also mounts what the command finds in its tree, in HOME and in /tmp: its *places*
(`engine/sandbox/view.py` decides which). The rest of the machine is read-only from the start.

Why not a thread of the engine: what shares a Landlock domain with a thread may kill it, and with it the whole engine;
and only a process with a single thread can enter a user namespace, which is how an ordinary user gets a network
namespace. This process is in no domain of the commands: they can neither signal nor trace it.

Called as `python -I -S spawner_program.py SOCKET FOLDER...`; FOLDER is where landlockpy is.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 1 << 27, 1 << 28, 1 << 29, 1 << 30
_CLONE_PARENT = 0x8000
_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
_CLONE_HERE = _CLONE.get(os.uname().machine, 0)
_LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF, _PATH_BENEATH = 445, 446, 1
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)
"""By us or by Python: a command gets them as they are by default."""
_PR_SET_SECCOMP = 22
_FILTER_LINE = 8
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE, _MNT_DETACH = 32, 4096, 16384, 1 << 19, 2
_OF_THE_MACHINE = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"]
"""Settings of the whole machine, which user 0 may write without any privilege."""
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 4, 24, 28, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4
_SECUREBITS = 0x2F
"""An exec as user 0 gives no capabilities; none are kept over a change of user; locked, and no ambient ones."""
_CAP_SETPCAP, _CAP_SETFCAP = 8, 31
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY, _ATTR_NODEV, _ST_NODEV = 442, -100, 0x8000, 1, 4, 4
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_REQUEST = struct.Struct("<I")
_APART = "/dev/shm/.apart"
"""Gone when a command begins."""

# The interpreter's lock is held during these calls: nothing else runs here, and a fork finds it as it was.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _call(name: str, *arguments: object) -> int:
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _prctl(option: int, value: int, extra: int = 0) -> None:
    _call("prctl", *(ctypes.c_ulong(number) for number in (option, value, extra, 0, 0)))


def _clone(namespaces: int) -> int:
    """A fork whose child is our parent's child."""
    return _call("syscall", _CLONE_HERE, ctypes.c_ulong(_CLONE_PARENT | namespaces | signal.SIGCHLD), 0, 0, 0, 0)


# -- namespaces


def enter_namespaces(*, user: bool, mounts: bool, network: str) -> None:
    """A view of the machine of one's own; `network` is `on`, `loopback` or `off`. Raises OSError where refused."""
    uid, gid = os.getuid(), os.getgid()
    flags = (CLONE_NEWNS | CLONE_NEWIPC if mounts else 0) | (0 if network == "on" else CLONE_NEWNET)
    if not flags:
        return
    _call("unshare", flags | (CLONE_NEWUSER if user else 0))
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib would double the time to start
                file.write(text)
    if network == "loopback":
        _raise_loopback()
    if mounts:
        # Slave: what the machine mounts and unmounts later still happens here, and nothing of ours happens there.
        _mount(None, "/", None, _MS_REC | _MS_SLAVE)
        _mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777")
        _hide_terminals()


def _hide_terminals() -> None:
    """Terminals of one's own: what is written to another's can ask for a password there."""
    try:
        _mount("devpts", "/dev/pts", "devpts", 2 | 8, "newinstance,ptmxmode=0666,mode=620")  # nosuid, noexec
        if not os.path.islink("/dev/ptmx"):  # noqa: PTH114
            _mount("/dev/pts/ptmx", "/dev/ptmx", None, _MS_BIND)
    except OSError:
        if os.path.isdir("/dev/pts"):  # noqa: PTH112
            _mount("tmpfs", "/dev/pts", "tmpfs", _MS_RDONLY, "mode=000,size=4k")


def own_memory_and_processes(processes: bool, shared_mb: float = 0, nests: bool = False) -> None:
    """In the child of one command: shared memory that nobody else has, and a /proc that shows its processes alone.

    Of shared memory there is as much as said, else what the kernel gives: half of the machine's. Who `nests` makes
    process namespaces below this one, in which the kernel allows a /proc only where a whole one is among the mounts:
    there is one in a folder that the shared memory then covers.
    """
    quiet = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    if processes and nests:
        _mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=755,size=4k")
        os.mkdir("/dev/shm/proc")  # noqa: PTH102
        _mount("proc", "/dev/shm/proc", "proc", quiet)
    size = f",size={-(-shared_mb // 1):.0f}m" if shared_mb else ""
    _mount("tmpfs", "/dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=1777{size}")
    if processes:
        _mount("proc", "/proc", "proc", quiet)
    fix(_OF_THE_MACHINE)


def show(view: dict[str, Any], user: bool) -> None:
    """In init, after /proc: what this one command finds, folders before what lies in them. Raises OSError.

    All sources are opened first, because later mounts hide some; the kernel takes a descriptor's name for the place.
    """
    places = view["places"]
    sources = [[os.open(path, os.O_PATH | os.O_CLOEXEC) for path in place.get("from", ())] for place in places]
    for place, opened in zip(places, sources, strict=True):
        try:
            _KINDS[place["kind"]](place, [f"/proc/self/fd/{fd}" for fd in opened], user)
        except OSError as error:
            text = f"{place['kind']} at {place['at']}: {error.strerror}"
            raise OSError(errno.EIO, text) from None
    for fd in (fd for opened in sources for fd in opened):
        os.close(fd)
    cover(view["covered"])
    for source, at in view["repeated"]:
        _make_point(at, is_folder=True)
        _mount(source, at, None, _MS_BIND | _MS_REC)


def _overlay(place: dict[str, Any], names: list[str], user: bool) -> None:
    """`from`: the folder above, with `upper` and `work` in it, then what lies below, the topmost first.

    Volatile, unless it is to be durable: nothing of it outlives the machine, so its end need not wait for the disk. A
    folder from below is not renamed but copied (no redirects), so that all that a command wrote is found above.
    """
    above, *below = names
    _make_point(place["at"], is_folder=True)
    if place["nested"]:
        below[-1] = _apart(below[-1], user)
    options = [f"lowerdir={':'.join(below)}", f"upperdir={above}/upper", f"workdir={above}/{place['work']}"]
    options += ["index=off", "metacopy=off", *([] if place["durable"] else ["volatile"])]
    options += ["userxattr"] if user else ["redirect_dir=nofollow", "xino=on"]
    _mount("overlay", place["at"], "overlay", _MS_NOSUID | _MS_NODEV, ",".join(options))
    if place["nested"]:
        _call("umount2", _APART.encode(), _MNT_DETACH)
        os.rmdir(_APART)  # noqa: PTH106


def _apart(name: str, user: bool) -> str:
    """The same folder as a file system of its own: the kernel refuses an overlay of which one part lies in another."""
    seen, nothing = f"{_APART}/seen", f"{_APART}/nothing"
    os.mkdir(_APART)  # noqa: PTH102
    _mount("tmpfs", _APART, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=700,size=4k")
    for path in (seen, nothing):
        os.mkdir(path)  # noqa: PTH102
    options = f"lowerdir={name}:{nothing}{',userxattr' if user else ''}"
    _mount("overlay", seen, "overlay", _MS_NOSUID | _MS_NODEV | _MS_RDONLY, options)
    return seen


def _bind(place: dict[str, Any], names: list[str], _user: bool) -> None:
    (name,) = names
    _make_point(place["at"], is_folder=os.path.isdir(name))  # noqa: PTH112
    _mount(name, place["at"], None, _MS_BIND | _MS_REC)
    _set_mount(place["at"], _ATTR_RDONLY, not place["write"], 0 if place["write"] else _AT_RECURSIVE)


def _hide(place: dict[str, Any], _names: list[str], _user: bool) -> None:
    """A folder with nothing in it but what is mounted there later."""
    _make_point(place["at"], is_folder=True)
    _mount("tmpfs", place["at"], "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=64k")


_KINDS = {"overlay": _overlay, "bind": _bind, "hide": _hide}


def _make_point(path: str, is_folder: bool) -> None:
    """Where something is mounted there must be something; it is made in the layer above or in a folder of ours."""
    if os.path.lexists(path):
        return
    if is_folder:
        os.makedirs(path)  # noqa: PTH103
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))


def _raise_loopback() -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("16xH", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _mount(source: str | None, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    words = (os.fsencode(word) if word is not None else None for word in (source, target, kind))
    _call("mount", *words, ctypes.c_ulong(flags), data.encode() if data else None)


def hold(writable: list[str], guarded: list[str], inner: list[str], devices: list[str]) -> None:
    """Nothing but these folders, devices and /proc can be written; Landlock would also forbid every further mount.

    Of them, those that are `guarded` cannot, but for what is `inner` to those. Other devices cannot even be read: the
    owner of a disk, as root is, would find there what no path leads to.
    """
    writable, devices = ([path for path in paths if os.path.exists(path)] for paths in (writable, devices))  # noqa: PTH110
    devices = [path for path in devices if not os.statvfs(path).f_flag & _ST_NODEV]
    for path in [*writable, *devices]:
        _mount(path, path, None, _MS_BIND | _MS_REC)
    _set_mount("/", _ATTR_RDONLY | _ATTR_NODEV, True, _AT_RECURSIVE)
    for path in [*writable, "/proc", "/dev/shm", "/dev/pts"]:
        if os.path.exists(path):  # noqa: PTH110
            _set_mount(path, _ATTR_RDONLY, False)
    for path in devices:
        _set_mount(path, _ATTR_NODEV, False)
    for path in guarded:
        _mount(path, path, None, _MS_BIND | _MS_REC)
        _set_mount(path, _ATTR_RDONLY, True, _AT_RECURSIVE)
    for path in inner:
        _mount(path, path, None, _MS_BIND | _MS_REC)
        _set_mount(path, _ATTR_RDONLY, False)


def _set_mount(path: str, attribute: int, value: bool, flags: int = 0) -> None:
    bits = struct.pack("<QQQQ", attribute if value else 0, 0 if value else attribute, 0, 0)
    _call("syscall", _MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, bits, ctypes.c_size_t(len(bits)))


def cover(paths: list[str]) -> None:
    """Nobody reads what is at these paths any more: a folder or file without any permission lies over each."""
    empty = "/dev/shm/.covered"
    os.close(os.open(empty, os.O_CREAT | os.O_EXCL, 0o000))
    for path in paths:
        try:
            if os.path.isdir(path):  # noqa: PTH112
                _mount("tmpfs", path, "tmpfs", _MS_RDONLY, "mode=000,size=4k")
            else:
                _mount(empty, path, None, _MS_BIND)
        except FileNotFoundError:
            continue  # it went since it was named
    os.unlink(empty)  # noqa: PTH108


def fix(paths: list[str]) -> None:
    """Nobody replaces, removes or writes these files any more."""
    for path in paths:
        try:
            _mount(path, path, None, _MS_BIND)
            # A mount of another user namespace may have flags that must stay: say them again.
            kept = os.statvfs(path).f_flag & (2 | 4 | 8 | 1024)  # nosuid, nodev, noexec, noatime
            _mount(None, path, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept)
        except FileNotFoundError:
            continue


def drop_privileges(nests: bool = False) -> None:
    """All capabilities, for good: an exec as root gives none back, and no setuid program gives any.

    Who `nests` makes user namespaces below this one, in which root must keep its name: for that alone one is left. It
    holds within this namespace only.
    """
    kept = 1 << _CAP_SETFCAP if nests and os.getuid() == 0 else 0
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    with open("/proc/self/status") as file:  # noqa: PTH123
        effective = int(file.read().split("CapEff:")[1].split()[0], 16)
    if effective >> _CAP_SETPCAP & 1:
        for capability in range(64):
            try:
                if not kept >> capability & 1:
                    _prctl(_PR_CAPBSET_DROP, capability)
            except OSError:
                break  # beyond the last one this kernel knows
        _prctl(_PR_SET_SECUREBITS, _SECUREBITS)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    _call("capset", struct.pack("<Ii", 0x20080522, 0), struct.pack("<6I", low, low, low, high, high, high))
    if kept:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_SETFCAP)


def refuse_calls(program: bytes) -> None:
    """This process and those it starts make no system call that the filter refuses."""
    if program:
        code = ctypes.create_string_buffer(program, len(program))
        header = struct.pack("HxxxxxxQ", len(program) // _FILTER_LINE, ctypes.addressof(code))
        _call("prctl", _PR_SET_SECCOMP, ctypes.c_ulong(2), header, ctypes.c_ulong(0), ctypes.c_ulong(0))


# -- Landlock


def _landlock() -> Any:
    import landlockpy

    return landlockpy


class Reads:
    """What may be read when nothing can be covered: every entry beside the way to a hidden path."""

    def __init__(self, hidden: list[str], unlisted: list[str]) -> None:
        """Names of what lies in `unlisted` are hidden too."""
        lock = _landlock()
        fs = lock.AccessFS
        self.ruleset = lock.Ruleset(handled_fs=fs.READ_FILE | fs.READ_DIR, handled_net=lock.AccessNet.NONE)
        self._allow_beside("/", hidden, fs.READ_FILE)
        self._allow_beside("/", unlisted, fs.READ_DIR)

    def _allow_beside(self, folder: str, hidden: list[str], right: Any) -> None:
        """Landlock only ever allows, so all that lies beside is."""
        ahead = [path for path in hidden if path.startswith(folder.rstrip("/") + "/")]
        if not ahead:
            _allow(self.ruleset, folder, right, right)
            return
        for entry in os.scandir(folder):
            if entry.path in ahead or entry.is_symlink():
                continue
            if entry.is_dir(follow_symlinks=False):
                self._allow_beside(entry.path, ahead, right)
            elif right != _landlock().AccessFS.READ_DIR:
                _allow(self.ruleset, entry.path, right, right)


class Rules:
    """What a command may write and reach, made afresh for each: a tree may be another folder than the last time.

    They are made before the fork: each page that the child touched would be copied for it.
    """

    def __init__(self, order: dict[str, Any], reads: Reads | None) -> None:
        lock = _landlock()
        fs, net = lock.AccessFS, lock.AccessNet
        closed = net.BIND_TCP | net.CONNECT_TCP | net.BIND_UDP | net.CONNECT_SEND_UDP
        # Everything that changes something in a file system, for the kernel to reduce to what it knows.
        makes = fs.MAKE_CHAR | fs.MAKE_DIR | fs.MAKE_REG | fs.MAKE_SOCK | fs.MAKE_FIFO | fs.MAKE_BLOCK | fs.MAKE_SYM
        self._writes = makes | fs.WRITE_FILE | fs.REMOVE_DIR | fs.REMOVE_FILE | fs.REFER | fs.TRUNCATE
        self._of_files = fs.WRITE_FILE | fs.TRUNCATE
        self._handled_fs = fs.NONE if order["nests"] else self._writes
        self._handled_net = closed if order["close_network"] else net.NONE
        self._scoped = lock.Scope.SIGNAL | lock.Scope.ABSTRACT_UNIX_SOCKET
        self._devices = order["devices"]
        self._reads = reads
        supported = lock.fs_for_abi(lock.abi_version())
        self._rights = int(self._writes & supported), int(self._of_files & supported)

    def allow_own(self, ruleset: Any, proc: bool, seen: list[str]) -> None:
        """In the child, of what was mounted there: its places, its shared memory, and below `/proc` what a program may
        write of itself (names of its threads, its own place in the order of the memory killer). Raw, with rights made
        before the fork, for speed."""
        allowed = [("/dev/shm", self._rights[0]), *([("/proc", self._rights[1])] if proc else [])]
        allowed += [(path, self._rights[0] if os.path.isdir(path) else self._rights[1]) for path in seen]  # noqa: PTH112
        for path, rights in allowed:
            folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("<Qi", rights, folder)
            _call("syscall", _LANDLOCK_ADD_RULE, ruleset.fileno(), _PATH_BENEATH, rule, 0)
            os.close(folder)

    def made(self, writable: list[str], fds: list[int]) -> list[Any]:
        ruleset = _landlock().Ruleset(handled_fs=self._handled_fs, handled_net=self._handled_net, scoped=self._scoped)
        if self._handled_fs:
            for path in writable:
                _allow(ruleset, path, self._writes, self._of_files)
            for path in self._devices:
                _allow(ruleset, path, self._of_files, self._of_files)
            for fd in set(fds[1:]):  # the log, for those who open /dev/stderr
                _allow(ruleset, f"/proc/self/fd/{fd}", self._of_files, self._of_files)
        return [ruleset] if self._reads is None else [ruleset, self._reads.ruleset]


def _allow(ruleset: Any, path: str, of_folders: Any, of_files: Any) -> None:
    try:
        ruleset.allow_path(path, of_folders if os.path.isdir(path) else of_files)  # noqa: PTH112
    except OSError:
        return  # gone, or a pipe: it stays forbidden


# -- becoming a command


def _become(request: dict[str, Any], fds: list[int], rulesets: list[Any], order: dict[str, Any]) -> None:
    """In the child: the command, with these descriptors as its 0, 1 and 2. Raises OSError."""
    os.setsid()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
    try:
        os.chdir(request["cwd"])
    except OSError as error:
        raise OSError(error.errno, error.strerror, request["cwd"]) from None
    _prctl(_PR_SET_DUMPABLE, 1)  # else an ordinary user may not write there
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - hot
        file.write(request["oom_score"])
    drop_privileges(nests=order["nests"])
    for ruleset in rulesets:
        _call("syscall", _LANDLOCK_RESTRICT_SELF, ruleset.fileno(), 0)
    if processes := order["processes"]:
        _, most = resource.getrlimit(resource.RLIMIT_NPROC)
        fewer = processes if most == resource.RLIM_INFINITY else min(processes, most)
        resource.setrlimit(resource.RLIMIT_NPROC, (fewer, fewer))
    try:
        os.sched_setaffinity(0, order["cpus"])  # a command before may have moved us
    except OSError:
        pass  # none of them is there any more
    try:
        os.execvpe(request["argv"][0], request["argv"], request["env"])
    except OSError as error:
        raise OSError(error.errno, error.strerror, request["argv"][0]) from None


def _start(request: dict[str, Any], fds: list[int], rules: Rules | None, order: dict[str, Any]) -> dict[str, Any]:
    """Make the child that is the command, or the init above it; `fds`: the run's socket, stdin, stdout, stderr."""
    own = (CLONE_NEWNS | CLONE_NEWIPC if order["mounts"] else 0) | (CLONE_NEWPID if order["init"] else 0)
    rulesets = rules.made(request["writable"], fds[1:]) if rules is not None else []
    told, tell = os.pipe()
    pid = _clone(own)
    if pid == 0:
        try:
            os.close(told)
            if order["mounts"]:
                own_memory_and_processes(bool(order["init"]), order["shared_mb"], nests=order["nests"])
            if view := request["view"]:
                show(view, order["user"])
            if rules is not None and not order["nests"]:
                rules.allow_own(rulesets[0], order["proc"], view["writable"] if view else [])
            if order["init"]:
                _lead(request, fds, rulesets, order, tell)
            else:
                os.close(fds[0])
                _become(request, fds[1:], rulesets, order)
        except OSError as error:
            os.write(tell, json.dumps([error.errno, error.strerror, error.filename]).encode())
        finally:
            os._exit(127)
    os.close(tell)
    line = os.read(told, 4096)  # ends at the exec
    os.close(told)
    for ruleset in rulesets[:1]:
        ruleset.close()
    return {"pid": pid, "error": json.loads(line) if line else None}


# -- the init of one command


def _lead(request: dict[str, Any], fds: list[int], rulesets: list[Any], order: dict[str, Any], tell: int) -> None:
    """Start the command below this process, see it to its end, and end with everything that it left.

    Raises OSError in the command's own process too, when it could not become the command.
    """
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    main = os.fork()
    if main == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _become(request, fds[1:], rulesets, order)
    os.close(tell)
    for fd in fds[1:]:
        os.close(fd)
    _call("capset", struct.pack("<Ii", 0x20080522, 0), bytes(24))
    with socket.socket(fileno=fds[0]) as control:
        shared = os.open("/dev/shm", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        socket.send_fds(control, [b"{}"], [shared])
        _see_to_end(control, main, woken, float(request["grace_s"]))


def _see_to_end(control: socket.socket, main: int, woken: int, grace_s: float) -> None:
    """Reap what falls to us; at the main process's end say how it ended, and grant what is left a while."""
    poller = select.poll()
    poller.register(control, select.POLLIN | select.POLLHUP)
    poller.register(woken, select.POLLIN)
    until = float("inf")
    while True:
        left_ms = None if until == float("inf") else max(0, (until - time.monotonic()) * 1000)
        ready = {fd for fd, _ in poller.poll(left_ms)}
        if control.fileno() in ready:
            if not control.recv(16):
                return  # the engine is gone: all of this with it
            _signal_all(signal.SIGTERM)
        if woken in ready:
            os.read(woken, 4096)
        try:
            while (ended := os.wait4(-1, os.WNOHANG))[0]:
                pid, status, usage = ended
                if pid == main:
                    left = sum(name.isdigit() for name in os.listdir("/proc")) - 1  # noqa: PTH208 - hot
                    report = {"status": status, "peak_kb": usage.ru_maxrss, "left": left}
                    control.send(json.dumps(report).encode())
                    until = time.monotonic() + grace_s
                    _signal_all(signal.SIGTERM)
        except ChildProcessError:
            return  # nothing is left, the main process neither
        if time.monotonic() >= until:
            return


def _signal_all(number: signal.Signals) -> None:
    for each in (number, signal.SIGCONT):  # a stopped process acts on TERM only when it runs again
        try:
            os.kill(-1, each)
        except ProcessLookupError:
            return


# -- serving


def serve(handle: socket.socket) -> None:
    received = _receive(handle)
    assert received is not None
    order = received[0]
    try:
        enter_namespaces(**{name: order[name] for name in ("user", "mounts", "network")})
        if writable := order["held"] or order["frozen_but"]:
            hold(writable, order["guarded"], order["inner"], order["devices"])
        if order["mounts"]:
            cover(order["cover"])
            fix(order["fix"])
        else:
            drop_privileges(nests=order["nests"])
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        refuse_calls(bytes.fromhex(order["filter"]))
        _prctl(_PR_SET_DUMPABLE, 0)
        rules = None
        if order["landlock"]:
            covered = order["mounts"] or not order["cover"]
            rules = Rules(order, None if covered else Reads(order["cover"], order["unlisted"]))
        _send(handle, {"error": None})
    except OSError as error:
        _send(handle, {"error": [error.errno, error.strerror, error.filename]})
        return
    gc.freeze()
    gc.disable()  # a collection in a child would copy all of us
    while (received := _receive(handle)) is not None:
        request, fds = received
        try:
            _send(handle, _start(request, fds, rules, order))
        except BrokenPipeError:  # the engine has ended meanwhile
            return
        for fd in fds:
            os.close(fd)


def _receive(handle: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    data, fds, _, _ = socket.recv_fds(handle, _REQUEST.size, 4)
    for fd in fds:
        os.set_inheritable(fd, False)
    if len(data) < _REQUEST.size:
        return None  # the engine has ended
    (size,) = _REQUEST.unpack(data)
    rest = handle.recv(size, socket.MSG_WAITALL)
    return (json.loads(rest), fds) if len(rest) == size else None


def _send(handle: socket.socket, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode()
    handle.sendall(_REQUEST.pack(len(data)) + data)


def main(arguments: list[str]) -> None:
    sys.path += arguments[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the engine decides: we end when its end of the socket closes
    with socket.socket(fileno=int(arguments[0])) as handle:
        handle.set_inheritable(False)
        serve(handle)


# -- finding out


def probe_overlays(folder: str, user: bool) -> bool:
    """Whether overlays can be had with layers in this folder, tried for real in a process of its own."""
    for name in ("below", "above/upper", "above/work", "seen"):
        os.makedirs(f"{folder}/{name}")  # noqa: PTH103
    below, above, seen = (f"{folder}/{name}" for name in ("below", "above", "seen"))
    with open(f"{below}/file", "w") as file:  # noqa: PTH123
        file.write("below")
    child = os.fork()
    if child == 0:
        try:
            enter_namespaces(user=user, mounts=True, network="on")
            hold([folder], [], [], ["/dev/null"])
            place = {"kind": "overlay", "from": [above, below], "at": seen, "work": "work", "nested": False}
            place["durable"] = False
            show({"places": [place], "covered": [], "repeated": []}, user)
            with open(f"{seen}/file", "w") as file:  # noqa: PTH123
                file.write("above")
            with open(f"{below}/file") as file:  # noqa: PTH123
                os._exit(file.read() != "below")
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def probe() -> dict[str, Any]:
    """What this machine lets us have, each tried for real in a process of its own."""
    found: dict[str, Any] = {"user": False, "mounts": False, "network": False, "held": False, "processes": False}
    if not _CLONE_HERE:
        return found
    for user in (False, True):
        for mounts, network in ((True, "loopback"), (False, "loopback"), (True, "on")):
            if _works(user, mounts, network):
                found |= {"user": user, "mounts": mounts, "network": network == "loopback"}
                found["held"] = mounts and _works(True, mounts, network, held=True)
                found["processes"] = mounts and _works(user, mounts, network, processes=True)
                return found
    return found


def _works(user: bool, mounts: bool, network: str, held: bool = False, processes: bool = False) -> bool:
    child = os.fork()
    if child == 0:
        try:
            enter_namespaces(user=user, mounts=mounts, network=network)
            if held:
                hold(["/tmp"], [], [], ["/dev/null"])
            if processes and not _clone(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC):
                own_memory_and_processes(True, nests=True)
            os._exit(0)
        except OSError:
            os._exit(1)
    codes = []
    while True:
        try:
            codes.append(os.wait()[1])
        except ChildProcessError:
            return not any(codes)


if __name__ == "__main__":
    if sys.argv[1:] == ["probe"]:
        print(json.dumps(probe()))
    elif sys.argv[1:2] == ["overlays"]:
        print(json.dumps(probe_overlays(sys.argv[2], sys.argv[3] == "user")))
    else:
        main(sys.argv[1:])
