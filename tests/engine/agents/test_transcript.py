"""What is written of an agent session while it goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson

from autoresearch.engine.agents.transcript import Transcript


def hide(text: str) -> str:
    return text.replace("sesame", "[hidden]")


def events(folder: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (folder / "agent.jsonl").read_bytes().splitlines()]


def test_words_are_written_by_lines_or_in_long_pieces_and_none_is_lost(tmp_path: Path) -> None:
    with Transcript(tmp_path, hide) as transcript:
        transcript.words("thinking", "First")
        assert not events(tmp_path), "half a line waits"
        transcript.words("thinking", " this.\nThen")
        assert [event["text"] for event in events(tmp_path)] == ["First this.\n"]
        transcript.words("text", "x" * 400)
        assert [event["text"] for event in events(tmp_path)][1:] == ["Then", "x" * 400]
        transcript.words("text", "the rest")
    assert [event["type"] for event in events(tmp_path)] == ["thinking", "thinking", "text", "text"]
    assert (tmp_path / "agent.log").read_text().startswith("  . First this.\n  . Then\n  xxx")
    assert (tmp_path / "agent.log").read_text().endswith("the rest\n")


def test_an_event_follows_the_words_before_it_and_its_texts_are_cut(tmp_path: Path) -> None:
    with Transcript(tmp_path, hide) as transcript:
        transcript.words("text", "I read")
        transcript.event("tool", name="read", input={"path": "y" * 4001}, error=False)
    said, tool = events(tmp_path)
    assert said["text"] == "I read"
    assert (tool["type"], tool["name"], tool["error"]) == ("tool", "read", False)
    assert tool["input"]["path"] == "y" * 4000 + "… [1 characters more]"


def test_everything_is_scrubbed_and_the_log_is_clean(tmp_path: Path) -> None:
    with Transcript(tmp_path, hide) as transcript:
        transcript.words("text", "the key is sesame\x1b[31m\n")
        transcript.event("tool", input={"key": "sesame"})
        transcript.line("sesame\nin one line")
    written = (tmp_path / "agent.jsonl").read_text() + (tmp_path / "agent.log").read_text()
    assert "sesame" not in written
    assert written.count("[hidden]") == 4
    assert "\x1b" not in (tmp_path / "agent.log").read_text()
    assert re.search(r"^\[\d\d:\d\d:\d\d\] \[hidden\].*in one line$", written, re.MULTILINE)


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "none"):
        with Transcript(folder, hide) as transcript:
            transcript.words("text", "hello\n")
            transcript.event("tool")
            transcript.line("hello")
    assert list(tmp_path.iterdir()) == []
