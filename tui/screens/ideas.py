"""Ideas and dead ends: what is left to try and in which order, what failed and why, over all sessions when searched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Input

from autoresearch.state.session import SessionError, open_session, target_of
from autoresearch.state.text import safe_line
from autoresearch.tui.facts import ideas
from autoresearch.tui.facts.ideas import Entry, Family, Filter
from autoresearch.tui.facts.search import found_in
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens import idea_acts
from autoresearch.tui.screens.idea_details import Hit, details_of
from autoresearch.tui.screens.idea_picks import dead_pick, family_pick, heading, hit_pick, idea_pick, row_pick
from autoresearch.tui.screens.panes import lit, literal
from autoresearch.tui.screens.session_page import SessionPage
from autoresearch.tui.widgets.pick_list import Pick, Picks
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

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette)
        self.tab: Tab = "ideas"
        self.chosen = Filter()
        self._listed: dict[str, Entry | Family | Hit] = {}
        """What the entries of the list stand for, by key."""
        self._hits: dict[str, Hit] = {}
        self._asked: tuple[str, Filter] = ("", self.chosen)

    def body(self) -> Iterable[Widget]:
        field = Input(placeholder=_EMPTY["search"], id="words")
        field.cursor_blink = False
        yield field
        with Container(id="split"):
            yield Picks(self.palette, id="picks", classes="framed")
            message = "What is under the cursor is shown here whole."
            details = TextList(self.palette, "details", "framed", message, most_lines=60)
            details.can_focus = False
            yield details

    # -- showing

    def show(self) -> None:
        picks = self.query_one("#picks", Picks)
        self.query_one("#words").display = self.tab == "search"
        picks.message = _EMPTY[self.tab]
        lists = {"ideas": self._ideas, "dead": self._dead_ends, "families": self._family_picks, "search": self._found}
        self._listed = {}
        shown = lists[self.tab]()
        if not shown and self.chosen and self.tab != "search":
            picks.message = f"Nothing here is {self.chosen.said()}; esc shows all."
        picks.show(shown)
        names = [f"{number} {self._title(tab)}" for number, tab in enumerate(TABS, 1)]
        picks.border_title = lit(names, TABS.index(self.tab))
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
        found = ideas.ideas(self.history, self.pending(), self.chosen)
        picks: list[Pick] = []
        for state, title in _STATES.items():
            if found[state]:
                picks.append(heading(f"{title} ({len(found[state])})", self.palette))
            for number, entry in enumerate(found[state], 1):
                key = entry.id or f"+{number}"
                self._listed[key] = entry
                picks.append(idea_pick(key, entry, number, self.palette))
        return picks

    def _dead_ends(self) -> list[Pick]:
        going = {str(each.args.get("id")): each.words for each in self.pending() if each.kind == "veto"}
        picks: list[Pick] = []
        for name, entries in ideas.dead_ends(self.history, self.chosen).items():
            if entries:
                total = sum(len(entry.experiments) or 1 for entry in entries)
                picks.append(heading(f"{ideas.TITLES[name]} ({total})", self.palette))
            for entry in entries:
                key = entry.id if entry.kind != "knob" else f"{name}{entry.id}"
                self._listed[key] = entry
                picks.append(dead_pick(key, entry, self.palette, going.get(entry.id, "")))
        return picks

    def _family_picks(self) -> list[Pick]:
        families = {f"={family.name}": family for family in ideas.families(self.history, self.chosen)}
        self._listed.update(families)
        return [family_pick(key, family, self.palette) for key, family in families.items()]

    def _found(self) -> list[Pick]:
        self._listed.update(self._hits)
        return [hit_pick(key, hit, self.palette) for key, hit in self._hits.items()]

    def on_picks_moved(self) -> None:
        self._detail()
        self.show_keys()

    def _detail(self) -> None:
        item = self._listed.get(self.query_one("#picks", Picks).picked)
        details = self.query_one("#details", TextList)
        shown = details_of(item, self.history, self.palette) if item is not None else []
        details.show([(mark, style, safe_line(text), look) for mark, style, text, look in shown])
        details.to_line(0)

    @property
    def entry(self) -> Entry | None:
        item = self._listed.get(self.query_one("#picks", Picks).picked)
        return item if isinstance(item, Entry) else None

    @property
    def _under_cursor(self) -> Entry:
        """For an action that `refusal` lets pass."""
        assert self.entry is not None
        return self.entry

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
        item = self._listed[message.key]
        if isinstance(item, dict):
            self._open_hit(item)
            return
        title, numbers = item.called if isinstance(item, Family) else item.text, item.experiments
        if not numbers:
            self.notify("No experiment has tried this yet.", timeout=4)
        elif len(numbers) == 1:
            self.viewer.open_experiment(numbers[0])
        else:
            self.app.push_screen(ExperimentsOf(self.palette, title, numbers))

    def _open_hit(self, hit: Hit) -> None:
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

    def _take(self, asked: tuple[str, Filter], found: list[Hit]) -> None:
        if asked != self._asked or not self.is_mounted:
            return  # another thing was asked meanwhile
        self._hits = {f"{hit['session']} #{hit['number']}": hit for hit in found}
        self.show_again()
        if not found and (asked[0].strip() or asked[1]):
            self.query_one("#picks", Picks).message = "Nothing on record matches."
            self.query_one("#picks").refresh()

    def _only(self, **changes: str) -> None:
        self.chosen = replace(self.chosen, **changes)
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
        return ideas.refusal(action, entry, self.history, *(by for by in parameters if isinstance(by, int)))

    def action_edit(self) -> None:
        entry = self._under_cursor

        def change(text: str) -> None:
            if text and text != entry.text:
                self.request("idea", f"{entry.id} has its new text.", id=entry.id, text=text)

        self.ask_line(f"Change {entry.id}", "Agents read the new text.", "what to try", change, entry.text)

    def action_veto(self) -> None:
        idea_acts.veto(self, self._under_cursor.id, self._under_cursor.text)

    def action_restore(self) -> None:
        id = self._under_cursor.id
        self.request("idea", f"{id} is back on the list.", id=id, text=self.history.ideas[id].text)

    def action_move(self, by: int) -> None:
        idea_acts.move(self, self._under_cursor.id, by)

    def action_give_up(self) -> None:
        idea_acts.give_up(self, self._under_cursor)

    def action_retry(self) -> None:
        number = self._under_cursor.experiments[0]
        self.request("retry", f"#{number} is tried again next.", experiment=number)


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
        known = self.history.by_number
        rows = [known[number] for number in sorted(self.experiments, reverse=True) if number in known]
        picks.show([row_pick(row, self.palette) for row in rows])

    def on_picks_chosen(self, message: Picks.Chosen) -> None:
        self.viewer.open_experiment(int(message.key))
