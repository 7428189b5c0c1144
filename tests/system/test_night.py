"""A night with a language model: the real SDK against a scripted API, all that happens in a night, and a kill."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from api_server import Reply, Server, fails, says, serving, text, use
from engines import check_agreement, lines, run, session, start, until
from repos import TOML, make_target, write

from autoresearch.state.journal import records

CANARY = "sk-ant-canary-77aa55cc33"
GUARD = "\n[[guard]]\nrun = \"python -c 'import knob; assert knob.VALUE > 0'\"\n"


def knob(value: str) -> str:
    return f"# the knob\nVALUE = {value}\n# the end\n"


class Model:
    """Plays a plan, one step per proposal; answers every verdict with a lesson."""

    def __init__(self, plan: list[dict[str, Any]]) -> None:
        self.plan = plan
        self.at = 0
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Reply:
        last = "\n".join(b.get("text") or str(b.get("content", "")) for b in body["messages"][-1]["content"])
        with self.lock:
            if "The verdict on experiment" in last:
                return says(use("lesson", lesson=f"lesson of step {self.at}", retry_if="the noise is smaller"))
            if self.at >= len(self.plan):
                return fails(401, "authentication_error", "invalid x-api-key")
            step = self.plan[self.at]
            if step.get("faults"):
                fault: Reply = step["faults"].pop(0)
                return fault
            if "talks" in step:
                step["talks"] -= 1
                self.at += step["talks"] == 0
                return says(text("I would rather think about it."))
            self.at += 1
            edit = use("write", path=step.get("path", "knob.py"), text=step["text"])
            submit = use(
                "submit", hypothesis=f"{step['words']} should help", description=step["words"], category="optimizer"
            )
            return says(edit, submit)


def plan() -> list[dict[str, Any]]:
    return [
        {"words": "go to nine", "text": knob("9.0")},
        {"words": "go up to eleven", "text": knob("11.0")},
        {"words": "divide by zero", "text": knob("1 / 0")},
        {"words": "divide by two", "text": knob("8.0")},
        {"words": "below zero", "text": knob("-3.0")},
        {"words": "above zero again", "text": knob("7.0")},
        {
            "words": "in a storm",
            "text": knob("12.0"),
            "faults": [fails(429, "rate_limit_error", "slow down", retry_after="0")] * 3,
        },
        {"words": "after a cut", "text": knob("13.0"), "faults": [says(text("I will"), ends="cut")]},
        {
            "words": "overloaded",
            "text": knob("6.0"),
            "faults": [fails(529, "overloaded_error", "busy", retry_after="0")],
        },
    ]


# A model that only talks is asked again; one that edits a protected file is refused, and makes its next step instead.


@pytest.fixture
def world(tmp_path: Path) -> Any:
    toml = TOML.replace('kind = "replay"', 'kind = "claude"\nahead = 0') + GUARD
    repo = make_target(tmp_path / "r", toml=toml)
    write(repo, {".env": f"ANTHROPIC_API_KEY={CANARY}\n"})
    with serving() as server:
        yield repo, server, {"ANTHROPIC_API_KEY": CANARY, "ANTHROPIC_BASE_URL": server.url}


def told(repo: Path) -> list[tuple[str, str, str]]:
    return [(row.description, row.status, row.cause) for row in session(repo).history().rows[1:]]


STORY = [
    ("go to nine", "keep", "better"),
    ("go up to eleven", "discard", "worse"),
    ("divide by zero", "crash", "nonzero_exit"),
    ("divide by two", "keep", "better"),
    ("below zero", "checks_failed", "guard"),
    ("above zero again", "keep", "better"),
    ("in a storm", "discard", "worse"),
    ("after a cut", "discard", "worse"),
    ("higher again", "discard", "worse"),
    ("overloaded", "keep", "better"),
]


def test_a_whole_night_with_a_kill_in_the_middle(world: tuple[Path, Server, dict[str, str]]) -> None:
    repo, server, env = world
    server.default = Model(plan())
    engine = start(repo, **env)
    until(lambda: len(told_or_none(repo)) >= 4, "four experiments are done")
    engine.kill()
    engine.wait()
    before = len(server.requests)
    last = run(repo, expect=1, **env)
    history = check_agreement(repo)
    mends = {row.description: row.mends for row in history.rows}
    # At most the one proposal that the model was writing when the engine was killed is missing.
    got = told(repo)
    assert [entry for entry in STORY if entry in got] == got
    assert len(got) >= len(STORY) - 1
    assert mends["divide by two"] == 4
    assert "go up to eleven" in server.said(before), "the fresh session's first request holds the earlier dead ends"
    assert any("lesson of step" in lesson for lesson, _ in history.lessons.values())
    assert "key" in history.control.fix, "the plan's end is a refused key"
    assert "paused" in last.stdout.lower()
    assert server.problems == []
    assert any("bench.py" in str(body) and "scope" in str(body["messages"]) for body in server.requests)
    proposals = [line for line in lines(repo) if isinstance(line, records.Proposal) and line.agent == "claude"]
    assert all(line.tokens["output"] > 0 for line in proposals if line.tokens)
    assert history.cost_usd > 0
    search_for_canary(repo, server)


def told_or_none(repo: Path) -> list[tuple[str, str, str]]:
    try:
        return told(repo)
    except Exception:  # the session is not there yet
        return []


def search_for_canary(repo: Path, server: Server) -> None:
    """The key is in the auth header, the user's .env, and nowhere else."""
    for path in (repo / ".git").rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
    for body in server.requests:
        assert CANARY not in str(body)
    assert any(CANARY in str(headers) for headers in server.headers)


def test_an_agent_that_only_talks_ends_in_a_pause(world: tuple[Path, Server, dict[str, str]]) -> None:
    repo, server, env = world
    server.default = Model([{"talks": 10_000}])
    run(repo, expect=1, **env)
    history = check_agreement(repo)
    assert [row.cause for row in history.rows[1:]] == ["no_proposal"] * 3


def test_a_refused_key_pauses_with_the_fix_and_a_good_one_goes_on(world: tuple[Path, Server, dict[str, str]]) -> None:
    repo, server, env = world
    server.default = lambda body: fails(401, "authentication_error", "invalid x-api-key")
    run(repo, expect=1, **env)
    control = session(repo).history().control
    assert control.state == "paused"
    assert "key" in control.fix
    server.default = Model(plan()[:1])
    run(repo, "--max-experiments", "2", expect=3, **env)
    assert told(repo) == STORY[:1]


def test_no_key_is_one_sentence_before_anything_runs(world: tuple[Path, Server, dict[str, str]]) -> None:
    repo, _, _ = world
    done = run(repo, ANTHROPIC_API_KEY="")
    assert done.returncode in (1, 2)
    assert "ANTHROPIC_API_KEY" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
