"""The agent `command` against real executables that stand in for the agent CLIs, in real trees of a real repository."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from clocks import Leaping
from repos import git, make_target, snapshot

from autoresearch.engine import process
from autoresearch.engine.agents import PRESETS, Blocked, Learner, Proposal, Reporter, Unavailable, Wanted, create
from autoresearch.engine.agents.command.agent import Command
from autoresearch.engine.agents.command.presets import ANSWER_FOLDER, WORDS_FILE
from autoresearch.engine.brief import Brief, Mend
from autoresearch.engine.process import descendants, runner
from autoresearch.engine.process import seen as processes
from autoresearch.engine.workspace import Taken, Workspace, head_of
from autoresearch.state.config import AgentSettings
from autoresearch.state.config import config as configs
from autoresearch.state.journal import records
from autoresearch.state.session import create_session, find_place

WORDS = {
    "description": "a lower value",
    "hypothesis": "lower is better",
    "category": "schedule",
    "expected_effect": "-1",
    "idea": "i3",
    "ideas": ["try zero", "try both"],
}
EDIT = "sed -i 's/10.0/9.0/' knob.py\n"
WRITE_WORDS = f"cat > \"$AUTORESEARCH_PROPOSAL\" <<'END'\n{json.dumps(WORDS)}\nEND\n"
NOW = datetime.fromisoformat("2026-11-21T22:00:00+00:00").timestamp()


class World:
    """A user's repository, a workspace of a session on it, and a folder on PATH for CLIs."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self.folder = folder
        self.repo = make_target(folder / "repo", prefix=prefix)
        self.place = find_place(self.repo / prefix)
        self.config = configs.Config(
            name="t", metric=configs.Metric("score"), scope=configs.Scope(("knob.py",)), measure=configs.Measure("true")
        )
        self.base = head_of(self.place)
        header = records.Header(session="s", base=self.base, target=prefix)
        session = create_session(self.place, "s", header, configs.dumps(self.config))
        self.history = session.history()
        self.warnings: list[str] = []
        self.said: list[str] = []
        self.slept: list[float] = []
        self.now = NOW
        self.workspace = Workspace(self.place, session, self.config, self.warnings.append)
        self.tree = self.workspace.propose
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.home = folder / "home"
        self.home.mkdir()
        self.environ = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "SOME_API_KEY": "sesame",
            "OUT": str(folder),
        }

    def cli(self, name: str, body: str) -> None:
        file = self.bin / name
        file.write_text(f"#!/bin/bash\n{body}")
        file.chmod(0o755)

    def streaming(self, name: str, events: list[dict[str, Any]], body: str = EDIT, code: int = 0) -> None:
        stream = "".join(json.dumps(event) + "\n" for event in events)
        self.cli(name, f"cat > /dev/null\n{body}cat <<'END'\n{stream}END\nexit {code}\n")

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def agent(self, command: str, **settings: Any) -> Command:
        return Command(
            AgentSettings(kind="command", command=command, **settings),
            git=self.tree.git,
            prefix=self.place.prefix,
            reporter=Reporter(self.said.append, self.warnings.append),
            user_environ=self.environ,
            sleep=self.sleep,
            now=lambda: self.now,
        )

    def brief(self, text: str = "THE BRIEF", mend: Mend | None = None) -> Brief:
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        return Brief(
            number=1, incumbent=self.base, config=self.config, history=self.history, text=text, folder=run, mend=mend
        )

    async def propose(self, agent: Command, text: str = "THE BRIEF", mend: Mend | None = None) -> Proposal:
        self.tree.at(self.base)
        return await agent.propose(self.brief(text, mend), self.tree.folder)

    def take(self) -> Taken:
        return self.workspace.take(self.base)

    def committed(self) -> str:
        return self.workspace.commit(self.take().tree, self.base, "a change", {})

    def out(self, name: str) -> str:
        return (self.folder / name).read_text()

    @property
    def log(self) -> str:
        return (self.folder / "run" / "agent.log").read_text()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.workspace.close()


