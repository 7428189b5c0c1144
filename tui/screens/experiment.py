"""One experiment: the verdict in words with its samples, the diff, logs, outputs, and what can be done about it."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.widget import Widget

from autoresearch.state.journal import NOTHING_TAKEN, records
from autoresearch.state.text import numbers, safe_line
from autoresearch.tui.facts import experiment
from autoresearch.tui.facts.experiment import Experiment
from autoresearch.tui.facts.text import GLYPHS, SIGNS
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.editor import edit, page
from autoresearch.tui.screens.panes import lit
from autoresearch.tui.screens.session_page import SessionPage
from autoresearch.tui.widgets.diff_view import DiffView
from autoresearch.tui.widgets.log_view import LogView
from autoresearch.tui.widgets.strip_plot import Arm, StripPlot
from autoresearch.tui.widgets.text_list import Item, TextList

Tab = Literal["verdict", "diff", "logs", "outputs"]
TABS: tuple[Tab, ...] = ("verdict", "diff", "logs", "outputs")
_TITLES = {"verdict": "Verdict", "diff": "Diff", "logs": "Logs", "outputs": "Outputs"}
_ARMS = {"candidate": "run", "incumbent": "best again", "fresh": "fresh run"}
_BOTH_FROM = 140
"""From this width on the verdict stays beside the other tabs."""
_DIFF_CHARS = 4_000_000
_KEPT_LINES = 200


class ExperimentScreen(SessionPage):
    AUTO_FOCUS = "#verdict"
    CHANGES = frozenset({"retry", "measure_again", "overrule"})
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(n), f"tab('{tab}')", _TITLES[tab].lower(), show=False, id=f"experiment.tab_{tab}",
                    tooltip=f"{_TITLES[tab]}: show it")
            for n, tab in enumerate(TABS, 1)
        ),
        Binding("tab", "next_tab(1)", "next", show=False, id="experiment.next_tab", tooltip="The next tab"),
        Binding("shift+tab", "next_tab(-1)", "previous", show=False, id="experiment.previous_tab",
                tooltip="The tab before"),
        Binding("n,right,right_curly_bracket", "go(1)", "next", key_display="n N", id="experiment.next",
                tooltip="The next experiment; N: the one before"),
        Binding("N,left,left_curly_bracket", "go(-1)", "before", show=False, id="experiment.before",
                tooltip="The experiment before"),
        Binding("left_square_bracket", "pick_log(-1)", "log", show=False, id="experiment.previous_log",
                tooltip="The log before"),
        Binding("t", "retry", "try again", id="experiment.retry",
                tooltip="Try its change again, on the present best"),
        Binding("a", "measure_again", "measure again", id="experiment.measure_again",
                tooltip="Measure the best once more"),
        Binding("o", "overrule", "overrule", id="experiment.overrule",
                tooltip="Decide against the verdict, with a note that stays on record"),
        Binding("y", "copy", "copy", id="experiment.copy", tooltip="Copy patch, number, commit or path"),
        Binding("right_square_bracket", "pick_log(1)", "log", key_display="[ ]", id="experiment.next_log",
                tooltip="The next log: output, build, evaluate, guard, agent, brief"),
        Binding("v", "pager", "pager", id="experiment.pager", tooltip="The diff or the log in $PAGER"),
        Binding("e", "editor", "editor", id="experiment.editor",
                tooltip="The diff, the log or the output in $EDITOR"),
    ]  # fmt: skip

    def __init__(self, palette: Palette, number: int) -> None:
        super().__init__(palette)
        self.number = number
        self.tab: Tab = "verdict"
        self.facts: Experiment | None = None
        self.problem = ""
        self.diff: str | None = None
        self._diff_of = -1
        self._picked = ""
        self._outputs: list[experiment.Kept] = []

    @property
    def heading(self) -> str:  # type: ignore[override]
        if self.facts is None:
            return f"#{self.number}"
        return f"#{self.number}  {SIGNS[self.facts.status]}"

    def body(self) -> Iterable[Widget]:
        with Container(id="split"):
            with Vertical(id="told"):
                yield StripPlot(self.palette, id="strip")
                yield TextList(self.palette, "verdict", "framed", most_lines=40)
            yield DiffView(self.palette, id="diff", classes="framed")
            yield LogView(self.palette, id="run-log", classes="framed")
            message = "It kept no outputs; name files in `measure.keep` to have them kept."
            yield TextList(self.palette, "outputs", "framed", message)

    def stamp(self) -> tuple[object, ...]:
        return (*super().stamp(), self.number)

    # -- showing

    def show(self) -> None:
        session, history = self.viewer.session, self.history
        item = experiment.known(history, self.number)
        self.facts, self.problem = None, ""
        if item is None:
            self.problem = f"There is no experiment {self.number} in this session."
        else:
            try:
                self.facts = experiment.read(session, history, item)
            except (OSError, records.MalformedRecord, AssertionError) as error:
                self.problem = f"Experiment {self.number} cannot be read from the journal: {error}."
        verdict = self.query_one("#verdict", TextList)
        verdict.message = self.problem
        items = told(self.facts, self.palette) if self.facts is not None else ()
        verdict.show([(mark, style, safe_line(text), look) for mark, style, text, look in items])
        self._show_strip()
        self._show_files()
        self._arrange()

    def _show_strip(self) -> None:
        palette, found = self.palette, self.facts
        if found is None:
            self.query_one("#strip", StripPlot).show([], None, "lower")
            return
        header = self.history.header or records.Header()
        best = f"best #{found.against_number}" if found.against_number is not None else "best"
        style = palette.status(found.status, found.cause) if found.status != "open" else palette.run
        arms = [
            Arm("this", found.race, style),
            Arm("this, fresh", found.fresh, palette.keep),
            Arm(best, found.against, palette.best),
        ]
        self.query_one("#strip", StripPlot).show(arms, self.history.spread.sd, header.direction)

    def _show_files(self) -> None:
        session, found = self.viewer.session, self.facts
        logs = experiment.logs_of(session, self.number)
        name = self._picked if self._picked in logs else next(iter(logs), "")
        log = self.query_one("#run-log", LogView)
        log.message = "It left no logs, or they were removed with its run folder."
        log.aim(logs.get(name, session.run(self.number) / "output.log"))
        log.look()
        if self._diff_of != self.number and found is not None:
            self._diff_of = self.number
            self.query_one("#diff", DiffView).message = "Asking git …"
            self.query_one("#diff", DiffView).show("")
            self._ask_git(found)
        self._outputs = experiment.kept(session, self.number, found.against_number if found else None)
        self.query_one("#outputs", TextList).show(list(beside(self._outputs, found, self.palette)))

    def _ask_git(self, found: Experiment) -> None:
        place, session, number = self.viewer.place, self.viewer.session, found.number

        def ask() -> None:
            from autoresearch.engine.workspace import diff_of

            text, why = None, "Its commit is no longer in this repository, so there is no diff to show."
            try:
                text = diff_of(place, session, number, found.parent, found.sha)
            except Exception as error:  # whatever git or its library says, the page stays
                said = safe_line(str(error))[:200]
                lost = said.startswith("/")  # the library says only which folder it found no repository in
                why = "Its repository is not there any more." if lost else f"git gave no diff: {said}"
            self.app.call_from_thread(self._take_diff, number, text, why)

        self.run_worker(ask, thread=True, exclusive=True, group="diff", exit_on_error=False)

    def _take_diff(self, number: int, text: str | None, why: str) -> None:
        if number != self.number or not self.is_mounted:
            return
        self.diff = text
        view = self.query_one("#diff", DiffView)
        if text is None:
            view.message = why
        elif not text:
            view.message = "It changed nothing: a baseline, or a proposal of which nothing could be taken."
        cut = text is not None and len(text) > _DIFF_CHARS
        view.show((text or "")[:_DIFF_CHARS])
        view.border_subtitle = f"cut after {_DIFF_CHARS / 1e6:.0f} MB; v shows all" if cut else ""
        view.refresh()

    def on_resize(self, event: Resize) -> None:
        super().on_resize(event)
        self._arrange()

    def _arrange(self) -> None:
        both = self.app.size.width >= _BOTH_FROM
        self.set_class(both, "-both")
        shown: Tab = "diff" if both and self.tab == "verdict" else self.tab
        self.query_one("#told").display = both or shown == "verdict"
        for tab, name in (("diff", "#diff"), ("logs", "#run-log"), ("outputs", "#outputs")):
            widget = self.query_one(name)
            widget.display = shown == tab
            widget.border_title = self._tabs(shown)
        self.query_one("#verdict").border_title = "Verdict" if both else self._tabs(shown)
        log = self.query_one("#run-log", LogView)
        log.border_subtitle = log.file.path.name if log.file is not None and log.count() else ""

    def _tabs(self, shown: Tab) -> str:
        return lit([f"{number} {_TITLES[tab]}" for number, tab in enumerate(TABS, 1)], TABS.index(shown))

    # -- going about

    def action_tab(self, tab: Tab) -> None:
        self.tab = tab
        self._arrange()
        names = {"verdict": "#verdict", "diff": "#diff", "logs": "#run-log", "outputs": "#outputs"}
        self.query_one(names[tab]).focus()
        self.show_keys()

    def action_next_tab(self, by: int) -> None:
        self.action_tab(TABS[(TABS.index(self.tab) + by) % len(TABS)])

    def action_go(self, by: int) -> None:
        there = experiment.numbers_of(self.history)
        self.number = there[there.index(self.number) + by]
        self._picked = ""
        self.query_one("#verdict", TextList).to_line(0)
        self.show_again()

    def action_pick_log(self, by: int) -> None:
        logs = list(experiment.logs_of(self.viewer.session, self.number))
        now = self.query_one("#run-log", LogView).file
        at = logs.index(now.path.name) if now is not None and now.path.name in logs else 0
        self._picked = logs[(at + by) % len(logs)] if logs else ""
        self._show_files()
        self.action_tab("logs")

    # -- acting

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        said = super().refusal(action, parameters)
        if said or not self.is_mounted:
            return said
        found = self.facts
        if action == "go":
            there = experiment.numbers_of(self.history)
            by = parameters[0] if parameters and isinstance(parameters[0], int) else 1
            at = there.index(self.number) + by if self.number in there else -1
            return "" if 0 <= at < len(there) else "There is no further one."
        if action not in self.CHANGES and action != "copy":
            return ""
        if found is None:
            return self.problem
        if action in self.CHANGES and (
            found.status == "open" or (found.cause == "baseline" and action != "measure_again")
        ):
            return "It has no verdict yet." if found.status == "open" else "It is a baseline, which changed nothing."
        if action in self.CHANGES and found.cause in NOTHING_TAKEN:
            return "It changed nothing, so there is nothing to try again or to keep."
        best = self.history.incumbent is not None and self.history.incumbent.number == self.number
        if action == "measure_again" and (not best or found.cause == "baseline"):
            return "Only the best is measured once more; t tries another's change again."
        if action == "retry" and best:
            return "It is the best; a measures it once more."
        return ""

    def action_retry(self) -> None:
        self.viewer.ask("retry", f"#{self.number} is tried again next.", experiment=self.number)

    def action_measure_again(self) -> None:
        self.viewer.ask("retry", "The best is measured once more, after this experiment.", experiment=self.number)

    def action_overrule(self) -> None:
        assert self.facts is not None
        kept = self.facts.status == "keep"
        action, what = ("discard", "undo its change") if kept else ("keep", "re-apply its change and keep it")
        said = f"#{self.number} is {'reverted' if kept else 're-applied'} next, as a new experiment."

        def decide(note: str) -> None:
            if note:
                self.viewer.ask("overrule", said, experiment=self.number, action=action, note=note)
            else:
                self.notify("Overruling needs a note that says why.", severity="warning", timeout=5)

        text = f"The engine will {what}. Your note stands wherever this is told."
        self.ask_line(f"Overrule #{self.number}", text, "why you know better", decide)

    def action_copy(self) -> None:
        found = self.facts
        assert found is not None
        what = {
            "patch": (f"the patch ({len(self.diff or ''):,} characters)", self.diff or ""),
            "number": (f"the number: #{self.number}", f"#{self.number}"),
            "commit": (f"the commit: {found.sha[:12]}", found.sha),
            "path": ("the path of its run folder", str(self.viewer.session.run(self.number))),
        }
        options = [(name, words) for name, (words, text) in what.items() if text]
        self.ask_which("Copy", "To the clipboard of your terminal.", options,
                       lambda name: self.viewer.copy_to_clipboard(what[name][1]))  # fmt: skip

    def action_pager(self) -> None:
        self._outside(lambda path: page(self.viewer, path))

    def action_editor(self) -> None:
        # To be read: a change would be nobody's, so it is said that nothing takes it up.
        self._outside(lambda path: edit(self.viewer, path, "What you changed there is yours alone; nothing reads it."))

    def _outside(self, show: Any) -> None:
        """The log or the output as it is; the diff, and the verdict with it, as a file of its own."""
        if self.tab == "logs":
            log = self.query_one("#run-log", LogView).file
            if log is not None:
                show(log.path)
        elif self.tab == "outputs" and self._outputs:
            show(self.viewer.session.run(self.number) / "kept" / self._outputs[0].name)
        elif self.diff:
            with tempfile.TemporaryDirectory(prefix="autoresearch-") as folder:
                path = Path(folder) / f"{self.number}.diff"
                path.write_text("\n".join(map(safe_line, self.diff.split("\n"))), encoding="utf-8")
                show(path)
        else:
            self.notify("There is no diff to show.", timeout=4)


# -- the page of the verdict


def told(found: Experiment, palette: Palette) -> Iterator[Item]:
    style = palette.status(found.status, found.cause) if found.status != "open" else palette.run
    yield (GLYPHS[found.status], style, found.description or found.cause.replace("_", " "), palette.strong)
    if found.because:
        yield ("·", palette.quiet, found.because, palette.strong)
    yield ("·", palette.quiet, found.verdict, palette.text)
    if found.reason:
        yield ("·", palette.quiet, found.reason, palette.text)
    if found.decided:
        yield ("!", palette.checks, f"Overruled: {found.decided}", palette.strong)
    for warning in found.warnings:
        yield ("!", palette.checks, warning, palette.text)
    if found.hypothesis:
        yield ("", palette.title, "Hypothesis", palette.title)
        yield ("?", palette.quiet, found.hypothesis, palette.text)
    if found.about:
        yield ("·", palette.quiet, found.about, palette.quiet)
    if found.lesson:
        yield ("", palette.title, "Lesson", palette.title)
        yield ("·", palette.quiet, found.lesson, palette.text)
        if found.retry_if:
            yield ("·", palette.quiet, f"Retry if {found.retry_if}", palette.quiet)
    if found.chain:
        yield ("", palette.title, "Tries", palette.title)
    for link in found.chain:
        look = palette.run if link.status == "open" else palette.status(link.status)
        here = palette.strong if link.number == found.number else palette.quiet
        yield (GLYPHS[link.status], look, f"#{link.number} {link.text}", here)
    yield from _figures(found, palette)


def _figures(found: Experiment, palette: Palette) -> Iterator[Item]:
    if found.metrics:
        yield ("", palette.title, "Metrics", palette.title)
    for metric in found.metrics:
        change = f"  {metric.change}" if metric.change else ""
        yield ("·", palette.quiet, f"{metric.name} {metric.value}{change}", palette.text)
    if found.samples:
        yield ("", palette.title, "Samples", palette.title)
    for sample in found.samples:
        yield _sample(sample, found.noise, palette)
    if found.files or found.dropped:
        plus, minus = found.lines
        yield ("", palette.title, f"Files (+{plus} −{minus} lines)", palette.title)
    for name in found.files[:40]:
        yield ("·", palette.quiet, name, palette.text)
    for name in found.dropped[:40]:
        yield ("!", palette.checks, f"not taken, out of scope: {name}", palette.text)
    yield ("", palette.title, "On record", palette.title)
    where = f"commit {found.sha[:12]}" + (f" on {found.parent[:12]}" if found.parent else "")
    for text in (found.params, found.cost, f"idea {found.idea}" if found.idea else "", where, found.rule):
        if text:
            yield ("·", palette.quiet, safe_line(text), palette.quiet)


def _sample(sample: records.Sample, noise: float | None, palette: Palette) -> Item:
    text = f"{_ARMS.get(sample.arm, sample.arm)}, seed {sample.seed}: "
    text += numbers.metric(sample.metric, noise) if sample.cause is None else sample.cause.replace("_", " ")
    text += f"  in {numbers.duration(sample.duration_s)}"
    if sample.peak_vram_mb:
        text += f", {sample.peak_vram_mb:,.0f} MB of GPU memory"
    elif sample.peak_rss_mb:
        text += f", {sample.peak_rss_mb:,.0f} MB"
    if sample.detail:
        text += f". {safe_line(sample.detail)}"
    style = palette.text if sample.arm == "candidate" else palette.quiet
    return ("·" if sample.cause is None else "!", palette.quiet, text, style)


def beside(outputs: list[experiment.Kept], found: Experiment | None, palette: Palette) -> Iterator[Item]:
    """Each kept output, line by line where it differs from the best's."""
    best = f"#{found.against_number}" if found is not None and found.against_number is not None else "the best"
    for output in outputs:
        other = f", {best} has {output.best_size:,}" if output.best_size is not None else f", {best} has none"
        yield ("", palette.title, f"{output.name}: {output.size:,} bytes{other}", palette.title)
        if output.mine is None:
            yield ("·", palette.quiet, "It is no text; e opens it.", palette.quiet)
        elif output.best is None or output.best == output.mine:
            if output.best is not None:
                yield ("=", palette.quiet, f"the same as {best}'s", palette.quiet)
            for line in output.mine.splitlines()[:_KEPT_LINES]:
                yield (" ", palette.quiet, safe_line(line), palette.text)
        else:
            pairs = difflib.ndiff(output.best.splitlines()[:_KEPT_LINES], output.mine.splitlines()[:_KEPT_LINES])
            for line in pairs:
                if not line.startswith("?"):
                    mark = {"+": "+", "-": "-"}.get(line[0], " ")
                    style = {"+": palette.keep, "-": palette.crash}.get(mark, palette.quiet)
                    yield (mark, style, safe_line(line[2:]), palette.worse if mark == "-" else palette.text)
