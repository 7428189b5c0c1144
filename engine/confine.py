"""What a measured process may touch, as far as the kernel of this machine can hold it to that.

It may write its own tree, its scratch folders and what the target declares; it may read everything but keys, hidden
paths and the session folders; it has the network that the target asks for, and no privileges, also under root. Commands
are started by a spawner (`confine_spawner`), one for each view of the machine, which lives as long as the engine.

What the kernel or the account does not offer is left out and named (`level`), never silently.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from autoresearch.engine import process, syscalls
from autoresearch.engine.agents.credentials import KEY_FILE
from autoresearch.engine.agents.presets import PRESETS
from autoresearch.engine.environment import SECRET, Scratch, in_place_caches
from autoresearch.state.config import Config
from autoresearch.state.session import Place, SessionError

LINUX = sys.platform == "linux"
Network = Literal["off", "loopback", "on"]
Role = Literal["setup", "run", "evaluate", "holdout"]
"""`run` is also `build` and the guards; `holdout` one that stands alone, where `run` would."""
JUDGES: tuple[Role, ...] = ("evaluate", "holdout")
"""They may read what is hidden, and get `evaluate_env`."""

_PROGRAM = Path(__file__).with_name("confine_spawner.py")
_SIZE = struct.Struct("<I")
_PROBE_S = 30.0
_PR_SET_DUMPABLE = 4
_TRUNCATE_ABI, _SCOPES_ABI = 3, 6
_MOST_TASKS = max(8 * process.MOST_PROCESSES, 16384)
"""Processes and threads: against what multiplies faster than the engine looks. The kernel counts all of one's account,
or all in a spawner's namespace; root is not bound."""


# -- what this machine offers


@dataclass(frozen=True, slots=True)
class Kernel:
    """What this machine offers, each tried for real."""

    landlock: int = 0
    """The version of Landlock; 0: none."""
    user: bool = False
    """Namespaces need a user namespace around them: we are not root, or not all of it."""
    mounts: bool = False
    """A mount namespace of one's own."""
    network: bool = False
    """A network namespace of one's own with a loopback device."""
    held: bool = False
    """All mounts can be made read-only but some (5.12), which holds more than Landlock, and allows further mounts."""


@functools.cache
def kernel() -> Kernel:
    """What this machine offers; found out once in each process (30 ms)."""
    if not LINUX:
        return Kernel()
    command = [sys.executable, "-I", "-S", str(_PROGRAM), "probe"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_PROBE_S, env=_environ())
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    return Kernel(landlock=landlock_abi(), **found)


def landlock_abi() -> int:
    """The version of the kernel's Landlock; 0 without one."""
    if not LINUX:
        return 0
    import landlockpy

    try:
        return landlockpy.abi_version()
    except landlockpy.LandlockError:
        return 0  # a container's seccomp filter may refuse the call itself


@functools.cache
def processors() -> list[int]:
    """Those that this process could use when it was first asked: a command of the same user may take it from some."""
    return sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Protection:
    """One row of the table of levels."""

    name: str
    without: str
    """What is so where it is missing, for people."""
    essential: bool = False
    """`confine = "required"` refuses to start without it."""


_TABLE: tuple[tuple[Protection, int, str], ...] = (
    # the protection; the Landlock version that gives it (0: none does); the namespace that does
    (Protection("writing", "runs can write whatever your account can", essential=True), 1, "held"),
    (Protection("reading", "runs can read keys, hidden paths and sessions", essential=True), 1, "mounts"),
    (Protection("emptying", "runs can empty files that they cannot write"), 3, "held"),
    (Protection("signals", "runs can signal your other processes"), 6, ""),
    (Protection("modes", "runs can change the modes and times of your files"), 0, "held"),
    (Protection("hiding", "runs can read hidden paths that lie in their own tree"), 0, "mounts"),
    (Protection("git file", "runs can replace their tree's .git file, which is then put back"), 0, "mounts"),
    (Protection("shared memory", "/dev/shm is shared with everything else"), 0, "mounts"),
    (Protection("terminals", "runs can write to your other terminals"), 0, "mounts"),
    (Protection("sockets", "runs can reach other programs' sockets (docker, tmux, the session bus)"), 0, "mounts"),
)
_NETWORK_TABLE: tuple[tuple[Protection, int, str], ...] = (
    (Protection("network", "runs can open TCP connections", essential=True), 4, "network"),
    (Protection("datagrams", "runs can send UDP"), 10, "network"),
)
_LOOPBACK = Protection("loopback", "the loopback network is closed, too: programs cannot talk over localhost")


