"""What people do to an idea or a dead end, from whichever page shows it."""

from __future__ import annotations

from autoresearch.tui.facts import ideas
from autoresearch.tui.facts.ideas import Entry
from autoresearch.tui.screens.session_page import SessionPage


def veto(page: SessionPage, id: str, text: str) -> None:
    def take_off(reason: str) -> None:
        page.request("veto", f"{id} goes off the list.", id=id, reason=reason)

    page.ask_line(f"Veto {id}", text, "why; the agent reads it (may stay empty)", take_off)


def move(page: SessionPage, id: str, by: int) -> None:
    args = ideas.moved(page.history, id, by)
    assert args is not None
    page.request("idea", "", **args)


def give_up(page: SessionPage, entry: Entry) -> None:
    def write_down(reason: str, condition: str) -> None:
        if entry.kind == "idea":
            args = ideas.given_up(page.history.ideas[entry.id], reason, condition)
        else:
            number = entry.experiments[0]
            text = f"{entry.text}: {reason}"
            args = {"text": text, "list": entry.where, "experiment": number, "retry_if": condition}
        page.request("dead_end", "It goes to the dead ends.", **args)

    def ask_condition(reason: str) -> None:
        if reason:
            hint = "a condition (may stay empty)"
            page.ask_line("Worth another try if …", reason, hint, lambda condition: write_down(reason, condition))

    page.ask_line(f"Dead end: {entry.id}", entry.text, "why it failed, or will not work", ask_condition)
