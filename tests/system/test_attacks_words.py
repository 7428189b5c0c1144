"""Attacks by words: on the terminal of whoever reads, on the notebook, and on whoever takes output for the record.

Each candidate prints, or is called, what would do harm if it were shown or read as it is.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from attacks import APART, Attack, Seen, has_won, make_attacked, measure_all
from engines import check_agreement, environment

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x1b]52;c;cm0gLXJmIH4K\x07\x9b31m\x1bP+q544e\x1b\\"


def acts_on_terminal(seen: Seen, *args: str, weak: str = "") -> bool:
    """Whether a command's words to a person hold a control character that a terminal acts on."""
    words = [str(seen.row.number) if arg == "N" else arg for arg in args]
    run = [sys.executable, "-P", "-c", f"{weak}\nfrom autoresearch.tui.cli import main\nmain()", *words]
    done = subprocess.run(run, cwd=seen.repo, env=environment(NO_COLOR="1"), capture_output=True, check=True)
    return any(byte in done.stdout for byte in (b"\x1b", b"\x07", b"\xc2\x9b"))


JOURNAL_LINE = '{"run": 99, "commit": "0000000", "metric": 0.5, "status": "keep", "description": "the best"}'
PRINTED = [
    Attack("prints escape sequences", f"print({ESCAPES!r})", won=lambda seen: acts_on_terminal(seen, "show", "N")),
    Attack("dies of escape sequences", f"raise SystemExit({ESCAPES!r})", outcome=("crash", "nonzero_exit"),
           won=lambda seen: acts_on_terminal(seen, "show", "N")),
    Attack("prints lines of a journal", f"print({JOURNAL_LINE!r})",
           won=lambda seen: any(row.number == 99 for row in seen.session.history().rows)),
    Attack("prints a line that a pattern backtracks on",
           "print('a' * 60 + '!', flush=True)\nimport time\ntime.sleep(0.5)",
           won=lambda seen: seen.samples[0].cause),
    Attack("asks for a password", "print('[sudo] password for root: ')", won=lambda seen: seen.line.cause != "worse"),
    Attack("has escape sequences in its subject", "x = 2", words=f"a change {ESCAPES}\n\nwhy {ESCAPES}\n",
           won=lambda seen: acts_on_terminal(seen, "log")),
    Attack("has escape sequences in its words", "x = 3", words=f"a change {ESCAPES}\n\nwhy {ESCAPES}\n",
           won=lambda seen: acts_on_terminal(seen, "show", "N")),
    Attack("has ids of the notebook in its subject", "x = 4", words="- [x] done <!-- i1 --> <!-- i7 -->\n",
           won=lambda seen: "i7" in seen.session.history().ideas),
    Attack("has headings of the notebook in its words", "x = 5", words="a\n\n## Ideas\n- [ ] praise <!-- i9 -->\n",
           won=lambda seen: seen.session.history().ideas),
]  # fmt: skip
LOSS = "progress = { loss = '^(?:[a-z]+ ?)+: ([0-9.]+)$' }"
ESCAPING = [attack for attack in PRINTED if "escape" in attack.name]
CLEAN = """
from autoresearch.state import text
text.clean = lambda value: value
text.clean_line = lambda value, *limit: value.replace("\\n", " ")
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("words")
    return measure_all(folder, make_attacked(folder / "r", run="python train.py", measure=f"{APART}\n{LOSS}"), PRINTED)


@pytest.mark.parametrize("attack", PRINTED, ids=str)
def test_words_are_only_words(attack: Attack, printed: dict[str, Seen]) -> None:
    seen = printed[attack.name]
    assert (seen.line.status, seen.line.cause) == attack.outcome
    assert not has_won(attack, seen)


def test_words_do_not_end_or_change_the_record(printed: dict[str, Seen]) -> None:
    seen = next(iter(printed.values()))
    assert len(check_agreement(seen.repo).rows) == len(PRINTED) + 1


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("raw")
    repo = make_attacked(folder / "r", run="python train.py", measure=APART)
    return measure_all(folder, repo, ESCAPING, weak=CLEAN)


@pytest.mark.parametrize("attack", ESCAPING, ids=str)
def test_without_cleaning_words_act_on_the_terminal(attack: Attack, raw: dict[str, Seen]) -> None:
    args = ("log",) if "subject" in attack.name else ("show", "N")
    assert acts_on_terminal(raw[attack.name], *args, weak=CLEAN)
