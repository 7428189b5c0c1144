"""What a measured process may touch, as far as the kernel of this machine can hold it to that.

It may write its own tree, its scratch folders and what the target declares; it may read everything but keys, hidden
paths and the session folders; it has the network that the target asks for, and no privileges, also under root. Commands
are started by a spawner (`spawner`), one for each view of the machine, which lives as long as the engine.

What the kernel or the account does not offer is left out and named (`level`), never silently.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from autoresearch.engine import process
from autoresearch.engine.sandbox.accelerator import closed_inside
from autoresearch.engine.sandbox.caches import Caches
from autoresearch.engine.sandbox.environment import SECRET, clean_environment, in_place_caches
from autoresearch.engine.sandbox.kernel import TRUNCATE_ABI, Kernel, overlays, processors, this_kernel
from autoresearch.engine.sandbox.layers import Stack
from autoresearch.engine.sandbox.places import disks, hidden_paths, holds_keys, key_places, socket_places, worktrees
from autoresearch.engine.sandbox.protection import Network, level
from autoresearch.engine.sandbox.scratch import Scratch
from autoresearch.engine.sandbox.spawner import Spawner, View
from autoresearch.engine.sandbox.view import Wanted, seen, to_show
from autoresearch.state.config import Config
from autoresearch.state.session import Place, SessionError

Role = Literal["setup", "build", "run", "guard", "evaluate", "holdout"]
"""`holdout` is one that stands alone, where `run` would."""
EVALUATORS: tuple[Role, ...] = ("evaluate", "holdout")
"""They may read what is hidden, and get `evaluate_env`."""


# -- a session's measured commands


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a session stands on this machine."""

    place: Place
    trees: Path
    """The folder of its trees."""
    trees_of_all: Path
    """The folder of the trees of all sessions of its repository."""
    private: tuple[Path, ...]
    """Where agents' logins lie."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def root(self) -> Path:
        """Where commands find their tree."""
        return self.trees / "tree"

    @property
    def folder(self) -> Path:
        """The target's folder in it."""
        return self.root / self.place.prefix

    @property
    def scratch(self) -> Scratch:
        return Scratch(self.trees / "scratch")

    @property
    def home(self) -> Path | None:
        """The user's, real; None for those who have none of their own."""
        home = Path(self.environ.get("HOME") or Path.home()).resolve()
        return home if home.is_dir() and home != Path("/") else None


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
        self._environments: dict[tuple[object, ...], dict[str, str]] = {}
        confined = self.level.name not in ("off", "none")
        if confined:
            processors()
        self.has_views = confined and overlays(ground.trees / "layers", self._kernel)
        """Whether each command finds its stack mounted; else it is copied to the tree's place."""
        self.caches = Caches(ground.trees / "cached", ground.trees / "caches", has_views=self.has_views)
        self._extra = self._writable()
        if confined and self._kernel.mounts:
            self._refuse_shared_memory()

    @property
    def copies(self) -> str:
        """What to say where commands get copies of the tree for want of a fitting disk; else ""."""
        if self.has_views or self.level.name in ("off", "none") or not self._kernel.held:
            return ""
        return (
            f"Each command gets a copy of the tree and a spare HOME: no overlay can be made in {self._ground.trees} "
            "(AUTORESEARCH_TREES can name a folder on another disk, such as a volume)."
        )

    def spawn(self, role: Role, stack: Stack | None = None) -> process.Spawn:
        """What starts the commands of this role on this stack."""
        if self.level.name in ("off", "none"):
            return process.spawn
        view = self._view(role)
        spawner = self._spawners.setdefault(view, Spawner(view, self._offered))
        found = seen(self._wanted(role, stack)) if self.has_views and stack is not None else None
        writable = [] if self.has_views else self._folders(role)

        def spawn(command: process.Command, env: Mapping[str, str], output: int) -> process.Child:
            nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return spawner.start(command, env, (nothing, output, output), writable, found)
            finally:
                os.close(nothing)

        return spawn

    def environment(self, role: Role, stack: Stack, session: str) -> dict[str, str]:
        """What all commands of a role find in theirs; `session` is by what recovery finds what is left running."""
        key = (role, session, *stack.trees)
        if key not in self._environments:
            if len(self._environments) > _MOST_ENVIRONMENTS:
                self._environments.clear()
            self._environments[key] = self._environment(role, stack, session)
        return self._environments[key]

    def _environment(self, role: Role, stack: Stack, session: str) -> dict[str, str]:
        ground, settings = self._ground, self._config.measure
        made = [(layer / ground.place.prefix / ".venv", ground.folder / ".venv") for layer in stack.trees]
        users = ground.place.folder / ".venv"
        scratch = ground.scratch
        own = (ground.home or Path("/tmp"), Path("/tmp")) if self.has_views else (scratch.home, scratch.tmp)
        return clean_environment(
            home=own[0],
            tmp=own[1],
            caches=self.caches.place(role in EVALUATORS),
            bin=scratch.bin,
            venvs=[*made, (users, users)],
            ceiling=ground.trees,
            session=session,
            names=(*settings.env, *(settings.evaluate_env if role in EVALUATORS else ())),
            online=self.network(role) == "on",
            source=ground.environ,
            in_place=not self.has_views,
        )

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
        return any(real.is_relative_to(folder) for folder in self._extra)

    def writes(self, path: Path) -> bool:
        """Whether a run can write at this path, be it for itself alone."""
        ground = self._ground
        own = [ground.place.top, ground.root, *map(Path, _TEMPORARY), *([ground.home] if ground.home else [])]
        return self.gives(path) or (self.has_views and any(path.is_relative_to(place) for place in own))

    def closes_accelerator(self, stack: Stack) -> str:
        """What to say when the machine's accelerator opens outside a run's view and not in it; else ""."""
        return "" if self.level.name in ("off", "none") else closed_inside(stack.root, self.spawn("run", stack))

    def make_empty(self) -> None:
        """HOME and the temporary folder as they are before each command, where it has no view of its own."""
        if not self.has_views:
            self._ground.scratch.make_empty()

    def close(self) -> None:
        for spawner in self._spawners.values():
            spawner.close()

    # -- with views

    def _wanted(self, role: Role, stack: Stack) -> Wanted:
        ground, place = self._ground, self._ground.place
        hidden = [] if role == "setup" or role in EVALUATORS else self._hidden()
        in_tree = [
            place.below + name for name in (*_keys_of(stack.checkout / place.prefix), *self._hidden_in_tree(role))
        ]
        env = self.environment(role, stack, "")
        passed = (name for name in env if env[name] == ground.environ.get(name) or name in ("PATH", "VIRTUAL_ENV"))
        own = [ground.scratch.bin] if ground.scratch.bin.exists() else []
        variables = tuple(env[name] for name in passed if name not in ("HOME", "TMPDIR"))
        caches = self._in_place(role)
        return Wanted(
            stack=stack,
            trees=ground.trees_of_all,
            top=place.top,
            home=ground.home,
            shown=(*to_show(variables, ground.trees_of_all, place.top, ground.home), *own),
            named=self._named,
            writable=(*self._extra, *caches),
            caches=tuple(self.caches.of(role, stack.layer, stack.caches, ground.home)),
            covered=tuple(place for place in (*self._private, *hidden) if os.path.exists(place)),  # noqa: PTH110 - hot
            durable=self._config.measure.durable,
            covered_in_tree=tuple(path for path in in_tree if path not in stack.linked),
        )

    @cached_property
    def _named(self) -> tuple[Path, ...]:
        """What commands, variables and `hidden` name by a whole path."""
        settings = self._config.measure
        commands = [settings.setup, settings.build, settings.run, settings.evaluate, self._config.holdout.run]
        commands += [guard.run for guard in self._config.guard]
        said = [word for command in commands for word in ([command] if isinstance(command, str) else command)]
        said += [self._ground.environ.get(name, "") for name in (*settings.env, *settings.evaluate_env)]
        names = [name for text in said for name in _WHOLE_PATH.findall(text)]
        names += [name for name in settings.hidden if Path(name).is_absolute()]
        return tuple(Path(os.path.normpath(name)) for name in dict.fromkeys(names))

    def _in_place(self, role: Role) -> list[Path]:
        """Package caches outside of HOME that those with the network may fill."""
        if role != "setup" and self.network(role) != "on":
            return []
        home = self._ground.home
        found = in_place_caches(self._ground.environ)
        return [
            path.resolve() for path in found if path.is_dir() and not (home and path.resolve().is_relative_to(home))
        ]

    @cached_property
    def _private(self) -> tuple[Path, ...]:
        ground = self._ground
        found = (ground.place.common_dir, *ground.private, *key_places(ground.environ))
        return (*found, *socket_places(ground.environ)) if self._kernel.mounts else found

    def _hidden_in_tree(self, role: Role) -> list[str]:
        if role == "setup" or role in EVALUATORS:
            return []
        return [name.strip("/") for name in self._config.measure.hidden if not Path(name).expanduser().is_absolute()]

    # -- without

    def _folders(self, role: Role) -> list[Path]:
        ground = self._ground
        scratch = [ground.scratch.home, ground.scratch.tmp, self.caches.place(role in EVALUATORS)]
        ground.root.mkdir(parents=True, exist_ok=True)
        found = [ground.root, *scratch, *self._extra, Path("/dev/shm")]
        if role == "setup" or self.network(role) == "on":
            found += in_place_caches(ground.environ)
        return found

    def _view(self, role: Role) -> View:
        ground, scores, memory_mb = self._ground, role in EVALUATORS, self._config.measure.memory_mb
        if self.has_views:
            return View(self.network(role), frozen_but=(ground.trees,), nests=scores, shared_mb=memory_mb)
        hidden = [] if role == "setup" or scores else self._hidden()
        private = [*self._private, *([] if self._kernel.held else disks())]
        folders = tuple(self._folders(role)) if self._kernel.held else ()
        return View(
            self.network(role),
            covered=(*private, *hidden),
            unlisted=tuple(hidden),
            held=folders if scores else (),
            frozen_but=() if scores else folders,
            shared_mb=memory_mb,
        )

    @property
    def _kernel(self) -> Kernel:
        return self._offered or this_kernel()

    def _hidden(self) -> list[Path]:
        """A relative path is one of the target's folder: in every worktree of the user's, and in the tree."""
        ground = self._ground
        folders = [top / ground.place.prefix for top in worktrees(ground.place)]
        # Where nothing can be covered, hiding a part of a tree would hide all new files in it.
        if self._kernel.mounts:
            folders.append(ground.folder)
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


_MOST_ENVIRONMENTS = 100
_TEMPORARY = ("/tmp", "/var/tmp")
_WHOLE_PATH = re.compile(r"(?<![\w.$}/])/[^\s'\"`;|&<>(){}:,=$*?\\]+")


def _keys_of(folder: Path) -> list[str]:
    """What in the target's own folder holds keys by its name; it is seen where `scope.link` names it."""
    return sorted(path.name for path in folder.iterdir() if holds_keys(path.name)) if folder.is_dir() else []
