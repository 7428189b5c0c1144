"""A session's folder: where everything is, and how to create, open, list, lock and ask it something.

The folder lies inside the repository's common git directory, so that the user's `git clean -xfd` cannot take it. It is
made under a temporary name and renamed, so a session that can be listed is whole.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from autoresearch.state.files import write_atomic
from autoresearch.state.journal import History, Journal, folded, records
from autoresearch.state.session import ownership
from autoresearch.state.session.place import Locked, NoSession, Place, SessionError

LOCK_PATIENCE_S = 0.3
_PLAIN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Neither a link is followed nor a pipe waited for."""
_ODD = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENODEV})
_REQUEST_BYTES = 1 << 20
_LOGS = ("guard.log", "evaluate.log", "output.log", "build.log")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Session:
    """Paths and small files of one session. Making one touches nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.journal = folder / "autoresearch.jsonl"
        self.notebook = folder / "autoresearch.md"
        self.notebook_base = folder / ".autoresearch.md.base"
        """The notebook as the engine last wrote it: the common ancestor of a three-way merge."""
        self.config = folder / "config.toml"
        self.live = folder / "live.json"
        self.inbox = folder / "inbox"
        self.runs = folder / "runs"
        self.lock_file = folder / "lock"
        self.engine_log = folder / "engine.log"
        self.archive_mark = folder / "archived"
        self.branch = f"refs/heads/autoresearch/{self.name}"
        self.refs = f"refs/autoresearch/{self.name}/"
        """Prefix of this session's own refs, with a trailing slash."""
        self.refused_lock = ""
        """A sentence for the journal, once `lock` has set a lock aside that was not ours."""

    def __repr__(self) -> str:
        return f"Session({str(self.folder)!r})"

    @property
    def archived(self) -> bool:
        """Left out of lists and never the latest one; all of it is kept."""
        return self.archive_mark.exists()

    def run(self, number: int) -> Path:
        return self.runs / f"{number:05d}"

    def proposal(self, id: int) -> Path:
        """Where the files of an experiment lie until it has its number."""
        return self.runs / f"p{id:05d}"

    def history(self) -> History:
        """What its journal comes to. An engine folds the journal itself."""
        return folded(self.journal)

    def read_live(self) -> Live | None:
        """What the engine last said it does; None when it never ran or the file cannot be read."""
        try:
            data = orjson.loads(self.live.read_bytes())
            return Live(**{key: value for key, value in data.items() if key in Live.__dataclass_fields__})
        except (OSError, orjson.JSONDecodeError, TypeError):
            return None

    def engine_pid(self) -> int | None:
        """The pid of the engine that holds the lock now, from any process; None when none does."""
        try:
            fd = os.open(self.lock_file, os.O_RDONLY | _PLAIN)  # it may lie where we cannot write
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _ODD:
                return None  # whoever wants to lock sets it aside
            raise
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            return int(text) if text.isdigit() else 0
        finally:
            os.close(fd)
        return None

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the session for writing. Raises Locked when somebody else does.

        The lock belongs to the open file, so it ends with this process however it dies; children close it on exec.
        """
        for folder in (self.folder, self.inbox):
            _close_to_others(folder)
        fd = self._open_lock()
        try:
            if not _locked(fd):
                raise Locked(self.name, self.engine_pid()) from None
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
            yield
            os.ftruncate(fd, 0)
        finally:
            os.close(fd)

    def _open_lock(self) -> int:
        """The lock file, one of our own in place of one that another user, or a link, has put there."""
        why = ""
        try:
            fd = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | _PLAIN, 0o600)
        except OSError as error:
            info = self.lock_file.lstat()
            if error.errno not in _ODD:
                raise SessionError(
                    f"The lock {self.lock_file} belongs to {ownership.user_name(info.st_uid)} and cannot be opened "
                    f"({error.strerror}); work as that user, or remove it when no engine of theirs runs.",
                    code=1,
                ) from None
            why = ownership.refusal(info, info.st_uid) or "cannot be opened"
        else:
            why = ownership.refusal(os.fstat(fd), self.folder.stat().st_uid)
            if not why:
                return fd
            free = _locked(fd)
            os.close(fd)
            if not free:
                raise SessionError(f"The lock {self.lock_file} {why}, and a process holds it; ask them to end it.", 4)
        self.lock_file.rename(self.lock_file.with_name("lock.refused"))
        self.refused_lock = f"The session's lock {why}; it was refused and set aside as lock.refused."
        return os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN, 0o600)

    def ask(self, kind: str, **args: Any) -> Request:
        """Put a request into the inbox; the engine obeys it within a second, or at its next start."""
        request = Request(
            id=f"{records.now_ms()}-{os.urandom(4).hex()}", kind=kind, args=args, timestamp=records.now_ms()
        )
        self.inbox.mkdir(mode=0o700, exist_ok=True)
        write_atomic(self.inbox / f"{request.id}.json", orjson.dumps(asdict(request)))
        return request

    def requests(self) -> list[tuple[Path, Request | None]]:
        """What waits in the inbox, oldest first; None beside a file that is no request."""
        try:
            names = sorted(path for path in self.inbox.iterdir() if path.suffix == ".json")
        except FileNotFoundError:
            return []
        found: list[tuple[Path, Request | None]] = []
        for path in names:
            with contextlib.suppress(FileNotFoundError):
                found.append((path, _request(path)))
        return found

    def asked(self) -> list[Request]:
        """The requests among them; none in another user's inbox."""
        try:
            return [request for _, request in self.requests() if request is not None]
        except OSError:
            return []


