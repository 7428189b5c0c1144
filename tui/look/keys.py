"""Keys: what can be pressed now, in words.

Footer, help, palette, docs/keys.md and the user's own keys all come from the bindings themselves. A binding has an id
`<screen>.<verb>`, and its tooltip is the sentence that people read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from textual.dom import DOMNode
    from textual.screen import Screen

_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "colon": ":",
    "comma": ",",
    "full_stop": ".",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "shift+tab": "⇧tab",
}
_KEYS = {name: key for key, name in _NAMES.items()}


def name_of(key: str) -> str:
    """A key as it is shown: `?` for question_mark."""
    return _NAMES.get(key, key)


def key_of(name: str) -> str:
    """The key behind a shown name."""
    return _KEYS.get(name, name)


class Reasoned:
    """Mixed into the app, screens and widgets, before their class: of an action, why it is not possible now."""

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        """A sentence; "" when the action is possible. Its key then shows nowhere, and pressed it says the sentence."""
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self.refusal(action, parameters)


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a person can do now."""

    id: str
    keys: tuple[str, ...]
    word: str
    """For the key line."""
    words: str
    """For the help and the palette, as `--help` would say it."""
    action: str
    node: DOMNode
    show: bool = False
    display: str = ""

    @property
    def shown(self) -> str:
        return self.display or " ".join(name_of(key) for key in self.keys)


def commands_of(screen: Screen[Any]) -> list[Command]:
    """Everything possible on `screen` with its present focus, nearest first: the focused pane, the screen, the app."""
    found: dict[tuple[str, int], Command] = {}
    for key, active in screen.active_bindings.items():
        binding = active.binding
        if binding.id is None or not active.enabled or (not binding.priority and _is_text(screen, key)):
            continue
        name = (binding.id, id(active.node))
        before = found.get(name)
        found[name] = Command(
            id=binding.id,
            keys=(*(before.keys if before else ()), key),
            word=binding.description,
            words=binding.tooltip or binding.description.capitalize(),
            action=binding.action,
            node=active.node,
            show=binding.show,
            display=binding.key_display or "",
        )
    return [_as_pressed(command) for command in found.values()]


def _is_text(screen: Screen[Any], key: str) -> bool:
    """Whether the focused field would type it."""
    name = " " if key == "space" else name_of(key)
    return screen.focused is not None and screen.focused.check_consume_key(key, name if len(name) == 1 else None)


def _as_pressed(command: Command) -> Command:
    """Without what is displayed for its keys where none of these is possible: `?` in a field, where f1 is."""
    possible = {key_of(name) for name in command.display.split()} & set(command.keys)
    return command if possible else replace(command, display="")


class Shown(NamedTuple):
    """A pair of the key line."""

    key: str
    word: str
    stays: bool = False
    """However narrow the terminal is."""


_STAYING = ("app.palette", "app.help", "app.leave")


def line_of(screen: Screen[Any]) -> list[Shown]:
    """For the key line: the screen's own keys, then the focused pane's, then the app's, and what stays."""
    commands = [command for command in commands_of(screen) if command.show]
    ranks = {id(screen): 0, id(screen.app): 2}
    commands.sort(key=lambda command: (command.id in _STAYING, ranks.get(id(command.node), 1)))
    shown = (Shown(each.display or name_of(each.keys[0]), each.word, each.id in _STAYING) for each in commands)
    return list(dict.fromkeys(shown))


def refused(screen: Screen[Any], key: str) -> str:
    """Why `key` does nothing now, where a binding for it exists and its node gives a reason; else ""."""
    for node, bindings in screen._modal_binding_chain:
        for binding in bindings.key_to_bindings.get(key, ()):
            target, action, parameters = screen.app._parse_action(binding.action, node)
            if isinstance(target, Reasoned) and (said := target.refusal(action, parameters)):
                return said
    return ""