def soon(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


def has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def alive(pid: int) -> bool:
    seen = processes.look(pid)
    return seen is not None and seen.state != "Z"


# -- calling a CLI


@pytest.mark.parametrize("name", list(PRESETS))
async def test_every_preset_gets_the_brief_edits_the_tree_and_tells_its_words(world: World, name: str) -> None:
    preset = PRESETS[name]
    world.cli(preset.program, f'printf "%s\\n" "$@" > $OUT/args\ncat > $OUT/stdin\npwd > $OUT/cwd\n'
              f"cp {ANSWER_FOLDER}/brief.md $OUT/file\n{EDIT}{WRITE_WORDS}")  # fmt: skip
    proposal = await world.propose(world.agent(name))
    assert proposal.problem == ""
    assert proposal.description == "a lower value"
    assert (proposal.hypothesis, proposal.category) == ("lower is better", "schedule")
    assert (proposal.expected_effect, proposal.idea) == ("-1", "i3")
    assert [(added.kind, added.text) for added in proposal.added] == [("idea", "try zero"), ("idea", "try both")]
    assert proposal.cost_usd is None
    assert proposal.tokens == {}
    args, stdin = world.out("args"), world.out("stdin")
    assert world.out("cwd").strip() == str(world.tree.folder)
    given = world.out("file")
    assert given.startswith("THE BRIEF\n")
    assert f"{ANSWER_FOLDER}/words.json" in given
    if name == "aider":
        assert f"{ANSWER_FOLDER}/brief.md" in args
        assert "knob.py" in args.splitlines()
        assert "bench.py" not in args.splitlines()
    else:
        assert stdin == given
    assert not any(word in args for word in ("dangerously", "yolo", "bypass", "--force"))
    assert world.take().files == ("knob.py",)
    assert world.take().dropped == ()
    assert f"-- {name}; what protects: " in world.log


async def test_a_template_gets_brief_and_tree_where_it_names_them(world: World) -> None:
    world.cli("mine", f'cp "$1" $OUT/file; echo "$2" > $OUT/tree; cat > $OUT/stdin\n{EDIT}{WRITE_WORDS}')
    proposal = await world.propose(world.agent("mine {brief} {tree} && true"))
    assert proposal.problem == ""
    assert world.out("file").startswith("THE BRIEF")
    assert world.out("tree").strip() == str(world.tree.folder)
    assert world.out("stdin") == ""


async def test_a_template_without_brief_reads_it_from_stdin(world: World) -> None:
    proposal = await world.propose(world.agent(f"cat > $OUT/stdin; {EDIT}"))
    assert proposal.problem == ""
    assert world.out("stdin").startswith("THE BRIEF")


async def test_the_environment_is_the_users_without_what_leads_to_our_files(world: World) -> None:
    world.environ |= {"AUTORESEARCH_SESSION": "other", "AUTORESEARCH_TREES": "/x", "GIT_DIR": "/y", "CLAUDECODE": "1"}
    world.cli("mine", f"env -0 > $OUT/env; nice > $OUT/nice\n{EDIT}{WRITE_WORDS}")
    await world.propose(world.agent("mine"))
    entries = (entry.partition("=") for entry in world.out("env").split("\0") if entry)
    env = {name: value for name, _, value in entries}
    assert env["SOME_API_KEY"] == "sesame"
    assert env["HOME"] == str(world.home)
    assert env["GIT_CEILING_DIRECTORIES"] == str(world.tree.root.parent)
    ours = {name for name in env if name.startswith("AUTORESEARCH_")}
    assert ours == {"AUTORESEARCH_BRIEF", "AUTORESEARCH_PROPOSAL", descendants.MARKER}
    assert not {"GIT_DIR", "CLAUDECODE"} & env.keys()
    assert not any(str(world.workspace.session.folder) in value for value in env.values())
    assert int(world.out("nice")) >= min(19, os.nice(0) + 10)


@pytest.mark.parametrize("name", ["claude-code", "aider"])
async def test_a_key_that_an_agent_prints_is_stored_nowhere(world: World, name: str) -> None:
    key = "sk-canary-0123456789"
    world.environ["SOME_API_KEY"] = key
    told = json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": f"it is {key}"}]}})
    world.cli(PRESETS[name].program, f"cat > /dev/null\necho '{told}'\necho $SOME_API_KEY >&2\n{EDIT}")
    await world.propose(world.agent(name))
    assert "it is [redacted]" in world.log
    for file in (world.folder / "run").iterdir():
        assert key not in file.read_text()


async def test_a_targets_folder_is_where_the_agent_works(tmp_path: Path) -> None:
    world = World(tmp_path, prefix="sub")
    world.cli("aider", f'pwd > $OUT/cwd; printf "%s\\n" "$@" > $OUT/args\ntouch ../.aider.tags .aider.chat\n{EDIT}')
    proposal = await world.propose(world.agent("aider"))
    assert world.out("cwd").strip() == str(world.tree.root / "sub")
    assert "knob.py" in world.out("args").splitlines()
    taken = world.take()
    world.workspace.close()
    assert proposal.problem == ""
    assert (taken.files, taken.dropped) == (("sub/knob.py",), ())


# -- what CLIs stream

CLAUDE = [
    {"type": "system", "subtype": "init", "model": "claude-x"},
    {"type": "assistant", "message": {"id": "m1", "usage": {"input_tokens": 5, "output_tokens": 1}, "content": [
        {"type": "thinking", "thinking": "let me see"},
        {"type": "text", "text": "I lower \x1b[31mthe value.\x1b]0;title\x07"},
        {"type": "tool_use", "name": "Edit", "input": {"file_path": "knob.py"}}]}},
    {"type": "user", "message": {"content": [{"type": "tool_result", "content": "fine\nb\nc\nd\ne"}]}},
    {"type": "new_event_of_next_year", "x": 1},
    {"type": "result", "subtype": "success", "is_error": False, "num_turns": 2, "total_cost_usd": 0.25,
     "result": "description: half of it\nhypothesis: it was\n  too high\n\nbye",
     "usage": {"input_tokens": 10, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000,
               "output_tokens": 40}},
]  # fmt: skip
CODEX = [
    {"type": "thread.started", "thread_id": "t"},
    {"type": "turn.started"},
    {"type": "item.completed", "item": {"id": "0", "type": "reasoning", "text": "let me see"}},
    {"type": "item.started", "item": {"id": "1", "type": "command_execution", "command": "ls"}},
    {"type": "item.completed", "item": {"id": "1", "type": "command_execution", "command": "ls",
                                        "aggregated_output": "knob.py\n", "exit_code": 0}},
    {"type": "item.completed", "item": {"id": "2", "type": "file_change",
                                        "changes": [{"path": "knob.py", "kind": "update"}]}},
    {"type": "item.completed", "item": {"id": "3", "type": "agent_message", "text": "Halved the value."}},
    {"type": "turn.completed", "usage": {"input_tokens": 3010, "cached_input_tokens": 3000, "output_tokens": 40}},
]  # fmt: skip
OPENCODE = [
    {"type": "tool_use", "part": {"tool": "edit", "state": {"status": "completed", "input": {"filePath": "knob.py"}}}},
    {"type": "text", "part": {"text": "Halved the value."}},
    {"type": "step_finish", "part": {"cost": 0.1, "tokens": {"input": 7, "output": 30, "reasoning": 10,
                                                             "cache": {"read": 1000, "write": 0}}}},
    {"type": "step_finish", "part": {"cost": 0.15, "tokens": {"input": 3, "output": 0, "reasoning": 0,
                                                              "cache": {"read": 2000, "write": 0}}}},
]  # fmt: skip
PI = [
    {"type": "tool_execution_start", "toolName": "edit", "args": {"path": "knob.py"}},
    {"type": "message_end", "message": {"role": "user", "content": []}},
    {"type": "message_end", "message": {"role": "assistant", "model": "pi-model", "stopReason": "stop",
                                        "content": [{"type": "text", "text": "Halved the value."}],
                                        "usage": {"input": 10, "output": 40, "cacheRead": 3000, "cacheWrite": 0,
                                                  "cost": {"total": 0.25}}}},
]  # fmt: skip
GEMINI = [
    {"type": "init", "model": "gemini-x"},
    {"type": "message", "role": "user", "content": "brief"},
    {"type": "message", "role": "assistant", "content": "Halved ", "delta": True},
    {"type": "message", "role": "assistant", "content": "the value.", "delta": True},
    {"type": "tool_use", "tool_name": "replace", "parameters": {"file_path": "knob.py"}},
    {"type": "result", "status": "success", "stats": {"input_tokens": 3010, "cached": 3000, "output_tokens": 40}},
]
USED = {"input": 10, "cache_read": 3000, "output": 40}


@pytest.mark.parametrize(
    ("name", "events", "tokens", "cost", "model"),
    [
        ("claude-code", CLAUDE, {**USED, "cache_write": 200}, 0.25, "claude-x"),
        ("codex", CODEX, USED, None, ""),
        ("opencode", OPENCODE, USED, 0.25, ""),
        ("pi", PI, USED, 0.25, "pi-model"),
        ("gemini", GEMINI, USED, None, "gemini-x"),
    ],
)
async def test_a_stream_is_stored_rendered_and_its_usage_and_last_words_are_taken(
    world: World, name: str, events: list[dict[str, Any]], tokens: dict[str, int], cost: float | None, model: str
) -> None:
    world.streaming(PRESETS[name].program, events)
    proposal = await world.propose(world.agent(name))
    assert proposal.problem == ""
    assert proposal.tokens == tokens
    assert proposal.cost_usd == (None if cost is None else pytest.approx(cost))
    assert proposal.model == model
    raw = (world.folder / "run" / "agent.jsonl").read_text()
    assert [json.loads(line) for line in raw.splitlines()] == events
    assert "knob.py" in world.log
    assert '"type"' not in world.log
    if name == "claude-code":
        assert proposal.description == "half of it"
        assert proposal.hypothesis == "it was too high"
        assert "(let me see)" in world.log
        assert "I lower the value." in world.log
        assert "\x1b" not in world.log
        assert "> Edit knob.py" in world.log
        assert "(2 more lines)" in world.log
    else:
        assert proposal.description == "Halved the value."


async def test_the_log_grows_while_the_agent_works(world: World) -> None:
    event = json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": "thinking aloud"}})
    world.cli("codex", f"cat > /dev/null\necho '{event}'\nwhile [ ! -e $OUT/go ]; do sleep 0.02; done\n{EDIT}")
    task = asyncio.create_task(world.propose(world.agent("codex")))
    await until(lambda: (world.folder / "run").exists() and "thinking aloud" in world.log, "the log stayed empty")
    assert not task.done()
    (world.folder / "go").touch()
    assert (await task).description == "thinking aloud"


async def test_aiders_own_figures_are_read_from_its_text(world: World) -> None:
    text = "Tokens: 4.2k sent, 1.5k cache hit, 120 received.\\nCost: $0.02 message, $0.05 session.\\n"
    world.cli("aider", f"printf '{text}'\n{EDIT}")
    proposal = await world.propose(world.agent("aider"))
    assert proposal.tokens == {"input": 4200, "output": 120}
    assert proposal.cost_usd == pytest.approx(0.05)


# -- nothing is left behind


async def test_the_time_limit_ends_a_grandchild_in_a_session_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "time", Leaping(lambda: has_content(world.folder / "pid")))
    world.cli("codex", f"{EDIT}setsid bash -c 'echo $$ > $OUT/pid; sleep 300' &\nsleep 300\n")
    proposal = await world.propose(world.agent("codex", timeout_s=60.0))
    assert proposal.problem == "no_proposal"
    assert proposal.reason == "not finished after 60 s"
    assert not alive(int(world.out("pid")))


