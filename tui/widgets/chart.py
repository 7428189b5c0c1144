"""The chart: the metric over the experiments, or a live series of the running one. It can be zoomed and moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click, MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.message import Message

from autoresearch.tui.live.growing_files import Progress
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.picture import Drawn, Line, said
from autoresearch.tui.widgets.plot import SPAN, Drawing, Points, View, extent
from autoresearch.tui.widgets.series import Series, series_lines, small_lines

_CLOSEST = 8
"""Experiments in the narrowest window."""


class Chart(Drawn, can_focus=True):
    """Draws `Points`, or the live series `live_name`; shows `message` instead while there is nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom(2)", "closer", id="chart.in", tooltip="Fewer experiments"),
        Binding("minus", "zoom(0.5)", "wider", id="chart.out", tooltip="More experiments"),
        Binding("left,h", "pan(-1)", "move", show=False, id="chart.left", tooltip="Earlier experiments"),
        Binding("right,l", "pan(1)", "right", show=False, id="chart.right", tooltip="Later experiments"),
        Binding("0,g,home", "whole", "all", id="chart.whole", tooltip="All experiments, those to come included"),
        Binding("L", "log", "log axis", id="chart.log", tooltip="A logarithmic axis, or a plain one again"),
        Binding("v", "metric(1)", "metric", id="chart.metric", tooltip="Another metric or live series"),
        Binding("V", "metric(-1)", "back", show=False, id="chart.metric_back", tooltip="The metric before"),
    ]

    @dataclass
    class Asked(Message):
        """Another metric or live series is wanted, by `by` places in the list."""

        by: int

    class Viewed(Message):
        """Another part is seen, or in another way: the title has to be written again."""

    @dataclass
    class Picked(Message):
        """An experiment was clicked."""

        number: int

    def __init__(self, palette: Palette, progress: Progress, id: str | None = None) -> None:
        super().__init__(palette, id=id)
        self.progress = progress
        self.live_name = ""
        """The live series that is shown; "" for the experiments."""
        self.points = Points()
        self.message = ""
        self.view = View()
        self._stamp: tuple[object, ...] = ()
        self._gutter = 0
        self._held: tuple[int, tuple[int, int]] | None = None
        """Where the mouse went down, and the window then."""
        self._moved = False

    def show(self, points: Points, message: str = "") -> None:
        """Redraws only when something on it has changed."""
        self.points, self.message = points, message
        stamp = (points.stamp, message)
        if stamp != self._stamp and not self.live_name:
            self.redraw()
        self._stamp = stamp

    def look(self) -> None:
        """The live series may have grown."""
        if self.live_name:
            self.redraw()

    def choose(self, live_name: str) -> None:
        if live_name != self.live_name:
            self.live_name = live_name
            self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        if self.live_name and height >= 3:
            series = Series(self.live_name, *self.progress.of(self.live_name))
            return series_lines(series, self.palette, width, height, self.view.log)
        if height < 4 or width < 20 or not self.points.rows:
            return said(self.message, self.palette, width, height)
        drawing = Drawing(self.points, self.palette, width, height, self.view)
        self._gutter = drawing.gutter
        lines = drawing.lines()
        if not any(self.points.of(row) is not None for row in drawing.rows):
            lines[height // 2 - 1] = [Segment("No value here.".center(width), self.palette.quiet)]
        return lines

    @property
    def words(self) -> str:
        """How it is seen, where that is not as usual."""
        parts = []
        if self.view.window is not None and not self.live_name:
            parts.append(f"#{self.view.window[0]}–{self.view.window[1]}, 0 shows all")
        if self.view.log:
            parts.append("log axis")
        return ", ".join(parts)

    # -- looking elsewhere

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("zoom", "pan"):
            return bool(self.points.rows) and not self.live_name
        return self.view.window is not None if action == "whole" else True

    def _see(self, first: int, last: int) -> None:
        """Show these experiments as far as they exist; all of them are a window no longer."""
        least, most, room = extent(self.points, None)
        most = max(most, least + min(room, SPAN) - 1)
        size = max(_CLOSEST, last - first + 1)
        if size >= most - least + 1:
            self._become(View(None, self.view.log))
            return
        first = min(max(first, least), most - size + 1)
        self._become(View((first, first + size - 1), self.view.log))

    def _become(self, view: View) -> None:
        if view != self.view:
            self.view = view
            self.redraw()
            self.post_message(self.Viewed())

    def _window(self) -> tuple[int, int]:
        first, _, room = extent(self.points, self.view.window)
        return first, first + room - 1

    def zoom_at(self, factor: float, part: float) -> None:
        """Narrow the window by `factor` around the point at `part` of its width."""
        first, last = self._window()
        size = max(_CLOSEST, round((last - first + 1) / factor))
        around = first + part * (last - first + 1)
        start = round(around - part * size)
        self._see(start, start + size - 1)

    def action_zoom(self, factor: float) -> None:
        # The newest stay in sight: that is where something happens.
        self.zoom_at(factor, 1.0 if self.view.window is None else 0.5)

    def action_pan(self, quarters: int) -> None:
        first, last = self._window()
        by = quarters * max(1, (last - first + 1) // 4)
        self._see(first + by, last + by)

    def action_whole(self) -> None:
        self._become(View(None, self.view.log))

    def action_log(self) -> None:
        self._become(View(self.view.window, not self.view.log))

    def action_metric(self, by: int) -> None:
        self.post_message(self.Asked(by))

    # -- the mouse

    def _part(self, x: int) -> float:
        return min(max((x - self._gutter + 0.5) / max(1, self.size.width - self._gutter), 0.0), 1.0)

    def _at(self, event: MouseDown | MouseUp | MouseMove | MouseScrollUp | MouseScrollDown) -> int:
        return event.get_content_offset_capture(self).x

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        if self.check_action("zoom", ()):
            event.stop()
            self.zoom_at(1.5, self._part(self._at(event)))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        if self.check_action("zoom", ()):
            event.stop()
            self.zoom_at(1 / 1.5, self._part(self._at(event)))

    def on_mouse_down(self, event: MouseDown) -> None:
        if self.check_action("pan", ()):
            self._held, self._moved = (self._at(event), self._window()), False
            self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        if self._held is None:
            return
        start, (first, last) = self._held
        cells = max(1, self.size.width - self._gutter)
        by = round((start - self._at(event)) * (last - first + 1) / cells)
        if by:
            self._moved = True
            self._see(first + by, last + by)

    def on_mouse_up(self, event: MouseUp) -> None:
        held, self._held = self._held, None
        self.release_mouse()
        if held is None or self._moved:
            return
        first, last = self._window()
        wanted = first + int(self._part(self._at(event)) * (last - first + 1))
        near = min((row.number for row in self.points.rows), key=lambda number: abs(number - wanted), default=None)
        if near is not None:
            self.post_message(self.Picked(near))


class Pulse(Drawn):
    """The running experiment's live series beside the best's, small; a click shows the next one.

    A line of words and a braille plot; hidden (`-empty`) until there was a series.
    """

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
