"""The read model of a long journal as it was folded last, so that a command folds only what has come since.

Derived: it holds for the very bytes of the journal that it was made of, whose hash stands in it, and for this code and
this Python; else the journal is folded from its start. A pickle runs what it says, so it lies in the session's folder,
where runs and agents write nothing, and is read only where it is this user's own. The engine never reads it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import stat
import sys
from functools import cache
from pathlib import Path

from autoresearch.state.files import write_atomic
from autoresearch.state.journal.history import History

LEAST_BYTES = 1 << 20
"""A shorter journal is folded in a few milliseconds."""
_NAME = "folded"


def folded(journal: Path) -> History:
    """The journal's history; what it took to fold is kept where that was much."""
    kept = journal.with_name(_NAME)
    history = _read(kept, journal) or History()
    was = history.offset
    history.load(journal)
    if history.offset - was > LEAST_BYTES:
        with contextlib.suppress(OSError):  # a full disk, or a folder that is only read: it is folded again then
            write_atomic(kept, _head(journal, history.offset) + pickle.dumps(history, 5))
    return history


def _read(kept: Path, journal: Path) -> History | None:
    """What was kept; None where it does not hold."""
    with contextlib.suppress(
        OSError, ValueError, EOFError, LookupError, AttributeError, ImportError, TypeError, pickle.PickleError
    ):
        info = kept.lstat()
        if stat.S_ISREG(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o022:
            head, _, data = kept.read_bytes().partition(b"\n")
            if head + b"\n" == _head(journal, int(head.split(b" ")[0])):
                history = pickle.loads(data)
                return history if isinstance(history, History) else None
    return None


def _head(journal: Path, offset: int) -> bytes:
    """The first line of a snapshot: of how many bytes it is made, their hash, and by what."""
    with journal.open("rb") as file:
        digest = hashlib.sha256(file.read(offset)).hexdigest()
    return f"{offset} {digest} {_maker()}\n".encode()


@cache
def _maker() -> str:
    """Changes with the code that folds and with the Python that pickles."""
    folder = Path(__file__).parent
    sources = sorted([*folder.glob("*.py"), *folder.with_name("text").glob("*.py")])
    facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    return hashlib.sha256(repr((sys.version_info, facts)).encode()).hexdigest()
