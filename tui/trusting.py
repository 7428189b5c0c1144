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
from autoresearch.state.trust import Command
from autoresearch.tui.console import Console, clean, is_terminal

if TYPE_CHECKING:
    from autoresearch.engine.opening import RunOptions

_SHOWN_CHARS = 400


def pending(place: Place, session: str | None = None, new: bool = False) -> tuple[Command, ...]:
    """What a person has to confirm before an engine may start here; () for nothing. Texts are as they stand in the
    toml: clean them before they are shown."""
    from autoresearch.engine import arrivals

    return arrivals.pending(place, session, new)


def confirm(place: Place, session: str | None = None, new: bool = False) -> None:
    """The person said yes to what `pending` gave."""
    from autoresearch.engine import arrivals

    arrivals.accept(place, session, new)


def ask_or_refuse(place: Place, options: RunOptions) -> RunOptions:
    """The options, with `trust` after a yes. Raises SessionError after a no, and where nobody can be asked."""
    from autoresearch.engine import arrivals

    if options.trust:
        return options
    commands = pending(place, options.session, options.new)
    if not commands:
        return options
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise arrivals.refusal(commands)
    console = Console()
    source = None if options.new else arrivals.pulled_from(place, options.session)
    for line in question(place, source):
        console.prose(line)
    console.facts([(command.key, clean(command.text, _SHOWN_CHARS)) for command in commands])
    console.stream.flush()
    if not click.confirm("Run them here?", default=False):
        raise SessionError("Nothing was run; look at autoresearch.toml and the code it names, then call it again.")
    confirm(place, options.session, options.new)
    return replace(options, trust=True)


def question(place: Place, pulled_from: str | None) -> list[str]:
    """What stands above the commands, here and on the screen."""
    if pulled_from is not None:
        source = clean(pulled_from)
        first = f"This session was pulled from {source}: its commits, and these commands and rights, would run here."
    else:
        first = f"These commands and rights of {place.config_file} came with a clone or a pull, and would hold here."
    return [first, "Commands run as you, within the confinement that `autoresearch doctor` names."]
