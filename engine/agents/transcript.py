"""What an agent session does, written as it comes: agent.jsonl, one object per event, and agent.log for people.

Words arrive in fragments; they are written by lines, or in pieces of a few hundred characters, so that a viewer sees
them grow and the file does not become one line per token. Everything goes through `scrub` first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import orjson

from autoresearch.state.text import clean, clean_line

_PIECE = 400
_LONGEST = 4000
"""Characters of one tool result or input in agent.jsonl: the rest is in the tree or the session's files."""
_LOG_LINE = 200


class Transcript:
    """Appends to the two files of one folder; without a folder it writes nothing."""

    def __init__(self, folder: Path | None, scrub: Callable[[str], str]) -> None:
        self._scrub = scrub
        self._events: IO[bytes] | None = None
        self._log: IO[str] | None = None
        if folder is not None and folder.is_dir():
            self._events = (folder / "agent.jsonl").open("ab")
            self._log = (folder / "agent.log").open("a", encoding="utf-8", errors="replace")
        self._kind = ""
        self._words = ""

    def __enter__(self) -> Transcript:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        for file in (self._events, self._log):
            if file is not None:
                file.close()

    def words(self, kind: str, fragment: str) -> None:
        """A fragment of what the model thinks or says (`thinking` or `text`)."""
        if kind != self._kind:
            self._flush()
            self._kind = kind
        self._words += fragment
        if "\n" in fragment or len(self._words) >= _PIECE:
            whole, newline, rest = self._words.rpartition("\n")
            if not newline:
                whole, rest = rest, ""
            self._write_words(whole + newline)
            self._words = rest

    def event(self, kind: str, **facts: Any) -> None:
        """Something that happened, with its facts; texts are cut."""
        self._flush()
        self._put({"type": kind, **{key: self._cut(value) for key, value in facts.items()}})

    def line(self, text: str) -> None:
        """One line of agent.log."""
        self._flush()
        self._print(f"[{time.strftime('%H:%M:%S')}] {clean_line(text, _LOG_LINE)}\n")

    def _flush(self) -> None:
        if self._words:
            self._write_words(self._words)
            self._print("\n")
        self._words = self._kind = ""

    def _write_words(self, words: str) -> None:
        self._put({"type": self._kind, "text": self._scrub(words)})
        mark = "  . " if self._kind == "thinking" else "  "
        lines = clean(words).removesuffix("\n").split("\n")
        self._print("\n".join(mark + line for line in lines) + ("\n" if words.endswith("\n") else ""))

    def _cut(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._cut(item) for key, item in value.items()}
        if not isinstance(value, str):
            return value
        text = self._scrub(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… [{len(text) - _LONGEST} characters more]"

    def _put(self, event: dict[str, Any]) -> None:
        if self._events is not None:
            line = orjson.dumps({"at": int(time.time() * 1000), **event}, default=str)
            self._events.write(line + b"\n")
            self._events.flush()

    def _print(self, text: str) -> None:
        if self._log is not None:
            self._log.write(self._scrub(text))
            self._log.flush()
