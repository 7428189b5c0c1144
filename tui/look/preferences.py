"""What a user prefers, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Theme = Literal["dark", "light", "ansi"]
THEMES: tuple[Theme, ...] = get_args(Theme)


@dataclass(frozen=True, slots=True)
class Preferences:
    theme: Theme = "dark"
    mouse: bool = True
    """False: the terminal's own selection works everywhere, and a click does nothing."""
    ascii: bool = False
    """Draw with ASCII alone, for terminals and fonts without braille and box characters."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Binding id -> its keys, separated by commas; docs/keys.md lists the ids."""
