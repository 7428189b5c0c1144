"""Starting engines from the screens: which session may be gone on with here, and a new one. No screen is imported."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from autoresearch.state.session import Place, Session, target_of
from autoresearch.tui.facts.text import fitted

if TYPE_CHECKING:
    from autoresearch.engine.sessions import RunOptions
    from autoresearch.tui.actions.agents import Offer


class Starter:
    """What the screens need to start an engine, each a process of its own; tests give their own."""

    def __init__(self, options: RunOptions | None = None) -> None:
        self.options = options
        """Of the call that opened the screen; they hold for its session, and what was said once is not said again. But
        a trust was said of the commands of that moment: those that arrive later are asked about again."""

    def can_resume(self, place: Place, session: Session) -> bool:
        return place.config_file.is_file() and target_of(session) == place.prefix

    def resume(self, place: Place, session: Session) -> None:
        from autoresearch.engine import start
        from autoresearch.engine.sessions import RunOptions

        options = self._own(session) or RunOptions(session=session.name)
        start.start_detached(place, replace(options, session=session.name, new=False, trust=False))

    def limits(self, session: Session) -> dict[str, Any]:
        """Those of the call that opened the screen, as a running engine's heartbeat has them."""
        own = self._own(session)
        return {} if own is None or own.max_experiments is None else {"experiments": own.max_experiments, "done": 0}

    def _own(self, session: Session) -> RunOptions | None:
        return self.options if self.options is not None and self.options.session in (None, session.name) else None

    def pending(self, place: Place, session: str | None) -> tuple[list[str], list[tuple[str, str]]]:
        """(what to say, (key, command) of each) of commands that nobody has confirmed here; None: a new session."""
        from autoresearch.engine import sessions

        commands = sessions.pending(place, session, session is None)
        source = sessions.pulled_from(place, session) if session is not None else None
        return trust_question(place, source), [(command.key, command.text) for command in commands]

    def confirm(self, place: Place, session: str | None) -> None:
        from autoresearch.engine import sessions

        sessions.accept(place, session, session is None)

    def offers(self, place: Place) -> list[Offer]:
        """The agents to choose from for a new session; one: it is taken; none: the target names its agent."""
        from autoresearch.engine.sessions import RunOptions, read_config
        from autoresearch.tui.actions.agents import offers

        config = read_config(place, RunOptions(new=True))
        if config.agent.kind != "auto":
            return []
        found, _ = offers(config, config.limits.dollars, 0.0)
        return found

    def new(self, place: Place, agent: str | None) -> Session:
        from autoresearch.engine import start
        from autoresearch.engine.sessions import RunOptions

        return start.start_detached(place, RunOptions(new=True, agent=agent))


def trust_question(place: Place, pulled_from: str | None) -> list[str]:
    """What stands above the commands that wait for a yes, in a terminal and on the screen."""
    if pulled_from is not None:
        source = fitted(pulled_from)
        first = f"This session was pulled from {source}: its commits, and these commands and rights, would run here."
    else:
        first = f"These commands and rights of {place.config_file} came with a clone or a pull, and would hold here."
    return [first, "Commands run as you, within the confinement that `autoresearch doctor` names."]
