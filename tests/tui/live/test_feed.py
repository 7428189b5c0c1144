"""What the screen learns from the files: the engine's state, new lines, changes, and journals that are not there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sessions
from textual.message import Message

from autoresearch.state.journal import records
from autoresearch.state.session import on_network
from autoresearch.tui.live.feed import Feed, Watch


class Inbox:
    """Stands where the screen does and keeps what is posted."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def post_message(self, message: Message) -> bool:
        self.messages.append(message)
        return True

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.messages if isinstance(message, kind)]


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[tuple[sessions.Writer, Feed, Inbox]]:
    writer = sessions.paused(tmp_path, experiments=12)
    inbox = Inbox()
    feed = Feed(writer.session, inbox)  # type: ignore[arg-type]
    yield writer, feed, inbox
    feed.stop()
    feed.join(10)
    assert not feed.is_alive()


def test_the_journal_is_read_once_and_then_followed(fed: tuple[sessions.Writer, Feed, Inbox]) -> None:
    writer, feed, inbox = fed
    feed.start()
    until(lambda: inbox.of(Feed.Opened))
    history = inbox.of(Feed.Opened)[0].history  # type: ignore[attr-defined]
    assert len(history.rows) == 12
    writer.experiment()
    writer.flush()
    with writer.session.journal.open("ab") as file:
        file.write(b'{"type":"note","id":"n1","te')
    until(lambda: inbox.of(Feed.Grew))
    for message in inbox.of(Feed.Grew):
        for at, line in message.lines:  # type: ignore[attr-defined]
            history.feed(at, line)
    assert len(history.rows) == 13
    assert history.problems == []
    assert history.rows[-1].number == 13
    before = len(inbox.of(Feed.Grew))
    with writer.session.journal.open("ab") as file:
        file.write(b'xt":"torn no more"}\n')
    until(lambda: len(inbox.of(Feed.Grew)) > before)
    assert b"torn no more" in inbox.of(Feed.Grew)[-1].lines[-1][1]  # type: ignore[attr-defined]


def test_a_replaced_journal_is_read_again(fed: tuple[sessions.Writer, Feed, Inbox]) -> None:
    writer, feed, inbox = fed
    feed.start()
    until(lambda: inbox.of(Feed.Opened))
    writer.session.journal.write_bytes(records.encode(records.Header(name="other")))
    until(lambda: len(inbox.of(Feed.Opened)) > 1)
    assert inbox.of(Feed.Opened)[-1].history.rows == []  # type: ignore[attr-defined]


def test_a_missing_journal_is_said_and_found_when_it_comes(fed: tuple[sessions.Writer, Feed, Inbox]) -> None:
    writer, feed, inbox = fed
    data = writer.session.journal.read_bytes()
    writer.session.journal.unlink()
    feed.start()
    until(lambda: inbox.of(Feed.Failed))
    assert "is not there" in inbox.of(Feed.Failed)[0].text  # type: ignore[attr-defined]
    assert not inbox.of(Feed.Opened)
    writer.session.journal.write_bytes(data)
    until(lambda: inbox.of(Feed.Opened))


def test_the_lock_is_seen_when_it_is_taken_and_when_it_is_left(fed: tuple[sessions.Writer, Feed, Inbox]) -> None:
    writer, feed, inbox = fed
    feed.start()

    def pid() -> int | None:
        return inbox.of(Feed.Beat)[-1].pid  # type: ignore[attr-defined, no-any-return]

    until(lambda: inbox.of(Feed.Beat))
    assert pid() is None
    with sessions.engine(writer):
        until(lambda: pid() is not None)
    until(lambda: pid() is None)


def test_the_inbox_comes_with_the_beat_and_a_request_is_gone_once_it_is_taken(
    fed: tuple[sessions.Writer, Feed, Inbox],
) -> None:
    writer, feed, inbox = fed
    feed.start()

    def asked() -> list[str]:
        return [request.kind for request in inbox.of(Feed.Beat)[-1].inbox]  # type: ignore[attr-defined]

    until(lambda: inbox.of(Feed.Beat))
    assert asked() == []
    writer.session.ask("pause", now=False)
    (writer.session.inbox / "half.json").write_text("{")
    until(lambda: asked() == ["pause"])
    for path in writer.session.inbox.iterdir():
        path.unlink()
    until(lambda: asked() == [])


@pytest.mark.parametrize("poll", [False, True], ids=["inotify", "polling"])
def test_changes_are_noticed_by_the_kernels_word_and_by_looking(tmp_path: Path, poll: bool) -> None:
    folder = tmp_path / ".git" / "autoresearch" / "nov20"  # a watch that ignores .git would see nothing
    folder.mkdir(parents=True)
    ended = threading.Event()
    watch = Watch(lambda: (folder,), ended, poll=poll)
    while watch.changed():
        pass
    timer = threading.Timer(0.3, (folder / "output.log").write_text, ["step 1\n"])
    timer.start()
    until(watch.changed)
    timer.join()
    (folder / "output.log").unlink()
    until(watch.changed)


def test_a_watched_folder_may_vanish(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    watch = Watch(lambda: (folder,), threading.Event())
    watch.changed()
    folder.rmdir()
    until(lambda: not watch.changed())


def test_network_file_systems_are_told_by_the_mount_that_holds_the_path(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(
        "overlay / overlay rw 0 0\nserver:/home /home nfs4 rw 0 0\n/dev/sda1 /home/ann/my\\040disk ext4 rw 0 0\n"
    )
    assert not on_network(Path("/srv/x"), table)
    assert on_network(Path("/home/ann/repo"), table)
    assert not on_network(Path("/home/ann/my disk/repo"), table)
    assert not on_network(Path("/homework"), table)
    assert on_network(Path("/x"), tmp_path / "no such table")
