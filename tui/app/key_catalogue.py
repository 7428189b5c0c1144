"""Every binding of the program, and what is wrong with a user's own."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys, _character_to_key
from textual.screen import ModalScreen, Screen

from autoresearch.tui import screens, widgets
from autoresearch.tui.app import app
from autoresearch.tui.facts.spelling import did_you_mean
from autoresearch.tui.look.keys import _NAMES, name_of


@dataclass(frozen=True, slots=True)
class Known:
    id: str
    keys: tuple[str, ...]
    words: str
    where: str
    """app, screen, modal or pane: with which others it can be active."""

    @property
    def scope(self) -> str:
        return self.id.partition(".")[0]


def catalogue() -> dict[str, Known]:
    """Every binding of ours by its id; imports every screen and widget."""
    known: dict[str, Known] = {}
    for where, binding in _declared():
        if binding.id is None:
            continue
        keys = tuple(_normal(key) for key in binding.key.split(","))
        before = known.get(binding.id)
        known[binding.id] = Known(
            binding.id,
            (*(before.keys if before else ()), *keys),
            (before.words if before else "") or binding.tooltip or binding.description.capitalize(),
            where,
        )
    return dict(sorted(known.items(), key=lambda item: (_ORDER[item[1].where], item[0])))


_ORDER = {"app": 0, "screen": 1, "pane": 2, "modal": 3}


def _declared() -> Iterator[tuple[str, Binding]]:
    modules = [app]
    for package in (screens, widgets):
        names = sorted(module.name for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."))
        modules += [importlib.import_module(name) for name in names]
    for module in modules:
        for _, each in inspect.getmembers(module, inspect.isclass):
            if each.__module__ != module.__name__ or not issubclass(each, DOMNode) or "BINDINGS" not in vars(each):
                continue
            if module is app:
                where = "app"
            elif issubclass(each, ModalScreen):
                where = "modal"
            else:
                where = "screen" if issubclass(each, Screen) else "pane"
            for binding in each.BINDINGS:
                assert isinstance(binding, Binding), f"{each.__name__} has a binding that is no Binding: {binding}"
                yield where, binding


def problems_of(wanted: Mapping[str, str], known: Mapping[str, Known] | None = None) -> list[str]:
    """What is wrong with the user's keys, a sentence each with its fix."""
    known = catalogue() if known is None else known
    problems = []
    own: dict[str, tuple[str, ...]] = {}
    for name, text in wanted.items():
        if name not in known:
            problems.append(f"keys: there is no binding {name!r}{did_you_mean(name, known)}; docs/keys.md lists them")
            continue
        keys = tuple(_normal(key) for key in text.split(","))
        wrong = [key for key in keys if not _is_key(key)]
        for key in wrong:
            problems.append(
                f'keys: "{name}" = {text!r} names no key {key!r}; write a character, or a name such as '
                'f5, enter, pagedown, ctrl+r; several are separated by commas, the comma itself is "comma"'
            )
        if not wrong:
            own[name] = keys
    in_force = {name: own.get(name, each.keys) for name, each in known.items()}
    said = set()
    for name, keys in own.items():
        for other, others in in_force.items():
            shared = [key for key in keys if key in others]
            if other == name or not shared or not _together(known[name], known[other]) or (other, name) in said:
                continue
            said.add((name, other))
            key = name_of(shared[0])
            problems.append(
                f'keys: "{name}" = {wanted[name]!r} takes {key!r}, which is {other} already '
                f"({known[other].words}); choose another key, or give {other} one of its own"
            )
    return problems


def _together(one: Known, other: Known) -> bool:
    """Whether both can be active at the same time."""
    if one.scope == other.scope:
        return True
    wheres = {one.where, other.where}
    if "modal" in wheres:
        return False
    return wheres != {"screen"} and (wheres != {"pane"} or "lines" in (one.scope, other.scope))


def _normal(key: str) -> str:
    key = key.strip()
    return _character_to_key(key) if len(key) == 1 else key


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+")
    if not set(modifiers) <= {"ctrl", "shift", "alt", "super", "meta", "hyper"}:
        return False
    if len(last) == 1 or last in {each.value for each in Keys} or last in _NAMES or last == "space":
        return bool(last)
    try:
        unicodedata.lookup(last.replace("_", " ").upper())
    except KeyError:
        return False
    return True
