"""Attacks on keys by way of the record: a run prints one, and what a run prints is quoted in many places.

Journal, notebook and pushed state travel to remotes, briefs to the maker of a model, notices to a chat. The runs here
are not confined, so that they can read what they print; the record must hold none of it all the same.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from attacks import APART, Attack, make_attacked, measure_all
from engines import autoresearch
from repos import git, write

OF_VARIABLE, OF_FILE, OF_REMOTE, OF_HOME = "Variable-Key-1", "sk-Env-File-Key-2", "Remote-Key-3", "Netrc-Key-4"
KEYS = (OF_VARIABLE, OF_FILE, OF_REMOTE, OF_HOME)
READS = {
    "a variable's key": "os.environ['MY_TOKEN']",
    "a key of the user's tree": "open('@repo@/.env').read()",
    "a remote's password": "open('@repo@/.git/config').read().split('url = ')[1].split()[0]",
    "a password at home": "open('@home@/.netrc').read()",
}
LAST_WORDS = [
    Attack(f"dies with {what} as its last words", f"import os\nraise ValueError({value})",
           outcome=("crash", "nonzero_exit"))
    for what, value in READS.items()
]  # fmt: skip
FURTHER = [  # the fifth crash in a row sends a notice
    Attack("dies of a key where its words are cut", f"raise ValueError('x' * 130 + ' {OF_FILE} ' + 'y' * 145)",
           outcome=("crash", "nonzero_exit")),
    Attack("is called like a key", "x = 1", words=f"use {OF_VARIABLE}\n\nbecause of {OF_FILE}\n"),
    Attack("prints a key as a metric's name", f"print('METRIC {OF_FILE}=2')"),
    Attack("leaves a key for the agents", f"open('feedback.txt', 'w').write('it is {OF_FILE}')"),
]  # fmt: skip
ATTACKS = [*LAST_WORDS, *FURTHER]
OUTSIDE = 'confine = "off"\nenv = ["MY_TOKEN"]\nfeedback = "feedback.txt"'
NOTHING_IS_STRUCK = """
from autoresearch.engine import secrets
secrets.Secrets.scrub = lambda self, text: text
"""


def told(folder: Path, weak: str = "") -> dict[str, str]:
    """Everything that leaves a session in which all attacks were measured, by what it is."""
    home = folder / "home"
    write(home, {".netrc": f"machine example.org password {OF_HOME}\n"})
    notices = folder / "notices"
    measure = f"{APART}\n{OUTSIDE}"
    notify = f'\n[notify]\ncommand = "cat >> {notices}; echo >> {notices}"\n'
    repo = make_attacked(folder / "r", run="python train.py", measure=measure, more={"notify.toml": notify})
    (repo / "autoresearch.toml").write_text((repo / "autoresearch.toml").read_text() + notify)
    git(repo, "commit", "-qam", "notify")
    git(repo, "remote", "add", "origin", f"https://me:{OF_REMOTE}@127.0.0.1:1/x.git")
    write(repo, {".env": f"API_KEY={OF_FILE}\n"})
    attacks = [
        Attack(each.name, each.code.replace("@repo@", str(repo)).replace("@home@", str(home)),
               outcome=each.outcome, words=each.words)
        for each in ATTACKS
    ]  # fmt: skip
    seen = measure_all(folder, repo, attacks, weak, MY_TOKEN=OF_VARIABLE)
    assert {name: (one.row.status, one.row.cause) for name, one in seen.items()} == {
        attack.name: attack.outcome for attack in ATTACKS
    }
    session = next(iter(seen.values())).session
    remote = folder / "remote.git"
    git(folder, "init", "-q", "--bare", str(remote))
    world = {"HOME": str(home), "MY_TOKEN": OF_VARIABLE, "GIT_CONFIG_GLOBAL": "/dev/null"}
    autoresearch(repo, "push", str(remote), expect=0, **world)
    patch = subprocess.run(
        ["git", "--git-dir", str(remote), "log", "--all", "--format=%B", "-p", "--", "*.jsonl", "*.md"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {
        "journal": session.journal.read_text(),
        "notebook": session.notebook.read_text(),
        "live.json": (session.folder / "live.json").read_text(),
        "brief": autoresearch(repo, "brief", expect=0, **world).stdout,
        "notices": notices.read_text(),
        "pushed": patch.stdout + git(remote, "log", "--all", "--format=%B", "--grep=Autoresearch-Proposal"),
    }


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return told(tmp_path_factory.mktemp("secrets"))


@pytest.mark.parametrize("part", ["journal", "notebook", "live.json", "brief", "notices", "pushed"])
def test_no_key_leaves_with_the_record(part: str, record: dict[str, str]) -> None:
    assert [key for key in KEYS if key in record[part]] == []
    assert record[part]


def test_what_is_struck_out_is_marked(record: dict[str, str]) -> None:
    assert "ValueError: https://me:[redacted]@127.0.0.1" in record["journal"]
    assert "because of [redacted]" in record["pushed"]


def test_unstruck_they_leave_with_it(tmp_path: Path) -> None:
    record = told(tmp_path, NOTHING_IS_STRUCK)
    assert [key for key in KEYS if key not in record["journal"] or key not in record["pushed"]] == []
    assert OF_FILE in record["brief"]
    assert OF_FILE[:12] in record["notices"]
