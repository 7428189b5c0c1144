"""The machine's meters: there where the engine runs, sampled while somebody looks, read from NVML and psutil."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sessions
from viewing import text, until, viewed, watching

from autoresearch.state.session import write_live
from autoresearch.tui.live.gauges import Gauge, Gauges
from autoresearch.tui.look.palette import COLOUR
from autoresearch.tui.widgets.meters import Meters

FAKE_NVML = '''
"""Two GPUs of which the second knows neither its power nor its temperature."""

class NVMLError(Exception):
    pass

NVML_TEMPERATURE_GPU = 0

class Numbers:
    def __init__(self, **values):
        self.__dict__.update(values)

def nvmlInit():
    pass

def nvmlDeviceGetCount():
    return 2

def nvmlDeviceGetHandleByIndex(at):
    return at

def nvmlDeviceGetUtilizationRates(device):
    return Numbers(gpu=97 - 50 * device)

def nvmlDeviceGetMemoryInfo(device):
    return Numbers(used=71_000_000_000, total=80_000_000_000)

def nvmlDeviceGetTemperature(device, sensor):
    if device:
        raise NVMLError
    return 64

def nvmlDeviceGetPowerUsage(device):
    if device:
        raise NVMLError
    return 412_300

def nvmlDeviceGetEnforcedPowerLimit(device):
    return 700_000
'''


class Pump:
    def __init__(self) -> None:
        self.got: list[Gauges.Read] = []
        self.came = threading.Event()

    def post_message(self, message: Gauges.Read) -> bool:
        self.got.append(message)
        self.came.set()
        return True


@pytest.fixture
def nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "pynvml.py").write_text(FAKE_NVML)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    return folder


def here(writer: sessions.Writer) -> None:
    """The engine runs on this machine."""
    live = writer.session.read_live()
    assert live is not None
    write_live(writer.session, replace(live, host=socket.gethostname()))


def test_each_gpu_says_what_it_knows(nvml: Path) -> None:
    pump = Pump()
    gauges = Gauges(pump, nvml, seconds=0.01)  # type: ignore[arg-type]
    gauges.start()
    assert not pump.came.wait(0.1), "nobody looks"
    gauges.wanted.set()
    assert pump.came.wait(20)
    gauges.stop()
    gauges.join(20)
    first, second, *rest = pump.got[0].gauges
    assert first == Gauge("gpu 0", 0.97, ("97%", "71 of 80 GB", "64°C", "412 of 700 W"))
    assert second == Gauge("gpu 1", 0.47, ("47%", "71 of 80 GB"))
    assert [gauge.name for gauge in rest] == ["cpu", "memory", "disk"]


def test_a_machine_without_nvml_has_the_rest() -> None:
    code = (
        "import sys; sys.modules['pynvml'] = None\n"
        "from autoresearch.tui.live import gauges\n"
        "assert 'psutil' not in sys.modules\n"
        "print(gauges._devices(), [gauge.name for gauge in gauges._machine(gauges.Path('/nowhere'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(None, []) ['cpu', 'memory']"


def test_lines_fit_and_the_first_value_is_the_last_to_go() -> None:
    meters = Meters(COLOUR)
    gauge = Gauge("gpu 0", 0.97, ("97%", "71 of 80 GB", "64°C", "412 of 700 W"))
    for width in (24, 30, 42, 60, 120):
        line = "".join(segment.text for segment in meters._meter(gauge, width))
        assert len(line) <= width
        assert "97%" in line
    assert "412 of 700 W" in line


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50)])
async def test_meters_of_this_machine_are_a_pane(tmp_path: Path, nvml: Path, size: tuple[int, int]) -> None:
    writer = sessions.running(tmp_path / "s", experiments=5)
    here(writer)
    with sessions.engine(writer):
        async with watching(writer, size=size) as (app, pilot):
            seen = app.dashboard.gauges.wanted.is_set
            if size[0] < 140:
                await until(pilot, lambda: app.dashboard.check_action("pane", ("machine",)))
                assert not seen(), "nobody looks"
                await pilot.press("7")
            await until(pilot, lambda: "gpu 1" in text(pilot) and "memory" in text(pilot))
            assert seen()
            await pilot.press("1", "z")
            await until(pilot, lambda: not seen())


async def test_another_machines_meters_are_not_shown_as_the_engines(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        for size in ((80, 24), (160, 50)):
            async with watching(writer, size=size) as (app, pilot):
                await pilot.press("7", "tab", "tab", "tab", "tab", "tab", "tab")
                assert app.dashboard.active == "experiments"
                assert "Machine" not in text(pilot)
                assert not app.dashboard.gauges.wanted.is_set()


def test_meters_at_rest_send_next_to_nothing(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path)
    here(writer)
    with viewed(writer, size=(160, 50)) as terminal:
        terminal.until(lambda: b"Why it stopped" in terminal.written)
        terminal.press("\x1b")  # the page before a restart
        terminal.until(lambda: b"cpu" in terminal.written)
        terminal.read(1.0)
        assert len(terminal.read(6.0)) <= 6 * 1024
