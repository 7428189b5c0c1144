from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from clocks import Leaping

from autoresearch.engine.process import Command, Exit, Halt, descendants, end_leftovers, run, run_async
from autoresearch.engine.process import command as command_module
from autoresearch.engine.process.command import starting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="whole-tree ends are promised on Linux")


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Command]:
    def make(script: str | list[str], **limits: Any) -> Command:
        return Command(
            **{
                "argv": ["bash", "-c", script] if isinstance(script, str) else script,
                "cwd": tmp_path,
                "env": {"PATH": os.environ["PATH"]},
                "output": tmp_path / "output.log",
                "timeout_s": 60,
                "grace_s": 0.3,
                **limits,
            }
        )

    return make


@pytest.fixture
def strangers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that a test starts itself; ended at its end whatever happened."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        descendants.disown(child.pid)
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        child.wait()


def until(condition: Callable[[], Any], limit_s: float = 20) -> Any:
    deadline = time.monotonic() + limit_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)
    return answer


def runs(pid: int) -> bool:
    seen = descendants.look(pid)
    return seen is not None and seen.state != "Z"


def pid_in(path: Path) -> int:
    until(lambda: has_pid(path))
    return int(path.read_text())


def has_pid(path: Path) -> bool:
    return path.exists() and bool(path.read_text().strip())


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


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


# -- the whole tree ends

ESCAPES = {
    "grandchild": "sleep 300 & echo $! > pid; wait",
    "setsid": "setsid bash -c 'echo $$ > pid; exec sleep 300' & wait; sleep 300",
    "double fork": "(setsid bash -c 'echo $$ > pid; exec sleep 300' &) ; sleep 300",
    "ignores TERM": "trap '' TERM; (trap '' TERM; echo $BASHPID > pid; while :; do sleep 0.2; done) & wait",
    "stopped": "sleep 300 & kill -STOP $!; echo $! > pid; wait",
    "cleared environment": "(setsid env -i bash -c 'echo $$ > pid; exec sleep 300' &) ; sleep 300",
}


