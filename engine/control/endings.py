"""Why the loop ended."""

from __future__ import annotations

from autoresearch.state.journal import records


class Ended(Exception):
    """The session pauses or stops on purpose; `line` says why and is written last."""

    def __init__(self, line: records.Pause | records.Stop, code: int = 0) -> None:
        self.line = line
        self.code = code
        super().__init__(line.reason)
