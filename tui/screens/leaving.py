"""A screen that is left once, however many keys say so.

Over a slow line keys come in bursts, and a key held down repeats: all of them reach the screen that was there when they
came. Textual takes the uppermost screen away for each, also those below, and the first two answers to a question.
"""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import Screen

Result = TypeVar("Result")


class LeftOnce(Screen[Result]):
    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.is_active else AwaitComplete()
