"""A dry run on a terminal: findings as they come, what happens now in a line that goes away again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from typing import TYPE_CHECKING

from autoresearch.state.text import numbers
from autoresearch.tui.facts.text import cells, fitted, shorten
from autoresearch.tui.terminal.console import Console, is_terminal, wrap

if TYPE_CHECKING:
    from autoresearch.engine.doctor import Finding, Progress, Report
    from autoresearch.state.config import Config
    from autoresearch.state.session import Place

_STYLES = {"ok": "", "note": "quiet", "warn": "warn", "fail": "crash"}
_MARKS = {"ok": "✓", "note": "-", "warn": "!", "fail": "×"}
_NAME_CELLS = 16


def prove(
    place: Place,
    config: Config,
    console: Console | None,
    *,
    canaries: bool = True,
    runs: int | None = None,
    network: bool = False,
    trust: bool = False,
) -> Report:
    """Run it to its end, or until a signal ends it: then its processes are ended and its trees removed first.

    Without a console nothing is shown. On a terminal, commands that arrived with a clone are confirmed first. Raises
    KeyboardInterrupt, and SessionError after a no.
    """
    from autoresearch.engine import doctor

    if console is not None and console.tty and is_terminal(sys.stdin) and not trust:
        from autoresearch.engine.sessions import RunOptions
        from autoresearch.tui.terminal.ask import ask_or_refuse

        trust = ask_or_refuse(place, RunOptions(new=True)).trust

    shown = _Shown(console) if console is not None else None

    def on(item: Finding | Progress) -> None:
        if shown is not None:
            shown.now(item) if isinstance(item, doctor.Progress) else shown.finding(item)

    async def work() -> Report:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):  # asyncio does the same for SIGINT
            loop.add_signal_handler(number, task.cancel)
        return await doctor.dry_run(place, config, on=on, canaries=canaries, runs=runs, network=network, trust=trust)

    try:
        return asyncio.run(work())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        if shown is not None:
            shown.clear()


class _Shown:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._held = False

    def now(self, item: Progress) -> None:
        if not self._console.tty:
            return
        about = ""
        if item.about_s is not None and item.about_s >= 1:
            ends = time.strftime("%H:%M:%S", time.localtime(time.time() + item.about_s))
            about = f", about {numbers.duration(item.about_s)}, until {ends}"
        self.clear()
        text = shorten(f"  > {fitted(item.text)}{about}", (self._console.width or 80) - 1)
        self._console.stream.write(self._console.paint(text, "quiet"))
        self._console.stream.flush()
        self._held = True

    def finding(self, item: Finding) -> None:
        self.clear()
        finding(self._console, item.state, item.name, item.text, item.fix, item.lines)

    def clear(self) -> None:
        if self._held:
            self._console.stream.write("\r\x1b[K" if self._console.colour else "\n")
            self._held = False
        with contextlib.suppress(BrokenPipeError):
            self._console.stream.flush()


def finding(console: Console, state: str, name: str, text: str, fix: str = "", lines: tuple[str, ...] = ()) -> None:
    """A mark, a name, the sentence and its fix, wrapped beside the name; then what a command said."""
    left = f"  {_MARKS[state]} {name.ljust(_NAME_CELLS)} "
    room = None if console.width is None else max(24, console.width - cells(left))
    sentence = f"{text}. {fix}" if fix else text
    for number, line in enumerate(wrap(fitted(sentence), room)):
        console.say(console.paint(f"{left if number == 0 else ' ' * cells(left)}{line}", _STYLES[state]))
    for line in lines:
        said = f"      | {fitted(line)}"
        console.say(console.paint(said if console.width is None else shorten(said, console.width), "quiet"))
