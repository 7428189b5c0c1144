"""Messages to the agent: write one, and see when each was read; the strategy and the notebook in the user's editor."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import TextArea

from autoresearch.state.text import safe_line
from autoresearch.tui.facts.messages import DEAF, fate, messages
from autoresearch.tui.screens.editor import edit
from autoresearch.tui.screens.session_page import SessionPage
from autoresearch.tui.widgets.text_list import Item, TextList

_MARKS = {"waiting": "…", "unread": "○", "read": "✓"}


class SteerScreen(SessionPage):
    heading = "Messages to the agent"
    AUTO_FOCUS = "#message"
    CHANGES = frozenset({"send", "program", "notebook"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+d", "send", "send", key_display="ctrl+d", priority=True, id="steer.send",
                tooltip="Give the agent this message with its next brief"),
        Binding("ctrl+t", "program", "strategy", priority=True, id="steer.program",
                tooltip="Edit the strategy (program.md) in $EDITOR"),
        Binding("ctrl+n", "notebook", "notebook", priority=True, id="steer.notebook",
                tooltip="Edit the notebook in $EDITOR, with the loop running"),
        Binding("tab", "other", "list", priority=True, id="steer.other", tooltip="To the messages so far, and back"),
        Binding("escape", "back", "back", priority=True, key_display="esc", id="steer.back",
                tooltip="Back; what is written and not sent is kept until the screen is left"),
    ]  # fmt: skip

    def body(self) -> Iterable[Widget]:
        with Vertical(id="messages"):
            area = TextArea(id="message", show_line_numbers=False, classes="framed")
            area.cursor_blink = False
            area.border_title = "A message: what it should know or do"
            area.display = not self.viewer.read_only
            yield area
            said = TextList(
                self.palette, "said", "framed", "No message was given yet. It comes with the next brief.", most_lines=30
            )
            said.border_title = "Said so far"
            yield said

    def show(self) -> None:
        palette = self.palette
        agent = self.history.agent[0]
        items: list[Item] = []
        if agent in DEAF:
            items.append(("!", palette.checks, f"The {agent} reads no messages; they wait for an agent that does.",
                          palette.text))  # fmt: skip
        for message in messages(self.history, self.pending()):
            style = palette.keep if message.state == "read" else palette.checks
            items.append((_MARKS[message.state], style, safe_line(message.text), palette.text))
            by = f"{safe_line(message.by)}: " if message.by else ""
            items.append((" ", palette.quiet, by + fate(message, agent), palette.quiet))
        self.query_one("#said", TextList).show(items)

    def on_mount(self) -> None:
        super().on_mount()
        if self.viewer.read_only:
            self.query_one("#said").focus()

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        said = super().refusal(action, parameters)
        if said or not self.is_mounted:
            return said
        if action == "send" and not self.query_one("#message", TextArea).text.strip():
            return "Write something first."
        if action == "other" and self.viewer.read_only:
            return "There is only the list where nothing can be said."
        return ""

    def action_send(self) -> None:
        area = self.query_one("#message", TextArea)
        self.request("steer", "The agent reads it with its next brief.", text=area.text.strip())
        area.text = ""

    def action_other(self) -> None:
        there = self.query_one("#said") if self.focused is self.query_one("#message") else self.query_one("#message")
        (self.query_one("#said") if not there.display else there).focus()

    def action_program(self) -> None:
        name = self._program()
        if name is None:
            self.notify('The config names no program; add `program = "program.md"` to autoresearch.toml.', timeout=8)
            return
        edit(self.viewer, self.viewer.place.folder / name, "It is in the next brief.", make=True)

    def action_notebook(self) -> None:
        path = self.viewer.session.notebook
        if not path.exists():
            self.notify("The engine has written no notebook yet.", timeout=6)
            return
        when = "before the next brief" if self.viewer.watched.alive else "at the next start"
        edit(self.viewer, path, f"What you changed is taken in {when}.")

    def _program(self) -> Path | None:
        try:
            table = tomllib.loads(self.viewer.place.config_file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            return None
        name = table.get("program")
        return Path(name) if isinstance(name, str) and name else None
