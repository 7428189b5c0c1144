"""What people do to an idea or a dead end, from whichever page shows it."""

from __future__ import annotations

from autoresearch.tui.facts import ideas
from autoresearch.tui.facts.ideas import Entry
from autoresearch.tui.screens.session_page import SessionPage


def edit(page: SessionPage, entry: Entry) -> None:
    def change(text: str) -> None:
        if text and text != entry.text:
            page.request("idea", f"{entry.id} has its new text.", id=entry.id, text=text)

    page.ask_line(f"Change {entry.id}", "Agents read the new text.", "what to try", change, entry.text)


def veto(page: SessionPage, id: str, text: str) -> None:
    def take_off(reason: str) -> None:
        page.request("veto", f"{id} goes off the list.", id=id, reason=reason)

    page.ask_line(f"Veto {id}", text, "why; the agent reads it (may stay empty)", take_off)


def restore(page: SessionPage, id: str) -> None:
    page.request("idea", f"{id} is back on the list.", id=id, text=page.history.ideas[id].text)


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


def retry(page: SessionPage, number: int) -> None:
    page.request("retry", f"#{number} is tried again next.", experiment=number)
