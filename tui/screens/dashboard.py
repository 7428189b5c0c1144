"""The first screen: arranges the widgets for the terminal's size and passes on what the feed found."""

from __future__ import annotations

import socket
from functools import partial
from typing import ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Input, Static

from autoresearch.tui.facts import words
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.watched import Watched
from autoresearch.tui.live import bell
from autoresearch.tui.live.feed import Feed
from autoresearch.tui.live.gauges import Gauges
from autoresearch.tui.live.growing_files import Progress
from autoresearch.tui.look.keys import Shown, line_of
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.chart_source import AT_ONCE, Charted
from autoresearch.tui.screens.find_line import FindLine
from autoresearch.tui.screens.log_source import LogSource
from autoresearch.tui.screens.pane_layout import Arranged
from autoresearch.tui.screens.panes import Pane
from autoresearch.tui.screens.viewer import Viewer, pausing_words
from autoresearch.tui.widgets.chart import Chart, Pulse
from autoresearch.tui.widgets.key_line import KeyLine
from autoresearch.tui.widgets.log_view import LogView
from autoresearch.tui.widgets.meters import Meters
from autoresearch.tui.widgets.running_now import now_items
from autoresearch.tui.widgets.state_line import PauseBanner, StateLine
from autoresearch.tui.widgets.table import Experiments
from autoresearch.tui.widgets.text_list import Item, TextList, dead_ends_of, ideas_of

_NO_IDEAS = "No idea is waiting; i adds one."
_NO_DEAD_ENDS = "Nothing has failed yet."
_NOTHING_RUNS = "Nothing is running."


