"""autoresearch.toml: schema, defaults, and errors that name the key and the fix.

`load` reads a target's file, `loads` and `dumps` the resolved copy in a session. The measuring part (MEASURING) decides
whether numbers compare: `sha` is over it alone, `differences` tells it apart from what simply applies.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from autoresearch.state.config import validate
from autoresearch.state.config.rules import RULES, contradictions
from autoresearch.state.text import clean_line


@dataclass(frozen=True, slots=True)
class Metric:
    """What is optimised, and which way."""

    name: str
    direction: Literal["lower", "higher"] = "lower"
    unit: str = ""
    min_effect: float = 0.0
    """The smallest improvement that matters, in the metric's unit; 0: unset."""
    goal: float | None = None
    scale: Literal["auto", "linear", "ratio"] = "auto"
    """Whether equal differences or equal ratios matter equally; `auto`: ratios of times, sizes and rates."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an agent may edit, and which inputs are linked."""

    edit: tuple[str, ...]
    """Anchored globs in git's :(glob) meaning, relative to the toml's folder; a leading `!` excludes."""
    link: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """How a candidate is run, and how its number is read."""

    run: str | tuple[str, ...]
    """A string goes through bash, a list is the argument vector."""
    setup: str | tuple[str, ...] = ""
    build: str | tuple[str, ...] = ""
    evaluate: str | tuple[str, ...] = ""
    artifacts: tuple[str, ...] = ()
    metrics_file: str = ""
    progress: dict[str, str] = field(default_factory=dict)
    feedback: str = ""
    budget_s: float = 300.0
    """Told to the command and enforced; 0: no budget."""
    timeout_s: float = 0.0
    stall_s: float = 0.0
    memory_mb: float = 0.0
    output_mb: float = 1024.0
    durable: bool = False
    network: Literal["off", "loopback", "on"] = "loopback"
    env: tuple[str, ...] = ()
    evaluate_env: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    confine: Literal["auto", "required", "off"] = "auto"


@dataclass(frozen=True, slots=True)
class Guard:
    """A command that must pass before a better metric counts."""

    run: str | tuple[str, ...]
    when: Literal["better", "before"] = "better"
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Holdout:
    """A command whose number no agent sees."""

    run: str | tuple[str, ...] = ""
    when: Literal["end", "keeps"] = "end"


@dataclass(frozen=True, slots=True)
class VerdictSettings:
    """How sure a keep has to be."""

    mode: Literal["blocks", "fast", "single", "race"] = "blocks"
    """`race` is an older name of `blocks`."""
    odds: float | Literal["auto"] = "auto"
    baseline_runs: int | Literal["auto"] = "auto"
    max_runs: int | Literal["auto"] = "auto"
    bundle: int = 6
    think_time: bool = True


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Who makes proposals, and with what means."""

    kind: Literal["auto", "claude", "command", "tuner", "replay"] = "auto"
    model: str = "claude-opus-5-5"
    ahead: int | None = None
    """None: 1 for `claude`, 0 for the others."""
    debug: int = 2
    rework: int = 2
    tuner_every: int = 0
    shell: bool = False
    brief_chars: int = 48_000
    timeout_s: float = 1800.0
    command: str = "claude-code"
    thinking: int | str = "auto"
    """`auto`, an effort from `low` to `max`, a budget in tokens for models that want one, 0: off."""
    context_tokens: int = 120_000
    patience_s: float = 60.0
    """How long a change of a finite list is measured before the next one waits for the slot."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a session ends by itself; 0 is no limit."""

    experiments: int = 0
    hours: float = 0.0
    until: str = ""
    dollars: float = 10.0
    tokens: int = 0
    no_keep: int = 0
    stagnation_after: int = 20


@dataclass(frozen=True, slots=True)
class Notify:
    """What is called when something happens."""

    command: str | tuple[str, ...] = ""


