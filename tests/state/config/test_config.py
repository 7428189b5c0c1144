from __future__ import annotations

import re
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from config_files import MINIMAL, problems
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.config import (
    Config,
    ConfigError,
    Measure,
    Metric,
    Scope,
    differences,
    dumps,
    load,
    loads,
    proposals_ahead,
    render_minimal,
    sha,
    validate,
    value_of,
    with_change,
)
from autoresearch.state.config import config as config_module
from autoresearch.state.config.config import MEASURING, keys


def test_a_short_file_gets_the_defaults_and_the_folders_name(tmp_path: Path) -> None:
    path = tmp_path / "nano" / "autoresearch.toml"
    path.parent.mkdir()
    path.write_text(MINIMAL)
    assert load(path) == Config("nano", Metric("val_bpb"), Scope(("train.py",)), Measure("python train.py"))


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    (tmp_path / "autoresearch.toml").write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load(tmp_path / "autoresearch.toml").metric.name == "val_bpb"


def test_a_syntax_error_names_its_line() -> None:
    (told,) = problems("a = 1\nb = = 2\n")
    assert "line 2" in told


@pytest.mark.parametrize(
    ("content", "told"), [(b"a = '\xff'", "line 1: not UTF-8"), (b"a = " + b"[" * 99_999, "not TOML")]
)
def test_a_file_that_is_no_text_is_a_config_error(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "autoresearch.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        load(path)


def test_a_missing_file_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="autoresearch init"):
        load(tmp_path / "autoresearch.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def test_the_next_proposal_is_not_prepared_ahead_for_a_command_unless_asked() -> None:
    agent = loads(MINIMAL, name="x").agent
    assert [proposals_ahead(agent, kind) for kind in ("claude", "command", "tuner", "replay")] == [1, 0, 0, 0]
    asked = loads(f'{MINIMAL}[agent]\nkind = "command"\nahead = 1', name="x").agent
    assert proposals_ahead(asked) == 1


def configs() -> st.SearchStrategy[Config]:
    """Any config that the rules allow: annotations give the type, the odd key a strategy of its own."""
    word = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.é]{0,8}", fullmatch=True)
    text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
    line = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
    command = text.map(lambda words: f"x{words}") | st.lists(text, max_size=2).map(lambda words: ("x", *words))
    paths = st.lists(word, max_size=3).map(tuple)
    special: dict[str, Any] = {
        "Config.name": line, "Metric.name": word, "Metric.unit": line, "Scope.edit": word.map(lambda w: (w, f"!{w}")),
        "Measure.artifacts": st.just(()), "Measure.evaluate_env": st.just(()), "Measure.env": st.just(("A", "_b2")),
        "Measure.writable": st.lists(word.map("/{}".format), max_size=3).map(tuple),
        "Measure.progress": st.dictionaries(word, st.just(r"\d+\.(\d)'\"")),
        "Config.constraints": st.dictionaries(word, st.sampled_from([1.5, "1.2x", ">= 30"])).map(
            lambda d: {f"c{key}": value for key, value in d.items()}),
        "VerdictSettings.odds": st.floats(1.01, 1e9), "VerdictSettings.bundle": st.sampled_from([0, 2, 7]),
        "AgentSettings.model": line, "AgentSettings.ahead": st.sampled_from([None, 0, 1]),
        "AgentSettings.command": st.just("aider") | text.map(lambda words: f"{words} {{brief}}"),
        "AgentSettings.thinking": st.sampled_from(["auto", "max", 0, 1024]),
        "AgentSettings.context_tokens": st.integers(8000, 10**6),
        "Limits.until": st.sampled_from(["", "7:30", "23:59"]),
        "AgentSettings.brief_chars": st.integers(1000, 10**6),
    }  # fmt: skip

    def of(hint: Any) -> st.SearchStrategy[Any]:
        if is_dataclass(hint):
            assert isinstance(hint, type)
            hints = validate.hints_of(hint)
            each = {f.name: special.get(f"{hint.__name__}.{f.name}") for f in fields(hint)}
            return st.builds(hint, **{name: s if s is not None else of(hints[name]) for name, s in each.items()})
        if row := validate.rows_of(hint):
            return st.lists(of(row), max_size=2).map(tuple)
        if get_origin(hint) is Literal:
            return st.sampled_from(get_args(hint))
        if get_origin(hint) is tuple:
            return paths
        if get_args(hint)[1:] == (Literal["auto"],):
            return st.just("auto") | of(get_args(hint)[0])
        if hint == float | None:
            return st.none() | st.floats(-1e12, 1e12)
        return {str: word, bool: st.booleans(), int: st.integers(3, 10**9), float: st.floats(0.001, 1e12)}.get(
            hint, command
        )

    everything = of(Config)
    assert isinstance(everything, st.SearchStrategy)
    return everything.filter(lambda c: c.metric.name not in c.constraints)


