"""Keep the notebook: draw it from the history, and take what people and agents wrote into it as records."""

from __future__ import annotations

import time

from autoresearch.engine.record.recorder import Recorder
from autoresearch.state import journal, notebook
from autoresearch.state.config import Config
from autoresearch.state.journal import LISTS, History, Row, list_of, records
from autoresearch.state.notebook import Edit, Entries, Entry, Fold, Idea, View, load, merge, save, weave
from autoresearch.state.text import numbers

BY = "notebook"
AT_MOST_EVERY_S = 2.0


class Notebook:
    """Writes the notebook after experiments, at most every two seconds: it is a view, and two fsyncs a time."""

    def __init__(self, recorder: Recorder, config: Config) -> None:
        self._recorder = recorder
        self._config = config
        self._due = True
        self._written = 0.0

    def update(self) -> None:
        """Something worth writing happened."""
        self._due = True
        self.tick()

    def tick(self) -> None:
        if self._due and time.monotonic() - self._written >= AT_MOST_EVERY_S:
            self.write()

    def write(self) -> None:
        self._written = time.monotonic()
        self._recorder.attempt("The notebook", self._write)

    def _write(self) -> None:
        """Take in what others wrote since the last time, then write the notebook anew around their prose."""
        recorder, session, history = self._recorder, self._recorder.session, self._recorder.history
        base, theirs = load(session.notebook_base), load(session.notebook)
        ours = notebook.render(view(history, self._config))
        found = merge(base, theirs, ours)
        if found.warning and base:
            recorder.warn(found.warning, code="notebook")
        lines = [line for edit in found.edits if (line := _line_for(edit, history)) is not None]
        for line in lines:
            recorder.write(line)
        pure = notebook.render(view(history, self._config)) if lines else ours
        text = weave(pure, found.prose)
        if text != theirs:
            save(session.notebook, session.notebook_base, pure, text)
        self._due = False


def _line_for(edit: Edit, history: History) -> records.Record | None:
    """The journal line for an edit; None for one that the journal has already."""
    if edit.request in history.requests:
        return None
    request = edit.request or None
    kind = edit.id[:1]
    if edit.kind == "dead_end" or (edit.kind == "change" and kind == "d"):
        known = history.dead_ends.get(edit.id)
        text = edit.text or (known.text if known else "")
        return records.DeadEnd(
            id=edit.id or history.free_id("d", history.dead_ends),
            text=text.removesuffix(_retry(known.retry_if)) if known else text,
            list=edit.list or (known.list if known else "refuted"),
            experiment=known.experiment if known else None,
            retry_if=known.retry_if if known else "",
            by=BY,
            request=request,
        )
    if edit.kind == "note" or (edit.kind == "change" and kind in "n#"):
        # An experiment's own line is drawn from the record; what a person made of it stays as their note.
        id = edit.id if kind == "n" else history.free_id("n", history.notes)
        text = f"{edit.id}: {edit.text}" if kind == "#" else edit.text
        return records.Note(id=id, text=text, by=BY, request=request)
    if edit.kind == "first":
        known_idea = history.ideas.get(edit.id)
        if known_idea is None:
            return None
        return records.Idea(id=edit.id, text=known_idea.text, first=True, by=BY, request=request)
    if edit.kind in ("idea", "change"):
        id = edit.id or history.free_id("i", history.ideas)
        return records.Idea(id=id, text=edit.text, first=edit.first, by=BY, request=request)
    if edit.kind in ("veto", "close") and kind in "idn":
        reason = "closed in the notebook" if edit.kind == "close" else "deleted from the notebook"
        return records.Veto(id=edit.id, reason=reason, by=BY, request=request)
    return None


# -- the view


def view(history: History, config: Config) -> View:
    return View(
        title=config.name,
        objective=_objective(config),
        measured=_measured(history, config),
        rules=_rules(config),
        stand=_stand(history, config),
        **_lists(history),
        ideas=[
            Idea(idea.id, idea.text, idea.state) for idea in history.ideas.values() if idea.state in ("open", "taken")
        ],
        notes=[Entry(note.id, note.text, by=note.by) for note in history.notes.values()],
        higher=config.metric.direction == "higher",
    )


