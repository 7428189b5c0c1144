"""Preferences: one file, everything wrong in it said at once, and what they change on the screen."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions
from click.testing import CliRunner
from journals import told
from viewing import text, until, watching

from autoresearch.state.config import ConfigError
from autoresearch.tui.app.preferences_file import preferences_file, read_preferences
from autoresearch.tui.cli import cli
from autoresearch.tui.look.plain_text import to_ascii
from autoresearch.tui.look.preferences import Preferences


def home(tmp_path: Path, text: str | None) -> dict[str, str]:
    if text is not None:
        path = tmp_path / "autoresearch/config.toml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_without_a_file_everything_is_as_it_was(tmp_path: Path) -> None:
    assert read_preferences(home(tmp_path, None)) == Preferences()
    assert read_preferences(home(tmp_path, "")) == Preferences()


def test_the_file_is_read_and_a_call_overrules_it(tmp_path: Path) -> None:
    world = home(tmp_path, 'theme = "light"\nmouse = false\nascii = true\n[keys]\n"app.stop" = "S,f9"\n')
    found = read_preferences(world)
    assert found == Preferences("light", False, True, {"app.stop": "S,f9"})
    assert read_preferences(world, theme="ansi").theme == "ansi"


def test_the_file_lies_where_xdg_says_or_in_the_home(tmp_path: Path) -> None:
    assert preferences_file({"XDG_CONFIG_HOME": "/x"}) == Path("/x/autoresearch/config.toml")
    assert preferences_file({}) == Path.home() / ".config/autoresearch/config.toml"


def test_the_linux_console_draws_with_ascii(tmp_path: Path) -> None:
    assert read_preferences({**home(tmp_path, None), "TERM": "linux"}).ascii


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('theme = "blue"', ["theme = 'blue'", "dark, light, ansi"]),
        ('mouse = "no"', ["mouse = 'no'", "true nor false"]),
        ("colour = 1", ["no key 'colour'", "theme, mouse, ascii"]),
        ("keys = 3", ["under [keys]"]),
        ('[keys]\nboard.zoom = "z"', ['put the name in quotes, as in "board.zoom"']),
        ('[keys]\n"app.stop" = 3', ['"app.stop" = 3', "in quotes"]),
        ('[keys]\n"app.stop" = ""', ["\"app.stop\" = ''"]),
        ('[keys]\n"app.stpo" = "x"', ["no binding 'app.stpo'", "app.stop"]),
        ('[keys]\n"app.stop" = "q"', ["app.leave already"]),
        ("theme = ", ["not TOML"]),
    ],
)
def test_what_is_wrong_is_a_sentence_that_names_file_key_and_fix(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_preferences(home(tmp_path, text))
    assert str(tmp_path / "autoresearch/config.toml") in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_preferences(home(tmp_path, 'theme = "blue"\nmouse = 3\nwhat = 1\n[keys]\n"a.b" = "x"\n'))
    assert len(caught.value.problems) == 4


def test_wrong_preferences_start_no_screen_and_touch_no_other_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = told(tmp_path / "repo").repo
    for name, value in home(tmp_path / "home", 'theme = "blue"').items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("autoresearch.tui.commands.run.interactive", lambda: True)
    result = CliRunner().invoke(cli, ["attach", "-C", str(repo)])
    assert result.exit_code == 2
    assert "theme = 'blue'" in result.output
    assert CliRunner().invoke(cli, ["status", "-C", str(repo)]).exit_code == 0


def test_ascii_keeps_every_cell() -> None:
    assert to_ascii("╭─ KEEP ✓ ⠀⣿ ─╮") == "+- KEEP v  @ -+"
    assert to_ascii("±0.1 日本") == "~0.1 ????"


async def test_an_ascii_screen_writes_nothing_else(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=20)
    with sessions.engine(writer):
        async with watching(writer, preferences=Preferences(ascii=True)) as (app, pilot):
            await until(pilot, lambda: "RUNNING" in text(pilot))
            app.notify("…")
            await pilot.pause()
            shown = text(pilot)
            assert shown.isascii(), sorted({each for each in shown if not each.isascii()})


@pytest.mark.parametrize("theme", ["dark", "light", "ansi"])
async def test_every_theme_tells_all_without_its_colours(tmp_path: Path, theme: str) -> None:
    writer = sessions.running(tmp_path, experiments=20)
    with sessions.engine(writer):
        async with watching(writer, preferences=Preferences(theme=theme)) as (_, pilot):  # type: ignore[arg-type]
            shown = text(pilot)
    for words in ("RUNNING", "✓", "DISCARD ×", "RUN >"):
        assert words in shown
