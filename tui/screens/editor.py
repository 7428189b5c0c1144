"""The user's own programs on files of a session: `$EDITOR` and `$PAGER`, with the screen set aside meanwhile."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from textual.app import SuspendNotSupported

from autoresearch.tui.screens.viewer import READS_ONLY, Viewer

_EDITORS = ("nano", "vim", "vi", "emacs")
_PAGERS = ("less", "more")


def program_of(variables: tuple[str, ...], usual: tuple[str, ...], environ: Mapping[str, str]) -> list[str] | str:
    """The command, or a sentence that says what is missing."""
    for variable in variables:
        said = environ.get(variable, "").strip()
        if not said:
            continue
        try:
            command = shlex.split(said)
        except ValueError as error:
            return f"${variable} is {said!r}, which is no command ({error}); set it to a program."
        if command and shutil.which(command[0], path=environ.get("PATH")):
            return command
        return f"${variable} names {said!r}, which is not installed; set it to a program that is."
    for name in usual:
        if shutil.which(name, path=environ.get("PATH")):
            return [name]
    return f"There is no {usual[0]} here; set ${variables[-1]} to a program."


def edit(viewer: Viewer, path: Path, after: str, *, make: bool = False) -> None:
    """Open a file in `$VISUAL` or `$EDITOR` and wait; then say `after` where it was changed."""
    if viewer.read_only:
        viewer.notify(READS_ONLY, severity="warning")
        return
    if not make and not path.exists():
        viewer.notify(f"{path} is not there.", severity="error", timeout=8)
        return
    if path.exists() and not os.access(path, os.W_OK):
        viewer.notify(f"{path} cannot be written; it is opened to be read.", severity="warning", timeout=8)
    before = _content(path)
    if _call(viewer, program_of(("VISUAL", "EDITOR"), _EDITORS, os.environ), path):
        changed = _content(path) != before
        viewer.notify(after if changed else f"{path.name} was not changed.", timeout=6)


def page(viewer: Viewer, path: Path) -> None:
    """Show a file in `$PAGER`."""
    if not path.exists():
        viewer.notify(f"{path} is not there any more.", severity="error", timeout=8)
        return
    _call(viewer, program_of(("PAGER",), _PAGERS, os.environ), path)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _call(viewer: Viewer, command: list[str] | str, path: Path) -> bool:
    if isinstance(command, str):
        viewer.notify(command, severity="error", timeout=8)
        return False
    # What a run printed may hold escape sequences: less shows them as text unless it is told otherwise.
    environ = {key: value for key, value in os.environ.items() if key not in ("LESS", "LESSOPEN", "LESSCLOSE")}
    try:
        with viewer.suspend():
            code = subprocess.run([*command, str(path)], check=False, env=environ).returncode
    except SuspendNotSupported:
        viewer.notify("This terminal cannot show another program over the screen.", severity="error", timeout=8)
        return False
    except OSError as error:
        viewer.notify(f"{command[0]} could not be started: {error.strerror}.", severity="error", timeout=8)
        return False
    if code:
        viewer.notify(f"{command[0]} ended with exit code {code}.", severity="warning", timeout=6)
    return True