@dataclass(frozen=True, slots=True)
class Config:
    """One autoresearch.toml, checked."""

    name: str
    metric: Metric
    scope: Scope
    measure: Measure
    objective: str = ""
    program: str = ""
    guard: tuple[Guard, ...] = ()
    constraints: dict[str, float | str] = field(default_factory=dict)
    """Other metrics' limits: a number or "1.2x" of the baseline's mean (upper), ">= 30" (lower)."""
    holdout: Holdout = Holdout()
    verdict: VerdictSettings = VerdictSettings()
    agent: AgentSettings = AgentSettings()
    limits: Limits = Limits()
    notify: Notify = Notify()


class ConfigError(Exception):
    """Everything that is wrong with a config file, all at once; `str()` is what a person reads."""

    def __init__(self, path: str, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))


MEASURING = ("metric", "scope", "measure", "guard", "constraints", "holdout", "verdict")
"""A change of one of these opens a new segment; the other tables and keys simply apply."""


def proposals_ahead(agent: AgentSettings, kind: str = "") -> int:
    """How many proposals are prepared while one is measured; `kind` is what "auto" was resolved to.

    Only a language model keeps the slot waiting. `tuner` and `replay` answer in milliseconds, and better when they know
    the last verdict: prepared patches build on each other.
    """
    if agent.ahead is not None:
        return agent.ahead
    return 1 if (kind or agent.kind) == "claude" else 0


def load(path: Path) -> Config:
    """The target's config; its name is the folder's unless it says otherwise. Raises ConfigError with every problem."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(str(path), ["no such file; `autoresearch init` writes one"]) from None
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror or error}"]) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), [f"line {line}: not UTF-8; save the file as UTF-8"]) from error
    return loads(text, str(path), name_of(path.absolute().parent))


def name_of(folder: Path) -> str:
    """What a target is called that does not say: its folder's name, of which any byte may be part."""
    return "".join(letter for letter in clean_line(folder.name) if letter.isprintable()).strip() or "target"


def loads(text: str, path: str = "config.toml", name: str = "") -> Config:
    """The config in a text. Raises ConfigError, which names `path`; `name` stands in for a missing name."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, [f"not TOML: {error}"]) from error
    except RecursionError as error:
        raise ConfigError(path, ["not TOML: nested too deeply"]) from error
    return from_dict({"name": name, **data} if name else data, path)


def from_dict(data: Mapping[str, Any], path: str) -> Config:
    """The config in a decoded TOML document. Raises ConfigError."""
    reading = validate.Reading(RULES, tuple(keys()))
    config = reading.table(Config, data)
    problems = reading.problems + contradictions(reading.values)
    if problems:
        raise ConfigError(path, problems)
    assert isinstance(config, Config)
    return config


def keys(cls: type[Any] = Config, prefix: str = "") -> Iterator[str]:
    """Every key, dotted, in the schema's order; the keys of `[[guard]]` as `guard.run`."""
    for name, hint in validate.hints_of(cls).items():
        table = hint if is_dataclass(hint) else validate.rows_of(hint)
        if isinstance(table, type):
            yield from keys(table, f"{prefix}{name}.")
        else:
            yield prefix + name


def dumps(config: Config) -> str:
    """The whole config as TOML, defaults included: `loads(dumps(c)) == c`."""
    return _toml(_plain(config), {})


