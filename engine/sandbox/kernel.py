"""What this kernel can hold a command by."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine.files import remove
from autoresearch.engine.process import LINUX

PROGRAM = Path(__file__).with_name("spawner_program.py")
_PROBE_S = 30.0
_PR_SET_DUMPABLE = 4
TRUNCATE_ABI, SCOPES_ABI = 3, 6


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
    processes: bool = False
    """A process namespace of one's own for each command, with a /proc that shows it alone."""


@functools.cache
def this_kernel() -> Kernel:
    """What this machine offers; found out once in each process (30 ms)."""
    if not LINUX:
        return Kernel()
    command = [sys.executable, "-I", "-S", str(PROGRAM), "probe"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_PROBE_S, env=spawner_environment())
    found = json.loads(done.stdout) if done.returncode == 0 else {}
    return Kernel(landlock=landlock_abi(), **found)


@functools.cache
def overlays(folder: Path, offered: Kernel) -> bool:
    """Whether a command can be given overlays whose layers lie in this folder, which is made (30 ms, once).

    The disk decides too: not one that is an overlay itself, as the root of a container, nor one over a network.
    """
    if not (offered.mounts and offered.held):
        return False
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = tempfile.mkdtemp(prefix="probe-", dir=folder)
    command = [sys.executable, "-I", "-S", str(PROGRAM), "overlays", place, "user" if offered.user else "root"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_PROBE_S, env=spawner_environment())
    remove(Path(place))
    return done.returncode == 0 and json.loads(done.stdout) is True


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


def shield_process() -> None:
    """No process without privileges, of the same user too, reads or traces this one: it may hold keys."""
    if LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def spawner_environment() -> dict[str, str]:
    """A spawner needs nothing but to find its libraries; what is in its environment could be read by a command."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
