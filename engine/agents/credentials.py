"""The key of a language model: found in the environment or a file, and held so that it cannot be shown.

Nothing but the client factory may ask for the key itself. Whatever is written or sent goes through `Secrets.scrub`
first: an API's error text may repeat what it was sent.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from autoresearch.engine.agents.protocol import Unavailable
from autoresearch.engine.secrets import REDACTED

KEY, KEY_FILE, TOKEN, BASE_URL = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_API_KEY_FILE",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
)


class Key:
    """A secret with a representation that does not tell it."""

    __slots__ = ("_value", "bearer")

    def __init__(self, value: str, bearer: bool = False) -> None:
        self._value = value
        self.bearer = bearer
        """A token of a proxy or gateway, not a key of the API."""

    def __repr__(self) -> str:
        return f"Key({REDACTED})"

    def __reduce__(self) -> str:
        raise TypeError("a key is not written anywhere")

    def reveal(self) -> str:
        return self._value


def find_key(environ: Mapping[str, str]) -> Key:
    """The key to use, from ANTHROPIC_API_KEY, the file that ANTHROPIC_API_KEY_FILE names, or ANTHROPIC_AUTH_TOKEN.

    With an ANTHROPIC_BASE_URL none is needed: local models ask for none. Raises Unavailable with the fix.
    """
    if value := environ.get(KEY, "").strip():
        return Key(_sound(value, KEY))
    if name := environ.get(KEY_FILE, "").strip():
        return Key(_sound(_read(Path(name).expanduser()), name))
    if value := environ.get(TOKEN, "").strip():
        return Key(_sound(value, TOKEN), bearer=True)
    if environ.get(BASE_URL, "").strip():
        return Key("none")
    raise Unavailable(
        f"The agent 'claude' needs a key: set {KEY}, or {KEY_FILE} to a file that only you can read; "
        "without one, use `--agent tuner`."
    )


def base_url(environ: Mapping[str, str]) -> str | None:
    """The address of another server than Anthropic's. Raises Unavailable when it is none."""
    text = environ.get(BASE_URL, "").strip()
    if text and (urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname):
        raise Unavailable(f"{BASE_URL} is no address: write it as http://host:port, without /v1.")
    return text or None


def _read(path: Path) -> str:
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise Unavailable(f"{KEY_FILE} names {path}, which is not a regular file.")
        if info.st_mode & 0o077:
            raise Unavailable(f"Others can read the key in {path}: `chmod 600 {path}`, then start again.")
        value = path.read_text("ascii", "replace").strip()
    except OSError as error:
        raise Unavailable(f"{KEY_FILE} names {path}, which cannot be read: {error.strerror}.") from error
    if not value:
        raise Unavailable(f"{KEY_FILE} names {path}, which is empty; put the key into it.")
    return value


def _sound(value: str, where: str) -> str:
    """A key can stand in a header; the library's own error would repeat the value."""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise Unavailable(f"What stands in {where} is no key: it has spaces or characters that no key has.")
    return value
