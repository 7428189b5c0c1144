"""The inbox: each request becomes its line once, and no file in it stops the next."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import told

from autoresearch.engine.control import inbox
from autoresearch.state.session import Session


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return told(tmp_path_factory.mktemp("told") / "r").session


def request(kind: str, args: Any) -> bytes:
    return json.dumps({"id": "1-aaaaaaaa", "kind": kind, "args": args, "timestamp": 1}).encode()


KINDS = st.sampled_from(
    ["pause", "stop", "unpause", "idea", "veto", "note", "dead_end", "steer", "limit", "retry", "overrule", "other"]
)
NAMES = st.sampled_from("id text first list experiment retry_if name value action note reason".split())
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.just([1])
    | st.just({})
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.builds(request, KINDS, st.dictionaries(NAMES, ODD) | ODD)))
def test_no_file_in_the_inbox_stops_the_request_behind_it(
    template: Session, tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / template.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template.folder, folder)
    session = Session(folder)
    (session.inbox / "0-00000000.json").write_bytes(content)
    session.ask("steer", text="look at the schedule")
    inbox.drain(session)
    history = session.history()
    assert history.problems == [], "what was obeyed reads back"
    assert session.requests() == []
    assert b"look at the schedule" in session.journal.read_bytes()
