"""Whose a file in a session's folder is, and whether it may speak to the engine.

Three users may: this process's own, the owner of the session's folder (who could write the journal itself), and root
(who can do anything anyway, and does run engines on other people's repositories).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat


def refusal(info: os.stat_result, folder_owner: int) -> str:
    """Why a file is not taken, as the end of a sentence that begins with its name; "" when it is. From an lstat."""
    if stat.S_ISLNK(info.st_mode):
        return "is a symbolic link"
    if not stat.S_ISREG(info.st_mode):
        return "is no regular file"
    if info.st_uid not in (os.geteuid(), 0, folder_owner):
        return f"belongs to another user ({user_name(info.st_uid)})"
    if info.st_nlink > 1:
        return "has another name elsewhere (a hard link)"
    return ""


def user_name(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"uid {uid}"
