"""A filter of system calls for confined commands: what one process may do to others of its user, and Landlock allows.

The kernel lets a process change the limits and priorities of every other of the same user: one second of CPU time ends
an engine, and a slowed one makes the runs that follow look bad. The keyring of a user is shared by all of their
processes: a candidate would find there what an earlier one left, and the user's own keys.

Refused is what names somebody else, also where that is the caller by its number: a filter cannot know that. To move
itself to other processors a program must name its threads, so that is allowed; a command starts where the engine did.
"""

from __future__ import annotations

import os
import struct

_LIMITS = "limits"
"""Refused: another process's (first argument), with new ones (third)."""
_OTHER = "other"
"""Refused: another process's (first argument)."""
_PRIORITY, _IO_PRIORITY = "priority", "io priority"
"""Refused: a whole user's (first argument), or another's (second)."""
_ANY = "any"

_RULES = (_LIMITS, _PRIORITY, _IO_PRIORITY, _OTHER, _OTHER, _OTHER, _ANY, _ANY, _ANY)
"""For prlimit64, setpriority, ioprio_set, sched_setscheduler, sched_setparam, sched_setattr, add_key, request_key and
keyctl, in the order of the numbers below."""
_X86_64 = (302, 141, 251, 144, 142, 314, 248, 249, 250)
_I386 = (340, 97, 289, 156, 154, 351, 286, 287, 288)
_ARM = (369, 97, 314, 156, 154, 380, 309, 310, 311)
_GENERIC = (261, 140, 30, 119, 118, 274, 217, 218, 219)
_FAMILIES = {
    "x86_64": ((0xC000003E, _X86_64), (0x40000003, _I386)),
    "aarch64": ((0xC00000B7, _GENERIC), (0x40000028, _ARM)),
    "riscv64": ((0xC00000F3, _GENERIC), (0x400000F3, _GENERIC)),
}
"""The system calls of each machine and of its 32-bit programs: their family, and their numbers in it."""

_Line = tuple[int, int, int, int]
_LOAD, _EQUAL, _MASK, _GIVE = 0x20, 0x15, 0x54, 0x06
_NUMBER, _FAMILY, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32
"""Where they lie in what a filter is shown."""
_ALLOW: _Line = (_GIVE, 0, 0, 0x7FFF0000)
_REFUSE: _Line = (_GIVE, 0, 0, 0x00050000 | 1)  # EPERM
_WHOLE_USER = {_PRIORITY: 2, _IO_PRIORITY: 3}


def program(machine: str = "") -> bytes:
    """The filter as the kernel takes it, for this machine; empty where its system calls are not known."""
    lines: list[_Line] = [(_LOAD, 0, 0, _FAMILY)]
    for family, numbers in _FAMILIES.get(machine or os.uname().machine, ()):
        calls = _calls(numbers)
        lines += [(_EQUAL, 0, len(calls), family), *calls]
    return b"".join(struct.pack("HBBI", *line) for line in (*lines, _ALLOW)) if len(lines) > 1 else b""


def _calls(numbers: tuple[int, ...]) -> list[_Line]:
    lines: list[_Line] = [(_LOAD, 0, 0, _NUMBER), (_MASK, 0, 0, 0xBFFFFFFF)]  # x32 calls are the same with a bit more
    for number, rule in zip(numbers, _RULES, strict=True):
        decided = _decide(rule)
        lines += [(_EQUAL, 0, len(decided), number), *decided]
    return [*lines, _ALLOW]


def _decide(rule: str) -> list[_Line]:
    """Of each jump: how many lines to pass over when equal, and when not."""
    if rule == _ANY:
        return [_REFUSE]
    if rule == _OTHER:
        return [(_LOAD, 0, 0, _FIRST), (_EQUAL, 1, 0, 0), _REFUSE, _ALLOW]
    if rule == _LIMITS:
        other = [(_LOAD, 0, 0, _FIRST), (_EQUAL, 5, 0, 0)]
        new = [(_LOAD, 0, 0, _THIRD), (_EQUAL, 0, 2, 0), (_LOAD, 0, 0, _THIRD + 4), (_EQUAL, 1, 0, 0)]
        return [*other, *new, _REFUSE, _ALLOW]
    whole_user = [(_LOAD, 0, 0, _FIRST), (_EQUAL, 2, 0, _WHOLE_USER[rule])]
    return [*whole_user, (_LOAD, 0, 0, _SECOND), (_EQUAL, 1, 0, 0), _REFUSE, _ALLOW]
