"""Whole sessions under confinement: what is said of it, what is refused, and what an agent's CLI may touch."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from pathlib import Path

import attacks
import pytest
from engines import lines, run, session
from repos import BENCH, TOML, git, make_target, small_disk, snapshot, write

from autoresearch.engine import process
from autoresearch.engine.sandbox import kernel
from autoresearch.engine.sandbox import protection as level
from autoresearch.state.journal import records

QUICK = TOML + '\n[verdict]\nmode = "single"\nbaseline_runs = 1\n'
needs_landlock = pytest.mark.skipif(not kernel.this_kernel().landlock, reason="this kernel has no Landlock")
needs_views = pytest.mark.skipif(not kernel.this_kernel().held, reason="no mount namespaces here")


def one_run(
    tmp_path: Path, bench: str, toml: str = QUICK, expect: int = 3, more: Mapping[str, str] | None = None, **env: str
) -> tuple[Path, str]:
    repo = make_target(tmp_path / "r", toml, bench)
    if more:
        write(repo, dict(more))
        git(repo, "add", "-A")
        git(repo, "commit", "-q", "-m", "more")
    before = snapshot(repo)
    done = run(repo, "--max-experiments", "1", "--agent", "tuner", expect=expect, **env)
    assert snapshot(repo) == before
    return repo, done.stdout + done.stderr


def measuring(*settings: str) -> str:
    return QUICK.replace("budget_s = 0", "\n".join(("budget_s = 0", *settings)))


def test_the_header_says_what_holds_the_runs(tmp_path: Path) -> None:
    repo, _ = one_run(tmp_path, BENCH)
    header = session(repo).history().header
    assert header is not None
    assert header.protection == str(level.level())
    warned = [line.code for line in lines(repo) if isinstance(line, records.Warn)]
    assert ("confinement" in warned) == (level.level().name != "full")


def test_without_confinement_the_header_says_so(tmp_path: Path) -> None:
    repo, _ = one_run(tmp_path, BENCH, measuring('confine = "off"'))
    header = session(repo).history().header
    assert header is not None
    assert header.protection == "off: runs are not confined: measure.confine is off"


FETCHES = "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/')\n"
CATCHES = """\
import urllib.request
try:
    urllib.request.urlopen('http://192.0.2.1/')
    open('model.txt', 'w').close()
except OSError as error:
    print('could not fetch the data:', error)
"""
ARTIFACT = ('evaluate = "true"', 'artifacts = ["model.txt"]')


@needs_landlock
@pytest.mark.parametrize(
    ("bench", "settings"),
    [
        (FETCHES, ()),
        (CATCHES, ()),
        (CATCHES, ('metrics_file = "metrics.json"',)),
        (CATCHES, ARTIFACT),
        ("open('model.txt', 'w').close()", (ARTIFACT[0].replace("true", "python evaluator.py"), ARTIFACT[1])),
    ],
    ids=["fails", "goes on", "goes on, metrics file", "goes on, artifact", "evaluate goes on"],
)
def test_a_run_that_lacks_the_network_is_told_how_to_get_it(
    bench: str, settings: tuple[str, ...], tmp_path: Path
) -> None:
    _, said = one_run(tmp_path, bench, measuring(*settings), expect=1, more={"evaluator.py": CATCHES})
    assert 'the run has no network (measure.network = "loopback")' in said
    assert 'measure.network = "on"' in said


@needs_landlock
def test_an_evaluator_with_a_key_has_the_network_and_reads_what_is_hidden(tmp_path: Path) -> None:
    import socket

    held = tmp_path / "heldout.txt"
    held.write_text("4.5")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reaching = f"""
import os, pathlib, socket
try:
    socket.create_connection(("127.0.0.1", {port}), 2).close()
    reached = True
except OSError:
    reached = False
try:
    seen = pathlib.Path({str(held)!r}).read_text()
except OSError:
    seen = ""
