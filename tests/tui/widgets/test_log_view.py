"""Words in a log: found in either direction, in files of any size, in what is shown and not in what was overwritten."""

from __future__ import annotations

from pathlib import Path

import sessions
from hypothesis import given, settings
from hypothesis import strategies as st
from viewing import text, until, watching

from autoresearch.tui.live.growing_files import LogFile
from autoresearch.tui.widgets.log_view import LogView


def log_of(path: Path, data: bytes) -> LogFile:
    path.write_bytes(data)
    file = LogFile(path)
    while file.advance()[1]:
        pass
    return file


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["", "a", "needle", "x" * 9000, "nee", "a needle b", "NEEDLE"]), max_size=40), st.data()
)
def test_search_finds_what_looking_at_every_line_finds(lines: list[str], data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = log_of(Path(folder) / "log", "".join(f"{line}\n" for line in lines).encode())
        start = data.draw(st.integers(0, max(0, len(lines) - 1)))
        for words in ("needle", "NEEDLE"):
            holds = [words in (line.lower() if words.islower() else line) for line in lines]
            later = [at for at in range(start, len(lines)) if holds[at]]
            earlier = [at for at in range(start + 1) if at < len(lines) and holds[at]]
            assert file.search(words, start, True) == (later[0] if later else None)
            assert file.search(words, start, False) == (earlier[-1] if earlier else None)


def test_words_across_the_border_of_two_blocks_are_found(tmp_path: Path) -> None:
    for shift in range(-8, 3):
        data = b"x" * (16384 + shift) + b"needle\nend\n"
        assert log_of(tmp_path / "log", data).search("needle", 0, True) is None, "only what is decoded is shown"
        data = b"\n" * (16384 + shift) + b"needle\nend\n"
        assert log_of(tmp_path / "log", data).search("needle", 0, True) == 16384 + shift


def test_what_a_carriage_return_overwrote_is_not_found(tmp_path: Path) -> None:
    file = log_of(tmp_path / "log", b"10% loss 5\r20% done\nloss 4\n")
    assert file.search("loss", 0, True) == 1


def test_a_search_can_be_given_up_and_a_missing_file_has_nothing(tmp_path: Path) -> None:
    file = log_of(tmp_path / "log", b"loss\n" * 100)
    assert file.search("loss", 0, True, lambda: True) is None
    assert LogFile(tmp_path / "none").search("loss", 0, True) is None


async def test_words_are_lit_up_and_gone_to(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    output = writer.session.run(writer.number) / "output.log"
    lines = [f"step {n}" + (" Diverged" if n in (100, 900) else "") for n in range(1000)]
    output.write_text("\n".join(lines) + "\n")
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            log = app.dashboard.query_one("#log", LogView)
            await until(pilot, lambda: "step 999" in text(pilot))
            await pilot.press("2", "slash", *"diverged", "enter")
            await until(pilot, lambda: ">step 900 Diverged" in text(pilot))
            assert "diverged: line 901" in text(pilot)
            assert not log.following
            await pilot.press("N")
            await until(pilot, lambda: ">step 100 Diverged" in text(pilot))
            await pilot.press("N")
            await until(pilot, lambda: "line 901, from the other end" in text(pilot))
            await pilot.press("n")
            await until(pilot, lambda: "line 101, from the other end" in text(pilot))
            await pilot.press("slash", *["backspace"] * 8, *"nowhere", "enter")
            await until(pilot, lambda: "no nowhere" in text(pilot))
            await pilot.press("escape")
            assert log.wanted == ""
            assert not log.check_action("find", (True,))
            await pilot.press("f")
            await until(pilot, lambda: "step 999" in text(pilot))


async def test_long_lines_are_read_to_their_end(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    output = writer.session.run(writer.number) / "output.log"
    output.write_text("start " + "x" * 150 + " the end\n宽" * 3 + "\n")
    with sessions.engine(writer):
        async with watching(writer) as (_, pilot):
            await until(pilot, lambda: "start xxx" in text(pilot))
            await pilot.press("2", "l", "l")
            await until(pilot, lambda: "the end" in text(pilot))
            await pilot.press("h", "h", "h")
            await until(pilot, lambda: "start xxx" in text(pilot))
