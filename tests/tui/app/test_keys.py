"""Keys: what is offered is what is possible, every binding has an id and words, and people can put others in place."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import sessions
from textual.widgets import Input, TextArea
from viewing import asked, text, until, watching

from autoresearch.tui.app.key_catalogue import Known, catalogue, problems_of
from autoresearch.tui.look.keys import commands_of
from autoresearch.tui.look.preferences import Preferences
from autoresearch.tui.screens.command_palette import Commands, _Found
from autoresearch.tui.screens.modals import Page
from autoresearch.tui.widgets.log_view import LogView

DOCS = Path(__file__).parents[3] / "docs"


def ids(app: Any) -> set[str]:
    return {command.id for command in commands_of(app.screen)}


# -- what is offered


async def test_only_what_is_possible_now_is_offered(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5).here()
    with sessions.engine(writer):
        async with watching(writer) as (app, _):
            assert {"app.pause", "app.stop", "app.idea"} <= ids(app)
            assert "app.resume" not in ids(app)
    async with watching(writer, start_engine=lambda: None) as (app, _):
        assert "app.resume" in ids(app)
        assert not {"app.pause", "app.stop"} & ids(app)
    async with watching(writer) as (app, _):
        assert "app.resume" not in ids(app), "a screen that cannot start an engine does not offer it"


async def test_a_key_that_is_not_possible_says_why(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (_, pilot):
        await pilot.press("s")
        await until(pilot, lambda: "No engine is running; r starts one." in text(pilot))
        await pilot.press("r")
        await until(pilot, lambda: "This screen only watches" in text(pilot))


async def test_p_resumes_what_does_not_run(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    started: list[int] = []
    async with watching(writer, start_engine=lambda: started.append(1)) as (_, pilot):
        await pilot.press("p")
        await until(pilot, lambda: started == [1])
        assert asked(writer) == []


async def test_a_reading_screen_offers_no_change_and_refuses_every_key_of_one(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer, read_only=True, start_engine=lambda: None) as (app, pilot):
            assert not {"app.pause", "app.resume", "app.stop", "app.idea", "app.steer"} & ids(app)
            for key in "prsim":
                await pilot.press(key)
                await until(pilot, lambda: "This screen only reads" in text(pilot))
                app.clear_notifications()
                await until(pilot, lambda: "This screen only reads" not in text(pilot))
            app.ask("stop", "")
            assert asked(writer) == []
            await pilot.press("q")
            await pilot.pause()
            assert app._exit, "there is nothing to choose: it cannot stop the engine"


async def line(app: Any, pilot: Any) -> str:
    """The key line, with the keys of what has the focus."""
    await pilot.pause()
    return text(pilot).split("\n")[-1]


async def test_a_field_is_offered_no_key_that_it_would_type(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    own = Preferences(keys={"app.idea": "+,f6"})
    async with watching(writer, preferences=own) as (app, pilot):
        assert "? help" in await line(app, pilot)
        for keys in (["slash"], ["d", "4"], ["M"]):
            await pilot.press(*keys)
            await until(pilot, lambda: isinstance(app.screen.focused, (Input, TextArea)))
            await until(pilot, lambda: "f1 help" in text(pilot))
            shown = await line(app, pilot)
            assert not [key for key in ("? ", "/ ", "1-", "+ ") if key in shown]
            assert {command.keys for command in commands_of(app.screen) if command.id == "app.idea"} <= {("f6",)}
            await pilot.press("?")
            await until(pilot, lambda: "?" in _typed(app.screen.focused))
            await pilot.press("f1")
            await until(pilot, lambda: isinstance(app.screen, Page))
            await until(pilot, lambda: "f1         Help for this pane" in text(pilot))
            await pilot.press("escape", "escape")
            await until(pilot, lambda: not isinstance(app.screen, Page))
            while app.screen is not app.dashboard:
                await pilot.press("escape")
            await until(pilot, lambda: "? help" in text(pilot))


def _typed(field: Any) -> str:
    return field.value if isinstance(field, Input) else field.text


async def test_what_a_page_can_do_comes_before_other_pages(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    number = next(row.number for row in writer.session.history().rows if row.cause == "worse")
    for width in (80, 160):
        async with watching(writer, size=(width, 24)) as (app, pilot):
            app.open_experiment(number)
            await until(pilot, lambda: "o overrule  y copy" in text(pilot))
            shown = await line(app, pilot)
            assert shown.rstrip().endswith("ctrl+p commands  ? help")
            assert ("[ ] log  v pager  e editor" in shown) == (width == 160)
            assert ("d dead ends" in shown) == (width == 160)


async def test_the_messages_of_a_screen_that_reads_have_one_way_out(tmp_path: Path) -> None:
    async with watching(sessions.paused(tmp_path, experiments=5), read_only=True) as (app, pilot):
        app.open_messages()
        await until(pilot, lambda: "Said so far" in text(pilot))
        shown = await line(app, pilot)
        assert shown.count("esc back") == 1
        assert "tab list" not in shown
        await pilot.press("tab")
        await until(pilot, lambda: "There is only the list" in text(pilot))


# -- palette and help


async def test_the_palette_finds_by_typing_and_does_it(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            await pilot.press("ctrl+p")
            await until(pilot, lambda: isinstance(app.screen, Commands))
            listed = {entry.id for entry in app.screen.query_one(_Found).found}
            assert {"app.pause", "board.log", "table.open"} <= listed
            assert "app.resume" not in listed
            assert not {each for each in listed if each.startswith(("lines.", "commands."))}
            await pilot.press(*"pause aft", "enter")
            await until(pilot, lambda: asked(writer) == [("pause", {"now": False})])
            assert not isinstance(app.screen, Commands)


async def test_the_palette_says_when_nothing_fits_and_escape_leaves_all_as_it_was(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (app, pilot):
        await pilot.press("ctrl+p", *"qqqq")
        await until(pilot, lambda: "Nothing that is possible now reads like this" in text(pilot))
        await pilot.press("enter", "escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert asked(writer) == []


async def test_the_palette_reaches_what_its_arrows_point_at(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer, size=(80, 24)) as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, Commands))
        found = app.screen.query_one(_Found)
        await pilot.press("pagedown", "pagedown", "pagedown")
        await until(pilot, lambda: found.cursor == len(found.found) - 1)
        assert f"> {found.found[-1].words}" in text(pilot), "the cursor stays in sight"


async def test_the_palette_begins_with_the_engine_and_marks_what_it_cuts(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer, size=(80, 24)) as (app, pilot):
            await pilot.press("2", "ctrl+p")
            await until(pilot, lambda: isinstance(app.screen, Commands))
            entries = app.screen.query_one(_Found).found
            assert [entry.id for entry in entries[:2]] == ["app.pause", "app.stop"]
            await pilot.press(*"next_log")
            await until(pilot, lambda: "past the last" not in text(pilot) and "The next log: build" in text(pilot))
            assert re.search(r"The next log: build, run, [^\n]*… \] ", text(pilot))


async def test_help_is_about_the_focused_pane(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer, size=(120, 60)) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Page))
        assert "What was tried and why it fell so" in text(pilot)
        assert "Go to the end of the log" not in text(pilot)
        assert "OPEN: begun, and goes on when an engine runs" in text(pilot)
        await pilot.press("escape", "2", "question_mark")
        await until(pilot, lambda: "Go to the end of the log and stay there" in text(pilot))
        assert "What was tried and why it fell so" not in text(pilot)


async def test_themes_change_from_the_palette(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (app, pilot):
        before = app.palette.keep
        await pilot.press("ctrl+p", *"theme light", "enter")
        await until(pilot, lambda: app.theme == "autoresearch-light")
        assert app.palette.keep != before
        assert app.dashboard.palette.keep == app.palette.keep, "all draw with the one palette"
        await pilot.press("ctrl+p", *"theme ansi", "enter")
        await until(pilot, lambda: app.theme == "ansi-dark")


# -- every binding


def test_every_binding_has_an_id_and_words() -> None:
    from autoresearch.tui.app.key_catalogue import _declared

    declared = list(_declared())
    assert len(declared) > 20
    for _, binding in declared:
        assert "." in (binding.id or ""), f"{binding} has no id <screen>.<verb>"
        assert binding.tooltip, f"{binding.id} has no sentence"


def test_no_chord_that_tmux_screen_or_flow_control_takes() -> None:
    taken = {"ctrl+b", "ctrl+a", "ctrl+s", "ctrl+q", "ctrl+z"}
    for known in catalogue().values():
        assert not taken & set(known.keys), known.id
        assert not [key for key in known.keys if key.startswith(("super+", "meta+", "hyper+"))], known.id


async def test_the_running_app_has_no_other_keys_than_those(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (app, _):
        for key, active in app.screen.active_bindings.items():
            textuals = active.binding.action.startswith(("scroll_", "page_", "screen.", "app.focus"))
            assert active.binding.id is not None or textuals, key
            assert key not in ("ctrl+b", "ctrl+a", "ctrl+s", "ctrl+q", "ctrl+z")


def test_the_page_of_keys_tells_every_binding() -> None:
    sys.path.insert(0, str(DOCS / "tools"))
    try:
        import make_keys  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(DOCS / "tools"))
    text = (DOCS / "keys.md").read_text(encoding="utf-8")
    assert text == make_keys.page(text), "write it again with `make docs`"


# -- the user's own


async def test_the_users_keys_take_the_place_of_ours(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    own = Preferences(keys={"app.pause": "x,f4", "lines.down": "e"})
    with sessions.engine(writer):
        async with watching(writer, preferences=own) as (_, pilot):
            await pilot.press("p")
            await pilot.pause()
            assert asked(writer) == []
            assert "x pause" in text(pilot), "the key line tells the user's key"
            await pilot.press("x")
            await until(pilot, lambda: len(asked(writer)) == 1)


KNOWN = {
    each.id: each
    for each in (
        Known("app.pause", ("p",), "Pause after this experiment", "app"),
        Known("app.leave", ("q",), "Leave", "app"),
        Known("board.zoom", ("z",), "Zoom", "screen"),
        Known("ideas.veto", ("v",), "Veto", "screen"),
        Known("lines.down", ("j", "down"), "A line down", "pane"),
        Known("page.close", ("q", "escape"), "Close", "modal"),
    )
}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"board.zoom": "x"}, []),
        ({"board.zoom": "x,Y,f5,ctrl+r,shift+f2,comma,?"}, []),
        ({"board.zoom": "v"}, []),  # never on one screen with ideas.veto
        ({"app.pause": "q", "app.leave": "p"}, []),  # changed for one another
        ({"page.close": "q"}, []),  # a question takes all keys
        ({"board.zom": "x"}, ["no binding 'board.zom'", "did you mean board.zoom?", "docs/keys.md"]),
        ({"board.zoom": "ctrlx"}, ["board.zoom", "no key 'ctrlx'", "ctrl+r"]),
        ({"board.zoom": "x,,y"}, ["no key ''"]),
        ({"board.zoom": "p"}, ["\"board.zoom\" = 'p'", "app.pause already", "Pause after", "choose another key"]),
        ({"board.zoom": "down"}, ["lines.down already"]),
        ({"app.pause": "v"}, ["ideas.veto already"]),
        ({"app.pause": "x", "board.zoom": "x"}, ["app.pause", "board.zoom", "choose another key"]),
    ],
)
def test_what_is_wrong_with_a_key_is_said_with_the_fix(wanted: dict[str, str], words: list[str]) -> None:
    problems = problems_of(wanted, KNOWN)
    assert len(problems) == bool(words)
    for word in words:
        assert word in problems[0]


def test_all_problems_are_said_at_once() -> None:
    assert len(problems_of({"board.zoom": "p", "no.such": "x", "ideas.veto": "foo+"}, KNOWN)) == 3


# -- selecting


async def test_selected_lines_are_copied_as_they_are_drawn(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            await until(pilot, lambda: "loss 2.1" in text(pilot))
            log = app.dashboard.query_one("#log", LogView)
            written: list[str] = []
            app._driver.write = written.append  # type: ignore[union-attr,method-assign,assignment]
            await pilot.mouse_down(log, offset=(2, 2))
            await pilot.hover(log, offset=(6, 3))
            await pilot.mouse_up(log, offset=(6, 3))
            await pilot.press("ctrl+c")
            await until(pilot, lambda: app.clipboard)
            first = int(log.scroll_offset.y) + 1
            lines = [f" {log.file.line(number)}" for number in (first, first + 1)]  # type: ignore[union-attr]
            top, bottom = app.clipboard.split("\n")
            assert lines[0].endswith(top)
            assert len(top) > 20
            assert lines[1].startswith(bottom)
            assert bottom
            coded = base64.b64encode(app.clipboard.encode()).decode()
            assert any(f"\x1b]52;c;{coded}" in each for each in written)
            await until(pilot, lambda: "Copied" in text(pilot))


async def test_ctrl_c_without_a_selection_says_how_to_leave(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            await pilot.press("ctrl+c")
            await until(pilot, lambda: "q leaves this screen" in text(pilot))
            assert not app._exit
            assert asked(writer) == []
