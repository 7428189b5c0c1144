"""The first screen: arranges the widgets for the terminal's size and passes on what the feed found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from autoresearch.state.history import History
from autoresearch.state.session import Live, Session
from autoresearch.tui import answers, logs, notices, wording
from autoresearch.tui.alive import Engine, engine_of
from autoresearch.tui.feed import Feed
from autoresearch.tui.follow import clean
from autoresearch.tui.keys import line_of
from autoresearch.tui.palette import Palette
from autoresearch.tui.widgets.chart import Chart, points_of
from autoresearch.tui.widgets.keys import KeyLine
from autoresearch.tui.widgets.lists import TextList, dead_ends_of, ideas_of
from autoresearch.tui.widgets.log import LogView
from autoresearch.tui.widgets.now import now_items
from autoresearch.tui.widgets.pulse import Pulse
from autoresearch.tui.widgets.state_line import StateLine
from autoresearch.tui.widgets.table import Experiments

if TYPE_CHECKING:
    from autoresearch.tui.app import Dashboard

Mode = Literal["tiny", "narrow", "wide", "xwide"]
Pane = Literal["experiments", "log", "ideas", "dead", "now"]
PANES: tuple[Pane, ...] = ("experiments", "log", "ideas", "dead", "now")
_LOWER: tuple[Pane, ...] = ("log", "ideas", "dead")
_TITLES = {"experiments": "Experiments", "log": "Log", "ideas": "Ideas", "dead": "Dead ends", "now": "Now"}


def mode_of(size: Size) -> Mode:
    """Which arrangement fits a terminal."""
    if size.width < 60 or size.height < 15:
        return "tiny"
    if size.width < 100 or size.height < 30:
        return "narrow"
    return "wide" if size.width < 150 or size.height < 44 else "xwide"


class DashboardScreen(Screen[None]):
    AUTO_FOCUS = "#experiments"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "1",
            "pane('experiments')",
            "panes",
            show=False,
            id="board.experiments",
            tooltip="Go to the experiments",
        ),
        Binding("2", "pane('log')", "log", show=False, id="board.log", tooltip="Go to the log"),
        Binding("3", "pane('ideas')", "ideas", show=False, id="board.ideas", tooltip="Go to the ideas"),
        Binding("4", "pane('dead')", "dead ends", show=False, id="board.dead", tooltip="Go to the dead ends"),
        Binding("5", "pane('now')", "now", show=False, id="board.now", tooltip="Go to what runs now"),
        Binding(
            "tab",
            "next_pane(1)",
            "next",
            show=False,
            id="board.next",
            tooltip="The next pane",
        ),
        Binding("shift+tab", "next_pane(-1)", "previous", show=False, id="board.previous", tooltip="The pane before"),
        Binding(
            "right_square_bracket",
            "pick_log(1)",
            "log",
            show=False,
            id="board.next_log",
            tooltip="The next log: build, run, evaluate, guard, agent; past the last: as it comes",
        ),
        Binding(
            "left_square_bracket", "pick_log(-1)", "log", show=False, id="board.previous_log", tooltip="The log before"
        ),
        Binding("f", "follow", "follow", show=False, id="board.follow", tooltip="Follow the end of the log"),
    ]

    def __init__(self, session: Session, title: str, palette: Palette) -> None:
        super().__init__()
        self.session = session
        self.heading = title
        self.palette = palette
        self.history = History()
        self.opened = False
        self.engine: Engine | None = None
        """None until the journal is read."""
        self.bounds: dict[str, Any] = {}
        """The config's limits and what people have set since."""
        self.live: Live | None = None
        self.pid: int | None = None
        self.problem = ""
        self.gain: dict[str, Any] = {}
        self._gain_of: tuple[object, ...] = ()
        self.mode: Mode = "narrow"
        self.active: Pane = "experiments"
        """The pane of the narrow arrangement, and of the wide one's lower place when it can be there."""
        self.lower: Pane = "log"
        self.picked = ""  # the kind of log a person wants to see; "": the one that is being written
        self._titled: dict[str, tuple[str, str]] = {}

    @property
    def board(self) -> Dashboard:
        return cast("Dashboard", self.app)

    @property
    def alive(self) -> bool:
        return self.engine is not None and self.engine.alive

    @property
    def running(self) -> bool:
        return self.engine is not None and self.engine.state == "running"

    # -- arranging

    def compose(self) -> ComposeResult:
        palette = self.palette
        yield StateLine(palette, id="state")
        with Horizontal(id="body"):
            with Vertical(id="main"):
                with Container(id="top"):
                    yield Chart(palette, id="chart")
                    with Vertical(id="side"):
                        yield Pulse(palette, id="pulse")
                        yield TextList(palette, id="now-side")
                yield Experiments(palette, id="experiments", classes="pane")
                yield LogView(palette, id="log", classes="pane")
                yield TextList(palette, id="ideas", classes="pane")
                yield TextList(palette, id="dead", classes="pane")
                yield TextList(palette, id="now", classes="pane")
            with Vertical(id="aside"):
                yield TextList(palette, id="ideas-aside")
                yield TextList(palette, id="dead-aside")
        yield Static("", id="problem", markup=False)
        yield KeyLine(palette, id="keys")

    def on_mount(self) -> None:
        for name in ("ideas", "ideas-aside"):
            self.query_one(f"#{name}", TextList).message = "No idea is waiting; i adds one."
        for name in ("dead", "dead-aside"):
            self.query_one(f"#{name}", TextList).message = "Nothing has failed yet."
        for name in ("now", "now-side"):
            self.query_one(f"#{name}", TextList).message = "Nothing is running."
        self.query_one("#log", LogView).message = "Nothing has been written yet."
        self.query_one("#experiments", Experiments).message = ""
        self._arrange(self.app.size)
        self.refresh_all()

    def on_resize(self, event: Resize) -> None:
        self._arrange(event.size)

    def _arrange(self, size: Size) -> None:
        mode = mode_of(size)
        if mode != self.mode or not self.has_class(f"-{mode}"):
            self.remove_class("-tiny", "-narrow", "-wide", "-xwide").add_class(f"-{mode}")
            self.mode = mode
        self._show_panes()

    def _show_panes(self) -> None:
        visible = self._visible()
        for name in PANES:
            self.query_one(f"#{name}").display = name in visible
        self._titles()

    def _visible(self) -> set[str]:
        if self.mode in ("tiny", "narrow"):
            return {self.active}
        return {"experiments", "log" if self.mode == "xwide" else self.lower}

    def _titles(self) -> None:
        header = self.history.header
        if header is not None:
            unit = f" in {header.metric_unit}" if header.metric_unit else ""
            self._title("chart", _literal(clean(f"{header.metric_name}{unit}, {header.direction} is better")))
        self._title("now-side", self._tabs(("now",), "now"))
        for pane in PANES:
            if self.mode in ("tiny", "narrow"):
                self._title(pane, self._tabs(PANES, self.active))
            elif pane == "experiments" or self.mode == "xwide":
                self._title(pane, self._tabs((pane,), pane))
            else:
                self._title(pane, self._tabs(_LOWER, pane))
        for pane in ("ideas", "dead"):
            self._title(f"{pane}-aside", self._tabs((pane,), pane))
        self._log_title()

    def _log_title(self) -> None:
        log = self.query_one("#log", LogView)
        number = self.live.experiment if self.live is not None and self.running else None
        name = logs.title_of(self.session, log.file.path, number or logs.last(self.history)) if log.file else ""
        name += ", picked" if self.picked else ""
        words = name if log.following else f"{log.unread:,} new, f follows" if log.unread else "f follows"
        if self.mode in ("tiny", "narrow"):
            self._title("log", f"{self._tabs(PANES, 'log')}  {words}")
        else:
            tabs = self._tabs(("log",) if self.mode == "xwide" else _LOWER, "log")
            self._title("log", tabs, words)

    def _title(self, name: str, title: str, subtitle: str = "") -> None:
        """Setting a title draws the whole widget again, so only another one is set."""
        if self._titled.get(name) != (title, subtitle):
            self._titled[name] = (title, subtitle)
            widget = self.query_one(f"#{name}")
            widget.border_title, widget.border_subtitle = title, subtitle

    def _tabs(self, panes: tuple[Pane, ...], active: Pane) -> str:
        words = []
        for pane in panes:
            text = f"{PANES.index(pane) + 1} {_TITLES[pane]}"
            words.append(f"[b $tab-on]{text}[/]" if pane == active else f"[$tab-off]{text}[/]")
        return "[$tab-off] · [/]".join(words)

    def _widget_of(self, pane: Pane) -> Widget:
        if pane == "now" and self.mode in ("wide", "xwide"):
            return self.query_one("#now-side")
        if pane in ("ideas", "dead") and self.mode == "xwide":
            return self.query_one(f"#{pane}-aside")
        return self.query_one(f"#{pane}")

    def action_pane(self, pane: Pane) -> None:
        self.active = pane
        if pane in ("log", "ideas", "dead"):
            self.lower = pane
        self._show_panes()
        self._widget_of(pane).focus()

    def action_next_pane(self, by: int) -> None:
        self.action_pane(PANES[(PANES.index(self.active) + by) % len(PANES)])

    def action_pick_log(self, by: int) -> None:
        """Go through the run's logs, and past either end back to the one that is being written."""
        self.action_pane("log")
        log = self.query_one("#log", LogView)
        there = ["", *logs.logs_of(self.session, self.history, self.live if self.running else None)]
        shown = log.file.path.name if log.file is not None else ""
        at = there.index(self.picked or shown) if (self.picked or shown) in there else 0
        self.picked = there[(at + by) % len(there)]
        if self.engine is not None:
            self._aim(self.engine)
        self._log_title()

    def action_follow(self) -> None:
        self.action_pane("log")
        self.query_one("#log", LogView).action_follow()

    def on_descendant_focus(self) -> None:
        """A click may focus a pane; keep `active` with it."""
        name = (self.focused.id or "").removesuffix("-aside").removesuffix("-side") if self.focused else ""
        if name in PANES and name != self.active:
            self.active = name
        self._keys()

    # -- what the feed says

    def on_feed_opened(self, message: Feed.Opened) -> None:
        self.history = message.history
        self.opened = True
        self.problem = ""
        self.refresh_all()

    def on_feed_reading(self, message: Feed.Reading) -> None:
        self.query_one("#chart", Chart).show(points_of(self.history), f"Reading the journal … {message.part:.0%}")

    def on_feed_grew(self, message: Feed.Grew) -> None:
        for at, line in message.lines:
            self.history.feed(at, line)
            self.board.notices.ring(notices.words_of(line, self.history, self.session.name))
        self.refresh_all()

    def on_feed_failed(self, message: Feed.Failed) -> None:
        self.problem = message.text
        self.refresh_state()

    def on_feed_beat(self, message: Feed.Beat) -> None:
        self.live, self.pid = message.live, message.pid
        self.refresh_state()

    def on_feed_wrote(self, message: Feed.Wrote) -> None:
        self.query_one("#log", LogView).look()

    def on_log_view_moved(self, message: LogView.Moved) -> None:
        self._log_title()
        self._keys()

    def on_experiments_chosen(self, message: Experiments.Chosen) -> None:
        self.board.open_experiment(message.number)

    # -- showing

    def refresh_all(self) -> None:
        """The journal said something new."""
        self.bounds = answers.limits(self.session, self.history, {})
        self._measure_gain()
        ideas, dead = ideas_of(self.history, self.palette), dead_ends_of(self.history, self.palette)
        for name, items in (("ideas", ideas), ("ideas-aside", ideas), ("dead", dead), ("dead-aside", dead)):
            self.query_one(f"#{name}", TextList).show(items)
        self._titles()
        self.refresh_state()

    def _measure_gain(self) -> None:
        """The best against the baseline; reads their samples, so only when one of the two or the noise is another."""
        history = self.history
        stamp = (history.incumbent and history.incumbent.number, history.segment, history.spread.nu)
        if stamp != self._gain_of and history.incumbent is not None:
            baselines = sum(row.cause == "baseline" and row.status == "keep" for row in history.rows)
            self.gain = {**answers.gain(self.session, history), "baselines": baselines}
            self._gain_of = stamp

    def refresh_state(self) -> None:
        """What may change without a journal line: the engine, its phase, the clock."""
        now = self.board.now_ms()
        if self.opened:
            engine = engine_of(self.history.control, self.live, self.pid, now, begun=self.history.lines > 1)
            self.engine = self.board.starting(engine)
        bounds = self.bounds | (self.live.limits if self.live is not None and self.running else {})
        self.query_one("#state", StateLine).show(
            self.heading, self.engine, self.live, self.history, bounds, self.gain, now
        )
        problem = self.query_one("#problem", Static)
        if self.problem != getattr(problem, "said", ""):
            problem.said = self.problem  # type: ignore[attr-defined]
            problem.update(self.problem)
        self.set_class(bool(self.problem) and not self.opened, "-broken")
        empty = wording.empty_chart(self.engine, self.live, self.history)
        self.query_one("#chart", Chart).show(points_of(self.history), empty)
        self.query_one("#experiments", Experiments).show(self.history, self.live, self.running)
        items = now_items(self.engine, self.live, self.history, self.palette)
        for name in ("now", "now-side"):
            self.query_one(f"#{name}", TextList).show(items)
        if self.engine is not None:
            self._aim(self.engine)
        self._keys()

    def _aim(self, engine: Engine) -> None:
        """Point the log and the live series at the run that matters."""
        log = self.query_one("#log", LogView)
        live = self.live if self.running else None
        path = logs.logs_of(self.session, self.history, live).get(self.picked) if self.picked else None
        before = log.file.path if log.file else None
        log.aim(path or logs.log_of(self.session, self.history, engine, self.live, before))
        if log.file is not None:
            self.board.watch_run(log.file.path.parent)
        opened, best = self.history.open, self.history.incumbent
        pulse = self.query_one("#pulse", Pulse)
        pulse.aim(
            self.session.run(opened.number) / "progress.jsonl" if opened else None,
            self.session.run(best.number) / "progress.jsonl" if best and opened and opened.proposal else None,
        )
        pulse.look()

    def _keys(self) -> None:
        pausing = self.live is not None and self.live.pausing == "pause"
        shown = [(key, "don't pause" if pausing and word == "pause" else word) for key, word in line_of(self)]
        if isinstance(self.focused, Experiments):
            shown.insert(-3, ("enter", "details"))
        if isinstance(self.focused, LogView):
            shown.insert(-3, ("[ ]", "other logs"))
        if not self.query_one("#log", LogView).following:
            shown.insert(-3, ("f", "follow"))
        shown.insert(-3, ("1-5", "panes"))
        self.query_one("#keys", KeyLine).show(list(dict.fromkeys(shown)))


def _literal(text: str) -> str:
    """Text from outside as a border title, whose square brackets would be read as markup."""
    return text.replace("[", "\\[")