@dataclass(frozen=True, slots=True)
class Level:
    """How well runs are confined here."""

    name: Literal["full", "partial", "none", "off"]
    by: str
    """What holds them."""
    missing: tuple[Protection, ...] = ()

    def holds(self, protection: str) -> bool:
        """Whether runs are held in this respect: a name in the table of levels."""
        return self.name not in ("off", "none") and protection not in {row.name for row in self.missing}

    @property
    def sentence(self) -> str:
        if self.name == "off":
            return "runs are not confined: measure.confine is off"
        if self.name == "none":
            return f"runs are not confined: {self.by}"
        said = "runs write only their own folders, read no keys and have only the network they are given"
        if not self.missing:
            return said
        return f"runs are confined, but {', '.join(protection.without for protection in self.missing)}"

    def __str__(self) -> str:
        """As the header has it."""
        if self.name in ("off", "none"):
            return f"{self.name}: {self.sentence}"
        without = "; without: " + ", ".join(row.name for row in self.missing) if self.missing else ""
        return f"{self.name}: {self.by}{without}"


def level(settings: str = "auto", network: Network = "loopback", offered: Kernel | None = None) -> Level:
    """The level that `measure.confine` and `measure.network` come to on this machine."""
    if settings == "off":
        return Level("off", "nothing")
    offered = offered or kernel()
    rows = _TABLE + (_NETWORK_TABLE if network != "on" else ())
    missing = [
        row
        for row, version, namespace in rows
        if not (version and offered.landlock >= version) and not (namespace and getattr(offered, namespace))
    ]
    if network == "loopback" and not offered.network and offered.landlock >= _NETWORK_TABLE[0][1]:
        missing.append(_LOOPBACK)
    if not (offered.landlock or offered.mounts or offered.network):
        why = "this kernel offers no Landlock and this account no namespaces" if LINUX else "only Linux can"
        return Level("none", why, tuple(missing))
    parts = [f"Landlock {offered.landlock}"] if offered.landlock else []
    if offered.mounts or offered.network:
        parts.append("namespaces")
    return Level("partial" if missing else "full", " and ".join(parts), tuple(missing))


def shield() -> None:
    """No process without privileges, of the same user too, reads or traces this one: it may hold keys."""
    if LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def refuse_weak(config: Config, offered: Kernel | None = None) -> None:
    """`confine = "required"`: raises SessionError where files or the network asked for cannot be held."""
    if config.measure.confine != "required":
        return
    lacking = [row for row in level("auto", config.measure.network, offered).missing if row.essential]
    if lacking:
        raise SessionError(
            f'measure.confine = "required" cannot be had here: {", ".join(row.without for row in lacking)}; '
            'use a kernel with Landlock (5.13, for the network 6.7), or set measure.confine = "auto".'
        )


# -- what broke for want of a network

