"""`autoresearch brief`: what a fresh agent would be told now."""

from __future__ import annotations

import click

from autoresearch.tui.actions.brief import written_brief
from autoresearch.tui.terminal.console import echo, emit_json
from autoresearch.tui.terminal.options import Where, common


@click.command()
@click.option("--chars", type=click.IntRange(min=1000), default=None, metavar="N",
              help="At most N characters; without it, the session's agent.brief_chars.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def brief(where: Where, chars: int | None, as_json: bool) -> None:
    """The brief that a fresh agent would get now."""
    place, session = where.open()
    written = written_brief(place, session, session.history(), chars)
    if as_json:
        emit_json({"text": written, "chars": len(written)})
    else:
        echo(written, nl=False)
