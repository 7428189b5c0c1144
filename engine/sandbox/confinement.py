"""What a measured process may touch, as far as the kernel of this machine can hold it to that.

It may write its own tree, its scratch folders and what the target declares; it may read everything but keys, hidden
paths and the session folders; it has the network that the target asks for, and no privileges, also under root. Commands
are started by a spawner (`spawner`), one for each view of the machine, which lives as long as the engine.

What the kernel or the account does not offer is left out and named (`level`), never silently.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from autoresearch.engine import process
from autoresearch.engine.sandbox.accelerator import closed_inside
from autoresearch.engine.sandbox.environment import SECRET, in_place_caches
from autoresearch.engine.sandbox.kernel import TRUNCATE_ABI, Kernel, processors, this_kernel
from autoresearch.engine.sandbox.places import disks, hidden_paths, key_places, socket_places
from autoresearch.engine.sandbox.protection import Network, level
from autoresearch.engine.sandbox.scratch import Scratch
from autoresearch.engine.sandbox.spawner import Spawner, View
from autoresearch.state.config import Config
from autoresearch.state.session import Place, SessionError

Role = Literal["setup", "run", "evaluate", "holdout"]
"""`run` is also `build` and the guards; `holdout` one that stands alone, where `run` would."""
EVALUATORS: tuple[Role, ...] = ("evaluate", "holdout")
"""They may read what is hidden, and get `evaluate_env`."""


# -- a session's measured commands


class Rooted(Protocol):
    """A tree in which commands run."""

    root: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a session stands on this machine."""

    place: Place
    trees: Path
    """The folder of its trees."""
    measure: Rooted
    evaluate: Rooted | None
    private: tuple[Path, ...]
    """Where agents' logins lie."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def scratch(self) -> Scratch:
        return Scratch(self.trees / "scratch")


def agent_view(config: Config, place: Place, trees: Path, tree: Path) -> View | None:
    """What an agent's CLI sees: it edits its tree and keeps its own files below HOME, and has the network.

    Everything else that is the session's or the user's repository is read-only. With Landlock's rules instead of
    mounts, no new file can be made in HOME itself when the repository or the trees lie below it. None where neither is.
    """
    if config.measure.confine == "off" or not (this_kernel().held or this_kernel().landlock >= TRUNCATE_ABI):
        return None
    home = Path.home()
    named = [Path(os.environ[name]) for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
             "XDG_RUNTIME_DIR", "TMPDIR") if os.environ.get(name)]  # fmt: skip
    guarded = [path.resolve() for path in (place.top, place.common_dir, trees)]
    return View(
        "on",
        covered=tuple(hidden_paths(config, place.folder)),
        held=(home, Path("/tmp"), Path("/var/tmp"), *named),
        guarded=tuple(path for path in guarded if not home.resolve().is_relative_to(path)),
        inner=(tree, tree.with_name(f"{tree.name}.git")),
    )


class Confinement:
    """How the measured commands of one session are started."""

    def __init__(self, config: Config, ground: Ground, offered: Kernel | None = None) -> None:
        """Raises SessionError for declared paths that cannot be."""
        self.level = level(config.measure.confine, config.measure.network, offered)
        self._config = config
        self._ground = ground
        self._offered = offered
        self._spawners: dict[View, Spawner] = {}
        if self.level.name not in ("off", "none"):
            processors()
        self._extra = self._writable()
        if self.level.name not in ("off", "none") and self._kernel.mounts:
            self._refuse_shared_memory()

    def spawn(self, role: Role) -> process.Spawn:
        """What starts the commands of this role."""
        if self.level.name in ("off", "none"):
            return process.spawn
        view = self._view(role)
        spawner = self._spawners.setdefault(view, Spawner(view, self._offered))
        writable = self._folders(role)

        def spawn(command: process.Command, env: Mapping[str, str], output: int) -> process.Child:
            nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return spawner.start(command, env, (nothing, output, output), writable)
            finally:
                os.close(nothing)

        return spawn

    def network(self, role: Role) -> Network:
        """An evaluator that is given a key is given the network too: it asks somebody with it."""
        if role == "setup":
            return "on"
        if role in EVALUATORS and any(SECRET.search(name) for name in self._config.measure.evaluate_env):
            return "on"
        return self._config.measure.network

    def gives(self, path: Path) -> bool:
        """Whether a run is given what is there to write, which a link may lead to."""
        real = path.resolve()
        return any(real.is_relative_to(folder.resolve()) for folder in self._folders("run"))

    def closes_accelerator(self) -> str:
        """What to say when the machine's accelerator opens outside a run's view and not in it; else ""."""
        return "" if self.level.name in ("off", "none") else closed_inside(self._ground.trees, self.spawn("run"))

    def close(self) -> None:
        for spawner in self._spawners.values():
            spawner.close()

    def _folders(self, role: Role) -> list[Path]:
        ground = self._ground
        tree = ground.evaluate if role == "evaluate" and ground.evaluate else ground.measure
        own = ground.scratch.for_evaluators() if role in EVALUATORS else ground.scratch
        scratch = [own.home, own.tmp, own.caches]
        own.caches.mkdir(parents=True, exist_ok=True)
        found = [tree.root, *scratch, *self._extra, Path("/dev/shm")]
        if role == "setup" or self.network(role) == "on":
            found += in_place_caches(ground.environ)
        return found

    def _view(self, role: Role) -> View:
        ground = self._ground
        hidden = [] if role == "setup" or role in EVALUATORS else self._hidden()
        # What is hidden in the repository could be read from its objects.
        inside = any(path.is_relative_to(ground.place.top) for path in hidden)
        private = [
            *((ground.place.common_dir,) if inside else (ground.place.sessions_dir, ground.place.states_dir)),
            *ground.private,
            *key_places(ground.environ),
        ]
        if self._kernel.mounts:
            private += socket_places(ground.environ)
        if not self._kernel.held:
            private += disks()
        trees = [tree.root / ".git" for tree in (ground.measure, ground.evaluate) if tree is not None]
        # An evaluator may have processes of its own to confine.
        scores = role in EVALUATORS
        folders = tuple(self._folders(role)) if self._kernel.held else ()
        return View(
            self.network(role),
            covered=(*private, *hidden),
            unlisted=tuple(hidden),
            fixed=tuple(trees),
            held=folders if scores else (),
            frozen_but=() if scores else folders,
            shared_mb=self._config.measure.memory_mb,
        )

    @property
    def _kernel(self) -> Kernel:
        return self._offered or this_kernel()

    def _hidden(self) -> list[Path]:
        """A relative path is one of the target's folder: in the user's worktree and in the tree."""
        folders = [self._ground.place.folder]
        # Where nothing can be covered, hiding a part of a tree would hide all new files in it.
        if self._kernel.mounts:
            folders += [tree.folder for tree in (self._ground.measure, self._ground.evaluate) if tree]
        return list(dict.fromkeys(path for folder in folders for path in hidden_paths(self._config, folder)))

    def _refuse_shared_memory(self) -> None:
        ground = self._ground
        for path in (ground.trees, ground.place.common_dir, ground.place.top, *self._extra):
            if path.resolve().is_relative_to("/dev/shm"):
                raise SessionError(
                    f"{path} lies in /dev/shm, of which confined runs have one of their own: move it "
                    '(AUTORESEARCH_TREES names the folder of the trees), or set measure.confine = "off".'
                )

    def _writable(self) -> list[Path]:
        ground = self._ground
        found = []
        for name in self._config.measure.writable:
            path = ground.place.folder / Path(name).expanduser()
            if not path.exists():
                raise SessionError(f"measure.writable names {path}, which is not there; make it first.")
            real = path.resolve()
            guarded = (ground.place.common_dir.resolve(), ground.trees.resolve())
            if any(place.is_relative_to(real) or real.is_relative_to(place) for place in guarded):
                raise SessionError(
                    f"measure.writable names {path}, which holds the session or its trees; name a folder beside them."
                )
            found.append(real)
        return found
