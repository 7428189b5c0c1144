"""Commands that arrived with a clone or a pull are shown and confirmed before their first run, as editors do.

`pending` says what is to be confirmed (the screen shows it in a dialogue of its own), `confirm` notes a yes,
`ask_or_refuse` does both in a terminal.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from autoresearch.state.session import Place, SessionError
from autoresearch.tui.actions.trust import confirm, pending, question
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import Console, is_terminal

if TYPE_CHECKING:
    from autoresearch.engine.sessions import RunOptions

_SHOWN_CHARS = 400


def ask_or_refuse(place: Place, options: RunOptions) -> RunOptions:
    """The options, with `trust` after a yes. Raises SessionError after a no, and where nobody can be asked."""
    from autoresearch.engine import sessions

    if options.trust:
        return options
    commands = pending(place, options.session, options.new)
    if not commands:
        return options
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise sessions.refusal(commands)
    console = Console()
    source = None if options.new else sessions.pulled_from(place, options.session)
    for line in question(place, source):
        console.prose(line)
    console.facts([(command.key, fitted(command.text, _SHOWN_CHARS)) for command in commands])
    console.stream.flush()
    if not click.confirm("Run them here?", default=False):
        raise SessionError("Nothing was run; look at autoresearch.toml and the code it names, then call it again.")
    confirm(place, options.session, options.new)
    return replace(options, trust=True)
