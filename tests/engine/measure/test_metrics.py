from __future__ import annotations

import math
import os
import re
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoresearch.engine.measure import metrics, tail
from autoresearch.engine.measure.metrics import Reading, read_metrics, read_metrics_file


def read(tmp_path: Path, content: str | bytes, *, primary: str = "loss", others: tuple[str, ...] = ()) -> Reading:
    log = tmp_path / "log"
    log.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_metrics(log, 0, log.stat().st_size, primary=primary, others=others)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("METRIC loss=1", 1.0),
        ("METRIC loss=1.5e3", 1500.0),
        ("METRIC loss=.5", 0.5),
        ("METRIC loss=5.", 5.0),
        ("METRIC loss=+3", 3.0),
        ("METRIC loss=-3", -3.0),
        ("METRIC loss=0", 0.0),
        ("METRIC loss=-0.0", 0.0),
        ("METRIC loss=1E-05", 1e-5),
        ("METRIC \t loss = 2 ", 2.0),
        ("  METRIC loss=2", 2.0),
        ("METRIC loss=2\r", 2.0),
        ("loss: 2.25", 2.25),
        ("loss:          0.997900", 0.9979),
        ("loss : 4", 4.0),
        ("\x1b[32mMETRIC loss=7\x1b[0m", 7.0),
        ("\x1b[1mloss\x1b[0m: \x1b[36m8\x1b[0m", 8.0),
        ("10%|#  |\r100%|###|\rMETRIC loss=9", 9.0),
        ("\r99%\rloss: 9", 9.0),
    ],
)
def test_a_number_is_read(tmp_path: Path, line: str, value: float) -> None:
    assert read(tmp_path, f"noise\n{line}\nnoise\n") == Reading(value)
    assert read(tmp_path, line).metric == value


@pytest.mark.parametrize(
    "line",
    [
        *(
            "METRIC loss=0x10",
            "METRIC loss=1_000",
            "METRIC loss=12ms",
            "METRIC loss=1,000",
            "METRIC loss=",
            "METRIC loss",
        ),
        *("METRIC loss=١", "METRIC loss=1 # note", "METRIC loss=e5", "METRIC loss=.", "METRIC loss=--1"),
        *("loss: 12ms", "loss 12", "the loss: 1", "loss: 1 (best)", "METRICloss=1", "metric loss=1", "xMETRIC loss=1"),
        *("METRIC train_loss=1", "loss=1", ""),
    ],
)
def test_what_is_no_number_is_no_value(tmp_path: Path, line: str) -> None:
    reading = read(tmp_path, f"noise\n{line}\n")
    assert (reading.metric, reading.cause) == (None, "no_metric")
    assert "loss" in reading.detail


@pytest.mark.parametrize(
    "value", ["nan", "NaN", "-nan", "nan(ind)", "-nan(ind)", "inf", "-Inf", "INFINITY", "1.#QNAN", "-1.#IND00", "1e999"]
)
@pytest.mark.parametrize("form", ["METRIC loss={}", "loss: {}"])
def test_a_last_value_that_is_not_finite_is_a_crash(tmp_path: Path, form: str, value: str) -> None:
    reading = read(tmp_path, f"METRIC loss=1\n{form.format(value)}\n")
    assert (reading.metric, reading.cause) == (None, "not_finite")


def test_the_last_line_that_names_the_primary_decides(tmp_path: Path) -> None:
    assert read(tmp_path, "METRIC loss=nan\nMETRIC loss=3\nloss: 2\nother: 1\n").metric == 2
    assert read(tmp_path, "METRIC loss=2\nloss: see above\n").metric == 2
    spoiled = read(tmp_path, "METRIC loss=2\nMETRIC loss=12ms\n")
    assert spoiled.cause == "no_metric"
    assert "12ms" in spoiled.detail


def test_other_metrics_are_reported_and_unknown_colon_lines_are_not(tmp_path: Path) -> None:
    log = (
        "METRIC a/b.c=1\n"
        "peak_vram_mb: 45060.2\nmfu_percent: 39.8\nepoch: 3\nlimit: 5\n"
        "METRIC bad=x\nMETRIC nan=nan\nloss: 1"
    )
    reading = read(tmp_path, log, others=("limit",))
    assert reading == Reading(1.0, {"a/b.c": 1.0, "peak_vram_mb": 45060.2, "mfu_percent": 39.8, "limit": 5.0})


@pytest.mark.parametrize(("written", "cause"), [("", "no_metric"), ("METRIC limit=inf\n", "not_finite")])
def test_a_constraint_metric_must_be_there(tmp_path: Path, written: str, cause: str) -> None:
    reading = read(tmp_path, f"METRIC loss=1\n{written}", others=("limit",))
    assert (reading.metric, reading.cause) == (None, cause)
    assert "limit" in reading.detail


def test_only_the_region_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("METRIC loss=1\nMETRIC loss=2\nMETRIC loss=3\n")
    assert read_metrics(log, 14, 28, primary="loss").metric == 2


def test_invalid_utf8_hides_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xff\xfe\xc3\nMETRIC loss=4\n\xff").metric == 4


def test_names_beyond_ascii_are_names(tmp_path: Path) -> None:
    assert read(tmp_path, "METRIC größe=4\n", primary="größe").metric == 4
    assert read(tmp_path, "größe: 5\n", primary="größe").metric == 5


