"""The agent `claude` on a small tree and a real session, with the scripted API behind it and no real waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from api_server import Server, serving
from journals import Told, told

from autoresearch.engine.agents import Proposal, Reporter
from autoresearch.engine.agents.claude.agent import Claude
from autoresearch.engine.agents.claude.api import Pace
from autoresearch.engine.brief import Brief
from autoresearch.state.config import AgentSettings, Config, Holdout, Measure, Metric, Scope
from autoresearch.state.journal.records import Experiment

KEY = "sk-ant-canary-0123456789abcdef"
TRAIN = "import math\n\nDEPTH = 8\nWIDTH = 64\n\n\ndef loss(x):\n    return math.exp(-x)\n"


class Bench:
    """A tree to edit, a session to look up, an agent, and what it said it waits for."""

    def __init__(self, folder: Path, server: Server, environ: dict[str, str] | None = None, **agent: Any) -> None:
        self.server = server
        self.tree = folder / "tree"
        self.tree.mkdir()
        (self.tree / "train.py").write_text(TRAIN)
        (self.tree / "prepare.py").write_text("SCORE = 1\n")
        (self.tree / "src").mkdir()
        (self.tree / "src" / "model.py").write_text("class Model:\n    pass\n")
        self.told: Told = told(folder)
        self.settings = AgentSettings(kind="claude", **agent)
        self.config = Config(
            name="t", metric=Metric("score"), scope=Scope(("train.py", "src/**")), measure=Measure(run="true"),
            agent=self.settings,
        )  # fmt: skip
        self.slept: list[float] = []
        self.now = 0.0
        self.said: list[str] = []
        self.environ = {
            "PATH": os.environ["PATH"], "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url, **(environ or {}),
        }  # fmt: skip
        self.pace = Pace(sleep=self._sleep, jitter=lambda low, high: high, clock=lambda: self.now)
        self.agent = self.fresh()
        self.proposals = 0

    def fresh(self) -> Claude:
        return Claude(self.settings, reporter=Reporter(self.said.append), environ=self.environ, pace=self.pace)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def silent_at_most(self, stall_s: float) -> None:
        self.pace = replace(self.pace, stall_s=stall_s)
        self.agent = self.fresh()

    def hide(self, *paths: str, holdout: str = "") -> None:
        self.config = replace(
            self.config,
            measure=Measure(run="true", hidden=paths),
            holdout=Holdout(run=holdout) if holdout else Holdout(),
        )

    @property
    def folder(self) -> Path:
        """Of the last proposal."""
        return self.told.session.runs / f"p{self.proposals:05d}"

    async def propose(self, text: str = "# The brief\n\nMake score lower.\n", **more: Any) -> Proposal:
        """One proposal from a tree that is reset first, as the engine does."""
        (self.tree / "train.py").write_text(TRAIN)
        return await self.propose_here(text, **more)

    async def propose_here(self, text: str = "# The brief\n\nMake score lower.\n", **more: Any) -> Proposal:
        self.proposals += 1
        self.folder.mkdir(parents=True)
        brief = Brief(
            number=self.proposals, incumbent=self.told.incumbent, config=self.config,
            history=self.told.session.history(), text=text, folder=self.folder, session=self.told.session, **more,
        )  # fmt: skip
        return await self.agent.propose(brief, self.tree)

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        lines = (self.folder / "agent.jsonl").read_bytes().splitlines()
        return [event for event in map(orjson.loads, lines) if not kind or event["type"] == kind]

    def log(self) -> str:
        return (self.folder / "agent.log").read_text()


@contextmanager
def bench(folder: Path, environ: dict[str, str] | None = None, **agent: Any) -> Iterator[Bench]:
    with serving() as server:
        made = Bench(folder, server, environ, **agent)
        yield made
        assert server.problems == [], "the real API would have refused this conversation"


def outcome(number: int = 3, reason: str = "worse by 2.0 (10 to 1)") -> Experiment:
    return Experiment(
        run=number, commit="", status="discard", cause="worse", reason=reason, metric=11.0, description="knob up to 11"
    )
