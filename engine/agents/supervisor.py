"""Runs one agent CLI and leaves nothing of it behind.

A process of its own and a subreaper of its own: what the CLI detaches is inherited here, not by the engine, so a
measurement that ends meanwhile never takes an agent's children for its own leftovers, and they never outlive the agent.
It ends everything when the CLI has ended, when it gets TERM, and when the engine is gone.

A CLI's stream of JSON lines is stored as it is (`--raw`) and rendered into the log; its stderr, and the stdout of a CLI
that writes text, go into the log line by line. The values of the user's keys are taken out of everything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from autoresearch.engine import process
from autoresearch.engine.agents.cli_stream import CliStream
from autoresearch.engine.sandbox import Spawner, View, view_from_json, view_to_json
from autoresearch.engine.secrets import Secrets, in_environment

GRACE_S = 3.0
"""Less than the engine grants us, so that we are done first."""
RAW_MB = 256.0
"""Of the raw stream; what comes beyond it is rendered and not stored."""
_NO_LIMIT_S = 10 * 365 * 86400.0
_LONGEST_LINE = 16 * 2**20
NICE = 10
_START = "import sys; from autoresearch.engine.agents.supervisor import main; sys.exit(main())"
"""Not -m: the room's door imports this module too, and Python warns, into the log, of one that is there twice."""


def argv(
    command: Sequence[str], *, log: Path, stdin: Path | None = None, raw: Path | None = None, form: str = "text",
    view: View | None = None, writable: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> list[str]:  # fmt: skip
    """The command line that runs `command` under a supervisor. -P: the tree may hold an `autoresearch` of its own.

    `writable` is what a `view` that holds no mounts lets it write; `environ` its environment, unless the supervisor's.
    """
    words = [sys.executable, "-P", "-c", _START, "--log", str(log), "--form", form]
    for flag, value in (("--stdin", stdin), ("--raw", raw)):
        words += [flag, str(value)] if value is not None else []
    words += ["--view", view_to_json(view)] if view is not None else []
    words += [word for path in writable for word in ("--writable", str(path))]
    words += ["--environ", json.dumps(dict(environ))] if environ is not None else []
    return [*words, "--", *command]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="supervisor")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--form", default="text")
    parser.add_argument("--stdin", type=Path)
    parser.add_argument("--raw", type=Path)
    parser.add_argument("--view", type=view_from_json)
    parser.add_argument("--writable", type=Path, action="append", default=[])
    parser.add_argument("--environ", type=json.loads, default=dict(os.environ))
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    halt = process.Halt()
    signal.signal(signal.SIGTERM, lambda *_: halt.set())
    threading.Thread(target=_watch_parent, args=(os.getppid(), halt), daemon=True).start()
    os.nice(NICE)
    command = process.Command(
        argv=options.command,
        cwd=Path.cwd(),
        env=options.environ,
        output=options.log,
        timeout_s=_NO_LIMIT_S,
        output_mb=0,
        grace_s=GRACE_S,
    )
    spawner = Spawner(options.view) if options.view is not None else None
    streams = _Streams(options.stdin, options.raw, options.form, spawner, options.writable)
    done = process.run(command, halt, streams.spawn)
    streams.finish()
    if spawner is not None:
        spawner.close()
    if done.cause == "interrupted":
        return 128 + signal.SIGTERM
    return 1 if done.code is None else done.code if done.code >= 0 else 128 - done.code


def _watch_parent(parent: int, halt: process.Halt) -> None:
    """An engine that was killed cannot tell us: we are somebody else's child then."""
    while os.getppid() == parent:
        time.sleep(0.5)
    halt.set()


@dataclass(slots=True)
class _Streams:
    """The CLI's stdin, stdout and stderr. What it prints passes through here: no key of the user's is stored."""

    stdin: Path | None
    raw: Path | None
    form: str
    spawner: Spawner | None
    writable: Sequence[Path]
    readers: list[threading.Thread] = field(default_factory=list)

    def spawn(self, command: process.Command, env: Mapping[str, str], output: int) -> process.Child:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context((self.stdin or Path(os.devnull)).open("rb"))
            out, theirs = self._pipe(stack)
            err, theirs_too = self._pipe(stack) if self.raw is not None else (None, theirs)
            files = (source.fileno(), theirs.fileno(), theirs_too.fileno())
            if self.spawner is not None:
                child = self.spawner.start(command, env, files, self.writable)
            else:
                child = process.start_unconfined(command, env, files)
        secrets = Secrets(in_environment(env))
        if self.raw is not None:
            self._start(self._render, out, os.dup(output), secrets, self.raw)
            self._start(self._copy, err, os.dup(output), secrets)
        else:
            self._start(self._copy, out, os.dup(output), secrets)
        return child

    def _pipe(self, stack: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
        """What we read, and what the CLI writes, which is closed here once it has it."""
        ours, theirs = os.pipe()
        return os.fdopen(ours, "rb"), stack.enter_context(os.fdopen(theirs, "wb", 0))

    def _start(self, read: Callable[..., None], *args: object) -> None:
        reader = threading.Thread(target=read, args=args, daemon=True)
        self.readers.append(reader)
        reader.start()

    def _render(self, pipe: BinaryIO, log: int, secrets: Secrets, raw: Path) -> None:
        stream = CliStream(self.form)
        with pipe, open(log, "wb", 0) as shown, raw.open("ab") as stored:
            room = RAW_MB * 2**20 - stored.tell()
            for line in _lines(pipe, secrets):
                room -= len(line)
                if room >= 0:
                    stored.write(line)
                    stored.flush()
                if text := stream.feed(line):
                    shown.write(text.encode("utf-8", "replace") + b"\n")

    def _copy(self, pipe: BinaryIO, log: int, secrets: Secrets) -> None:
        with pipe, open(log, "wb", 0) as shown:
            for line in _lines(pipe, secrets):
                shown.write(line)

    def finish(self) -> None:
        """Everything that held the pipes has ended, so what is left in them is soon read."""
        for reader in self.readers:
            reader.join(timeout=30)


def _lines(pipe: BinaryIO, secrets: Secrets) -> Iterator[bytes]:
    while line := pipe.readline(_LONGEST_LINE):
        yield secrets.scrub(line.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
