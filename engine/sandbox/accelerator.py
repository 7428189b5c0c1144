"""Whether a program can open this machine's accelerator: tried outside and in a run's view, never assumed.

Through ctypes, in a process of its own: an engine that opened CUDA itself would hold memory of the GPU for the night.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine import process
from autoresearch.engine.files import tail

_PROBE_S = 60.0
_PROGRAM = """
import ctypes, json
def opened(name, init, count, context):
    library = ctypes.CDLL(name)
    error, devices, made = getattr(library, init)(0), ctypes.c_int(), ctypes.c_void_p()
    error = error or getattr(library, count)(ctypes.byref(devices))
    if context and devices.value and not error:
        error = getattr(library, context)(ctypes.byref(made), 0, 0)
    return error, devices.value
for kind, names, calls in (
    ("CUDA", ("libcuda.so.1",), ("cuInit", "cuDeviceGetCount", "cuCtxCreate_v2")),
    ("HIP", ("libamdhip64.so", "libamdhip64.so.7", "libamdhip64.so.6"), ("hipInit", "hipGetDeviceCount", "")),
):
    for name in names:
        try:
            error, devices = opened(name, *calls)
        except OSError:
            continue
        print("OPENED", json.dumps([kind, error, devices]), flush=True)
        raise SystemExit
"""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the accelerator's library said."""

    kind: str
    error: int
    """The library's own number; 0: it works."""
    devices: int

    def __str__(self) -> str:
        if self.error:
            return f"{self.kind} refuses (error {self.error})"
        return f"{self.kind} opens {self.devices} device{'s' if self.devices != 1 else ''}"


def open_accelerator(cwd: Path, spawn: process.Spawn = process.spawn) -> Opened | None:
    """Open it where `spawn` starts commands; None without a library, or without a device that it could open."""
    names = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
    with tempfile.TemporaryDirectory(prefix="autoresearch-") as folder:
        log = Path(folder) / "output.log"
        process.run(
            process.Command(
                argv=(sys.executable, "-I", "-S", "-c", _PROGRAM),
                cwd=cwd,
                env={name: os.environ[name] for name in names if name in os.environ},
                output=log,
                timeout_s=_PROBE_S,
            ),
            spawn=spawn,
        )
        said = tail(log)
    for line in said.splitlines():
        if line.startswith("OPENED "):
            return Opened(*json.loads(line.removeprefix("OPENED ")))
    return None


def closed_inside(cwd: Path, spawn: process.Spawn) -> str:
    """What to say when the accelerator opens outside and not where `spawn` starts commands; else ""."""
    outside = open_accelerator(cwd)
    if outside is None or outside.error or not outside.devices:
        return ""
    inside = open_accelerator(cwd, spawn)
    if inside is not None and (inside.error, inside.devices) == (0, outside.devices):
        return ""
    view = f"{outside} outside, and in a run's view {inside or 'its library cannot even be loaded'}"
    return f"The accelerator cannot be measured on as runs are confined here: {view}"
