"""What stands beside the lists of ideas and dead ends: the entry under the cursor, whole."""

from __future__ import annotations

from autoresearch.state.journal import History
from autoresearch.state.text import numbers, safe_line
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.ideas import TITLES, Entry, Family
from autoresearch.tui.facts.text import GLYPHS
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.text_list import Item

_STATES = {"open": "to try", "taken": "being tried", "tried": "tried", "vetoed": "vetoed"}
_SHOWN = 60
Hit = dict[str, object]
"""One experiment as `search` finds it."""


def details_of(item: Entry | Family | Hit, history: History, palette: Palette) -> list[Item]:
    if isinstance(item, Entry):
        return _details_of_entry(item, history, palette)
    return _details_of_family(item, history, palette) if isinstance(item, Family) else _details_of_hit(item, palette)


def _details_of_entry(entry: Entry, history: History, palette: Palette) -> list[Item]:
    where = TITLES.get(entry.where) or _STATES.get(entry.where, entry.where)
    name = f"{entry.id} " if entry.kind != "knob" else ""
    items: list[Item] = [
        ("", palette.title, f"{name}{where}", palette.title),
        ("·", palette.quiet, entry.text, palette.strong),
    ]
    facts = [
        ("by", entry.by),
        ("category", entry.category),
        ("result", entry.estimate),
        ("cause", entry.cause.replace("_", " ") if entry.kind != "idea" else ""),
        ("why", entry.reason),
        ("retry if", entry.retry_if),
        ("in the inbox", entry.pending),
    ]
    items += [("·", palette.quiet, f"{label}: {value}", palette.text) for label, value in facts if value]
    return items + _experiments(entry.experiments, history, palette)


def _details_of_family(family: Family, history: History, palette: Palette) -> list[Item]:
    fates = (("kept", family.kept), ("worse", family.refuted), ("unproven", family.unproven),
             ("crashed or blocked", family.crashed))  # fmt: skip
    said = ", ".join(f"{count} {name}" for name, count in fates if count)
    return [
        ("", palette.title, f"{family.called}, {family.tried} tried", palette.title),
        ("·", palette.quiet, family.line, palette.strong),
        ("·", palette.quiet, said, palette.text),
        *_experiments(family.experiments, history, palette),
    ]


def _experiments(experiments: tuple[int, ...], history: History, palette: Palette) -> list[Item]:
    rows = [history.by_number[n] for n in sorted(experiments, reverse=True)[:_SHOWN] if n in history.by_number]
    if not rows:
        return []
    items: list[Item] = [("", palette.title, "Experiments", palette.title)]
    for row in rows:
        evidence = documents.evidence_text(row) or row.cause.replace("_", " ")
        text = f"#{row.number} {safe_line(row.description)} – {evidence}"
        items.append((GLYPHS[row.status], palette.status(row.status, row.cause), text, palette.quiet))
        lesson, retry_if = history.lessons.get(row.number, ("", ""))
        if lesson:
            items.append((" ", palette.quiet, safe_line(lesson), palette.text))
        if retry_if:
            items.append((" ", palette.quiet, f"Retry if {safe_line(retry_if)}", palette.text))
    if len(experiments) > _SHOWN:
        items.append(("…", palette.quiet, f"{len(experiments) - _SHOWN} older; enter lists all", palette.quiet))
    return items


def _details_of_hit(hit: Hit, palette: Palette) -> list[Item]:
    metric = hit["metric"]
    value = numbers.metric(metric if isinstance(metric, float) else None)
    items: list[Item] = [
        ("", palette.title, f"{hit['session']} #{hit['number']}", palette.title),
        (GLYPHS[str(hit["status"])], palette.status(str(hit["status"])), str(hit["description"]), palette.strong),
        ("·", palette.quiet, f"{str(hit['cause']).replace('_', ' ')}, value {value}", palette.text),
    ]
    for label in ("category", "hypothesis", "reason", "lesson", "snippet"):
        text = safe_line(str(hit[label]))
        if text and text != hit["description"]:
            items.append(("·", palette.quiet, f"{'found' if label == 'snippet' else label}: {text}", palette.text))
    files = hit["files"]
    if isinstance(files, (list, tuple)) and files:
        items.append(
            ("·", palette.quiet, "files: " + ", ".join(safe_line(str(name)) for name in files[:20]), palette.text)
        )
    return items
