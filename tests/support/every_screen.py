"""Every screen there is, by the keys that lead to it: for tests that hold on all of them."""

from __future__ import annotations

from pathlib import Path

import sessions

from autoresearch.state.journal import records

OF_SESSION: dict[str, tuple[str, ...]] = {
    "dashboard": (),
    "log": ("2", "z"),
    "ideas pane": ("3", "z"),
    "dead ends pane": ("4", "z"),
    "now": ("5", "z"),
    "chart": ("6", "z"),
    "experiments filtered": ("1", "slash", *"zz"),
    "ideas": ("d", "1"),
    "dead ends": ("d", "2"),
    "families": ("d", "3"),
    "search": ("d", "4", *"depth"),
    "messages": ("M",),
    "before a restart": ("B",),
    "next brief": ("B", "b"),
    "experiment": ("1", "j", "enter"),
    "diff": ("1", "j", "enter", "2"),
    "logs": ("1", "j", "enter", "3"),
    "outputs": ("1", "j", "enter", "4"),
    "idea": ("i",),
    "message": ("m",),
    "stop": ("s",),
    "palette": ("ctrl+p",),
    "help": ("question_mark",),
    "sessions": ("ctrl+o",),
}


def empty(folder: Path) -> sessions.Writer:
    """A session whose engine has only just made it, and ended."""
    writer = sessions.Writer(folder)
    writer.begin()
    writer.add(records.Stop(reason="stopped by ann", by="ann"))
    writer.flush()
    return writer


OPENED = {
    **dict.fromkeys(("ideas", "dead ends", "families", "search"), "IdeasScreen"),
    "messages": "SteerScreen",
    **dict.fromkeys(("before a restart", "next brief"), "ReturningScreen"),
    **dict.fromkeys(("experiment", "diff", "logs", "outputs"), "ExperimentScreen"),
    **dict.fromkeys(("idea", "message"), "Ask"),
    "palette": "Commands",
    "help": "Page",
    "sessions": "HomeScreen",
}
"""The screen that stands above the dashboard then."""
