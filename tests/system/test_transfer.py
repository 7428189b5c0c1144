"""A session moves between repositories whole, or not at all: real engines, real git remotes, real kills."""

from __future__ import annotations

import contextlib
import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from engines import (
    autoresearch,
    check_agreement,
    command,
    environment,
    place,
    refs,
    run,
    save_as_earlier,
    saved,
    session,
    start,
    until,
)
from repos import BENCH, TOML, git, make_target, patch, small_disk, write
from terminals import Terminal

from autoresearch.engine.git import remote as remotes
from autoresearch.engine.sessions import arrivals, transfer
from autoresearch.engine.workspace import saved_state, workspace
from autoresearch.state.config import loads
from autoresearch.state.journal import Journal, records
from autoresearch.state.session import list_sessions


@dataclass(frozen=True)
class Boxes:
    one: Path
    hub: Path
    """A bare repository."""
    two: Path
    patches: Path

    def more(self, number: int, value: str, before: str) -> None:
        write(self.patches, {f"{number}.patch": patch(f"to {value}", f"VALUE = {before}", f"VALUE = {value}")})


@pytest.fixture
def boxes(tmp_path: Path) -> Boxes:
    """A repository with a baseline and a keep, a bare hub it was pushed to, and a clone."""
    one, hub, two, patches = tmp_path / "one", tmp_path / "hub.git", tmp_path / "two", tmp_path / "patches"
    make_target(one)
    git(tmp_path, "init", "-q", "--bare", str(hub))
    git(one, "remote", "add", "hub", str(hub))
    git(one, "push", "-q", "hub", "main")
    git(hub, "symbolic-ref", "HEAD", "refs/heads/main")
    git(tmp_path, "clone", "-q", "--origin", "hub", str(hub), str(two))
    made = Boxes(one, hub, two, patches)
    made.more(1, "9.0", "10.0")
    go(made, one, 2)
    return made


