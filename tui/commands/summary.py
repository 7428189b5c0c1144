"""`autoresearch summary`: what was tried, kept and gained, what it cost, and the line that merges it."""

from __future__ import annotations

import click

from autoresearch.tui.facts import documents
from autoresearch.tui.terminal.console import Console, emit_json
from autoresearch.tui.terminal.options import Where, common
from autoresearch.tui.terminal.summary_text import print_summary


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
@click.pass_obj
def summary(where: Where, as_json: bool) -> None:
    """What was tried, kept and gained, what it cost, and how to merge it."""
    _, session = where.open()
    history = session.history()
    document = documents.summary(session, history)
    if as_json:
        emit_json(document)
    else:
        print_summary(Console(), document, history)
