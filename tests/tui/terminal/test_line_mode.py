"""The line printer, fed with a real journal line by line as the engine feeds it."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from journals import Told, told

from autoresearch.state.journal import History, Reader, records
from autoresearch.state.session import Live
from autoresearch.tui.terminal.line_mode import Printer, bar

_CLOCK = re.compile(r"^\d\d:\d\d:\d\d ")


def feed(printer: Printer, session: Told, history: History | None = None) -> History:
    """Everything the journal has gained since `history`, as the recorder tells it."""
    history = history if history is not None else History()
    for at, line in Reader(session.session.journal, history.offset).lines():
        history.feed(at, line)
        printer.observe(records.decode(line), history)
    return history


def printed(session: Told) -> list[str]:
    stream = io.StringIO()
    feed(Printer(stream, tty=False), session)
    return stream.getvalue().splitlines()


def test_a_line_for_each_event_with_the_time_and_the_evidence(tmp_path: Path) -> None:
    lines = printed(told(tmp_path / "repo"))
    assert all(_CLOCK.match(line) for line in lines), "every line begins with its time"
    said = [line[9:] for line in lines]
    assert said[0] == "knob · score, lower is better · session nov20 on cpu"
    assert next(line for line in said if "baseline run" in line).startswith("  #1 baseline run 1 of 4: 10.02")
    assert [line for line in said if "baseline run" in line][-1].startswith("  #1 baseline run 4 of 4: 9.98")
    verdicts = [line for line in said if re.match(r" +#\d+ (KEEP|DISCARD|CRASH)", line)]
    assert [line.split()[:3] for line in verdicts] == [
        ["#1", "KEEP", "✓"], ["#2", "KEEP", "✓"], ["#3", "DISCARD", "×"], ["#4", "DISCARD", "×"], ["#5", "CRASH", "!"],
    ]  # fmt: skip
    assert "9.000 → a gain of 1.00 (2 runs) · knob down to 9" in verdicts[1]
    assert "nonzero exit: it said boom · knob to boom" in verdicts[4]
    assert "  #2 RUN >       knob down to 9" in said
    assert said[-1].startswith("PAUSED: experiment limit reached (5). Raise it")


def test_outside_text_cannot_move_the_cursor(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    session.write(records.Idea(id="i9", text="\x1b[2Jgone\nand a\rline \x9b1m\x07", by="agent"))
    session.discard("with \x1b]0;title\x07 and\nmore", 12.0)
    text = "\n".join(printed(session))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert "with  and more" in text


def test_no_bar_and_no_escape_when_not_a_terminal(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    stream = io.StringIO()
    printer = Printer(stream, tty=False)
    feed(printer, session)
    before = stream.getvalue()
    printer.live(Live(pid=1, host="box", phase="measuring", since=records.now_ms(), updated=0, experiment=6))
    assert stream.getvalue() == before
    assert "\x1b" not in before


def live(**other: object) -> Live:
    now = records.now_ms()
    values = {"phase": "measuring", "since": now - 1000, "updated": now, "experiment": 6, "arm": "candidate", "k": 2,
              "of": 8, "description": "knob to 7"} | other  # fmt: skip
    return Live(pid=1, host="box", **values)  # type: ignore[arg-type]


def test_a_terminal_has_one_rewritten_line_under_the_events(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    stream = io.StringIO()
    printer = Printer(stream, tty=True, goal=8)
    history = feed(printer, session)
    start = len(stream.getvalue())
    printer.live(live())
    printer.live(live(k=3))
    session.write(records.Note(id="n1", text="quiet"), records.Warn(text="look out"))
    feed(printer, session, history)
    drawn = stream.getvalue()[start:]
    bars, _, after = drawn.rpartition("warning: look out")
    assert "#6 run 3 of ≤8 · " in bars
    assert "5/8 done · knob to 7" in bars
    assert "of ~2.5s" in bars, "the expected time is the best's own"
    assert "best 9.000" in bars
    assert bars.count("\n") == 0, "the bar never takes a line of its own"
    assert after.startswith(("\n\r\x1b[2K", "\x1b[0m\n\r\x1b[2K")), "the bar comes back under the event"
    printer.live(live(phase="ended", experiment=None))
    assert stream.getvalue().endswith("\r\x1b[2K"), "at the end it is gone"


def test_the_bar_of_a_baseline_says_which_run(tmp_path: Path) -> None:
    stream = io.StringIO()
    Printer(stream, tty=True).live(live(phase="baseline", experiment=1, k=2, of=4))
    assert "#1 baseline run 2 of 4" in stream.getvalue()


@pytest.mark.parametrize(("part", "full"), [(None, 0), (0.0, 0), (0.5, 4), (1.0, 8), (7.3, 8), (-1.0, 0)])
def test_the_bar_never_overflows(part: float | None, full: int) -> None:
    assert len(bar(part)) == 10
    assert bar(part).count("█") == full


def test_a_reader_that_goes_away_ends_the_printing_and_not_the_engine(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w", buffering=1) as stream:
        printer = Printer(stream, tty=False)
        history = feed(printer, session)
        printer.finish(session.session)
        assert len(history.rows) == 5
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def test_the_end_is_a_short_summary_with_the_line_to_merge(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    stream = io.StringIO()
    printer = Printer(stream, tty=False)
    feed(printer, session)
    assert printer.session == "nov20"
    printer.finish(session.session)
    assert "git merge autoresearch/nov20" in stream.getvalue()


def test_a_resumed_session_says_what_goes_on(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    sha = session.open("knob to 7", "7.0")
    session.sample(sha, "candidate", 1, 7.0)
    history = session.session.history()
    stream = io.StringIO()
    printer = Printer(stream, tty=False)
    session.write(records.Resume(by="engine"))
    feed(printer, session, history)
    assert "5 experiments on record" in stream.getvalue()
    assert "#6 goes on after 1 run" in stream.getvalue()


def test_a_waiting_proposal_of_an_earlier_engine_has_its_words(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    session.write(records.Proposal(id=9, base=session.base, sha=session.base, description="from before"))
    history = session.session.history()
    stream = io.StringIO()
    printer = Printer(stream, tty=False)
    session.write(
        records.Resume(by="engine"), records.Intent(experiment=6, proposal=9, parent=session.base, sha=session.base)
    )
    feed(printer, session, history)
    assert "RUN >       from before" in stream.getvalue()
