"""What the filter of system calls answers, by carrying it out here as the kernel does."""

from __future__ import annotations

import struct

import pytest

from autoresearch.engine.sandbox.syscalls import program

ALLOWED, REFUSED = 0x7FFF0000, 0x00050001
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
X32 = 0x40000000


def answer(machine: str, family: int, number: int, *arguments: int) -> int:
    """What a program of `machine` gives for a call: classic BPF over number, family, instruction and arguments."""
    shown = struct.pack("<IIQ6Q", number, family, 0, *arguments, *[0] * (6 - len(arguments)))
    lines = [*struct.iter_unpack("<HBBI", program(machine))]
    at = held = 0
    while True:
        code, equal, other, value = lines[at]
        at += 1
        match code:
            case 0x20:
                (held,) = struct.unpack_from("<I", shown, value)
            case 0x54:
                held &= value
            case 0x15:
                at += equal if held == value else other
            case 0x06:
                return value
            case _:
                raise AssertionError(f"no instruction of ours: {code:#x}")


@pytest.mark.parametrize(
    ("machine", "family", "number", "arguments", "allowed"),
    [
        ("x86_64", X86_64, 302, (7, 7, 0), True),  # prlimit64 that only reads
        ("x86_64", X86_64, 302, (7, 7, 0x7000), False),
        ("x86_64", X86_64, 302, (7, 7, 1 << 32), False),
        ("x86_64", X86_64, 302, (0, 7, 0x7000), True),  # its own
        ("x86_64", X86_64, 302 | X32, (7, 7, 0x7000), False),
        ("x86_64", X86_64, 141, (0, 0, 19), True),  # setpriority
        ("x86_64", X86_64, 141, (0, 7, 19), False),
        ("x86_64", X86_64, 141, (2, 0, 19), False),  # a whole user, as 0 too
        ("x86_64", X86_64, 251, (1, 0, 4), True),  # ioprio_set
        ("x86_64", X86_64, 251, (3, 0, 4), False),
        ("x86_64", X86_64, 144, (0,), True),  # sched_setscheduler
        ("x86_64", X86_64, 144, (7,), False),
        ("x86_64", X86_64, 248, (), False),  # add_key
        ("x86_64", X86_64, 203, (7,), True),  # sched_setaffinity
        ("x86_64", X86_64, 0, (7, 7, 7), True),
        ("x86_64", I386, 340, (7, 7, 0x7000), False),
        ("x86_64", I386, 302, (7, 7, 0x7000), True),
        ("aarch64", AARCH64, 261, (7, 7, 0x7000), False),
        ("aarch64", AARCH64, 217, (), False),
        ("aarch64", AARCH64, 302, (7, 7, 0x7000), True),
    ],
)
def test_what_names_somebody_else_is_refused(
    machine: str, family: int, number: int, arguments: tuple[int, ...], allowed: bool
) -> None:
    assert answer(machine, family, number, *arguments) == (ALLOWED if allowed else REFUSED)


def test_an_unknown_machine_has_no_filter() -> None:
    assert program("pdp11") == b""
