"""What has to be right before an engine starts, each refused with one sentence and the fix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from repos import TOML, git, make_target, write

from autoresearch.engine.sessions import RunOptions, read_config, refuse_unseen_files
from autoresearch.engine.sessions.opening import open_or_create, resolved
from autoresearch.state.config import ConfigError, loads
from autoresearch.state.session import Place, SessionError, find_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return find_place(make_target(tmp_path / "r"))


def test_replay_means_the_same_wherever_it_is_read_later(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "patches").mkdir()
    head = git(place.top, "rev-parse", "HEAD").strip()
    git(place.top, "commit", "-q", "--allow-empty", "-m", "more")
    tip = git(place.top, "rev-parse", "HEAD").strip()
    wanted = {"patches": str(tmp_path / "patches"), "HEAD~1..": f"{head}..{tip}", "no..where": "no..where", "": ""}
    assert {text: resolved(place, RunOptions(replay=text)).replay for text in wanted} == wanted
    assert resolved(place, RunOptions()) == RunOptions()


def test_the_config_is_read_with_what_this_call_says(place: Place) -> None:
    assert read_config(place, RunOptions()) == loads(TOML)
    assert read_config(place, RunOptions(budget_s=5.0)).measure.budget_s == 5
    with pytest.raises(ConfigError, match="--budget"):
        read_config(place, RunOptions(budget_s=-1.0))
    place.config_file.unlink()
    with pytest.raises(SessionError, match="write one with `autoresearch init`"):
        read_config(place, RunOptions())


@pytest.mark.parametrize(
    ("run", "link", "named"),
    [
        ("python bench.py", (), ""),
        ("python new.py", (), "new.py"),
        ("python ./new.py --fast", (), "new.py"),
        ("python data/held/x.py", (), "data/held/x.py"),
        ("python data/held/x.py", ("data/",), ""),
        ("python new.py", ("new.py",), ""),
        ("ls data/held", ("data/held",), ""),
        ("ls data/held", ("data/hel",), "data/held"),
        ("python missing.py", (), ""),
    ],
)
@pytest.mark.parametrize("prefix", ["", "below"])
def test_a_command_may_not_name_what_a_clean_checkout_lacks(
    tmp_path: Path, prefix: str, run: str, link: tuple[str, ...], named: str
) -> None:
    place = find_place(make_target(tmp_path / "r", prefix=prefix) / prefix)
    write(place.folder, {"new.py": "", "data/held/x.py": ""})
    config = loads(TOML.replace("python bench.py", run))
    config = replace(config, scope=replace(config.scope, link=link))
    if not named:
        refuse_unseen_files(place, config)
        return
    with pytest.raises(
        SessionError,
        match=rf"measure.run names {named}, which is in your folder but not in the last commit.*`git add {named}`",
    ):
        refuse_unseen_files(place, config)


def test_the_session_is_the_named_one_the_latest_or_a_new_one(place: Place) -> None:
    config = loads(TOML)
    one = open_or_create(place, config, RunOptions(session="one"))
    assert one.history().header is not None
    assert open_or_create(place, config, RunOptions()).name == "one"
    assert open_or_create(place, config, RunOptions(session="two", new=True)).name == "two"
    assert open_or_create(place, config, RunOptions(session="one")).name == "one"
    assert open_or_create(place, config, RunOptions(new=True)).name not in ("one", "two")


def test_a_new_session_needs_room_for_its_branch_and_a_commit(place: Place, tmp_path: Path) -> None:
    git(place.top, "branch", "autoresearch/mine")
    with pytest.raises(SessionError, match="The branch autoresearch/mine exists"):
        open_or_create(place, loads(TOML), RunOptions(session="mine"))
    git(place.top, "branch", "-m", "autoresearch/mine", "autoresearch")
    with pytest.raises(SessionError, match="git branch -m autoresearch OTHER"):
        open_or_create(place, loads(TOML), RunOptions(session="mine"))
    assert not (place.sessions_dir / "mine").exists()
    git(tmp_path, "init", "-q", "empty")
    write(tmp_path / "empty", {"autoresearch.toml": TOML})
    with pytest.raises(SessionError, match="has no commit yet"):
        open_or_create(find_place(tmp_path / "empty"), loads(TOML), RunOptions())


def test_a_damaged_journal_that_nothing_restores_is_refused(place: Place) -> None:
    opened = open_or_create(place, loads(TOML), RunOptions(session="one"))
    opened.journal.write_bytes(b"\xff not json\n")
    with pytest.raises(SessionError, match="does not begin with a session's header"):
        open_or_create(place, loads(TOML), RunOptions())
    assert opened.journal.read_bytes() == b"\xff not json\n", "and left where it was"
