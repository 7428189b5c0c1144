"""The file of what was confirmed, and what of a toml has to be."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.session import Command, trust

REPO = Path("/somewhere/.git")
RUN = Command("measure.run", "python bench.py")

TOML = b"""
name = "x"
[measure]
run = ["python", "a b.py"]
evaluate = "python evaluator.py"
env = ["TOKEN"]
network = "on"
confine = "auto"
[[guard]]
run = "pytest -q"
[[guard]]
run = "mypy"
[holdout]
run = "python held.py"
[agent]
command = "claude-code"
[notify]
command = "curl -d @- example.org"
"""


def test_everything_that_runs_and_every_right_beyond_the_usual_is_a_command() -> None:
    assert [(c.key, c.text) for c in trust.commands_in(TOML)] == [
        ("measure.run", "python 'a b.py'"),
        ("measure.evaluate", "python evaluator.py"),
        ("guard.run", "pytest -q"),
        ("guard.run", "mypy"),
        ("holdout.run", "python held.py"),
        ("agent.command", "claude-code"),
        ("notify.command", "curl -d @- example.org"),
        ("measure.env", "TOKEN"),
        ("measure.network", "on"),
    ]


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('[agent]\ncommand = "sh -c {brief}"', ("agent.command", "sh -c {brief}")),
        ('[agent]\ncommand = "codex"', ("agent.command", "codex")),
        ('[agent]\nkind = "command"', ("agent.kind", "command")),
        ('[agent]\nkind = "claude"', ("agent.kind", "claude")),
        ('[agent]\nkind = "tuner"', None),
        ("[agent]\nshell = true", ("agent.shell", "true")),
        ("[agent]\nshell = false", None),
        ('program = "/home/me/.ssh/id_rsa"', ("program", "/home/me/.ssh/id_rsa")),
        ('program = ".env"', ("program", ".env")),
        ("program = 3.5", ("program", "3.5")),
        ("[limits]\ndollars = 0", ("limits.dollars", "0")),
        ("[limits]\ndollars = 10.5", ("limits.dollars", "10.5")),
        ("[limits]\ndollars = nan", ("limits.dollars", "nan")),
        ("[limits]\ndollars = 10", None),
        ("limits = 3", None),
        ("program = []", None),
    ],
)
def test_what_an_agent_may_do_read_and_spend_counts_like_a_command(toml: str, told: tuple[str, str] | None) -> None:
    assert trust.commands_in(toml.encode()) == ((Command(*told),) if told else ())


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_commands(data: bytes) -> None:
    assert isinstance(trust.commands_in(data), tuple)


@given(st.text(max_size=40))
def test_a_run_command_is_found_whatever_it_says(text: str) -> None:
    import tomlkit

    data = tomlkit.dumps({"measure": {"run": text}}).encode("utf-8", "replace")
    try:
        data.decode()
        import tomllib

        held = tomllib.loads(data.decode())["measure"]["run"]
    except (UnicodeDecodeError, ValueError):
        return
    assert trust.commands_in(data) == ((Command("measure.run", held),) if held.strip() else ())


def test_what_is_confirmed_is_kept_for_that_repository_alone() -> None:
    assert trust.confirmed_commands(REPO) == frozenset()
    trust.confirm_commands(REPO, [RUN])
    assert trust.confirmed_commands(REPO) == {RUN}
    assert trust.confirmed_commands(Path("/elsewhere/.git")) == frozenset()
    assert stat.S_IMODE(trust.store().stat().st_mode) == 0o600


def test_a_pulled_session_waits_until_it_is_confirmed() -> None:
    trust.note_pulled(REPO, "nov20", "origin")
    trust.note_pulled(REPO, "nov21", "origin")
    trust.confirm_commands(REPO, [RUN], "nov20")
    assert trust.pulled_commands(REPO) == {"nov21": "origin"}
    trust.forget_commands(REPO, "nov21")
    assert trust.pulled_commands(REPO) == {}
    assert trust.confirmed_commands(REPO) == {RUN}


def _world_writable(path: Path) -> None:
    path.chmod(0o666)


def _broken(path: Path) -> None:
    path.write_bytes(b'{"half')


def _other_shape(path: Path) -> None:
    path.write_bytes(b'{"/somewhere/.git": {"commands": 3}}')


def _linked(path: Path) -> None:
    path.rename(path.with_name("real.json"))
    path.symlink_to("real.json")


@pytest.mark.parametrize("hurt", [_world_writable, _broken, _other_shape, _linked])
def test_a_file_that_cannot_be_relied_on_counts_as_empty(hurt: object) -> None:
    trust.confirm_commands(REPO, [RUN])
    assert callable(hurt)
    hurt(trust.store())
    assert trust.confirmed_commands(REPO) == frozenset()
    trust.confirm_commands(REPO, [RUN])
    assert trust.confirmed_commands(REPO) == {RUN}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_counts_as_empty() -> None:
    trust.confirm_commands(REPO, [RUN])
    os.chown(trust.store(), 12345, 12345)
    assert trust.confirmed_commands(REPO) == frozenset()


def test_two_writers_lose_nothing() -> None:
    def write(first: int) -> None:
        for number in range(first, first + 10):
            trust.confirm_commands(REPO, [Command("measure.run", f"run {number}")])

    threads = [threading.Thread(target=write, args=(start,)) for start in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trust.confirmed_commands(REPO)) == 30
