"""Setting up a target on the screen: answers checked as they are typed, and a file, a dry run and a session only when
they are asked for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sessions
from repos import BENCH, git, make_repo
from textual.pilot import Pilot
from textual.widgets import Input
from viewing import text, until

from autoresearch.state.config import config as configs
from autoresearch.state.session import find_place
from autoresearch.tui.actions.target_draft import value_of
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.look.keys import commands_of
from autoresearch.tui.screens.modals import Choice
from autoresearch.tui.screens.setup import Field, SetupScreen

FILES = {"bench.py": BENCH, "knob.py": "VALUE = 10.0\n", ".gitignore": "__pycache__/\n"}
GOOD = {"measure.run": "python bench.py", "metric.name": "score", "scope.edit": "knob.py"}


@contextlib.asynccontextmanager
async def setting_up(
    repo: Path, size: tuple[int, int] = (100, 40), **options: Any
) -> AsyncIterator[tuple[ViewerApp, Pilot[None], SetupScreen]]:
    options.setdefault("starter", sessions.Starts(lambda: None))
    app = ViewerApp(find_place(repo), None, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: "n sets this target up" in text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen) and isinstance(app.screen.focused, Input))
        assert isinstance(app.screen, SetupScreen)
        yield app, pilot, app.screen


def field(screen: SetupScreen, key: str) -> Field:
    return next(each for each in screen.query(Field) if each.key == key)


async def answer(pilot: Pilot[None], screen: SetupScreen, answers: dict[str, str]) -> None:
    for key, value in answers.items():
        each = field(screen, key)
        each.input.focus()
        each.input.value = ""
        await pilot.pause()
        await pilot.press(*("space" if character == " " else character for character in value))
    await pilot.pause()


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 40)], ids=str)
async def test_no_error_is_cut(tmp_path: Path, size: tuple[int, int]) -> None:
    async with setting_up(make_repo(tmp_path / "repo", FILES), size) as (_, pilot, screen):
        for key in ("agent.kind", "limits.dollars", "metric.direction"):
            await answer(pilot, screen, {key: "nothing that anybody could mean by it"})
            problem = field(screen, key).problem()
            assert problem
            await until(pilot, lambda problem=problem: "".join(problem.split()) in seen(pilot))  # type: ignore[misc]


def seen(pilot: Pilot[None]) -> str:
    """What the notes show on the screen, without the places where they are wrapped."""
    strips = pilot.app.screen._compositor.render_strips(pilot.app.size)
    lines = ["".join(segment.text for segment in strip) for strip in strips]
    shown = []
    for each in pilot.app.screen.query(".note"):
        region = each.region.intersection(pilot.app.screen.query_one("#questions").region)
        shown += [lines[y][region.x : region.right] for y in range(region.y, region.bottom)]
    return "".join("".join(shown).split())


def note(screen: SetupScreen, key: str) -> str:
    return str(field(screen, key).query_one(".note").render())


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repo(tmp_path / "repo", FILES)


async def test_what_is_found_is_suggested_and_said_so(tmp_path: Path) -> None:
    karpathy = make_repo(
        tmp_path / "nano",
        {"program.md": "x", "prepare.py": "TIME_BUDGET = 300\n", "train.py": 'print(f"val_bpb: {1}")\n'},
    )
    async with setting_up(karpathy) as (_, _, screen):
        assert field(screen, "metric.name").input.value == "val_bpb"
        assert field(screen, "scope.edit").input.value == "train.py"
        assert "found here" in note(screen, "measure.run")


async def test_each_answer_is_checked_beside_it_as_it_is_typed(repo: Path) -> None:
    async with setting_up(repo) as (_, pilot, screen):
        await answer(pilot, screen, {"metric.name": ""})
        assert note(screen, "metric.name") == "× an answer is needed"
        await answer(pilot, screen, {"metric.name": "my score"})
        assert "without spaces" in note(screen, "metric.name")
        await answer(pilot, screen, {"metric.name": "score", "metric.direction": "down", "limits.dollars": "much"})
        assert note(screen, "metric.name").startswith("✓")
        assert note(screen, "metric.direction") == "× lower or higher, please"
        assert note(screen, "limits.dollars") == "× a number of dollars, please"
        await answer(pilot, screen, {"scope.edit": "/etc/passwd"})
        assert note(screen, "scope.edit").startswith("×")


async def test_enter_goes_on_and_a_wrong_answer_holds_it(repo: Path) -> None:
    async with setting_up(repo) as (app, pilot, screen):
        await pilot.press("enter")
        assert screen.focused is field(screen, "metric.name").input
        await pilot.press("up")
        assert screen.focused is field(screen, "measure.run").input
        await answer(pilot, screen, {"measure.run": ""})
        field(screen, "limits.dollars").input.focus()
        await pilot.press("enter")
        await until(pilot, lambda: screen.focused is field(screen, "measure.run").input)
        assert not screen.reviewing
        assert not app.place.config_file.exists()


async def test_the_file_is_shown_then_written_as_shown_with_its_comments(repo: Path) -> None:
    starter = sessions.Starts(lambda: None)
    async with setting_up(repo, starter=starter) as (app, pilot, screen):
        await answer(pilot, screen, {**GOOD, "guard": "python -c pass", "agent.kind": "tuner", "limits.dollars": "3"})
        await pilot.press("enter")
        await until(pilot, lambda: 'name = "score"' in text(pilot))
        assert not app.place.config_file.exists(), "nothing is written before w"
        assert {"setup.write"} & {command.id for command in commands_of(app.screen)}
        await pilot.press("d")
        await until(pilot, lambda: "Write autoresearch.toml first" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: app.place.config_file.exists())
        written = app.place.config_file.read_text()
        assert "# all that an experiment may change" in written
        config = configs.load(app.place.config_file)
        assert (config.metric.name, config.scope.edit, config.agent.kind) == ("score", ("knob.py",), "tuner")
        assert config.limits.dollars == 3
        assert [guard.run for guard in config.guard] == ["python -c pass"]
        assert starter.began == [], "nothing was started"
        for no in ("n", "escape"):
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.screen, Choice))
            await pilot.press(no)
            await until(pilot, lambda: not isinstance(app.screen, Choice))
            assert app.screen is screen
            assert screen.reviewing, "what was proved is still there"
            assert starter.began == []
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, Choice))
        await pilot.press("y")
        await until(pilot, lambda: starter.began == [("new", None)])
        assert app.session.name == "new"


async def test_escape_leads_back_and_leaves_nothing_behind(repo: Path) -> None:
    async with setting_up(repo) as (app, pilot, screen):
        await answer(pilot, screen, GOOD)
        field(screen, "limits.dollars").input.focus()
        await pilot.press("enter")
        await until(pilot, lambda: screen.reviewing)
        await pilot.press("escape")
        assert not screen.reviewing
        assert field(screen, "metric.name").input.value == "score", "answers stay"
        await pilot.press("escape")
        await until(pilot, lambda: app.showing_home)
    assert git(repo, "status", "--porcelain") == ""


async def test_a_file_that_came_meanwhile_is_not_written_over(repo: Path) -> None:
    async with setting_up(repo) as (app, pilot, screen):
        await answer(pilot, screen, GOOD)
        field(screen, "limits.dollars").input.focus()
        await pilot.press("enter")
        await until(pilot, lambda: screen.reviewing)
        app.place.config_file.write_text("# mine\n")
        await pilot.press("w")
        await until(pilot, lambda: "There is an autoresearch.toml already" in text(pilot))
        assert app.place.config_file.read_text() == "# mine\n"


async def test_what_is_written_is_edited_in_the_editor_and_shown_as_it_stands(
    repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\necho '# edited by hand' >> \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr("textual.app.App.suspend", lambda self: contextlib.nullcontext())  # a headless screen has none
    async with setting_up(repo) as (app, pilot, screen):
        await answer(pilot, screen, GOOD)
        field(screen, "limits.dollars").input.focus()
        await pilot.press("enter")
        await until(pilot, lambda: screen.reviewing)
        await pilot.press("e")
        await until(pilot, lambda: "Write autoresearch.toml first" in text(pilot))
        await pilot.press("w", "e")
        await until(pilot, lambda: "# edited by hand" in text(pilot))
        assert app.place.config_file.read_text().endswith("# edited by hand\n")


async def test_a_dry_run_shows_noise_time_and_what_a_night_gives(repo: Path) -> None:
    async with setting_up(repo, size=(120, 60)) as (_, pilot, screen):
        await answer(pilot, screen, {**GOOD, "agent.kind": "tuner"})
        field(screen, "limits.dollars").input.focus()
        await pilot.press("enter")
        await until(pilot, lambda: screen.reviewing)
        await pilot.press("w", "d")
        await until(pilot, lambda: screen.proving is not None, 60)
        await until(pilot, lambda: screen.proving is None, 120)
        said = " ".join(screen.proved)
        assert "from run to run" in said
        assert "experiments in a night" in said
        assert screen.proved[-1].startswith("All good. Start within 3 hours and these ")
        assert screen.proved[-1].endswith(": n starts it")
        assert "autoresearch run" not in said
        assert "night" in text(pilot)
    assert not (repo / ".git/autoresearch").exists() or not list((repo / ".git/autoresearch").glob("*/runs/0*"))


async def test_leaving_ends_a_dry_run_and_what_it_runs(repo: Path) -> None:
    (repo / "bench.py").write_text("import time\nprint('started', flush=True)\ntime.sleep(600)\n")
    git(repo, "commit", "-qam", "slow")
    async with setting_up(repo) as (app, pilot, screen):
        await answer(pilot, screen, {**GOOD, "agent.kind": "tuner"})
        field(screen, "limits.dollars").input.focus()
        await pilot.press("enter")
        await until(pilot, lambda: screen.reviewing)
        await pilot.press("w", "d")
        await until(pilot, lambda: screen.proving is not None, 60)
        process = screen.proving
        assert process is not None
        await until(pilot, lambda: screen.proved, 60)
        await pilot.press("escape")
        await until(pilot, lambda: screen.proving is None, 60)
        assert app.screen is screen, "the first escape ends the dry run alone"
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_answers_become_values_or_say_what_was_expected() -> None:
    assert value_of("scope.edit", " a.py  src/** ") == ["a.py", "src/**"]
    assert value_of("guard", "") == []
    assert value_of("guard", "pytest -q") == [{"run": "pytest -q"}]
    assert value_of("limits.dollars", "0") == 0
    for key, wrong in (("agent.kind", "gpt"), ("measure.run", ""), ("metric.name", ""), ("limits.dollars", "-1")):
        with pytest.raises(ValueError, match=r"please|expected"):
            value_of(key, wrong)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("look", ["dark", "light", "plain"])
@pytest.mark.parametrize("page", ["questions", "review"])
def test_pictured(
    repo: Path, snap_compare: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], look: str, page: str
) -> None:
    from autoresearch.tui.look.preferences import Preferences

    if look == "plain":
        monkeypatch.setenv("NO_COLOR", "1")
    app = ViewerApp(
        find_place(repo),
        None,
        starter=sessions.Starts(lambda: None),
        preferences=Preferences(theme="light" if look == "light" else "dark"),
    )

    async def prepare(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "n sets this target up" in text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen) and isinstance(app.screen.focused, Input))
        assert isinstance(app.screen, SetupScreen)
        screen = app.screen
        if page == "questions":
            await answer(pilot, screen, {"metric.name": "my score"})
            return
        await answer(pilot, screen, {**GOOD, "agent.kind": "tuner", "limits.dollars": "3"})
        await pilot.press("enter")
        await until(pilot, lambda: screen.reviewing)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=prepare)
