"""`autoresearch log --recompute`: every judgement again, from the samples in the journal and nothing else."""

from __future__ import annotations

from dataclasses import asdict

from autoresearch.engine.verdict import recompute
from autoresearch.state.session import Session
from autoresearch.state.text.numbers import plural
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import Console, emit_json


def show_recomputed(session: Session, as_json: bool) -> int:
    """Exit code 1 when a verdict comes out differently."""
    found = list(recompute(session.journal))
    different = [one for one in found if not one.agrees]
    if as_json:
        again = [asdict(one) | {"agrees": one.agrees} for one in found]
        emit_json({"session": session.name, "judged": len(found), "differ": len(different), "experiments": again})
        return 1 if different else 0
    console = Console()
    for one in different:
        console.say(f"#{one.run} {fitted(one.recorded)}: {fitted('; '.join(one.differences))}")
    answer = f"{len(different)} of them come out differently" if different else "all come out as recorded"
    console.say(f"{plural(len(found), 'verdict')} judged again from the samples on record: {answer}.")
    return 1 if different else 0