"""
        bench = reaching + (
            "if pathlib.Path('out').exists():\n"
            "    assert reached and os.environ['SCORE_KEY'] == 'k' and pathlib.Path('out').read_text() == 'False \\n'\n"
            "    print('METRIC score=' + seen)\n"
            "else:\n"
            "    pathlib.Path('out').write_text(f'{reached} {seen}\\n')\n"
        )
        toml = measuring(
            'evaluate = "python bench.py"',
            'artifacts = ["out"]',
            'evaluate_env = ["SCORE_KEY"]',
            f'hidden = ["{held}"]',
        )
        repo, _ = one_run(tmp_path, bench, toml, SCORE_KEY="k")
    assert session(repo).history().rows[0].metric == 4.5


def test_a_fork_bomb_ends_with_its_cause(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "import os, time\nfor _ in range(60):\n    os.fork() or time.sleep(60)\ntime.sleep(60)\n"
    command = process.Command(
        argv=(sys.executable, "-c", script), cwd=tmp_path, env={}, output=log, timeout_s=30, processes=20
    )
    done = process.run(command)
    assert (done.cause, done.survivors) == ("process_limit", ())
    assert "where 20 are allowed" in done.detail


def test_a_run_that_fills_the_disk_ends_and_its_files_go(tmp_path: Path) -> None:
    bench = "import time\nopen('big', 'wb').write(b'x' * 30_000_000)\ntime.sleep(60)\n"
    with small_disk(tmp_path / "small") as trees:
        _, said = one_run(tmp_path, bench, expect=1, AUTORESEARCH_TREES=str(trees), AUTORESEARCH_MIN_FREE_MB="20")
        assert "the disk had less than 20 MB left while it ran" in said
        assert not list(trees.rglob("big"))


def test_the_kernel_takes_a_run_before_the_engine_when_memory_runs_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ours = int(Path("/proc/self/oom_score_adj").read_text())
    # The score is written when the command has begun.
    script = f"until [ $(cat /proc/$$/oom_score_adj) -gt {ours} ]; do sleep 0.02; done; echo offered"
    command = process.Command(argv=("bash", "-c", script), cwd=tmp_path, env={}, output=log, timeout_s=30)
    process.run(command)
    assert log.read_text() == "offered\n"


@attacks.needs_views
def test_commands_find_home_and_what_setup_and_build_left_there(tmp_path: Path) -> None:
    """The trees lie in HOME, as they do by default."""
    home = tmp_path / "home"
    write(home, {".cache/mine/one": "", ".config/one": ""})
    bench = BENCH + "import pathlib\nprint(sorted(path.name for path in pathlib.Path.home().rglob('*')))\n"
    toml = measuring('setup = "touch ~/of-setup ~/.cache/mine/of-setup"', 'build = "touch ~/of-build"')
    repo, _ = one_run(tmp_path, bench, toml, HOME=str(home), AUTORESEARCH_TREES=str(home / ".cache" / "trees"))
    (log,) = repo.glob(".git/autoresearch/*/runs/00001/output.log")
    found = {"mine", "one", "of-setup", "of-build"}
    assert found <= set(ast.literal_eval(log.read_text().splitlines()[-1]))
    assert all("trees" in path.parts for path in home.rglob("of-*"))


CLI = """\
for path in "$REPO/knob.py" "$REPO/.git/config" "$REPO/.git/hooks/evil" "$JOURNAL" "$TREES/scratch/home/x"; do
    (echo evil >> "$path") 2>/dev/null && echo "wrote $path"
done
echo login > "$HOME/.cli.json.new" && mv "$HOME/.cli.json.new" "$HOME/.cli.json" && echo kept
git -c user.name=a -c user.email=a@example.org commit -qam "of my own" --allow-empty && git stash list && echo committed
sed -i 's/10.0/9.0/' knob.py && echo edited
autoresearch search knob > /dev/null && autoresearch show 1 > /dev/null && echo looked
cat $(ls "$REPO"/.git/autoresearch/*/autoresearch.jsonl | head -1) > /dev/null && echo read
"""


@needs_views
@pytest.mark.parametrize("confined", [True, False])
def test_an_agents_cli_edits_its_tree_and_no_more(tmp_path: Path, confined: bool) -> None:
    home = tmp_path / "home"
    home.mkdir()
    cli = tmp_path / "cli.sh"
    cli.write_text(CLI)
    toml = measuring(*([] if confined else ['confine = "off"'])).replace(
        'kind = "replay"', f'command = "bash {cli} {{brief}}"'
    )
    repo = make_target(tmp_path / "r", toml)
    before = snapshot(repo)
    trees = tmp_path / "trees"
    journal = repo / ".git" / "autoresearch" / "s" / "autoresearch.jsonl"
    run(
        repo, "--session", "s", "--max-experiments", "2", "--agent", "command", expect=3,
        HOME=str(home), REPO=str(repo), TREES=str(trees), JOURNAL=str(journal.with_name("other")),
    )  # fmt: skip
    (log,) = repo.glob(".git/autoresearch/s/runs/*/agent.log")
    said = log.read_text().splitlines()
    assert {"kept", "committed", "edited", "read", "looked"} <= set(said)
    assert any(line.startswith("wrote") for line in said) is not confined
    assert (home / ".cli.json").read_text() == "login\n"
    assert (snapshot(repo) == before) is confined
    assert session(repo).history().rows[1].status in ("keep", "discard")
    assert git(repo, "log", "--oneline", "main").count("\n") == 1
