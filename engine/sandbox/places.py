"""Where keys, sockets, devices and disks of a machine lie."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from autoresearch.state.config import Config
from autoresearch.state.session import Place

_KEYS = (
    ".ssh .gnupg .aws .azure .kube .netrc .pypirc .npmrc .yarnrc.yml .git-credentials .password-store .my.cnf .pgpass "
    ".config/gcloud .config/gh .config/git/credentials .config/hub .config/op .config/anthropic .config/openai "
    ".config/rclone .config/containers .config/google-chrome .config/chromium .mozilla .docker/config.json "
    ".local/share/keyrings .cargo/credentials .cargo/credentials.toml .kaggle .huggingface/token "
    ".cache/huggingface/token .cache/huggingface/stored_tokens .bash_history .zsh_history .python_history .lesshst"
).split()
_SYSTEM_KEYS = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d",
                "/etc/ssl/private", "/etc/krb5.keytab", "/var/lib/docker", "/var/lib/containerd")  # fmt: skip
_KEY_FILES = (
    ".env", ".env.*", "*.env", ".envrc", ".netrc", ".npmrc", ".pypirc", ".git-credentials", "credentials",
    "credentials.json", "secrets.toml", "secrets.json", "secrets.yml", "secrets.yaml", ".htpasswd", "*.pem", "*.key",
    "*.p12", "*.pfx", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.kdbx",
)  # fmt: skip
_SOCKETS = ("/run/docker.sock", "/run/containerd", "/run/podman", "/run/crio", "/run/dbus/system_bus_socket",
            "/run/systemd/private", "/run/snapd.socket", "/run/snapd-snap.socket", "/run/libvirt", "/run/screen",
            "/run/user", "/tmp/.X11-unix")  # fmt: skip
"""By which other programs take orders that would be carried out outside."""
_ACCELERATORS = ("dri", "kfd", "dxg", "nvidia*", "accel*", "infiniband", "mali*", "davinci*")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", *_ACCELERATORS)


def key_places(environ: Mapping[str, str]) -> list[Path]:
    """Where keys lie, whether they are there or not; agents know where their own logins do."""
    home = Path(environ.get("HOME") or Path.home())
    named = [Path(environ[name]).expanduser() for name in ("NETRC", "AWS_SHARED_CREDENTIALS_FILE",
             "GOOGLE_APPLICATION_CREDENTIALS", "KUBECONFIG") if environ.get(name)]  # fmt: skip
    return [*(home / name for name in _KEYS), *named, *map(Path, _SYSTEM_KEYS)]


def holds_keys(name: str) -> bool:
    """Whether a file of this name usually holds keys. Examples (`.env.example`) do not."""
    if name.endswith((".example", ".sample", ".template")):
        return False
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in _KEY_FILES)


def socket_places(environ: Mapping[str, str]) -> list[Path]:
    named = [Path(environ["SSH_AUTH_SOCK"]).parent] if environ.get("SSH_AUTH_SOCK", "").startswith("/tmp/") else []
    tmux = Path(environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{os.getuid()}"
    return [*map(Path, _SOCKETS), tmux, *named]


def accelerator_devices() -> list[Path]:
    """The devices of this machine that compute."""
    return [path for pattern in _ACCELERATORS for path in Path("/dev").glob(pattern)]


def devices() -> list[str]:
    found = [path for pattern in _DEVICES for path in Path("/dev").glob(pattern)]
    return [str(path) for path in found if not path.is_symlink()]


def disks() -> list[Path]:
    return [path for path in Path("/dev").iterdir() if path.is_block_device()]


def real_paths(paths: Sequence[Path]) -> list[str]:
    """Those that are there, by their real paths, without what lies below another."""
    found = sorted({os.path.realpath(path) for path in paths if os.path.lexists(path)})
    kept: list[str] = []
    for path in found:
        if not (kept and path.startswith(kept[-1] + "/")) and Path(path).exists():
            kept.append(path)
    return kept


def all_beside(folder: Path, needed: Sequence[Path], most: int = sys.maxsize) -> Iterator[Path]:
    """All in a folder that is not on the way to something in `needed`, real paths.

    Nothing of a folder with more than `most` entries that holds something needed.
    """
    if folder in needed:
        return
    ahead = [path for path in needed if path.is_relative_to(folder)]
    if not ahead:
        yield folder
        return
    try:
        entries = [entry for entry in folder.iterdir() if not entry.is_symlink()]
    except (FileNotFoundError, PermissionError):
        return
    if len(entries) <= most:
        for entry in entries:
            yield from all_beside(entry, ahead, most)


def worktrees(place: Place) -> list[Path]:
    """The tops of every worktree of the user's repository that is there."""
    found = [place.top, *([place.common_dir.parent] if place.common_dir.name == ".git" else [])]
    for pointer in (place.common_dir / "worktrees").glob("*/gitdir"):
        with contextlib.suppress(OSError):
            found.append(Path(pointer.read_text().strip()).parent)
    return [path for path in dict.fromkeys(found) if path.is_dir()]


def hidden_paths(config: Config, folder: Path) -> list[Path]:
    """What `measure.hidden` means below the target's folder, in the user's worktree or in a tree."""
    return [folder / Path(name).expanduser() for name in config.measure.hidden]
