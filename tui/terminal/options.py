"""The options that every command takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from autoresearch.state.session import Place, Session
    from autoresearch.tui.look.preferences import Preferences


_C = TypeVar("_C", bound=Callable[..., Any] | click.Command)


@dataclass(slots=True)
class Where:
    """What the common options say: where to work, on which session, and whether errors show their traceback."""

    repo: Path | None = None
    session: str | None = None
    debug: bool = False
    theme: str | None = None
    no_mouse: bool = False
    read_only: bool = False
    opened: Session | None = field(default=None, compare=False)
    """The session a command works on, once known: an unexpected error names its engine.log."""

    def preferences(self) -> Preferences:
        """The user's, with what this call said. Raises ConfigError."""
        from autoresearch.tui.app.preferences_file import read_preferences

        return read_preferences(theme=self.theme, mouse=False if self.no_mouse else None)

    def start(self) -> Path:
        return self.repo if self.repo is not None else Path.cwd()

    def place(self) -> Place:
        from autoresearch.state.session import find_place

        return find_place(self.start())

    def open(self) -> tuple[Place, Session]:
        """The place and the named session, or the target's latest one."""
        from autoresearch.state.session import open_session

        place = self.place()
        self.opened = open_session(place, self.session)
        return place, self.opened


def common(command: _C) -> _C:
    """Adds the options that every command takes, before or after its name; they land in the `Where` object."""

    folder = click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path)
    options: list[Callable[[_C], _C]] = [
        click.option("--debug", is_flag=True, expose_value=False, callback=_store("debug"), help="Show tracebacks."),
        click.option("--repo", "-C", type=folder, metavar="DIR", expose_value=False, callback=_store("repo"),
                     help="Work as if started in DIR."),
        click.option("--session", "-s", metavar="NAME", expose_value=False, callback=_store("session"),
                     help="The session; without it, the target's latest one."),
    ]  # fmt: skip
    for option in options:
        command = option(command)
    return command


def on_screen(command: _C) -> _C:
    """Adds the options of every command that may show the screen."""
    options: list[Callable[[_C], _C]] = [
        click.option("--theme", type=click.Choice(["dark", "light", "ansi"]), expose_value=False,
                     callback=_store("theme"), help="Colours of the screen; ansi: the terminal's own sixteen."),
        click.option("--no-mouse", is_flag=True, expose_value=False, callback=_store("no_mouse"),
                     help="Leave the mouse to the terminal."),
    ]  # fmt: skip
    for option in options:
        command = option(command)
    return command


def only_reading(command: _C) -> _C:
    option: Callable[[_C], _C] = click.option(
        "--read-only", is_flag=True, expose_value=False, callback=_store("read_only"),
        help="Ask nothing of the session and start no engine; a folder that cannot be written is enough.",
    )  # fmt: skip
    return option(command)


def _store(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, _: click.Parameter, value: Any) -> None:
        where = context.ensure_object(Where)
        if value is not None and value is not False:
            setattr(where, name, value)

    return keep
