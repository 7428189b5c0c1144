"""A screen of panes: where each stands at the terminal's size, which one is active or zoomed, what its title says."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from autoresearch.tui.screens import panes
from autoresearch.tui.screens.panes import LOWER, PANES, STACKED, Mode, Pane, mode_of, one_at_a_time, title

_WORDS = ("experiments", "log", "ideas", "dead ends", "experiment that runs now", "chart", "machine")
_TALL = 48
"""Lines from which the chart gets more of them."""


class Arranged(Screen[None]):
    """A pane's widget has the pane's name for its id; what a wide terminal shows beside it has `-side` or `-aside`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(at + 1), f"pane('{pane}')", words, show=False, id=f"board.{pane}", tooltip=f"Go to the {words}")
            for at, (pane, words) in enumerate(zip(PANES, _WORDS, strict=True))
        ),
        Binding("tab", "next_pane(1)", "next", show=False, id="board.next", tooltip="The next pane"),
        Binding("shift+tab", "next_pane(-1)", "previous", show=False, id="board.previous", tooltip="The pane before"),
        Binding("z", "zoom", "zoom", id="board.zoom", tooltip="Give the pane the whole screen, or its place again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.mode: Mode = "narrow"
        self.active: Pane = "experiments"
        """Where the keys go."""
        self.shown: Pane = "experiments"
        """The one below the chart of a narrow terminal."""
        self.lower: Pane = "log"
        """The one below the table of a wide terminal."""
        self.zoomed = False
        self.low = False
        """Each pane has the whole screen, as if it were zoomed."""
        self.absent: set[Pane] = set()
        """Panes with nothing to show."""
        self._titled: dict[str, tuple[str, str]] = {}

    def words_of(self, pane: Pane) -> str:
        """What a pane's title says besides its name."""
        return ""

    def keys_changed(self) -> None:
        """Another pane is active: other keys work."""

    def on_resize(self, event: Resize) -> None:
        self.fit(event.size)

    def fit(self, size: Size) -> None:
        mode = mode_of(size)
        if mode != self.mode or not self.has_class(f"-{mode}"):
            self.remove_class("-tiny", "-narrow", "-wide", "-xwide").add_class(f"-{mode}")
            self.mode = mode
        self.set_class(size.height >= _TALL, "-tall")
        self.low = one_at_a_time(size)
        self._show_panes()

    def there(self, panes: tuple[Pane, ...] = PANES) -> tuple[Pane, ...]:
        return tuple(pane for pane in panes if pane not in self.absent)

    def leave_out(self, absent: set[Pane]) -> None:
        if absent != self.absent:
            self.absent = absent
            if self.active in absent:
                self.zoomed = False
                self.go_to("experiments")
            self.lower = "log" if self.lower in absent else self.lower
            self._show_panes()

    @property
    def _whole(self) -> bool:
        return self.zoomed or self.low

    @property
    def _alone(self) -> bool:
        """One pane of those that take turns is seen, with the others as tabs."""
        return self.zoomed or self.mode in ("tiny", "narrow")

    def _show_panes(self) -> None:
        shown = panes.visible(self.mode, self.shown, self.lower, self.active if self._whole else None)
        for pane in STACKED:
            self.query_one(f"#{pane}").display = pane in shown
        self.query_one("#top").display = "chart" in shown
        self.query_one("#machine-aside").display = "machine" not in self.absent
        self.set_class(self._whole, "-zoomed")
        self.show_titles()

    def show_titles(self) -> None:
        width = self.app.size.width
        beside = self.mode == "xwide" and not self.zoomed
        for pane in STACKED:
            words = self.words_of(pane)
            if self._alone:
                tabs = self.there(PANES if self._whole else STACKED)
                self.title_widget(pane, panes.tabs(tabs, pane, width, words))
            elif pane in LOWER and not beside:
                self.title_widget(pane, panes.tabs(self.there(LOWER), pane, width), panes.literal(words))
            else:
                self.title_widget(pane, panes.tabs((pane,), pane, width), panes.literal(words))
        for pane in ("ideas", "dead", "machine"):
            self.title_widget(f"{pane}-aside", panes.tabs((pane,), pane, width), panes.literal(self.words_of(pane)))
        self.title_widget("now-side", panes.tabs(("now",), "now", width))
        self._chart_title(width)

    def _chart_title(self, width: int) -> None:
        chart, _, words = self.words_of("chart").partition("\n")
        lit = "tab-on" if self.active == "chart" else "tab-off"
        told = f"{chart}  {words}" if self.mode == "narrow" and words else chart  # it has no lower edge to stand on
        self.title_widget("chart", f"[${lit}]{title('chart')[0]}[/] {panes.literal(told)}", panes.literal(words))

    def title_widget(self, name: str, words: str, subtitle: str = "") -> None:
        """Setting a title draws the whole widget again, so only another one is set."""
        if self._titled.get(name) != (words, subtitle):
            self._titled[name] = (words, subtitle)
            widget = self.query_one(f"#{name}")
            widget.border_title, widget.border_subtitle = words, subtitle

    def widget_of(self, pane: Pane) -> Widget:
        """The widget that shows a pane now."""
        if not self._alone:
            if pane == "now":
                return self.query_one("#now-side")
            if pane in ("ideas", "dead", "machine") and self.mode == "xwide":
                return self.query_one(f"#{pane}-aside")
        return self.query_one(f"#{pane}")

    def go_to(self, pane: Pane, focus: bool = True) -> None:
        self.active = pane
        if pane in STACKED:
            self.shown = pane
        if pane in LOWER:
            self.lower = pane
        self._show_panes()
        if focus:
            self.widget_of(pane).focus()
        self.keys_changed()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "zoom":
            return not self.low
        return action != "pane" or parameters[0] not in self.absent

    def action_pane(self, pane: Pane) -> None:
        self.go_to(pane)

    def action_next_pane(self, by: int) -> None:
        there = self.there()
        self.go_to(there[(there.index(self.active) + by) % len(there)])

    def action_zoom(self) -> None:
        self.zoomed = not self.zoomed
        self.go_to(self.active)

    def on_descendant_focus(self) -> None:
        """A click may focus a pane; keep `active` with it."""
        name = (self.focused.id or "").removesuffix("-aside").removesuffix("-side") if self.focused else ""
        if name in PANES and name != self.active:
            self.active = name
            self.show_titles()
        self.keys_changed()