def _request(path: Path) -> Request | None:
    """None for a file that is no request, or not from somebody who may ask. Raises FileNotFoundError."""
    owner = path.parent.stat().st_uid
    if ownership.refusal(path.lstat(), owner):
        return None  # not even opened: a pipe would block us
    try:
        fd = os.open(path, os.O_RDONLY | _PLAIN)
        with os.fdopen(fd, "rb") as file:
            data = file.read(_REQUEST_BYTES + 1)
            if ownership.refusal(os.fstat(fd), owner) or len(data) > _REQUEST_BYTES:
                return None
        request = Request(**orjson.loads(data))
    except FileNotFoundError:
        raise
    except (OSError, orjson.JSONDecodeError, TypeError):
        return None
    whole = isinstance(request.id, str) and isinstance(request.kind, str) and isinstance(request.args, dict)
    return request if whole and isinstance(request.timestamp, int) else None


def _close_to_others(folder: Path) -> None:
    """A folder that was copied or opened up is made its owner's alone again."""
    with contextlib.suppress(OSError):  # missing, or not ours to change
        mode = folder.stat().st_mode
        if mode & 0o077:
            folder.chmod(0o700)


def _locked(fd: int) -> bool:
    """Take the lock, trying for a moment: whoever asks if an engine runs holds it shared for an instant."""
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Request:
    """One small JSON file in the inbox. Its id is repeated by the line it leads to, so that it never acts twice."""

    id: str
    kind: str
    """pause, stop, idea, veto, note, dead_end, steer, limit, retry or overrule."""
    args: dict[str, Any] = field(default_factory=dict)
    timestamp: int = 0


@dataclass(slots=True)
class Live:
    """live.json: what the engine does now. Replaced on change and every 2 s, so it is the heartbeat too."""

    pid: int
    host: str
    phase: str
    """starting, baseline, proposing, building, measuring, evaluating, guarding, judging, waiting, pausing or ended."""
    since: int
    """When the phase began, ms."""
    updated: int
    experiment: int | None = None
    description: str = ""
    arm: str = ""
    k: int = 0
    of: int = 0
    """At most this many candidate runs."""
    sha: str = ""
    waiting_for: str = ""
    pausing: str = ""
    """`pause` or `stop` once asked for and not yet done."""
    agent: str = ""
    proposing: str = ""
    """What the agent does beside the measurement."""
    limits: dict[str, Any] = field(default_factory=dict)
    """Limits in force for this call, e.g. {"experiments": 8, "done": 3, "until": 1763712000000}."""
    reason: str = ""
    """Why it ended."""


def write_live(session: Session, live: Live) -> None:
    """No fsync: it is a heartbeat, written often, and stale after a crash anyway."""
    temporary = session.live.with_suffix(".tmp")
    temporary.write_bytes(orjson.dumps(asdict(live)))
    temporary.replace(session.live)


