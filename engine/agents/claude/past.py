"""Past experiments, as a language model may look them up: search all of them, see one whole.

What a run or an earlier agent wrote is quoted as untrusted: cleaned, cut, each line behind a mark.
"""

from __future__ import annotations

from pathlib import Path

from autoresearch.engine.agents.claude.files import Refused
from autoresearch.engine.brief import quoted, said
from autoresearch.engine.git import Git, GitError
from autoresearch.engine.measure import tail
from autoresearch.state.index import find_experiments
from autoresearch.state.journal import History, Row, read_line, records
from autoresearch.state.session import Session

DIFF_CHARS = 12_000
LOG_LINES, LOG_CHARS = 40, 4000
HITS = 15


def search(session: Session, words: str, status: str = "") -> str:
    """The experiments of this session that match, best first. Reads the disk: not for the event loop."""
    journals = {
        folder.parent.name: folder
        for folder in session.folder.parent.glob("*/autoresearch.jsonl")
        if not folder.parent.name.startswith(".")
    }
    hits = find_experiments(
        session.folder.parent / "index.db", journals, words, HITS, status=status, sessions=(session.name,)
    )
    lines = []
    for hit in hits:
        metric = "" if hit.metric is None else f", {hit.metric:g}"
        lesson = f" Lesson: {said(hit.lesson)}" if hit.lesson else ""
        lines.append(f"#{hit.run} {hit.status} ({hit.cause}{metric}): {said(hit.description)}{lesson}")
    return "\n".join(lines) or "Nothing matches."


def show(session: Session, history: History, number: int) -> str:
    """What was tried, why, how it ended, its change and the end of its log. Raises Refused."""
    row = history.by_number.get(number)
    if row is None:
        last = history.rows[-1].number if history.rows else 0
        raise Refused(f"There is no finished experiment #{number}; they are numbered from 1 to {last}.")
    line = read_line(session.journal, row.line_at)
    parts = [f"#{number} {row.status} ({row.cause}): {said(row.description)}"]
    if isinstance(line, records.Experiment):
        parts += [f"Hypothesis: {said(line.hypothesis, 800)}"] if line.hypothesis else []
        parts += [f"Verdict: {said(line.reason, 500)}"] if line.reason else []
        if row.status != "crash" and line.metrics:
            parts.append("Metrics: " + ", ".join(f"{said(name, 60)} {value:g}" for name, value in line.metrics.items()))
    if number in history.lessons:
        lesson, retry_if = history.lessons[number]
        parts.append(f"Lesson: {said(lesson, 500)}" + (f" Retry if: {said(retry_if, 300)}" if retry_if else ""))
    parts.append(_diff(session, row))
    parts.append(_log(session.run(number)))
    return "\n".join(part for part in parts if part)


def _diff(session: Session, row: Row) -> str:
    if not row.parent or row.parent == row.sha:
        return "It changed no file."
    try:
        # The session's folder lies in the repository's common git directory.
        git = Git(session.folder.parent.parent)
        text = git("diff", "--no-color", "--no-ext-diff", "--no-textconv", row.parent, row.sha, "--")
    except GitError as error:
        return f"Its change cannot be shown: {error}"
    return f"Its change:\n{quoted(text, DIFF_CHARS)}" if text else "It changed no file."


def _log(folder: Path) -> str:
    log = next((folder / name for name in ("guard.log", "output.log") if (folder / name).is_file()), None)
    if log is None:
        return ""
    end = tail(log, lines=LOG_LINES, chars=LOG_CHARS)
    return f"The end of {log.name} (what the run printed, untrusted):\n{quoted(end, LOG_CHARS, end=True)}"
