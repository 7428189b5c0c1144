"""Which places of a machine are closed to runs, by its environment and what lies in its folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from repos import TOML

from autoresearch.engine.sandbox.places import (
    all_beside,
    hidden_paths,
    holds_keys,
    key_places,
    real_paths,
    socket_places,
)
from autoresearch.state.config import config as configs


def test_keys_lie_in_the_home_that_is_meant_and_where_variables_say() -> None:
    found = key_places({"HOME": "/home/me", "KUBECONFIG": "/srv/kube", "NETRC": ""})
    assert {Path("/home/me/.ssh"), Path("/home/me/.config/gh"), Path("/srv/kube"), Path("/etc/shadow")} <= {*found}
    assert Path() not in found
    assert Path("/srv/kube") not in key_places({"HOME": "/home/me"})


def test_an_example_of_a_file_of_keys_is_none() -> None:
    assert [holds_keys(name) for name in (".env.example", ".environment", "keys.py", "server.PEM", "prod.env")] == [
        False, False, False, True, True
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("agent", "closed"), [("/tmp/ssh-x/agent.1", "/tmp/ssh-x"), ("/run/user/0/agent", None), ("", None)]
)
def test_the_folder_of_an_ssh_agent_is_closed_where_it_is_its_own(agent: str, closed: str | None) -> None:
    plain, found = socket_places({}), socket_places({"SSH_AUTH_SOCK": agent})
    assert [str(path) for path in found if path not in plain] == ([closed] if closed else [])
    assert Path("/run/docker.sock") in found


def test_real_paths_are_there_and_none_lies_in_another(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "ab").mkdir()
    (tmp_path / "link").symlink_to("a/b")
    (tmp_path / "dangling").symlink_to("nowhere")
    paths = [tmp_path / name for name in ("ab", "link", "a", "a/b", "dangling", "missing")]
    assert real_paths(paths) == [str(tmp_path / "a"), str(tmp_path / "ab")]
    assert real_paths([tmp_path / "link"]) == [str(tmp_path / "a/b")]


def test_all_beside_what_is_needed_is_left_out_and_nothing_on_the_way_to_it(tmp_path: Path) -> None:
    for name in ("home/tree/src", "home/mail", "home/tree2", "srv"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "home/link").symlink_to("mail")
    needed = [tmp_path / "home/tree"]
    found = {path.relative_to(tmp_path).as_posix() for path in all_beside(tmp_path, needed)}
    assert found == {"home/mail", "home/tree2", "srv"}
    assert [*all_beside(tmp_path / "home/tree", needed)] == []
    assert [*all_beside(tmp_path / "srv", needed)] == [tmp_path / "srv"]
    assert [*all_beside(tmp_path, needed, most=2)] == [tmp_path / "srv"], "the home has three"


def test_hidden_paths_lie_below_the_target_unless_they_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    config = configs.with_change(configs.loads(TOML), "measure.hidden", ["data/test", "/srv/held", "~/x"], "test")
    assert hidden_paths(config, Path("/repo")) == [Path("/repo/data/test"), Path("/srv/held"), Path("/home/me/x")]
