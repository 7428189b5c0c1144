from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakenvml import FakeDriver

from autoresearch.engine.measure import devices, gpu
from autoresearch.engine.measure.gpu import GpuWatch


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """Two GPUs; the module is imported as NVML's own would be."""
    made = FakeDriver(tmp_path / "driver", {"used": 500}, {"used": 700})
    with made.in_use(monkeypatch):
        yield made


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gpu, "library", lambda: None)
    gpu.gpus.cache_clear()
    yield
    gpu.gpus.cache_clear()


def holds(pid: int, mb: int, **more: int) -> dict[str, int]:
    return {"pid": pid, "mb": mb, **more}


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_is_named_and_nothing_is_watched() -> None:
    assert devices.accelerator().startswith(("cpu: ", "mps: "))
    watch = GpuWatch()
    watch.look([1])
    assert (watch.active, watch.peak_mb, watch.wait_back(60)) == (False, None, True)


@pytest.mark.usefixtures("driver")
def test_visible_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.accelerator() == "2× Some GPU (80 GB)"
    for visible, named in (
        ("1", "Some GPU (80 GB)"),
        ("GPU-1", "Some GPU (80 GB)"),
        ("0,7,1", "Some GPU (80 GB)"),
        ("0,1", "2× Some GPU (80 GB)"),
    ):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        gpu.gpus.cache_clear()
        assert devices.accelerator() == named
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    gpu.gpus.cache_clear()
    assert devices.accelerator().startswith("cpu: ")


def test_the_peak_is_the_sum_over_the_trees_processes(driver: FakeDriver) -> None:
    watch = GpuWatch()
    driver.set({"used": 5600, "util": 90, "processes": [holds(10, 100), holds(99, 5000)]},
               {"used": 740, "util": 30, "processes": [holds(11, 40)]})  # fmt: skip
    watch.look({10, 11})
    driver.set({"used": 560, "util": 50, "processes": [holds(10, 60)]}, {"used": 700})
    watch.look({10, 11})
    assert watch.peak_mb == 140
    assert watch.utilisation == 70, "of the busiest"


def test_pids_of_another_namespace_are_replaced_by_what_the_devices_hold(driver: FakeDriver) -> None:
    watch = GpuWatch()
    driver.set({"used": 1500, "processes": [holds(4_000_000, 1000, sm=90)]}, {"used": 700})
    watch.look({10})
    assert watch.peak_mb == 1000
    assert watch.foreign == "", "it may well be ours under the host's number"


def test_memory_is_back_when_the_devices_hold_what_they_held(driver: FakeDriver) -> None:
    watch = GpuWatch()
    driver.set({"used": 5000, "processes": [holds(4_000_000, 4500)]}, {"used": 700})
    assert not watch.wait_back(0)
    assert watch.holders() == "pid 4000000 (not visible from here, 4,500 MB)"
    driver.set({"used": 510}, {"used": 700})
    assert watch.wait_back(0)


# -- who else computes


@pytest.fixture
def stranger() -> int:
    """A process that does not descend from the one which watches."""
    return os.getppid()


def test_somebody_who_computes_from_the_start_is_foreign(driver: FakeDriver, stranger: int) -> None:
    driver.set({"used": 500, "processes": [holds(stranger, 300, sm=80)]}, {"used": 700})
    watch = GpuWatch()
    watch.look({10})
    assert watch.foreign.startswith(f"pid {stranger} (")
    assert watch.foreign.endswith("300 MB)")


def test_somebody_who_comes_later_is_foreign_where_our_own_pids_are_known(driver: FakeDriver, stranger: int) -> None:
    watch = GpuWatch()
    driver.set({"used": 900, "processes": [holds(stranger, 300, sm=80)]}, {"used": 700})
    watch.look({10})
    assert watch.foreign == ""
    driver.set({"used": 900, "processes": [holds(stranger, 300, sm=80), holds(10, 100, sm=5)]}, {"used": 700})
    watch.look({10})
    assert str(stranger) in watch.foreign


def test_who_only_holds_memory_spoils_nothing(driver: FakeDriver, stranger: int) -> None:
    driver.set({"used": 500, "processes": [holds(stranger, 300)]}, {"used": 700})
    watch = GpuWatch()
    watch.look({10})
    assert watch.foreign == ""


def test_our_own_and_what_descends_from_us_is_never_foreign(driver: FakeDriver) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mine = [holds(os.getpid(), 10, sm=9), holds(child.pid, 10, sm=9), holds(10, 10, sm=9)]
        driver.set({"used": 500, "processes": mine}, {"used": 700})
        watch = GpuWatch()
        watch.look({10})
        assert watch.foreign == ""
        child.communicate(b"\n")


def test_another_gpu_than_ours_is_nobodys_business(
    driver: FakeDriver, stranger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    driver.set({"used": 500, "processes": [holds(stranger, 300, sm=80)]}, {"used": 700})
    watch = GpuWatch()
    watch.look({10})
    assert (watch.foreign, watch.peak_mb) == ("", None)


def test_devices_are_looked_up_once(driver: FakeDriver) -> None:
    for _ in range(5):
        GpuWatch().look({1})
    assert driver.calls.count("init") == 1


def test_without_a_driver_nvml_is_not_even_imported(tmp_path: Path) -> None:
    if any(Path(file).exists() for file in gpu._DRIVERS):
        pytest.skip("this machine has a driver")
    made = FakeDriver(tmp_path / "driver", {"used": 500})
    code = "from autoresearch.engine.measure import gpu; gpu.GpuWatch().look([1])"
    env = {**os.environ, "PYTHONPATH": str(made.folder)}
    subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, check=True)
    assert made.calls == []
    subprocess.run([sys.executable, "-c", code], env={**env, **made.env}, cwd=tmp_path, check=True)
    assert "init" in made.calls, "it would be found where there is one"


def test_no_heavy_module_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from autoresearch.engine.measure import devices, gpu\n"
        "devices.accelerator(); gpu.GpuWatch().look([1])\n"
        "print([name for name in ('torch', 'psutil') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "[]\n"
