"""The words to a proposal, as an agent CLI wrote them: a JSON object, or `key: value` lines, in a file or a message.

Everything here was written by a model: it is cleaned and cut, and a wrong type is read as nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from autoresearch.state.text import clean, clean_line

LINE_CHARS, TEXT_CHARS, MOST_IDEAS = 300, 2000, 10
_KEYS = ("description", "hypothesis", "category", "expected_effect", "idea", "lesson", "retry_if", "ideas")
_KEY_LINE = re.compile(rf"^\s*(?:[-*]\s+)?[*_`\"]*({'|'.join(_KEYS)})[*_`\"]*\s*:[*_]*\s*(.*)$", re.IGNORECASE)
_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Words:
    description: str = ""
    hypothesis: str = ""
    category: str = ""
    expected_effect: str = ""
    idea: str = ""
    lesson: str = ""
    retry_if: str = ""
    ideas: tuple[str, ...] = ()


def read(text: str) -> Words | None:
    """The words in a file or message; None when it holds none of the known keys."""
    found = _objects(text) or _lines(text)
    if not any(found.get(key) for key in _KEYS):
        return None
    one = {key: clean_line(_text(found.get(key)), LINE_CHARS) for key in ("description", "category", "idea")}
    more = {
        key: clean(_text(found.get(key))).strip()[:TEXT_CHARS]
        for key in ("hypothesis", "expected_effect", "lesson", "retry_if")
    }
    listed = found.get("ideas")
    ideas = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
    cleaned = [clean_line(_text(idea), LINE_CHARS) for idea in ideas]
    return Words(**one, **more, ideas=tuple(idea for idea in cleaned if idea)[:MOST_IDEAS])


def from_message(text: str) -> Words:
    """The words of a last message: its keys where it has any, else its first sentence stands for the description."""
    found = read(text)
    if found is not None and found.description:
        return found
    lines = [line.strip().lstrip("#*-> ").strip() for line in clean(text).splitlines()]
    first = next((line for line in lines if line and not line.startswith("```")), "")
    description = clean_line(first, LINE_CHARS)
    return replace(found or Words(), description=description)


def _objects(text: str) -> dict[str, Any]:
    """The last JSON object that has one of our keys: the whole text, a fenced block, or what stands in braces."""
    brace = text[text.find("{") : text.rfind("}") + 1]
    for candidate in (text, *reversed(_FENCE.findall(text)), brace):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and any(key in value for key in _KEYS):
            return value
    return {}


def _lines(text: str) -> dict[str, Any]:
    """`key: value` lines; a value goes on until the next key or an empty line. `ideas` is a list of its own lines."""
    found: dict[str, Any] = {}
    key = ""
    for line in text.splitlines():
        match = _KEY_LINE.match(line)
        if match:
            key = match[1].lower()
            value = match[2].strip().strip('"').rstrip(",")
            found[key] = ([value] if value else []) if key == "ideas" else value
        elif not line.strip():
            key = ""
        elif key == "ideas":
            found[key].append(re.sub(r"^\s*(?:[-*]|\d+[.)])\s*", "", line).strip())
        elif key:
            found[key] = f"{found[key]} {line.strip()}".strip()
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return ""
    return value if isinstance(value, str) else str(value) if isinstance(value, (int, float)) else ""