def call(folder: Path, *args: str, code: int = 0, fault: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    done = autoresearch(folder, *args, fault=fault, expect=code, **env)
    assert "Traceback" not in done.stderr
    return done


def go(boxes: Boxes, folder: Path, experiments: int) -> None:
    """At most so many: there may be fewer patches."""
    done = run(folder, "--replay", str(boxes.patches), "--max-experiments", str(experiments), "--trust")
    assert done.returncode in (0, 3), f"{done.stdout}\n{done.stderr}"


def journal(folder: Path) -> bytes:
    return session(folder).journal.read_bytes()


def picture(repo: Path) -> str:
    return git(repo, "for-each-ref", "--format=%(refname) %(objectname)")


def test_a_session_moves_to_another_box_goes_on_there_and_comes_back(boxes: Boxes) -> None:
    told = call(boxes.one, "push", "hub").stdout
    assert "2 new experiments" in told
    assert "Logs stay here" in told
    told = call(boxes.two, "pull", "hub").stdout
    assert "2 new experiments" in told
    assert journal(boxes.two) == journal(boxes.one)
    assert refs(boxes.two) == refs(boxes.one)
    check_agreement(boxes.two)
    boxes.more(2, "8.0", "9.0")
    go(boxes, boxes.two, 2)
    check_agreement(boxes.two)
    call(boxes.two, "push", "hub")
    told = json.loads(call(boxes.one, "pull", "hub", "--json").stdout)
    assert (told["did"], told["session"], told["remote"]) == ("pulled", session(boxes.one).name, "hub")
    assert told["new"] >= 1
    assert journal(boxes.one) == journal(boxes.two)
    history = check_agreement(boxes.one)
    assert history.incumbent is not None
    go(boxes, boxes.one, 1)
    check_agreement(boxes.one)


def test_a_remote_is_laid_out_as_earlier_versions_had_it(boxes: Boxes) -> None:
    """There the state is one of the session's refs, with journal, notebook and config; so theirs and ours meet."""
    call(boxes.one, "push", "hub")
    found = session(boxes.one)
    shas = [row.sha for row in found.history().rows]
    at_hub = dict(line.split(" ") for line in picture(boxes.hub).splitlines() if "autoresearch/" in line)
    state = at_hub.pop(f"{found.refs}state")
    assert at_hub == {found.branch: shas[1], f"{found.refs}1": shas[0], f"{found.refs}2": shas[1]}
    assert git(boxes.hub, "ls-tree", "--name-only", state).split() == [
        "autoresearch.jsonl",
        "autoresearch.md",
        "config.toml",
    ]
    assert git(boxes.hub, "show", f"{state}:autoresearch.jsonl").encode() == journal(boxes.one)
    boxes.more(2, "8.0", "9.0")
    go(boxes, boxes.one, 1)
    ref = save_as_earlier(boxes.one)
    git(boxes.one, "push", "-q", "hub", "refs/autoresearch/*:refs/autoresearch/*", found.branch)
    call(boxes.two, "pull", "hub")
    assert journal(boxes.two) == journal(boxes.one)
    assert refs(boxes.two) == {name: sha for name, sha in refs(boxes.one).items() if name != "state"}
    check_agreement(boxes.two)
    assert json.loads(call(boxes.one, "push", "hub", "--json").stdout)["did"] == "nothing"
    assert ref not in picture(boxes.one)


def test_nothing_of_a_state_gets_among_the_users_objects(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    call(boxes.two, "pull", "hub")
    boxes.more(2, "8.0", "9.0")
    go(boxes, boxes.two, 1)
    call(boxes.two, "push", "hub")
    call(boxes.one, "pull", "hub")
    for box in (boxes.one, boxes.two):
        listing = ("cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
        assert not {*git(box, *listing).split()} & {*git(saved(box).folder, *listing).split()}
        git(box, "gc", "-q", "--prune=now")
        git(box, "fsck", "--full")


def test_a_session_is_pulled_straight_from_a_working_copy(boxes: Boxes, tmp_path: Path) -> None:
    env = fake_ssh(tmp_path, 'shift; exec sh -c "$1"')
    call(boxes.two, "pull", f"box:{boxes.one}", **env)
    assert journal(boxes.two) == journal(boxes.one)
    boxes.more(2, "8.0", "9.0")
    go(boxes, boxes.two, 1)
    assert "went on at" in call(boxes.one, "push", str(boxes.two), code=1).stderr
    call(boxes.one, "pull", "../two")
    assert journal(boxes.one) == journal(boxes.two)
    check_agreement(boxes.one)
    go(boxes, boxes.two, 1)
    call(boxes.two, "push", "../one")
    call(boxes.one, "pull", ".")
    assert journal(boxes.one) == journal(boxes.two)
    check_agreement(boxes.one)


def test_a_pull_into_a_checkout_without_the_target_says_what_is_missing(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    (boxes.two / "autoresearch.toml").unlink()
    assert "There is no autoresearch.toml in" in call(boxes.two, "pull", "hub").stdout


def test_pushing_and_pulling_again_do_nothing(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    before = picture(boxes.hub)
    assert json.loads(call(boxes.one, "push", "hub", "--json").stdout)["did"] == "nothing"
    assert picture(boxes.hub) == before
    call(boxes.two, "pull", "hub")
    before = picture(boxes.two)
    assert json.loads(call(boxes.two, "pull", "hub", "--json").stdout)["did"] == "nothing"
    assert picture(boxes.two) == before


def test_a_push_writes_a_long_journal_in_the_parts_that_keeps_wrote(boxes: Boxes) -> None:
    held = session(boxes.one)
    with held.journal.open("ab") as file:
        file.write(b'{"type":"future","text":"%s"}\n' % (b"x" * saved_state.PART))
    went_on = workspace.Workspace(place(boxes.one), held, loads(TOML), lambda text: None)
    went_on.save_state("as at a keep")
    went_on.close()
    here = saved(boxes.one)
    before = here.last
    call(boxes.one, "push", "hub")
    assert here.last == before, "nothing was new"
    with held.journal.open("ab") as file:
        file.write(b'{"type":"future","text":"more"}\n')
    parts = git(here.folder, "ls-tree", f"{here.ref}:autoresearch.jsonl").splitlines()
    call(boxes.one, "push", "hub")
    after = git(boxes.hub, "ls-tree", f"{here.ref}:autoresearch.jsonl").splitlines()
    assert len(after) == len(parts) == 2
    assert after[0] == parts[0], "a full part is sent once"
    assert after[1] != parts[1]
    call(boxes.two, "pull", "hub")
    assert journal(boxes.two) == journal(boxes.one)


def test_what_was_asked_after_the_last_save_moves_too(boxes: Boxes) -> None:
    call(boxes.one, "idea", "a smaller knob")
    call(boxes.one, "push", "hub")
    call(boxes.two, "pull", "hub")
    assert [idea.text for idea in session(boxes.two).history().ideas.values()] == ["a smaller knob"]


@pytest.mark.parametrize("lost", ["folder", "journal"])
def test_a_session_that_is_lost_here_is_pulled_again(boxes: Boxes, lost: str) -> None:
    call(boxes.one, "push", "hub")
    call(boxes.two, "pull", "hub")
    here = session(boxes.two)
    shutil.rmtree(here.folder) if lost == "folder" else here.journal.unlink()
    call(boxes.two, "pull", "hub")
    assert journal(boxes.two) == journal(boxes.one)
    check_agreement(boxes.two)


def test_a_partial_clone_can_pull_and_push_back(boxes: Boxes, tmp_path: Path) -> None:
    git(boxes.hub, "config", "uploadpack.allowFilter", "true")
    call(boxes.one, "push", "hub")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{boxes.hub}", "partial")
    call(tmp_path / "partial", "pull", "origin")
    boxes.more(2, "8.0", "9.0")
    go(boxes, tmp_path / "partial", 1)
    call(tmp_path / "partial", "push", "origin")
    call(boxes.one, "pull", "hub")
    assert len(check_agreement(boxes.one).rows) == 3


def test_a_folder_that_is_pulled_is_for_its_owner_alone(boxes: Boxes) -> None:
    call(boxes.one, "push", str(boxes.hub))
    shell = f"umask 000; exec {' '.join(command('pull', str(boxes.hub)))}"
    subprocess.run(["bash", "-c", shell], cwd=boxes.two, env=environment(), check=True, capture_output=True)
    folder = session(boxes.two).folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "inbox").stat().st_mode) == 0o700
    assert stat.S_IMODE(session(boxes.two).journal.stat().st_mode) == 0o600


def test_a_pulled_session_asks_before_it_runs_even_where_the_commands_are_known(boxes: Boxes) -> None:
    call(boxes.one, "limit", "dollars", "off")
    call(boxes.one, "push", "hub")
    arrivals.accept(place(boxes.two))
    assert arrivals.pending(place(boxes.two)) == ()
    call(boxes.two, "pull", "hub")
    asked = [(found.key, found.text) for found in arrivals.pending(place(boxes.two))]
    assert asked == [("measure.run", "python bench.py"), ("limits.dollars", "0")]
    assert "--trust" in call(boxes.two, "resume", code=2).stderr
    go(boxes, boxes.two, 1)
    assert arrivals.pending(place(boxes.two)) == ()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a host name of its own")
def test_another_host_opens_a_segment_that_says_so(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    call(boxes.two, "pull", "hub")
    inner = command("run", "--headless", "--replay", str(boxes.patches), "--max-experiments", "1", "--trust")
    done = subprocess.run(
        ["unshare", "--uts", "bash", "-c", 'hostname other-box && exec "$@"', "-", *inner],
        cwd=boxes.two, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("no rights for a host name of its own")
    history = session(boxes.two).history()
    assert history.header is not None
    assert (history.header.host, history.segment) == ("other-box", 1)
    assert "the host changed" in history.header.reason


# -- both sides went on


def both_went_on(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    call(boxes.two, "pull", "hub")
    boxes.more(2, "8.0", "9.0")
    go(boxes, boxes.two, 1)
    call(boxes.two, "push", "hub")
    go(boxes, boxes.one, 1)


def test_neither_side_is_overwritten_when_both_went_on(boxes: Boxes) -> None:
    both_went_on(boxes)
    at_hub, here, written = picture(boxes.hub), picture(boxes.one), journal(boxes.one)
    for verb in ("push", "pull"):
        said = call(boxes.one, verb, "hub", code=1).stderr
        assert "went on at both sides" in said
        assert "1 experiment (#3" in said
        assert "autoresearch delete" in said
    assert picture(boxes.hub) == at_hub
    assert journal(boxes.one) == written
    assert picture(boxes.one).count("refs/autoresearch/") >= here.count("refs/autoresearch/")


def test_a_push_says_that_the_remote_is_ahead(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    call(boxes.two, "pull", "hub")
    boxes.more(2, "8.0", "9.0")
    go(boxes, boxes.two, 1)
    call(boxes.two, "push", "hub")
    said = call(boxes.one, "push", "hub", code=1).stderr
    assert "autoresearch pull" in said
    assert "1 experiment (#3" in said


def test_a_users_commit_on_the_branch_there_is_not_overwritten(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    branch = session(boxes.one).branch
    theirs = git(boxes.two, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "mine").strip()
    git(boxes.two, "push", "-q", "hub", f"+{theirs}:{branch}")
    assert "did not put there" in call(boxes.one, "push", "hub", code=1).stderr
    assert git(boxes.hub, "rev-parse", branch).strip() == theirs


def test_a_users_branch_here_is_not_overwritten(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    name = session(boxes.one).name
    theirs = git(boxes.two, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "mine").strip()
    git(boxes.two, "branch", f"autoresearch/{name}", theirs)
    assert "git branch -m" in call(boxes.two, "pull", "hub", code=2).stderr
    assert git(boxes.two, "rev-parse", f"autoresearch/{name}").strip() == theirs


# -- an engine runs


def test_a_push_beside_a_running_engine_is_one_consistent_cut(boxes: Boxes, tmp_path: Path) -> None:
    bench = BENCH + "import time; time.sleep(0.1)\n"
    busy = make_target(tmp_path / "busy", bench=bench, toml=TOML.replace('kind = "replay"', 'kind = "tuner"'))
    engine = start(busy, "--max-experiments", "30")
    try:
        until(lambda: list_sessions(place(busy)) and len(session(busy).history().rows) >= 2, "two rows")
        for _ in range(4):
            call(busy, "push", str(boxes.hub))
        assert engine.poll() is None, "the engine goes on"
        assert call(busy, "pull", str(boxes.hub), session(busy).name, code=4).stderr
    finally:
        engine.terminate()
        engine.wait()
        assert engine.stdout is not None
        engine.stdout.close()
    name = session(busy).name
    call(boxes.two, "pull", "hub", name)
    assert journal(busy).startswith(journal(boxes.two))
    run(boxes.two, "--session", name, "--trust", "--agent", "tuner", "--max-experiments", "1")
    check_agreement(boxes.two)


# -- kills, refusals, odd remotes


@pytest.mark.parametrize(
    "point", ["pull:fetched", "pull:folder", "pull:refs", "pull:autoresearch.jsonl", "pull:autoresearch.md"]
)
@pytest.mark.parametrize("then", ["pull", "run"])
def test_a_pull_killed_anywhere_is_finished_by_the_next_call(boxes: Boxes, point: str, then: str) -> None:
    call(boxes.one, "push", "hub")
    call(boxes.two, "pull", "hub")
    boxes.more(2, "8.0", "9.0")
    go(boxes, boxes.one, 2)
    call(boxes.one, "push", "hub")
    call(boxes.two, "pull", "hub", code=-9, fault=point)
    if then == "pull":
        call(boxes.two, "pull", "hub")
        assert journal(boxes.two) == journal(boxes.one)
        assert refs(boxes.two) == refs(boxes.one)
    else:
        go(boxes, boxes.two, 1)
    check_agreement(boxes.two)


@pytest.mark.parametrize("point", ["pull:folder", "pull:refs"])
def test_a_first_pull_that_was_killed_still_asks(boxes: Boxes, point: str) -> None:
    call(boxes.one, "push", "hub")
    arrivals.accept(place(boxes.two))
    call(boxes.two, "pull", "hub", code=-9, fault=point)
    assert "--trust" in run(boxes.two, "--replay", str(boxes.patches), expect=2).stderr
    go(boxes, boxes.two, 1)
    assert [row.number for row in check_agreement(boxes.two).rows][:2] == [1, 2]


def test_hooks_of_the_user_do_not_run(boxes: Boxes) -> None:
    for name in ("pre-push", "reference-transaction", "post-checkout"):
        hook = boxes.one / ".git" / "hooks" / name
        write(hook.parent, {name: f"#!/bin/sh\ntouch {boxes.one}/hooked\nexit 1\n"})
        hook.chmod(0o755)
    call(boxes.one, "push", "hub")
    assert not (boxes.one / "hooked").exists()


def test_a_refusing_remote_keeps_what_it_had(boxes: Boxes) -> None:
    hook = boxes.hub / "hooks" / "pre-receive"
    write(hook.parent, {"pre-receive": "#!/bin/sh\necho no sessions here >&2\nexit 1\n"})
    hook.chmod(0o755)
    before = picture(boxes.hub)
    said = call(boxes.one, "push", "hub", code=1).stderr
    assert "hub refused it" in said
    assert picture(boxes.hub) == before


def test_a_line_that_breaks_leaves_the_remote_whole(boxes: Boxes) -> None:
    hook = boxes.hub / "hooks" / "pre-receive"
    write(hook.parent, {"pre-receive": "#!/bin/sh\nkill -9 $PPID\n"})
    hook.chmod(0o755)
    before = picture(boxes.hub)
    said = call(boxes.one, "push", "hub", code=1).stderr
    assert len(said.splitlines()) == 1
    assert picture(boxes.hub) == before
    hook.unlink()
    call(boxes.one, "push", "hub")


def test_a_remote_that_cannot_do_it_at_once_gets_the_state_last(boxes: Boxes) -> None:
    git(boxes.hub, "config", "receive.advertiseAtomic", "false")
    call(boxes.one, "push", "hub")
    call(boxes.two, "pull", "hub")
    check_agreement(boxes.two)


def test_more_refs_than_one_call_can_name_go_in_portions(boxes: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotes, "PORTION", 1)
    found = session(boxes.one)
    moved = transfer.push(place(boxes.one), found, remotes.Remote(place(boxes.one), "hub", boxes.one))
    assert (moved.did, moved.refs) == ("pushed", 4)
    monkeypatch.undo()
    call(boxes.two, "pull", "hub")
    assert refs(boxes.two) == refs(boxes.one)


def private(boxes: Boxes, sha: str) -> tuple[str, str]:
    """A commit that only the puller has, and what the pushed journal says in the place of experiment 2's commit."""
    git(boxes.two, "switch", "-q", "-c", "private")
    write(boxes.two, {"key.txt": "secret\n"})
    git(boxes.two, "add", "key.txt")
    git(boxes.two, "commit", "-q", "-m", "private")
    made = git(boxes.two, "rev-parse", "HEAD").strip()
    git(boxes.two, "switch", "-q", "main")
    told = [json.loads(line) for line in journal(boxes.one).splitlines()]
    for line in told:
        line |= {"sha": sha.replace("PRIVATE", made)} if line.get("run") == 2 else {}
    session(boxes.one).journal.write_text("".join(json.dumps(line) + "\n" for line in told))
    call(boxes.one, "push", "hub")
    return made, session(boxes.one).name


@pytest.mark.parametrize("sha", ["private", "PRIVATE\n" + "0" * 40, "PRIVATE^0", "--output=owned"])
def test_a_pulled_journal_names_no_commit_but_by_its_full_name(boxes: Boxes, sha: str) -> None:
    made, name = private(boxes, sha)
    told = call(boxes.two, "pull", "hub").stdout
    assert "Left out: line" in told
    assert "its sha is no commit's full name" in told
    assert "its sha is no commit's full name" in call(boxes.two, "status").stdout
    assert made not in refs(boxes.two).values()
    assert "refs/autoresearch-incoming/" not in picture(boxes.two)
    go(boxes, boxes.two, 1)
    call(boxes.two, "push", "hub", name)
    assert made not in git(boxes.hub, "rev-list", "--all")


def test_a_pulled_journal_takes_no_commit_that_did_not_come_with_it(boxes: Boxes) -> None:
    made, name = private(boxes, "PRIVATE")
    before = picture(boxes.two)
    said = call(boxes.two, "pull", "hub", code=1).stderr
    assert f"experiment 2 ({made[:12]})" in said
    assert picture(boxes.two) == before, "nothing of the fetch is left"
    assert list(place(boxes.two).states_dir.iterdir()) == []
    assert not (boxes.two / ".git" / "autoresearch" / name).exists()


@pytest.mark.parametrize(
    ("remote", "code", "says"),
    [
        ("nowhere", 2, "remotes: hub"),
        ("/no/such/repo.git", 2, "remotes: hub"),
        (".", 0, ""),
        ("ext::sh -c 'touch owned'", 2, "way of transport"),
        ("https://user:secret@127.0.0.1:9/x.git", 1, "cannot be reached"),
    ],
)
def test_a_wrong_remote_is_one_sentence(boxes: Boxes, remote: str, code: int, says: str) -> None:
    done = call(boxes.one, "push", remote, code=code)
    assert says in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1
    assert not (boxes.one / "owned").exists()


def test_a_folder_that_is_no_repository_is_named(boxes: Boxes, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no git repository at ../empty" in call(boxes.one, "push", "../empty", code=2).stderr


def test_a_session_that_is_not_there_lists_those_that_are(boxes: Boxes) -> None:
    assert "there: none" in call(boxes.two, "pull", "hub", code=2).stderr
    call(boxes.one, "push", "hub")
    name = session(boxes.one).name
    assert f"there: {name}" in call(boxes.two, "pull", "hub", "other", code=2).stderr
    run(boxes.one, "--new", "--session", "second", "--replay", str(boxes.patches), "--max-experiments", "1", expect=3)
    call(boxes.one, "push", "hub", "second")
    assert f"name one of them: {name}, second" in call(boxes.two, "pull", "hub", code=2).stderr
    assert "several" not in call(boxes.one, "pull", "hub").stderr, "the latest one here is meant"


def test_a_branch_that_the_user_has_checked_out_is_not_moved(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    name = session(boxes.one).name
    git(boxes.two, "fetch", "-q", "hub")
    git(boxes.two, "switch", "-q", "-c", f"autoresearch/{name}", f"hub/autoresearch/{name}")
    assert "git switch -" in call(boxes.two, "pull", "hub", code=2).stderr
    assert not (boxes.two / ".git" / "autoresearch" / name).exists()


def test_a_shallow_clone_can_pull_and_push_back(boxes: Boxes, tmp_path: Path) -> None:
    write(boxes.one, {"README.md": "more\n"})
    git(boxes.one, "commit", "-q", "-a", "-m", "more")
    git(boxes.one, "push", "-q", "hub", "main")
    call(boxes.one, "push", "hub")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{boxes.hub}", "shallow")
    call(tmp_path / "shallow", "pull", "origin")
    check_agreement(tmp_path / "shallow")
    boxes.more(2, "8.0", "9.0")
    done = run(tmp_path / "shallow", "--replay", str(boxes.patches), "--max-experiments", "1", "--trust")
    assert "--unshallow" in done.stderr, "the README, which is protected, differs and cannot be merged without history"
    git(tmp_path / "shallow", "fetch", "-q", "--unshallow")
    go(boxes, tmp_path / "shallow", 1)
    call(tmp_path / "shallow", "push", "origin")
    call(boxes.one, "pull", "hub")
    check_agreement(boxes.one)


def test_a_state_from_elsewhere_writes_nothing_but_its_three_files(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    name = session(boxes.one).name
    ref = f"refs/autoresearch/{name}/state"
    blob = git(boxes.hub, "rev-parse", f"{ref}:autoresearch.jsonl").strip()
    listing = git(boxes.hub, "ls-tree", ref) + f"120000 blob {blob}\tlock\n100644 blob {blob}\tlive.json\n"
    tree = subprocess.run(
        ["git", "-C", str(boxes.hub), "mktree"], input=listing, text=True, capture_output=True, check=True
    ).stdout.strip()
    git(boxes.hub, "update-ref", ref, git(boxes.hub, "commit-tree", tree, "-m", "x").strip())
    call(boxes.two, "pull", "hub")
    found = {path.name for path in session(boxes.two).folder.iterdir()}
    assert found == {"autoresearch.jsonl", "autoresearch.md", "config.toml", "inbox", "runs"}


def test_a_journal_that_is_none_is_refused(boxes: Boxes) -> None:
    call(boxes.one, "push", "hub")
    name = session(boxes.one).name
    tree = subprocess.run(
        ["git", "-C", str(boxes.hub), "mktree"], input="", text=True, capture_output=True, check=True
    ).stdout.strip()
    git(
        boxes.hub,
        "update-ref",
        f"refs/autoresearch/{name}/state",
        git(boxes.hub, "commit-tree", tree, "-m", "x").strip(),
    )
    assert "does not begin as a session's" in call(boxes.two, "pull", "hub", code=2).stderr
    assert not (boxes.two / ".git" / "autoresearch" / name).exists()


def test_a_waiting_proposal_moves_and_a_used_one_goes(boxes: Boxes) -> None:
    found = session(boxes.one)
    sha = git(boxes.one, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "waiting").strip()
    git(boxes.one, "update-ref", f"{found.refs}p7", sha)
    log = Journal(found.journal)
    log.append(records.Proposal(id=7, base=git(boxes.one, "rev-parse", "HEAD").strip(), sha=sha, description="w"))
    call(boxes.one, "push", "hub")
    assert f"{found.refs}p7" in picture(boxes.hub)
    log.append(records.Withdrawn(proposal=7, reason="not wanted"))
    log.close()
    call(boxes.one, "push", "hub")
    assert f"{found.refs}p7" not in picture(boxes.hub)


# -- ssh, a person's ctrl+c, a full disk


def fake_ssh(folder: Path, body: str) -> dict[str, str]:
    write(folder, {"fake-ssh": f"#!/bin/sh\n{body}\n"})
    (folder / "fake-ssh").chmod(0o755)
    return {"GIT_SSH_COMMAND": str(folder / "fake-ssh"), "GIT_SSH_VARIANT": "simple"}


def test_over_ssh_with_the_users_own_command(boxes: Boxes, tmp_path: Path) -> None:
    env = fake_ssh(tmp_path, 'shift; exec sh -c "$1"')
    call(boxes.one, "push", f"box:{boxes.hub}", **env)
    call(boxes.two, "pull", f"ssh://me@box{boxes.hub}", **env)
    assert refs(boxes.two) == refs(boxes.one)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("me@box: Permission denied (publickey).", "did not let us in"),
        ("Host key verification failed.", "did not let us in"),
        ("ssh: Could not resolve hostname box: Name or service not known", "cannot be reached"),
        ("ssh: connect to host box port 22: Connection refused", "cannot be reached"),
    ],
)
def test_a_box_that_cannot_be_entered_is_one_sentence(boxes: Boxes, tmp_path: Path, words: str, says: str) -> None:
    env = fake_ssh(tmp_path, f"echo '{words}' >&2; exit 255")
    for verb in ("push", "pull"):
        said = call(boxes.one, verb, "box:repo.git", code=1, **env).stderr
        assert says in said
        assert words.rstrip(".") in said
        assert len(said.splitlines()) == 1


def test_ctrl_c_in_the_middle_of_a_push_leaves_the_remote_as_it_was(boxes: Boxes, tmp_path: Path) -> None:
    hook = boxes.hub / "hooks" / "pre-receive"
    write(hook.parent, {"pre-receive": f"#!/bin/sh\ntouch {tmp_path}/there\nsleep 60\nexit 1\n"})
    hook.chmod(0o755)
    before = picture(boxes.hub)
    terminal = Terminal(["env", "-C", str(boxes.one), *command("push", "hub")], **environment())
    try:
        terminal.until((tmp_path / "there").exists)
        terminal.press("\x03")
        assert terminal.wait() == 130
    finally:
        terminal.close()
    assert picture(boxes.hub) == before
    hook.unlink()
    call(boxes.one, "push", "hub")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "size=4m") as folder:
        yield folder


def fill(folder: Path) -> Path:
    full = folder / "full"
    with contextlib.suppress(OSError), full.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return full


def test_a_disk_that_is_full_leaves_both_sides_whole(boxes: Boxes, small: Path) -> None:
    git(small, "clone", "-q", "--bare", str(boxes.hub), "hub.git")
    full, before = fill(small), picture(small / "hub.git")
    said = call(boxes.one, "push", str(small / "hub.git"), code=1).stderr
    assert len(said.splitlines()) == 1
    assert "disk is full" in said
    assert picture(small / "hub.git") == before
    full.unlink()
    call(boxes.one, "push", str(small / "hub.git"))
    git(small, "clone", "-q", str(boxes.hub), "two")
    full = fill(small)
    said = call(small / "two", "pull", str(small / "hub.git"), code=1).stderr
    assert len(said.splitlines()) == 1
    full.unlink()
    call(small / "two", "pull", str(small / "hub.git"))
    check_agreement(small / "two")
