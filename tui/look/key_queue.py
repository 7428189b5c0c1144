"""Keys one after the other: each has had its whole effect before the next one is looked at.

Textual gives a key to what is focused when it comes, and lets it rise to the bindings by one queue per widget. In a
burst (a slow line, fast hands, `tmux send-keys`) a character is in its field before the ctrl+u in front of it has
emptied the field, and what follows the key that opens a question goes to the page below, where it does something else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from textual.app import App
from textual.events import Event, Key, Paste
from textual.message_pump import MessagePump


class Typed(App[None]):
    _held: deque[Event] | None = None
    """What was typed and not looked at yet; None when there is nothing to wait for."""
    _next: Event | None = None
    _typing: asyncio.Task[None] | None = None

    async def on_event(self, event: Event) -> None:
        if not isinstance(event, (Key, Paste)) or event.is_forwarded or event is self._next:
            await super().on_event(event)
        elif self._held is not None:
            self._held.append(event)
        else:
            self._held = deque([event])
            self._typing = asyncio.create_task(self._type(self._held), name="typing")

    async def _type(self, held: deque[Event]) -> None:
        while held and (place := self._place()) is not None:
            self._next = held.popleft()
            self.post_message(self._next)
            await _handled([self])  # it is on its way
            await _handled(place)  # up to its binding
            after = self._place()
            while after is not None:  # what it posted, as a field does on enter, and what that opened
                await _handled(after)
                before, after = after, self._place()
                if after == before:
                    break
        self._held = self._next = None

    def _place(self) -> list[MessagePump] | None:
        """The way of a key: from what is focused up to the app; None when the app is left."""
        if self._exit or not self.screen_stack:
            return None
        return list((self.focused or self.screen).ancestors_with_self)


async def _handled(pumps: Iterable[MessagePump]) -> None:
    """Until each, one after the other, has handled what it has been sent so far, or is gone."""
    for pump in pumps:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if pump.call_later(_tell, done):
            await asyncio.wait([done, pump._task] if pump._task else [done], return_when=asyncio.FIRST_COMPLETED)


def _tell(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
