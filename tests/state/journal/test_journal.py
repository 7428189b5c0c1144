"""The journal's promises: whole lines, nothing eaten, nothing lost by a full disk, readers that wait."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.journal import Journal, JournalLost, Reader, records


def steer(text: str) -> records.Steer:
    return records.Steer(text=text, timestamp=1)


def texts(path: Path) -> list[str]:
    found = []
    for _, line in Reader(path).lines():
        record = records.decode(line)
        assert isinstance(record, records.Steer)
        found.append(record.text)
    return found


def test_appended_lines_are_there_for_a_reader_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    reader = Reader(tmp_path / "j")
    offsets = [at for at, _ in journal.append(steer("a"), steer("b"))]
    assert [at for at, _ in reader.lines()] == offsets
    assert list(reader.lines()) == []
    journal.append(steer("c"))
    assert [records.decode(line) for _, line in reader.lines()] == [steer("c")]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=5), st.binary(min_size=1, max_size=40))
def test_a_torn_last_line_is_set_aside_and_eats_nothing(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], torn: bytes
) -> None:
    torn = torn.replace(b"\n", b"x")
    path = tmp_path_factory.mktemp("t") / "j"
    journal = Journal(path)
    journal.append(*map(steer, before)) if before else None
    journal.close()
    with path.open("ab") as file:
        file.write(torn)
    reader = Reader(path)
    assert len(list(reader.lines())) == len(before), "a reader waits for the newline"
    again = Journal(path)
    assert again.torn == torn
    assert path.with_name("j.torn").read_bytes() == torn + b"\n"
    again.append(steer("next"))
    assert texts(path) == [*before, "next"]
    assert len(list(reader.lines())) == 1


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """RLIMIT_FSIZE gives what a full disk gives: a short write, then an error."""
    import resource
    import signal

    path = tmp_path / "j"
    journal = Journal(path)
    journal.append(steer("first"))
    size = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        with pytest.raises(JournalLost, match="could not be written"):
            journal.append(steer("x" * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert path.stat().st_size == size
    journal.append(steer("second"))
    assert texts(path) == ["first", "second"]


def test_the_journal_is_the_owners_alone(tmp_path: Path) -> None:
    Journal(tmp_path / "j").close()
    assert (tmp_path / "j").stat().st_mode & 0o077 == 0
