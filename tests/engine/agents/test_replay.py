from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from autoresearch.engine.agents import Exhausted, Proposal
from autoresearch.engine.agents.replay import Replay
from autoresearch.engine.brief import Brief
from autoresearch.engine.git import Git, fixed_range
from autoresearch.state.config import AgentSettings, Config, Measure, Metric, Scope
from autoresearch.state.journal import History, records

FILE = "".join(f"line {n}\n" for n in range(1, 21))


def config(edit: tuple[str, ...] = ("**",), kind: Any = "auto") -> Config:
    return Config(
        name="t", metric=Metric("m"), scope=Scope(edit), measure=Measure(run="true"), agent=AgentSettings(kind=kind)
    )


class Repo:
    """The user's repository, and a propose tree of it whose `.git` file nobody looks for."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self.top = folder / "repo"
        self.prefix = prefix
        self.target = self.top / prefix
        self.target.mkdir(parents=True)
        self.run("init", "-q", "-b", "main")
        self.write("train.py", FILE)
        self.write("old name.py", FILE)
        self.write("tool.sh", "echo\n")
        self.base = self.commit("base")
        self.tree = folder / "tree"
        self.run("worktree", "add", "-q", "--detach", str(self.tree), "main")
        git_dir = (self.tree / ".git").read_text().removeprefix("gitdir: ").strip()
        (self.tree / ".git").write_text("gitdir: /nowhere\n")
        self.git = Git(Path(git_dir), self.tree)
        self.history = History()
        self.at = 0

    def run(self, *args: str) -> str:
        identity = ("-c", "user.name=u", "-c", "user.email=u@localhost", "-c", "commit.gpgSign=false")
        done = subprocess.run(["git", *identity, *args], cwd=self.top, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, name: str, text: str | bytes) -> None:
        path = self.target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def commit(self, message: str) -> str:
        self.run("add", "-A")
        self.run("commit", "-q", "--allow-empty", "-m", message)
        return self.run("rev-parse", "HEAD")

    def change(self, number: int, text: str = "changed") -> None:
        lines = (self.target / "train.py").read_text().splitlines(keepends=True)
        lines[number - 1] = f"{text}\n"
        self.write("train.py", "".join(lines))

    def record(self, record: records.Record) -> None:
        line = records.encode(record)
        self.history.feed(self.at, line.rstrip(b"\n"))
        self.at += len(line)

    async def propose(self, agent: Replay, edit: tuple[str, ...] = ("**",)) -> Proposal:
        """One proposal, recorded as waiting."""
        id = self.history.next_proposal
        brief = Brief(number=id, incumbent="", config=config(edit), history=self.history)
        words = await agent.propose(brief, self.tree / self.prefix)
        self.record(records.Proposal(id=id, base="", sha="", params=words.params, problem=words.problem))
        return words

    def status(self) -> str:
        return self.git("status", "--porcelain", "--untracked-files=all")

    def clean(self) -> None:
        self.git("read-tree", "--reset", "-u", "HEAD")

    def incumbent(self, commit: str) -> None:
        self.git("checkout", "-q", "--detach", "-f", commit)


@pytest.fixture(params=["", "sub/tärget [1]"])
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> Repo:
    return Repo(tmp_path, request.param)


def tree_of(folder: Path) -> dict[str, tuple[str, bytes]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[path.relative_to(folder).as_posix()] = ("link", os.fsencode(path.readlink()))
        elif path.is_file() and path.name != ".git" and ".git" not in path.relative_to(folder).parts:
            found[path.relative_to(folder).as_posix()] = (oct(path.stat().st_mode & 0o111), path.read_bytes())
    return found


def varied(repo: Repo) -> None:
    """Every kind of change git knows, in one commit."""
    repo.change(3)
    (repo.target / "old name.py").rename(repo.target / "new näme.py")
    (repo.target / "tool.sh").chmod(0o755)
    (repo.target / "link").symlink_to("train.py")
    repo.write("data/weights.bin", bytes(range(256)) * 20)


async def test_a_range_is_replayed_in_order_with_its_words(repo: Repo) -> None:
    repo.change(2)
    first = repo.commit("Raise the rate\n\nIt was\nfar too low.\n\nMore words.")
    varied(repo)
    second = repo.commit("Everything at once")
    agent = Replay(f"{repo.base}..main", repo.git, repo.prefix)
    words = await repo.propose(agent)
    assert (words.description, words.hypothesis) == ("Raise the rate", "It was far too low.")
    assert (words.params, words.problem) == ({"replay": first}, "")
    assert "line 1\nchanged\nline 3\n" in (repo.tree / repo.prefix / "train.py").read_text()
    repo.incumbent(first)
    words = await repo.propose(agent)
    assert (words.params, words.problem) == ({"replay": second}, "")
    assert tree_of(repo.tree) == tree_of(repo.top)
    repo.clean()
    with pytest.raises(Exhausted, match=r"All 2 changes of .* have been tried"):
        await repo.propose(agent)


async def test_a_later_commit_is_put_onto_an_incumbent_without_the_earlier_ones(repo: Repo) -> None:
    repo.change(10)
    repo.commit("first")
    varied(repo)
    repo.change(18)
    second = repo.commit("second")
    words = await repo.propose(Replay(f"{second}~1..{second}", repo.git, repo.prefix))
    assert words.problem == ""
    text = (repo.tree / repo.prefix / "train.py").read_text()
    assert text == FILE.replace("line 3\n", "changed\n").replace("line 18\n", "changed\n")
    assert (repo.tree / repo.prefix / "new näme.py").exists()
    assert not (repo.tree / repo.prefix / "old name.py").exists()


async def test_a_conflict_is_said_and_leaves_no_trace(repo: Repo) -> None:
    repo.change(5, "theirs")
    repo.write("new.py", "new\n")
    theirs = repo.commit("theirs")
    repo.run("checkout", "-q", "-b", "other", repo.base)
    repo.change(5, "ours")
    repo.write("new.py", "other\n")
    repo.incumbent(repo.commit("ours"))
    before = tree_of(repo.tree)
    words = await repo.propose(Replay(f"{repo.base}..{theirs}", repo.git, repo.prefix))
    assert words.problem == "conflict"
    assert "does not merge onto the incumbent" in words.reason
    assert words.params == {"replay": theirs}
    assert tree_of(repo.tree) == before
    assert repo.status() == ""


async def test_a_conflict_outside_the_scope_alone_does_not_stop_the_rest(repo: Repo) -> None:
    repo.change(5, "theirs")
    repo.write("results.tsv", "theirs\n")
    theirs = repo.commit("theirs")
    repo.run("checkout", "-q", "-b", "other", repo.base)
    repo.write("results.tsv", "ours\n")
    repo.incumbent(repo.commit("ours"))
    agent = Replay(f"{repo.base}..{theirs}", repo.git, repo.prefix)
    words = await repo.propose(agent, edit=("*.py",))
    assert words.problem == ""
    assert "theirs" in (repo.tree / repo.prefix / "train.py").read_text()
    assert (repo.tree / repo.prefix / "results.tsv").read_text() == "ours\n"


async def test_what_the_incumbent_holds_already_is_no_change(repo: Repo) -> None:
    repo.change(5)
    sha = repo.commit("change")
    repo.incumbent(sha)
    patches = repo.top.parent / "patches"
    repo.run("format-patch", "-q", "-1", "-o", str(patches), f"--relative={repo.prefix}")
    (patches / "0002-plain.diff").write_text(repo.run("diff", f"--relative={repo.prefix}", "HEAD~1", "HEAD") + "\n")
    (patches / "0003-empty.patch").write_text("From: me\nSubject: [PATCH] nothing\n\n---\n")
    for source in (f"{repo.base}..{sha}", str(patches), str(patches), str(patches)):
        words = await repo.propose(Replay(source, repo.git, repo.prefix))
        assert words.problem == "no_change", words
        assert repo.status() == ""


async def test_merges_are_left_out_and_counted(repo: Repo) -> None:
    repo.run("checkout", "-q", "-b", "side")
    repo.change(5, "side")
    repo.commit("on the side")
    repo.run("checkout", "-q", "main")
    repo.change(15)
    sha = repo.commit("on main")
    repo.run("merge", "-q", "--no-edit", "side")
    agent = Replay(f"{repo.base}..main", repo.git, repo.prefix)
    assert (await repo.propose(agent)).params == {"replay": sha}
    with pytest.raises(Exhausted, match=r"The only change of .* has been tried. 1 merge left out"):
        await repo.propose(agent)


async def test_a_folder_of_patches_is_tried_in_name_order(repo: Repo) -> None:
    patches = repo.top.parent / "patches"
    repo.change(2)
    repo.commit(
        "Größer werden: a long subject that a mailer would fold because it never seems to come to an end\n\nWhy."
    )
    varied(repo)
    repo.commit("second\n\nBecause\nof it.\n\nMore.")
    repo.run("format-patch", "-q", "-2", "--binary", "-o", str(patches), f"--relative={repo.prefix}")
    (patches / "README").write_text("not a patch")
    agent = Replay(patches, repo.git, repo.prefix)
    words = await repo.propose(agent)
    assert words.description.startswith("Größer werden: a long subject that a mailer would fold because it never seems")
    assert words.hypothesis == "Why."
    assert words.problem == ""
    repo.incumbent("main~1")
    words = await repo.propose(agent)
    assert (words.description, words.hypothesis, words.problem) == ("second", "Because of it.", "")
    assert tree_of(repo.tree) == tree_of(repo.top)


async def test_patches_made_at_the_top_are_recognised(repo: Repo) -> None:
    patches = repo.top.parent / "patches"
    repo.change(2)
    repo.commit("from the top")
    repo.run("format-patch", "-q", "-1", "-o", str(patches))
    words = await repo.propose(Replay(patches, repo.git, repo.prefix))
    assert words.problem == ""
    assert tree_of(repo.tree) == tree_of(repo.top)


async def test_a_plain_diff_has_its_first_words_or_its_name(repo: Repo) -> None:
    patches = repo.top.parent / "patches"
    patches.mkdir()
    repo.change(2)
    diff = repo.run("diff", f"--relative={repo.prefix}") + "\n"
    (patches / "1-named.diff").write_text(f"Try this\n\nIt may help.\n\n{diff}")
    (patches / "2-bare.diff").write_text(diff)
    agent = Replay(patches, repo.git, repo.prefix)
    words = await repo.propose(agent)
    assert (words.description, words.hypothesis, words.problem) == ("Try this", "It may help.", "")
    repo.clean()
    assert (await repo.propose(agent)).description == "2-bare"


async def test_a_patch_that_reaches_out_of_the_tree_is_a_conflict(repo: Repo) -> None:
    patches = repo.top.parent / "patches"
    patches.mkdir()
    diff = "--- /dev/null\n+++ b/{}\n@@ -0,0 +1 @@\n+x\n"
    for number, path in enumerate(("../../../out.py", ".git/hooks/x", "link/out.py")):
        (patches / f"{number}.diff").write_text(diff.format(path))
    (repo.target / "link").symlink_to(repo.top.parent)
    repo.incumbent(repo.commit("a link"))
    before = {path for path in repo.top.parent.rglob("*") if ".git" not in path.parts}
    agent = Replay(patches, repo.git, repo.prefix)
    for _ in range(3):
        words = await repo.propose(agent)
        assert words.problem == "conflict"
        assert repo.status() == ""
    assert {path for path in repo.top.parent.rglob("*") if ".git" not in path.parts} == before


async def test_a_new_agent_goes_on_after_what_the_journal_holds(repo: Repo) -> None:
    shas = []
    for number in (2, 8, 14, 20):
        repo.change(number)
        shas.append(repo.commit(f"change {number}"))
    source = f"{repo.base}..main"
    for sha in shas[:3]:
        assert (await repo.propose(Replay(source, repo.git, repo.prefix))).params == {"replay": sha}
        repo.clean()
    # The first is measured, the second is being measured, the third is withdrawn: it no longer merged.
    repo.record(records.Intent(experiment=1, proposal=1, parent="", sha=""))
    repo.record(records.Experiment(run=1, commit="", metric=0.0, status="discard", proposal=1))
    repo.record(records.Intent(experiment=2, proposal=2, parent="", sha=""))
    repo.record(records.Withdrawn(proposal=3))
    agent = Replay(source, repo.git, repo.prefix)
    assert [(await repo.propose(agent)).params, repo.clean()][0] == {"replay": shas[2]}
    assert (await repo.propose(agent)).params == {"replay": shas[3]}


def test_a_range_is_fixed_where_the_person_stands(repo: Repo) -> None:
    repo.change(2)
    tip = repo.commit("tip")
    user = Git(repo.top / ".git", repo.top)
    assert fixed_range(user, "HEAD~1..HEAD") == f"{repo.base}..{tip}"
    assert fixed_range(user, "main~1..") == f"{repo.base}..{tip}"
    assert fixed_range(user, "nothing..HEAD") == "nothing..HEAD"


async def test_a_range_that_does_not_exist_is_one_sentence(repo: Repo) -> None:
    with pytest.raises(Exhausted, match="is no range of this repository"):
        await repo.propose(Replay("nothing..main", repo.git, repo.prefix))
