"""What this machine has of what the engine can use: git, confinement by the kernel, GPUs, agent CLIs and their logins.

Everything is looked at, nothing is changed, and no model is asked: whether a login works is known only by using it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoresearch.engine import measure, sandbox, workspace
from autoresearch.engine.agents import PRESETS, Preset, Unavailable, find_key
from autoresearch.engine.process import LINUX
from autoresearch.state.session import SessionError

State = Literal["ok", "note", "warn", "fail"]
"""fail: nothing works without it."""

PROBE_S = 10.0
_LANDLOCK_NETWORK_ABI = 4
_LEAST_FREE_GB = 2.0
_LOGIND_FOLDERS = ("usr/lib/systemd", "usr/local/lib/systemd", "run/systemd", "etc/systemd")
"""The later one overrides the earlier."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State
    text: str
    fix: str = ""
    lines: tuple[str, ...] = ()
    """What a command said, cleaned: the last lines of its output."""


@dataclass(frozen=True, slots=True)
class AgentCli:
    name: str
    """The preset's."""
    program: str
    path: str | None
    logged_in: bool | None
    """None: it cannot be seen from outside."""
    by: str
    """What the login was seen by."""
    protection: str
    fix: str


def machine_checks(environ: Mapping[str, str] = os.environ) -> list[Check]:
    first = [_git(), _landlock(), _namespaces(), _protection(), _gpu(), *busy_gpus()]
    return [*first, *logout(), _disk(environ), _key(environ)]


def agent_clis(environ: Mapping[str, str] = os.environ) -> list[AgentCli]:
    return [agent_cli(preset, environ) for preset in PRESETS.values()]


# -- the machine


def _git() -> Check:
    try:
        workspace.check_git()
    except SessionError as no:
        return Check("git", "fail", str(no).split(";")[0], "Install git 2.38 or newer.")
    text = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout
    return Check("git", "ok", text.strip().removeprefix("git version "))


def _landlock() -> Check:
    abi = sandbox.landlock_abi()
    if abi <= 0:
        why = "the kernel has none or it is switched off" if LINUX else "Linux only"
        return Check("landlock", "note", f"not available ({why})")
    network = "files and TCP" if abi >= _LANDLOCK_NETWORK_ABI else "files"
    return Check("landlock", "ok", f"available, ABI {abi} ({network})")


def _namespaces() -> Check:
    name = "user namespaces"
    if not LINUX:
        return Check(name, "note", "not available (Linux only)")
    found = sandbox.this_kernel()
    if not found.network and not found.mounts:
        return Check(name, "note", "not allowed here: no network and no view of the files of a run's own")
    names = [name for name, held in (("network", found.network), ("mounts", found.mounts)) if held]
    how = "user namespaces with " if found.user else ""
    return Check(name, "ok", f"allowed: {how}{' and '.join(names)} of a run's own")


def _protection() -> Check:
    found = sandbox.level()
    return Check("protection", "ok" if found.name == "full" else "note", f"{found.name}: {found.sentence}")


def _gpu() -> Check:
    found = measure.accelerator()
    if found.startswith("cpu:"):
        return Check("gpu", "note", f"none seen by NVML; {found}")
    return Check("gpu", "ok", found)


def busy_gpus() -> list[Check]:
    """A warning per GPU on which somebody's processes compute: what is measured beside them is slower and noisier."""
    found = []
    for index, handle in enumerate(measure.gpus()):
        nvml = measure.library()
        holders: list[str] = []
        with contextlib.suppress(nvml.NVMLError):
            for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
                holders.append(measure.who(process))
        if holders:
            text = f"GPU {index} is in use by {' and '.join(holders)}: runs beside it are slower and noisier"
            fix = "Wait for it or end it, or choose another GPU with CUDA_VISIBLE_DEVICES."
            found.append(Check("gpu in use", "warn", text, fix))
    return found


def logout(root: Path = Path("/"), user: str | None = None) -> list[Check]:
    """A warning where systemd ends a user's processes at logout: the engine would end with the SSH session."""
    if not (root / "run/systemd/system").is_dir():
        return []
    user = user or pwd.getpwuid(os.getuid()).pw_name
    settings = _logind(root)
    excluded = settings.get("KillExcludeUsers", "root").split()
    if settings.get("KillUserProcesses", "no").lower() not in ("yes", "true", "on", "1") or user in excluded:
        return [Check("logout", "ok", "processes go on after logout")]
    if (root / "var/lib/systemd/linger" / user).exists():
        return [Check("logout", "ok", "processes go on after logout (lingering is enabled)")]
    text = "KillUserProcesses=yes: systemd ends the engine when you log out"
    fix = (
        f"`loginctl enable-linger {user}` once, then start it with `systemd-run --user --scope autoresearch run`; "
        "or work in tmux, begun with `systemd-run --user --scope tmux`."
    )
    return [Check("logout", "warn", text, fix)]


def _logind(root: Path) -> dict[str, str]:
    settings: dict[str, str] = {}
    files = [root / folder / "logind.conf" for folder in _LOGIND_FOLDERS]
    parts = {file.name: file for folder in _LOGIND_FOLDERS for file in (root / folder / "logind.conf.d").glob("*.conf")}
    for file in [*files, *(parts[name] for name in sorted(parts))]:
        if file.is_file():
            settings |= dict(re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", file.read_text(errors="replace"), re.MULTILINE))
    return settings


def _disk(environ: Mapping[str, str]) -> Check:
    cache = environ.get("AUTORESEARCH_TREES") or environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = next(path for path in (Path(cache), *Path(cache).absolute().parents) if path.is_dir())
    free_gb = shutil.disk_usage(folder).free / 1e9
    text = f"{free_gb:,.0f} GB free for worktrees at {folder}"
    if free_gb < _LEAST_FREE_GB:
        return Check("disk", "warn", text, "Make room, or set AUTORESEARCH_TREES to a folder with more.")
    return Check("disk", "ok", text)


def _key(environ: Mapping[str, str]) -> Check:
    try:
        find_key(environ)
    except Unavailable as no:
        return Check("claude key", "note", str(no))
    return Check("claude key", "ok", "found for agent.kind = claude")


# -- agent CLIs


def agent_cli(preset: Preset, environ: Mapping[str, str]) -> AgentCli:
    path = shutil.which(preset.program, path=environ.get("PATH", os.defpath))
    logged_in, by = _login(preset, path, environ) if path else (None, "")
    fix = ""
    if path is None:
        fix = f"`{preset.install}`"
    elif not logged_in:
        fix = preset.login
    return AgentCli(preset.name, preset.program, path, logged_in, by, preset.protection, fix)


def _login(preset: Preset, path: str, environ: Mapping[str, str]) -> tuple[bool | None, str]:
    for key in preset.keys:
        if environ.get(key):
            return True, key
    if preset.check:
        try:
            done = subprocess.run(
                [path, *preset.check], capture_output=True, check=False, timeout=PROBE_S, env=dict(environ),
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return None, ""
        return done.returncode == 0, f"`{preset.program} {' '.join(preset.check)}`"
    home = Path(environ.get("HOME") or Path.home())
    for name in preset.credentials:
        file = home / name
        if file.is_file() and file.stat().st_size > len("{}\n"):
            return True, f"~/{name}"
    return None, ""