NETWORK_WORDS = re.compile(
    r"name resolution|name or service not known|nodename nor servname|could not resolve|getaddrinfo|"
    r"EAI_AGAIN|ENOTFOUND|ENETUNREACH|network is unreachable|no address associated with hostname|"
    r"failed to establish a new connection|max retries exceeded|connection refused|ECONNREFUSED|"
    r"outgoing traffic has been disabled|OfflineModeIsEnabled|offline mode is enabled|HF_HUB_OFFLINE|"
    r"LocalEntryNotFoundError|urlopen error|dial tcp|connection error|no such host|NewConnectionError|ConnectError|"
    r"network (?:access )?(?:is )?disabled|download.* failed|no matching distribution found|"
    r"not found in the cache.*offline|\bconnect\b.*(?:permission denied|EACCES)",
    re.IGNORECASE,
)
"""What programs write when they find no network."""


def network_hint(output: str, network: Network) -> str:
    """A clause for a command that failed, when what it wrote last looks like a missing network; "" otherwise."""
    if network == "on" or not NETWORK_WORDS.search(output):
        return ""
    return (
        f'the run has no network (measure.network = "{network}"): set measure.network = "on" if it needs one, '
        "or fetch what it needs in measure.setup"
    )


# -- paths

_KEYS = (
    ".ssh .gnupg .aws .azure .kube .netrc .pypirc .npmrc .yarnrc.yml .git-credentials .password-store .my.cnf .pgpass "
    ".config/gcloud .config/gh .config/git/credentials .config/hub .config/op .config/anthropic .config/openai "
    ".config/rclone .config/containers .config/google-chrome .config/chromium .mozilla .docker/config.json "
    ".local/share/keyrings .cargo/credentials .cargo/credentials.toml .kaggle .huggingface/token "
    ".cache/huggingface/token .cache/huggingface/stored_tokens .bash_history .zsh_history .python_history .lesshst "
    ".claude .claude.json .codex .gemini .pi .aider.conf.yml .local/share/opencode .config/opencode"
).split()
_SYSTEM_KEYS = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d",
                "/etc/ssl/private", "/etc/krb5.keytab", "/var/lib/docker", "/var/lib/containerd")  # fmt: skip
_SOCKETS = ("/run/docker.sock", "/run/containerd", "/run/podman", "/run/crio", "/run/dbus/system_bus_socket",
            "/run/systemd/private", "/run/snapd.socket", "/run/snapd-snap.socket", "/run/libvirt", "/run/screen",
            "/run/user", "/tmp/.X11-unix")  # fmt: skip
"""By which other programs take orders that would be carried out outside."""
_ACCELERATORS = ("dri", "kfd", "dxg", "nvidia*", "accel*", "infiniband", "mali*", "davinci*")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", *_ACCELERATORS)


def keys(environ: Mapping[str, str]) -> list[Path]:
    """Where keys and logins lie, whether they are there or not."""
    home = Path(environ.get("HOME") or Path.home())
    logins = [home / name for preset in PRESETS.values() for name in preset.credentials]
    named = [Path(environ[name]).expanduser() for name in (KEY_FILE, "NETRC", "AWS_SHARED_CREDENTIALS_FILE",
             "GOOGLE_APPLICATION_CREDENTIALS", "KUBECONFIG") if environ.get(name)]  # fmt: skip
    known = {home / name for name in _KEYS}
    logins = [path for path in logins if not known.intersection(path.parents)]
    return [*(home / name for name in _KEYS), *logins, *named, *map(Path, _SYSTEM_KEYS)]


