"""What this machine is doing: processor, memory, disk and each GPU, sampled by a thread while somebody looks.

psutil and NVML are imported by that thread, not before the first frame; torch never is. A device or a value that cannot
be read is left out.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

SECONDS = 2.5
"""Between two readings."""
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Gauge:
    """One line of the meters."""

    name: str
    part: float
    """Of what there is, from 0 to 1: what the history shows."""
    words: tuple[str, ...]
    """Values, the most important first."""


class Gauges(threading.Thread):
    """Posts a `Read` to `pump` every few seconds while `wanted` is set, until `stop`."""

    @dataclass
    class Read(Message):
        gauges: list[Gauge]

    def __init__(self, pump: MessagePump, folder: Path, seconds: float = SECONDS) -> None:
        """`folder`: whose disk is measured."""
        super().__init__(name="gauges", daemon=True)
        self.pump = pump
        self.folder = folder
        self.seconds = seconds
        self.wanted = threading.Event()
        self._ended = threading.Event()

    def stop(self) -> None:
        self._ended.set()
        self.wanted.set()

    def run(self) -> None:
        self.wanted.wait()
        nvml, devices = _devices()
        while not self._ended.is_set():
            gpus = [_gpu(nvml, at, device) for at, device in enumerate(devices)]
            self.pump.post_message(self.Read([*gpus, *_machine(self.folder)]))
            self._ended.wait(self.seconds)
            self.wanted.wait()


def _machine(folder: Path) -> list[Gauge]:
    import psutil

    cpu = psutil.cpu_percent()  # since the last call; 0 at the first one
    memory = psutil.virtual_memory()
    found = [
        Gauge("cpu", cpu / 100, (f"{cpu:.0f}%",)),
        Gauge("memory", memory.percent / 100, (_of(memory.total - memory.available, memory.total),)),
    ]
    try:
        disk = psutil.disk_usage(str(folder))
    except OSError:
        return found
    return [*found, Gauge("disk", disk.percent / 100, (f"{disk.free / _GB:,.0f} GB free",))]


def _of(used: float, total: float) -> str:
    digits = 0 if total >= 20 * _GB else 1
    return f"{used / _GB:.{digits}f} of {total / _GB:.{digits}f} GB"


def _devices() -> tuple[Any, list[Any]]:
    """NVML and the machine's GPUs; none without a driver."""
    try:
        import pynvml
    except ImportError:
        return None, []
    try:
        pynvml.nvmlInit()
        return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(at) for at in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return None, []


def _gpu(nvml: Any, at: int, device: Any) -> Gauge:
    def ask(name: str, *args: Any) -> Any:
        try:
            return getattr(nvml, name)(device, *args)
        except nvml.NVMLError:
            return None  # not every device and driver knows everything

    use, memory = ask("nvmlDeviceGetUtilizationRates"), ask("nvmlDeviceGetMemoryInfo")
    heat = ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU)
    power, most = ask("nvmlDeviceGetPowerUsage"), ask("nvmlDeviceGetEnforcedPowerLimit")
    words = []
    if use is not None:
        words.append(f"{use.gpu}%")
    if memory is not None:
        words.append(_of(memory.used, memory.total))
    if heat is not None:
        words.append(f"{heat}°C")
    if power is not None:
        words.append(f"{power / 1000:.0f}" + (f" of {most / 1000:.0f} W" if most else " W"))
    part = use.gpu / 100 if use is not None else memory.used / memory.total if memory is not None else 0.0
    return Gauge(f"gpu {at}", part, tuple(words))
