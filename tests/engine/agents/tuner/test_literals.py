from __future__ import annotations

import ast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from knobs import FLOATS, INTS, TEXTS, named, one

from autoresearch.engine.agents.tuner import literals
from autoresearch.engine.agents.tuner.literals import Knob, Unreadable, find, replace


@pytest.mark.parametrize(
    ("source", "kind", "value"),
    [
        ("LR = 3e-4", "float", 3e-4),
        ("LR: float = 1_000.5", "float", 1000.5),
        ("N = 1_000", "int", 1000),
        ("N = 0x10", "int", 16),
        ("N = -3", "int", -3),
        ("N = 2**14", "int", 16384),
        ("N = 64 * 1024", "int", 65536),
        ("N = (1 +\n  2)", "int", 3),
        ("N = 1 << 4", "int", 16),
        ("X = 1 / 3", "float", 1 / 3),
        ("FLAG = False", "bool", False),
        ("BETAS = (0.9, 0.95)", "tuple", (0.9, 0.95)),
        ("BETAS = 0.9, -2,", "tuple", (0.9, -2)),
        ("OPT = 'adam'  # one of: adam, muon, sgd", "choice", "adam"),
        ('OPT = "adam"  # which; one of: "adam", "muon"; slow', "choice", "adam"),
        ("N = 4  # one of: 4, 8", "choice", 4),
        ("SEED_LR = 1\nLR = 2", "int", 2),
        ("VOCAB = 512  # range: 256 .. 1024", "int", 512),
    ],
)
def test_a_literal_is_found_with_kind_and_value(source: str, kind: str, value: object) -> None:
    knob = one(source)
    assert ("choice" if knob.choices else type(knob.value).__name__, knob.value) == (kind, value)
    assert type(knob.value) is type(value)


@pytest.mark.parametrize(
    "source",
    [
        "SEED = 3",
        "SEED = 3  # range: 1 .. 5",
        "torch_seed = 3",
        "VERSION = 2",
        "__slots__ = 3",
        "VOCAB_SIZE = 512",
        "LR = 3e-4  # fixed by the paper",
        "LR = 3e-4  # Not tunable",
        "NAME = 'adam'",
        "NAME = 'adam'  # one of: adam",
        "X = None",
        "STOP = -1",
        "X = 1j",
        "X = 1e999",
        "X = 1e300",
        "X = 2 ** 2 ** 70",
        "X = 1 / 0",
        "X = f(3)",
        "X = other * 2",
        "X = 1, 2, 3, 4, 5",
        "X = ()",
        "X = (1, 'a')",
        "X = [1, 2]",
        "A = B = 3",
        "A, B = 1, 2",
        "a.b = 3",
        "d['x'] = 3",
        "X: int",
        "X = 1; x = f()",
        "best = 1\nfor _ in y:\n    best = 2",
        "step = 0\nstep += 1",
        "count = 0\ndef f():\n    global count\n    count = 2",
        "def f():\n    X = 3",
        "if cuda:\n    X = 3",
        "class Color(Enum):\n    RED = 1",
        "class Color(enum.IntFlag):\n    RED = 1",
    ],
)
def test_what_is_no_setting_is_left_alone(source: str) -> None:
    assert named(source) == {}


def test_classes_qualify_names_and_comments_bound() -> None:
    source = (
        "@dataclass\nclass Config:\n    depth: int = 8  # range: 2 .. 12 (memory)\n"
        "    class Inner:\n        lr = 1e-3 # range: 1e-4..1e-2\nLR = 1"
    )
    knobs = named(source)
    assert list(knobs) == ["Config.depth", "Config.Inner.lr", "LR"]
    assert (knobs["Config.depth"].low, knobs["Config.depth"].high) == (2, 12)
    assert (knobs["Config.Inner.lr"].low, knobs["Config.Inner.lr"].high) == (1e-4, 1e-2)
    assert knobs["LR"].name == "train.py:LR"


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        ("LR = 3e-4  # x", 1e-3, "LR = 1e-3  # x"),
        ("LR = 3E-4", 1.25e-3, "LR = 1.25E-3"),
        ("LR = 0.0003", 0.001, "LR = 0.001"),
        ("LR = 0.0003", 0.00002, "LR = 0.00002"),
        ("LR = 0.01", 1e-7, "LR = 1e-7"),
        ("X = 1.", 3.0, "X = 3.0"),
        ("X = -1.5", 2.5, "X = 2.5"),
        ("X=2.5", -1.5, "X=-1.5"),
        ("N = 1_000", 20000, "N = 20_000"),
        ("N = 0x10", 255, "N = 0xff"),
        ("N = 2**14", 32768, "N = 2**15"),
        ("N = 2**14", 1000, "N = 1000"),
        ("N = 64 * 1024", 131072, "N = 128 * 1024"),
        ("N = 64 * 1024", 1000, "N = 1000"),
        ("N = 4 * 2**10", 8192, "N = 8 * 2**10"),
        ("F = True", False, "F = False"),
        ("O = 'a'  # one of: a, b", "b", "O = 'b'  # one of: a, b"),
        ('O = """a"""  # one of: a, b', "b", 'O = """b"""  # one of: a, b'),
        ("B = (0.9,  # first\n     0.95)", (0.8, 0.95), "B = (0.8,  # first\n     0.95)"),
        ("B = 1, 2", (3, 2), "B = 3, 2"),
    ],
)
def test_a_replacement_keeps_the_style(source: str, value: literals.Value, expected: str) -> None:
    assert replace(source.encode(), [(one(source), value)]).decode() == expected


