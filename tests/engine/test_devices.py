from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoresearch.engine import devices
from autoresearch.engine.devices import VramWatch


class FakeNvml:
    """Two GPUs of a stand-in driver; the calls and names are those of nvidia-ml-py."""

    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        self.used = [500, 700]
        self.processes: list[list[Any]] = [[], []]

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index > 1:
            raise self.NVMLError
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:
        return "Some GPU"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=80 * 10**9, used=self.used[handle] << 20)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        return self.processes[handle]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    fake = FakeNvml()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "_nvml", lambda: fake)
    devices._gpus.cache_clear()
    yield fake
    devices._gpus.cache_clear()


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(devices, "_nvml", lambda: None)
    devices._gpus.cache_clear()
    yield
    devices._gpus.cache_clear()


def holds(pid: int, mb: int | None) -> Any:
    return SimpleNamespace(pid=pid, usedGpuMemory=None if mb is None else mb << 20)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_is_named_and_nothing_is_watched() -> None:
    assert devices.accelerator().startswith(("cpu: ", "mps: "))
    watch = VramWatch()
    watch.look([1])
    assert (watch.active, watch.peak_mb, watch.wait_back(60)) == (False, None, True)


def test_visible_gpus_are_named(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.accelerator() == "2× Some GPU (80 GB)"
    for visible, named in (("1", "Some GPU (80 GB)"), ("0,7,1", "Some GPU (80 GB)"), ("0,1", "2× Some GPU (80 GB)")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        devices._gpus.cache_clear()
        assert devices.accelerator() == named
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    devices._gpus.cache_clear()
    assert devices.accelerator().startswith("cpu: ")


def test_the_peak_is_the_sum_over_the_trees_processes(nvml: FakeNvml) -> None:
    watch = VramWatch()
    nvml.processes = [[holds(10, 100), holds(99, 5000)], [holds(11, 40)]]
    watch.look({10, 11})
    nvml.processes = [[holds(10, 60)], []]
    watch.look({10, 11})
    assert watch.peak_mb == 140


def test_pids_of_another_namespace_are_replaced_by_what_the_devices_hold(nvml: FakeNvml) -> None:
    watch = VramWatch()
    nvml.used = [1500, 700]
    nvml.processes = [[holds(4_000_000, 1000)], []]
    watch.look({10})
    assert watch.peak_mb == 1000


def test_memory_is_back_when_the_devices_hold_what_they_held(nvml: FakeNvml) -> None:
    watch = VramWatch()
    nvml.used = [5000, 700]
    assert not watch.wait_back(0)
    nvml.used = [510, 700]
    assert watch.wait_back(0)


def test_no_heavy_module_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from autoresearch.engine import devices; devices.accelerator(); devices.VramWatch().look([1])\n"
        "print([name for name in ('torch', 'psutil') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "[]\n"
