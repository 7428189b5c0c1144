"""What a brief is made from: the read model, and what the files of the session and the repository add to it.

Reading only, and only what a brief can show: the words of the experiments it may name (by their offsets in the
journal), the files in scope as the incumbent's commit holds them, the person's program as it is now, what the evaluator
and failing runs wrote. Secrets and paths of this machine are taken out of what runs printed. Nothing of the holdout is
read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from autoresearch.engine import limits
from autoresearch.engine.brief.asked import Mend
from autoresearch.engine.files import NotTaken, open_regular, printable, tail
from autoresearch.engine.git import Git, GitError
from autoresearch.engine.secrets import Secrets
from autoresearch.engine.workspace import Scope, trees_folder
from autoresearch.state import journal
from autoresearch.state.config import Config, Limits
from autoresearch.state.journal import History, Row, Text, read_line, records
from autoresearch.state.session import Place, Session, logs_of

RECENT = 8
"""So many of the last experiments are told one by one."""
WITHOUT_MODEL = frozenset({"", "tuner", "replay", "bundle", "retry", "overrule"})
"""What stands for the agent of a proposal that no language model made."""

_FILE_BYTES = 256 * 1024
_FILES_BYTES = 2 << 20
_OUTPUT_BYTES = 16 * 1024
_PROGRAM_BYTES = 64 * 1024
_FEEDBACKS = 3
_TAILS = 2


@dataclass(frozen=True, slots=True)
class Words:
    """What an experiment's lines say beyond its row."""

    reason: str = ""
    hypothesis: str = ""
    expected_effect: str = ""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file in scope. `text` is None for what is no text or too large to read."""

    path: str
    size: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Part of what the runs of an experiment wrote: untrusted."""

    experiment: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything a brief is rendered from."""

    session: str
    config: Config
    history: History
    limits: Limits
    """In force: the config's, with what people have set since."""
    program: str = ""
    program_cut: bool = False
    files: tuple[SourceFile, ...] = ()
    words: Mapping[int, Words] = field(default_factory=dict)
    feedback: tuple[Output, ...] = ()
    """Of the incumbent and the last experiments, in this order."""
    tails: tuple[Output, ...] = ()
    """How the logs of the last failures end."""
    unheard: tuple[Text, ...] = ()
    """Messages that were written after the last finished proposal's brief, or may have been."""
    mend: Mend | None = None
    mend_diff: str = ""
    """What the failed experiment changed."""


def gather(
    place: Place,
    session: Session,
    history: History,
    config: Config,
    git: Git,
    incumbent: str,
    secrets: Secrets,
    mend: Mend | None = None,
) -> Dossier:
    """What a brief for a proposal on the commit `incumbent` is made from.

    `git` answers from the repository's objects. With `mend` the files are those of the failed candidate, as they stand
    in the propose tree then. Render at once: `history` goes on.
    """
    hidden = _Hidden(place, session, secrets)
    failed = history.by_number.get(mend.experiment) if mend is not None else None
    program, program_cut = _program(place, config)
    return Dossier(
        session=session.name,
        config=config,
        history=history,
        limits=limits.in_force(config.limits, history),
        program=program,
        program_cut=program_cut,
        files=_files(git, failed.sha if failed and failed.sha else incumbent, place.prefix, config),
        words=_words(session, history, hidden, mend),
        feedback=tuple(islice(_feedback(session, history, config, hidden), _FEEDBACKS)),
        tails=tuple(islice(_tails(session, history, hidden, mend), _TAILS)),
        unheard=_unheard(session, history),
        mend=None if mend is None else replace(mend, error=hidden(mend.error)),
        mend_diff=_diff(git, failed, place.prefix) if failed else "",
    )


def recent(history: History) -> list[Row]:
    """The last experiments, newest first, without baselines and without those that a later one mends."""
    mended = {row.mends for row in history.rows if row.mends is not None}
    rows = (row for row in reversed(history.rows) if not row.baseline and row.number not in mended)
    return list(islice(rows, RECENT))


class _Hidden:
    """Takes secrets and the places of this machine out of a text: a brief reads the same wherever the session runs."""

    def __init__(self, place: Place, session: Session, secrets: Secrets) -> None:
        self._secrets = secrets
        trees = trees_folder(place, session.name)
        roots = [*(trees / f"autoresearch-{session.name}-{role}" for role in ("propose", "measure", "evaluate")),
                 trees, session.folder, place.top]  # fmt: skip
        inner = [root / place.prefix for root in roots[:3] if place.prefix]
        self._roots = [str(root) for root in (*inner, *roots)]

    def __call__(self, text: str) -> str:
        text = self._secrets.scrub(text)
        for root in self._roots:
            if root in text:
                text = text.replace(root + "/", "").replace(root, ".")
        return text


# -- the person's program, the files in scope


def _program(place: Place, config: Config) -> tuple[str, bool]:
    """The program in the person's worktree, as it is now, and whether it is longer than what is read.

    What the config names was confirmed by a person where it came from elsewhere. Where a link leads that lies at that
    place was not: none is followed to git's folder or out of the repository, unless the config names a place there.
    """
    if not config.program:
        return "", False
    path = place.folder / config.program
    within = Path(os.path.normpath(path)).is_relative_to(place.top)
    real = path.resolve()
    if within and (not real.is_relative_to(place.top.resolve()) or real.is_relative_to(place.common_dir.resolve())):
        return "", False  # the brief then says that it is missing
    try:
        with path.open("rb") as file:
            data = file.read(_PROGRAM_BYTES + 1)
    except OSError:
        return "", False
    return data[:_PROGRAM_BYTES].decode("utf-8-sig", "replace"), len(data) > _PROGRAM_BYTES


