"""The machine and its accelerator: what the header says of them, and GPU memory during a run.

NVML is asked through nvidia-ml-py, imported only here and only when first needed; without a driver everything is None
and costs nothing. torch is never imported: it would be the engine's largest part by far.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
import time
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

_MB = 2**20
_SLACK_MB = 64
"""GPU memory counts as given back when it is within this of what it was."""


def host_name() -> str:
    return socket.gethostname()


def accelerator() -> str:
    """One line for the header: `2× NVIDIA H200 (141 GB)`, else `cpu: <model> ×<cores>`."""
    names: dict[str, int] = {}
    for handle in _gpus():
        nvml = _nvml()
        name = _text(nvml.nvmlDeviceGetName(handle))
        with contextlib.suppress(nvml.NVMLError):  # devices with memory of the system's have none of their own
            name += f" ({nvml.nvmlDeviceGetMemoryInfo(handle).total / 1e9:.0f} GB)"
        names[name] = names.get(name, 0) + 1
    if names:
        return ", ".join(f"{count}× {name}" if count > 1 else name for name, count in names.items())
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return f"mps: {_cpu_model()}"
    return f"cpu: {_cpu_model()} ×{_cores()}"


class VramWatch:
    """Peak GPU memory of one command's processes. Give `look` to the command as its `watch`.

    In a container NVML names the host's pids, in which we do not find ours: then what the devices hold beyond what
    they held before stands for it.
    """

    def __init__(self) -> None:
        self._gpus = _gpus()
        self._before_mb = self._held_mb()
        self._by_pid_mb = 0.0
        self._beyond_mb = 0.0
        self._known = False

    @property
    def active(self) -> bool:
        return bool(self._gpus)

    @property
    def peak_mb(self) -> float | None:
        """None without a GPU, or when no look saw memory in use."""
        peak = self._by_pid_mb if self._known else self._beyond_mb
        return round(peak, 1) if peak > 0 else None

    def look(self, pids: Collection[int]) -> None:
        if not self._gpus:
            return
        held = self._of(pids)
        if held is not None:
            self._known = True
            self._by_pid_mb = max(self._by_pid_mb, held)
        elif not self._known:
            self._beyond_mb = max(self._beyond_mb, self._held_mb() - self._before_mb)

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

    def _of(self, pids: Collection[int]) -> float | None:
        """What these processes hold, or None when NVML knows none of them."""
        nvml = _nvml()
        held: float | None = None
        for handle in self._gpus:
            with contextlib.suppress(nvml.NVMLError):
                for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
                    if process.pid in pids and process.usedGpuMemory is not None:
                        held = (held or 0.0) + process.usedGpuMemory / _MB
        return held

    def _held_mb(self) -> float:
        total = 0.0
        for handle in self._gpus:
            nvml = _nvml()
            with contextlib.suppress(nvml.NVMLError):
                total += nvml.nvmlDeviceGetMemoryInfo(handle).used / _MB
        return total


@cache
def _nvml() -> Any:
    """The initialised library, or None without one or without a driver."""
    if not Path("/dev/nvidiactl").exists() and not Path("/dev/dxg").exists():
        return None  # neither a driver nor WSL's: spares the import
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
def _gpus() -> tuple[Any, ...]:
    """Handles of the GPUs that commands see, in the order of CUDA_VISIBLE_DEVICES."""
    nvml = _nvml()
    if nvml is None:
        return ()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount()))
    found = []
    for word in filter(None, (part.strip() for part in visible.split(","))):
        try:
            by_index = word.isdigit()
            found.append(
                nvml.nvmlDeviceGetHandleByIndex(int(word))
                if by_index
                else nvml.nvmlDeviceGetHandleByUUID(word.encode())
            )
        except nvml.NVMLError:
            break  # as CUDA does: what follows an unknown device is not visible
    return tuple(found)


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        found = re.search(r"^(?:model name|Hardware)\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if found:
            return " ".join(found[1].split())
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
