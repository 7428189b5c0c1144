"""Random bytes in every file that others may write: no reader crashes, and no good line is lost beside them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import told
from repos import TOML

from autoresearch.engine.measure import metrics
from autoresearch.engine.record import Notebook, Recorder
from autoresearch.state.config import config as configs
from autoresearch.state.journal import History, Journal, Reader
from autoresearch.state.session import Session

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NOISE = st.binary(max_size=80)
CONFIG = configs.loads(TOML)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return told(tmp_path_factory.mktemp("told") / "r").session


def fresh(template: Session, tmp: Path) -> Session:
    """A copy of the session's folder: its journal and inbox may be spoiled."""
    folder = tmp / template.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template.folder, folder)
    return Session(folder)


# -- the journal


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100), NOISE), max_size=6), NOISE)
def test_noise_between_the_lines_hides_no_good_line(
    template: Session, tmp_path_factory: pytest.TempPathFactory, noise: list[tuple[int, bytes]], end: bytes
) -> None:
    good = template.journal.read_bytes().splitlines(keepends=True)
    before = History().load(template.journal)
    path = tmp_path_factory.getbasetemp() / "fuzzed.jsonl"
    spoiled = list(good)
    for at, data in noise:
        spoiled.insert(at % (len(good) + 1), data.replace(b"\n", b"") + b"\n")
    path.write_bytes(b"".join(spoiled) + end.replace(b"\n", b""))
    journal = Journal(path)
    journal.close()
    lines = [line + b"\n" for _, line in Reader(path).lines()]
    assert [line for line in lines if line in good] == good
    after = History().load(path)
    assert [row.number for row in after.rows] == [row.number for row in before.rows]
    assert after.incumbent is not None
    assert before.incumbent is not None
    assert after.incumbent.sha == before.incumbent.sha
    bad = {at for at, _ in after.problems}
    assert all(spoiled[number - 1] not in good for number in bad), "a good line is never called bad"


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_line_of_any_json_under_a_known_type_breaks_no_reader(
    template: Session, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    known = [orjson.loads(line) for line in template.journal.read_bytes().splitlines()]
    line = dict(data.draw(st.sampled_from(known)))
    for key in data.draw(st.sets(st.sampled_from(sorted(set(line) - {"type"})), max_size=4)):
        line[key] = data.draw(JSON)
    path = tmp_path_factory.getbasetemp() / "typed.jsonl"
    path.write_bytes(template.journal.read_bytes() + json.dumps(line).encode() + b"\n")
    history = History().load(path)
    assert {row.number for row in history.rows} >= {1, 2, 3, 4, 5}


# -- what a run prints


@settings(max_examples=200, deadline=None)
@given(st.lists(NOISE, max_size=6), st.floats(-1e9, 1e9))
def test_noise_in_the_output_hides_no_metric(
    tmp_path_factory: pytest.TempPathFactory, noise: list[bytes], value: float
) -> None:
    log = tmp_path_factory.getbasetemp() / "noise.log"
    text = b"\n".join(noise) + f"\nMETRIC loss={value!r}\n".encode()
    log.write_bytes(text)
    reading = metrics.read_metrics(log, 0, len(text), primary="loss", others=())
    assert reading.metric == value


@settings(max_examples=100, deadline=None)
@given(NOISE | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_metrics_file_breaks_its_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "metrics.json"
    file.write_bytes(content)
    reading = metrics.read_metrics_file(file, primary="loss", others=("limit",))
    assert reading.cause is not None or reading.metric is not None


# -- the notebook


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), NOISE), max_size=4))
def test_noise_in_the_notebook_is_kept_and_loses_no_entry(
    template: Session, tmp_path_factory: pytest.TempPathFactory, noise: list[tuple[int, bytes]]
) -> None:
    session = fresh(template, tmp_path_factory.getbasetemp())
    with session.lock():
        journal = Journal(session.journal)
        recorder = Recorder(session, journal, session.history(), lambda *_: None, lambda _: None, 1)
        notebook = Notebook(recorder, CONFIG)
        notebook.write()
        written = session.notebook.read_bytes().split(b"\n")
        spoiled = list(written)
        for at, data in noise:
            spoiled.insert(at % (len(written) + 1), data.replace(b"\n", b" "))
        session.notebook.write_bytes(b"\n".join(spoiled))
        notebook.write()
        journal.close()
    history = session.history()
    assert history.problems == []
    assert {row.number for row in history.rows} == {1, 2, 3, 4, 5}
    assert all(idea.state == "open" for idea in history.ideas.values() if idea.id in ("i1", "i2"))
