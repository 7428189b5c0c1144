"""A driver for machines without a GPU: a module `pynvml` with nvidia-ml-py's names, whose devices are a JSON file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autoresearch.engine.measure import gpu

MODULE = """\
import json, pathlib

FOLDER = pathlib.Path({folder!r})
NVML_ERROR_NOT_FOUND = 6


class NVMLError(Exception):
    def __init__(self, value=999):
        super().__init__(value)
        self.value = value


class _Thing:
    def __init__(self, **facts):
        self.__dict__.update(facts)


def _devices():
    return json.loads((FOLDER / "devices.json").read_text())


def _note(word):
    with (FOLDER / "calls").open("a") as file:
        file.write(word + "\\n")


_note("import")


def nvmlInit():
    _note("init")


def nvmlDeviceGetCount():
    return len(_devices())


def nvmlDeviceGetHandleByIndex(index):
    if index >= len(_devices()):
        raise NVMLError(2)
    return index


def nvmlDeviceGetHandleByUUID(uuid):
    for index in range(len(_devices())):
        if uuid == f"GPU-{{index}}".encode():
            return index
    raise NVMLError(6)


def nvmlDeviceGetName(handle):
    return "Some GPU"


def nvmlDeviceGetMemoryInfo(handle):
    return _Thing(total=80 * 10**9, used=_devices()[handle]["used"] << 20)


def nvmlDeviceGetUtilizationRates(handle):
    return _Thing(gpu=_devices()[handle].get("util", 0), memory=0)


def nvmlDeviceGetComputeRunningProcesses(handle):
    found = [_Thing(pid=p["pid"], usedGpuMemory=p["mb"] << 20) for p in _devices()[handle].get("processes", [])]
    _note("processes")
    return found


def nvmlDeviceGetProcessUtilization(handle, since):
    found = [_Thing(pid=p["pid"], smUtil=p["sm"]) for p in _devices()[handle].get("processes", []) if "sm" in p]
    if not found:
        raise NVMLError(NVML_ERROR_NOT_FOUND)
    return found
"""


class FakeDriver:
    """Its module is found in `folder`; `env` is what makes an engine use it."""

    def __init__(self, folder: Path, *devices: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "pynvml.py").write_text(MODULE.format(folder=str(folder)))
        self.set(*devices)

    @property
    def env(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder), "AUTORESEARCH_NVML_DEVICE": str(self.folder / "pynvml.py")}

    def set(self, *devices: dict[str, Any]) -> None:
        made = self.folder / "devices.new"
        made.write_text(json.dumps(devices))
        made.rename(self.folder / "devices.json")

    @contextmanager
    def in_use(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """In this process."""
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setenv("AUTORESEARCH_NVML_DEVICE", self.env["AUTORESEARCH_NVML_DEVICE"])
        monkeypatch.syspath_prepend(str(self.folder))
        monkeypatch.delitem(sys.modules, "pynvml", raising=False)
        caches = (gpu.library, gpu.gpus)
        for cache in caches:
            cache.cache_clear()
        try:
            yield
        finally:
            sys.modules.pop("pynvml", None)
            for cache in caches:
                cache.cache_clear()

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().split() if file.is_file() else []
