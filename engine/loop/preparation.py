"""The target's `setup`, once per trees: what it leaves is kept, protected, and copied for the evaluation."""

from __future__ import annotations

from autoresearch.engine.control import Ended
from autoresearch.engine.measure import Slot
from autoresearch.engine.record import Recorder
from autoresearch.engine.workspace import Workspace
from autoresearch.state.journal import records


async def prepare(workspace: Workspace, recorder: Recorder, slot: Slot) -> None:
    """Raises Ended when `setup` fails."""
    setup, tree, evaluate = workspace.config.measure.setup, workspace.measure, workspace.evaluate
    header = recorder.history.header
    assert header is not None
    key = f"{setup!r} {header.evaluator_sha}"
    tree.is_prepared(key)  # before the checkout, which removes what nobody has asked for
    tree.at(header.base)
    if not setup:
        return
    if not tree.is_prepared(key):
        runs = recorder.session.runs
        recorder.phase("preparing", waiting_for="setup")
        runs.mkdir(exist_ok=True)
        exited = await slot.prepare(runs)
        recorder.phase("starting", waiting_for="")
        if exited.cause is not None:
            fix = f"See {runs / 'setup.log'}; mend `measure.setup` and resume."
            raise Ended(records.Pause(reason=f"setup failed: {exited.detail}", fix=fix, by="engine"), code=1)
        tree.prepared(key)
    if evaluate is not None:
        evaluate.is_prepared(key)
        evaluate.at(header.base)
        if not evaluate.is_prepared(key):
            tree.share_prepared(evaluate)
