from __future__ import annotations

import asyncio
import re
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from processes import ESCAPES, pid_in, python, runs, until

from autoresearch.engine.process import Exit, Halt, run, run_async
from autoresearch.engine.process.seen import start_time

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="whole-tree ends are promised on Linux")


# -- how a command ends


def test_output_is_appended_and_the_region_is_the_commands_own(command: Any, tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_text("before\n")
    done = run(command("echo out; echo err >&2; cat"))
    assert (done.code, done.cause) == (0, None)
    assert log.read_text() == "before\nout\nerr\n"
    assert log.read_bytes()[done.output_from : done.output_to] == b"out\nerr\n"


@pytest.mark.parametrize(
    ("script", "code", "cause", "words"),
    [
        ("exit 3", 3, "nonzero_exit", "exit code 3"),
        ("kill -SEGV $$", -signal.SIGSEGV, "nonzero_exit", "SIGSEGV"),
        ("kill -KILL $$", -signal.SIGKILL, "out_of_memory", "SIGKILL, not by us"),
        ("(kill -KILL $BASHPID); exit $?", 137, "out_of_memory", "SIGKILL, not by us"),
    ],
)
def test_a_failing_command_says_how(command: Any, script: str, code: int, cause: str, words: str) -> None:
    done = run(command(script))
    assert (done.code, done.cause) == (code, cause)
    assert words in done.detail


def test_a_missing_program_is_the_commands_failure(command: Any, tmp_path: Path) -> None:
    done = run(command(["no-such-program-here"]))
    assert (done.code, done.cause) == (127, "nonzero_exit")
    assert "no-such-program-here" in done.detail
    assert "no-such-program-here" in (tmp_path / "output.log").read_text()


def test_a_missing_folder_is_our_failure(command: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run(command("true", cwd=tmp_path / "gone"))


def test_signals_have_their_default_meaning_even_when_ignored_here(command: Any) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = run(command("kill -HUP $$; sleep 0.1; echo survived"))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done.code == -signal.SIGHUP


def test_the_command_has_a_session_of_its_own(command: Any, tmp_path: Path) -> None:
    run(command(python("import os; print(os.getsid(0) == os.getpid())")))
    assert (tmp_path / "output.log").read_text() == "True\n"


# -- stopping


def test_halt_wakes_at_once_and_ends_the_tree(command: Any, tmp_path: Path) -> None:
    halt = Halt()
    answers: list[Exit] = []
    thread = threading.Thread(target=lambda: answers.append(run(command(ESCAPES["double fork"]), halt)))
    thread.start()
    pid = pid_in(tmp_path / "pid")
    halt.set()
    thread.join(20)
    halt.close()
    assert answers[0].cause == "interrupted"
    assert not runs(pid)


def test_a_halt_that_was_set_before_starts_nothing(command: Any, tmp_path: Path) -> None:
    halt = Halt()
    halt.set()
    done = run(command("touch started"), halt)
    halt.close()
    assert (done.code, done.cause) == (None, "interrupted")
    assert not (tmp_path / "started").exists()


async def test_cancelling_waits_until_the_tree_is_gone(command: Any, tmp_path: Path) -> None:
    task = asyncio.create_task(run_async(command(ESCAPES["ignores TERM"])))
    while not (tmp_path / "pid").exists():
        await asyncio.sleep(0.01)
    pid = pid_in(tmp_path / "pid")
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # an impatient second time does not cut the waiting short
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not runs(pid)


# -- limits


def test_silence_without_work_is_a_stall(command: Any) -> None:
    done = run(command("echo begun; sleep 300", stall_s=1))
    assert done.cause == "stalled"


@pytest.mark.parametrize("script", ["for i in {1..12}; do echo $i; sleep 0.4; done", "timeout 5 yes > /dev/null; :"])
def test_output_or_work_is_no_stall(command: Any, script: str) -> None:
    assert run(command(script, stall_s=4)).cause is None


def test_too_much_memory_ends_the_tree(command: Any) -> None:
    done = run(command(python("import time; x = bytearray(300 << 20); time.sleep(300)"), memory_mb=150))
    assert done.cause == "out_of_memory"
    assert "150 MB" in done.detail
    assert done.peak_rss_mb is not None
    assert done.peak_rss_mb > 150


def test_shared_pages_are_not_counted_against_the_limit_twice(command: Any) -> None:
    code = (
        "import os, time; x = bytearray(120 << 20)\n"
        "for _ in range(4):\n    if os.fork() == 0: time.sleep(1); os._exit(0)\n"
        "for _ in range(4): os.wait()"
    )
    assert run(command(python(code), memory_mb=400)).cause is None


def test_the_peak_of_a_large_process_is_known(command: Any) -> None:
    big = 150 + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    done = run(command(python(f"x = bytearray({big} << 20)")))
    assert done.peak_rss_mb is not None
    assert big < done.peak_rss_mb < big + 100


def test_memory_in_files_without_a_name_ends_the_tree(command: Any) -> None:
    code = "import os, time; f = os.memfd_create('x'); [os.write(f, bytes(2**20)) for _ in range(300)]; time.sleep(300)"
    done = run(command(python(code), memory_mb=150))
    assert done.cause == "out_of_memory"
    assert done.peak_rss_mb > 150


def test_memory_files_that_are_mapped_and_shared_count_once(command: Any) -> None:
    code = """
import mmap, os, time
f = os.memfd_create('x')
os.truncate(f, 100 << 20)
held = mmap.mmap(f, 100 << 20)
held.write(bytes(100 << 20))
for _ in range(3):
    if os.fork() == 0:
        sum(held[n] for n in range(0, 100 << 20, 4096))
        time.sleep(1)
        os._exit(0)
time.sleep(1.5)
"""
    assert run(command(python(code), memory_mb=400)).cause is None


def test_an_endless_log_is_cut_to_head_and_tail_in_little_memory(command: Any, tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_text("before\n")
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = run(command("seq 1 1000000000", output_mb=64))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 30 << 10
    assert done.cause == "output_limit"
    assert log.stat().st_size < 20 << 20
    lines = log.read_text().splitlines()
    assert lines[:3] == ["before", "1", "2"]
    marks = [at for at, line in enumerate(lines) if line.startswith("=== the log passed 64 MB")]
    assert len(marks) == 1
    numbers = [int(line) for line in lines[1 : marks[0]] + lines[marks[0] + 1 : -1]]  # the last may be half a line
    at = marks[0] - 1
    assert numbers[:at] == list(range(1, at + 1))
    assert numbers[at:] == list(range(numbers[at], numbers[at] + len(numbers) - at))
    assert done.output_to == log.stat().st_size


def test_a_fast_command_that_passes_the_cap_before_a_look_is_caught(command: Any) -> None:
    done = run(command("head -c 3000000 /dev/zero", output_mb=1))
    assert done.cause == "output_limit"
    assert done.output_to - done.output_from < 1.1 * 2**20


def test_a_command_that_empties_its_own_log_is_read_from_the_new_start(command: Any, tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_text("a long line of an earlier command\n")
    done = run(command("echo METRIC > /dev/stdout"))
    assert log.read_bytes()[done.output_from : done.output_to] == b"METRIC\n"


# -- what is written beside


def test_the_pid_file_names_the_process_while_it_runs(command: Any, tmp_path: Path) -> None:
    pid_file = tmp_path / "the-pid"
    seen: dict[str, Any] = {}

    def look() -> None:
        seen.update(until(lambda: pid_file.exists() and orjson.loads(pid_file.read_bytes())))
        seen["now"] = start_time(seen["pid"])
        (tmp_path / "go-on").touch()

    thread = threading.Thread(target=look)
    thread.start()
    done = run(command("until [ -e go-on ]; do sleep 0.01; done", pid_file=pid_file, label={"experiment": 7}))
    thread.join()
    assert done.cause is None
    assert seen["experiment"] == 7
    assert seen["start"] == seen["now"]
    assert not pid_file.exists()


def test_progress_is_read_as_the_log_grows(command: Any, tmp_path: Path) -> None:
    series = tmp_path / "progress.jsonl"
    script = (
        "printf 'loss: 4.5\\r'; until [ -s progress.jsonl ]; do sleep 0.01; done; printf 'lo'; sleep 0.4;"
        "printf 'ss: 3.5 lr 1e-3\\nloss: nan'"
    )
    patterns = {"loss": re.compile(r"loss: (\S+)"), "lr": re.compile(r"lr (\S+)")}
    done = run(command(script, progress=patterns, progress_file=series, label={"k": 2}))
    assert done.cause is None
    lines = [orjson.loads(line) for line in series.read_bytes().splitlines()]
    assert [(line["name"], line["value"], line["k"]) for line in lines] == [
        ("loss", 4.5, 2),
        ("loss", 3.5, 2),
        ("lr", 0.001, 2),
        ("loss", None, 2),
    ]
    times = [line["t"] for line in lines]
    assert times == sorted(times)
    assert times[1] > times[0]


def test_a_talkative_series_is_thinned(command: Any, tmp_path: Path) -> None:
    series = tmp_path / "progress.jsonl"
    done = run(
        command(
            python("import time\nfor i in range(1500): print('loss:', i, flush=True); time.sleep(0.001)"),
            progress={"loss": re.compile(r"loss: (\d+)")},
            progress_file=series,
        )
    )
    points = [orjson.loads(line) for line in series.read_bytes().splitlines()]
    assert 2 <= len(points) <= 4 * done.duration_s + 6
    assert points[-1]["value"] == 1499


def test_the_watcher_sees_the_trees_pids(command: Any, tmp_path: Path) -> None:
    seen: set[int] = set()
    watch = lambda pids: (seen.update(pids), (tmp_path / "go-on").touch())  # noqa: E731
    run(command("echo $$ > main; (echo $BASHPID > child; until [ -e go-on ]; do sleep 0.01; done) & wait", watch=watch))
    assert pid_in(tmp_path / "main") in seen
