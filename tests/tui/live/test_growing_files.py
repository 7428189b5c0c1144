"""Growing files: a log's lines by number whatever is appended how, and a progress file's newest series."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.state.text.text import safe_line
from autoresearch.tui.live.growing_files import LogFile, ProgressFile, at_second

LINE = st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc", "Cf", "Zl", "Zp")), max_size=60)


def shown(log: LogFile) -> list[str]:
    return [log.line(number) for number in range(len(log))]


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(LINE, max_size=30), cuts=st.lists(st.integers(0, 3000), max_size=6))
def test_lines_are_those_of_the_file_however_it_grew(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], cuts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log") / "output.log"
    data = "".join(f"{line}\n" for line in lines).encode()
    log = LogFile(path)
    before = 0
    for cut in [*sorted(cuts), len(data)]:
        with path.open("ab") as file:
            file.write(data[before:cut])
        before = max(before, min(cut, len(data)))
        log.advance()
        shown(log)
    assert shown(log) == [line.expandtabs(8) for line in lines]


def test_lines_across_many_blocks_are_found(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    lines = [f"{number}:" + "x" * (number % 977) for number in range(3000)]
    path.write_text("\n".join(lines))
    log = LogFile(path)
    while log.advance(budget=100_000)[1]:
        pass
    assert len(log) == 3000
    assert [log.line(number) for number in (0, 1, 700, 1500, 2998, 2999)] == [
        lines[number] for number in (0, 1, 700, 1500, 2998, 2999)
    ]


def test_a_line_longer_than_a_block_does_not_shift_the_next(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("a\n" + "b" * 200_000 + "\nc\n")
    log = LogFile(path)
    log.advance()
    assert len(log) == 3
    assert (log.line(0), log.line(1)[:3], log.line(2)) == ("a", "bbb", "c")


def test_a_progress_bar_shows_its_last_state_even_when_its_line_is_huge(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("start\n" + "".join(f"\r{number:6d}% done" for number in range(20_000)))
    log = LogFile(path)
    log.advance()
    assert log.line(1) == " 19999% done"
    with path.open("a") as file:
        file.write("\r 20000% done")
    assert log.advance() == (True, False)
    assert log.line(1) == " 20000% done"


def test_an_unfinished_line_is_shown_and_completed(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("one\ntw")
    log = LogFile(path)
    log.advance()
    assert shown(log) == ["one", "tw"]
    with path.open("a") as file:
        file.write("o\nthree\n")
    log.advance()
    assert shown(log) == ["one", "two", "three"]


def test_a_truncated_or_replaced_file_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_text("old 1\nold 2\n")
    log = LogFile(path)
    log.advance()
    shown(log)
    path.write_text("new\n")
    assert log.advance() == (True, False)
    assert shown(log) == ["new"]
    other = tmp_path / "other"
    other.write_text("replaced 1\nreplaced 2\n")
    other.replace(path)
    log.advance()
    assert shown(log) == ["replaced 1", "replaced 2"]
    path.unlink()
    assert log.advance() == (True, False)
    assert shown(log) == []


def test_a_missing_file_has_no_lines_and_appears_later(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "output.log")
    assert log.advance() == (False, False)
    assert len(log) == 0
    log.path.write_text("here\n")
    log.advance()
    assert shown(log) == ["here"]


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;aGk=\x1b\\after", "after"),
        ("a\x9b31mb\x00c\x07", "abc"),
        ("  10%\r  20%\r", "  20%"),
        ("\tindented", "        indented"),
        ("   kept spaces", "   kept spaces"),
        ("left\u202eright", "leftright"),
    ],
)
def test_nothing_from_outside_reaches_the_terminal_as_a_command(raw: str, safe: str) -> None:
    assert safe_line(raw) == safe


def progress(path: Path, *points: tuple[float, str, object]) -> None:
    with path.open("a") as file:
        for at, name, value in points:
            text = f'"{value}"' if isinstance(value, str) else value
            file.write(f'{{"t": {at}, "name": "{name}", "value": {text}}}\n')


def test_a_progress_file_gives_the_newest_runs_series(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    file = ProgressFile(path)
    assert file.advance() is False
    progress(path, (0.5, "loss", 3.0), (0.5, "lr", 0.1), (1.0, "loss", 2.5))
    assert file.advance() is True
    assert file.series == {"loss": [(0.5, 3.0), (1.0, 2.5)], "lr": [(0.5, 0.1)]}
    progress(path, (0.4, "loss", 3.1))
    file.advance()
    assert file.series["loss"] == [(0.4, 3.1)]


def test_a_progress_file_survives_torn_lines_strangers_and_values_that_are_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_text('not json\n{"t": 1}\n[1, 2]\n{"t": 1, "name": "loss", "value": null}\n{"t": 2, "name": "lo')
    file = ProgressFile(path)
    file.advance()
    assert [at for at, value in file.series["loss"] if math.isnan(value)] == [1.0]
    with path.open("a") as out:
        out.write('ss", "value": 2.0}\n')
    file.advance()
    assert file.series["loss"][-1] == (2.0, 2.0)


def test_the_value_at_a_second_is_the_last_one_before_it() -> None:
    points = [(1.0, 5.0), (2.0, math.nan), (3.0, 4.0)]
    assert at_second(points, 0.5) is None
    assert at_second(points, 1.0) == 5.0
    assert at_second(points, 2.9) == 5.0
    assert at_second(points, 60.0) == 4.0
