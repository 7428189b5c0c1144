"""Run one command with limits, and leave nothing of it behind.

When its main process has ended, by itself or by a limit, every descendant is ended too and waited for (`descendants`).
Waiting costs nothing: a pidfd wakes us at the very end of the process, and we look in between only as often as the
limits need.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import resource
import select
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson

from autoresearch.engine.process import descendants, seen
from autoresearch.engine.process.child import Child
from autoresearch.engine.process.command import Cause, Command, Exit, Halt, Spawn, spawn
from autoresearch.engine.process.memory import Memory
from autoresearch.engine.process.output import Progress, cut_log
from autoresearch.engine.process.seen import LINUX, Seen

_LEAST_FILES = 0.005
"""Of all files that a disk can hold: with fewer left to make, a command ends as with less room."""


# Threads are kept, so that a run does not pay for starting one; each run occupies one for its whole time.
_threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="command")
_numbers = itertools.count(1)


async def run_async(command: Command, spawn: Spawn = spawn) -> Exit:
    """`run` beside the event loop. Cancelling it ends the whole tree, waits until it is gone, then raises."""
    halt = Halt()
    try:
        future = asyncio.get_running_loop().run_in_executor(_threads, run, command, halt, spawn)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            halt.set()
            while not future.done():
                with contextlib.suppress(asyncio.CancelledError):  # asked again: the answer is the same
                    await asyncio.wait([future])
            if error := future.exception():
                raise error from None
            raise
    finally:
        halt.close()


def run(command: Command, halt: Halt | None = None, spawn: Spawn = spawn) -> Exit:
    """Run the command to its end, or to the first limit it passes."""
    descendants.become_subreaper()
    marker = f"{os.getpid()}-{next(_numbers)}"
    output = os.open(command.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        start = os.fstat(output).st_size
        if halt is not None and halt.is_set():
            detail = "stopped before it began"
            return Exit(code=None, cause="interrupted", detail=detail, output_from=start, output_to=start)
        oom_kills = _oom_kills()
        with descendants.starting_child():
            try:
                process = spawn(command, {**command.env, descendants.MARKER: marker}, output)
            except OSError as error:
                if not _is_about_program(error, command):
                    raise
                code = 127 if isinstance(error, FileNotFoundError) else 126
                detail = f"{command.argv[0]} cannot be started: {error.strerror}"
                os.write(output, f"{detail}\n".encode())
                end = os.fstat(output).st_size
                return Exit(code=code, cause="nonzero_exit", detail=detail, output_from=start, output_to=end)
            descendants.register(process.pid, marker)
    finally:
        os.close(output)
    return _Run(command, process, start, oom_kills).to_end(halt)


class _Run:
    """One started command until nothing of it is left."""

    def __init__(self, command: Command, process: Child, start: int, oom_kills: int) -> None:
        self.command = command
        self.process = process
        self.began = time.monotonic()
        self.start = start
        self.oom_kills = oom_kills
        self.cause: Cause | None = None
        self.detail = ""
        self.peak_mb = 0.0
        self.log = os.open(command.output, os.O_RDONLY | os.O_CLOEXEC)
        self.memory = Memory(process.shared_memory(), memory_files=bool(command.memory_mb))
        self.progress: Progress | None = None
        if command.progress and command.progress_file:
            self.progress = Progress(self.log, start, command.progress, command.progress_file, command.label)
        self.size = start
        self.grown_at = self.began
        self.look_s = 0.02
        self.next_family_look = self.began
        self.busy_at = self.began
        self.busy_cpu_s = 0.0
        self.busy_size = start

    def to_end(self, halt: Halt | None) -> Exit:
        command, pid = self.command, self.process.pid
        try:
            self._write_pid_file()
            self._watch(halt)
            duration_s = time.monotonic() - self.began
            # What multiplies faster than it can be asked is not asked.
            leftovers, survivors = self.process.end(0.0 if self.cause == "process_limit" else command.grace_s)
            code, largest_mb = self.process.reap()
            if self.cause is None and command.free_mb:
                self._is_disk_full()
        except BaseException:  # an error of ours still leaves nothing behind
            self.process.end(command.grace_s)
            self.process.reap()
            os.close(self.log)
            raise
        finally:
            descendants.unregister(pid)
            self.memory.close()
            self.process.close()
        if command.pid_file and not survivors:
            command.pid_file.unlink(missing_ok=True)
        output_to = self._close_log()
        self._judge(code)
        # Before its exec a child shares our memory and is billed for it: a figure below ours says nothing.
        peak = max(self.peak_mb, largest_mb if largest_mb > _own_peak_mb() else 0.0)
        return Exit(
            code=code,
            cause=self.cause,
            detail=self.detail,
            duration_s=duration_s,
            peak_rss_mb=round(peak, 1) if peak else None,
            output_from=self.start,
            output_to=output_to,
            leftovers=leftovers,
            survivors=survivors,
        )

    def _write_pid_file(self) -> None:
        # Just after the start: in the instant between, recovery finds the process by its environment.
        path = self.command.pid_file
        if path is None:
            return
        data = {"pid": self.process.pid, "start": seen.start_time(self.process.pid), **self.command.label}
        temporary = path.with_name(path.name + ".new")
        temporary.write_bytes(orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE))
        temporary.replace(path)

    def _watch(self, halt: Halt | None) -> None:
        """Return when the main process has ended, a limit is passed or somebody asked to stop."""
        deadline = self.began + self.command.timeout_s
        poller = select.poll()
        handle = self.process.fileno()
        if handle >= 0:
            poller.register(handle, select.POLLIN)
        if halt is not None:
            poller.register(halt, select.POLLIN)
        while True:
            now = time.monotonic()
            wait_s = min(self._next_look(now), max(deadline - now, 0.0))
            ready = {number for number, _ in poller.poll(-(-wait_s * 1000 // 1))}
            if handle in ready or (handle < 0 and self.process.has_ended()):
                return
            now = time.monotonic()
            if halt is not None and halt.is_set():
                return self._stop("interrupted", "stopped on request")
            if now >= deadline:
                return self._stop("timeout", f"not finished after {self.command.timeout_s:g} s")
            self._look(now)
            if self.cause:
                return

    def _stop(self, cause: Cause, detail: str) -> None:
        self.cause, self.detail = cause, detail

    def _next_look(self, now: float) -> float:
        """Seconds until the log's size matters again: sooner when it grows towards its cap."""
        wait_s = self.look_s if LINUX else min(self.look_s, 0.02)
        self.look_s = min(self.look_s * 2, 0.25 if self.progress else 0.5)
        grown, since = self.size - self.start, now - self.began
        if self.command.output_mb and grown > 0 and since > 0:
            left = self.command.output_mb * 2**20 - grown
            wait_s = min(wait_s, max(left / (grown / since) / 2, 0.01))
        return wait_s

    def _look(self, now: float) -> None:
        command = self.command
        size = os.fstat(self.log).st_size
        if command.free_mb and self._is_disk_full():
            return
        if size < self.start:  # it emptied its own log (`> /dev/stderr` does): what is there now is its own
            self.start = 0
        self.size = size
        if command.output_mb and size - self.start > command.output_mb * 2**20:
            return self._stop("output_limit", f"wrote more than {command.output_mb:g} MB of output")
        if self.progress:
            self.progress.look(now - self.began, size)
        if now < self.next_family_look:
            return
        family = self.process.alive()
        if command.processes and len(family) > command.processes:
            return self._stop("process_limit", f"had {len(family)} processes where {command.processes} are allowed")
        self._check_memory(family)
        # On a machine with very many processes a look is dearer: no more than 2% of a core, but once a second, because
        # one that multiplies makes it so.
        dear_s = min((time.monotonic() - now) * 50, 1.0)
        self.next_family_look = now + max(0.45 if now - self.began > 0.2 else 0.1, dear_s)
        if not self.cause and command.stall_s:
            self._check_stall(family, now)
        if command.watch:
            command.watch(family.keys())

    def _is_disk_full(self) -> bool:
        """Looked at when it has ended, too: one that fills the disk may be over before the next look."""
        for place in (self.command.cwd, self.log):
            try:
                info = os.statvfs(place)
            except FileNotFoundError:  # it removed its own folder
                continue
            free_mb = info.f_bavail * info.f_frsize / 1e6
            if free_mb < self.command.free_mb:
                least = f"{self.command.free_mb:,.0f} MB"
                self._stop("disk_limit", f"the disk had less than {least} left while it ran ({free_mb:,.0f} MB)")
                return True
            if info.f_files and info.f_favail < info.f_files * _LEAST_FILES:
                self._stop("disk_limit", f"the disk had room for only {info.f_favail:,} more files while it ran")
                return True
        return False

    def _check_memory(self, family: dict[int, Seen]) -> None:
        limit = self.command.memory_mb
        held = self.memory.held_mb(family.values())
        if limit and held > limit and len(family) > 1:
            # Forked workers share pages, and the sum counts them once each; the kernel's fair share is dear but right.
            held = min(held, self.memory.held_mb(family.values(), fair=True))
        self.peak_mb = max(self.peak_mb, held)
        if limit and held > limit:
            self._stop("out_of_memory", f"used {held:.0f} MB where {limit:g} MB are allowed")

    def _check_stall(self, family: dict[int, Seen], now: float) -> None:
        cpu_s = sum(each.cpu_s for each in family.values())
        enough = max(0.01 * self.command.stall_s, 0.02)
        # A sum that falls means that a process ended: that is life, too.
        if self.size != self.busy_size or cpu_s < self.busy_cpu_s or cpu_s - self.busy_cpu_s >= enough:
            self.busy_at, self.busy_cpu_s, self.busy_size = now, cpu_s, self.size
        elif now - self.busy_at >= self.command.stall_s:
            self._stop("stalled", f"no output and no CPU time for {self.command.stall_s:g} s")

    def _close_log(self) -> int:
        try:
            output = os.fstat(self.log)
            size = output.st_size
            if size < self.start:
                self.start = 0
            if self.progress:
                self.progress.finish(time.monotonic() - self.began, size)
        finally:
            os.close(self.log)
        cap_mb = self.command.output_mb
        if cap_mb and size - self.start > cap_mb * 2**20:
            if self.cause is None:
                self._stop("output_limit", f"wrote more than {cap_mb:g} MB of output")
            if _is_at(self.command.output, output):  # not when the command put something else in its place
                return cut_log(self.command.output, self.start, cap_mb)
        return size

    def _judge(self, code: int | None) -> None:
        """The cause when the process ended by itself."""
        if self.cause is not None or code == 0:
            return
        kernel = _oom_kills() > self.oom_kills
        if code is not None and code in (-signal.SIGKILL, 128 + signal.SIGKILL):
            who = "the kernel's out-of-memory killer ran meanwhile" if kernel else "usually because memory ran out"
            self._stop("out_of_memory", f"killed by SIGKILL, not by us: {who}")
        elif kernel:
            self._stop("out_of_memory", f"{_said(code)}, and the kernel's out-of-memory killer ran meanwhile")
        else:
            self._stop("nonzero_exit", _said(code))


def _is_at(path: Path, opened: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), opened)
    except OSError:
        return False


def _said(code: int | None) -> str:
    if code is None:
        return "it could not be ended"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _is_about_program(error: OSError, command: Command) -> bool:
    """Whether the program itself is at fault, and not its folder or the machine."""
    if not isinstance(error, (FileNotFoundError, PermissionError, NotADirectoryError)) and error.strerror not in (
        "Exec format error",
        "Argument list too long",
    ):
        return False
    return command.cwd.is_dir() and error.filename != str(command.cwd)


def _oom_kills() -> int:
    """How often the kernel's out-of-memory killer has struck since the machine started."""
    if not LINUX:
        return 0
    try:
        with open("/proc/vmstat", "rb", 0) as file:  # noqa: PTH123 - 9 microseconds, in every run
            data = file.read()
    except FileNotFoundError:
        return 0
    at = data.find(b"\noom_kill ")
    return int(data[at + 10 :].split(b"\n", 1)[0]) if at >= 0 else 0


def _own_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if LINUX else 2**20)