def _plain(value: Any) -> Any:
    """Without None, which TOML does not have, with lists for tuples and tables for dataclasses."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, float):
        return value + 0.0  # -0.0 is 0.0, which is how it is written
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def sha(config: Config) -> str:
    """A hash over what decides whether numbers compare.

    Only what differs from the defaults goes in, so that a newer version with one more key still gives the same hash.
    """
    part = {key: value for key, value in _set_values(config).items() if _measures(key)}
    return hashlib.sha256(orjson.dumps(part, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _set_values(config: Config) -> dict[str, Any]:
    """Dotted keys whose values differ from the defaults."""
    return {key: _plain(held) for key, item, held in _held(config) if held != validate.default_of(item)}


def _held(config: Config) -> Iterator[tuple[str, Field[Any], Any]]:
    """Every dotted key with its field and value."""
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            yield from ((f"{item.name}.{inner.name}", inner, getattr(value, inner.name)) for inner in fields(value))
        else:
            yield item.name, item, value


def _measures(key: str) -> bool:
    return key.partition(".")[0] in MEASURING


def differences(old: Config, new: Config) -> tuple[dict[str, Any], list[str]]:
    """What changed: dotted keys that simply apply with their new values, and the measuring keys.

    A value of None says that the key went back to having none; `with_change` takes it so.
    """
    changed = {key: now for (key, _, was), (_, _, now) in zip(_held(old), _held(new), strict=True) if was != now}
    applying = {key: _plain(now) for key, now in changed.items() if not _measures(key)}
    return applying, [key for key in changed if _measures(key)]


def with_change(config: Config, key: str, value: Any, path: str = "settings") -> Config:
    """The config with one dotted key changed; None takes the key back to its default. Raises ConfigError."""
    data = _plain(config)
    *tables, leaf = key.split(".")
    place = data
    for table in tables:
        place = place.setdefault(table, {}) if isinstance(place, dict) else {}
    if value is None and isinstance(place, dict):
        place.pop(leaf, None)
    elif isinstance(place, dict):
        place[leaf] = value
    else:
        raise ConfigError(path, [f"{key}: cannot be set alone, edit it in autoresearch.toml"])
    return from_dict(data, path)


def value_of(key: str, text: str) -> Any:
    """A value typed on a command line for a dotted key, for `with_change`: text stays text where the key holds text."""
    hint: Any = Config
    for part in key.split("."):
        hint = validate.hints_of(hint).get(part) if is_dataclass(hint) and isinstance(hint, type) else None
    if hint is str:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def render_minimal(config: Config, comments: Mapping[str, str] | None = None) -> str:
    """What `init` writes: the required keys and what differs from the defaults.

    `comments` are put behind keys (`measure.run`) and tables (`guard`) that are written.
    """
    short: dict[str, Any] = {}
    for key, value in _set_values(config).items():
        table, _, leaf = key.rpartition(".")
        (short.setdefault(table, {}) if table else short)[leaf] = value
    if "guard" in short:
        usual = {item.name: validate.default_of(item) for item in fields(Guard)}
        short["guard"] = [{key: row[key] for key in row if row[key] != usual[key]} for row in short["guard"]]
    return _toml(short, comments or {})


def without_holdout(data: bytes) -> bytes:
    """A target's file as an agent may see it; empty where it is no TOML, which then tells nothing."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(data.decode("utf-8-sig"))
        while "holdout" in document:
            document.remove("holdout")
        return tomlkit.dumps(document).encode()
    except (TOMLKitError, UnicodeDecodeError):
        return b""


def _toml(data: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """Tables in the given order, keys without a table first. The layout is ours, the escaping tomlkit's."""
    import tomlkit

    def value(held: Any) -> str:
        if isinstance(held, dict):
            return "{ " + ", ".join(f"{name(key)} = {value(item)}" for key, item in held.items()) + " }"
        whole = isinstance(held, float) and held.is_integer()
        return tomlkit.item(int(held) if whole else held).as_string()

    def name(key: str) -> str:
        return tomlkit.key(key).as_string()

    def behind(key: str) -> str:
        return f"  # {comments[key]}" if key in comments else ""

    def body(table: Mapping[str, Any], prefix: str = "") -> list[str]:
        return [f"{name(key)} = {value(table[key])}{behind(prefix + key)}" for key in table]

    parts = [body({key: held for key, held in data.items() if isinstance(held, str)})]
    for key, held in data.items():
        if isinstance(held, dict) and held:
            parts.append([f"[{key}]{behind(key)}", *body(held, f"{key}.")])
        elif isinstance(held, list):
            parts += [[f"[[{key}]]{'' if n else behind(key)}", *body(row)] for n, row in enumerate(held)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"
