"""`status`, `log`, `show`, `ideas`, `summary`: on sessions in real repositories, in and out of process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from journals import Told, told
from repos import git, write

from autoresearch.state.journal import records
from autoresearch.state.session import Live, write_live
from autoresearch.tui.cli import cli


@pytest.fixture
def session(tmp_path: Path) -> Told:
    return told(tmp_path / "repo")


def call(folder: Path, *args: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, [args[0], "-C", str(folder), *args[1:]])
    assert result.exit_code == code, result.output
    return result


def document(folder: Path, *args: str) -> Any:
    return json.loads(call(folder, *args, "--json").stdout)


def process(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "autoresearch", *args],
        cwd=cwd, capture_output=True, text=True, env={**os.environ, **env}, timeout=60, check=False,
    )  # fmt: skip


def test_status_tells_where_a_paused_session_stands(session: Told) -> None:
    found = document(session.repo, "status")
    assert (found["session"], found["state"], found["limit"]) == ("nov20", "paused", "experiments")
    assert found["best"]["number"] == 2
    assert found["best"]["metric"] == pytest.approx(9.0)
    assert found["baseline"]["metric"] == pytest.approx(10.0)
    assert found["estimate"] == pytest.approx(1.0)
    assert 0 < found["interval"] < 0.1
    assert found["counts"] == {
        "experiments": 5, "tried": 4, "kept": 1, "discard": 2, "unproven": 1, "crash": 1, "checks_failed": 0,
        "parked": 0,
    }  # fmt: skip
    assert found["spend"]["usd"] == pytest.approx(1.0)
    assert found["spend"]["tokens"] == 480
    assert found["limits"]["experiments"] == 25
    assert found["engine"]["pid"] is None
    assert found["branch"] == "autoresearch/nov20"
    text = call(session.repo, "status").stdout
    assert "paused" in text
    assert "experiment limit reached (5)" in text
    assert "better by 1.000" in text


def test_status_sees_an_engine_of_another_process(session: Told) -> None:
    now = records.now_ms()
    session.write(records.Resume(by="engine"))
    sha = session.open("knob to 7", "7.0")
    write_live(
        session.session,
        Live(pid=os.getpid(), host=socket.gethostname(), phase="measuring", since=now - 3000, updated=now, experiment=6,
             description="knob to 7", arm="candidate", k=2, of=8, sha=sha),
    )  # fmt: skip
    with session.session.lock():
        done = process("status", "--json", cwd=session.repo)
    found = json.loads(done.stdout)
    assert (found["state"], found["phase"], found["experiment"], found["k"]) == ("running", "measuring", 6, 2)
    assert found["engine"]["pid"] == os.getpid()
    assert document(session.repo, "status")["state"] == "lost", "without the lock the engine died"


def test_an_engine_without_a_heartbeat_is_silent(session: Told) -> None:
    old = records.now_ms() - 60_000
    here = socket.gethostname()
    write_live(session.session, Live(pid=os.getpid(), host=here, phase="measuring", since=old, updated=old))
    with session.session.lock():
        assert document(session.repo, "status")["state"] == "silent"


def test_limits_follow_later_settings(session: Told) -> None:
    session.write(records.Settings(changes={"limits.dollars": 42.0, "agent.kind": "tuner"}))
    limits = document(session.repo, "status")["limits"]
    assert (limits["dollars"], limits["experiments"]) == (42.0, 25)


def test_log_lists_the_newest_and_all_on_request(session: Told) -> None:
    rows = document(session.repo, "log")["experiments"]
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["status"] for row in rows] == ["keep", "keep", "discard", "discard", "crash"]
    assert rows[4]["metric"] is None, "a crash has no value, not 0"
    assert rows[2]["lesson"] == "up is worse"
    text = call(session.repo, "log", "-n", "2").stdout
    assert "#5" in text
    assert "#4" in text
    assert "#3" not in text
    assert "the last 2 of 5" in text
    assert "34 to 1" in call(session.repo, "log", "-n", "0").stdout


def test_show_has_the_diff_the_samples_and_the_log_without_escapes(session: Told) -> None:
    found = document(session.repo, "show", "3")
    assert found["description"] == "knob up to 11"
    assert found["reason"].startswith("a gain of")
    assert found["proposed"]["hypothesis"] == "because of 11.0"
    assert [sample["metric"] for sample in found["samples"]] == [11.0]
    assert "-VALUE = 9.0" in found["diff"]
    assert "+VALUE = 11.0" in found["diff"]
    assert found["logs"]["output.log"] == ["loading", "score: 11.0", "progress 100%"]
    text = call(session.repo, "show", "3").stdout
    assert "+VALUE = 11.0" in text
    assert "\x1b" not in text


def test_show_of_a_keep_has_its_fresh_samples(session: Told) -> None:
    arms = [sample["arm"] for sample in document(session.repo, "show", "2")["samples"]]
    assert arms == ["candidate", "candidate", "fresh", "fresh", "fresh"]


def test_show_of_the_open_experiment(session: Told) -> None:
    session.write(records.Resume(by="engine"))
    sha = session.open("knob to 7", "7.0")
    session.sample(sha, "candidate", 1, 7.0)
    found = document(session.repo, "show", "6")
    assert (found["status"], found["description"], len(found["samples"])) == ("open", "knob to 7", 1)
    assert "RUN >" in call(session.repo, "show", "6").stdout


def test_show_says_which_experiments_there_are(session: Told) -> None:
    result = call(session.repo, "show", "9", code=2)
    assert "There is no experiment 9; there are 1 to 5" in result.stderr


def test_show_without_the_commit_says_so(session: Told) -> None:
    git(session.repo, "update-ref", "-d", f"{session.session.refs}5")
    git(session.repo, "reflog", "expire", "--expire=now", "--all")
    git(session.repo, "gc", "-q", "--prune=now")
    assert document(session.repo, "show", "5")["diff"] is None
    assert "no longer in this repository" in call(session.repo, "show", "5").stdout


def test_show_ignores_what_the_users_config_does_to_diffs(session: Told) -> None:
    git(session.repo, "config", "diff.external", "false")
    git(session.repo, "config", "color.diff", "always")
    git(session.repo, "config", "diff.noprefix", "true")
    diff = document(session.repo, "show", "2")["diff"]
    assert "\x1b" not in diff
    assert "--- a/knob.py" in diff


def test_ideas_by_state_with_ids(session: Told) -> None:
    session.write(records.Veto(id="i1", reason="no", by="person"))
    found = document(session.repo, "ideas")
    assert [(idea["id"], idea["state"]) for idea in found["ideas"]] == [("i1", "vetoed"), ("i2", "open")]
    ends = [(entry["id"], entry["list"], entry["experiment"]) for entry in found["dead_ends"]]
    assert ends == [("d1", "refuted", 3), (None, "crashed", 5), (None, "unproven", 4)]
    text = call(session.repo, "ideas").stdout
    assert "turn it red" in text
    assert "knob to boom" in text, "what failed without a word of the agent is a dead end too"
    assert "\x1b" not in text


def test_search_finds_by_words_and_by_session(session: Told) -> None:
    found = document(session.repo, "search", "boom")
    assert [(hit["session"], hit["number"], hit["status"]) for hit in found["found"]] == [("nov20", 5, "crash")]
    text = call(session.repo, "search", "-s", "nov20", "sign", "changes").stdout
    assert "#3" in text, "lessons are searched too"
    assert "\x1b" not in text
    assert "Nothing on record" in call(session.repo, "search", "xylophone").stdout
    assert "there are: nov20" in call(session.repo, "search", "-s", "dec1", "knob", code=2).stderr


def test_a_baseline_that_crashed_is_no_try(tmp_path: Path) -> None:
    broken = Told(tmp_path / "repo")
    broken.number = 1
    broken.write(records.Intent(experiment=1, proposal=None, parent=broken.base, sha=broken.base))
    broken.write(records.Experiment(run=1, commit=broken.base[:7], metric=0.0, status="crash", cause="nonzero_exit"))
    assert document(broken.repo, "status")["counts"]["tried"] == 0


def test_summary_compares_with_keep_if_lower_and_says_how_to_merge(session: Told) -> None:
    found = document(session.repo, "summary")
    assert found["merge"] == "git merge autoresearch/nov20"
    assert [row["number"] for row in found["kept"]] == [2]
    # From the first baseline run 10.02: 9.0 is kept, then the unproven 8.98 too.
    assert found["keep_if_better"]["kept"] == 2
    assert found["keep_if_better"]["claimed"] == pytest.approx(10.02 - 8.98)
    text = call(session.repo, "summary").stdout
    assert "git merge autoresearch/nov20" in text
    assert "keep-if-lower" in text
    git(session.repo, "merge", "-q", "autoresearch/nov20")
    assert "VALUE = 9.0" in (session.repo / "knob.py").read_text()


def test_summary_of_a_baseline_alone_has_nothing_to_merge(tmp_path: Path) -> None:
    only = Told(tmp_path / "repo")
    only.baseline()
    found = document(only.repo, "summary")
    assert found["merge"] is None
    assert (found["estimate"], found["interval"]) == (None, None)
    assert "merge" not in call(only.repo, "summary").stdout


@pytest.mark.parametrize("command", ["status", "summary", "log", "ideas"])
def test_a_session_before_its_first_sample_can_be_read(tmp_path: Path, command: str) -> None:
    fresh = Told(tmp_path / "repo")
    call(fresh.repo, command)
    document(fresh.repo, command)


def test_a_bad_journal_line_is_reported_and_hides_nothing(session: Told) -> None:
    with session.session.journal.open("ab") as file:
        file.write(b"{broken\n")
    session.write(records.Note(id="n1", text="after it"))
    found = document(session.repo, "status")
    assert found["bad_lines"][0]["line"] > 10
    assert "1 bad journal line" in call(session.repo, "status").stdout
    assert document(session.repo, "ideas")["notes"][0]["text"] == "after it"


def test_a_target_in_a_sub_directory_is_found_from_below(tmp_path: Path) -> None:
    session = told(tmp_path / "repo", prefix="pkg/knob")
    deep = session.repo / "pkg" / "knob" / "deep"
    deep.mkdir()
    assert document(deep, "status")["target"] == "pkg/knob"
    assert "+VALUE = 9.0" in document(deep, "show", "2")["diff"]
    assert "no session yet" in call(session.repo, "status", code=2).stderr


def test_an_unknown_session_names_the_known_ones(session: Told) -> None:
    assert "there are: nov20" in call(session.repo, "status", "-s", "dec1", code=2).stderr


def test_common_options_count_before_and_after_the_command(session: Told, tmp_path: Path) -> None:
    before = CliRunner().invoke(cli, ["-C", str(session.repo), "-s", "nov20", "status", "--json"])
    assert before.exit_code == 0, before.output
    assert json.loads(before.stdout)["session"] == "nov20"


def test_the_bare_command_without_a_terminal_is_status(session: Told) -> None:
    done = process(cwd=session.repo)
    assert done.returncode == 0
    assert "session nov20" in done.stdout


def test_the_bare_command_without_a_target_says_how_to_get_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    done = process(cwd=tmp_path)
    assert done.returncode == 2
    assert "autoresearch init" in done.stderr
    assert "autoresearch demo" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_closed_stdout_is_quiet(session: Told) -> None:
    for number in range(400):
        session.write(records.Note(id=f"n{number}", text="x" * 400))
    command = [sys.executable, "-P", "-m", "autoresearch", "ideas"]
    with subprocess.Popen(command, cwd=session.repo, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(10)
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(30) == 0


def test_a_full_stdout_is_an_error(session: Told) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-P", "-m", "autoresearch", "log"]
        done = subprocess.run(command, cwd=session.repo, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_ascii_stdout_loses_letters_and_not_the_answer(session: Told) -> None:
    done = process("log", cwd=session.repo, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "KEEP ?" in done.stdout


def test_no_colour_outside_a_terminal_or_with_no_color(session: Told) -> None:
    assert "\x1b" not in process("log", cwd=session.repo).stdout
    assert "\x1b[" in through_terminal(session.repo, "log")
    assert "\x1b[" not in through_terminal(session.repo, "log", NO_COLOR="1")
    assert "\x1b[" not in through_terminal(session.repo, "log", TERM="dumb")


def test_a_table_fits_the_terminal(session: Told) -> None:
    session.discard("a very long description " * 20, 12.0)
    for line in through_terminal(session.repo, "log", NO_COLOR="1", COLUMNS="70").splitlines():
        assert len(line) <= 70


def through_terminal(cwd: Path, *args: str, **env: str) -> str:
    """What a command writes to a real terminal."""
    import pty

    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "autoresearch", *args],
        cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm-256color", **env},
    )  # fmt: skip
    os.close(theirs)
    text = b"".join(_until_closed(ours))
    os.close(ours)
    assert child.wait(30) == 0, text
    return text.decode().replace("\r\n", "\n")


def _until_closed(fd: int) -> Iterator[bytes]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            data = os.read(fd, 65536)
        except OSError:  # EIO: the other end is closed
            return
        if not data:
            return
        yield data


def test_an_unexpected_error_is_one_sentence_and_debug_shows_where(session: Told) -> None:
    """A journal that is a folder is nothing any code expects."""
    session.session.journal.rename(session.session.journal.with_suffix(".old"))
    session.session.journal.mkdir()
    (session.session.journal / "x").touch()
    done = process("status", "-s", "nov20", cwd=session.repo)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(session: Told) -> None:
    done = process("show", "99", "--debug", cwd=session.repo)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("autoresearch: There is no experiment 99")


def test_config_errors_exit_2(tmp_path: Path) -> None:
    repo = told(tmp_path / "repo").repo
    write(repo, {"autoresearch.toml": "name = 3\n[metrik]\n"})
    done = process("run", "--headless", cwd=repo)
    assert done.returncode == 2, done.stderr
    assert "metrik" in done.stderr
    assert "Traceback" not in done.stderr
