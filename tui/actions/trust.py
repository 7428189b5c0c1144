"""Which commands wait for a person's yes."""

from __future__ import annotations

from autoresearch.state.session import Command, Place
from autoresearch.tui.facts.text import fitted


def pending(place: Place, session: str | None = None, new: bool = False) -> tuple[Command, ...]:
    """What a person has to confirm before an engine may start here; () for nothing. Texts are as they stand in the
    toml: clean them before they are shown."""
    from autoresearch.engine import sessions

    return sessions.pending(place, session, new)


def confirm(place: Place, session: str | None = None, new: bool = False) -> None:
    """The person said yes to what `pending` gave."""
    from autoresearch.engine import sessions

    sessions.accept(place, session, new)


def question(place: Place, pulled_from: str | None) -> list[str]:
    """What stands above the commands, here and on the screen."""
    if pulled_from is not None:
        source = fitted(pulled_from)
        first = f"This session was pulled from {source}: its commits, and these commands and rights, would run here."
    else:
        first = f"These commands and rights of {place.config_file} came with a clone or a pull, and would hold here."
    return [first, "Commands run as you, within the confinement that `autoresearch doctor` names."]