def test_huge_logs_and_lines_need_little_memory(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.write(b"METRIC loss=1\n")
        for _ in range(100):
            file.write(b"x" * (1 << 20))  # one line of 100 MB
        file.write(b" METRIC loss=2\nMETRIC loss=3\n")
        for _ in range(100):
            file.write(b"step 12 of 40000\n" * 60_000)
        file.write(b"x" * 5000 + b"\rMETRIC more=4")
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reading = read_metrics(log, 0, log.stat().st_size, primary="loss")
    shown = tail(log, 0, log.stat().st_size, lines=3, chars=100)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 20 << 10
    assert reading == Reading(3.0, {"more": 4.0})
    assert shown.endswith("METRIC more=4")


def reference(
    content: bytes, primary: str, others: tuple[str, ...]
) -> tuple[float | None, dict[str, float], str | None]:
    """The rules again, slowly: everything in memory, line by line."""
    number = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
    last: dict[str, float | None] = {}
    for raw in re.split(rb"[\r\n]", content):
        if len(raw) > metrics.LINE_BYTES:
            continue
        words = raw.decode("latin-1").strip(" \t\f\v")
        head, _, value = words.partition("=") if words.startswith("METRIC") else words.partition(":")
        value, name = value.strip(" \t"), head.rstrip(" \t")
        if words.startswith(("METRIC ", "METRIC\t")) and "=" in words:
            name = name[6:].strip(" \t")
            if not name or re.search(r"\s", name):
                continue
            if number.fullmatch(value):
                last[name] = float(value)
            else:
                last[name] = math.nan if value.lower() in ("nan", "inf", "-inf") else None
        elif name in (primary, *others, *metrics.SUMMARY_NAMES):
            if number.fullmatch(value):
                last[name] = float(value)
            elif value.lower() in ("nan", "inf", "-inf"):
                last[name] = math.nan
    finite = {name: value for name, value in last.items() if value is not None and abs(value) <= 1e150}
    rest = {name: value for name, value in finite.items() if name != primary}
    for name in (primary, *others):
        if name not in finite:
            return None, rest, "not_finite" if last.get(name) is not None else "no_metric"
    return finite[primary], rest, None


NAMES = st.sampled_from(["loss", "limit", "a", "val_bpb", "los", "METRIC"])
VALUES = st.one_of(
    st.floats().map(str),
    st.integers(-3, 3).map(str),
    st.sampled_from(["nan", "-inf", "1e999", "12ms", "", ".5", "5.", "+1", "0x1", "1_0"]),
)
LINES = st.one_of(
    st.builds("METRIC {}={}".format, NAMES, VALUES),
    st.builds(" METRIC\t{} = {} ".format, NAMES, VALUES),
    st.builds("{}: {}".format, NAMES, VALUES),
    st.sampled_from(
        ["", "METRIC", "METRIC loss", "x" * 5000, "METRIC loss=1" + " " * 4083, "METRIC loss=1" + " " * 4084]
    ),
    st.text(alphabet="METRIC loss=:.1e\t", max_size=12),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))), st.integers(1, 60), st.booleans())
def test_chunks_and_needles_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]], chunk: int, ended: bool
) -> None:
    content = "".join(line + end for line, end in lines).encode()
    content = content if ended else content.rstrip(b"\r\n")
    log = tmp_path_factory.getbasetemp() / "hypothesis.log"
    log.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_CHUNK", chunk)
        reading = read_metrics(log, 0, len(content), primary="loss", others=("limit",))
    assert (reading.metric, reading.metrics, reading.cause) == reference(content, "loss", ("limit",))


# -- the JSON file


def test_a_metrics_file_gives_numbers(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text('{"loss": -1, "limit": 2.5, "ok": true, "name": "x", "deep": {"a": 1}, "none": null}')
    assert read_metrics_file(file, primary="loss", others=("limit",)) == Reading(-1.0, {"limit": 2.5})


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "no_metric"),
        ("", "no_metric"),
        ("{", "no_metric"),
        ("[1]", "no_metric"),
        ('{"other": 1}', "no_metric"),
        ('{"loss": true}', "no_metric"),
        ('{"loss": "0.5"}', "no_metric"),
        ('{"loss": null}', "no_metric"),
        ('{"loss": NaN}', "not_finite"),
        ('{"loss": -Infinity, "note": "NaN \\" NaN"}', "not_finite"),
        ('{"loss": "inf"}', "not_finite"),
        ('{"loss": 1, "pad": "' + "x" * (1 << 20) + '"}', "no_metric"),
    ],
)
def test_a_metrics_file_without_the_value_says_why(tmp_path: Path, content: str | None, cause: str) -> None:
    file = tmp_path / "m.json"
    if content is not None:
        file.write_text(content)
    reading = read_metrics_file(file, primary="loss")
    assert (reading.metric, reading.cause) == (None, cause)
    assert "m.json" in reading.detail or cause == "not_finite" or "loss" in reading.detail


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_metrics_file_that_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "m.json"
    (tmp_path / "real.json").write_text('{"loss": 1}')
    {"link": lambda: file.symlink_to("real.json"), "pipe": lambda: os.mkfifo(file), "folder": file.mkdir}[kind]()
    assert read_metrics_file(file, primary="loss").cause == "no_metric"


# -- the tail


def test_a_tail_is_short_and_clean(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"zero\none\n10%\r\x1b[31mtwo\x1b[0m\n\x1b]0;t\x07three\xff\n\n")
    size = log.stat().st_size
    assert tail(log, 0, size, lines=2) == "two\nthree�"
    assert tail(log, 0, size, lines=9, chars=7) == "\nthree�"
    assert tail(log, 0, 5, lines=9) == "zero"
    assert tail(tmp_path / "missing", 0, 5) == ""