@pytest.mark.parametrize("kind", ESCAPES)
def test_a_descendant_dies_with_the_timeout(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(command_module, "time", Leaping(lambda: has_pid(tmp_path / "pid")))
    done = run(command(ESCAPES[kind]))
    assert done.cause == "timeout"
    assert "60 s" in done.detail
    assert not runs(pid_in(tmp_path / "pid"))
    assert done.survivors == ()


@pytest.mark.parametrize(
    "script",
    [
        "sleep 300 & echo $! > pid",
        "(setsid bash -c 'echo $$ > pid; exec sleep 300' &); until [ -s pid ]; do :; done",
        "(trap '' TERM; setsid bash -c 'echo $$ > pid; while :; do sleep 0.2; done' &); until [ -s pid ]; do :; done",
    ],
)
def test_a_child_that_keeps_the_output_open_neither_blocks_nor_survives(
    command: Any, tmp_path: Path, script: str
) -> None:
    done = run(command(script))
    assert (done.code, done.cause) == (0, None)
    assert done.leftovers >= 1
    assert not runs(pid_in(tmp_path / "pid"))


def test_a_process_whose_first_thread_has_ended_dies_too(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_has_ended() -> bool:
        if not has_pid(tmp_path / "pid"):
            return False
        pid = (tmp_path / "pid").read_text()
        return "\nState:\tZ" in Path(f"/proc/{pid}/task/{pid}/status").read_text()

    code = (
        "import ctypes, os, threading, time; open('pid', 'w').write(str(os.getpid()));"
        "threading.Thread(target=lambda: time.sleep(300)).start(); ctypes.CDLL(None).pthread_exit(None)"
    )
    monkeypatch.setattr(command_module, "time", Leaping(first_has_ended))
    done = run(command(python(code)))
    assert done.cause == "timeout"
    assert not runs(pid_in(tmp_path / "pid"))
    assert done.code == -signal.SIGTERM


@pytest.mark.parametrize("hide", ["", "os.setsid()"])
def test_a_chain_that_forks_faster_than_we_look_ends(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hide: str
) -> None:
    look = descendants.table
    # As on a machine with thousands of processes, where a whole look takes longer than a link of the chain lives.
    monkeypatch.setattr(descendants, "table", lambda: (look(), time.sleep(0.02))[0])
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "end = time.monotonic() + 60\n"
        "open('beat', 'w').close()\n"
        "while time.monotonic() < end:\n"
        "    if os.fork(): os._exit(0)\n"
        f"    {hide}\n    open('beat', 'w').close()\n"
    )
    done = run(command(python(code)))
    assert done.survivors == ()
    (tmp_path / "beat").unlink()
    time.sleep(0.2)  # long for a chain that beats thousands of times a second
    assert not (tmp_path / "beat").exists()


def test_our_own_children_survive_a_sweep(
    command: Any, tmp_path: Path, strangers: list[subprocess.Popen[bytes]]
) -> None:
    plain = subprocess.Popen(["sleep", "300"])
    with starting() as own:
        apart = subprocess.Popen(["sleep", "300"], start_new_session=True)
        own(apart.pid)
    strangers += [plain, apart]
    done = run(command("setsid sleep 300 & sleep 0.1", timeout_s=30))
    assert done.leftovers == 1
    assert plain.poll() is None
    assert apart.poll() is None


def test_two_commands_at_once_leave_each_other_alone(command: Any, tmp_path: Path) -> None:
    answers: dict[str, Exit] = {}
    go_on = tmp_path / "go-on"
    # The orphan of the long command outlives the short command's sweep, and is needed afterwards.
    long = command(
        "(setsid bash -c 'echo $$ > long; until [ -e go-on ]; do sleep 0.05; done; echo alive > answer' &);"
        "until [ -e answer ]; do sleep 0.05; done",
        output=tmp_path / "long.log",
    )
    thread = threading.Thread(target=lambda: answers.update(long=run(long)))
    thread.start()
    pid_in(tmp_path / "long")
    short = run(command("(setsid bash -c 'echo $$ > short; exec sleep 300' &); until [ -s short ]; do :; done"))
    go_on.touch()
    thread.join(20)
    assert not thread.is_alive()
    assert short.leftovers == 1
    assert answers["long"].cause is None
    assert (tmp_path / "answer").read_text() == "alive\n"


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
        seen["now"] = descendants.start_time(seen["pid"])
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


# -- what an earlier engine left


@pytest.fixture
def orphan(strangers: list[subprocess.Popen[bytes]], tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    def start(script: str = "echo $$ > orphan; exec sleep 300", **options: Any) -> subprocess.Popen[bytes]:
        options = {"cwd": "/", "env": {"PATH": os.environ["PATH"]}, "start_new_session": True, **options}
        child = subprocess.Popen(["bash", "-c", f"cd_to={tmp_path}; {script.replace('> ', '> $cd_to/')}"], **options)
        strangers.append(child)
        return child

    return start


def test_leftovers_are_found_by_pid_file_with_their_descendants(orphan: Any, tmp_path: Path) -> None:
    child = orphan("setsid bash -c 'echo $$; exec sleep 300' > orphan & wait")
    below = pid_in(tmp_path / "orphan")
    file = tmp_path / "pid"
    file.write_bytes(orjson.dumps({"pid": child.pid, "start": descendants.start_time(child.pid)}))
    ended = end_leftovers("", [], [file, tmp_path / "missing"], grace_s=1)
    assert {(one.pid, one.why, one.ended) for one in ended} == {
        (child.pid, "pid file", True),
        (below, "descendant", True),
    }
    assert not runs(child.pid)
    assert not runs(below)


def test_leftovers_are_found_by_environment(orphan: Any, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"]}
    mine = orphan(env={**env, "AUTORESEARCH_SESSION": f"{tmp_path}/a"})
    other = orphan(env={**env, "AUTORESEARCH_SESSION": f"{tmp_path}/ab"})
    until(lambda: descendants._name(mine.pid) == descendants._name(other.pid) == "sleep")
    assert [one.pid for one in end_leftovers(f"{tmp_path}/a", [], [], grace_s=1)] == [mine.pid]
    assert not runs(mine.pid)
    assert other.poll() is None


def test_leftovers_are_found_by_working_directory(orphan: Any, tmp_path: Path) -> None:
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree-2").mkdir()
    inside = orphan(cwd=tmp_path / "tree/deep")
    beside = orphan(cwd=tmp_path / "tree-2")
    ended = end_leftovers("", [tmp_path / "tree"], [], grace_s=1)
    assert [(one.pid, one.why) for one in ended] == [(inside.pid, "working directory")]
    assert not runs(inside.pid)
    assert beside.poll() is None


def test_a_shell_with_a_terminal_in_a_tree_is_left_alone(tmp_path: Path) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvp("bash", ["bash", "-c", "echo ready; exec sleep 300"])
    try:
        assert b"ready" in os.read(terminal, 100)
        assert end_leftovers("", [tmp_path], [], grace_s=1) == []
        assert runs(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_a_pid_that_was_given_to_another_process_is_left_alone(orphan: Any, tmp_path: Path) -> None:
    child = orphan()
    pid_in(tmp_path / "orphan")
    file = tmp_path / "pid"
    start = descendants.start_time(child.pid)
    assert start is not None
    file.write_bytes(orjson.dumps({"pid": child.pid, "start": start - 1}))
    torn = tmp_path / "torn"
    torn.write_bytes(b'{"pid": ')
    assert end_leftovers("", [], [file, torn], grace_s=1) == []
    assert child.poll() is None


def test_the_engine_itself_and_what_started_it_are_spared(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from autoresearch.engine.process.command import end_leftovers\n"
        "print(end_leftovers('mine', [Path.cwd()], []))"
    )
    parent = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {code!r}]).returncode)"
    env = {**os.environ, "AUTORESEARCH_SESSION": "mine"}
    done = subprocess.run(python(parent), env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_what_a_killed_engine_left_is_found(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from autoresearch.engine.process.command import Command, run\n"
        "run(Command(argv=['bash', '-c', 'setsid sleep 300 & echo $! > below; wait'], cwd=Path.cwd(),"
        " env={'PATH': '/usr/bin:/bin'}, output=Path('log'), timeout_s=300, pid_file=Path('pid')))"
    )
    engine = subprocess.Popen(python(code), cwd=tmp_path, start_new_session=True)
    descendants.own(engine.pid)
    below = pid_in(tmp_path / "below")
    main = until(lambda: (tmp_path / "pid").exists() and orjson.loads((tmp_path / "pid").read_bytes()))["pid"]
    engine.kill()
    engine.wait()
    descendants.disown(engine.pid)
    assert runs(main)
    ended = end_leftovers("", [], [tmp_path / "pid"], grace_s=1)
    assert {main, below} <= {one.pid for one in ended}
    assert not runs(main)
    assert not runs(below)


def test_more_processes_than_file_descriptors_are_ended_all_the_same(tmp_path: Path) -> None:
    """A run that leaves hundreds of sleepers, measured by an engine that may open few files."""
    script = "for i in $(seq 120); do setsid sleep 600 & done; echo ready"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 40, hard))
    try:
        exited = run(
            Command(
                argv=("bash", "-c", script), cwd=tmp_path, env={"PATH": os.environ["PATH"]},
                output=tmp_path / "log", timeout_s=60, grace_s=0.5,
            )
        )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert exited.code == 0
    assert exited.leftovers >= 120
    assert exited.survivors == ()
