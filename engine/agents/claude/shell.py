"""The shell of the agent `claude`: one bash command at a time in the propose tree, held by the kernel.

It is held more tightly than a measured run, because what it prints goes to a model: it writes the propose tree and
scratch folders of its own, and of the user's worktree, the repository's git directory, the sessions, the other trees,
keys, hidden paths and accelerators it sees nothing. It has no network but a loopback of its own. It runs under a
supervisor, at low priority and within limits, so that it takes as little as possible from a measurement beside it, and
nothing of a command is left when it has ended.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from autoresearch.engine import process, sandbox
from autoresearch.engine.agents import supervisor
from autoresearch.engine.agents.claude.files import PASSED_OVER, Refused
from autoresearch.engine.brief import quoted
from autoresearch.engine.files import least_free_mb
from autoresearch.engine.process import cut_log
from autoresearch.engine.sandbox import SECRET, Kernel, Scratch, View, holds_keys
from autoresearch.engine.workspace import Tree
from autoresearch.state.config import Config
from autoresearch.state.session import CONFIG_FILE, Place

USUAL_S, LONGEST_S = 120, 600
"""The time limit of a command: unless said, and at most."""
PROCESSES = 256
OUTPUT_MB = 64.0
SHOWN_MB = 0.016
"""Of what a command printed, the model gets its head and tail."""
_MARKED = 40_000
"""More characters than so much has with its marks."""
_MEMORY_SHARE = 4
"""A command gets one part of so many of the machine's memory: a measurement runs at the same time."""
_MOST_BESIDE = 200
"""A folder that holds what the shell needs, and more than this beside it, stays readable as a whole."""
_NO_ACCELERATOR = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "", "ROCR_VISIBLE_DEVICES": ""}
_OF_THE_SUPERVISOR = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")


