"""The GPU while a command runs: memory, use, and whether another process computes on it.

NVML is asked through nvidia-ml-py, imported only here and only when first needed; without a driver everything is None
and costs nothing.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from autoresearch.state.text import clean_line

_MB = 2**20
_SLACK_MB = 64
"""GPU memory counts as given back when it is within this of what it was."""
_DEEPEST = 64
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg")
"""A driver, and WSL's: without one the import of NVML is spared. AUTORESEARCH_NVML_DEVICE names another file."""


class GpuWatch:
    """The GPUs during the commands of one sample: peak memory, utilisation, and who else computes there.

    Give `look` to each command as its `watch`. Without a GPU nothing is asked and everything is None or "".

    In a container NVML names the host's pids, in which we do not find ours: then what the devices hold beyond what
    they held before stands for our memory, and only a process that was there before ours began is surely foreign. A
    foreign process that holds memory and does not compute (a notebook left open) spoils nothing.
    """

    def __init__(self) -> None:
        self._gpus = gpus()
        self._since = time.time_ns() // 1000
        self._before_mb = self._held_mb() if self._gpus else 0.0
        self._before = frozenset(process.pid for process in self._processes()) if self._gpus else frozenset[int]()
        self._by_pid_mb = 0.0
        self._beyond_mb = 0.0
        self._known = False
        self._ours: set[int] = set()
        self._utilisation: list[float] = []
        self._foreign: dict[int, str] = {}
        self._late: dict[int, str] = {}
        """Came after our command began: foreign only if NVML's pids are ours."""

    @property
    def active(self) -> bool:
        return bool(self._gpus)

    @property
    def peak_mb(self) -> float | None:
        """None without a GPU, or when no look saw memory in use."""
        peak = self._by_pid_mb if self._known else self._beyond_mb
        return round(peak, 1) if peak > 0 else None

    @property
    def utilisation(self) -> float | None:
        """Of the busiest GPU, the mean over all looks, in percent."""
        return round(statistics.fmean(self._utilisation), 1) if self._utilisation else None

    @property
    def foreign(self) -> str:
        """Who else computed on the GPUs during the command; "" when nobody did, or nobody that can be told apart."""
        found = {**self._foreign, **(self._late if self._known else {})}
        return " and ".join(text for pid, text in sorted(found.items()) if pid not in self._ours)

    def look(self, pids: Collection[int]) -> None:
        if not self._gpus:
            return
        self._ours |= set(pids)
        processes = self._processes()
        held = [process for process in processes if process.pid in self._ours]
        if held:
            self._known = True
            self._by_pid_mb = max(self._by_pid_mb, sum((process.usedGpuMemory or 0) / _MB for process in held))
        elif not self._known:
            self._beyond_mb = max(self._beyond_mb, self._held_mb() - self._before_mb)
        rates = (float(rates.gpu) for rates in self._told("nvmlDeviceGetUtilizationRates"))
        self._utilisation.append(max(rates, default=0.0))
        others = {process.pid: process for process in processes if process.pid not in self._ours}
        if others:
            self._note_others(others)

    def is_back(self) -> bool:
        """Whether the devices hold no more than before."""
        return not self._gpus or self._held_mb() <= self._before_mb + _SLACK_MB

    def wait_back(self, timeout_s: float) -> bool:
        """Wait until the memory of ended processes is given back: drivers take a moment. At once without a GPU."""
        deadline = time.monotonic() + timeout_s
        while not self.is_back():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        return True

    def holders(self) -> str:
        """Who holds memory that was not held before."""
        found = [who(process) for process in self._processes() if process.pid not in self._before]
        return " and ".join(found) or "no process that can be seen from here holds it"

    def _note_others(self, others: Mapping[int, Any]) -> None:
        busy = self._busy()
        for pid, process in others.items():
            computes = pid in busy if busy is not None else True
            if computes and not _is_own(pid):
                (self._foreign if pid in self._before else self._late)[pid] = who(process)

    def _busy(self) -> set[int] | None:
        """Processes that computed since the watch began; None where the driver does not tell."""
        nvml, found, told = library(), set[int](), False
        for handle in self._gpus:
            try:
                found |= {
                    sample.pid for sample in nvml.nvmlDeviceGetProcessUtilization(handle, self._since) if sample.smUtil
                }
                told = True
            except nvml.NVMLError as error:
                told = told or getattr(error, "value", None) == getattr(nvml, "NVML_ERROR_NOT_FOUND", 6)  # no samples
            except AttributeError:
                return None
        return found if told else None

    def _processes(self) -> list[Any]:
        return [each for found in self._told("nvmlDeviceGetComputeRunningProcesses") for each in found]

    def _held_mb(self) -> float:
        return float(sum(memory.used / _MB for memory in self._told("nvmlDeviceGetMemoryInfo")))

    def _told(self, question: str) -> list[Any]:
        """What each device answers, without those that do not."""
        nvml, found = library(), list[Any]()
        for handle in self._gpus:
            with contextlib.suppress(nvml.NVMLError):
                found.append(getattr(nvml, question)(handle))
        return found


def who(process: Any) -> str:
    """A process as NVML tells of it: `pid 4711 (python train.py, 5,000 MB)`."""
    held = "" if process.usedGpuMemory is None else f", {process.usedGpuMemory / _MB:,.0f} MB"
    return f"pid {process.pid} ({_command_line(process.pid)}{held})"


def _command_line(pid: int) -> str:
    """Shortened; in a container NVML's pids are the host's, and may be nobody here."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return "not visible from here"
    return clean_line(" ".join(word.decode(errors="replace") for word in words), 60) or "a process without a name"


def _is_own(pid: int) -> bool:
    """Whether it is this process or descends from it."""
    for _ in range(_DEEPEST):
        if pid == os.getpid():
            return True
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return False
        pid = int(stat.rpartition(")")[2].split()[1])
        if pid <= 1:
            return False
    return False


@cache
def library() -> Any:
    """The initialised library, or None without one or without a driver."""
    if not any(Path(driver).exists() for driver in (*_DRIVERS, os.environ.get("AUTORESEARCH_NVML_DEVICE")) if driver):
        return None
    try:
        import pynvml
    except ModuleNotFoundError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


@cache
def gpus() -> tuple[Any, ...]:
    """Handles of the GPUs that commands see, in the order of CUDA_VISIBLE_DEVICES."""
    nvml = library()
    if nvml is None:
        return ()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount()))
    found = []
    for word in filter(None, (part.strip() for part in visible.split(","))):
        try:
            if word.isdigit():
                found.append(nvml.nvmlDeviceGetHandleByIndex(int(word)))
            else:
                found.append(nvml.nvmlDeviceGetHandleByUUID(word.encode()))
        except nvml.NVMLError:
            break  # as CUDA does: what follows an unknown device is not visible
    return tuple(found)