@given(configs())
def test_a_resolved_config_reads_back_the_same(config: Config) -> None:
    assert loads(dumps(config)) == config
    assert sha(loads(dumps(config))) == sha(config)


@given(configs())
def test_a_short_file_reads_back_the_same(config: Config) -> None:
    assert loads(render_minimal(config, {key: f"about {key}" for key in keys()})) == config


@given(configs(), configs())
def test_every_change_either_applies_or_opens_a_segment(old: Config, new: Config) -> None:
    applying, measuring = differences(old, new)
    for key in applying:
        assert key.split(".")[0] not in MEASURING
    for key in measuring:
        assert key.split(".")[0] in MEASURING
    assert (sha(old) != sha(new)) == bool(measuring)
    changed = old
    for key, value in applying.items():
        changed = with_change(changed, key, value)
    assert differences(changed, new) == ({}, measuring)


def test_a_change_of_limits_keeps_the_sha() -> None:
    config = loads(MINIMAL, name="x")
    assert sha(with_change(config, "limits.dollars", 20)) == sha(config)
    assert sha(with_change(config, "measure.budget_s", 20)) != sha(config)


def test_a_change_from_the_command_line_is_validated() -> None:
    config = loads(MINIMAL, name="x")
    assert with_change(config, "limits.dollars", value_of("limits.dollars", "2.5")).limits.dollars == 2.5
    assert with_change(config, "limits.until", value_of("limits.until", "07:30")).limits.until == "07:30"
    assert with_change(config, "limits.dollars", None).limits.dollars == 10
    for key, text in [("limits.dollars", "lots"), ("limits.dolars", "3"), ("limits", "3"), ("name.x", "3")]:
        with pytest.raises(ConfigError, match=re.escape(key.split(".")[0])):
            with_change(config, key, value_of(key, text))
    assert config == loads(MINIMAL, name="x")


def test_what_init_writes_is_short_and_commented() -> None:
    config = with_change(loads(MINIMAL, name="x"), "limits.dollars", 3)
    config = with_change(config, "guard", [{"run": "pytest -q"}])
    text = render_minimal(config, {"guard": "must pass", "measure.run": "prints val_bpb", "verdict": "unused"})
    assert text == (
        'name = "x"\n\n[metric]\nname = "val_bpb"\n\n[scope]\nedit = ["train.py"]\n\n'
        '[measure]\nrun = "python train.py"  # prints val_bpb\n\n[[guard]]  # must pass\nrun = "pytest -q"\n\n'
        "[limits]\ndollars = 3\n"
    )


def documented() -> dict[str, tuple[str, str]]:
    """Type and default by key, as the table in the documentation has them."""
    text = (Path(__file__).parents[3] / "docs" / "config.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+?) \| (.+) \|$", text, re.M)
    assert all(meaning.endswith(".") for _, _, _, meaning in rows)
    return {key: (kind, default) for key, kind, default, _ in rows}


def schema() -> dict[str, tuple[str, str]]:
    rows: dict[str, tuple[str, str]] = {}

    def walk(cls: type[Any], prefix: str) -> None:
        for item in fields(cls):
            hint = validate.hints_of(cls)[item.name]
            table = hint if is_dataclass(hint) else validate.rows_of(hint)
            if isinstance(table, type):
                walk(table, f"{prefix}{item.name}.")
                continue
            default = validate.default_of(item)
            literal = list(default) if isinstance(default, tuple) else default
            shown = "none" if default in (None, {}) else "`" + validate.show(literal) + "`"
            rows[prefix + item.name] = (kind_of(hint), "required" if validate.required(item) else shown)

    walk(Config, "")
    rows["name"] = ("text", "the folder's name")
    return rows


def kind_of(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    if get_args(hint)[1:] == (Literal["auto"],):
        return f"{kind_of(get_args(hint)[0])} or `auto`"
    named = {str: "text", bool: "true or false", int: "whole number", float: "number", tuple[str, ...]: "list of text"}
    named |= {dict[str, str]: "table of text", dict[str, float | str]: "table of numbers or text"}
    named |= {str | tuple[str, ...]: "command", float | None: "number", int | None: "whole number"}
    named |= {int | str: "whole number or text"}
    return named[hint]


def test_every_key_is_documented_with_its_type_and_default() -> None:
    assert documented() == schema()


def test_loading_does_not_import_the_toml_writer() -> None:
    import subprocess

    code = "import sys, autoresearch.state.config as c; c.loads(%r, name='x'); sys.exit('tomlkit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code % MINIMAL]).returncode == 0
    assert config_module.loads is loads


def test_a_negative_zero_is_zero() -> None:
    negative, zero = (
        loads(f"{MINIMAL}".replace("[metric]", f"[metric]\ngoal = {goal}"), name="x") for goal in ("-0.0", "0.0")
    )
    assert sha(negative) == sha(zero)
    assert sha(loads(dumps(negative), name="x")) == sha(negative)