def sockets(environ: Mapping[str, str]) -> list[Path]:
    named = [Path(environ["SSH_AUTH_SOCK"]).parent] if environ.get("SSH_AUTH_SOCK", "").startswith("/tmp/") else []
    tmux = Path(environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{os.getuid()}"
    return [*map(Path, _SOCKETS), tmux, *named]


def accelerators() -> list[Path]:
    """The devices of this machine that compute."""
    return [path for pattern in _ACCELERATORS for path in Path("/dev").glob(pattern)]


def _devices() -> list[str]:
    found = [path for pattern in _DEVICES for path in Path("/dev").glob(pattern)]
    return [str(path) for path in found if not path.is_symlink()]


def _disks() -> list[Path]:
    return [path for path in Path("/dev").iterdir() if path.is_block_device()]


def _real(paths: Sequence[Path]) -> list[str]:
    """Those that are there, by their real paths, without what lies below another."""
    found = sorted({os.path.realpath(path) for path in paths if os.path.lexists(path)})
    kept: list[str] = []
    for path in found:
        if not (kept and path.startswith(kept[-1] + "/")) and Path(path).exists():
            kept.append(path)
    return kept


def beside(folder: Path, needed: Sequence[Path], most: int = sys.maxsize) -> Iterator[Path]:
    """All in a folder that is not on the way to something in `needed`, real paths.

    Nothing of a folder with more than `most` entries that holds something needed.
    """
    if folder in needed:
        return
    ahead = [path for path in needed if path.is_relative_to(folder)]
    if not ahead:
        yield folder
        return
    try:
        entries = [entry for entry in folder.iterdir() if not entry.is_symlink()]
    except (FileNotFoundError, PermissionError):
        return
    if len(entries) <= most:
        for entry in entries:
            yield from beside(entry, ahead, most)


# -- views and spawners


@dataclass(frozen=True, slots=True)
class View:
    """What of the machine a spawner's commands see."""

    network: Network
    covered: tuple[Path, ...] = ()
    """Nobody reads these, or writes them."""
    unlisted: tuple[Path, ...] = ()
    """Of these, the names inside are hidden even where nothing can be covered."""
    fixed: tuple[Path, ...] = ()
    """Files in writable folders that nobody replaces."""
    held: tuple[Path, ...] = ()
    """If any: only these are written, by the way they are mounted and not by Landlock."""
    frozen_but: tuple[Path, ...] = ()
    """If any: outside of these no mode, owner or time is changed either, which Landlock would allow."""
    guarded: tuple[Path, ...] = ()
    """What in `held` is not written all the same."""
    inner: tuple[Path, ...] = ()
    """What in `guarded` is written all the same."""
    shared_mb: float = 0.0
    """How much shared memory there is, where it is the view's own; 0: half of the machine's memory."""


@dataclass(slots=True)
class Started:
    """A child of ours that a spawner started."""

    pid: int
    spawner: Spawner
    returncode: int | None = None

    def ended(self) -> None:
        self.spawner.empty()


class Spawner:
    """Starts commands with one view of the machine; its process is started when first needed, and again when stale."""

    def __init__(self, view: View, offered: Kernel | None = None) -> None:
        self.view = view
        self._offered = offered or kernel()
        processors()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._seen: object = None

    def start(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        fds: tuple[int, int, int],
        writable: Sequence[Path],
    ) -> Started:
        """The command as a child of this process, with `fds` for its stdin, stdout and stderr. Raises OSError."""
        allowed = [str(path) for path in (*writable, *self._instead_of_mounts())]
        request = {"argv": list(argv), "cwd": str(cwd), "env": dict(env), "writable": allowed}
        with self._lock:
            answer = self._ask(request, fds)
            if answer is None:  # something ended the spawner, which is no reason not to measure
                self._end()
                answer = self._ask(request, fds)
        if answer is None:
            raise OSError("the process that starts confined commands ends by itself")
        if answer["error"] is not None:
            os.waitpid(answer["pid"], 0)
            raise OSError(*answer["error"])
        return Started(answer["pid"], self)

    def empty(self) -> None:
        """What the command that ended left in shared memory goes: it would take memory until the next one. No answer is
        waited for; where none could be given, the spawner has ended, and its shared memory with it."""
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    _send(self._socket, {}, ())

    def close(self) -> None:
        with self._lock:
            self._end()

    def _instead_of_mounts(self) -> Iterator[Path]:
        """What the view holds by mounts, where this machine has none, as what Landlock's rules allow.

        A folder on the way to what is guarded is left out, so no new names can be made in it.
        """
        if not self._held_by_rules:
            return
        guarded = [Path(path) for path in _real(self.view.guarded)]
        for path in _real(self.view.held):
            yield from beside(Path(path), guarded)
        yield from self.view.inner
        yield Path("/dev/shm")

    @property
    def _held_by_rules(self) -> bool:
        return bool(self.view.held) and not self._offered.held

    def _ask(self, request: dict[str, Any], fds: tuple[int, int, int]) -> dict[str, Any] | None:
        self._make_ready()
        assert self._socket is not None
        try:
            _send(self._socket, request, fds)
            return _receive(self._socket)
        except (BrokenPipeError, ConnectionResetError):
            return None

    def _make_ready(self) -> None:
        seen = self._look()
        if self._child is not None and (seen != self._seen or self._child.poll() is not None):
            self._end()
        if self._child is None:
            self._begin()
            self._seen = seen

    def _look(self) -> object:
        """Changes when what is hidden or fixed is another file than when the spawner began."""
        view = self.view
        inodes = [_inode(path) for path in (*view.covered, *view.fixed, *view.held, *view.frozen_but)]
        if self._offered.mounts or not self._offered.landlock:
            return inodes
        # Rules hold for files, not for names: one that was replaced since could not be read any more.
        return inodes, sorted(_files_beside(_real(view.covered)))

    def _begin(self) -> None:
        import landlockpy

        offered, view = self._offered, self.view
        held = [] if self._held_by_rules else _real(view.held)
        order = {
            "user": offered.user or bool(held),
            "mounts": offered.mounts,
            "network": view.network if offered.network else "on",
            "shared_mb": view.shared_mb,
            "close_network": view.network != "on" and not offered.network,
            "cover": _real(view.covered),
            "unlisted": _real(view.unlisted),
            "fix": _real(view.fixed),
            "held": held,
            "frozen_but": _real(view.frozen_but),
            "guarded": _real(view.guarded) if held else [],
            "inner": _real(view.inner) if held else [],
            "landlock": bool(offered.landlock) and not (held and offered.landlock < _SCOPES_ABI),
            "devices": _devices(),
            "processes": _MOST_TASKS if os.getuid() else 0,
            "filter": syscalls.program().hex(),
            "cpus": processors(),
        }
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-I", "-S", str(_PROGRAM), str(theirs.fileno())]
            self._child = subprocess.Popen(
                [*command, str(Path(landlockpy.__file__).parents[1])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env=_environ(),
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours
        _send(ours, order, ())
        answer = _receive(ours)
        if answer is None or answer["error"] is not None:
            self._end()
            number, what, _ = answer["error"] if answer else (0, "it ended by itself", None)
            raise OSError(number, f"the process that starts confined commands could not begin: {what}")

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._child is not None:
            self._child.wait()
        self._child = self._socket = None


def _send(handle: socket.socket, message: dict[str, Any], fds: tuple[int, ...]) -> None:
    # ASCII, so that names that are no UTF-8 pass as they are.
    data = json.dumps(message).encode()
    socket.send_fds(handle, [_SIZE.pack(len(data))], fds) if fds else handle.sendall(_SIZE.pack(len(data)))
    handle.sendall(data)


def _receive(handle: socket.socket) -> dict[str, Any] | None:
    head = handle.recv(_SIZE.size, socket.MSG_WAITALL)
    if len(head) < _SIZE.size:
        return None
    (size,) = _SIZE.unpack(head)
    data = handle.recv(size, socket.MSG_WAITALL)
    found: dict[str, Any] | None = json.loads(data) if len(data) == size else None
    return found


def _environ() -> dict[str, str]:
    """A spawner needs nothing but to find its libraries; what is in its environment could be read by a command."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _files_beside(hidden: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The files, with their inodes, in the folders on the way to what is hidden; not in those that all share."""
    for folder in {str(parent) for path in hidden for parent in Path(path).parents}:
        if Path(folder).stat().st_mode & 0o1000:
            continue
        with os.scandir(folder) as entries:
            yield from ((entry.path, entry.inode()) for entry in entries if entry.is_file(follow_symlinks=False))


def to_json(view: View) -> str:
    """For another process of ours; `from_json` reads it."""
    return json.dumps({name: _plain(getattr(view, name)) for name in View.__slots__})


def from_json(text: str) -> View:
    found: dict[str, Any] = json.loads(text)
    for name, value in found.items():
        if isinstance(value, list):
            found[name] = tuple(map(Path, value))
    return View(**found)


def _plain(value: str | float | tuple[Path, ...]) -> str | float | list[str]:
    return [str(path) for path in value] if isinstance(value, tuple) else value


# -- a session's measured commands


class Rooted(Protocol):
    """A tree in which commands run."""

    root: Path
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a session stands on this machine."""

    user_folder: Path
    """The target's folder in the user's worktree."""
    top: Path
    """The user's worktree."""
    common_dir: Path
    """The repository's git directory."""
    sessions: Path
    """All its sessions."""
    measure: Rooted
    evaluate: Rooted | None
    scratch: Scratch
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


def agent_view(config: Config, place: Place, trees: Path, tree: Path) -> View | None:
    """What an agent's CLI sees: it edits its tree and keeps its own files below HOME, and has the network.

    Everything else that is the session's or the user's repository is read-only. With Landlock's rules instead of
    mounts, no new file can be made in HOME itself when the repository or the trees lie below it. None where neither is.
    """
    if config.measure.confine == "off" or not (kernel().held or kernel().landlock >= _TRUNCATE_ABI):
        return None
    home = Path.home()
    named = [Path(os.environ[name]) for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
             "XDG_RUNTIME_DIR", "TMPDIR") if os.environ.get(name)]  # fmt: skip
    guarded = [path.resolve() for path in (place.top, place.common_dir, trees)]
    return View(
        "on",
        covered=tuple(hidden_in(config, place.folder)),
        held=(home, Path("/tmp"), Path("/var/tmp"), *named),
        guarded=tuple(path for path in guarded if not home.resolve().is_relative_to(path)),
        inner=(tree, tree.with_name(f"{tree.name}.git")),
    )


def hidden_in(config: Config, folder: Path) -> list[Path]:
    """What `measure.hidden` means below the target's folder, in the user's worktree or in a tree."""
    return [folder / Path(name).expanduser() for name in config.measure.hidden]


def ground(place: Place, trees: Path, measure: Rooted, evaluate: Rooted | None) -> Ground:
    """Where a session stands whose trees are in this folder."""
    return Ground(
        user_folder=place.folder,
        top=place.top,
        common_dir=place.common_dir,
        sessions=place.sessions_dir,
        measure=measure,
        evaluate=evaluate,
        scratch=Scratch(trees / "scratch"),
    )


class Confinement:
    """How the measured commands of one session are started."""

    def __init__(self, config: Config, ground: Ground, offered: Kernel | None = None) -> None:
        """Raises SessionError for declared paths that cannot be."""
        self.level = level(config.measure.confine, config.measure.network, offered)
        self._config = config
        self._ground = ground
        self._offered = offered
        self._spawners: dict[View, Spawner] = {}
        if self.level.name not in ("off", "none"):
            processors()
        self._extra = self._writable()
        if self.level.name not in ("off", "none") and self._mounts:
            self._refuse_shared_memory()

    def spawn(self, role: Role) -> process.Spawn:
        """What starts the commands of this role."""
        if self.level.name in ("off", "none"):
            return process.spawn
        view = self._view(role)
        spawner = self._spawners.setdefault(view, Spawner(view, self._offered))
        writable = self._folders(role)

        def spawn(command: process.Command, env: Mapping[str, str], output: int) -> process.Started:
            nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return spawner.start(command.argv, command.cwd, env, (nothing, output, output), writable)
            finally:
                os.close(nothing)

        return spawn

    def network(self, role: Role) -> Network:
        """An evaluator that is given a key is given the network too: it asks somebody with it."""
        if role == "setup":
            return "on"
        if role in JUDGES and any(SECRET.search(name) for name in self._config.measure.evaluate_env):
            return "on"
        return self._config.measure.network

    def gives(self, path: Path) -> bool:
        """Whether a run is given what is there to write, which a link may lead to."""
        real = path.resolve()
        return any(real.is_relative_to(folder.resolve()) for folder in self._folders("run"))

    def close(self) -> None:
        for spawner in self._spawners.values():
            spawner.close()

    def _folders(self, role: Role) -> list[Path]:
        ground = self._ground
        tree = ground.evaluate if role == "evaluate" and ground.evaluate else ground.measure
        own = ground.scratch.for_judges() if role in JUDGES else ground.scratch
        scratch = [own.home, own.tmp, own.caches]
        own.caches.mkdir(parents=True, exist_ok=True)
        found = [tree.root, *scratch, *self._extra, Path("/dev/shm")]
        if role == "setup" or self.network(role) == "on":
            found += in_place_caches(ground.environ)
        return found

    def _view(self, role: Role) -> View:
        ground = self._ground
        hidden = [] if role == "setup" or role in JUDGES else self._hidden()
        # What is hidden in the repository could be read from its objects.
        inside = any(path.is_relative_to(ground.top) for path in hidden)
        private = [ground.common_dir if inside else ground.sessions, *keys(ground.environ)]
        if self._mounts:
            private += sockets(ground.environ)
        if not (self._offered or kernel()).held:
            private += _disks()
        trees = [tree.root / ".git" for tree in (ground.measure, ground.evaluate) if tree is not None]
        # A judge may have processes of its own to confine.
        judges = role in JUDGES
        folders = tuple(self._folders(role)) if (self._offered or kernel()).held else ()
        return View(
            self.network(role),
            covered=(*private, *hidden),
            unlisted=tuple(hidden),
            fixed=tuple(trees),
            held=folders if judges else (),
            frozen_but=() if judges else folders,
            shared_mb=self._config.measure.memory_mb,
        )

    @property
    def _mounts(self) -> bool:
        return (self._offered or kernel()).mounts

    def _hidden(self) -> list[Path]:
        """A relative path is one of the target's folder: in the user's worktree and in the tree."""
        folders = [self._ground.user_folder]
        if self._mounts:  # where nothing can be covered, hiding a part of the tree would hide all new files in it
            folders += [tree.folder for tree in (self._ground.measure, self._ground.evaluate) if tree]
        return list(dict.fromkeys(path for folder in folders for path in hidden_in(self._config, folder)))

    def _refuse_shared_memory(self) -> None:
        ground = self._ground
        for path in (ground.scratch.root.parent, ground.common_dir, ground.top, *self._extra):
            if path.resolve().is_relative_to("/dev/shm"):
                raise SessionError(
                    f"{path} lies in /dev/shm, of which confined runs have one of their own: move it "
                    '(AUTORESEARCH_TREES names the folder of the trees), or set measure.confine = "off".'
                )

    def _writable(self) -> list[Path]:
        ground = self._ground
        found = []
        for name in self._config.measure.writable:
            path = ground.user_folder / Path(name).expanduser()
            if not path.exists():
                raise SessionError(f"measure.writable names {path}, which is not there; make it first.")
            real = path.resolve()
            guarded = (ground.common_dir.resolve(), ground.scratch.root.parent.resolve())
            if any(place.is_relative_to(real) or real.is_relative_to(place) for place in guarded):
                raise SessionError(
                    f"measure.writable names {path}, which holds the session or its trees; name a folder beside them."
                )
            found.append(real)
        return found