async def test_work_that_was_described_before_the_time_limit_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = world.tree.folder / ANSWER_FOLDER / WORDS_FILE
    monkeypatch.setattr(runner, "time", Leaping(lambda: has_content(words)))
    world.cli("codex", f"{EDIT}{WRITE_WORDS}sleep 300\n")
    proposal = await world.propose(world.agent("codex", timeout_s=60.0))
    assert (proposal.problem, proposal.description) == ("", "a lower value")
    assert "not finished after 60 s" in world.warnings[-1]


async def test_a_background_process_dies_with_its_agent(world: World) -> None:
    world.cli("codex", f"{EDIT}{WRITE_WORDS}trap '' TERM\n(setsid bash -c 'trap \"\" TERM; echo $$ > $OUT/pid; "
              "while true; do sleep 1; done' &) \nwhile [ ! -s $OUT/pid ]; do sleep 0.02; done\n")  # fmt: skip
    proposal = await world.propose(world.agent("codex"))
    assert proposal.problem == ""
    assert not alive(int(world.out("pid")))


async def test_a_measurement_that_ends_meanwhile_leaves_an_agents_children_alone(world: World) -> None:
    world.cli("codex", "(setsid bash -c 'echo $$ > $OUT/pid; sleep 300' &)\n"
              f"while [ ! -e $OUT/go ]; do sleep 0.02; done\n{EDIT}{WRITE_WORDS}")  # fmt: skip
    task = asyncio.create_task(world.propose(world.agent("codex")))
    await until(lambda: (world.folder / "pid").exists() and world.out("pid").strip() != "", "no child was started")
    measured = process.Command(
        argv=["bash", "-c", "(setsid sleep 300 &) ; exit 0"], cwd=world.folder, env=dict(os.environ),
        output=world.folder / "measured.log", timeout_s=20,
    )  # fmt: skip
    done = await process.run_async(measured)
    assert done.code == 0
    assert alive(int(world.out("pid")))
    assert not task.done()
    (world.folder / "go").touch()
    assert (await task).problem == ""
    assert not alive(int(world.out("pid")))


