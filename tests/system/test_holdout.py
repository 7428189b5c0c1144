"""The held-out command: measured at the end or after keeps, once, whatever is killed, and never shown to an agent."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from engines import autoresearch, check_agreement, lines, refs, run, session, start, until
from repos import TOML, git, make_repo, patch, write

from autoresearch.state.journal import records

BENCH = 'from knob import VALUE\nprint(f"METRIC score={VALUE}")\n'
KNOB = "# the knob\nVALUE = 10.0\n# the end\n"
HELD = """\
import pathlib
from knob import VALUE
print("secret words of the holdout")
print(f"METRIC score={20 + VALUE / 10 if VALUE < 9 else 10 + VALUE}")
"""
HOLDOUT = '\n[holdout]\nrun = "python held.py --secret-split"\nwhen = "{when}"\n\n[limits]\nexperiments = 9\n'


def target(folder: Path, when: str = "end", toml: str = TOML, **files: str) -> Path:
    made = {"bench.py": BENCH, "held.py": HELD, "knob.py": KNOB, **files}
    return make_repo(folder / "r", {"autoresearch.toml": toml + HOLDOUT.format(when=when), **made})


def two_keeps(folder: Path) -> str:
    first = patch("nine", "VALUE = 10.0", "VALUE = 9.0")
    second = patch("eight", "VALUE = 9.0", "VALUE = 8.0")
    write(folder / "patches", {"1.patch": first, "2.patch": second})
    return str(folder / "patches")


def held(repo: Path) -> list[records.Sample]:
    return [line for line in lines(repo) if isinstance(line, records.Sample) and line.arm == "holdout"]


def said(repo: Path, *args: str, **env: str) -> str:
    done = autoresearch(repo, *args, **env)
    return done.stdout + done.stderr


def test_at_the_end_the_baseline_and_the_best_are_measured_and_a_growing_gap_is_said(tmp_path: Path) -> None:
    repo = target(tmp_path)
    run(repo, "--replay", two_keeps(tmp_path), expect=0)
    history = check_agreement(repo)
    assert [(sample.experiment, sample.metric) for sample in held(repo)] == [(1, 20.0), (3, 20.8)]
    assert isinstance(lines(repo)[-1], records.Pause), "before the session's last word"
    assert [(one.experiment, one.value, one.metric) for one in history.holdout] == [(1, 20.0, 10.0), (3, 20.8, 8.0)]
    gap = history.gap
    assert gap is not None
    assert gap.grows
    assert gap.text == (
        "The gap to the holdout grows: since the baseline #3 is better by 2 on score, and worse by 0.8 on the holdout."
    )
    for args in (("status",), ("summary",), ("show", "3", "--holdout")):
        assert gap.text in said(repo, *args), args
    assert orjson.loads(said(repo, "show", "3", "--holdout", "--json"))["samples"][-1]["metric"] == 20.8
    assert "holdout" not in said(repo, "show", "3", "--json")
    again = len(held(repo))
    run(repo, expect=0)
    assert len(held(repo)) == again, "what has a value is not measured again"


def test_after_keeps_each_is_measured_before_the_next_proposal(tmp_path: Path) -> None:
    repo = target(tmp_path, "keeps")
    run(repo, "--replay", two_keeps(tmp_path), expect=0)
    check_agreement(repo)
    kinds = [
        ("holdout", line.experiment)
        if isinstance(line, records.Sample)
        else ("experiment", line.run)
        if isinstance(line, records.Experiment)
        else ()
        for line in lines(repo)
        if isinstance(line, records.Experiment) or (isinstance(line, records.Sample) and line.arm == "holdout")
    ]
    assert kinds == [(kind, number) for number in (1, 2, 3) for kind in ("experiment", "holdout")]


def test_a_kill_while_it_is_measured_costs_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    repo = target(tmp_path)
    patches = two_keeps(tmp_path)
    for place in ("after:holdout", "after:holdout"):
        assert run(repo, "--replay", patches, fault=place).returncode == -9
    assert [sample.experiment for sample in held(repo)] == [], "killed before its line"
    assert run(repo, "--replay", patches, fault="after:holdout#2").returncode == -9
    assert [sample.experiment for sample in held(repo)] == [1]
    run(repo, "--replay", patches, expect=0)
    check_agreement(repo)
    assert [sample.experiment for sample in held(repo)] == [1, 3]


def test_a_person_who_stops_the_session_does_not_wait_for_it(tmp_path: Path) -> None:
    hang = "import time\nprint('METRIC score=1', flush=True)\ntime.sleep(600)\n"
    repo = target(tmp_path, **{"held.py": hang})
    engine = start(repo, "--replay", two_keeps(tmp_path))
    try:
        until(lambda: (session_log(repo, 1)).exists(), "the holdout runs")
        said(repo, "stop")
        assert engine.wait(60) == 0
    finally:
        engine.kill()
        engine.communicate()
    check_agreement(repo)
    assert held(repo) == []
    assert isinstance(lines(repo)[-1], records.Stop)


def session_log(repo: Path, number: int) -> Path:
    try:
        return session(repo).folder / "holdout" / f"{number:05d}" / "output.log"
    except Exception:
        return repo / "none"


def test_one_that_fails_is_tried_twice_and_said_without_its_words(tmp_path: Path) -> None:
    repo = target(tmp_path, **{"held.py": "raise SystemExit('the secret split is broken')\n"})
    run(repo, "--replay", two_keeps(tmp_path), expect=0)
    history = check_agreement(repo)
    assert [(sample.experiment, sample.cause) for sample in held(repo)] == [(1, "nonzero_exit")] * 2 + [
        (3, "nonzero_exit")
    ] * 2
    assert history.holdout == []
    told = [notice.text for notice in history.notices if notice.code == "holdout"]
    assert len(told) == 2
    assert not any("secret" in text for text in told)
    assert [row.status for row in history.rows] == ["keep"] * 3, "it harms nothing else"


def test_with_evaluate_it_gets_the_artifacts_in_the_pristine_tree(tmp_path: Path) -> None:
    bench = "import pathlib\nfrom knob import VALUE\npathlib.Path('out').write_text(str(VALUE))\n"
    read = "import pathlib\nprint('METRIC score=' + pathlib.Path('out').read_text())\n"
    secret = "import pathlib\nprint('METRIC score=' + str(1 + float(pathlib.Path('out').read_text())))\n"
    toml = TOML.replace("budget_s", 'evaluate = "python read.py"\nartifacts = ["out"]\nkeep = ["out"]\nbudget_s')
    repo = target(tmp_path, toml=toml, **{"bench.py": bench, "read.py": read, "held.py": secret})
    run(repo, "--replay", two_keeps(tmp_path), expect=0)
    history = check_agreement(repo)
    assert [(sample.experiment, sample.metric) for sample in held(repo)] == [(1, 11.0), (3, 9.0)]
    assert history.gap is not None
    assert not history.gap.grows


AGENT = """\
import json, os, pathlib, subprocess, sys
seen = pathlib.Path(sys.argv[1])
shown = {p.as_posix(): p.read_text(errors="replace") for p in pathlib.Path(".").rglob("*") if p.is_file()}
shown = {name: text for name, text in shown.items() if "held.py" not in name and ".git" not in name}
shown["brief"] = pathlib.Path(sys.argv[2]).read_text() if pathlib.Path(sys.argv[2]).is_file() else sys.argv[2]
for args in (["status"], ["summary"], ["summary", "--json"], ["status", "--json"], ["show", "1"], ["log"],
             ["show", "1", "--holdout"], ["search", "knob"], ["show", "1", "--json"], ["log", "--json"],
             ["log", "--recompute"], ["export", "--jsonl"], ["export", "--tsv"], ["review", "--json"]):
    done = subprocess.run([sys.executable, "-P", "-m", "autoresearch", *args, "-C", sys.argv[3]], capture_output=True,
                          text=True)
    shown[" ".join(args)] = done.stdout + done.stderr
