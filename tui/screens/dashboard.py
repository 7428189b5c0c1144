"""The first screen: arranges the widgets for the terminal's size and passes on what the feed found."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import Input, Static

from autoresearch.engine import verdict
from autoresearch.state.journal import History
from autoresearch.state.session import Heartbeat, Live, Request, Session
from autoresearch.tui.facts import documents, logs, words
from autoresearch.tui.facts.engine import Engine, engine_of
from autoresearch.tui.live import bell
from autoresearch.tui.live.feed import Feed
from autoresearch.tui.live.gauges import Gauges
from autoresearch.tui.live.growing_files import Progress
from autoresearch.tui.look.keys import Shown, line_of
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.chart_source import Charted
from autoresearch.tui.screens.pane_layout import Arranged
from autoresearch.tui.screens.panes import Pane
from autoresearch.tui.screens.viewer import Viewer
from autoresearch.tui.widgets.chart import Chart
from autoresearch.tui.widgets.key_line import KeyLine
from autoresearch.tui.widgets.log_view import LogView
from autoresearch.tui.widgets.meters import Meters
from autoresearch.tui.widgets.pause_banner import PauseBanner
from autoresearch.tui.widgets.pulse import Pulse
from autoresearch.tui.widgets.running_now import now_items
from autoresearch.tui.widgets.state_line import StateLine
from autoresearch.tui.widgets.table import Experiments
from autoresearch.tui.widgets.text_list import TextList, dead_ends_of, ideas_of

_GONE = Engine("gone", reason="this session's folder was deleted or moved; ctrl+o shows the others")


class DashboardScreen(Arranged):
    AUTO_FOCUS = "#experiments"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "find", id="board.find", tooltip="Filter the experiments, or search the log"),
        Binding("enter", "open", "open", id="board.open", tooltip="Ideas and dead ends, with their reasons"),
        Binding("escape", "back", "back", id="board.back", tooltip="No filter, no search, no zoom"),
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
        Binding("f", "follow", "follow", id="board.follow", tooltip="Follow the end of the log"),
    ]

    def __init__(self, session: Session, title: str, palette: Palette, beat: Heartbeat) -> None:
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
        self.inbox: list[Request] = []
        self.beat = beat
        self.problem = ""
        self.gone = False
        """The session's folder is not there any more."""
        self.archived = session.archived
        self.gain: dict[str, Any] = {}
        self._gain_of: tuple[object, ...] = ()
        self.picked = ""  # the kind of log a person wants to see; "": the one that is being written
        self.progress = Progress()
        self.charted = Charted(session, self.progress)
        self.gauges: Gauges | None = None

    @property
    def viewer(self) -> Viewer:
        return cast("Viewer", self.app)

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
        yield PauseBanner(palette)
        with Horizontal(id="body"):
            with Vertical(id="main"):
                with Container(id="top"):
                    yield Chart(palette, self.progress, id="chart")
                    with Vertical(id="side"):
                        yield Pulse(palette, self.progress, id="pulse")
                        yield TextList(palette, id="now-side")
                yield Experiments(palette, id="experiments", classes="pane")
                yield LogView(palette, id="log", classes="pane")
                yield TextList(palette, id="ideas", classes="pane")
                yield TextList(palette, id="dead", classes="pane")
                yield TextList(palette, id="now", classes="pane")
                yield Meters(palette, id="machine", classes="pane")
            with Vertical(id="aside"):
                yield TextList(palette, id="ideas-aside")
                yield TextList(palette, id="dead-aside")
                yield Meters(palette, id="machine-aside")
        yield Static("", id="problem", markup=False)
        find = Input(id="find", compact=True)
        find.cursor_blink = False  # half a kilobyte a second over a slow line
        yield find
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
        self.gauges = Gauges(self, self.session.folder)
        self.gauges.start()
        self.fit(self.app.size)
        self.refresh_all()

    def on_unmount(self) -> None:
        if self.gauges is not None:
            self.gauges.stop()

    def words_of(self, pane: Pane) -> str:
        if pane == "chart":
            return f"{self.charted.words()}\n{self.query_one('#chart', Chart).words}"
        if pane == "experiments":
            return self.query_one("#experiments", Experiments).words
        return self._log_words() if pane == "log" else ""

    def _log_words(self) -> str:
        log = self.query_one("#log", LogView)
        number = self.live.experiment if self.live is not None and self.running else None
        name = logs.title_of(self.session, log.file.path, number or logs.last(self.history)) if log.file else ""
        parts = [f"{name}, picked" if self.picked else name]
        if not log.following:
            parts = [f"{log.unread:,} new, f follows" if log.unread else "f follows"]
        if log.searched:
            parts.insert(0, log.searched)
        return " · ".join(parts)

    # -- what a person asks for

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "back":
            return bool(self._leaving())
        if action == "open":
            return self.active in ("ideas", "dead")
        if action == "follow":
            return not self.query_one("#log", LogView).following
        return super().check_action(action, parameters)

    def _leaving(self) -> str:
        """What escape ends: the nearest thing first."""
        if self.query_one("#find").display:
            return "find"
        if self.active == "log" and self.query_one("#log", LogView).wanted:
            return "search"
        if self.active == "experiments" and self.query_one("#experiments", Experiments).filter:
            return "filter"
        return "zoom" if self.zoomed else ""

    def action_back(self) -> None:
        what = self._leaving()
        if what in ("find", "filter") and self.active != "log":
            self.query_one("#experiments", Experiments).sieve("")
        if what == "search":
            self.query_one("#log", LogView).seek("")
        if what == "find":
            self._close_find()
        elif what == "zoom":
            self.action_zoom()
        self.keys_changed()

    def action_open(self) -> None:
        self.viewer.open_ideas()

    def action_find(self) -> None:
        """A line to type in: words for the log when it is active, for the experiments otherwise."""
        if self.active != "log":
            self.go_to("experiments", focus=False)
        find = self.query_one("#find", Input)
        log = self.active == "log"
        find.value = (
            self.query_one("#log", LogView).wanted
            if log
            else " ".join(self.query_one("#experiments", Experiments).filter.words)
        )
        find.placeholder = "words in the log" if log else "keep, crash, unproven, #12, any words; -word leaves out"
        find.display = True
        find.focus()

    def _close_find(self) -> None:
        self.query_one("#find").display = False
        self.widget_of(self.active).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if self.active != "log" and self.query_one("#find").display:
            self.query_one("#experiments", Experiments).sieve(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self.active == "log":
            self.query_one("#log", LogView).seek(event.value.strip())
        self._close_find()

    def action_pick_log(self, by: int) -> None:
        """Go through the run's logs, and past either end back to the one that is being written."""
        self.go_to("log")
        log = self.query_one("#log", LogView)
        there = ["", *logs.logs_of(self.session, self.history, self.live if self.running else None)]
        shown = log.file.path.name if log.file is not None else ""
        at = there.index(self.picked or shown) if (self.picked or shown) in there else 0
        self.picked = there[(at + by) % len(there)]
        if self.engine is not None:
            self._aim(self.engine)
        self.show_titles()

    def action_follow(self) -> None:
        self.go_to("log")
        self.query_one("#log", LogView).action_follow()

    # -- what the feed says

    def on_feed_opened(self, message: Feed.Opened) -> None:
        self.history = message.history
        self.charted.forget(self.history)
        first, self.opened = not self.opened, True
        self.problem, self.gone = "", False
        self.refresh_all()
        if first:
            self.viewer.arrived()
        else:
            self.notify(
                "The journal was replaced meanwhile (a pull, or a restore); this is what it says now.", timeout=8
            )

    def on_feed_reading(self, message: Feed.Reading) -> None:
        self.query_one("#chart", Chart).show(self.charted.points(), f"Reading the journal … {message.part:.0%}")

    def on_feed_grew(self, message: Feed.Grew) -> None:
        for at, line in message.lines:
            self.history.feed(at, line)
            self.viewer.notices.ring(bell.words_of(line, self.history, self.session.name))
        self.refresh_all()

    def on_feed_failed(self, message: Feed.Failed) -> None:
        went, self.problem, self.gone = message.gone and not self.gone, message.text, message.gone
        self.refresh_state()
        if went:
            self.viewer.session_gone()

    def on_feed_beat(self, message: Feed.Beat) -> None:
        if self.session.archived != self.archived:
            self.archived = not self.archived
            self.notify(
                "This session was archived: lists leave it out, all of it is kept. ctrl+o shows the others."
                if self.archived
                else "This session is in the lists again.",
                timeout=8,
            )
        self.live, self.pid = self.beat.saw(message.live, self.viewer.now_ms()), message.pid
        self.inbox = message.inbox
        self.refresh_state()

    def on_feed_wrote(self, message: Feed.Wrote) -> None:
        self.query_one("#log", LogView).look()

    def on_log_view_moved(self, message: LogView.Moved) -> None:
        self.show_titles()
        self.keys_changed()

    def on_experiments_arranged(self, message: Experiments.Arranged) -> None:
        self.show_titles()
        self.keys_changed()

    def on_chart_viewed(self, message: Chart.Viewed) -> None:
        self.show_titles()
        self.keys_changed()

    def on_chart_asked(self, message: Chart.Asked) -> None:
        self.charted.turn(message.by)
        self._show_chart()
        self.show_titles()

    def on_chart_picked(self, message: Chart.Picked) -> None:
        self.query_one("#experiments", Experiments).choose(message.number)

    def on_gauges_read(self, message: Gauges.Read) -> None:
        for meters in self.query(Meters):
            meters.take(message.gauges)

    def on_experiments_chosen(self, message: Experiments.Chosen) -> None:
        self.viewer.open_experiment(message.number)

    # -- showing

    def refresh_all(self) -> None:
        """The journal said something new."""
        self.bounds = documents.limits(self.session, self.history, {})
        self._measure_gain()
        ideas, dead = ideas_of(self.history, self.palette), dead_ends_of(self.history, self.palette)
        for name, items in (("ideas", ideas), ("ideas-aside", ideas), ("dead", dead), ("dead-aside", dead)):
            self.query_one(f"#{name}", TextList).show(items)
        self.show_titles()
        self.refresh_state()
        self.viewer.look_again()

    def _measure_gain(self) -> None:
        """The best against the baseline; reads their samples, so only when one of the two or the noise is another."""
        history = self.history
        stamp = (history.incumbent and history.incumbent.number, history.segment, history.spread.nu)
        if stamp != self._gain_of and history.incumbent is not None:
            baselines = sum(row.cause == "baseline" and row.status == "keep" for row in history.rows)
            self.gain = {**verdict.gain_of(self.session, history), "baselines": baselines}
            self._gain_of = stamp

    def refresh_state(self) -> None:
        """What may change without a journal line: the engine, its phase, the clock."""
        now = self.viewer.now_ms()
        if self.opened:
            engine = engine_of(self.history.control, self.beat, self.pid, now, begun=self.history.lines > 1)
            self.engine = _GONE if self.gone else self.viewer.starting(engine)
        bounds = self.bounds | (self.live.limits if self.live is not None and self.running else {})
        self.query_one("#state", StateLine).show(
            self.heading,
            self.engine,
            self.live,
            self.history,
            bounds,
            self.gain,
            self.engine.clock(now) if self.engine is not None else now,
            can_start=not self.viewer.read_only,
        )
        self.query_one(PauseBanner).show(self.viewer.pausing_words())
        problem = self.query_one("#problem", Static)
        if self.problem != getattr(problem, "said", ""):
            problem.said = self.problem  # type: ignore[attr-defined]
            problem.update(self.problem)
        self.set_class(bool(self.problem) and not self.opened, "-broken")
        self._show_chart()
        self.query_one("#experiments", Experiments).show(self.history, self.live, self.running)
        can_start = not self.viewer.read_only
        items = now_items(self.engine, self.live, self.history, self.palette, can_start=can_start)
        for name in ("now", "now-side"):
            self.query_one(f"#{name}", TextList).show(items)
        if self.engine is not None:
            self._aim(self.engine)
        self._measure_machine()
        self.keys_changed()

    def _show_chart(self) -> None:
        charted, chart = self.charted, self.query_one("#chart", Chart)
        if charted.in_a_thread():
            self.run_worker(partial(self._read_metric, charted.read(charted.wanting())), thread=True, group="metric")
        elif rows := charted.wanting():
            charted.take(*charted.read(rows)())
        chart.choose(charted.series)
        can_start = not self.viewer.read_only
        chart.show(charted.points(), words.empty_chart(self.engine, self.live, self.history, can_start=can_start))

    def _read_metric(self, work: Callable[[], tuple[str, dict[int, float], int]]) -> None:
        self.app.call_from_thread(self._take_metric, *work())

    def _take_metric(self, metric: str, values: dict[int, float], end: int) -> None:
        self.charted.take(metric, values, end)
        self._show_chart()

    def _measure_machine(self) -> None:
        """Only while somebody can see it, and only where the engine runs."""
        header = self.history.header
        host = self.live.host if self.live is not None else header.host if header is not None else ""
        here = host in ("", socket.gethostname())
        self.leave_out(set() if here else {"machine"})
        if self.gauges is not None:
            seen = here and self.is_current and any(meters.is_on_screen for meters in self.query(Meters))
            self.gauges.wanted.set() if seen else self.gauges.wanted.clear()

    def _aim(self, engine: Engine) -> None:
        """Point the log and the live series at the run that matters."""
        log = self.query_one("#log", LogView)
        live = self.live if self.running else None
        path = logs.logs_of(self.session, self.history, live).get(self.picked) if self.picked else None
        before = log.file.path if log.file else None
        log.aim(path or logs.log_of(self.session, self.history, engine, self.live, before))
        if log.file is not None:
            self.viewer.watch_run(log.file.path.parent)
        opened, best = self.history.open, self.history.incumbent
        other = self.progress.aim(
            self.session.run(opened.number) / "progress.jsonl" if opened else None,
            self.session.run(best.number) / "progress.jsonl" if best and opened and opened.proposal else None,
        )
        if self.progress.look() or other:
            self.query_one("#pulse", Pulse).look()
            self.query_one("#chart", Chart).look()

    def keys_changed(self) -> None:
        pausing = self.viewer.pausing()
        shown = [each._replace(word="don't pause") if pausing and each.word == "pause" else each
                 for each in line_of(self)]  # fmt: skip
        if isinstance(self.focused, LogView):
            shown.append(Shown("[ ]", "other logs"))
        if not isinstance(self.focused, Input):
            shown.append(Shown(f"1-{len(self.there())}", "panes"))
        self.query_one("#keys", KeyLine).show(sorted(dict.fromkeys(shown), key=lambda each: each.stays))