class DashboardScreen(Arranged):
    AUTO_FOCUS = "#experiments"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "find", id="board.find", tooltip="Filter the experiments, or search the log"),
        Binding("enter", "open", "open", id="board.open", tooltip="Ideas and dead ends, with their reasons"),
        Binding("escape", "back", "back", id="board.back", tooltip="No filter, no search, no zoom"),
        Binding("right_square_bracket", "pick_log(1)", "log", show=False, id="board.next_log",
                tooltip="The next log: build, run, evaluate, guard, agent; past the last: as it comes"),
        Binding("left_square_bracket", "pick_log(-1)", "log", show=False, id="board.previous_log",
                tooltip="The log before"),
        Binding("f", "follow", "follow", id="board.follow", tooltip="Follow the end of the log"),
    ]  # fmt: skip

    def __init__(self, watched: Watched, palette: Palette) -> None:
        super().__init__()
        self.watched = watched
        self.session = watched.session
        self.palette = palette
        self.logs = LogSource(watched.session)
        self.progress = Progress()
        self.charted = Charted(watched.session, self.progress)
        self.gauges: Gauges | None = None

    @property
    def viewer(self) -> Viewer:
        return cast("Viewer", self.app)

    # -- arranging

    def compose(self) -> ComposeResult:
        palette = self.palette
        self.chart = Chart(palette, self.progress, id="chart")
        self.table = Experiments(palette, id="experiments", classes="pane")
        self.log_view = LogView(palette, id="log", classes="pane")
        self.log_view.message = "Nothing has been written yet."
        self.find = FindLine(self.table, self.log_view)
        yield StateLine(palette, id="state")
        yield PauseBanner(palette)
        with Horizontal(id="body"):
            with Vertical(id="main"):
                with Container(id="top"):
                    yield self.chart
                    with Vertical(id="side"):
                        yield Pulse(palette, self.progress, id="pulse")
                        yield TextList(palette, "now-side", message=_NOTHING_RUNS)
                yield self.table
                yield self.log_view
                yield TextList(palette, "ideas", "pane", _NO_IDEAS)
                yield TextList(palette, "dead", "pane", _NO_DEAD_ENDS)
                yield TextList(palette, "now", "pane", _NOTHING_RUNS)
                yield Meters(palette, id="machine", classes="pane")
            with Vertical(id="aside"):
                yield TextList(palette, "ideas-aside", message=_NO_IDEAS)
                yield TextList(palette, "dead-aside", message=_NO_DEAD_ENDS)
                yield Meters(palette, id="machine-aside")
        yield Static("", id="problem", markup=False)
        yield self.find
        yield KeyLine(palette, id="keys")

    def on_mount(self) -> None:
        self.gauges = Gauges(self, self.session.folder)
        self.gauges.start()
        self.fit(self.app.size)
        self.refresh_all()

    def on_unmount(self) -> None:
        if self.gauges is not None:
            self.gauges.stop()

    def words_of(self, pane: Pane) -> str:
        if pane == "chart":
            return f"{self.charted.words()}\n{self.chart.words}"
        if pane == "experiments":
            return self.table.words
        return self.logs.words(self.log_view, self.watched.history, self.watched.beating) if pane == "log" else ""

    # -- what a person asks for

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "back":
            return bool(self._leaving())
        if action == "open":
            return self.active in ("ideas", "dead")
        if action == "follow":
            return not self.log_view.following
        return super().check_action(action, parameters)

    def _leaving(self) -> str:
        """What escape ends: the nearest thing first."""
        if self.find.display:
            return "find"
        if self.active == "log" and self.log_view.wanted:
            return "search"
        if self.active == "experiments" and self.table.filter:
            return "filter"
        return "zoom" if self.zoomed else ""

    def action_back(self) -> None:
        what = self._leaving()
        if what in ("find", "filter") and self.active != "log":
            self.table.sieve("")
        if what == "search":
            self.log_view.seek("")
        if what == "find":
            self._close_find()
        elif what == "zoom":
            self.action_zoom()
        self.keys_changed()

    def action_open(self) -> None:
        self.viewer.open_ideas()

    def action_find(self) -> None:
        if self.active != "log":
            self.go_to("experiments", focus=False)
        self.find.ask(self.active == "log")

    def on_input_submitted(self) -> None:
        self._close_find()

    def _close_find(self) -> None:
        self.find.display = False
        self.widget_of(self.active).focus()

    def action_pick_log(self, by: int) -> None:
        self.go_to("log")
        self.logs.pick(self.log_view, self.watched.history, self.watched.beating, by)
        if self.watched.engine is not None:
            self._aim(self.watched.engine)
        self.show_titles()

    def action_follow(self) -> None:
        self.go_to("log")
        self.log_view.action_follow()

    # -- what the feed says

    def on_feed_opened(self, message: Feed.Opened) -> None:
        watched = self.watched
        watched.history = message.history
        self.charted.forget(watched.history)
        first, watched.opened = not watched.opened, True
        watched.problem, watched.gone = "", False
        self.refresh_all()
        if first:
            self.viewer.arrived()
        else:
            said = "The journal was replaced meanwhile (a pull, or a restore); this is what it says now."
            self.notify(said, timeout=8)

    def on_feed_reading(self, message: Feed.Reading) -> None:
        self.chart.show(self.charted.points(), f"Reading the journal … {message.part:.0%}")

    def on_feed_grew(self, message: Feed.Grew) -> None:
        for at, line in message.lines:
            self.watched.history.feed(at, line)
            self.viewer.notices.ring(bell.words_of(line, self.watched.history, self.session.name))
        self.refresh_all()

    def on_feed_failed(self, message: Feed.Failed) -> None:
        watched = self.watched
        went = message.gone and not watched.gone
        watched.problem, watched.gone = message.text, message.gone
        self.refresh_state()
        if went:
            self.viewer.session_gone()

    def on_feed_beat(self, message: Feed.Beat) -> None:
        watched = self.watched
        if self.session.archived != watched.archived:
            watched.archived = not watched.archived
            said = "This session was archived: lists leave it out, all of it is kept. ctrl+o shows the others."
            self.notify(said if watched.archived else "This session is in the lists again.", timeout=8)
        watched.live, watched.pid = watched.beat.saw(message.live, self.viewer.now_ms()), message.pid
        watched.inbox = message.inbox
        self.refresh_state()

    def on_feed_wrote(self, message: Feed.Wrote) -> None:
        self.log_view.look()

    @on(LogView.Moved)
    @on(Experiments.Arranged)
    @on(Chart.Viewed)
    def titles_changed(self) -> None:
        self.show_titles()
        self.keys_changed()

    def on_chart_asked(self, message: Chart.Asked) -> None:
        self.charted.turn(message.by)
        self._show_chart()
        self.show_titles()

    def on_chart_picked(self, message: Chart.Picked) -> None:
        self.table.choose(message.number)

    def on_gauges_read(self, message: Gauges.Read) -> None:
        for meters in self.query(Meters):
            meters.take(message.gauges)

    def on_experiments_chosen(self, message: Experiments.Chosen) -> None:
        self.viewer.open_experiment(message.number)

    # -- showing

    def refresh_all(self) -> None:
        """The journal said something new."""
        watched = self.watched
        watched.measure()
        ideas, dead = ideas_of(watched.history, self.palette), dead_ends_of(watched.history, self.palette)
        self._list(ideas, "ideas", "ideas-aside")
        self._list(dead, "dead", "dead-aside")
        self.show_titles()
        self.refresh_state()
        self.viewer.look_again()

    def refresh_state(self) -> None:
        """What may change without a journal line: the engine, its phase, the clock."""
        watched = self.watched
        now, can_start = self.viewer.now_ms(), not self.viewer.read_only
        if watched.opened:
            engine = watched.seen(now)
            watched.engine = engine if watched.gone else self.viewer.starting(engine)
        self.query_one("#state", StateLine).show(watched, now, can_start=can_start)
        self.query_one(PauseBanner).words = pausing_words(self.viewer)
        problem = self.query_one("#problem", Static)
        if watched.problem != getattr(problem, "said", ""):
            problem.said = watched.problem  # type: ignore[attr-defined]
            problem.update(watched.problem)
        self.set_class(bool(watched.problem) and not watched.opened, "-broken")
        self._show_chart()
        self.table.show(watched.history, watched.live, watched.running)
        items = now_items(watched, self.palette, can_start=can_start)
        self._list(items, "now", "now-side")
        if watched.engine is not None:
            self._aim(watched.engine)
        self._measure_machine()
        self.keys_changed()

    def _list(self, items: list[Item], *names: str) -> None:
        for name in names:
            self.query_one(f"#{name}", TextList).show(items)

    def _show_chart(self) -> None:
        watched = self.watched
        charted, chart = self.charted, self.chart
        if rows := charted.wanting():
            read = partial(charted.read, charted.metric, rows, len(watched.history.rows))
            if len(rows) > AT_ONCE:
                self.run_worker(
                    lambda: self.app.call_from_thread(self._take_metric, *read()), thread=True, group="metric"
                )
            else:
                charted.take(*read())
        chart.choose(charted.series)
        can_start = not self.viewer.read_only
        said = words.empty_chart(watched.engine, watched.live, watched.history, can_start=can_start)
        chart.show(charted.points(), said)

    def _take_metric(self, metric: str, values: dict[int, float], end: int) -> None:
        self.charted.take(metric, values, end)
        self._show_chart()

    def _measure_machine(self) -> None:
        """Only while somebody can see it, and only where the engine runs."""
        here = self.watched.host in ("", socket.gethostname())
        self.leave_out(set() if here else {"machine"})
        if self.gauges is not None:
            seen = here and self.is_current and any(meters.is_on_screen for meters in self.query(Meters))
            self.gauges.wanted.set() if seen else self.gauges.wanted.clear()

    def _aim(self, engine: Engine) -> None:
        """Point the log and the live series at the run that matters."""
        watched, log = self.watched, self.log_view
        self.logs.aim(log, watched.history, engine, watched.live)
        if log.file is not None:
            self.viewer.watch_run(log.file.path.parent)
        other = self.progress.aim(*watched.series())
        if self.progress.look() or other:
            self.query_one("#pulse", Pulse).look()
            self.chart.look()

    def keys_changed(self) -> None:
        pausing = self.watched.pausing
        shown = [each._replace(word="don't pause") if pausing and each.word == "pause" else each
                 for each in line_of(self)]  # fmt: skip
        if isinstance(self.focused, LogView):
            shown.append(Shown("[ ]", "other logs"))
        if not isinstance(self.focused, Input):
            shown.append(Shown(f"1-{len(self.there())}", "panes"))
        self.query_one(KeyLine).keys = sorted(dict.fromkeys(shown), key=lambda each: each.stays)
