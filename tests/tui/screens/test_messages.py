"""Messages to the agent: sent, shown with when they were read; files in the user's editor."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sessions
from textual.widgets import TextArea
from viewing import asked, last, text, until, watching

from autoresearch.state.journal import records
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.screens.editor import program_of
from autoresearch.tui.screens.messages import SteerScreen


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An editor that appends a line; the screen under test has no terminal to set aside."""
    script = tmp_path / "editor.py"
    script.write_text("import sys\nopen(sys.argv[1], 'a').write('more\\n')\n")
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    monkeypatch.delenv("VISUAL", raising=False)

    @contextlib.contextmanager
    def aside(self: ViewerApp) -> Iterator[None]:
        yield

    monkeypatch.setattr(ViewerApp, "suspend", aside)
    return script


async def test_a_message_of_several_lines_is_sent_as_typed(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            await pilot.press("M")
            await until(pilot, lambda: isinstance(app.screen, SteerScreen))
            await pilot.press("ctrl+d")
            assert asked(writer) == []
            await pilot.press(*"dq", "enter", *"p", "ctrl+d")
            await until(pilot, lambda: asked(writer) == [("steer", {"text": "dq\np"})])
            assert app.screen.query_one("#message", TextArea).text == ""
            await until(pilot, lambda: "In the inbox" in text(pilot))


async def test_without_an_engine_it_is_on_record_at_once(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    async with watching(writer) as (app, pilot):
        app.open_messages()
        await until(pilot, lambda: isinstance(app.screen, SteerScreen))
        assert "for experiment 21." in text(pilot)
        assert "Not read yet" in text(pilot)
        await pilot.press(*"hello", "ctrl+d")
        await until(pilot, lambda: isinstance(last(writer), records.Steer))


async def test_the_strategy_and_the_notebook_open_in_the_editor(tmp_path: Path, editor: Path) -> None:
    writer = sessions.rich(tmp_path)
    (writer.place.folder / "autoresearch.toml").write_text('program = "program.md"\n')
    async with watching(writer) as (app, pilot):
        app.open_messages()
        await until(pilot, lambda: isinstance(app.screen, SteerScreen))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "It is in the next brief." in text(pilot))
        assert (writer.place.folder / "program.md").read_text() == "more\n"
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "has written no notebook yet" in text(pilot))
        writer.session.notebook.write_text("# x\n")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "taken in at the next start" in text(pilot))
        assert writer.session.notebook.read_text() == "# x\nmore\n"


async def test_a_config_without_a_program_says_how_to_name_one(tmp_path: Path, editor: Path) -> None:
    async with watching(sessions.rich(tmp_path)) as (app, pilot):
        app.open_messages()
        await until(pilot, lambda: isinstance(app.screen, SteerScreen))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "names no program" in text(pilot))


async def test_a_reading_screen_shows_messages_and_sends_none(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    async with watching(writer, read_only=True) as (app, pilot):
        app.open_messages()
        await until(pilot, lambda: isinstance(app.screen, SteerScreen))
        assert not app.screen.query_one("#message").display
        await pilot.press("x", "ctrl+d", "ctrl+n")
        assert asked(writer) == []


async def test_no_message_yet_is_said(tmp_path: Path) -> None:
    async with watching(sessions.paused(tmp_path, experiments=3)) as (app, pilot):
        app.open_messages()
        await until(pilot, lambda: "No message was given yet." in text(pilot))


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"EDITOR": "sh -c"}, ["sh", "-c"]),
        ({"VISUAL": "sh", "EDITOR": "nope"}, ["sh"]),
        (
            {"EDITOR": "nope --wait"},
            "$EDITOR names 'nope --wait', which is not installed; set it to a program that is.",
        ),
        ({"EDITOR": "sh '"}, '$EDITOR is "sh \'", which is no command (No closing quotation); set it to a program.'),
        ({}, ["sh"]),
    ],
)
def test_the_editor_is_the_users_or_a_usual_one(environ: dict[str, str], found: object) -> None:
    assert program_of(("VISUAL", "EDITOR"), ("nope", "sh"), {"PATH": "/usr/bin:/bin", **environ}) == found


def test_no_editor_at_all_is_a_sentence() -> None:
    assert (
        program_of(("VISUAL", "EDITOR"), ("nope",), {"PATH": ""}) == "There is no nope here; set $EDITOR to a program."
    )
