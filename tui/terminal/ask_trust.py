"""Commands that arrived with a clone or a pull are shown and confirmed before their first run, as editors do.

The screen shows them in a dialogue of its own.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from autoresearch.state.session import Place, SessionError
from autoresearch.tui.actions.engines import trust_question
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
    commands = sessions.pending(place, options.session, options.new)
    if not commands:
        return options
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise sessions.refusal(commands)
    console = Console()
    source = None if options.new else sessions.pulled_from(place, options.session)
    for line in trust_question(place, source):
        console.prose(line)
    console.facts([(command.key, fitted(command.text, _SHOWN_CHARS)) for command in commands])
    console.stream.flush()
    if not click.confirm("Run them here?", default=False):
        raise SessionError("Nothing was run; look at autoresearch.toml and the code it names, then call it again.")
    sessions.accept(place, options.session, options.new)
    return replace(options, trust=True)
