"""The options that every command takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from autoresearch.state.session import Place, Session
    from autoresearch.tui.look.preferences import Preferences

_Function = Callable[..., Any]


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

    def named(self, name: str | None) -> str | None:
        """The session that an argument or the option names."""
        if name is not None and self.session not in (None, name):
            raise click.UsageError(f"It names two sessions, {name} and {self.session}")
        return name or self.session

    def place(self) -> Place:
        from autoresearch.state.session import find_place

        return find_place(self.start())

    def open(self) -> tuple[Place, Session]:
        """The place and the named session, or the target's latest one."""
        from autoresearch.state.session import open_session

        place = self.place()
        self.opened = open_session(place, self.session)
        return place, self.opened


def dash_c(folder: Path | None) -> str:
    """ " -C FOLDER" for a command that is to be typed; empty for the folder that it is typed in."""
    import shlex

    return "" if folder in (None, Path.cwd()) else f" -C {shlex.quote(str(folder))}"


def common(command: _Function) -> _Function:
    """Adds the options that every command takes, before or after its name; they land in the `Where` object, which the
    command gets first."""
    folder = click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path)
    command = click.pass_obj(command)
    command = _option("debug", "--debug", is_flag=True, help="Show tracebacks.")(command)
    command = _option("repo", "--repo", "-C", type=folder, metavar="DIR", help="Work as if started in DIR.")(command)
    words = "The session; without it, the target's latest one."
    return _option("session", "--session", "-s", metavar="NAME", help=words)(command)


def on_screen(command: _Function) -> _Function:
    """Adds the options of every command that may show the screen."""
    words = "Colours of the screen; ansi: the terminal's own sixteen."
    command = _option("theme", "--theme", type=click.Choice(["dark", "light", "ansi"]), help=words)(command)
    return _option("no_mouse", "--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")(command)


def only_reading(command: _Function) -> _Function:
    words = "Ask nothing of the session and start no engine; a folder that cannot be written is enough."
    return _option("read_only", "--read-only", is_flag=True, help=words)(command)


def _option(name: str, *flags: str, **about: Any) -> Callable[[_Function], _Function]:
    """One whose value lands in the `Where` object, as `name`."""

    def keep(context: click.Context, _: click.Parameter, value: Any) -> None:
        where = context.ensure_object(Where)
        if value is not None and value is not False:
            setattr(where, name, value)

    return click.option(*flags, expose_value=False, callback=keep, **about)