seen.mkdir(exist_ok=True)
(seen / f"{len(list(seen.iterdir()))}.json").write_text(json.dumps(shown))
knob = pathlib.Path("knob.py")
knob.write_text(knob.read_text().replace("10.0", "9.0"))
pathlib.Path(os.environ["AUTORESEARCH_PROPOSAL"]).write_text(json.dumps({"description": "nine"}))
"""


def test_an_agent_is_never_shown_anything_of_it(tmp_path: Path) -> None:
    import shlex
    import sys

    write(tmp_path, {"agent.py": AGENT})
    seen = tmp_path / "seen"
    repo = tmp_path / "r"
    words = [sys.executable, str(tmp_path / "agent.py"), str(seen), "{brief}", str(repo)]
    line = shlex.join(words).replace("'{brief}'", "{brief}")
    toml = TOML.replace('kind = "replay"', f"kind = \"command\"\ncommand = '''{line}'''")
    target(tmp_path, "keeps", toml)
    run(repo, "--agent", "command", "--max-experiments", "3", expect=3)
    history = session(repo).history()
    assert [one.experiment for one in history.holdout][:2] == [1, 2]
    told = [orjson.loads(file.read_bytes()) for file in sorted(seen.iterdir())]
    assert len(told) >= 2
    for shown in told:
        assert "autoresearch.toml" in shown
        refused = shown.pop("show 1 --holdout")
        assert "for people" in refused
        for name, text in shown.items():
            for secret in ("secret", "held.py", "20.0", "gap to the holdout", '"holdout":[{'):
                assert secret not in text, (name, secret)
    assert all(not line.dropped for line in lines(repo) if isinstance(line, records.Proposal)), "no edit of the agent's"
    assert "secret-split" in git(repo, "show", f"{refs(repo)['2']}:autoresearch.toml"), "the commit has the whole file"


@pytest.mark.parametrize(
    "text",
    [
        '[holdout]\nrun = "x"\n# why\n[limits]\nhours = 1\n',
        'holdout = { run = "x" }\n',
        'holdout.run = "x"\nname = "a"\n',
    ],
)
def test_however_the_table_is_written_it_is_taken_out(text: str) -> None:
    from autoresearch.state.config import config

    assert b"holdout" not in config.without_holdout(text.encode())
    assert b'"x"' not in config.without_holdout(text.encode())
    assert config.without_holdout(b"\xff[not toml") == b""