def _files(git: Git, sha: str, prefix: str, config: Config) -> tuple[SourceFile, ...]:
    """The regular files in scope at a commit, by path relative to the target's folder."""
    scope = Scope(config.scope.edit, prefix)
    below = f"{prefix}/" if prefix else ""
    listed = git("ls-tree", "-r", "-l", "-z", "--full-tree", sha, "--", *([below] if below else []))
    wanted: list[tuple[str, str, int]] = []
    for entry in filter(None, listed.split("\0")):
        facts, _, path = entry.partition("\t")
        mode, _, blob, length = facts.split()
        name = path.removeprefix(below)
        if mode in ("100644", "100755") and scope.contains(name):
            wanted.append((name, blob, int(length)))
    wanted.sort(key=lambda file: file[0])
    room, blobs = _FILES_BYTES, list[str]()
    for _, blob, size in wanted:
        if size <= min(room, _FILE_BYTES):
            room -= size
            blobs.append(blob)
    texts = dict(zip(blobs, _contents(git, blobs), strict=True))
    return tuple(SourceFile(printable(name), size, _text(texts.get(blob))) for name, blob, size in wanted)


def _contents(git: Git, blobs: list[str]) -> Iterator[bytes]:
    if not blobs:
        return
    answer = git.raw("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in blobs))
    at = 0
    for _ in blobs:
        end = answer.index(b"\n", at)
        length = int(answer[at:end].split()[2])
        yield answer[end + 1 : end + 1 + length]
        at = end + 2 + length


def _text(data: bytes | None) -> str | None:
    if data is None or b"\0" in data[:8192]:
        return None
    return data.decode("utf-8", "replace")


def _diff(git: Git, row: Row, prefix: str) -> str:
    """What an experiment changed in the target's folder; "" when git has its commit no longer."""
    if not row.sha or not row.parent or row.sha == row.parent:
        return ""
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--find-renames", "--abbrev=7")
    try:
        data = git.raw("diff", *options, *([f"--relative={prefix}/"] if prefix else []), row.parent, row.sha)
    except GitError:
        return ""
    return data[:_OUTPUT_BYTES].decode("utf-8", "replace")


# -- what the journal's lines say


def _words(session: Session, history: History, hidden: _Hidden, mend: Mend | None) -> dict[int, Words]:
    listed = (journal.worked(history), journal.unwritten(journal.dead_ends_in(history)))
    detailed = {row.number: row for row in recent(history)}
    if mend is not None and mend.experiment in history.by_number:
        detailed[mend.experiment] = history.by_number[mend.experiment]
    found = {}
    rows = {row.number: row for each in listed for row in journal.newest(history, each)[0]} | detailed
    for number, row in sorted(rows.items()):
        line = read_line(session.journal, row.line_at)
        if not isinstance(line, records.Experiment):
            continue
        hypothesis, expected = line.hypothesis, ""
        if number in detailed and row.proposal_at >= 0:
            proposed = read_line(session.journal, row.proposal_at)
            if isinstance(proposed, records.Proposal):
                hypothesis, expected = hypothesis or proposed.hypothesis, proposed.expected_effect
        found[number] = Words(hidden(line.reason), hypothesis, expected)
    return found


def _unheard(session: Session, history: History) -> tuple[Text, ...]:
    """Messages that no language model was certainly given.

    A proposal's line is written after its brief, so a message that is older than the line may still be unheard. What
    was written before the line of the proposal *before* it was in its brief for certain.
    """
    offsets = [waiting.at for waiting in history.waiting.values() if waiting.agent not in WITHOUT_MODEL]
    measured = [opened.waiting for opened in history.unfinished if opened.waiting is not None]
    offsets += [waiting.at for waiting in measured if waiting.agent not in WITHOUT_MODEL]
    finished = (row for row in reversed(history.rows) if row.proposal_at >= 0 and row.agent not in WITHOUT_MODEL)
    offsets += [row.proposal_at for row in islice(finished, 2)]
    if len(offsets) < 2:
        return tuple(history.steers)
    since = read_line(session.journal, sorted(offsets)[-2]).timestamp
    return tuple(steer for steer in history.steers if steer.timestamp >= since)


# -- what runs wrote


def _feedback(session: Session, history: History, config: Config, hidden: _Hidden) -> Iterator[Output]:
    """The evaluator's file for the incumbent and the last experiments that have one."""
    name = config.measure.feedback
    if not name:
        return
    best = [history.incumbent.number] if history.incumbent is not None else []
    for number in dict.fromkeys([*best, *(row.number for row in recent(history))]):
        text = feedback_of(session, number, config)
        if text.strip():
            yield Output(number, name, hidden(text))


def feedback_of(session: Session, number: int, config: Config) -> str:
    """The beginning of what an experiment's evaluation left for agents, never through a link; "" without."""
    name = config.measure.feedback
    try:
        with os.fdopen(open_regular(session.run(number) / "kept", name), "rb") as file:
            return file.read(_OUTPUT_BYTES).decode("utf-8", "replace")
    except (NotTaken, FileNotFoundError, NotADirectoryError):
        return ""


def _tails(session: Session, history: History, hidden: _Hidden, mend: Mend | None) -> Iterator[Output]:
    """The end of the log that tells of each of the last failures; the one to mend brings its own."""
    for row in recent(history):
        if row.status not in ("crash", "checks_failed") or (mend is not None and row.number == mend.experiment):
            continue
        for path in logs_of(session.run(row.number)):
            text = tail(path, _OUTPUT_BYTES // 4)
            if text.strip():
                yield Output(row.number, path.name, hidden(text))
                break
