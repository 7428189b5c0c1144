"""The accelerator, as the header says it. torch is never imported: it would be the engine's largest part by far."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from pathlib import Path

from autoresearch.engine.measure.gpu import gpus, library


def accelerator() -> str:
    """One line for the header: `2× NVIDIA H200 (141 GB)`, else `cpu: <model> ×<cores>`."""
    names: dict[str, int] = {}
    for handle in gpus():
        nvml = library()
        name = str(nvml.nvmlDeviceGetName(handle))
        with contextlib.suppress(nvml.NVMLError):  # devices with memory of the system's have none of their own
            name += f" ({nvml.nvmlDeviceGetMemoryInfo(handle).total / 1e9:.0f} GB)"
        names[name] = names.get(name, 0) + 1
    if names:
        return ", ".join(f"{count}× {name}" if count > 1 else name for name, count in names.items())
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return f"mps: {_cpu_model()}"
    return f"cpu: {_cpu_model()} ×{_cores()}"


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        found = re.search(r"^(?:model name|Hardware)\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if found:
            return " ".join(found[1].split())
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
