"""How far a session is protected, in words, and what is missing for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoresearch.engine.process import LINUX
from autoresearch.engine.sandbox.kernel import Kernel, this_kernel
from autoresearch.state.config import Config
from autoresearch.state.session import SessionError

Network = Literal["off", "loopback", "on"]


@dataclass(frozen=True, slots=True)
class Protection:
    """One row of the table of levels."""

    name: str
    without: str
    """What is so where it is missing, for people."""
    landlock: int = 0
    """The version of Landlock that gives it; 0: none does."""
    namespace: str = ""
    """What of `Kernel` gives it."""
    essential: bool = False
    """`confine = "required"` refuses to start without it."""


_TABLE = (
    Protection("writing", "runs can write whatever your account can", 1, "held", essential=True),
    Protection("reading", "runs can read keys, hidden paths and sessions", 1, "mounts", essential=True),
    Protection("emptying", "runs can empty files that they cannot write", 3, "held"),
    Protection("signals", "runs can signal your other processes", 6),
    Protection("processes", "runs can write what your account may below /proc, of other processes too", 0, "processes"),
    Protection("modes", "runs can change the modes and times of your files", 0, "held"),
    Protection("hiding", "runs can read hidden paths that lie in their own tree", 0, "mounts"),
    Protection("views", "runs see your checkout, find a spare HOME and cannot write /tmp", 0, "held"),
    Protection("shared memory", "/dev/shm is shared with everything else", 0, "mounts"),
    Protection("terminals", "runs can write to your other terminals", 0, "mounts"),
    Protection("sockets", "runs can reach other programs' sockets (docker, tmux, the session bus)", 0, "mounts"),
)
_CONNECTIONS = Protection("network", "runs can open TCP connections", 4, "network", essential=True)
_DATAGRAMS = Protection("datagrams", "runs can send UDP", 10, "network")
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
    offered = offered or this_kernel()
    rows = _TABLE if network == "on" else (*_TABLE, _CONNECTIONS, _DATAGRAMS)
    missing = [
        row
        for row in rows
        if not 0 < row.landlock <= offered.landlock and not (row.namespace and getattr(offered, row.namespace))
    ]
    if network == "loopback" and not offered.network and offered.landlock >= _CONNECTIONS.landlock:
        missing.append(_LOOPBACK)
    if not (offered.landlock or offered.mounts or offered.network):
        why = "this kernel offers no Landlock and this account no namespaces" if LINUX else "only Linux can"
        return Level("none", why, tuple(missing))
    parts = [f"Landlock {offered.landlock}"] if offered.landlock else []
    if offered.mounts or offered.network:
        parts.append("namespaces")
    return Level("partial" if missing else "full", " and ".join(parts), tuple(missing))


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
