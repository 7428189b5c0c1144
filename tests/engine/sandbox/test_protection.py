"""How far a session is protected: by what a kernel offers, in words, and when that is too little."""

from __future__ import annotations

from dataclasses import replace

import pytest
from repos import TOML

from autoresearch.engine.sandbox import Kernel
from autoresearch.engine.sandbox import protection as level
from autoresearch.state.config import config as configs
from autoresearch.state.session import SessionError

UNHELD = {"emptying", "modes", "views", "processes"}
NAMED = {"modes", "processes", "hiding", "views", "shared memory", "sockets", "terminals"}
"""What Landlock alone cannot hold."""


@pytest.mark.parametrize(
    ("offered", "network", "name", "missing"),
    [
        (Kernel(7, False, True, True, True, True), "loopback", "full", set()),
        (Kernel(7, True, True, True, True, True), "off", "full", set()),
        (Kernel(7, True, True, True, True), "off", "partial", {"processes"}),
        (Kernel(7, True, True, True), "off", "partial", {"modes", "views", "processes"}),
        (Kernel(7), "loopback", "partial", {*NAMED, "datagrams", "loopback"}),
        (Kernel(7), "on", "partial", NAMED),
        (Kernel(10), "off", "partial", NAMED),
        (Kernel(3), "off", "partial", {*NAMED, "datagrams", "network", "signals"}),
        (Kernel(1, True, True, True), "off", "partial", {*UNHELD, "signals"}),
        (Kernel(1, True, True, True, True), "off", "partial", {"signals", "processes"}),
        (Kernel(0, True, True, True), "off", "partial", {*UNHELD, "writing", "signals"}),
        (Kernel(0, True, False, True), "off", "partial", {*NAMED, "writing", "reading", "emptying", "signals"}),
    ],
)  # fmt: skip
def test_levels(offered: Kernel, network: level.Network, name: str, missing: set[str]) -> None:
    found = level.level("auto", network, offered)
    assert (found.name, {row.name for row in found.missing}) == (name, missing)
    assert all(row.without in found.sentence for row in found.missing)


def test_nothing_and_off_say_so() -> None:
    assert level.level("auto", "loopback", Kernel()).name == "none"
    assert str(level.level("off")) == "off: runs are not confined: measure.confine is off"


def test_required_refuses_where_files_or_network_cannot_be_held() -> None:
    config = configs.with_change(configs.loads(TOML), "measure.confine", "required", "test")
    level.refuse_weak(config, Kernel(7))
    with pytest.raises(SessionError, match="TCP") as refused:
        level.refuse_weak(config, Kernel(3))
    assert refused.value.code == 2
    level.refuse_weak(replace(config, measure=replace(config.measure, network="on")), Kernel(3))
    with pytest.raises(SessionError, match="can write whatever"):
        level.refuse_weak(config, Kernel(0, True, True, True))
