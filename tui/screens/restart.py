"""Before a restart: the page to read first when a session is opened that is not running. Enter goes on at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize
from textual.widget import Widget

from autoresearch.state.config import ConfigError
from autoresearch.state.session import SessionError
from autoresearch.state.text import safe_line
from autoresearch.state.text.numbers import plural
from autoresearch.tui.actions.brief import written_brief
from autoresearch.tui.actions.lost_engine import last_words
from autoresearch.tui.facts import documents, ideas, limits
from autoresearch.tui.facts.messages import DEAF, clock
from autoresearch.tui.facts.restart import Returning, planned, returning
from autoresearch.tui.facts.text import GLYPHS
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens import idea_acts
from autoresearch.tui.screens.idea_picks import dead_pick, heading
from autoresearch.tui.screens.limit_questions import ask_value, asks_for_room
from autoresearch.tui.screens.session_page import SessionPage
from autoresearch.tui.widgets.pick_list import Pick, Picks
from autoresearch.tui.widgets.text_list import Item, TextList

_PREVIEW_FROM = 150
_SHOWN = 40
"""Of each list; the ideas screen has all."""
_LAST_WORDS = 6
_TALL = 30
"""Lines of a terminal in which so many last words leave room for what can be changed."""


class ReturningScreen(SessionPage):
    heading = "Before a restart"
    tells_gains = True
    AUTO_FOCUS = "#picks"
    CHANGES = frozenset({"veto", "move", "limit"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_on", "resume", id="returning.resume", priority=True, tooltip="Go on where it was"),
        Binding("v", "veto", "veto", id="returning.veto", tooltip="Take the idea under the cursor off the list"),
        Binding("K,shift+up", "move(-1)", "up", show=False, id="returning.up", tooltip="Move this idea up the list"),
        Binding("J,shift+down", "move(1)", "down", show=False, id="returning.down",
                tooltip="Move this idea down the list"),
        Binding("l", "limit", "limits", id="returning.limit", tooltip="Set a limit: experiments, hours, dollars, …"),
        Binding("b", "preview", "brief", id="returning.brief", tooltip="The next brief, with the changes made here"),
        Binding("o,right", "look_at", "look", show=False, id="returning.open",
                tooltip="Look at the experiment under the cursor"),
    ]  # fmt: skip

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette)
        self.previewing = False
        self._steps: list[str] = []
        self._planned = -1
        self._briefed: tuple[object, ...] = ()
        self._wide = False

    def body(self) -> Iterable[Widget]:
        with Container(id="split"):
            picks = Picks(self.palette, id="picks", classes="framed")
            picks.border_title = "What you may want to know"
            yield picks
            brief = TextList(self.palette, "brief", "framed", "Writing the brief …", most_lines=40)
            brief.border_title = "The next brief"
            brief.display = False
            yield brief

    def on_resize(self, event: Resize) -> None:
        super().on_resize(event)
        self._arrange(event.size.width)

    def _arrange(self, width: int) -> None:
        self._wide = width >= _PREVIEW_FROM
        self.query_one("#brief").display = self._wide or self.previewing
        self.query_one("#picks").display = self._wide or not self.previewing
        if self._wide or self.previewing:
            self._write_brief()

    # -- showing

    def facts(self) -> Returning:
        engine = self.viewer.watched.engine
        return returning(self.history, engine, self.viewer.bounds(), self.pending(), self._steps)

    def show(self) -> None:
        self._plan()
        facts = self.facts()
        self.query_one("#picks", Picks).show(list(self._page(facts)))
        self._arrange(self.app.size.width)

    def _page(self, facts: Returning) -> Iterator[Pick]:
        palette = self.palette
        when = f", {clock(facts.since)}" if facts.since else ""
        yield heading(f"Why it stopped{when}", self.palette)
        lost = facts.state == "ENGINE LOST"
        yield Pick("", "!" if lost or facts.limit else "·", palette.crash if lost else palette.keep, facts.why,
                   palette.strong)  # fmt: skip
        if next_step := self._next_step(facts):
            yield self._line(next_step)
        if lost:
            for words in last_words(self.viewer.session, _LAST_WORDS if self.app.size.height >= _TALL else 3):
                yield Pick("", "|", palette.quiet, words, palette.quiet)
        yield heading("What goes on", palette)
        for sentence in facts.in_flight or ("Nothing was in flight: it goes on with the next proposal.",):
            yield self._line(sentence, ">")
        yield heading("Limits left", self.palette)
        yield self._line("   ".join(facts.left) or "No limit is set.")
        if facts.asked:
            yield heading(f"Asked and not obeyed yet ({len(facts.asked)})", self.palette)
            for each in facts.asked:
                yield self._line(each.words, "…")
        yield from self._warnings(facts)
        yield from self._ideas(facts)
        yield from self._since(facts)

    def _next_step(self, facts: Returning) -> str:
        """What a person does about it, by the keys of this page where there are some."""
        if self.viewer.read_only:
            return facts.fix
        if facts.used_up:
            left = "Nothing is left of it" if facts.used_up == facts.limit else f"It would pause at once: {facts.held}"
            return f"{left}; l sets another limit."
        if facts.limit not in limits.KINDS:
            return facts.fix
        if facts.limit == "until":
            return "Enter goes on until then tomorrow; l sets another time."
        return "The limits leave room now: enter goes on."

    def _line(self, text: str, mark: str = "·") -> Pick:
        return Pick("", mark, self.palette.quiet, text, self.palette.text)

    def _warnings(self, facts: Returning) -> Iterator[Pick]:
        if facts.warnings:
            yield heading(f"Warnings since the last start ({len(facts.warnings)})", self.palette)
        for notice in facts.warnings[:_SHOWN]:
            text = safe_line(notice.text) + (f" {safe_line(notice.fix)}" if notice.fix else "")
            key = f"#{notice.experiment}" if notice.experiment in self.history.by_number else ""
            yield Pick(key, "!", self.palette.checks, text, self.palette.text)

    def _ideas(self, facts: Returning) -> Iterator[Pick]:
        palette = self.palette
        yield heading(f"Ideas to try, in this order ({len(facts.ideas)})", self.palette)
        if not facts.ideas:
            yield self._line("None is waiting; i adds one.")
        for number, entry in enumerate(facts.ideas[:_SHOWN], 1):
            tail = f"… {entry.pending}" if entry.pending else ""
            yield Pick(entry.id, f"{number:>2}", palette.keep, entry.text, palette.text, entry.id, tail)

    def _since(self, facts: Returning) -> Iterator[Pick]:
        palette = self.palette
        since = f" of {clock(facts.started_ms)}" if facts.started_ms else ""
        finished = plural(facts.finished, "experiment")
        yield heading(f"Since the last start{since}: {finished}, {len(facts.keeps)} kept", palette)
        for row in facts.keeps[:_SHOWN]:
            tail = documents.evidence_text(row) or documents.metric_text(row.metric, self.history)
            key, text = f"#{row.number}", safe_line(row.description)
            yield Pick(key, GLYPHS["keep"], palette.keep, text, palette.text, lead=key, tail=tail)
        for name, entries in facts.dead.items():
            if entries:
                total = sum(len(entry.experiments) or 1 for entry in entries)
                yield heading(f"{ideas.TITLES[name]} since then ({total})", self.palette)
            for entry in entries[:_SHOWN]:
                key = f"#{entry.experiments[0]}" if len(entry.experiments) == 1 else entry.id
                yield dead_pick(key, entry, self.palette)
            if len(entries) > _SHOWN:
                yield self._line(f"{len(entries) - _SHOWN} more; d shows all")

    # -- what takes a moment: git, and the brief

    def _plan(self) -> None:
        """Ask git what recovery will find, beside the first frame; again when an engine has been there."""
        if self._planned == self.history.resumed_ms:
            return
        self._planned = self.history.resumed_ms
        place, session, history = self.viewer.place, self.viewer.session, self.history

        def plan() -> None:
            steps = planned(place, session, history)
            self.app.call_from_thread(self._take_steps, steps)

        self.run_worker(plan, thread=True, exclusive=True, group="plan", exit_on_error=False)

    def _take_steps(self, steps: list[str]) -> None:
        if steps != self._steps and self.is_mounted:
            self._steps = steps
            self.show_again()

    def _write_brief(self) -> None:
        stamp = (self.history.lines, self.viewer.session.name)
        if stamp == self._briefed:
            return
        self._briefed = stamp
        place, session = self.viewer.place, self.viewer.session

        def write() -> None:
            history = session.history()  # one of its own: the screen's may grow meanwhile
            try:
                text = written_brief(place, session, history)
            except (SessionError, ConfigError, OSError) as error:
                text = f"It cannot be written now: {error}"
            deaf = history.agent[0] in DEAF
            self.app.call_from_thread(self._show_brief, text, history.agent[0] if deaf else "")

        self.run_worker(write, thread=True, exclusive=True, group="brief", exit_on_error=False)

    def _show_brief(self, text: str, deaf: str) -> None:
        if not self.is_mounted:
            return
        palette = self.palette
        items: list[Item] = []
        if deaf:
            items.append(
                ("!", palette.checks, f"The {deaf} reads no brief; this is for an agent that does.", palette.text)
            )
        for line in text.splitlines():
            if line.startswith("#"):
                items.append(("", palette.title, safe_line(line.lstrip("# ")), palette.title))
            elif line.strip():
                items.append((" ", palette.quiet, safe_line(line.replace("\t", " ")), palette.text))
        brief = self.query_one("#brief", TextList)
        brief.border_subtitle = f"{len(text):,} characters"
        brief.show(items)

    # -- acting

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        said = super().refusal(action, parameters)
        if said or not self.is_mounted:
            return said
        if action == "go_on":
            return self.viewer.refusal("resume", ())
        picked = self.query_one("#picks", Picks).picked
        if action == "veto" and picked not in self.history.ideas and picked not in self.history.dead_ends:
            return "Put the cursor on an idea first (j, k)."
        if action == "move":
            by = parameters[0] if parameters and isinstance(parameters[0], int) else 1
            if ideas.moved(self.history, picked, by) is None:
                return "Put the cursor on an idea that can move there."
        if action == "look_at" and not picked.startswith(("#", "=")):
            return "Put the cursor on an experiment first (j, k)."
        return ""

    def action_go_on(self) -> None:
        if not asks_for_room(self.viewer):
            self.dismiss(None)
            self.viewer.action_resume()

    def action_veto(self) -> None:
        picked = self.query_one("#picks", Picks).picked
        known = self.history.ideas.get(picked) or self.history.dead_ends[picked]
        idea_acts.veto(self, picked, safe_line(known.text))

    def action_move(self, by: int) -> None:
        idea_acts.move(self, self.query_one("#picks", Picks).picked, by)

    def action_limit(self) -> None:
        bounds = self.viewer.bounds()
        options = [
            (name, f"{kind.words} (now {limits.amount(name, bounds.get(name))})") for name, kind in limits.KINDS.items()
        ]
        self.ask_which("Set a limit", "Which one?", options, partial(ask_value, self.viewer), self.facts().limit)

    def action_preview(self) -> None:
        self.previewing = not self.previewing
        self._arrange(self.app.size.width)
        self.query_one("#brief" if self.previewing else "#picks").focus()

    def action_back(self) -> None:
        if self.previewing and not self._wide:
            self.action_preview()
        else:
            super().action_back()

    def action_close(self) -> None:
        """It is what a session opens with, so leaving from here is leaving."""
        self.viewer.action_leave()

    def action_look_at(self) -> None:
        picked = self.query_one("#picks", Picks).picked
        if picked.startswith("#"):
            self.viewer.open_experiment(int(picked[1:]))
        else:
            self.viewer.open_ideas()