async def test_cancelling_ends_the_agent(world: World) -> None:
    world.cli("codex", "echo $$ > $OUT/pid\nsleep 300\n")
    task = asyncio.create_task(world.propose(world.agent("codex")))
    await until(lambda: (world.folder / "pid").exists() and world.out("pid").strip() != "", "it did not start")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(world.out("pid")))
    assert not (world.tree.folder / ANSWER_FOLDER).exists()
    assert (world.tree.root / ".git").read_text() == f"gitdir: {world.tree.admin.folder}\n"


def test_an_agent_does_not_outlive_a_killed_engine(tmp_path: Path) -> None:
    engine = (
        "import subprocess, sys\n"
        "from pathlib import Path\n"
        "from autoresearch.engine import process\n"
        "from autoresearch.engine.agents import supervisor\n"
        "log = Path(sys.argv[1])\n"
        "argv = supervisor.argv(['bash', '-c', 'echo $$; trap \"\" TERM; while true; do sleep 1; done'], log=log)\n"
        "process.run(process.Command(argv=argv, cwd=Path.cwd(), env={'PATH': '/usr/bin:/bin'}, output=log,"
        " timeout_s=300))\n"
    )
    log = tmp_path / "log"
    child = subprocess.Popen([sys.executable, "-c", engine, str(log)], cwd=tmp_path)
    try:
        soon(lambda: log.exists() and log.read_text().strip().isdigit(), "the agent did not start")
        pid = int(log.read_text())
        assert alive(pid)
        child.send_signal(signal.SIGKILL)
        child.wait()
        soon(lambda: not alive(pid), "the agent outlived the engine")
    finally:
        child.kill()
        child.wait()


