"""The trees of one slot: two commits are ready at once, so that a change and the best can take turns.

Each has its checkout, what `build` made of it, and its caches; what `setup` left is below all of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoresearch.engine.files import NotTaken, copy, remove, remove_regular
from autoresearch.engine.sandbox import Confinement, Copied, Layer, Layers, Overlaid, Role, Stack, make_above, snapshot
from autoresearch.engine.workspace import Checkout, Scope, Workspace
from autoresearch.state.config import Config
from autoresearch.state.session import Place, SessionError

_SETUP, _KEY = "setup", "key"
_KEPT = ("of-runs", "of-judges")
"""The folders of `measure.cache`."""


@dataclass(slots=True)
class Base:
    """A commit that is ready to be measured."""

    checkout: Checkout
    built: Layer | None = None
    caches: Layer | None = None


def stacks_of(workspace: Workspace, config: Config, confinement: Confinement, base: str) -> Stacks:
    """Those of a session that began at `base`, ready for its first command. Raises SessionError where none can be."""
    checkouts = workspace.checkouts(base)
    made = Stacks(workspace.folder, checkouts, confinement, workspace.scope, workspace.place, config)
    made.open()
    return made


class Stacks:
    def __init__(
        self,
        folder: Path,
        checkouts: Sequence[Checkout],
        confinement: Confinement,
        scope: Scope,
        place: Place,
        config: Config,
    ) -> None:
        """`folder` is the session's of trees."""
        self.root = folder / "tree"
        self._folder = folder
        self._confinement = confinement
        self._scope = scope
        self._prefix = place.prefix
        self._cache = [place.below + path.strip("/") for path in config.measure.cache]
        self._linked = {place.below + link.strip("/"): place.folder / link.strip("/") for link in config.scope.link}
        self._bases = [Base(checkout) for checkout in checkouts]
        """The one that was used last comes last."""
        self._layers = Layers(folder / "layers")
        self._maker = Overlaid() if confinement.has_views else Copied()
        self._prepared: Layer | None = None
        self._seen: dict[Path, dict[str, tuple[int, ...]]] | None = None if confinement.level.holds("writing") else {}
        """Where commands can write to what lies below them: how it was."""
        self.is_spoiled = False
        """A command changed what `setup` had left, so it has to run again."""

    def open(self) -> None:
        """With nothing of an engine before this one but what `setup` left."""
        try:
            self._layers.begin(keep=(_SETUP,))
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SessionError(
                f"{self._folder} cannot be made ({error.strerror}), and experiments run there; "
                "set AUTORESEARCH_TREES to a folder that can be written.",
                code=1,
            ) from None

    def close(self) -> None:
        self._layers.close()

    # -- commits

    def ready(self, sha: str) -> Base:
        """The commit's files, in the place of those that were not used for longest."""
        base = next((base for base in self._bases if base.checkout.sha == sha), self._bases[0])
        if base.checkout.sha != sha:
            self._forget(base)
            base.checkout.at(sha)
            if self._seen is not None:
                self._seen.pop(base.checkout.folder, None)
        self._bases.remove(base)
        self._bases.append(base)
        self._remember(base.checkout.folder)
        return base

    def _forget(self, base: Base) -> None:
        """What was made of its commit."""
        for layer in (base.built, base.caches):
            if layer is not None:
                self._layers.drop(layer)
        base.built = base.caches = None

    def keep(self, sha: str) -> None:
        """The commit's change is kept: what its runs compiled is there for all from now on."""
        for base in self._bases:
            if base.checkout.sha == sha and base.caches is not None:
                self._confinement.caches.keep(base.caches)
                self._layers.drop(base.caches)
                base.caches = None

    def closed_accelerator(self, sha: str) -> str:
        """What to say when a run of this commit could not open an accelerator that opens outside; else ""."""
        stack = self.stack(self.ready(sha), "run")
        self.lay(stack)
        try:
            return self._confinement.closes_accelerator(stack)
        finally:
            self._maker.end(stack)
            self.drop(stack)

    # -- what setup left

    def is_prepared(self, key: str) -> bool:
        """Whether `setup` has run for this `key`, its command and commit."""
        layer = self._layers.named(_SETUP)
        with contextlib.suppress(OSError):
            if (layer.folder / _KEY).read_text() == key:
                self._prepared = layer
                self._remember(layer.tree)
                return True
        return False

    def prepare(self) -> Layer:
        """An empty layer for `setup` to write."""
        self.forget_prepared()
        return self._layers.new(_SETUP)

    def prepared(self, key: str, base: Base) -> None:
        """`setup` has come to a good end: what it left beside the commit's own files is seen from now on."""
        layer = self._layers.named(_SETUP)
        for path in snapshot(layer.tree):
            if os.path.lexists(base.checkout.folder / path):
                (layer.tree / path).unlink()
        (layer.folder / _KEY).write_text(key)
        self._prepared = layer
        self.is_spoiled = False
        self._remember(layer.tree)

    def forget_prepared(self) -> None:
        self._prepared = None
        self._layers.drop(self._layers.named(_SETUP))

    # -- one command

    def stack(self, base: Base, role: Role, layer: Layer | None = None) -> Stack:
        """What a command of this role finds, with a layer of its own unless it is said."""
        judges = role in ("evaluate", "setup")
        kept = {}
        for path in self._cache:
            kept[path] = self._folder / "cached" / _KEPT[role == "evaluate"] / path.replace("/", "%2f")
            if not kept[path].is_dir():
                make_above(kept[path])
        if role in ("build", "run") and self._confinement.has_views and base.caches is None:
            base.caches = self._layers.new()
        return Stack(
            root=self.root,
            layer=layer or self._layers.new(),
            checkout=base.checkout.folder,
            prepared=None if role == "setup" else self._prepared,
            built=None if judges else base.built,
            caches=base.caches if role in ("build", "run") else None,
            linked=self._linked,
            kept=kept,
        )

    def lay(self, stack: Stack, *, without: str = "") -> Path:
        """Make it ready, without what an earlier command left at a path; returns where files can be laid.

        Paths are those of the target's folder, here and below.
        """
        if without:
            for kept, inside in self._kept_at(stack, without):
                remove_regular(kept, inside)
        laid = self._maker.lay(stack) / self._prefix
        if without:
            remove_regular(laid, without)
        return laid

    def begin(self, stack: Stack) -> None:
        """Its command begins."""
        self._maker.begin(stack)

    def end(self, stack: Stack) -> list[str]:
        """Its command has ended; returns the protected files that it changed."""
        self._maker.end(stack)
        closed = set[str]().union(*(base.checkout.submodule_files for base in self._bases))
        found = {path for path in self._maker.replaced(stack) if path in closed or not self._scope.holds(path)}
        return sorted(found | self._spoiled())

    def written(self, stack: Stack, path: str) -> tuple[Path, str]:
        """(folder, path in it) of what the command wrote at a path."""
        return next(self._kept_at(stack, path), (stack.layer.tree / self._prefix, path))

    def look_up(self, stack: Stack, path: str) -> tuple[Path, str]:
        """(folder, path in it) of what the command left or found at a path."""
        found = self.written(stack, path)
        if os.path.lexists(found[0] / found[1]):
            return found
        return self._maker.look_up(stack, (PurePosixPath(self._prefix) / path).as_posix()) / self._prefix, path

    def hand_on(self, source: Stack, target: Stack, path: str, laid: Path) -> None:
        """What a command left at a path, for the next, which finds no link on the way there. Raises NotTaken."""
        for place in (tree / self._prefix / folder for tree in target.trees for folder in PurePosixPath(path).parents):
            if place.is_symlink():
                raise NotTaken(path, "would be copied through a link")
            if place.exists() and not place.is_dir():
                raise NotTaken(path, "would be copied to where a file stands in the place of its folder")
        laid.mkdir(parents=True, exist_ok=True)
        copy(*self.look_up(source, path), laid, to=path)

    def drop(self, stack: Stack) -> None:
        self._layers.drop(stack.layer)

    def built(self, base: Base, stack: Stack) -> None:
        base.built = stack.layer

    def make_room(self) -> None:
        """After a command that filled the disk, at once: all that commits left beside what was kept."""
        for base in self._bases:
            self._forget(base)
        self._confinement.make_empty()
        self._layers.wait()
        self._confinement.caches.limit([self._folder / "cached" / name for name in _KEPT])

    def _kept_at(self, stack: Stack, path: str) -> Iterator[tuple[Path, str]]:
        """Where a path lies that is in a folder of `measure.cache`, but for what the commit has there."""
        in_tree = (PurePosixPath(self._prefix) / path).as_posix()
        for folder, kept in stack.kept.items():
            if in_tree.startswith(f"{folder}/") and not os.path.lexists(stack.checkout / in_tree):
                yield kept / "upper", in_tree.removeprefix(f"{folder}/")

    # -- where commands reach what lies below them

    def _remember(self, folder: Path) -> None:
        if self._seen is not None and folder not in self._seen:
            self._seen[folder] = snapshot(folder)

    def _spoiled(self) -> set[str]:
        """Files below that were written, past the tree; what holds them is made again."""
        found = set()
        for folder, before in list((self._seen or {}).items()):
            now = snapshot(folder)
            changed = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
            if not changed:
                continue
            assert self._seen is not None
            del self._seen[folder]
            found |= changed
            for base in self._bases:
                if base.checkout.folder == folder:
                    self._forget(base)
                    base.checkout.forget()
                    remove(folder)
            if self._prepared is not None and folder == self._prepared.tree:
                self.forget_prepared()
                self.is_spoiled = True
        return found
