"""Messages to the agent: in the inbox, on record, in a brief."""

from __future__ import annotations

from pathlib import Path

import sessions

from autoresearch.tui.facts.messages import Message, clock, experiment_of, fate, messages
from autoresearch.tui.facts.pending import pending


def test_a_message_says_when_and_for_what_it_was_read(tmp_path: Path) -> None:
    night = sessions.rich(tmp_path)
    night.session.ask("steer", text="and this")
    history = night.session.history()
    found = messages(history, pending(night.session.asked(), history))
    assert [message.state for message in found] == ["waiting", "unread", "read"]
    assert fate(found[2]) == f"Read {clock(found[2].read_ms)}, for experiment {found[2].experiment}."
    assert history.by_number[found[2].experiment or 0].proposal == found[2].proposal
    assert fate(found[1], agent="tuner").endswith("The tuner reads no messages: it waits for an agent that does.")


def test_a_proposal_that_was_withdrawn_got_no_number(tmp_path: Path) -> None:
    history = sessions.rich(tmp_path).session.history()
    assert history.open is not None
    assert experiment_of(history.open.proposal, history) == history.open.number
    assert experiment_of(9_999, history) is experiment_of(None, history) is None
    read = Message("x", "ann", 0, "read", proposal=9_999)
    assert fate(read) == "Read for proposal p9999."
