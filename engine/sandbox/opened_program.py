"""Runs a command and notes which files below a folder it opens; a small process of its own before it.

The kernel holds each system call of the command and of all it starts that opens or executes a file, and tells us of it
(seccomp's user notification, Linux 5.5); we read the name from the caller's memory and let the call go on. Nothing is
changed by that, no privilege is needed, and it works where a command is confined as well as where it is not.

Called as `python -I -S opened_program.py FOLDER COMMAND...`, FOLDER as seen from where the command works. Its exit code
is the command's, and the last line that it writes says what was opened, or why that cannot be known here.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import sys
from functools import lru_cache

MARK = "AUTORESEARCH-OPENED "

# Of each machine: its family, the number of seccomp(2), calls that name a path, calls that name a folder and a path.
_MACHINES = {
    "x86_64": (0xC000003E, 317, (2, 59, 85), (257, 322, 437)),  # open, execve, creat; openat, execveat, openat2
    "aarch64": (0xC00000B7, 277, (221,), (56, 281, 437)),
    "riscv64": (0xC00000F3, 277, (221,), (56, 281, 437)),
}
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ALLOW, _TELL = 0x7FFF0000, 0x7FC00000
_LOAD, _EQUAL, _MASK, _GIVE = 0x20, 0x15, 0x54, 0x06
_NUMBER, _FAMILY = 0, 4
"""Where they lie in what a filter is shown."""
_NOT_X32 = 0xBFFFFFFF
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_NOTICE = struct.Struct("=QIIiIQ6Q")
"""Its id, who calls, flags; the call: number, family, where from, arguments."""
_ANSWER = struct.Struct("=QqiI")
_AT_FDCWD = -100
_LONGEST = 4096


class Opened:
    """The names below a folder that were opened: as they were given, and with links to folders followed."""

    def __init__(self, folder: str) -> None:
        self._folders = {os.path.abspath(folder), os.path.realpath(folder)}  # noqa: PTH100
        self.names: set[str] = set()

    def note(self, path: str) -> None:
        folder, name = os.path.split(path)
        for known in {path, os.path.join(_real(folder), name)}:  # noqa: PTH118
            for top in self._folders:
                if known.startswith(top + "/"):
                    self.names.add(known[len(top) + 1 :])


@lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def watch(folder: str, command: list[str]) -> tuple[int, Opened]:
    """Run the command: its status as `os.waitpid` gives it, and what it opened. Raises OSError."""
    if os.uname().machine not in _MACHINES:
        raise OSError(0, f"the system calls of {os.uname().machine} are not known")
    _, _, _, at = _MACHINES[os.uname().machine]
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _become(command, theirs)
    theirs.close()
    said, handles, _, _ = socket.recv_fds(ours, 1024, 1)
    if not handles:
        os.waitpid(pid, 0)
        raise OSError(0, said.decode() or "the command could not be watched")
    opened = Opened(folder)
    child = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(handles[0], select.POLLIN)
    poller.register(child, select.POLLIN)
    while True:
        ready = dict(poller.poll())
        if ready.get(handles[0], 0) & select.POLLIN:
            _let_go_on(handles[0], at, opened)
        elif child in ready:
            return os.waitpid(pid, 0)[1], opened


def _become(command: list[str], handle: socket.socket) -> None:
    """In the child: tell the calls that come from here on, and be the command."""
    try:
        listener = _listen()
    except OSError as error:
        handle.send(str(error.strerror).encode())
        os._exit(127)
    socket.send_fds(handle, [b"+"], [listener])
    os.close(listener)
    handle.close()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127)


def _listen() -> int:
    """A descriptor on which the kernel tells of this process's calls. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    family, seccomp, by_path, at = _MACHINES[os.uname().machine]
    numbers = (*by_path, *at)
    lines = [
        (_LOAD, 0, 0, _FAMILY),
        (_EQUAL, 0, len(numbers) + 2, family),
        (_LOAD, 0, 0, _NUMBER),
        (_MASK, 0, 0, _NOT_X32),
        *((_EQUAL, len(numbers) - n, 0, number) for n, number in enumerate(numbers)),
        (_GIVE, 0, 0, _ALLOW),
        (_GIVE, 0, 0, _TELL),
    ]
    program = b"".join(struct.pack("HBBI", *line) for line in lines)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(code))
    listener = int(libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, header))
    if listener < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return listener


def _let_go_on(listener: int, at: tuple[int, ...], opened: Opened) -> None:
    """Take one call, note it, and let it go on."""
    notice = bytearray(_NOTICE.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, notice)
    except OSError:
        return  # whoever called is gone
    id, thread, _, number, _, _, first, second, *_ = _NOTICE.unpack(notice)
    try:
        if number & _NOT_X32 in at:
            opened.note(_path(thread, second, ctypes.c_int(first & 0xFFFFFFFF).value))
        else:
            opened.note(_path(thread, first, _AT_FDCWD))
    except OSError:
        pass  # it goes just now, or is closed to us
    try:
        fcntl.ioctl(listener, _SEND, _ANSWER.pack(id, 0, 0, _CONTINUE))
    except OSError:
        pass


def _path(thread: int, address: int, folder: int) -> str:
    memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        path = os.fsdecode(os.pread(memory, _LONGEST, address).partition(b"\0")[0])
    finally:
        os.close(memory)
    place = "cwd" if folder == _AT_FDCWD else f"fd/{folder}"
    if not path.startswith("/"):
        path = os.path.join(os.readlink(f"/proc/{thread}/{place}"), path)  # noqa: PTH115, PTH118
    return os.path.normpath(path)


def main(arguments: list[str]) -> int:
    try:
        status, opened = watch(arguments[0], arguments[1:])
    except OSError as error:
        print(f"\n{MARK}{json.dumps({'unknown': error.strerror})}", flush=True)
        return 127
    print(f"\n{MARK}{json.dumps({'opened': sorted(opened.names)})}", flush=True)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