def test_spans_are_bytes_whatever_the_line_endings_tabs_and_letters() -> None:
    source = (
        "\ufeffé = 'äöü'; x = f()\r\nclass Ä:\r\n\tλr: float = 0.5\t# ß\r\n\f\r\nΩ = (1,\r\n\t2)\rLAST = 3".encode()
    )
    knobs = named(source)
    assert {label: source[slice(*knob.span)].decode() for label, knob in knobs.items()} == {
        "Ä.λr": "0.5",
        "Ω": "(1,\r\n\t2)",
        "LAST": "3",
    }
    changes: list[tuple[Knob, literals.Value]] = [(knobs["Ω"], (1, 7)), (knobs["Ä.λr"], 0.25), (knobs["LAST"], 44)]
    expected = source.replace(b"0.5", b"0.25").replace(b"\t2)", b"\t7)").replace(b"= 3", b"= 44")
    assert replace(source, changes) == expected


@pytest.mark.parametrize(
    "source",
    [b"# coding: latin-1\nX = 3", b"# coding: nope\nX = 3", b"X = 3\xff", b"X = ", b"X = 3\0", b"x" + b"(" * 5000],
)
def test_a_file_that_cannot_be_read_safely_is_named(source: bytes) -> None:
    with pytest.raises(Unreadable):
        find(source, "train.py")


def test_a_syntax_warning_in_the_source_is_not_ours_to_print(recwarn: pytest.WarningsRecorder) -> None:
    assert list(named('X = 3\nY = "\\d"\n')) == ["X"]
    assert len(recwarn) == 0


NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])
FILLERS = st.sampled_from(["", "# é ü", "s = 'ß'", "\tpass" * 0, "def f(x):\n    return x\n", "t = '''\né\n'''"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    newline = draw(NEWLINES)
    lines = []
    for index, text in enumerate(draw(st.lists(TEXTS, min_size=1, max_size=4))):
        lines += [
            draw(FILLERS),
            f"{draw(st.sampled_from(['N', 'ñ', 'K_']))}{index}{draw(st.sampled_from([' = ', '=', ' :  int=']))}{text}",
        ]
        lines[-1] += draw(st.sampled_from(["", "  # note", "\t# é"]))
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n"]))
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.replace("\n", newline).encode()


@settings(max_examples=150, deadline=None)
@given(source=files(), data=st.data())
def test_replacing_changes_the_span_alone_and_reads_back_as_the_value(source: bytes, data: st.DataObject) -> None:
    knobs = find(source, "f.py")
    assert replace(source, [(knob, knob.value) for knob in knobs]) == source
    assume(knobs)
    knob = data.draw(st.sampled_from(knobs))
    value: literals.Value
    if isinstance(knob.value, tuple):
        value = tuple(data.draw(INTS if isinstance(element, int) else FLOATS) for element in knob.value)
    elif isinstance(knob.value, bool):
        value = not knob.value
    else:
        value = data.draw(INTS if isinstance(knob.value, int) else FLOATS)
    changed = replace(source, [(knob, value)])
    start, end = knob.span
    assert changed[:start] == source[:start]
    assert changed[len(changed) - (len(source) - end) :] == source[end:]
    again = {other.name: other.value for other in find(changed, "f.py")}
    expected = {other.name: other.value for other in knobs} | {knob.name: value}
    if value == -1:
        expected.pop(knob.name)
    assert again == expected
    ast.parse(changed)
