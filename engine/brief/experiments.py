"""How a brief tells of experiments: where the session stands, what worked, what failed and why, what is in hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict

from autoresearch.engine.brief.dossier import WITHOUT_MODEL, Dossier, Words, recent
from autoresearch.engine.brief.quotes import printed, said
from autoresearch.engine.limits import left_words, stagnant
from autoresearch.state import journal
from autoresearch.state.journal import LISTS, History, Row, list_of
from autoresearch.state.text import numbers

MIX = 20
_DEAD = {"refuted": "worse", "unproven": "unproven", "crashed": "crashed or blocked"}
_ENDED = {"keep": "kept", "discard": "discarded", "crash": "crashed", "checks_failed": "failed a guard",
          "simpler": "kept as simpler", "overruled": "kept by a person's decision",
          "unproven": "discarded as unproven"}  # fmt: skip


def value(metric: float | None, history: History) -> str:
    return numbers.metric(metric, history.spread.sd)


def lesson_due(history: History) -> int | None:
    """The last experiment that a language model proposed, while nobody has written what it taught."""
    for row in reversed(history.rows):
        if row.agent not in WITHOUT_MODEL:
            return None if row.number in history.lessons else row.number
    return None


# -- where we stand


def stand(dossier: Dossier) -> Iterator[str]:
    history, config = dossier.history, dossier.config
    best, base = history.incumbent, history.baseline
    if best is None or base is None:
        yield "The baseline is not measured yet: there is nothing to compare with so far."
    elif best.number == base.number:
        yield f"The best is still the baseline, {value(base.metric, history)} (#{base.number})."
    else:
        once = ", one unconfirmed run" if config.verdict.mode == "single" else ""
        line = f"The best is {value(best.metric, history)} (#{best.number}{once})"
        if best.metric is not None and base.metric is not None:
            gain = (base.metric - best.metric) * (1 if config.metric.direction == "lower" else -1)
            percent = f", {abs(gain / base.metric):.1%}" if base.metric else ""
            word = "better" if gain >= 0 else "worse"
            line += (
                f", {word} than the baseline of {value(base.metric, history)} (#{base.number}) "
                f"by {value(abs(gain), history)}{percent}"
            )
        yield f"{line}. Your tree holds it." if dossier.mend is None else f"{line}."
    if history.rows:
        yield f"{numbers.plural(len(history.rows), 'experiment')} so far, baselines included: {history.tally}"
    if history.segment and history.header is not None:
        why = f" ({said(history.header.reason, 160)})" if history.header.reason else ""
        since = f" before #{base.number}" if base is not None else " measured so far"
        yield f"What is measured has changed{why}: numbers{since} do not compare with later ones."
    yield f"Left: {', '.join(left_words(asdict(dossier.limits), history, '.2f')) or 'no limits are set'}."
    mix = _mix(history)
    if mix:
        yield f"Categories of the last {sum(mix.values())}: {', '.join(f'{name} {n}' for name, n in _ordered(mix))}."
    if stagnant(history.since_keep, dossier.limits.stagnation_after):
        yield _stagnant(history, mix)


def _stagnant(history: History, mix: Counter[str]) -> str:
    usual = " and ".join(name for name, count in _ordered(mix)[:2] if 3 * count >= sum(mix.values()))
    return (
        f"\nSTAGNATION: no keep in {history.since_keep} experiments. Change the mechanism, not the number: no further "
        "value of a setting that was tried, but something that works in a different way. "
        + (f"Leave {usual} alone for now. " if usual else "")
        + "Say in the hypothesis what limits the metric today, and why this attacks it."
    )


def _mix(history: History) -> Counter[str]:
    rows = [row for row in history.rows if not row.baseline and not row.bundle]
    return Counter(said(row.category, 30) or "other" for row in rows[-MIX:])


def _ordered(mix: Counter[str]) -> list[tuple[str, int]]:
    return sorted(mix.items(), key=lambda item: (-item[1], item[0]))


# -- lists of experiments


def in_the_works(dossier: Dossier) -> Iterator[str]:
    """Proposals that are made and not judged."""
    history = dossier.history
    measured = [opened for opened in history.unfinished if opened.waiting is not None]
    if history.waiting or measured:
        yield "Propose something else, on the bet that these are discarded:\n"
    for opened in measured:
        assert opened.waiting is not None
        where = "being measured" if opened is history.open else f"parked at {opened.odds}"
        yield f"- #{opened.number}, {where}: {said(opened.waiting.description)}"
    for waiting in sorted(history.waiting.values(), key=lambda waiting: waiting.id):
        yield f"- waiting: {said(waiting.description)}"


def last(dossier: Dossier) -> Iterator[str]:
    """The last experiments whole, newest first; a chain of mends is its last link."""
    history = dossier.history
    due = lesson_due(history)
    ask = "" if due is None else f"Nobody has written yet what #{due} taught; do so with your proposal.\n\n"
    for row in recent(history):
        words = dossier.words.get(row.number, Words())
        category = f" ({said(row.category, 30)})" if row.category else ""
        lines = [f"{ask}- #{row.number} {said(row.description)}{category}{_mended(row, history)}"]
        ask = ""
        if words.hypothesis:
            expected = f" Expected: {said(words.expected_effect, 120)}" if words.expected_effect else ""
            lines.append(f"  Why: {_sentence(said(words.hypothesis))}{expected}")
        lines.append(f"  Result: {_ENDED.get(row.cause, _ENDED[row.status])}: {_result(row, words, history)}")
        lines += [f"  {line}" for line in _taught(row, history)]
        yield "\n".join(lines)


def worked(dossier: Dossier) -> Iterator[str]:
    history = dossier.history
    shown, older = journal.newest(history, journal.worked(history))
    yield from (_entry(row, dossier) for row in shown)
    yield from _families(older, history)


def dead_ends(dossier: Dossier) -> Iterator[str]:
    """Written dead ends, then failed experiments newest first, then families of what is older."""
    history = dossier.history
    ends = journal.dead_ends_in(history)
    for where, dead, _ in ends:
        if dead is not None:
            number = f"#{dead.experiment}: " if dead.experiment is not None else ""
            yield f"- ({_DEAD[where]}) {number}{_sentence(said(dead.text))}{_retry(dead.retry_if)}"
    told = {row.number for row in recent(history)}
    shown, older = journal.newest(history, journal.unwritten(ends))
    yield from (_entry(row, dossier) for row in shown if row.number not in told)
    yield from _families(older, history)


def _families(older: dict[tuple[str, str], journal.Older], history: History) -> Iterator[str]:
    for (where, family), each in sorted(older.items(), key=lambda item: (LISTS.index(item[0][0]), item[0][1])):
        best = f", the best {value(each.best, history)}" if each.best is not None else ""
        what = _DEAD.get(where, "kept")
        yield f"- {each.count} older of the family {said(family, 80)}, from #{each.first} on ({what}{best})"


def _entry(row: Row, dossier: Dossier) -> str:
    """One experiment on one line."""
    history = dossier.history
    words = dossier.words.get(row.number, Words())
    kind = "" if row.status == "keep" else f"({_DEAD[list_of(row)]}) "
    taught = " ".join(_taught(row, history))
    text = f"- {kind}#{row.number} {said(row.description)}{_mended(row, history)}: {_result(row, words, history)}"
    return f"{text} {taught}".rstrip()


def _result(row: Row, words: Words, history: History) -> str:
    """The value and the engine's reason. A failure's reason holds what the run printed."""
    if row.status in ("crash", "checks_failed"):
        return printed(words.reason) or f"{_cause(row)}."
    reason = said(words.reason) or _cause(row)
    return _sentence(f"{value(row.metric, history)}, {reason}" if row.metric is not None else reason)


def _taught(row: Row, history: History) -> list[str]:
    lesson, retry_if = history.lessons.get(row.number, ("", ""))
    return [f"Lesson: {_sentence(said(lesson, 400))}{_retry(retry_if)}"] if lesson or retry_if else []


def _retry(condition: str) -> str:
    return f" Again only if {_sentence(said(condition))}" if condition else ""


def _mended(row: Row, history: History) -> str:
    chain = history.mended(row)
    return f" (mends {', '.join(f'#{failed.number}' for failed in reversed(chain))})" if chain else ""


def _cause(row: Row) -> str:
    return said(row.cause.replace("_", " "), 40) or row.status.replace("_", " ")


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."
