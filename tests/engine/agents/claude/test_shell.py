"""The agent's shell on machines that hold less, and what of the user's files it sees."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from repos import TOML, git, make_target, write

from autoresearch.engine.agents import Shell, login_files
from autoresearch.engine.agents.claude.files import Refused
from autoresearch.engine.sandbox import Kernel
from autoresearch.engine.sandbox import protection as level
from autoresearch.state.config import config as configs
from autoresearch.state.session import find_place


@dataclass
class Rooted:
    root: Path
    folder: Path


def made(tmp_path: Path, toml: str = TOML, offered: Kernel | None = None) -> Shell:
    repo = make_target(tmp_path / "r", toml)
    tree = tmp_path / "trees" / "key" / "s" / "propose"
    git(repo, "worktree", "add", "--detach", str(tree))
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    return Shell(
        configs.loads(toml),
        find_place(repo),
        Rooted(tree, tree),
        "s",
        login_files(environ),
        environ=environ,
        offered=offered,
    )


@pytest.mark.parametrize(
    ("offered", "why"),
    [
        (Kernel(7, False, True, True, True), ""),
        (Kernel(7, False, True, True), ""),
        (Kernel(0, False, True, True, True), ""),
        (Kernel(7), ""),
        (Kernel(3), "can open TCP connections"),
        (Kernel(0, False, True, True), "can write whatever your account can"),
        (Kernel(), "can write whatever your account can"),
    ],
)
def test_it_is_refused_where_files_or_network_cannot_be_held(tmp_path: Path, offered: Kernel, why: str) -> None:
    said = made(tmp_path, offered=offered).missing()
    assert why in said
    assert bool(said) == bool(why)
    assert said.endswith("set agent.shell = false.") == bool(why)


def test_what_cannot_be_hidden_in_its_own_tree_refuses_it(tmp_path: Path) -> None:
    toml = TOML.replace("budget_s = 0", 'budget_s = 0\nhidden = ["README.md"]')
    assert "measure.hidden" in made(tmp_path, toml, Kernel(7)).missing()


async def test_a_key_in_its_tree_that_cannot_be_hidden_refuses_each_command(tmp_path: Path) -> None:
    shell = made(tmp_path, offered=Kernel(7))
    shell.begin()
    (shell._tree.root / ".env").write_text("KEY=1\n")
    with pytest.raises(Refused, match=r"cannot hide \.env"):
        await shell.run("true", 10)


@pytest.mark.skipif(bool(level.level().missing), reason="this machine confines in part")
async def test_of_the_users_worktree_it_reads_what_is_linked_and_the_environment(tmp_path: Path) -> None:
    shell = made(tmp_path, TOML.replace("[measure]", 'link = ["data"]\n\n[measure]'))
    repo = tmp_path / "r"
    write(repo, {"data/x.txt": "linked\n", "other/y.txt": "mine\n", ".venv/pyvenv.cfg": "", ".venv/bin/python": "",
                 ".venv/lib/z.txt": "installed\n"})  # fmt: skip
    (shell._tree.root / "data").symlink_to(repo / "data")
    shell.begin()
    said = await shell.run(f"cat data/x.txt {repo}/.venv/lib/z.txt; cat {repo}/other/y.txt || echo held", 20)
    assert "| linked\n| installed\n" in said
    assert "| held" in said
    assert "mine" not in said
    assert "| held" in await shell.run("echo x >> data/x.txt || echo held", 20)


@pytest.mark.skipif(bool(level.level().missing), reason="this machine confines in part")
async def test_a_command_that_takes_too_much_memory_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoresearch.engine.agents.claude.shell._memory_mb", lambda: 100.0)
    shell = made(tmp_path)
    shell.begin()
    said = await shell.run("x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 30", 60)
    assert said.startswith("ended: used ")
    assert "where 100 MB are allowed" in said
