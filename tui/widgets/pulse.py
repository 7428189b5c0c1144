"""The running experiment's live series beside the best's, small; a click shows the next series."""

from __future__ import annotations

from textual.events import Click

from autoresearch.tui.live.growing_files import Progress
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.picture import Drawn, Line
from autoresearch.tui.widgets.series import Series, small_lines


class Pulse(Drawn):
    """A line of words and a braille plot; hidden (`-empty`) until there was a series."""

    def __init__(self, palette: Palette, progress: Progress, id: str | None = None) -> None:
        super().__init__(palette, id=id, classes="-empty")
        self.progress = progress
        self.border_title = "live"
        self._picked = ""
        self._seen = False
        """A series was there: the place is kept for the next experiment's, so that nothing jumps."""

    def look(self) -> None:
        """The series are other ones, or longer."""
        self._seen = self._seen or bool(self.progress.names())
        self.set_class(not self._seen, "-empty")
        self.redraw()

    def on_click(self, event: Click) -> None:
        names = self.progress.names()
        if len(names) > 1:
            at = names.index(self._picked) if self._picked in names else 0
            self._picked = names[(at + 1) % len(names)]
            self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        names = self.progress.names()
        name = self._picked if self._picked in names else names[0] if names else ""
        return small_lines(Series(name, *self.progress.of(name)), self.palette, width, height)
