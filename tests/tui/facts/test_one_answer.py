"""What failed, how often what happened, which limits hold: every place that tells of a history says the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from repos import TOML, make_target

from autoresearch.engine import limits
from autoresearch.engine.brief import experiments as brief
from autoresearch.engine.brief.dossier import RECENT, Dossier, gather
from autoresearch.engine.git import Git
from autoresearch.engine.record import notebook
from autoresearch.engine.secrets import NONE
from autoresearch.state.config import Config, Limits, Measure, Metric, Scope, load
from autoresearch.state.journal import History, dead_ends_in, worked
from autoresearch.state.journal import records as r
from autoresearch.state.session import Heartbeat, Place, Session, create_session, find_place
from autoresearch.tui.commands import sessions
from autoresearch.tui.facts import documents, ideas
from autoresearch.tui.facts.overview import overview_of
from autoresearch.tui.facts.restart import returning
from autoresearch.tui.look.palette import palette_of
from autoresearch.tui.terminal.parting_words import parting_words
from autoresearch.tui.terminal.session_text import counts_text
from autoresearch.tui.widgets.state_line import StateLine
from autoresearch.tui.widgets.text_list import dead_ends_of

BASE = "b" * 40
CONFIG = Config(name="t", metric=Metric(name="score"), scope=Scope(edit=("knob.py",)), measure=Measure(run="true"))

WRITTEN = {"the first that was written": "d1", "crashes whenever it is hot": "d2", "an idea: no": "d4"}
DEAD = {"refuted": {"#3", "#8", "#10", "d1", "d4"}, "unproven": {"#4"}, "crashed": {"#13", "#14", "d2"}}
COUNTS = {"experiments": 15 + RECENT, "tried": 12 + RECENT, "kept": 3 + RECENT, "discard": 5, "unproven": 1,
          "crash": 2, "checks_failed": 2, "parked": 0}  # fmt: skip


def sha(number: int) -> str:
    return f"{number:040x}"


def done(n: int, status: Any, cause: str, proposal: int | None, metric: float = 5.0) -> r.Experiment:
    estimate = None if status in ("crash", "checks_failed") else 0.1
    return r.Experiment(run=n, commit=sha(n)[:7], metric=metric, status=status, cause=cause, description=f"try {n}",
                        sha=sha(n), parent=BASE, proposal=proposal, estimate=estimate)  # fmt: skip


def baseline(n: int, status: Any = "keep", cause: str = "baseline") -> list[r.Record]:
    sample = r.Sample(experiment=n, sha=sha(n), arm="candidate", k=1, seed=1, metric=5.0)
    return [r.Intent(experiment=n, proposal=None, parent=BASE, sha=sha(n)), sample, done(n, status, cause, None)]


def lines() -> Iterator[r.Record]:
    ids = count(1)

    def tried(n: int, status: Any, cause: str, **more: Any) -> list[r.Record]:
        id = next(ids)
        return [r.Proposal(id=id, base=BASE, sha=sha(n), description=f"try {n}", **more),
                r.Intent(experiment=n, proposal=id, parent=BASE, sha=sha(n)), done(n, status, cause, id)]  # fmt: skip

    yield r.Header(name="t", metric_name="score", base=BASE)
    yield from baseline(1)
    yield from tried(2, "keep", "better")
    yield from tried(3, "discard", "worse")
    yield from tried(4, "discard", "unproven")
    yield from tried(5, "crash", "nonzero_exit")
    yield from tried(6, "keep", "better", mends=5)
    yield from tried(7, "checks_failed", "guard")
    yield from tried(8, "discard", "worse", mends=7)
    yield from tried(9, "discard", "worse")
    yield done(10, "discard", "", None)  # another program's
    yield r.Header(name="t", metric_name="score", base=BASE, reason="its evaluator changed")
    yield from baseline(11, "crash", "nonzero_exit")
    yield from baseline(12)
    yield from tried(13, "checks_failed", "guard")
    yield from tried(14, "crash", "timeout")
    yield r.Idea(id="i1", text="an idea")
    yield r.DeadEnd(id="d1", text="the first that was written", experiment=9)
    yield r.DeadEnd(id="d2", text="crashes whenever it is hot", list="crashed", retry_if="it cools")
    yield r.DeadEnd(id="d3", text="taken back")
    yield r.DeadEnd(id="d4", text="an idea: no", idea="i1")
    yield r.Veto(id="d3")
    yield r.Overrule(experiment=3, action="keep", note="it is simpler")
    yield from tried(15, "keep", "overruled", agent="overrule")
    for n in range(16, 16 + RECENT):
        yield from tried(n, "keep", "better")


@pytest.fixture
def history() -> History:
    known, at = History(), 0
    for record in lines():
        line = r.encode(record)
        known.feed(at, line[:-1])
        at += len(line)
    assert not known.problems
    return known


def dossier(history: History) -> Dossier:
    return Dossier("nov20", CONFIG, history, Limits())


def grouped(found: Iterator[tuple[str, str]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {name: set() for name in DEAD}
    for where, id in found:
        assert id not in groups[where], "nothing stands twice"
        groups[where].add(id)
    return groups


def named(text: str) -> str:
    """The id of what a line tells of."""
    written = [id for words, id in WRITTEN.items() if words in text]
    return written[0] if written else re.findall(r"#\d+", text)[0]


def of_dashboard(history: History) -> Iterator[tuple[str, str]]:
    where = ""
    titles = {title: name for name, title in ideas.TITLES.items()}
    for mark, _, text, _ in dead_ends_of(history, palette_of("dark", plain=False)):
        if mark:
            yield where, named(text)
        else:
            title, _, number = text.rpartition(" ")
            where = titles[title]
            assert int(number.strip("()")) == len(DEAD[where])


def of_brief(history: History) -> Iterator[tuple[str, str]]:
    where = {"worse": "refuted", "unproven": "unproven", "crashed or blocked": "crashed"}
    for line in brief.dead_ends(dossier(history)):
        found = re.match(r"- \((.*?)\)", line)
        assert found is not None
        yield where[found[1]], named(line)


def test_dead_ends_are_the_same_everywhere(history: History) -> None:
    def of(where: str, written: str | None, number: int | None) -> tuple[str, str]:
        return where, written or f"#{number}"

    fold = dead_ends_in(history)
    drawn = notebook.view(history, CONFIG)
    assert grouped(of(end.where, end.written and end.written.id, end.row and end.row.number) for end in fold) == DEAD
    page = ideas.dead_ends(history)
    assert grouped((name, entry.id) for name, entries in page.items() for entry in entries) == DEAD
    document = documents.dead_ends(history)
    assert grouped(of(end["list"], end["id"], end["experiment"]) for end in document) == DEAD
    assert grouped(of_dashboard(history)) == DEAD
    assert grouped(of_brief(history)) == DEAD
    lists = {"refuted": drawn.refuted, "unproven": drawn.unproven, "crashed": drawn.crashed}
    assert grouped((name, entry.id) for name, entries in lists.items() for entry in entries.shown) == DEAD
    chosen = dict(ideas.choices(history)["cause"])
    assert chosen == {"worse": 2, "unproven": 1, "guard": 1, "timeout": 1}, "what can be filtered is what is listed"


def test_counts_are_the_same_everywhere(history: History) -> None:
    counts = documents.counts(history)
    assert counts == COUNTS
    assert counts["tried"] == sum(counts[name] for name in ("kept", "discard", "crash", "checks_failed"))
    kept, rest = COUNTS["kept"], "5 discarded"
    said = f"{kept} kept, {rest}, 2 crashed, 2 failed a guard"
    assert history.tally.startswith(said)
    assert said in " ".join(brief.stand(dossier(history)))
    assert said in " ".join(notebook.view(history, CONFIG).stand)
    tried = COUNTS["tried"]
    assert counts_text(counts) == f"{tried}: {kept} kept, {rest} (1 of them unproven), 2 crashed, 2 failed a guard"
    line = StateLine(palette_of("dark", plain=False))
    shown = "".join(text for _, text, _ in line._standing(history, {}))
    assert f"keep {kept}✓ discard 5× crash 2! checks 2c" in shown
    assert len(worked(history)) == kept
    drawn = notebook.view(history, CONFIG).worked
    assert len(drawn.shown) + sum(fold.count for fold in drawn.older) == kept


def on_disk(tmp_path: Path, *more: r.Record) -> tuple[Place, Session]:
    toml = f"{TOML}\n[limits]\nexperiments = 900\ntokens = 5000\nno_keep = 9\n"
    place = find_place(make_target(tmp_path / "r", toml))
    header, *rest = lines()
    assert isinstance(header, r.Header)
    return place, create_session(place, "nov20", header, place.config_file.read_text(), *rest, *more)


def test_counts_are_the_same_in_every_command_and_list(tmp_path: Path) -> None:
    place, session = on_disk(tmp_path, r.Pause(reason="asked"))
    history, beat = session.history(), Heartbeat()
    shown = overview_of(session, history, r.now_ms(), beat)
    for document in (documents.status(session, history, r.now_ms(), beat), documents.summary(session, history)):
        assert document["counts"] == shown.document["counts"] == COUNTS
    assert f"Tried {counts_text(COUNTS)}." in parting_words(place, session, beat)[0]
    assert {f"{COUNTS['tried']} tried", f"{COUNTS['kept']} kept"} <= set(sessions._line(shown, r.now_ms()))
    listed = [documents.experiment(row, history) for row in history.rows]
    assert len(listed) == COUNTS["experiments"]
    tried = Counter(each["status"] for each in listed if not history.by_number[each["number"]].baseline)
    assert tried == {"keep": COUNTS["kept"]} | {name: COUNTS[name] for name in ("discard", "crash", "checks_failed")}


@pytest.mark.parametrize("experiments", [800, 7])
def test_limits_are_the_same_everywhere(tmp_path: Path, experiments: int) -> None:
    changes = {"limits.experiments": experiments, "limits.no_keep": 12}
    place, session = on_disk(tmp_path, r.Settings(changes=changes), r.Pause(reason="asked"))
    history, config = session.history(), load(place.config_file)
    own = limits.in_force(config.limits, history)
    assert (own.experiments, own.tokens, own.no_keep) == (experiments, 5000, 12)
    shown = overview_of(session, history, r.now_ms(), Heartbeat())
    bounds = documents.next_limits(place, session, history, {})
    assert bounds == shown.document["limits"] == {**asdict(own), "call": {}}

    left = limits.left_words(asdict(own), history)
    page = returning(history, None, bounds)
    assert len(left) == 4
    assert list(page.left) == left
    told = gather(place, session, history, config, Git(place.common_dir), "HEAD", NONE)
    assert f"Left: {', '.join(left)}.".replace("of $10,", "of $10.00,") in list(brief.stand(told))

    now = datetime.now().astimezone()
    reached = limits.reached(limits.Progress(history, now, now, free_mb=1e9), own, config.metric)
    assert (reached is not None) == (experiments == 7)
    assert (page.used_up, page.held) == ((reached.limit, reached.reason) if reached else ("", ""))
    assert shown.held == page.held
