"""What people do to the notebook's ideas and dead ends: put in order, bring back, give up."""

from __future__ import annotations

from typing import Any

import click

from autoresearch.state.journal import LISTS
from autoresearch.tui.actions.requests import ask
from autoresearch.tui.commands.control import finished, known_idea, say
from autoresearch.tui.facts import ideas
from autoresearch.tui.terminal.console import echo
from autoresearch.tui.terminal.options import Where, common


@click.command()
@click.argument("id")
@common
def restore(where: Where, id: str) -> None:
    """Put the vetoed idea ID back on the list."""
    _, session = where.open()
    idea = known_idea(session.history(), id)
    if idea.state != "vetoed":
        echo(f"{id} is {idea.state}, it was not vetoed.")
        return
    say(f"{id} is back on the list.", ask(session, "idea", id=id, text=idea.text))


@click.command()
@click.argument("id")
@click.option("--first", "place", flag_value="first", help="To the head of the list.")
@click.option("--up", "place", flag_value="up", help="One place up.")
@click.option("--down", "place", flag_value="down", help="One place down.")
@click.option("--after", metavar="ID", default=None, help="Right behind that idea.")
@common
def order(where: Where, id: str, place: str | None, after: str | None) -> None:
    """Move the open idea ID in the list; agents read it from the top."""
    if (place is None) == (after is None):
        raise click.UsageError("Say where to: one of --first, --up, --down, --after ID")
    _, session = where.open()
    history = session.history()
    idea = known_idea(history, id)
    if idea.state != "open":
        raise click.UsageError(f"{id} is {idea.state}; only open ideas have an order")
    args: dict[str, Any] | None
    if after is not None:
        known_idea(history, after)
        args = {"id": id, "after": after}
    else:
        args = {"id": id, "first": True} if place == "first" else ideas.moved(history, id, -1 if place == "up" else 1)
    if args is None:
        echo(f"{id} stands at that end of the list already.")
        return
    say(f"{id} is moved.", ask(session, "idea", **args))


@click.command("dead-end")
@click.argument("text", nargs=-1)
@click.option("--idea", "idea", metavar="ID", default=None, help="The idea that is given up: it leaves the list.")
@click.option("--experiment", "number", type=int, metavar="N", default=None, help="The experiment that showed it.")
@click.option("--list", "where_to", type=click.Choice(LISTS[1:]), default="refuted", show_default=True,
              help="Which list of dead ends.")  # fmt: skip
@click.option("--retry-if", default="", metavar="TEXT", help="What would make another try worth it.")
@common
def dead_end(
    where: Where, text: tuple[str, ...], idea: str | None, number: int | None, where_to: str, retry_if: str
) -> None:
    """Write down a dead end: TEXT says what failed and why; agents do not try it again."""
    _, session = where.open()
    history = session.history()
    words = " ".join(text).strip()
    if number is not None:
        finished(history, number)
    if idea is not None:
        if not words:
            raise click.UsageError("Giving up an idea needs a reason: the TEXT")
        args = ideas.given_up(known_idea(history, idea), words, retry_if, where_to)
        args["experiment"] = number if number is not None else args["experiment"]
    elif words:
        args = {"text": words, "list": where_to, "experiment": number, "retry_if": retry_if}
    else:
        raise click.UsageError("`autoresearch dead-end` needs a text")
    before = set(history.dead_ends)
    how = ask(session, "dead_end", **args)
    new = [id for id in session.history().dead_ends if id not in before]
    say(f"Noted as {new[0]}." if new else "Noted.", how)
