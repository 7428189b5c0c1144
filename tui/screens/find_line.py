"""A line to type in: words for the log, or for the experiments to be filtered by."""

from __future__ import annotations

from textual.widgets import Input

from autoresearch.tui.widgets.log_view import LogView
from autoresearch.tui.widgets.table import Experiments


class FindLine(Input):
    """Not displayed until `ask`; the screen closes it when it is submitted."""

    def __init__(self, table: Experiments, log: LogView) -> None:
        super().__init__(id="find", compact=True)
        self.cursor_blink = False  # half a kilobyte a second over a slow line
        self.display = False
        self._table, self._view = table, log
        self._in_log = False

    def ask(self, in_log: bool) -> None:
        self._in_log = in_log
        self.value = self._view.wanted if in_log else " ".join(self._table.filter.words)
        self.placeholder = "words in the log" if in_log else "keep, crash, unproven, #12, any words; -word leaves out"
        self.display = True
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if self.display and not self._in_log:
            self._table.sieve(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self._in_log:
            self._view.seek(event.value.strip())
