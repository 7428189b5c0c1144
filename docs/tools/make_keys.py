"""Writes the tables of docs/keys.md from the bindings: `make docs`. A test checks them."""

from __future__ import annotations

from pathlib import Path

from autoresearch.tui.app.key_catalogue import Known, catalogue
from autoresearch.tui.look.keys import name_of

PAGE = Path(__file__).parents[1] / "keys.md"
MARK = "<!-- from the code: make docs -->"


def tables() -> str:
    scopes: dict[str, list[Known]] = {}
    for known in catalogue().values():
        scopes.setdefault(known.scope, []).append(known)
    parts = []
    for scope, rows in scopes.items():
        lines = [f"### {scope}", "", "| id | keys | what it does |", "|---|---|---|"]
        lines += [f"| `{row.id}` | {_keys(row.keys)} | {row.words} |" for row in rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _keys(keys: tuple[str, ...]) -> str:
    """As they are written in config.toml."""
    return " ".join(f"`{_spelled(key)}`" for key in dict.fromkeys(keys))


def _spelled(key: str) -> str:
    name = name_of(key)
    return name if len(name) == 1 and name.isascii() and name != "," else key


def page(text: str) -> str:
    """The page with its tables made new."""
    return text.partition(MARK)[0] + MARK + "\n\n" + tables()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
