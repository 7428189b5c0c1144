"""Whether a command failed for want of a network: told from its own words, and only where they leave no other cause.

"Connection refused" alone does not: inside a network of one's own, what refuses is a server of the command's own.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine.sandbox.protection import Network

_LAST_LINES = 40
_NEAR = 12
_TOLD = re.compile(
    r"outgoing traffic has been disabled|OfflineModeIsEnabled|offline mode is enabled|HF_HUB_OFFLINE|"
    r"LocalEntryNotFoundError|not found in the cache.*offline|no matching distribution found|"
    r"network (?:access |connectivity )?(?:is |was )?disabled|--offline was specified|\bENOTCACHED\b|"
    r"disabled by GOPROXY=off",
    re.IGNORECASE,
)
"""Of package tools, which the environment of a measured command tells to stay offline."""
_NO_NAMES = re.compile(
    r"failure in name resolution|name or service not known|nodename nor servname|could not resolve|"
    r"no address associated with hostname|\b(?:EAI_AGAIN|ENOTFOUND)\b|: no such host\b",
    re.IGNORECASE,
)
_NO_WAY = re.compile(r"network is unreachable|\bENETUNREACH\b", re.IGNORECASE)
_CLOSED = re.compile(r"(?:\bconnect\b|urlopen error).*(?:permission denied|\bEACCES\b)", re.IGNORECASE)
_NO_CONNECTION = re.compile(
    r"connection refused|\bECONNREFUSED\b|max retries exceeded|failed to connect to|"
    r"failed to establish a new connection",
    re.IGNORECASE,
)
_HOST = re.compile(
    r"//(?:[^/@\s]*@)?([\w.-]+|\[[\da-f:]+\])|host='([^']+)'|\bto ([\w-]+(?:\.[\w-]+)+)|"
    r"(?<![\w.])(\d+(?:\.\d+){3})(?![\w.])|\b(localhost)\b|(?<![\w:])(::1)\b",
    re.IGNORECASE,
)
_LOCAL = re.compile(r"localhost|127\.[\d.]+|0\.0\.0\.0|\[?::1\]?", re.IGNORECASE)
_PORT = re.compile(r"(?:\bport[ =:]+|(?:localhost|\d|\])[:]|', )(\d{2,5})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NoNetwork:
    line: str
    """Where the command says so."""
    needs: Network
    why: str
    """What the command has instead, as a clause."""


def no_network(output: str, network: Network, held: bool = True) -> NoNetwork | None:
    """What `output` says of a network that was missing; `held`: its commands have no more than `network`."""
    if network == "on":
        return None
    return next(_signs(output.splitlines()[-_LAST_LINES:], network, held), None)


def network_hint(output: str, network: Network, held: bool = True) -> str:
    """The same as a clause for a command that failed; "" where nothing shows it."""
    found = no_network(output, network, held)
    if found is None:
        return ""
    instead = ", or fetch what it needs in measure.setup" if found.needs == "on" else ""
    return f'{found.why}: set measure.network = "{found.needs}" if it needs one{instead}'


def _signs(lines: list[str], network: Network, held: bool) -> Iterator[NoNetwork]:
    own = f'the run has no network (measure.network = "{network}")'
    for at, line in reversed(list(enumerate(lines))):
        if _TOLD.search(line) or (held and (_NO_NAMES.search(line) or (_CLOSED.search(line) and ".sock" not in line))):
            yield NoNetwork(line, "on", own)
        elif not held or not (_NO_WAY.search(line) or _NO_CONNECTION.search(line)):
            continue
        # The address of a Python exception stands above, in the code that is shown.
        near = line if _hosts(line) else "\n".join(lines[max(at - _NEAR, 0) : at + 1])
        here = any(map(_LOCAL.fullmatch, _hosts(near)))
        if any(not _LOCAL.fullmatch(host) for host in _hosts(line)) or (_NO_WAY.search(line) and not here):
            yield NoNetwork(line, "on", own)
        elif here and (port := next((each for each in _PORT.findall(near) if _listens(int(each))), "")):
            listener = f"the run has a localhost of its own, without what listens at port {port} of this machine"
            yield NoNetwork(line, "on", f'{listener} (measure.network = "{network}")')
        elif here and network == "off":
            yield NoNetwork(line, "loopback", own)


def _hosts(text: str) -> list[str]:
    return ["".join(groups) for groups in _HOST.findall(text)]


def _listens(port: int) -> bool:
    """Whether a program of this machine listens there."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                    return True
    return False