# -- git


async def test_nothing_that_an_agent_does_with_git_reaches_the_users_repository(world: World) -> None:
    (world.repo / "knob.py").write_text("VALUE = 77\n")
    git(world.repo, "stash")
    before = snapshot(world.repo)
    world.cli("codex", "set -e\n"
              "echo '# stashed' >> bench.py; git stash -q\n"
              f"{EDIT}git checkout -q -b mine; git add -A; git -c user.name=a -c user.email=a@b commit -qm 'mine'\n"
              "git tag v1; git branch -f main HEAD 2>/dev/null; git config user.name Mallory; git log -1 > $OUT/log\n"
              f"git remote add x /nowhere; git update-ref refs/heads/main HEAD; git gc -q\n{WRITE_WORDS}")  # fmt: skip
    proposal = await world.propose(world.agent("codex"))
    assert proposal.problem == ""
    assert "mine" in world.out("log")
    taken = world.take()
    assert (taken.files, taken.dropped) == (("knob.py",), ())
    assert git(world.repo, "show", f"{taken.tree}:knob.py").splitlines()[1] == "VALUE = 9.0"
    assert git(world.repo, "rev-parse", f"{world.committed()}^").strip() == world.base
    assert snapshot(world.repo) == before
    assert any("stash" in warning for warning in world.warnings)
    assert not list(world.tree.root.parent.glob("*.git"))


async def test_the_agents_git_knows_history_and_sees_the_tree_as_it_is(world: World) -> None:
    git(world.repo, "config", "user.email", "own@example.org")
    world.cli("codex", f"git log --format=%s > $OUT/log; git status --porcelain > $OUT/status\n{EDIT}"
              "git diff --stat > $OUT/diff\ngit config user.email > $OUT/email; git remote > $OUT/remote")  # fmt: skip
    git(world.repo, "remote", "add", "origin", "/nowhere")
    await world.propose(world.agent("codex"))
    assert world.out("log") == "start\n"
    assert world.out("status").strip() == f"?? {ANSWER_FOLDER}/"
    assert "knob.py" in world.out("diff")
    assert world.out("email") == "own@example.org\n"
    assert world.out("remote") == ""


@pytest.mark.parametrize("damage", ["rm -rf .git", "rm -rf .git; git init -q .", "echo junk > .git"])
async def test_a_spoiled_git_file_is_put_back(world: World, damage: str) -> None:
    world.cli("codex", f"{damage}\n{EDIT}{WRITE_WORDS}")
    assert (await world.propose(world.agent("codex"))).problem == ""
    assert (world.tree.root / ".git").read_text() == f"gitdir: {world.tree.admin.folder}\n"
    assert world.take().files == ("knob.py",)