class Shell:
    def __init__(
        self,
        config: Config,
        place: Place,
        tree: Tree,
        session: str,
        private: tuple[Path, ...],
        *,
        environ: Mapping[str, str] = os.environ,
        offered: Kernel | None = None,
    ) -> None:
        """`tree` is the propose tree, among the session's; `session` is by what recovery finds what is left running;
        `private` is where agents' logins lie."""
        self._config = config
        self._place = place
        self._tree = tree
        self._session = session
        self._private = private
        self._environ = environ
        self._offered = offered or sandbox.this_kernel()
        self._trees = tree.root.parent
        self._scratch = Scratch(self._trees / "shell")

    def missing(self) -> str:
        """Why it cannot be had here, as a sentence with the fix; "" when it can."""
        fix = "set agent.shell = false"
        if self._config.measure.confine == "off":
            return f'agent.shell needs confinement, and measure.confine is "off": set it to "auto", or {fix}.'
        lacking = [row.without for row in sandbox.level("auto", "loopback", self._offered).missing if row.essential]
        if lacking:
            return f"agent.shell cannot be confined on this machine ({', '.join(lacking)}): {fix}."
        if self._tree.root.is_relative_to(self._place.common_dir):
            return f"agent.shell hides .git, and the trees are in it: move AUTORESEARCH_TREES, or {fix}."
        if self._hidden_inside() and not self._offered.mounts:
            return f"agent.shell cannot hide measure.hidden in its own tree on this machine: {fix}."
        return ""

    def begin(self) -> None:
        """A proposal begins: nothing that an earlier one left in HOME or TMPDIR is there."""
        self._scratch.make_empty(Path(self._environ.get("HOME") or Path.home()))
        self._scratch.caches.mkdir(parents=True, exist_ok=True)

    async def run(self, script: str, limit_s: float) -> str:
        """What came of a bash script, for a model: how it ended, and what it printed as a quotation. Raises Refused."""
        if "\0" in script or not script.strip():
            raise Refused("command is empty." if not script.strip() else "A command has no NUL characters.")
        log = self._scratch.root / "output.log"
        log.unlink(missing_ok=True)
        began = time.monotonic()
        done = await process.run_async(self._command(script, limit_s, log))
        took_s = time.monotonic() - began
        cut_log(log, 0, SHOWN_MB)
        words = quoted(log.read_bytes().decode("utf-8", "replace"), _MARKED)
        log.unlink()
        how = f"exit code {done.code}" if done.cause in (None, "nonzero_exit") else f"ended: {done.detail}"
        said = f"It printed, untrusted:\n{words}" if words else "It printed nothing."
        return f"{how} ({took_s:.1f} s). {said}"

    def _command(self, script: str, limit_s: float, log: Path) -> process.Command:
        env = self._env()
        argv = supervisor.argv(
            ("bash", "-c", script), log=log, view=self._view(env), writable=self._writable(), environ=env
        )
        # The supervisor is not confined, so it reads nothing that the shell can write: not its HOME, not the tree.
        ours = {name: self._environ[name] for name in _OF_THE_SUPERVISOR if name in self._environ}
        return process.Command(
            argv=argv,
            cwd=self._tree.folder,
            env={**ours, "AUTORESEARCH_SESSION": self._session},
            output=log,
            timeout_s=limit_s,
            memory_mb=_memory_mb(),
            output_mb=OUTPUT_MB,
            processes=PROCESSES,
            free_mb=least_free_mb(),
        )

    def _env(self) -> dict[str, str]:
        """As a measured run has it, with scratch folders of its own, and without anything that is named like a key."""
        names = [name for name in self._config.measure.env if not SECRET.search(name)]
        scratch, venvs = self._scratch, [folder / ".venv" for folder in (self._tree.folder, self._place.folder)]
        env = sandbox.clean_environment(
            home=scratch.home,
            tmp=scratch.tmp,
            caches=scratch.caches,
            bin=scratch.bin,
            venvs=[(venv, venv) for venv in venvs],
            ceiling=self._trees,
            session=self._session,
            names=names,
            source=self._environ,
        )
        return env | _NO_ACCELERATOR

    # -- what it sees

    def _view(self, env: Mapping[str, str]) -> View:
        """Made for each command: what lies beside the tree changes. Raises Refused."""
        place, tree = self._place, self._tree
        hidden = sandbox.hidden_paths(self._config, place.folder)
        inside = self._hidden_inside() + self._secrets()
        if self._offered.mounts:
            hidden += inside
        elif inside:
            raise Refused(f"No command runs here: this machine cannot hide {inside[0].name}, which the tree holds.")
        needed = [tree.root, self._scratch.root, self._scratch.tmp, *self._linked(env)]
        covered = [
            place.common_dir,
            *self._private,
            *sandbox.key_places(self._environ),
            *sandbox.accelerator_devices(),
            *sandbox.all_beside(place.top, needed, _MOST_BESIDE),
            *(path for path in place.top.iterdir() if holds_keys(path.name)),
            *sandbox.all_beside(self._trees.parents[1], needed),  # all sessions' trees hold the toml with its hold-out
            *hidden,
        ]
        if self._config.holdout.run:
            covered.append(place.folder / CONFIG_FILE)
        if self._offered.mounts:
            covered += sandbox.socket_places(self._environ)
        return View(
            "off" if self._config.measure.network == "off" else "loopback",
            covered=tuple(covered),
            unlisted=tuple(hidden),
            fixed=(tree.root / ".git",),
            frozen_but=tuple(self._writable()) if self._offered.held else (),
            shared_mb=_memory_mb(),
        )

    def _writable(self) -> list[Path]:
        scratch = self._scratch
        # Shared memory is the shell's own only where it can be mounted.
        shared = [Path("/dev/shm")] if self._offered.mounts else []
        return [self._tree.root, scratch.home, scratch.tmp, scratch.caches, *shared]

    def _hidden_inside(self) -> list[Path]:
        found = sandbox.hidden_paths(self._config, self._tree.folder)
        return [path for path in found if path.is_relative_to(self._tree.root) and path.exists()]

    def _linked(self, env: Mapping[str, str]) -> list[Path]:
        """What of the user's worktree belongs to the tree, or is the environment that commands run in."""
        links = [(self._tree.folder / name).resolve() for name in self._config.scope.link]
        programs = [Path(entry) for entry in env["PATH"].split(os.pathsep)]
        programs += [entry.parent for entry in programs if (entry.parent / "pyvenv.cfg").exists()]
        programs += [Path(sys.prefix), Path(sys.base_prefix)]  # the spawner's own libraries
        return [*links, *(path.resolve() for path in programs if path.is_absolute())]

    def _secrets(self) -> list[Path]:
        """Files of the tree that the file tools do not show either."""
        found = []
        for folder, folders, files in os.walk(self._tree.root):
            folders[:] = [name for name in folders if name not in PASSED_OVER]
            found += [Path(folder, name) for name in files if holds_keys(name)]
        return found


def _memory_mb() -> float:
    return max(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20 / _MEMORY_SHARE, 1024.0)