def _objective(config: Config) -> list[str]:
    said = [config.objective or f"Improve {config.metric.name}."]
    if config.program:
        said.append(f"The strategy is in `{config.program}`.")
    return said


def _measured(history: History, config: Config) -> list[str]:
    metric = config.metric
    unit = f" in {metric.unit}" if metric.unit else ""
    said = [f"`{metric.name}`{unit}, {metric.direction} is better."]
    for name in ("build", "run", "evaluate"):
        if command := getattr(config.measure, name):
            said.append(f"{name}: `{_command(command)}`")
    if config.measure.budget_s:
        said.append(f"A run gets {numbers.duration(config.measure.budget_s)}.")
    if history.score_note:
        said.append(history.score_note)
    sd = history.spread.sd
    if sd is not None:
        said.append(
            f"Repeated runs differ by {numbers.metric(sd, sd)} (one sd): smaller differences are noise."
            if sd
            else "Repeated runs agree exactly."
        )
    return said


def _command(command: str | tuple[str, ...]) -> str:
    return command if isinstance(command, str) else " ".join(command)


def _rules(config: Config) -> list[str]:
    said = [f"In scope: {', '.join(f'`{glob}`' for glob in config.scope.edit)}. Nothing else is taken."]
    said += [f"Guard: `{_command(guard.run)}`" for guard in config.guard]
    said += [f"Constraint: `{name}` {limit}" for name, limit in config.constraints.items()]
    said.append("One change per experiment; simpler at an equal metric is a win.")
    return said


def _stand(history: History, config: Config) -> list[str]:
    if history.incumbent is None or history.baseline is None:
        return ["The baseline is not measured yet."]
    best, start = history.incumbent, history.baseline
    step = history.spread.sd
    said = [f"Baseline {numbers.metric(start.metric, step)} (#{start.number})."]
    if best.number != start.number and best.metric is not None and start.metric is not None:
        gain = (start.metric - best.metric) * (1 if config.metric.direction == "lower" else -1)
        percent = f", {abs(gain / start.metric):.1%}" if start.metric else ""
        better = f"better by {numbers.metric(gain, step)}{percent}"
        said.append(f"Best {numbers.metric(best.metric, step)} (#{best.number}): {better}.")
    said.append(f"{numbers.plural(len(history.rows), 'experiment')}: {history.tally}")
    return said


def _lists(history: History) -> dict[str, Entries]:
    """Of each list the newest one by one; of each family, how many more there are."""
    ends = journal.dead_ends_in(history)
    said: dict[str, list[Entry]] = {name: [] for name in LISTS}
    for where, dead, _ in ends:
        if dead is not None:
            said[where].append(Entry(dead.id, dead.text + _retry(dead.retry_if), by=dead.by))
    shown, older = journal.newest(history, [*journal.worked(history), *journal.unwritten(ends)])
    for row in shown:
        said[list_of(row)].append(_entry(row, history))
    folds: dict[str, list[Fold]] = {name: [] for name in LISTS}
    for (name, family), each in reversed(older.items()):
        folds[name].append(Fold(family, each.count, each.first, each.last, each.best))
    return {name: Entries(said[name], folds[name]) for name in LISTS}


def _retry(condition: str) -> str:
    return f" (retry if {condition})" if condition else ""


def _entry(row: Row, history: History) -> Entry:
    step = history.spread.sd
    lesson, retry_if = history.lessons.get(row.number, ("", ""))
    text = f"#{row.number} {row.description}"
    if row.metric is not None:
        text += f": {numbers.metric(row.metric, step)}"
    if row.estimate is not None and row.status != "crash":
        text += f", {numbers.signed(row.estimate, row.interval or step)} {numbers.plus_minus(row.interval)}".rstrip()
    if row.status in ("crash", "checks_failed") or row.cause not in ("better", "worse", "unproven"):
        text += f" ({row.cause.replace('_', ' ')})"
    if lesson:
        text += f". {lesson}"
    if retry_if:
        text += f" Retry if {retry_if}."
    return Entry(f"#{row.number}", text, family=row.family, number=row.number, metric=row.metric)
