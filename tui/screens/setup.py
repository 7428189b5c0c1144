"""Setting up a target: `init`'s questions all at once, each answer checked as it is typed, then the file, a dry run and
a first session, each only when it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import DescendantFocus, Resize
from textual.widgets import Input, Static

from autoresearch.state.config import Config, ConfigError
from autoresearch.state.files import write_atomic
from autoresearch.state.session import Place, SessionError
from autoresearch.state.text import safe_line
from autoresearch.tui.actions import target_layout
from autoresearch.tui.actions.target_draft import QUESTIONS, Values, config_of, has_commit, names_in, text_of, value_of
from autoresearch.tui.actions.target_layout import Found
from autoresearch.tui.look.keys import Reasoned, line_of
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.editor import edit
from autoresearch.tui.screens.modals import LeftOnce
from autoresearch.tui.screens.start_engine import begin, begin_new
from autoresearch.tui.widgets.key_line import KeyLine
from autoresearch.tui.widgets.text_list import Item, TextList

_DEFAULTS = {"metric.direction": "lower", "agent.kind": "auto", "limits.dollars": "10"}
_ROOM_BESIDE = 110
"""Columns from which what is wrong with an answer stands beside it, below it otherwise: it is never cut."""
_TARGET_LINE = "The target in "
"""Of what `doctor` prints, the dry run begins here."""
_THEN = "autoresearch run"
"""What it ends with when all is good; here a key does that."""


class Field(Vertical):
    """A question, its answer, and beside it what is wrong with that."""

    def __init__(self, key: str) -> None:
        super().__init__(classes="field")
        self.key = key
        self.found = ""
        """What was found in the folder, as it would be typed."""

    def compose(self) -> ComposeResult:
        yield Static(QUESTIONS[self.key], classes="question-line", markup=False)
        with Horizontal():
            field = Input(id=f"answer-{self.key.replace('.', '-')}")
            field.cursor_blink = False
            yield field
            yield Static("", classes="note", markup=False)

    @property
    def input(self) -> Input:
        return self.query_one(Input)

    def problem(self) -> str:
        try:
            value_of(self.key, self.input.value)
        except ValueError as error:
            return str(error)
        return ""

    def check(self) -> None:
        problem = self.problem()
        origin = " found here" if self.found and self.input.value == self.found else ""
        answered = bool(self.input.value.strip())
        problem = problem if answered else problem and "an answer is needed"
        note = f"× {problem}" if problem else f"✓{origin}" if answered else "- none"
        self.query_one(".note", Static).update(note)
        self.set_class(bool(problem), "-wrong")
        if problem and self.input.has_focus:
            self.call_after_refresh(self.scroll_visible, animate=False)  # what was added below it too


class SetupScreen(Reasoned, LeftOnce[None]):
    OF_SESSION = False
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "next(1)", "next", show=False, id="setup.next", tooltip="The next question"),
        Binding("up", "next(-1)", "before", show=False, id="setup.before", tooltip="The question before"),
        Binding("w", "write", "write", id="setup.write", tooltip="Write autoresearch.toml as shown"),
        Binding("e", "edit", "edit", id="setup.edit", tooltip="Edit autoresearch.toml in $EDITOR"),
        Binding("d", "dry_run", "dry run", id="setup.dry_run", tooltip="Measure the target as it is"),
        Binding("n", "start", "start", id="setup.start", tooltip="Start the first session"),
        Binding("escape", "back", "back", id="setup.back", tooltip="Back, without writing anything more"),
    ]

    def __init__(self, place: Place, palette: Palette) -> None:
        super().__init__()
        self.place = place
        self.palette = palette
        self.found = Found()
        self.reviewing = False
        self.written = False
        self.proving: asyncio.subprocess.Process | None = None
        self.proved: list[str] = []
        """What the dry run said."""

    def compose(self) -> ComposeResult:
        yield Static("", id="setup-title", markup=False)
        with VerticalScroll(id="questions", can_focus=False):
            for key in QUESTIONS:
                yield Field(key)
        yield TextList(self.palette, id="review")
        yield KeyLine(self.palette, id="keys")

    def on_mount(self) -> None:
        review = self.query_one("#review", TextList)
        review.most_lines = 40
        try:
            self.found = target_layout.detect(self.place.folder, names_in(self.place.folder))
        except (SessionError, OSError) as error:
            self.notify(str(error), severity="error", timeout=15)
        suggested = {**_DEFAULTS, **self.found.guesses, **self.found.sure}
        metric = suggested.get("metric.name")
        if metric and "metric.direction" not in self.found.sure and target_layout.better_higher(str(metric)):
            suggested["metric.direction"] = "higher"
        for field in self.query(Field):
            text = _typed(suggested.get(field.key, ""))
            field.found = text if field.key in {**self.found.guesses, **self.found.sure} else ""
            field.input.value = text
            field.check()
        self._show()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.height < 3 * len(QUESTIONS) + 4, "-short")
        self.set_class(event.size.width < _ROOM_BESIDE, "-cramped")

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        for field in self.query(Field):
            if event.widget is field.input:
                self.call_after_refresh(field.scroll_visible, animate=False)
        self.query_one(KeyLine).keys = line_of(self)

    # -- answering

    def on_input_changed(self, event: Input.Changed) -> None:
        for field in self.query(Field):
            if event.input in field.query(Input):
                field.check()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        fields = list(self.query(Field))
        at = next(at for at, field in enumerate(fields) if field.input is event.input)
        if at + 1 < len(fields):
            fields[at + 1].input.focus()
            return
        wrong = next((field for field in fields if field.problem()), None)
        if wrong is not None:
            wrong.input.focus()
            self.notify(f"{QUESTIONS[wrong.key]} {wrong.problem()}", severity="warning", timeout=6)
            return
        self.reviewing = True
        self._show()

    def action_next(self, by: int) -> None:
        inputs = [field.input for field in self.query(Field)]
        focused = self.focused
        at = inputs.index(focused) if isinstance(focused, Input) else 0
        inputs[max(0, min(len(inputs) - 1, at + by))].focus()

    def values(self) -> Values:
        """What was found for sure and is not asked, then the answers; a default is left out."""
        values = {key: value for key, value in self.found.sure.items() if key not in QUESTIONS}
        for field in self.query(Field):
            text = field.input.value.strip()
            if text and text != _DEFAULTS.get(field.key):
                values[field.key] = value_of(field.key, text)
        guards = self.found.sure.get("guard") or self.found.guesses.get("guard")
        if guards and values.get("guard") and values["guard"][0]["run"] == guards[0]["run"]:
            values["guard"] = guards
        if values.get("metric.name") != self.found.sure.get("metric.name"):
            values.pop("metric.unit", None)  # known of the found metric alone
        return values

    def config(self) -> Config:
        """Raises ConfigError."""
        return config_of(self.place.folder, self.values())

    def _text(self) -> str:
        """Of the file as it will be written; once it is, as it stands. Raises ConfigError, or OSError."""
        return self.place.config_file.read_text(errors="replace") if self.written else text_of(self.config())

    # -- showing

    def _show(self) -> None:
        self.set_class(self.reviewing, "-reviewing")
        folder = self.place.prefix or self.place.top.name
        step = "what will be written" if not self.written else "autoresearch.toml is written"
        title = step if self.reviewing else "a few questions; enter goes on, esc leaves"
        self.query_one("#setup-title", Static).update(f" Set up {safe_line(folder)}: {title}")
        if self.reviewing:
            self.query_one("#review", TextList).show(self._review())
            self.set_focus(None)  # the next key is no answer any more
            self.call_after_refresh(self.query_one("#review").focus)  # it can be focused once it is displayed
        elif not isinstance(self.focused, Input):
            self.call_after_refresh(self.query(Input).first().focus)
        self.query_one(KeyLine).keys = line_of(self)

    def _review(self) -> list[Item]:
        palette = self.palette
        items: list[Item] = []
        try:
            lines = self._text().rstrip("\n").split("\n")
        except OSError as error:
            lines = []
            items.append(("!", palette.crash, f"autoresearch.toml cannot be read: {error.strerror}", palette.text))
        except ConfigError as error:
            lines = []
            items += [("!", palette.crash, safe_line(problem), palette.text) for problem in error.problems]
        items.append(("", palette.title, "autoresearch.toml", palette.title))
        items += [("│", palette.faint, safe_line(line), palette.text) for line in lines]
        if self.found.sentences:
            items.append(("", palette.title, "Found here", palette.title))
            items += [("·", palette.quiet, safe_line(sentence), palette.text) for sentence in self.found.sentences]
        if self.proved or self.proving is not None:
            items.append(("", palette.title, "Dry run", palette.title))
            items += [_finding(line, palette) for line in self.proved]
            if self.proving is not None:
                items.append((">", palette.run, "it runs; esc ends it", palette.quiet))
        elif self.written:
            items.append(("", palette.title, "Next", palette.title))
            items.append(("·", palette.quiet, "autoresearch.toml is written; commit it when you like", palette.text))
            items.append(("d", palette.key, "a dry run: does it measure what it claims, how noisy is it, what does a "
                          "night give you", palette.text))  # fmt: skip
            items.append(("n", palette.key, "start the first session", palette.text))
            items.append(("e", palette.key, "edit the file", palette.text))
        return items

    # -- acting

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        if action == "next":
            return "" if not self.reviewing else "esc goes back to the questions."
        if action not in ("write", "edit", "dry_run", "start"):
            return ""
        if not self.reviewing:
            return "Answer the questions first; enter goes on."
        if action == "write":
            if self.written:
                return "It is written; edit autoresearch.toml as you like."
            if self.place.config_file.exists():
                return f"There is an {self.place.config_file.name} already; edit it, or remove it first."
            try:
                self.config()
            except ConfigError as error:
                return error.problems[0]
            return ""
        if not self.written:
            return "Write autoresearch.toml first (w)."
        if self.proving is not None:
            return "The dry run is not over; esc ends it."
        if action == "edit":
            return ""
        if not has_commit(self.place.folder):
            return "Experiments start from a commit, and there is none yet: `git add -A && git commit -m start`."
        return ""

    def action_write(self) -> None:
        try:
            write_atomic(self.place.config_file, text_of(self.config()).encode(), mode=0o644)
        except OSError as error:
            where = self.place.config_file
            self.notify(f"{where} could not be written: {error.strerror}.", severity="error", timeout=10)
            return
        self.written = True
        self._show()
        self.query_one("#review", TextList).action_last()

    def action_edit(self) -> None:
        edit(self.viewer, self.place.config_file, "The dry run (d) tells what the change does.")
        self._show()

    def action_dry_run(self) -> None:
        # Of this folder no session is begun here: only its commands are confirmed, if they came with a clone.
        begin(self.viewer, self.place, None, lambda: None, lambda _: self._prove())

    def _prove(self) -> None:
        self.proved = []
        self.run_worker(self._prove_it(), exclusive=True, group="proving", exit_on_error=False)

    async def _prove_it(self) -> None:
        """`doctor` as a process of its own: what it measures must not share the screen's."""
        self.proving = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "autoresearch", "doctor", "-C", str(self.place.folder),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        process = self.proving
        try:
            self._show()
            assert process.stdout is not None
            ours = False
            while line := await process.stdout.readline():
                text = safe_line(line.decode("utf-8", "replace").rstrip("\n"))
                ours = ours or text.startswith(_TARGET_LINE)
                if ours and text.strip() and not text.startswith(_TARGET_LINE):
                    self.proved.append(f"{text.removesuffix(_THEN)}n starts it" if text.endswith(_THEN) else text)
                    self._say_proved()
            await process.wait()
        finally:
            self.proving = None
        if process.returncode and not self.proved:
            self.proved.append(f"× it ended with code {process.returncode}; `autoresearch doctor` says more")
        self._show()
        self.query_one("#review", TextList).action_last()

    def _say_proved(self) -> None:
        review = self.query_one("#review", TextList)
        review.show(self._review())
        review.action_last()

    def _end_proof(self) -> None:
        if self.proving is not None:
            with contextlib.suppress(ProcessLookupError):
                self.proving.send_signal(signal.SIGTERM)  # it ends its own processes and removes its trees

    def action_start(self) -> None:
        wrong = any(line.lstrip().startswith("×") for line in self.proved)
        begin_new(self.viewer, self.place, "What the dry run marked × is not mended yet." if wrong else "")

    def action_back(self) -> None:
        if self.proving is not None:
            self._end_proof()
        elif self.reviewing and not self.written:
            self.reviewing = False
            self._show()
        else:
            self.dismiss()

    def on_unmount(self) -> None:
        self._end_proof()


def _typed(value: Any) -> str:
    """A config value as a person would type it."""
    if isinstance(value, (list, tuple)):
        if value and isinstance(value[0], dict):
            return str(value[0]["run"])
        return " ".join(str(each) for each in value)
    return str(value)


def _finding(line: str, palette: Palette) -> Item:
    text = line.strip()
    styles = {"✓": palette.keep, "!": palette.checks, "×": palette.crash, "-": palette.quiet}
    mark = text[:1] if text[:1] in styles else ""
    if not mark:
        return ("│", palette.faint, text, palette.quiet)
    return (mark, styles[mark], text[1:].strip(), palette.text)
