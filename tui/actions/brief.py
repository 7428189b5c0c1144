"""The brief that a fresh agent would get now."""

from __future__ import annotations

import os

from autoresearch.engine.agents import login_files
from autoresearch.engine.brief import gather, render
from autoresearch.engine.git import Git
from autoresearch.engine.secrets import known_secrets
from autoresearch.state.config import loads
from autoresearch.state.journal import History
from autoresearch.state.session import Place, Session, SessionError


def written_brief(place: Place, session: Session, history: History, chars: int | None = None) -> str:
    """What a fresh agent would be told now. Raises SessionError when the session cannot say.

    `history` must not grow meanwhile.
    """
    try:
        text = session.config.read_text(encoding="utf-8")
    except OSError as error:
        raise SessionError(
            f"The session's {session.config} cannot be read ({error.strerror}); `autoresearch resume` writes it again."
        ) from error
    config = loads(text, str(session.config))
    if history.header is None:
        raise SessionError(f"The journal {session.journal} has no header; start a session with `autoresearch run`.")
    start = history.incumbent.sha if history.incumbent is not None else history.header.base
    secrets = known_secrets(place, config, os.environ, login_files(os.environ))
    dossier = gather(place, session, history, config, Git(place.common_dir), start, secrets)
    kind = history.agent[0] or config.agent.kind
    return render(dossier, chars or config.agent.brief_chars, for_cli=kind == "command")
