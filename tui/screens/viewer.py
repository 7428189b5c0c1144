"""What a screen may ask of the viewer, the app that shows it: screens know this and never the app itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App

from autoresearch.state.config import ConfigError
from autoresearch.state.session import Heartbeat, Place, Session, SessionError
from autoresearch.tui.actions.engines import Starter
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.watched import Watched
from autoresearch.tui.live.bell import Bell
from autoresearch.tui.look.keys import Reasoned, name_of
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.look.preferences import Preferences

READS_ONLY = "This screen only reads; leave out --read-only to change something."


def beside(
    viewer: Viewer, work: Callable[[], Any], then: Callable[..., object], failed: Callable[[Exception], None], name: str
) -> None:
    """Do `work` in a thread, then `then` with what it gave, or `failed` with what a person may read of the error."""

    def run() -> None:
        from autoresearch.engine.git import GitError  # not before the first frame

        try:
            result = work()
        except (SessionError, ConfigError, GitError, OSError) as error:
            viewer.call_from_thread(failed, error)
            return
        viewer.call_from_thread(then, result)

    viewer.run_worker(run, thread=True, exit_on_error=False, group=name, name=name)


def pausing_words(viewer: Viewer) -> str:
    if not viewer.watched.pausing:
        return ""
    key = name_of(viewer.preferences.keys.get("app.pause", "p").partition(",")[0])
    return "Pausing after this experiment" + ("" if viewer.read_only else f"; {key} takes it back")


class Viewer(Reasoned, App[None]):
    """The app. `session`, `watched` and what is asked about them need an open session: see `has_session`."""

    place: Place
    repository: Place
    """The place the app was called in; `place` is the shown session's."""
    palette: Palette
    preferences: Preferences
    read_only: bool
    starter: Starter
    now_ms: Callable[[], int]
    notices: Bell

    if TYPE_CHECKING:

        @property
        def has_session(self) -> bool: ...
        @property
        def showing_home(self) -> bool: ...
        @property
        def showing_dashboard(self) -> bool: ...
        @property
        def session(self) -> Session: ...
        @property
        def watched(self) -> Watched: ...

        def ask(self, kind: str, said: str, **args: Any) -> None: ...
        def bounds(self) -> dict[str, Any]: ...
        def heartbeat(self, session: Session) -> Heartbeat: ...
        def starting(self, engine: Engine) -> Engine: ...
        def arrived(self) -> None: ...
        def session_gone(self) -> None: ...
        def watch_run(self, folder: Path) -> None: ...
        def look_again(self) -> None: ...
        def refresh_state(self) -> None: ...

        def open_session(self, place: Place, session: Session, number: int | None = None) -> None: ...
        def open_home(self) -> None: ...
        def open_setup(self) -> None: ...
        def open_experiment(self, number: int) -> None: ...
        def open_ideas(self) -> None: ...
        def action_resume(self) -> None: ...
        def action_leave(self) -> None: ...
