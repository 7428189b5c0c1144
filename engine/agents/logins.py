"""Where the agents that are known by name keep their logins: no run may read them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from autoresearch.engine.agents.command.presets import PRESETS
from autoresearch.engine.agents.credentials import KEY_FILE


def login_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Files and folders, whether they are there or not."""
    home = Path(environ.get("HOME") or Path.home())
    key_file = [Path(environ[KEY_FILE]).expanduser()] if environ.get(KEY_FILE) else []
    return (*(home / name for preset in PRESETS.values() for name in preset.private), *key_file)
