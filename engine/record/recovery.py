"""Journal, git and processes -> the steps that make them agree. The plan is pure, carrying it out is thin.

Whatever a kill left behind is one of a few gaps in the order of writing: proposal's ref, proposal line, intent line,
experiment's ref, samples, experiment line, branch. Each step closes one gap and is itself safe to repeat, so recovery
may be killed too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoresearch.engine.record.recorder import Recorder
from autoresearch.engine.workspace import Workspace
from autoresearch.state.faults import reach
from autoresearch.state.journal import History, records


@dataclass(frozen=True, slots=True)
class Adopt:
    """A proposal was committed and its ref set, but its journal line is missing: write it from the commit's message."""

    id: int
    sha: str


@dataclass(frozen=True, slots=True)
class SetExperimentRef:
    """An experiment has its number in the journal but not its ref, or that of an earlier best it was raced on."""

    number: int
    sha: str
    proposal: int | None


@dataclass(frozen=True, slots=True)
class SetProposalRef:
    """A waiting proposal lost its ref (somebody deleted it); its commit may still be there."""

    id: int
    sha: str


@dataclass(frozen=True, slots=True)
class DropProposalRef:
    """A ref of a proposal that is withdrawn or has its number."""

    id: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """An experiment's ref of which the journal knows nothing: its folder was restored from an older state. The number
    will be given again, so the commit is kept under another name."""

    number: int
    sha: str


@dataclass(frozen=True, slots=True)
class MoveBranch:
    """A keep is in the journal, but the branch still stands where it was."""

    sha: str
    old: str


@dataclass(frozen=True, slots=True)
class Diverged:
    """The branch is neither where it was nor where it should be: somebody moved it. A person must decide."""

    branch: str
    found: str
    wanted: str


Step = Adopt | SetExperimentRef | SetProposalRef | DropProposalRef | SetAside | MoveBranch | Diverged


def plan(history: History, refs: Mapping[str, str], branch: str | None, branch_name: str) -> list[Step]:
    """The steps, in order. `refs` are the session's own by short name (`7`, `p9`), `branch` its branch's commit."""
    steps: list[Step] = []
    known = _known_proposals(history)
    for name, sha in sorted(refs.items(), key=lambda item: _id(item[0])):
        id = _id(name)
        if not name.startswith("p") or id == 0 or id in history.waiting:
            continue
        steps.append(DropProposalRef(id) if id in known or id < history.next_proposal else Adopt(id, sha))
    steps += [
        SetProposalRef(waiting.id, waiting.sha)
        for waiting in history.waiting.values()
        if waiting.sha and f"p{waiting.id}" not in refs
    ]
    last = history.last_number
    steps += [SetAside(int(name), sha) for name, sha in refs.items() if name.isdigit() and int(name) > last]
    steps += [
        SetExperimentRef(each.number, each.sha, each.proposal)
        for each in history.unfinished
        if refs.get(str(each.number)) != each.sha
    ]
    steps += [
        SetExperimentRef(row.number, row.sha, None)
        for row in history.rows
        if len(row.sha) >= 40 and str(row.number) not in refs
    ]
    steps += _branch_steps(history, branch, branch_name)
    return steps


def _branch_steps(history: History, branch: str | None, name: str) -> list[Step]:
    incumbent = history.incumbent
    if incumbent is None or branch == incumbent.sha:
        return []
    parent = history.by_number[incumbent.number].parent
    if branch is None or branch == parent:
        return [MoveBranch(incumbent.sha, branch or "")]
    return [Diverged(name, branch, incumbent.sha)]


def _known_proposals(history: History) -> set[int]:
    numbered = {row.proposal for row in history.rows if row.proposal is not None}
    return numbered | {each.proposal for each in history.unfinished if each.proposal is not None}


def _id(name: str) -> int:
    digits = name.removeprefix("p")
    return int(digits) if digits.isdigit() else 0


def recover(workspace: Workspace, recorder: Recorder) -> records.Pause | None:
    """Close the gaps. Returns why the session pauses where only a person can go on."""
    name = workspace.session.branch
    for step in plan(recorder.history, workspace.list_refs(), workspace.refs.resolve(name), name):
        match step:
            case Adopt(id, sha):
                _adopt(id, sha, workspace, recorder)
            case SetExperimentRef(number, sha, proposal):
                if workspace.refs.resolve(sha):
                    workspace.number_ref(number, sha, proposal)
            case SetProposalRef(id, sha):
                if workspace.refs.resolve(sha):
                    workspace.propose_ref(id, sha)
                else:
                    recorder.write(records.Withdrawn(proposal=id, reason="its commit is gone from the repository"))
            case SetAside(number, sha):
                workspace.set_aside(number, sha)
            case DropProposalRef(id):
                workspace.drop_proposal(id)
            case MoveBranch(sha, old):
                workspace.keep(sha, old)
            case Diverged():
                return _diverged(step)
        reach("recovery:step")
    return None


def _diverged(step: Diverged) -> records.Pause:
    branch, wanted = step.branch.removeprefix("refs/heads/"), step.wanted[:12]
    return records.Pause(
        reason=f"the branch {branch} stands at {step.found[:12]}, the journal's incumbent is {wanted}",
        fix=f"Look at both, then `git branch -f {branch} {wanted}` to go on from the journal's incumbent.",
        by="engine",
    )


def _adopt(id: int, sha: str, workspace: Workspace, recorder: Recorder) -> None:
    facts: dict[str, Any] = dict(workspace.facts_of(sha))
    base = facts.get("base") or workspace.refs.resolve(f"{sha}^") or ""
    files, lines = workspace.change_of(base, sha)
    line = {
        **facts,
        "type": "proposal",
        "id": id,
        "base": base,
        "sha": sha,
        "files": list(files),
        "lines": list(lines),
        "description": facts.get("description") or "a proposal found after a crash",
        "timestamp": 0,
    }
    record = records.from_json(line)
    assert isinstance(record, records.Proposal)
    replaced = facts.get("instead_of")
    if isinstance(replaced, int) and replaced in recorder.history.waiting:
        recorder.write(records.Withdrawn(proposal=replaced, reason=f"put onto the new incumbent as p{id}"), record)
        workspace.drop_proposal(replaced)
    else:
        recorder.write(record)