async def test_edits_outside_the_scope_are_dropped_and_listed(world: World) -> None:
    world.cli("codex", f"{EDIT}echo 'print(0)' > bench.py; touch junk.txt\n{WRITE_WORDS}")
    await world.propose(world.agent("codex"))
    taken = world.take()
    assert (taken.files, taken.dropped) == (("knob.py",), ("bench.py", "junk.txt"))


# -- what came of it


async def test_a_failed_call_with_edits_is_taken_with_a_warning(world: World) -> None:
    world.cli("codex", f"{EDIT}echo 'panic: out of cheese' >&2; exit 3\n")
    proposal = await world.propose(world.agent("codex"))
    assert proposal.problem == ""
    assert "exit code 3" in world.warnings[-1]
    assert "out of cheese" in world.warnings[-1]


async def test_a_failed_call_without_edits_is_no_proposal_and_tells_the_last_words(world: World) -> None:
    world.cli("codex", "echo 'panic: out of cheese' >&2; exit 3\n")
    proposal = await world.propose(world.agent("codex"))
    assert proposal.problem == "no_proposal"
    assert proposal.reason == "exit code 3: panic: out of cheese"


async def test_an_agent_that_only_talks_makes_no_proposal(world: World) -> None:
    talk = [{"type": "item.completed", "item": {"type": "agent_message", "text": "I would rather not."}}]
    world.streaming("codex", talk, body="")
    proposal = await world.propose(world.agent("codex"))
    assert (proposal.problem, proposal.reason) == ("no_proposal", "I would rather not.")


async def test_words_without_edits_are_left_to_the_workspace(world: World) -> None:
    world.cli("codex", WRITE_WORDS)
    proposal = await world.propose(world.agent("codex"))
    assert (proposal.problem, proposal.description) == ("", "a lower value")
    assert world.take().tree == ""


async def test_words_are_not_read_through_a_link(world: World) -> None:
    (world.folder / "secret").write_text('{"description": "secret"}')
    world.cli("codex", f'{EDIT}ln -s $OUT/secret "$AUTORESEARCH_PROPOSAL"\n')
    assert "secret" not in (await world.propose(world.agent("codex"))).description


def feed(world: World, at: int, *lines: records.Record) -> None:
    for line in lines:
        at += 1
        world.history.feed(at, records.encode(line).rstrip(b"\n"))


def experiment(world: World, number: int, agent: str = "command") -> list[records.Record]:
    sha = f"{number:040x}"
    return [
        records.Proposal(id=number, base=world.base, sha=sha, agent=agent, description="d"),
        records.Intent(experiment=number, proposal=number, parent=world.base, sha=sha),
        records.Experiment(run=number, commit=sha[:7], metric=3.0, status="discard", cause="worse", sha=sha,
                           parent=world.base, proposal=number, description="d", reason="worse by 1"),
    ]  # fmt: skip


async def test_the_lesson_on_the_last_experiment_comes_with_the_next_proposal(world: World) -> None:
    lesson = json.dumps({**WORDS, "ideas": [], "lesson": "it diverged", "retry_if": "with warm-up"})
    world.cli("codex", f"{EDIT}echo '{lesson}' > \"$AUTORESEARCH_PROPOSAL\"\n")
    agent = world.agent("codex")
    assert (await world.propose(agent)).added == ()  # there is nothing to learn from yet
    feed(world, 10_000, *experiment(world, 1), *experiment(world, 2, "tuner"))
    assert not isinstance(agent, Learner), "there is no session to ask"
    (added,) = (await world.propose(agent)).added
    assert (added.kind, added.text, added.experiment, added.retry_if) == ("lesson", "it diverged", 1, "with warm-up")
    feed(world, 20_000, records.Lesson(experiment=1, lesson="it diverged"))
    assert (await world.propose(agent)).added == ()


async def test_a_verdict_that_comes_while_the_agent_writes_does_not_take_its_lesson(world: World) -> None:
    feed(world, 10_000, *experiment(world, 1))
    world.cli("codex", "touch $OUT/started\nwhile [ ! -e $OUT/go ]; do sleep 0.02; done\n"
              f"{EDIT}echo 'lesson: too high' > $AUTORESEARCH_PROPOSAL\n")  # fmt: skip
    task = asyncio.create_task(world.propose(world.agent("codex")))
    await until(lambda: (world.folder / "started").exists(), "it did not start")
    feed(world, 20_000, *experiment(world, 2))
    (world.folder / "go").touch()
    (added,) = (await task).added
    assert (added.text, added.experiment) == ("too high", 1)


