"""Ideas, dead ends, families and experiments as entries to pick from."""

from __future__ import annotations

from collections.abc import Mapping

from autoresearch.state.journal import Row
from autoresearch.state.text import safe_line
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.ideas import Entry, Family
from autoresearch.tui.facts.text import GLYPHS
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.pick_list import Pick


def heading(text: str, palette: Palette) -> Pick:
    return Pick("", "", palette.title, text, palette.title)


def idea_pick(key: str, entry: Entry, number: int, palette: Palette) -> Pick:
    text = entry.text + (f" ({entry.reason})" if entry.reason else "")
    if entry.where == "open":
        mark, style, text_style = f"{number:>2}", palette.keep, palette.text
    elif entry.where == "taken":
        mark, style, text_style = " >", palette.run, palette.text
    elif entry.where == "tried" and entry.status:
        mark, text_style = f" {GLYPHS[entry.status]}", palette.quiet
        style = palette.status(entry.status, entry.cause)
    else:
        mark, style, text_style = " –", palette.quiet, palette.quiet
    tail = f"… {entry.pending}" if entry.pending else entry.estimate if entry.where == "tried" else ""
    return Pick(key, mark, style, text, text_style, lead=entry.id, tail=tail)


def dead_pick(key: str, entry: Entry, palette: Palette, pending: str = "") -> Pick:
    status = entry.status or ("crash" if entry.where == "crashed" else "discard")
    style = palette.status(status, "unproven" if entry.where == "unproven" else entry.cause)
    text = entry.text
    if entry.kind == "experiment" and entry.where == "crashed":
        text += f" ({entry.cause.replace('_', ' ')})"
    if entry.reason:
        text += f". {entry.reason}"
    if entry.retry_if:
        text = f"{text.rstrip('.')}. Retry if {entry.retry_if}."
    mark, lead = ("≡", "") if entry.kind == "knob" else (GLYPHS[status], entry.id)
    return Pick(key, mark, style, text, palette.text, lead, f"… {pending}" if pending else entry.estimate)


def family_pick(key: str, family: Family, palette: Palette) -> Pick:
    counts = ((family.kept, GLYPHS["keep"]), (family.refuted, GLYPHS["discard"]), (family.unproven, "~"),
              (family.crashed, GLYPHS["crash"]))  # fmt: skip
    fates = " ".join(f"{count}{mark}" for count, mark in counts if count)
    line = family.line if family.line.startswith(family.called) else f"{family.called}: {family.line}"
    style = palette.keep if family.kept else palette.quiet
    return Pick(key, f"{family.tried:>3}", style, line, palette.text, tail=fates)


def hit_pick(key: str, hit: Mapping[str, object], palette: Palette) -> Pick:
    status = str(hit["status"])
    style = palette.status(status, str(hit["cause"]))
    return Pick(key, GLYPHS[status], style, str(hit["description"]), palette.text, lead=key)


def row_pick(row: Row, palette: Palette) -> Pick:
    evidence = documents.evidence_text(row) or row.cause.replace("_", " ")
    style, text = palette.status(row.status, row.cause), safe_line(row.description)
    return Pick(str(row.number), GLYPHS[row.status], style, text, palette.text, f"#{row.number}", evidence)
