"""What a person prefers on every screen: `$XDG_CONFIG_HOME/autoresearch/config.toml`, and the options of one call.

Nothing in it concerns an engine. What is wrong in it is said all at once, with the key and the fix.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from autoresearch.state.config import ConfigError
from autoresearch.tui.look.preferences import THEMES, Preferences, Theme


def preferences_file(environ: Mapping[str, str] = os.environ) -> Path:
    home = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "autoresearch" / "config.toml"


def read_preferences(
    environ: Mapping[str, str] = os.environ, *, theme: str | None = None, mouse: bool | None = None
) -> Preferences:
    """The file's, overruled by this call's options; the defaults without a file. Raises ConfigError."""
    path = preferences_file(environ)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"it cannot be read: {error}; mend or remove it"]) from None
    found = _parsed(str(path), text)
    if theme is not None:
        found = replace(found, theme=cast(Theme, theme))
    if environ.get("TERM") == "linux":
        found = replace(found, ascii=True)  # the console's font has no braille
    return found if mouse is None else replace(found, mouse=mouse)


def _parsed(path: str, text: str) -> Preferences:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, [f"it is not TOML: {error}"]) from None
    problems = []
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name == "theme":
            if value not in THEMES:
                problems.append(f"theme = {value!r} is none; choose {', '.join(THEMES)}")
        elif name in ("mouse", "ascii"):
            if not isinstance(value, bool):
                problems.append(f"{name} = {value!r} is neither true nor false")
        elif name == "keys":
            problems += _key_problems(value)
        else:
            problems.append(f"there is no key {name!r}; known are theme, mouse, ascii and the table [keys]")
        values[name] = value
    if problems:
        raise ConfigError(path, problems)
    return Preferences(**values)


def _key_problems(table: Any) -> list[str]:
    if not isinstance(table, dict):
        return ['keys is a table: under [keys], write "board.zoom" = "z,Z"']
    nested = [name for name, value in table.items() if isinstance(value, dict)]
    if nested:
        inner = next(iter(table[nested[0]]), "zoom")
        return [f'keys: put the name in quotes, as in "{nested[0]}.{inner}" = "z"']
    wrong = [name for name, value in table.items() if not isinstance(value, str) or not value.strip()]
    if wrong:
        return [f'keys: "{name}" = {table[name]!r} is no key; write one in quotes, as in "z,Z"' for name in wrong]
    from autoresearch.tui.app.key_catalogue import problems_of

    return problems_of(table)
