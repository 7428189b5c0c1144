"""Whatever the API or the model does wrong: waited out, asked again, or ended with words a person can act on."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from api_server import Block, Reply, fails, says, text, think, use
from researchers import KEY, Bench, bench, outcome

from autoresearch.engine.agents import Added, Blocked, Unavailable
from autoresearch.engine.agents.claude.agent import REQUESTS, TROUBLES, Claude
from autoresearch.engine.agents.claude.api import retry_after
from autoresearch.state.config import AgentSettings

EDIT = use("edit", path="train.py", old="DEPTH = 8", new="DEPTH = 9")
SUBMIT = use("submit", hypothesis="h", description="depth 9", category="c")
OVERLOADED = fails(529, "overloaded_error", "Overloaded")


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


# -- the API


@pytest.mark.parametrize(
    "fault",
    [
        fails(429, "rate_limit_error", "slow down"),
        fails(500, "api_error", "oops"),
        fails(502, "", "bad gateway"),
        OVERLOADED,
        Reply((EDIT,), ends="cut"),
        Reply((EDIT,), ends="stall"),
        Reply((EDIT,), ends="pings"),
        Reply((EDIT,), ends="garbage"),
        Reply((EDIT,), ends="error", error=("overloaded_error", "Overloaded")),
        Reply((think("half a thought that ends here"), EDIT), ends="cut"),
    ],
    ids=["429", "500", "502", "529", "cut", "stall", "pings", "garbage", "error event", "cut in thinking"],
)
async def test_a_fault_that_passes_is_waited_out_and_told(at: Bench, fault: Reply) -> None:
    if fault.ends in ("stall", "pings"):
        at.silent_at_most(1.0)
    at.server.will(fault, fault, says(EDIT), says(SUBMIT))
    assert (await at.propose()).problem == ""
    assert at.slept == [1.0, 2.0], "full jitter's upper end, doubled each time"
    assert re.fullmatch(r"waiting for the API since \d\d:\d\d \(.+\)", at.said[0])
    assert at.said[-1] == ""
    assert len(at.events("waiting")) == 2
    assert at.server.requests[1] == at.server.requests[0]


async def test_a_slow_stream_is_not_a_dead_one(at: Bench) -> None:
    """It takes longer than any silence that is allowed, and is never silent."""
    at.silent_at_most(2.0)
    at.server.will(Reply((think("slowly " * 20), EDIT), between_s=0.2), says(SUBMIT))
    began = time.monotonic()
    assert (await at.propose()).problem == ""
    assert time.monotonic() - began > 2.0
    assert at.slept == []


async def test_a_long_storm_is_outlasted_and_does_not_count_as_working_time(at: Bench) -> None:
    at.server.will(*[OVERLOADED] * 60, says(EDIT), says(SUBMIT))
    assert (await at.propose()).problem == ""
    assert max(at.slept) == 60.0
    assert at.now > at.settings.timeout_s


async def test_backoff_begins_again_after_an_answer(at: Bench) -> None:
    at.server.will(OVERLOADED, OVERLOADED, says(EDIT), OVERLOADED, says(SUBMIT))
    await at.propose()
    assert at.slept == [1.0, 2.0, 1.0]
    assert [word for word in at.said if word == ""] == ["", ""]


async def test_retry_after_is_honoured(at: Bench) -> None:
    at.server.will(
        fails(429, "rate_limit_error", "wait", retry_after="1800"),
        fails(529, "overloaded_error", "wait", retry_after_ms="2500"),
        says(EDIT), says(SUBMIT),
    )  # fmt: skip
    await at.propose()
    assert at.slept == [1801.0, 4.5]


def test_retry_after_is_read_as_a_date_too() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=600)
    assert 500 < retry_after({"retry-after": format_datetime(soon)}) <= 600
    assert retry_after({"retry-after": "soon"}) == 0
    assert retry_after({"retry-after": "-5"}) == 0
    assert retry_after({}) == 0


async def test_a_lost_network_is_waited_out(tmp_path: Path) -> None:
    with bench(tmp_path) as at:
        url = at.environ["ANTHROPIC_BASE_URL"]
        at.environ["ANTHROPIC_BASE_URL"] = "http://no-such-host.invalid:9"
        at.agent = at.fresh()

        async def back(seconds: float) -> None:
            at.slept.append(seconds)
            if len(at.slept) == 3:
                await at.agent.close()
                at.agent._api._base_url = url  # the name resolves again

        object.__setattr__(at.pace, "sleep", back)
        at.server.will(says(EDIT), says(SUBMIT))
        assert (await at.propose()).problem == ""
        assert "no connection" in at.said[0]


@pytest.mark.parametrize(
    ("fault", "words", "fix"),
    [
        (fails(401, "authentication_error", f"invalid x-api-key {KEY}"), "invalid x-api-key [redacted]", "valid key"),
        (fails(403, "permission_error", "not for you"), "not for you", "agent.model"),
        (fails(400, "invalid_request_error", "credit balance is too low"), "credit balance is too low", "credit"),
        (fails(404, "not_found_error", "model: nope"), "model: nope", "agent.model"),
        (Reply((EDIT,), ends="error", error=("authentication_error", "revoked")), "revoked", "valid key"),
    ],
    ids=["401", "403", "400", "404", "401 in the stream"],
)
async def test_what_a_person_must_mend_stops_with_the_apis_words_and_the_fix(
    at: Bench, fault: Reply, words: str, fix: str
) -> None:
    at.server.will(fault)
    with pytest.raises(Blocked) as caught:
        await at.propose()
    assert words in caught.value.reason
    assert fix in caught.value.fix
    assert KEY not in str(caught.value) + caught.value.fix
    assert caught.value.__cause__ is None
    assert at.slept == []
    at.server.will(says(EDIT), says(SUBMIT))
    assert (await at.propose()).problem == ""
    assert len(at.server.requests[-2]["messages"]) == 1, "afterwards a fresh session"


async def test_a_conversation_that_no_longer_fits_ends_and_a_fresh_one_follows(at: Bench) -> None:
    for fault in (
        fails(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        fails(413, "request_too_large", "too large"),
        says(text("…"), stop_reason="model_context_window_exceeded"),
    ):
        at.server.will(fault)
        words = await at.propose()
        assert words.problem == "no_proposal"
        assert "no longer fits" in words.reason
    at.server.will(says(EDIT), says(SUBMIT))
    assert (await at.propose()).problem == ""


async def test_a_lesson_is_not_waited_for_but_comes_with_the_next_proposal(at: Bench) -> None:
    at.server.will(says(EDIT), says(SUBMIT), OVERLOADED)
    await at.propose()
    assert await at.agent.learn(outcome()) is None
    assert at.slept == []
    at.server.will(says(use("lesson", lesson="late"), EDIT), says(SUBMIT))
    words = await at.propose()
    assert [(one.kind, one.text, one.experiment) for one in words.added] == [("lesson", "late", 3)]
    assert "The verdict on experiment #3" in at.server.told(3)


async def test_tokens_of_a_broken_stream_are_counted(at: Bench) -> None:
    at.server.will(Reply((EDIT,), ends="cut"), says(EDIT), says(SUBMIT))
    words = await at.propose()
    assert words.tokens["cache_read"] == 3 * 3000


async def test_a_cancelled_wait_is_no_longer_shown_and_the_next_session_is_fresh(at: Bench) -> None:
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    object.__setattr__(at.pace, "sleep", sleep)
    at.server.will(says(EDIT), OVERLOADED)
    task = asyncio.create_task(at.propose())
    await asleep.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert at.said[-1] == ""
    assert at.agent.settle()[0]["output"] == 40, "what it cost is not forgotten"
    at.server.will(says(EDIT), says(SUBMIT))
    await at.propose()
    assert len(at.server.requests[2]["messages"]) == 1


# -- the model


TALK = says(text("I would make it deeper."))
LOOP = use("edit", path="train.py", old="nowhere", new="x")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (TALK, "only talked"),
        (says(), "only talked"),
        (says(text("No."), stop_reason="refusal"), "refused"),
        (says(text("first"), use("write", path="train.py", text="half"), stop_reason="max_tokens"), "cut off"),
        (says(use("edit", raw='{"path": "train.py", "old": ')), "not JSON"),
        (says(use("edit", raw="[1]")), "not a JSON object"),
        (says(use("edit", path="train.py", old="a")), "new is missing"),
        (says(use("read", path=3)), "path has to be a string"),
        (says(use("read", path="train.py", first=True)), "first has to be a integer"),
        (says(use("bash", command="ls")), "no tool bash"),
        (says(SUBMIT), "Nothing in the tree differs"),
        (says(LOOP, LOOP, LOOP, LOOP, LOOP, LOOP, LOOP), "This very call was made before"),
    ],
    ids=["talk", "nothing", "refusal", "max_tokens", "no json", "no object", "missing", "type", "bool", "unknown",
         "no edit", "loop"],
)  # fmt: skip
async def test_a_model_that_gets_nowhere_is_asked_again_a_bounded_number_of_times(
    at: Bench, reply: Reply, told: str
) -> None:
    at.server.default = lambda body: reply
    words = await at.propose()
    assert (words.description, words.problem) == ("no proposal", "no_proposal")
    assert told in words.reason
    assert len(at.server.requests) <= TROUBLES + 1
    assert sum(words.tokens.values()) == 3250 * len(at.server.requests), "what it cost is recorded"
    assert "half" not in (at.tree / "train.py").read_text(), "what was cut off is not run"
    at.server.default = None
    at.server.will(says(EDIT), says(SUBMIT))
    assert (await at.propose()).problem == ""
    assert len(at.server.requests[-2]["messages"]) == 1, "a fresh session"


@pytest.mark.parametrize(
    "reply",
    [TALK, says(), says(think("hm"), text("No."), stop_reason="refusal"), says(think("long"), stop_reason="max_tokens"),
     says(think("x"), use("edit", raw="{")), says(think("x"), SUBMIT)],
    ids=["talk", "nothing", "refusal", "max_tokens", "no json", "no edit"],
)  # fmt: skip
async def test_one_mistake_is_forgiven(at: Bench, reply: Reply) -> None:
    at.server.will(says(think("a"), use("list")), reply, says(think("b"), EDIT), says(SUBMIT))
    words = await at.propose()
    assert words.problem == ""
    assert words.description == "depth 9"


async def test_a_second_submission_is_refused_and_the_first_one_counts(at: Bench) -> None:
    other = use("submit", hypothesis="h", description="another", category="c")
    at.server.will(says(EDIT, SUBMIT, other, use("delete", path="train.py")))
    assert (await at.propose()).description == "depth 9"
    assert (at.tree / "train.py").exists()
    at.server.will(says(use("lesson", lesson="l")))
    assert await at.agent.learn(outcome()) == Added("lesson", "l", experiment=3)
    assert at.server.told().count("Not run: the proposal is submitted.") == 2


async def test_a_model_that_never_submits_is_ended(at: Bench) -> None:
    at.server.default = lambda body: says(use("read", path="train.py"), usage={"input_tokens": 5, "output_tokens": 1})
    words = await at.propose()
    assert words.problem == "no_proposal"
    assert len(at.server.requests) == REQUESTS


async def test_edits_that_cancel_out_are_no_change(at: Bench) -> None:
    back = use("edit", path="train.py", old="DEPTH = 9", new="DEPTH = 8")
    at.server.will(says(EDIT), says(back), says(SUBMIT), says(EDIT), says(SUBMIT))
    assert (await at.propose()).problem == ""
    assert "Nothing in the tree differs" in at.server.told(3)


async def test_the_time_for_a_proposal_is_limited(tmp_path: Path) -> None:
    with bench(tmp_path, timeout_s=100.0) as at:

        def slow(body: dict[str, object]) -> Reply:
            at.now += 60
            return says(use("list"))

        at.server.default = slow
        words = await at.propose()
        assert words.problem == "no_proposal"
        assert "agent.timeout_s (100 s)" in words.reason
        assert len(at.server.requests) == 2


# -- the key


def environ(**more: str) -> dict[str, str]:
    return {"PATH": "/bin", **more}


def test_without_a_key_the_agent_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="ANTHROPIC_API_KEY"):
        Claude(AgentSettings(), environ=environ())


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o640)
    with pytest.raises(Unavailable, match="chmod 600"):
        Claude(AgentSettings(), environ=environ(ANTHROPIC_API_KEY_FILE=str(file)))
    with pytest.raises(Unavailable, match="cannot be read"):
        Claude(AgentSettings(), environ=environ(ANTHROPIC_API_KEY_FILE=str(tmp_path / "none")))


async def test_the_key_comes_from_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-ant-from-a-file\n")
    file.chmod(0o600)
    with bench(tmp_path, environ={"ANTHROPIC_API_KEY": "", "ANTHROPIC_API_KEY_FILE": str(file)}) as at:
        at.server.will(says(EDIT), says(SUBMIT))
        await at.propose()
        assert at.server.headers[0]["authorization"] == "Bearer sk-ant-from-a-file"


async def test_a_local_server_needs_no_key_and_a_proxy_may_want_a_bearer(tmp_path: Path) -> None:
    with bench(tmp_path, environ={"ANTHROPIC_API_KEY": ""}) as at:
        at.server.will(says(EDIT), says(SUBMIT))
        assert (await at.propose()).problem == ""
    (tmp_path / "two").mkdir()
    with bench(tmp_path / "two", environ={"ANTHROPIC_API_KEY": "", "ANTHROPIC_AUTH_TOKEN": "proxy-token-123"}) as at:
        at.server.will(says(EDIT), says(SUBMIT))
        await at.propose()
        assert at.server.headers[0]["authorization"] == "Bearer proxy-token-123"


@pytest.mark.parametrize(("name", "value"), [("ANTHROPIC_API_KEY", "two words secret"),
                                             ("ANTHROPIC_BASE_URL", "localhost:8080")])  # fmt: skip
def test_what_cannot_work_is_refused_at_the_start_without_repeating_it(name: str, value: str) -> None:
    with pytest.raises(Unavailable, match=name) as caught:
        Claude(AgentSettings(), environ=environ(ANTHROPIC_API_KEY="sk-ant-x") | {name: value})
    assert "secret" not in str(caught.value)


async def test_no_secret_is_written_or_sent_but_in_the_auth_header(tmp_path: Path) -> None:
    """The key, a secret of the environment and a tracked .env are hunted by the model, the API and a run's log."""
    secret, dotenv = "canary-of-the-environment", "canary-of-dotenv"
    with bench(tmp_path, environ={"MY_API_TOKEN": secret}) as at:
        (at.tree / ".env").write_text(f"TOKEN={dotenv}\n")
        (at.tree / "leak").symlink_to(".env")
        (at.tree / "src" / "notes.py").write_text(f"KEY = '{KEY}'\nTOKEN = '{secret}'\n")
        log = at.told.session.run(3) / "output.log"
        log.write_text(f"using {KEY} and {secret}\n")
        hunt: list[Block] = [
            use("read", path=".env"), use("read", path="leak"), use("read", path="src/notes.py"),
            use("grep", pattern="canary"), use("grep", pattern="TOKEN", path=".env"), use("list", deep=True),
            use("show", experiment=3), use("edit", path="train.py", old=KEY, new=secret),
            use("add_idea", text=f"print {KEY}"),
        ]  # fmt: skip
        at.server.will(
            fails(500, "api_error", f"key {KEY} failed"), says(think(f"I saw {KEY}"), text(secret), *hunt),
            says(EDIT), says(SUBMIT), says(use("lesson", lesson="l")),
            fails(401, "authentication_error", f"bad key {KEY}"),
        )  # fmt: skip
        log.unlink()
        (at.told.session.run(3) / "guard.log").write_text(f"using {KEY} and {secret}\n")
        words = await at.propose(text=f"# Brief\n\nthe log said {KEY} and {secret}\n")
        lesson = await at.agent.learn(outcome(reason=f"it printed {secret}"), feedback=KEY)
        with pytest.raises(Blocked) as caught:
            await at.propose()
        (at.told.session.run(3) / "guard.log").unlink()
        shown = [repr(at.agent.__dict__), repr(at.agent._api.__dict__), str(caught.value), *at.said, repr(lesson)]
        shown += [
            repr(header) for header in at.server.headers for header in header.items() if "authorization" not in header
        ]
        shown.append(repr(words))
        # What the model itself said comes back to it; it cannot have it from us.
        for body in at.server.requests:
            ours = [m for m in body["messages"] if m["role"] == "user"]
            shown.append(repr([body["system"], body["tools"], ours]))
        written = [p for p in at.told.session.folder.rglob("*") if p.is_file()]
        assert any(path.name == "agent.jsonl" for path in written)
        shown += [path.read_bytes().decode("utf-8", "replace") for path in written]
        for canary in (KEY, secret, dotenv):
            assert [text for text in shown if canary in text] == []
        assert words.problem == ""
        assert at.server.headers[0]["authorization"] == f"Bearer {KEY}"


async def test_children_do_not_get_the_key(at: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools' processes, git and grep, are replaced by ones that tell their environment."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    spies = at.tree.parent / "spies"
    spies.mkdir()
    for name in ("git", "grep"):
        (spies / name).write_text(f"#!/bin/sh\nenv > {spies}/{name}.env\n")
        (spies / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{spies}:{at.environ['PATH']}")
    at.server.will(says(use("show", experiment=3), use("grep", pattern="x"), EDIT), says(SUBMIT))
    await at.propose()
    for name in ("git", "grep"):
        assert KEY not in (spies / f"{name}.env").read_text()
