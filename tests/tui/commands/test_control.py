"""What people ask of a session: obeyed at once without an engine, by the inbox with one."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from journals import Told, told

from autoresearch.engine.control import inbox
from autoresearch.state.journal import Journal, Reader, records
from autoresearch.state.session import Request
from autoresearch.tui.cli import cli


@pytest.fixture
def session(tmp_path: Path) -> Told:
    return told(tmp_path / "repo")


def call(session: Told, *args: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, [args[0], "-C", str(session.repo), *args[1:]])
    assert result.exit_code == code, result.output
    return result


def last(session: Told) -> records.Record:
    *_, (_, line) = Reader(session.session.journal).lines()
    return records.decode(line)


def lines(session: Told) -> int:
    return sum(1 for _ in Reader(session.session.journal).lines())


def test_an_idea_is_noted_at_once_without_an_engine(session: Told) -> None:
    assert "i3" in call(session, "idea", "a", "smaller", "knob", "--first").stdout
    line = last(session)
    assert isinstance(line, records.Idea)
    assert (line.id, line.text, line.first) == ("i3", "a smaller knob", True)
    assert line.by
    assert line.request
    assert session.session.requests() == []


def test_steer_retry_overrule_and_veto_become_lines(session: Told) -> None:
    call(session, "steer", "think about the spring")
    line = last(session)
    assert isinstance(line, records.Steer)
    assert line.text == "think about the spring"
    call(session, "retry", "4")
    line = last(session)
    assert isinstance(line, records.Retry)
    assert line.experiment == 4
    call(session, "overrule", "3", "keep", "--note", "I like it")
    line = last(session)
    assert isinstance(line, records.Overrule)
    assert (line.experiment, line.action, line.note) == (3, "keep", "I like it")
    call(session, "veto", "i1", "--reason", "tried by hand")
    line = last(session)
    assert isinstance(line, records.Veto)
    assert (line.id, line.reason) == ("i1", "tried by hand")
    assert "already" in call(session, "veto", "i1").stdout


def test_a_limit_is_checked_and_set(session: Told) -> None:
    call(session, "limit", "dollars", "12.5")
    line = last(session)
    assert isinstance(line, records.Settings)
    assert line.changes == {"limits.dollars": 12.5}
    call(session, "limit", "until", "07:30")
    assert session.session.history().settings["limits.until"] == "07:30"
    call(session, "limit", "dollars", "off")
    assert session.session.history().settings["limits.dollars"] == 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("limit", "dollar", "3"), "did you mean dollars"),
        (("limit", "dollars", "many"), "dollars"),
        (("limit", "hours", "-1"), "hours"),
        (("limit", "until", "25:99"), "until"),
        (("veto", "i9"), "i9"),
        (("retry", "77"), "the last one is 5"),
        (("retry", "1"), "baseline"),
        (("retry", "seven"), "not a valid integer"),
        (("overrule", "3", "keep"), "--note"),
        (("overrule", "3", "discard", "--note", "x"), "discarded already"),
        (("overrule", "2", "keep", "--note", "x"), "kept already"),
        (("overrule", "3", "keep", "--note", "  "), "note"),
        (("idea", "  "), "needs a text"),
        (("steer",), "Missing argument"),
    ],
)
def test_a_wrong_request_is_refused_before_it_is_asked(session: Told, args: tuple[str, ...], says: str) -> None:
    before = lines(session)
    result = call(session, *args, code=2)
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert lines(session) == before
    assert session.session.requests() == []


@pytest.mark.parametrize("args", [("retry", "6"), ("overrule", "6", "keep", "--note", "x")])
def test_an_experiment_that_changed_nothing_is_not_tried_again(session: Told, args: tuple[str, ...]) -> None:
    session.crash("quota exceeded", "no_proposal")
    before = lines(session)
    assert "Experiment 6 changed nothing (no proposal)" in call(session, *args, code=2).stderr
    assert lines(session) == before


def test_pausing_a_paused_session_says_so_and_writes_nothing(session: Told) -> None:
    before = lines(session)
    assert "paused already" in call(session, "pause").stdout
    assert "paused already" in call(session, "stop").stdout
    assert lines(session) == before
    assert session.session.requests() == []


def test_stopping_a_session_whose_engine_died_is_on_record(session: Told) -> None:
    session.write(records.Resume(by="engine"))
    assert "ended without a word" in call(session, "stop").stdout
    assert session.session.history().control.state == "stopped"


class Engine(threading.Thread):
    """Holds the lock and obeys the inbox as an engine does, with the engine's own code."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.session = told.session
        self.asked: list[Request] = []
        self.ready = threading.Event()
        self.over = threading.Event()

    def run(self) -> None:
        with self.session.lock():
            self.ready.set()
            journal = Journal(self.session.journal)
            history = self.session.history()

            def write(record: records.Record) -> None:
                for at, line in journal.append(record):
                    history.feed(at, line[:-1])

            while not self.over.wait(0.01):
                inbox.obey(self.session, history, write, self.asked.append)
            journal.close()

    def __enter__(self) -> Engine:
        self.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join(10)


def test_a_running_engine_gets_pause_and_stop(session: Told) -> None:
    session.write(records.Resume(by="engine"))
    with Engine(session) as engine:
        assert "pauses after" in call(session, "pause").stdout
        assert "pauses now" in call(session, "pause", "--now").stdout
        assert "stops now" in call(session, "stop").stdout
        runs = call(session, "resume", "--headless")
        assert f"pid {os.getpid()}" in runs.stderr
    assert [(r.kind, r.args) for r in engine.asked] == [
        ("pause", {"now": False}), ("pause", {"now": True}), ("stop", {}), ("unpause", {}),
    ]  # fmt: skip


def test_a_running_engine_writes_what_is_asked(session: Told) -> None:
    session.write(records.Resume(by="engine"))
    with Engine(session):
        assert "i3" in call(session, "idea", "while it runs").stdout
    assert session.session.history().ideas["i3"].text == "while it runs"


def test_a_request_waits_in_the_inbox_of_a_busy_engine(session: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoresearch.tui.actions.requests.WAIT_S", 0.2)
    with session.session.lock():
        assert "busy" in call(session, "steer", "later").stdout
    ((_, request),) = session.session.requests()
    assert request is not None
    assert request.args == {"text": "later"}
    call(session, "steer", "now")
    assert [steer.text for steer in session.session.history().steers] == ["later", "now"]


def test_an_engine_that_ends_between_asking_and_obeying_leaves_nothing_behind(session: Told) -> None:
    """The lock is free after a moment and the request still there: whoever asked obeys it."""
    held = threading.Event()

    def hold() -> None:
        with session.session.lock():
            held.set()
            deadline = time.monotonic() + 10
            while not session.session.requests() and time.monotonic() < deadline:
                time.sleep(0.01)

    engine = threading.Thread(target=hold)
    engine.start()
    assert held.wait(10)
    call(session, "steer", "who hears it")
    engine.join(10)
    assert session.session.requests() == []
    assert [steer.text for steer in session.session.history().steers] == ["who hears it"]