def logs_of(folder: Path) -> list[Path]:
    """The logs of an experiment's commands, the one written last first: of a failure, that is the one that tells."""
    logs = [path for name in _LOGS if (path := folder / name).is_file() and not path.is_symlink()]
    return sorted(logs, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def list_sessions(place: Place) -> list[Session]:
    """Every session of the repository, the one with the newest journal first."""
    try:
        folders = [path for path in place.sessions_dir.iterdir() if (path / "autoresearch.jsonl").is_file()]
    except FileNotFoundError:
        return []
    except PermissionError as error:
        shut = Path(error.filename or place.sessions_dir)
        owner = ownership.user_name(place.sessions_dir.stat().st_uid)
        raise SessionError(
            f"{shut} cannot be read: the sessions here are {owner}'s alone; work as {owner}, "
            f"or let them be yours with `chown -R` on {place.sessions_dir}.",
            code=1,
        ) from None
    folders = [path for path in folders if not path.name.startswith(".")]
    folders.sort(key=lambda path: (_written_ns(path), path.name), reverse=True)
    return [Session(path) for path in folders]


def _written_ns(folder: Path) -> int:
    """When its journal was last written; 0 when it was deleted just now."""
    try:
        return (folder / "autoresearch.jsonl").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def target_of(session: Session) -> str:
    """The target folder a session belongs to, from its first line, without reading the rest."""
    with session.journal.open("rb") as file:
        try:
            data = orjson.loads(file.readline())
        except orjson.JSONDecodeError:
            return ""
    return str(data.get("target", "")) if isinstance(data, dict) else ""


def open_session(place: Place, name: str | None = None) -> Session:
    """The named session, or the target's latest one. Raises SessionError when there is none."""
    sessions = list_sessions(place)
    if name is not None:
        found = next((session for session in sessions if session.name == name), None)
        if found is None:
            known = ", ".join(session.name for session in sessions[:8]) or "none yet"
            raise NoSession(f"There is no session {name!r} in this repository (there are: {known}).")
        return found
    mine = [session for session in sessions if target_of(session) == place.prefix]
    shown = [session for session in mine if not session.archived]
    if mine and not shown:
        raise NoSession(
            f"This target's sessions are archived ({mine[0].name}); bring one back with "
            f"`autoresearch archive --undo -s {mine[0].name}`, or start another with `autoresearch run --new`."
        )
    if not shown:
        raise NoSession("This target has no session yet; start one with `autoresearch run`.")
    return shown[0]


def free_name(place: Place, today: datetime, taken_branches: set[str]) -> str:
    """A name by date (`nov20`, `nov20-2`) whose folder and branch are free."""
    stem = today.strftime("%b%d").lower()
    taken = {session.name for session in list_sessions(place)} | taken_branches
    taken |= {path.name.removeprefix(".deleting-") for path in place.sessions_dir.glob(".deleting-*")}
    number = 1
    while (name := stem if number == 1 else f"{stem}-{number}") in taken:
        number += 1
    return name


def half_deleted(place: Place, name: str) -> Path:
    """What the folder of a session is called while it is deleted, until nothing else of it is left."""
    return place.sessions_dir / f".deleting-{name}"


def is_name(name: str) -> bool:
    """Whether a session can be called so: it is a folder, a branch and a part of refs."""
    return bool(_NAME.fullmatch(name)) and not name.endswith((".lock", ".")) and ".." not in name and name != "index.db"


def create_session(place: Place, name: str, header: records.Header, config_text: str, *more: records.Record) -> Session:
    """Make the folder whole under a temporary name, then rename it into place. Raises SessionError if it exists.

    Of two processes that make the same one, the second gets a SessionError with code 4. The journal begins with
    `header` and `more`.
    """
    if not is_name(name):
        raise SessionError(f"{name!r} cannot name a session: use letters, digits, dot, dash and underscore.")
    final = place.sessions_dir / name
    if final.exists():
        raise SessionError(f"Session {name!r} exists; continue it with `autoresearch run --session {name}`.")
    place.sessions_dir.mkdir(mode=0o700, exist_ok=True)
    folder = place.sessions_dir / f".new-{name}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    made = Session(folder)
    made.inbox.mkdir(mode=0o700)
    made.runs.mkdir(mode=0o700)
    write_atomic(made.config, config_text.encode())
    journal = Journal(made.journal)
    journal.append(header, *more)
    journal.close()
    try:
        folder.rename(final)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise SessionError(
            f"Session {name!r} was made by another engine at this moment; watch it with `autoresearch attach`.", code=4
        ) from None
    show_to_people(place, final)
    return Session(final)


def show_to_people(place: Place, folder: Path) -> None:
    """`<target>/.autoresearch/<session>`: a symlink for people, ignored by git; made again when missing."""
    shown = place.folder / ".autoresearch"
    try:
        shown.mkdir(exist_ok=True)
        ignore = shown / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        link = shown / folder.name
        if link.is_symlink() and link.readlink() != folder:
            link.unlink()  # the repository was moved
        if not link.is_symlink():
            link.symlink_to(folder)
    except OSError:
        return  # a convenience only: a read-only worktree still has its session
