"""The read model of one session, fed line by line: compact rows and file offsets, never the parsed lines.

Everything that shows or decides reads a `History`. Feeding is incremental: an engine feeds what it appends, a screen
what the file has gained; 10,000 experiments are to open in half a second.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from pathlib import Path

import orjson

from autoresearch.state.journal import heldout, records
from autoresearch.state.journal.folds import FOLDS, OUTSIDE
from autoresearch.state.journal.heldout import Gap
from autoresearch.state.journal.journal import Reader
from autoresearch.state.journal.model import Model, Row
from autoresearch.state.text.numbers import finite

SCORE_NOTES = {
    "scope": "Code that the agent may edit prints the score itself; "
    "`measure.evaluate` would read it where the agent cannot write.",
    "run": "The run that the agent's code takes part in reports the score; "
    "`measure.evaluate` would read it where the agent cannot write.",
}
"""By what `History.scored` is: one line wherever the number stands. The first is also a warning (code `own-score`)."""
SCORE_MARKS = {"scope": "printed by its own code", "run": "reported by its own run"}
"""The same where there is room for a few words."""


_LATEST_MS = 253_402_300_799_999
"""The last moment that a date can say."""


class History(Model):
    """Feed it lines in order; every attribute is then up to date."""

    def feed(self, at: int, line: bytes) -> None:
        """Fold in one complete line that begins at byte `at`. A bad line is noted and skipped, never fatal."""
        self.lines += 1
        self.offset = at + len(line) + 1
        try:
            data = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if line.strip():
                self.problems.append((self.lines, f"not JSON: {error}"))
            return
        if not isinstance(data, dict):
            self.problems.append((self.lines, "not a JSON object"))
            return
        kind = records.name_in(data)
        fold = FOLDS.get(kind)
        if fold is None:
            return
        stamp = data.get("timestamp")
        wrong = records.problem(data, kind, commits=True)
        if not wrong and stamp is not None and not 0 <= stamp <= _LATEST_MS:
            wrong = "its timestamp is no time"
        try:
            if not wrong:
                fold(self, at, data)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            wrong = str(error) or type(error).__name__
        if wrong:
            self.problems.append((self.lines, f"a bad {kind} line: {wrong}"))
        elif stamp is not None:
            self._tick(kind, int(stamp), data.get("request"))

    def load(self, path: Path) -> History:
        collects = gc.isenabled()
        gc.disable()  # all that is made here stays
        try:
            for at, line in Reader(path, self.offset).lines():
                self.feed(at, line)
        finally:
            if collects:
                gc.enable()
        return self

    def _tick(self, kind: str, stamp: int, request: str | None) -> None:
        if request:
            self.requests.add(request)
        last = self.last_ms
        if kind == "resume" or not last:
            self.started_ms = self.started_ms or stamp
        if stamp > last and kind not in OUTSIDE:
            if last and kind != "resume" and self.control.state == "running":
                self.running_ms += stamp - last
            self.last_ms = stamp

    # -- questions

    def next_k(self, sha: str) -> int:
        return self.sampled.get(sha, 0) + 1

    def next_number(self) -> int:
        return self.last_number + 1

    @property
    def tally(self) -> str:
        """What became of the experiments, baselines left out."""
        counts = self.counts
        return (
            f"{counts['keep']} kept, {counts['discard']} discarded, {counts['crash']} crashed, "
            f"{counts['checks_failed']} failed a guard; {self.since_keep} since the last keep."
        )

    @property
    def score_note(self) -> str:
        """What nobody can rule out about the number, in a sentence; "" where it is read apart from the agent's code."""
        return SCORE_NOTES.get(self.scored, "")

    @property
    def score_mark(self) -> str:
        return SCORE_MARKS.get(self.scored, "")

    @property
    def gap(self) -> Gap | None:
        """The best's gain on the metric beside its gain on the holdout. For people, never for agents."""
        header = self.header or records.Header()
        effect = finite(header.verdict.get("min_effect")) or 0.0
        return heldout.gap(self.holdout, header.metric_name, header.direction, self.spread.sd, effect)

    @property
    def measured(self) -> int:
        """Experiments that limits count: this session's own, parked ones too, the unfinished one left out."""
        return self.tried - self.imported

    def mended(self, row: Row) -> list[Row]:
        """The failed experiments that a chain of mends ends with this one, the last failure first."""
        chain = [row]
        while (before := self.by_number.get(chain[-1].mends or 0)) is not None and before not in chain:
            chain.append(before)
        return chain[1:]

    @staticmethod
    def free_id(prefix: str, known: Iterable[str]) -> str:
        """The next free id such as `i7`."""
        numbers = [int(id[1:]) for id in known if id.startswith(prefix) and id[1:].isdigit()]
        return f"{prefix}{max(numbers, default=0) + 1}"
