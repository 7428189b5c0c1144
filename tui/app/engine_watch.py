"""The shown session's engine under the viewer's eyes: started here, and said once when it dies or hangs."""

from __future__ import annotations

from collections.abc import Callable

from autoresearch.tui.actions.lost_engine import end_engine, last_words
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.screens.limit_questions import asks_for_room
from autoresearch.tui.screens.lost_engine import Lost
from autoresearch.tui.screens.modals import act_on
from autoresearch.tui.screens.start_engine import begin
from autoresearch.tui.screens.viewer import Viewer

_START_MS = 15_000
"""How long a started engine may take until its lock is seen."""


class EngineWatch:
    """One for each session that is shown."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._started_ms = 0
        self._was_running = False
        self._told = ""
        """What was said of an engine that died or hangs."""

    def seen(self, engine: Engine) -> Engine:
        """The engine as seen, or "starting" while one that was asked for has not taken the lock yet."""
        self._look_after(engine)
        if self._started_ms and engine.state == "silent":
            return engine  # it is being ended
        if engine.alive or not self._started_ms:
            self._started_ms = 0
            return engine
        if self._viewer.now_ms() - self._started_ms < _START_MS:
            return Engine("starting")
        self._started_ms = 0
        said = "The engine did not start; its words are in engine.log (pane 2)."
        self._viewer.notify(said, severity="error", timeout=10)
        return engine

    def resume(self) -> None:
        viewer = self._viewer
        if not asks_for_room(viewer):
            self._start(lambda: viewer.starter.resume(viewer.place, viewer.session))

    def _start(self, act: Callable[[], None]) -> None:
        viewer = self._viewer

        def failed() -> None:
            self._started_ms = 0
            viewer.refresh_state()

        self._started_ms = viewer.now_ms()
        viewer.refresh_state()
        begin(viewer, viewer.place, viewer.session.name, act, failed=failed)

    def _look_after(self, engine: Engine) -> None:
        viewer = self._viewer
        if engine.state == "running":
            self._was_running, self._told = True, ""
        if engine.state not in ("silent", "lost") and viewer.screen_stack and isinstance(viewer.screen, Lost):
            viewer.screen.dismiss()
        wrong = engine.state == "silent" or (engine.state == "lost" and self._was_running)
        if wrong and engine.state != self._told and viewer.showing_dashboard:
            self._told = engine.state
            viewer.call_later(self._show_lost, engine)

    def _show_lost(self, engine: Engine) -> None:
        viewer, session = self._viewer, self._viewer.session

        def end_and_go_on() -> None:
            end_engine(session)
            viewer.starter.resume(viewer.place, session)

        def go_on() -> None:
            if not viewer.refusal("resume", ()):
                self.resume()

        def end() -> None:
            viewer.notify(f"Ending process {engine.pid}; the engine is started again then.", timeout=8)
            self._start(end_and_go_on)

        can_start = not viewer.read_only and viewer.starter.can_resume(viewer.place, session)
        acts = {"go on": go_on, "end": end} if can_start else {}
        viewer.push_screen(Lost(viewer.palette, engine, last_words(session), viewer.now_ms(), acts), act_on)
