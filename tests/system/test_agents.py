"""Whole runs with an agent CLI as the researcher: a real executable that reads its brief and edits the tree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from engines import check_agreement, lines, run, session
from repos import TOML, git, make_target, write

from autoresearch.engine.files import remove
from autoresearch.state.journal import records

SCRIPT = """\
import json, os, pathlib, sys
brief = pathlib.Path(sys.argv[1]).read_text()
here = pathlib.Path(__file__).parent
calls = len(list(here.glob("brief-*"))) + 1
(here / f"brief-{calls:02d}").write_text(brief)
story = json.loads((here / "story.json").read_text())
if calls > len(story):
    sys.exit("nothing left to say")
step = story[calls - 1]
for name, text in step.get("files", {}).items():
    pathlib.Path(name).write_text(text)
for name in step.get("removes", []):
    pathlib.Path(name).unlink()
print(step.get("says", "working"))
if "words" in step:
    pathlib.Path(os.environ["AUTORESEARCH_PROPOSAL"]).write_text(json.dumps(step["words"]))
"""


def knob(value: str) -> dict[str, str]:
    return {"knob.py": f"# the knob\nVALUE = {value}\n# the end\n"}


def words(description: str, **more: object) -> dict[str, object]:
    return {"description": description, "hypothesis": f"because of {description}", "category": "optimizer", **more}


@pytest.fixture
def cli(tmp_path: Path) -> Path:
    write(tmp_path / "cli", {"agent.py": SCRIPT})
    return tmp_path / "cli"


def make(tmp_path: Path, cli: Path, story: list[dict[str, object]], extra: str = "") -> Path:
    import json

    write(cli, {"story.json": json.dumps(story)})
    agent = f'kind = "command"\ncommand = "{sys.executable} {cli / "agent.py"} {{brief}}"'
    return make_target(tmp_path / "r", toml=TOML.replace('kind = "replay"', agent) + extra)


def briefs(cli: Path) -> list[str]:
    return [path.read_text() for path in sorted(cli.glob("brief-*"))]


def test_a_crash_and_a_failed_guard_are_mended_and_the_story_is_told(tmp_path: Path, cli: Path) -> None:
    story = [
        {"files": knob("9.0"), "words": words("go to nine", ideas=["try eight", "try seven"])},
        {"files": knob("1 / 0"), "words": words("divide", lesson="nine is better than ten", retry_if="never")},
        {"files": knob("8.0"), "words": words("divide, mended")},
        {"files": knob("-1.0"), "words": words("below zero")},
        {"files": knob("7.0"), "words": words("below zero, mended")},
        {"files": {"bench.py": "print('METRIC score=0')\n"}, "words": words("cheat")},
    ]
    guard = "\n[[guard]]\nrun = \"python -c 'import knob; assert knob.VALUE > 0'\"\n"
    repo = make(tmp_path, cli, story, guard)
    run(repo, "--max-experiments", "7", expect=3)
    history = check_agreement(repo)
    told = [(row.description, row.status, row.cause, row.mends) for row in history.rows[1:]]
    assert told == [
        ("go to nine", "keep", "better", None),
        ("divide", "crash", "nonzero_exit", None),
        ("divide, mended", "keep", "better", 3),
        ("below zero", "checks_failed", "guard", None),
        ("below zero, mended", "keep", "better", 5),
        ("cheat", "crash", "out_of_scope", None),
    ]
    assert "ZeroDivisionError" in briefs(cli)[2], "the mend is told the error"
    assert "AssertionError" in briefs(cli)[4], "and the guard's output"
    assert history.lessons[2] == ("nine is better than ten", "never")
    assert [idea.text for idea in history.ideas.values()] == ["try eight", "try seven"]
    assert "try eight" in briefs(cli)[1]
    folder = session(repo).run(3)
    assert (folder / "brief.md").read_text().rstrip() in briefs(cli)[1]
    assert "working" in (folder / "agent.log").read_text()
    assert git(repo, "show", f"{session(repo).branch}:knob.py").splitlines()[1] == "VALUE = 7.0"


def test_a_candidate_that_does_not_build_for_a_guard_is_debugged_with_the_builds_output(
    tmp_path: Path, cli: Path
) -> None:
    story = [{"files": knob("12.0"), "words": words("break it")}, {"files": knob("9.0"), "words": words("mended")}]
    repo = make(tmp_path, cli, story, '\n[[guard]]\nrun = "true"\nwhen = "before"\n')
    build = "if grep -q 12.0 knob.py; then echo the first error; echo the end; exit 1; fi"
    toml = (repo / "autoresearch.toml").read_text().replace("[measure]", f'[measure]\nbuild = "{build}"')
    write(repo, {"autoresearch.toml": toml.replace("[agent]", "[agent]\nrework = 0")})
    git(repo, "commit", "-qam", "it builds")
    run(repo, "--max-experiments", "3", expect=3)
    rows = check_agreement(repo).rows[1:]
    assert [(row.status, row.cause, row.mends) for row in rows] == [
        ("crash", "nonzero_exit", None),
        ("keep", "better", 2),
    ]
    assert "the first error" in briefs(cli)[1]


def test_a_candidate_whose_new_file_a_guard_would_take_is_mended_without_it(tmp_path: Path, cli: Path) -> None:
    story: list[dict[str, object]] = [
        {"files": knob("9.0") | {"quick.cfg": "exit 0\n"}, "words": words("be quick")},
        {"removes": ["quick.cfg"], "words": words("be quick, mended")},
    ]
    guard = '\n[[guard]]\nrun = "test ! -e quick.cfg || . ./quick.cfg"\nwhen = "before"\n'
    repo = make(tmp_path, cli, story, guard)
    toml = (repo / "autoresearch.toml").read_text().replace('edit = ["knob.py"]', 'edit = ["**", "!bench.py"]')
    write(repo, {"autoresearch.toml": toml})
    git(repo, "commit", "-qam", "a wide scope")
    run(repo, "--max-experiments", "3", expect=3)
    rows = check_agreement(repo).rows[1:]
    assert [(row.status, row.cause, row.mends) for row in rows] == [
        ("crash", "out_of_scope", None),
        ("keep", "better", 2),
    ]
    assert "would take new files by their names: quick.cfg" in briefs(cli)[1]


def test_a_chain_of_mends_is_bounded(tmp_path: Path, cli: Path) -> None:
    story = [{"files": knob(f"{n} / 0"), "words": words(f"try {n}")} for n in range(1, 6)]
    repo = make(tmp_path, cli, story)
    run(repo, "--max-experiments", "6", expect=3)
    assert [row.mends for row in check_agreement(repo).rows[1:]] == [None, 2, 3, None, 5]


def test_an_agent_that_only_talks_pauses_the_session(tmp_path: Path, cli: Path) -> None:
    repo = make(tmp_path, cli, [{"says": "I would rather discuss this."}] * 5)
    run(repo, expect=1)
    history = check_agreement(repo)
    assert [row.cause for row in history.rows] == ["baseline", "no_proposal", "no_proposal", "no_proposal"]
    assert "no proposal" in history.control.reason


def test_a_fresh_agent_reads_what_failed_before_and_what_people_say(tmp_path: Path, cli: Path) -> None:
    story = [{"files": knob("11.0"), "words": words("go to eleven")}, {"files": knob("9.0"), "words": words("nine")}]
    repo = make(tmp_path, cli, story)
    run(repo, "--max-experiments", "2", expect=3)
    session(repo).ask("steer", text="look below ten")
    run(repo, "--max-experiments", "1", expect=3)
    check_agreement(repo)
    assert "go to eleven" in briefs(cli)[1], "the dead end of the first call"
    assert "look below ten" in briefs(cli)[1]
    history = check_agreement(repo)
    told = history.steers[0]
    assert told.read_by == history.rows[-1].proposal
    assert told.read_ms >= told.timestamp


def test_every_kth_proposal_comes_from_the_tuner(tmp_path: Path, cli: Path) -> None:
    story = [{"files": knob(f"{9 + n / 10}"), "words": words(f"step {n}")} for n in range(4)]
    repo = make(tmp_path, cli, story)
    toml = (repo / "autoresearch.toml").read_text().replace("[agent]", "[agent]\ntuner_every = 2")
    write(repo, {"autoresearch.toml": toml})
    run(repo, "--max-experiments", "5", expect=3)
    made = [line.agent for line in lines(repo) if isinstance(line, records.Proposal)]
    assert made[:4] == ["command", "tuner", "command", "tuner"]


def test_what_an_evaluator_spends_counts_towards_the_dollars(tmp_path: Path, cli: Path) -> None:
    story = [{"files": knob("11.0"), "words": words("one")}, {"files": knob("12.0"), "words": words("two")}]
    repo = make(tmp_path, cli, story, "\n[limits]\ndollars = 3\n")
    bench = (repo / "bench.py").read_text() + 'print("METRIC cost_usd=0.5")\n'
    write(repo, {"bench.py": bench})
    git(repo, "commit", "-qam", "an evaluator that costs")
    run(repo, expect=3)
    history = check_agreement(repo)
    assert history.control.limit == "dollars"
    assert history.cost_usd == pytest.approx(3.0)


LITTERS = """
import os, pathlib
calls = pathlib.Path(__file__).with_name("calls")
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
answer = pathlib.Path(os.environ["AUTORESEARCH_PROPOSAL"])
pathlib.Path("knob.py").write_text(f"VALUE = {19 + len(calls.read_text())}.0\\n")
answer.write_text('{"description": "higher"}')
os.mkdir(".closed")
os.chmod(".closed", 0)
if len(calls.read_text()) == 1:
    os.chdir(answer.parent)
for _ in range(1200):
    os.mkdir("deep")
    os.chdir("deep")
"""


def test_folders_too_deep_for_a_path_end_no_session(tmp_path: Path, cli: Path) -> None:
    """One where the agent's words are, one in the tree."""
    repo = make(tmp_path, cli, [])
    write(cli, {"agent.py": LITTERS})
    try:
        run(repo, "--max-experiments", "3", expect=3)
        rows = session(repo).history().rows
        assert [row.status for row in rows] == ["keep", "discard", "discard"]
    finally:
        remove(tmp_path)  # which pytest could not
