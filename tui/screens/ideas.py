"""Ideas and dead ends: what is left to try and in which order, what failed and why, over all sessions when searched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Input

from autoresearch.state.journal import History, Row, records
from autoresearch.state.session import SessionError, open_session, target_of
from autoresearch.state.text import safe_line
from autoresearch.tui.facts import ideas
from autoresearch.tui.facts.ideas import Entry, Filter
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.idea_details import details_of, details_of_family, details_of_hit
from autoresearch.tui.screens.session_page import SessionPage, literal
from autoresearch.tui.widgets.pick_list import Pick, Picks
from autoresearch.tui.widgets.plot import GLYPHS
from autoresearch.tui.widgets.text_list import TextList

Tab = Literal["ideas", "dead", "families", "search"]
TABS: tuple[Tab, ...] = ("ideas", "dead", "families", "search")
_TITLES = {"ideas": "Ideas", "dead": "Dead ends", "families": "Families", "search": "Search"}
_STATES = {"open": "To try, in this order", "taken": "Being tried", "tried": "Tried", "vetoed": "Vetoed"}
_EMPTY = {
    "ideas": "No idea is waiting. i adds one; agents add theirs as they go.",
    "dead": "Nothing has failed yet.",
    "families": "No experiment has a verdict yet.",
    "search": "Type words to search every experiment of every session here.",
}
_FOUND = 200


class IdeasScreen(SessionPage):
    heading = "Ideas and dead ends"
    tells_gains = True
    AUTO_FOCUS = "#picks"
    CHANGES = frozenset({"edit", "veto", "restore", "move", "give_up", "retry"})
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(n), f"tab('{tab}')", _TITLES[tab].lower(), show=False, id=f"ideas.tab_{tab}",
                    tooltip=f"{_TITLES[tab]}: show them")
            for n, tab in enumerate(TABS, 1)
        ),
        Binding("tab", "next_tab(1)", "next", show=False, id="ideas.next", tooltip="The next list"),
        Binding("shift+tab", "next_tab(-1)", "previous", show=False, id="ideas.previous", tooltip="The list before"),
        Binding("e", "edit", "edit", id="ideas.edit", tooltip="Change the text of this idea"),
        Binding("v", "veto", "veto", id="ideas.veto", tooltip="Take this off the list"),
        Binding("u", "restore", "restore", id="ideas.restore", tooltip="Put this vetoed idea back on the list"),
        Binding("K,shift+up", "move(-1)", "up", key_display="K", id="ideas.up", tooltip="Move this idea up the list"),
        Binding("J,shift+down", "move(1)", "down", key_display="J", id="ideas.down",
                tooltip="Move this idea down the list"),
        Binding("x", "give_up", "dead end", id="ideas.give_up", tooltip="Write this down as a dead end, with a reason"),
        Binding("t", "retry", "try again", id="ideas.retry", tooltip="Try this experiment's change again"),
        Binding("slash", "filter", "filter", key_display="/", id="ideas.filter", tooltip="Only what holds these words"),
        Binding("c", "choose('category')", "category", show=False, id="ideas.category", tooltip="Only one category"),
        Binding("o", "choose('cause')", "reason", show=False, id="ideas.cause", tooltip="Only one reason of failing"),
        Binding("w", "choose('where')", "list", show=False, id="ideas.where", tooltip="Only one of the three lists"),
    ]  # fmt: skip

    def __init__(self, palette: Palette, tab: Tab = "ideas") -> None:
        super().__init__(palette)
        self.tab: Tab = tab
        self.chosen = Filter()
        self._entries: dict[str, Entry] = {}
        self._families: dict[str, ideas.Family] = {}
        self._hits: dict[str, dict[str, object]] = {}
        self._asked: tuple[str, Filter] = ("", self.chosen)

    def body(self) -> Iterable[Widget]:
        field = Input(placeholder=_EMPTY["search"], id="words")
        field.cursor_blink = False
        yield field
        with Container(id="split"):
            yield Picks(self.palette, id="picks", classes="framed")
            details = TextList(self.palette, id="details", classes="framed")
            details.most_lines = 60
            details.can_focus = False
            yield details

    # -- showing

    def show(self) -> None:
        picks = self.query_one("#picks", Picks)
        self.query_one("#words").display = self.tab == "search"
        picks.message = _EMPTY[self.tab]
        if self.tab == "ideas":
            shown = self._ideas()
        elif self.tab == "dead":
            shown = self._dead_ends()
        elif self.tab == "families":
            shown = self._family_picks()
        else:
            shown = self._found()
        if not shown and self.chosen and self.tab != "search":
            picks.message = f"Nothing here is {self.chosen.said()}; esc shows all."
        picks.show(shown)
        names = (f"[b $tab-on]{n} {self._title(t)}[/]" if t == self.tab else f"[$tab-off]{n} {self._title(t)}[/]"
                 for n, t in enumerate(TABS, 1))  # fmt: skip
        picks.border_title = "[$tab-off] · [/]".join(names)
        picks.border_subtitle = literal(f"only {self.chosen.said()}") if self.chosen else ""
        self._detail()

    def _title(self, tab: Tab) -> str:
        """With the number that a filter leaves: what is looked for may be in another list."""
        if not self.chosen or tab == "search":
            return _TITLES[tab]
        if tab == "families":
            return f"{_TITLES[tab]} ({len(ideas.families(self.history, self.chosen))})"
        found = (
            ideas.dead_ends(self.history, self.chosen)
            if tab == "dead"
            else ideas.ideas(self.history, self.pending(), self.chosen)
        )
        return f"{_TITLES[tab]} ({sum(map(len, found.values()))})"

    def _ideas(self) -> list[Pick]:
        palette = self.palette
        found = ideas.ideas(self.history, self.pending(), self.chosen)
        self._entries = {}
        picks: list[Pick] = []
        for state, title in _STATES.items():
            entries = found[state]
            if entries:
                picks.append(Pick("", "", palette.title, f"{title} ({len(entries)})", palette.title))
            picks += [self._idea(entry, number) for number, entry in enumerate(entries, 1)]
        return picks

    def _idea(self, entry: Entry, number: int) -> Pick:
        palette = self.palette
        key = entry.id or f"+{number}"
        self._entries[key] = entry
        text = entry.text + (f" ({entry.reason})" if entry.reason else "")
        if entry.where == "open":
            mark, style, text_style = f"{number:>2}", palette.keep, palette.text
        elif entry.where == "taken":
            mark, style, text_style = " >", palette.run, palette.text
        elif entry.where == "tried" and entry.status:
            mark, style, text_style = (
                f" {GLYPHS[entry.status]}",
                palette.status(entry.status, entry.cause),
                palette.quiet,
            )
        else:
            mark, style, text_style = " –", palette.quiet, palette.quiet
        tail = f"… {entry.pending}" if entry.pending else entry.estimate if entry.where == "tried" else ""
        return Pick(key, mark, style, text, text_style, lead=entry.id, tail=tail)

    def _dead_ends(self) -> list[Pick]:
        palette = self.palette
        found = ideas.dead_ends(self.history, self.chosen)
        going = {str(each.args.get("id")): each.words for each in self.pending() if each.kind == "veto"}
        self._entries = {}
        picks: list[Pick] = []
        for name, entries in found.items():
            if not entries:
                continue
            total = sum(len(entry.experiments) or 1 for entry in entries)
            picks.append(Pick("", "", palette.title, f"{ideas.TITLES[name]} ({total})", palette.title))
            for entry in entries:
                key = entry.id if entry.kind != "knob" else f"{name}{entry.id}"
                self._entries[key] = entry
                picks.append(self._dead(key, entry, going.get(entry.id, "")))
        return picks

    def _dead(self, key: str, entry: Entry, pending: str) -> Pick:
        palette = self.palette
        status: str = entry.status or ("crash" if entry.where == "crashed" else "discard")
        style = palette.status(status, "unproven" if entry.where == "unproven" else entry.cause)
        text = entry.text
        if entry.kind == "experiment" and entry.where == "crashed":
            text += f" ({entry.cause.replace('_', ' ')})"
        if entry.reason:
            text += f". {entry.reason}"
        if entry.retry_if:
            text = f"{text.rstrip('.')}. Retry if {entry.retry_if}."
        mark = "≡" if entry.kind == "knob" else GLYPHS[status]
        lead = "" if entry.kind == "knob" else entry.id
        tail = f"… {pending}" if pending else entry.estimate
        return Pick(key, mark, style, text, palette.text, lead=lead, tail=tail)

    def _family_picks(self) -> list[Pick]:
        palette = self.palette
        self._families = {f"={family.name}": family for family in ideas.families(self.history, self.chosen)}
        picks = []
        for key, family in self._families.items():
            counts = ((family.kept, "✓"), (family.refuted, "×"), (family.unproven, "~"), (family.crashed, "!"))
            fates = " ".join(f"{count}{mark}" for count, mark in counts if count)
            line = family.line if family.line.startswith(family.called) else f"{family.called}: {family.line}"
            style = palette.keep if family.kept else palette.quiet
            picks.append(Pick(key, f"{family.tried:>3}", style, line, palette.text, tail=fates))
        return picks

    def _found(self) -> list[Pick]:
        palette = self.palette
        return [
            Pick(key, GLYPHS[str(hit["status"])], palette.status(str(hit["status"]), str(hit["cause"])),
                 str(hit["description"]), palette.text, lead=f"{hit['session']} #{hit['number']}")
            for key, hit in self._hits.items()
        ]  # fmt: skip

    def on_picks_moved(self) -> None:
        self._detail()
        self.show_keys()

    def _detail(self) -> None:
        key = self.query_one("#picks", Picks).picked
        details = self.query_one("#details", TextList)
        details.message = "What is under the cursor is shown here whole."
        if self.tab == "families" and key in self._families:
            shown = details_of_family(self._families[key], self.history, self.palette)
        elif self.tab == "search" and key in self._hits:
            shown = details_of_hit(self._hits[key], self.palette)
        elif key in self._entries and self.tab in ("ideas", "dead"):
            shown = details_of(self._entries[key], self.history, self.palette)
        else:
            shown = []
        details.show([(mark, style, safe_line(text), look) for mark, style, text, look in shown])
        details.to_line(0)

    @property
    def entry(self) -> Entry | None:
        if self.tab not in ("ideas", "dead"):
            return None
        return self._entries.get(self.query_one("#picks", Picks).picked)

    # -- going about

    def action_tab(self, tab: Tab) -> None:
        self.tab = tab
        if tab == "search" and self._asked[1] != self.chosen:
            self._search()
        self.show_again()
        (self.query_one("#words") if tab == "search" and not self._hits else self.query_one("#picks")).focus()

    def action_next_tab(self, by: int) -> None:
        self.action_tab(TABS[(TABS.index(self.tab) + by) % len(TABS)])

    def on_picks_chosen(self, message: Picks.Chosen) -> None:
        if self.tab == "search":
            self._open_hit(self._hits[message.key])
            return
        if self.tab == "families":
            family = self._families[message.key]
            title, numbers = family.called, family.experiments
        else:
            entry = self._entries[message.key]
            title, numbers = entry.text, entry.experiments
        if not numbers:
            self.notify("No experiment has tried this yet.", timeout=4)
        elif len(numbers) == 1:
            self.viewer.open_experiment(numbers[0])
        else:
            self.app.push_screen(ExperimentsOf(self.palette, title, numbers))

    def _open_hit(self, hit: dict[str, object]) -> None:
        name, number = str(hit["session"]), hit["number"]
        assert isinstance(number, int)
        if name == self.viewer.session.name:
            self.viewer.open_experiment(number)
            return
        try:
            session = open_session(self.viewer.repository, name)
            place = replace(self.viewer.repository, prefix=target_of(session))
        except (SessionError, OSError):
            words = f"Session {name} cannot be opened here; `autoresearch show {number} -s {name}` may say why."
            self.notify(safe_line(words), severity="error", timeout=8, markup=False)
            return
        self.viewer.open_session(place, session, number)
        self.viewer.notify(safe_line(f"This is session {name}; ctrl+o shows the others."), timeout=6, markup=False)

    # -- search and filters

    def on_input_changed(self, message: Input.Changed) -> None:
        if message.input.id == "words":
            self._search()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        if message.input.id == "words":
            self.query_one("#picks").focus()

    def _search(self) -> None:
        chosen = self.chosen
        words = f"{chosen.words} {self.query_one('#words', Input).value}".lstrip()
        asked = self._asked = (words, chosen)
        self.query_one("#picks", Picks).message = "Searching …" if words.strip() else _EMPTY["search"]

        def find() -> None:
            from autoresearch.tui.facts.search import found_in

            try:
                document = found_in(
                    self.viewer.place, words, _FOUND, where=chosen.where, category=chosen.category, cause=chosen.cause
                )
            except (SessionError, OSError) as error:
                self.app.call_from_thread(self.notify, safe_line(str(error)), severity="error", timeout=8, markup=False)
                return
            self.app.call_from_thread(self._take, asked, document["found"])

        if words.strip() or chosen:
            self.run_worker(find, thread=True, exclusive=True, group="search", exit_on_error=False)
        else:
            self._take(asked, [])

    def _take(self, asked: tuple[str, Filter], found: list[dict[str, object]]) -> None:
        if asked != self._asked or not self.is_mounted:
            return  # another thing was asked meanwhile
        self._hits = {f"{hit['session']} #{hit['number']}": hit for hit in found}
        self.show_again()
        if not found and (asked[0].strip() or asked[1]):
            self.query_one("#picks", Picks).message = "Nothing on record matches."
            self.query_one("#picks").refresh()

    def _only(self, **changes: str) -> None:
        before = self.chosen
        self.chosen = Filter(**{name: changes.get(name, getattr(before, name))
                                for name in ("words", "category", "where", "cause")})  # fmt: skip
        if self.tab == "search":
            self._search()
        self.show_again()

    def action_filter(self) -> None:
        if self.tab == "search":
            self.query_one("#words").focus()
            return
        text = "Only what holds all these words; empty shows all."
        self.ask_line("Filter", text, "words", lambda words: self._only(words=words), self.chosen.words)

    def action_choose(self, what: Literal["category", "cause", "where"]) -> None:
        if what == "where":
            options = list(ideas.TITLES.items())
        else:
            known = ideas.choices(self.history)[what]
            options = [(name, f"{name.replace('_', ' ')} ({count})") for name, count in known[:20]]
        title = {"category": "Category", "cause": "Reason", "where": "List"}[what]
        options = [("", "all"), *options]
        self.ask_which(
            title, "Show only", options, lambda value: self._only(**{what: value}), getattr(self.chosen, what)
        )

    def action_back(self) -> None:
        if self.chosen:
            self._only(words="", category="", where="", cause="")
        else:
            super().action_back()

    # -- changing

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        said = super().refusal(action, parameters)
        if said or action not in self.CHANGES or not self.is_mounted:
            return said
        entry = self.entry
        if entry is None:
            return "Nothing is under the cursor that this could change."
        if action in ("edit", "veto", "give_up") and entry.kind == "idea" and not entry.id:
            return "It waits in the inbox and has no id yet."
        if action == "edit" and (entry.kind != "idea" or entry.where not in ("open", "vetoed")):
            return "Only an idea that has not been tried can be changed."
        if action == "restore" and (entry.kind != "idea" or entry.where != "vetoed"):
            return "Only a vetoed idea can be put back."
        if action == "move":
            by = parameters[0] if parameters and isinstance(parameters[0], int) else 1
            if ideas.moved(self.history, entry.id, by) is None:
                return (
                    "It stands at that end of the list." if entry.where == "open" else "Only open ideas have an order."
                )
        if action == "veto" and (entry.kind in ("experiment", "knob") or entry.where in ("vetoed", "tried", "taken")):
            return "What was tried stays on record; only ideas and written dead ends can be vetoed."
        if action == "give_up" and (entry.kind in ("dead_end", "knob") or entry.where in ("vetoed", "tried", "taken")):
            return "It is a dead end already, or being tried."
        if action == "retry" and (entry.kind == "idea" or len(entry.experiments) != 1):
            return "Only a single experiment can be tried again."
        return ""

    def action_edit(self) -> None:
        entry = self.entry
        assert entry is not None

        def change(text: str) -> None:
            if text and text != entry.text:
                self._ask("idea", f"{entry.id} has its new text.", id=entry.id, text=text)

        self.ask_line(f"Change {entry.id}", "Agents read the new text.", "what to try", change, entry.text)

    def action_veto(self) -> None:
        entry = self.entry
        assert entry is not None

        def veto(reason: str) -> None:
            self._ask("veto", f"{entry.id} goes off the list.", id=entry.id, reason=reason)

        self.ask_line(f"Veto {entry.id}", entry.text, "why; the agent reads it (may stay empty)", veto)

    def action_restore(self) -> None:
        entry = self.entry
        assert entry is not None
        self._ask("idea", f"{entry.id} is back on the list.", id=entry.id, text=self.history.ideas[entry.id].text)

    def action_move(self, by: int) -> None:
        entry = self.entry
        assert entry is not None
        args = ideas.moved(self.history, entry.id, by)
        assert args is not None
        self._ask("idea", "", **args)

    def action_give_up(self) -> None:
        entry = self.entry
        assert entry is not None

        def ask_condition(reason: str) -> None:
            if reason:
                self.ask_line("Worth another try if …", reason, "a condition (may stay empty)",
                              lambda condition: self._give_up(entry, reason, condition))  # fmt: skip

        self.ask_line(f"Dead end: {entry.id}", entry.text, "why it failed, or will not work", ask_condition)

    def _give_up(self, entry: Entry, reason: str, condition: str) -> None:
        if entry.kind == "idea":
            args = ideas.given_up(self.history.ideas[entry.id], reason, condition)
        else:
            args = {"text": f"{entry.text}: {reason}", "list": entry.where, "experiment": entry.experiments[0],
                    "retry_if": condition}  # fmt: skip
        self._ask("dead_end", "It goes to the dead ends.", **args)

    def action_retry(self) -> None:
        entry = self.entry
        assert entry is not None
        self._ask("retry", f"#{entry.experiments[0]} is tried again next.", experiment=entry.experiments[0])

    def _ask(self, kind: str, said: str, **args: object) -> None:
        self.viewer.ask(kind, said, **args)
        self.look()


class ExperimentsOf(SessionPage):
    """The experiments of an idea, a family or a knob."""

    heading = "Experiments"
    tells_gains = True
    AUTO_FOCUS = "#picks"

    def __init__(self, palette: Palette, title: str, experiments: tuple[int, ...]) -> None:
        super().__init__(palette)
        self.what = title
        self.experiments = experiments

    def body(self) -> Iterable[Widget]:
        yield Picks(self.palette, id="picks", classes="framed")

    def show(self) -> None:
        picks = self.query_one("#picks", Picks)
        picks.border_title = literal(self.what)
        picks.message = "They are no longer in the journal."
        rows = [
            self.history.by_number[n] for n in sorted(self.experiments, reverse=True) if n in self.history.by_number
        ]
        picks.show([_line_of(row, self.history, self.palette) for row in rows])

    def on_picks_chosen(self, message: Picks.Chosen) -> None:
        self.viewer.open_experiment(int(message.key))


def _line_of(row: Row, history: History, palette: Palette) -> Pick:
    from autoresearch.tui.facts import documents

    status: records.Status = row.status
    evidence = documents.evidence_text(row) or row.cause.replace("_", " ")
    style = palette.status(status, row.cause)
    return Pick(
        str(row.number), GLYPHS[status], style, safe_line(row.description), palette.text, f"#{row.number}", evidence
    )
