"""A screen that is left once, whatever says so.

A click may come while a key leaves it, and what a screen shows may end by itself while it is answered. Textual takes
the uppermost screen away for each, also those below, and the first two answers to a question.
"""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import Screen

Result = TypeVar("Result")


class LeftOnce(Screen[Result]):
    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.is_active else AwaitComplete()
