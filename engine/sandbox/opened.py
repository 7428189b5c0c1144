"""Which files of its tree a command opens, asked by running it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from autoresearch.engine.sandbox.opened_program import MARK

_PROGRAM = Path(__file__).with_name("opened_program.py")


class Unknown(Exception):
    """What a command opened cannot be known; says why."""


def watched(argv: Sequence[str], folder: str) -> tuple[str, ...]:
    """The command with our program before it, which says at the end what was opened below `folder`.

    `folder` is named from where the command works: there it may lie at another place than here.
    """
    return (sys.executable, "-I", "-S", str(_PROGRAM), folder, *argv)


def opened(said: str) -> frozenset[str]:
    """The files, by path from that folder, as the end of the command's output says it. Raises Unknown."""
    for line in reversed(said.splitlines()):
        if line.startswith(MARK):
            found = json.loads(line.removeprefix(MARK))
            if "opened" in found:
                return frozenset(found["opened"])
            raise Unknown(found["unknown"])
    raise Unknown("it did not come to its end")