async def test_what_the_brief_leaves_out_can_be_looked_up_from_the_tree(world: World) -> None:
    world.environ |= {name: os.environ[name] for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")}
    world.cli("codex", f"autoresearch status -s s --json > $OUT/status 2>&1\n{EDIT}{WRITE_WORDS}")
    await world.propose(world.agent("codex"))
    assert json.loads(world.out("status"))["session"] == "s"


async def test_a_failed_call_whose_tests_spoke_of_refused_connections_is_taken(world: World) -> None:
    events = [{"type": "item.completed", "item": {"type": "command_execution", "aggregated_output": "HTTP 429"}},
              {"type": "turn.failed", "error": {"message": "context window exceeded"}}]  # fmt: skip
    world.streaming("codex", events, code=1)
    assert (await world.propose(world.agent("codex"))).problem == ""
    assert world.slept == []
    assert "context window exceeded" in world.warnings[-1]


async def test_a_mend_names_what_it_mends_and_sees_the_failed_files(world: World) -> None:
    world.cli("codex", f"{EDIT}{WRITE_WORDS}")
    await world.propose(world.agent("codex"))
    failed = world.committed()
    world.tree.at(world.base)
    world.tree.overlay(failed)
    world.cli("codex", f"cp knob.py $OUT/seen; sed -i 's/9.0/8.0/' knob.py\n{WRITE_WORDS}")
    brief = world.brief(mend=Mend(4, "debug", "boom"))
    proposal = await world.agent("codex").propose(brief, world.tree.folder)
    assert (proposal.problem, proposal.mends) == ("", 4)
    assert "9.0" in world.out("seen")


async def test_a_mend_in_which_nothing_was_edited_is_no_proposal(world: World) -> None:
    """The failed candidate's files differ from the incumbent, but that is not the agent's work."""
    world.cli("codex", f"{EDIT}{WRITE_WORDS}")
    await world.propose(world.agent("codex"))
    failed = world.committed()
    world.tree.at(world.base)
    world.tree.overlay(failed)
    world.cli("codex", "exit 1\n")
    brief = world.brief(mend=Mend(4, "debug", "boom"))
    assert (await world.agent("codex").propose(brief, world.tree.folder)).problem == "no_proposal"


# -- limits, outages, logins


def failing(times: int, output: str, body: str = "") -> str:
    """A CLI that fails so often, then works."""
    return (
        f"n=$(cat $OUT/n 2>/dev/null || echo 0); echo $((n+1)) > $OUT/n\ncat > $OUT/stdin\n"
        f"if [ $n -lt {times} ]; then {body}\ncat <<'END'\n{output}\nEND\nexit 1; fi\n{EDIT}{WRITE_WORDS}"
    )


async def test_a_usage_limit_is_waited_out_to_the_time_it_names(world: World) -> None:
    limit = {
        "type": "result", "subtype": "success", "is_error": True, "total_cost_usd": 0.5,
        "usage": {"input_tokens": 3}, "result": "You've hit your limit · resets 3am (UTC)",
    }  # fmt: skip
    world.cli("claude", failing(1, json.dumps(limit)))
    proposal = await world.propose(world.agent("claude-code"))
    assert (proposal.problem, proposal.description) == ("", "a lower value")
    assert world.slept == [pytest.approx(5 * 3600 + 30)]
    local = datetime.fromtimestamp(NOW + 5 * 3600).strftime("%H:%M")
    assert world.said == [f"waiting for the usage limit until {local}", ""]
    assert proposal.cost_usd == pytest.approx(0.5)
    assert proposal.tokens == {"input": 3}
    assert world.warnings == []


async def test_the_announced_end_in_claudes_own_event_is_believed(world: World) -> None:
    info = {"status": "rejected", "resetsAt": int(NOW) + 600, "rateLimitType": "five_hour"}
    lines = [{"type": "rate_limit_event", "rate_limit_info": info},
             {"type": "result", "is_error": True, "result": "You've hit your limit"}]  # fmt: skip
    world.cli("claude", failing(1, "\n".join(map(json.dumps, lines))))
    assert (await world.propose(world.agent("claude-code"))).problem == ""
    assert world.slept == [pytest.approx(630)]


async def test_a_limit_without_a_time_is_asked_again_ever_more_seldom_and_without_end(world: World) -> None:
    world.cli("mine", failing(6, "HTTP 429 Too Many Requests"))
    assert (await world.propose(world.agent("mine"))).problem == ""
    assert world.slept == [300, 600, 1200, 2400, 3600, 3600]
    assert world.said[0].startswith("waiting for the usage limit since")


async def test_an_outage_is_waited_out(world: World) -> None:
    world.cli("mine", failing(1, "fetch failed: ENOTFOUND api.example.org"))
    assert (await world.propose(world.agent("mine"))).problem == ""
    assert world.said[0].startswith("waiting for the API since")


async def test_edits_of_a_call_that_a_limit_cut_off_are_gone_on_with(world: World) -> None:
    world.cli("mine", failing(1, "usage limit reached", body="sed -i 's/end/half done/' knob.py"))
    assert "half done" not in world.out("repo/knob.py")
    proposal = await world.propose(world.agent("mine"))
    assert proposal.problem == ""
    assert "was cut off" in world.out("stdin")
    assert "half done" in (world.tree.folder / "knob.py").read_text()


async def test_an_agent_that_writes_about_rate_limits_has_not_met_one(world: World) -> None:
    world.cli("mine", f"echo 'I added a rate limit; HTTP 429 is retried, 401 not'\n{EDIT}{WRITE_WORDS}")
    assert (await world.propose(world.agent("mine"))).problem == ""
    assert world.slept == []


@pytest.mark.parametrize(
    ("words", "reason", "fix"),
    [
        ("Invalid API key · Please run /login", "claude is not logged in", "call `claude` once and log in"),
        ("Credit balance is too low", "claude has no credit left", "Add credit"),
    ],
)
async def test_what_a_person_must_mend_blocks_with_the_fix(world: World, words: str, reason: str, fix: str) -> None:
    failed = [{"type": "result", "is_error": True, "result": words}]
    world.streaming("claude", failed, body="", code=1)
    with pytest.raises(Blocked) as blocked:
        await world.propose(world.agent("claude-code"))
    assert blocked.value.reason.startswith(reason)
    assert words.split(" ·")[0] in blocked.value.reason
    assert fix in blocked.value.fix
    assert world.slept == []


@pytest.mark.parametrize("command", ["gemini", "no-such-agent-cli {brief}"])
async def test_a_missing_program_blocks_with_the_fix(world: World, command: str) -> None:
    world.environ["PATH"] = f"{world.bin}:/usr/bin:/bin"
    with pytest.raises(Blocked) as blocked:
        await world.propose(world.agent(command))
    assert command.split()[0] in blocked.value.reason
    assert "agent.command" in blocked.value.fix


@pytest.mark.parametrize("command", ["codex -c model_reasoning_effort=high", "my-agent --quick", "sh"])
def test_flags_and_commands_that_read_the_brief_on_their_stdin_are_taken(world: World, command: str) -> None:
    text = '[metric]\nname = "m"\n[scope]\nedit = ["a"]\n[measure]\nrun = "true"\n'
    config = configs.loads(f'{text}[agent]\nkind = "command"\ncommand = "{command}"\n', name="t")
    world.cli("codex", "true\n")
    assert config.agent.command == command
    assert world.agent(command).missing() is None


def test_a_name_that_is_neither_preset_nor_program_is_refused(world: World) -> None:
    config = configs.Config(
        name="t", metric=configs.Metric("m"), measure=configs.Measure("true"), scope=configs.Scope(("a",)),
        agent=AgentSettings(kind="command", command="claude-cod"),
    )  # fmt: skip
    with pytest.raises(Unavailable, match=r'agent\.command: found "claude-cod", .* did you mean "claude-code"\?'):
        create(Wanted(config, world.tree.git))


def test_a_missing_preset_is_told_when_the_agent_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    config = configs.Config(
        name="t", metric=configs.Metric("m"), measure=configs.Measure("true"), scope=configs.Scope(("a",)),
        agent=AgentSettings(kind="command", command="codex"),
    )  # fmt: skip
    with pytest.raises(Unavailable, match="codex"):
        create(Wanted(config, world.tree.git))
    world.cli("codex", "true\n")
    monkeypatch.setenv("PATH", f"{world.bin}:/usr/bin:/bin")
    assert isinstance(create(Wanted(config, world.tree.git)), Command)
