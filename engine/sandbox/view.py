"""What one measured command finds on the machine, where the kernel has overlays: the places that init mounts for it.

The machine's files are there, read-only. The tree is the stack of its commit. The user's checkout is not seen: in its
place the tree is seen again, so that paths that lead there lead into the tree. HOME is the user's own, copy on write,
and what holds keys is covered. /tmp is empty and the command's own. What is linked is mounted at its place in the tree,
so that a link inside of it, as npm makes them, leads into the tree too.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from autoresearch.engine.files import remove
from autoresearch.engine.sandbox.layers import Layer, Stack, make_above

_NUMBERS = itertools.count(1)
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))
_REAL_HOME = Path("/tmp/.home")
"""Where HOME is seen as it is when it is a folder of links."""
_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a command of a session is to find beside the machine's own files."""

    stack: Stack
    trees: Path
    """The folder of the trees of this repository's sessions, of which nothing else is seen."""
    top: Path
    """The user's checkout."""
    home: Path | None
    """Real; None where there is none that could be mounted."""
    shown: tuple[Path, ...]
    """Read where they are, whatever they lie in: interpreters, environments."""
    named: tuple[Path, ...]
    """Seen where they are, copy on write: what the target's own config names."""
    writable: tuple[Path, ...]
    """The real places that are written."""
    caches: tuple[Cached, ...] = ()
    covered: tuple[Path, ...] = ()
    covered_in_tree: tuple[str, ...] = ()
    durable: bool = False
    """What is written is waited for at the disk."""


@dataclass(frozen=True, slots=True)
class Cached:
    """A cache: copy on write above what lies below; the place itself where nothing lies above."""

    at: Path
    above: Path | None
    below: tuple[Path, ...]


@dataclass(slots=True)
class Seen:
    """As the spawner's program takes it; see `show` there."""

    durable: bool = False
    places: list[dict[str, Any]] = field(default_factory=list)
    covered: list[str] = field(default_factory=list)
    repeated: list[tuple[str, str]] = field(default_factory=list)
    writable: list[str] = field(default_factory=list)

    def overlay(self, at: Path, above: Path, below: Sequence[Path]) -> None:
        """The kernel wants a fresh folder to work in for each. Some of what lies below may lie in the last of it."""
        work = f"work-{next(_NUMBERS)}"
        (above / work).mkdir()
        nested = any(folder.is_relative_to(below[-1]) for folder in below[:-1])
        sources = [str(above), *map(str, below)]
        facts = {"work": work, "nested": nested, "durable": self.durable}
        self.places.append({"kind": "overlay", "at": str(at), "from": sources, **facts})
        self.writable.append(str(at))

    def bind(self, at: Path, source: Path, *, write: bool) -> None:
        self.places.append({"kind": "bind", "at": str(at), "from": [str(source)], "write": write})
        if write:
            self.writable.append(str(at))

    def to_json(self) -> dict[str, Any]:
        places = sorted(self.places, key=lambda place: Path(place["at"]).parts)
        return {"places": places, "covered": self.covered, "repeated": self.repeated, "writable": self.writable}


def seen(wanted: Wanted) -> dict[str, Any]:
    """The places of a command, as the spawner's program takes them."""
    found, stack, layer = Seen(wanted.durable), wanted.stack, wanted.stack.layer
    for folder in dict.fromkeys(path.resolve() for path in _TEMPORARY if path.is_dir()):
        found.bind(folder, layer.tmp, write=True)
    found.places.append({"kind": "hide", "at": str(wanted.trees)})
    found.overlay(stack.root, layer.tree.parent, stack.trees)
    covered = list(wanted.covered)
    if wanted.home is not None:
        covered += _home(found, wanted, wanted.home)
    for cache in wanted.caches:
        if cache.above is None:
            found.bind(cache.at, cache.below[0], write=True)
        else:
            found.overlay(cache.at, cache.above, cache.below)
    aliased = is_replaceable(wanted)
    for name, kept in stack.kept.items():
        _keep(found, stack, name, kept)
    in_tree = {stack.root / path: source for path, source in stack.linked.items()}
    for at, source in in_tree.items():
        if source.exists():
            found.bind(at, source, write=False)
    for path in wanted.writable:
        inside = path.is_relative_to(wanted.top) and aliased
        found.bind(stack.root / path.relative_to(wanted.top) if inside else path, path, write=True)
    for path in wanted.shown:
        if path.is_relative_to(wanted.top) and aliased:
            at = stack.root / path.relative_to(wanted.top)
            known = any(os.path.lexists(tree / path.relative_to(wanted.top)) for tree in stack.trees)
            if not known and not any(at.is_relative_to(other) for other in in_tree):
                found.bind(at, path, write=False)
        elif not path.is_relative_to(wanted.top):
            found.bind(path, path, write=False)
    for path in wanted.named:
        if _is_lost(path, wanted.trees, wanted.top, wanted.home):
            _show_named(found, layer, path)
    found.covered = [*map(str, covered), *(f"{stack.root}/{path}" for path in wanted.covered_in_tree)]
    if aliased:
        found.repeated.append((str(stack.root), str(wanted.top)))
        found.writable.append(str(wanted.top))
    return found.to_json()


def is_replaceable(wanted: Wanted) -> bool:
    """Whether the tree can be seen in the place of the user's checkout: nothing else that is needed lies in that."""
    needed = [wanted.trees, *([wanted.home] if wanted.home else []), *_TEMPORARY]
    return not any(path.is_relative_to(wanted.top) for path in needed)


def _home(found: Seen, wanted: Wanted, home: Path) -> list[Path]:
    """HOME, copy on write; returns what is to be covered on top of it.

    What is mounted below HOME would not be seen in an overlay, and the kernel refuses a user's: then HOME is a folder
    of links to what is in the real one.
    """
    layer = wanted.stack.layer
    if not has_mounts_below(home):
        found.overlay(home, layer.home.parent, [*wanted.stack.homes, home])
        return []
    found.bind(home, layer.home, write=True)
    found.bind(_REAL_HOME, home, write=False)
    moved = [_REAL_HOME / path.relative_to(home) for path in wanted.covered if path.is_relative_to(home)]
    for name in os.listdir(home):  # noqa: PTH208
        if name != ".cache" and _REAL_HOME / name not in moved:
            (layer.home / name).symlink_to(_REAL_HOME / name)
    # The trees may lie in it, so it is no link.
    (layer.home / ".cache").mkdir()
    if (home / ".cache").is_dir() and not any(cache.at == home / ".cache" for cache in wanted.caches):
        above = layer.folder / "cache"
        make_above(above)
        found.overlay(home / ".cache", above, [home / ".cache"])
    return moved


def has_mounts_below(folder: Path) -> bool:
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    points = [line.split(" ")[4].encode().decode("unicode_escape") for line in lines]
    return any(Path(point) != folder and Path(point).is_relative_to(folder) for point in points)


def _keep(found: Seen, stack: Stack, path: str, kept: Path) -> None:
    """A folder that stays from run to run: as it is, or above what the commit has there."""
    below = [tree / path for tree in stack.trees if (tree / path).is_dir()]
    if below:
        for old in kept.glob("work-*"):
            remove(old)
        found.overlay(stack.root / path, kept, below)
    else:
        found.bind(stack.root / path, kept / "upper", write=True)


def _show_named(found: Seen, layer: Layer, path: Path) -> None:
    if path.is_dir():
        above = layer.folder / f"named-{len(found.places)}"
        make_above(above)
        found.overlay(path, above, [path])
    elif path.is_file():
        inside = next(path.relative_to(folder) for folder in _TEMPORARY if path.is_relative_to(folder))
        (layer.tmp / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, layer.tmp / inside)


def _is_lost(path: Path, trees: Path, top: Path, home: Path | None) -> bool:
    """Whether what is mounted over its folder hides it."""
    if path in _TEMPORARY or path.is_relative_to(trees) or path.is_relative_to(top):
        return path.is_relative_to(trees)
    if home is not None and path.is_relative_to(home):
        return False
    return any(path.is_relative_to(folder) for folder in _TEMPORARY)


@lru_cache(maxsize=64)
def to_show(variables: tuple[str, ...], trees: Path, top: Path, home: Path | None) -> tuple[Path, ...]:
    """What variables like PATH name, with the virtual environments that programs there belong to, and our own: as far
    as it lies in the user's checkout or would be hidden."""
    folders = [Path(entry) for value in variables for entry in value.split(os.pathsep) if entry.startswith("/")]
    found = [*folders, Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parent]
    found += [folder.parent for folder in folders if (folder.parent / "pyvenv.cfg").exists()]
    found += [folder.resolve() for folder in found]
    return tuple(
        folder
        for folder in dict.fromkeys(found)
        if folder.is_dir()
        and (folder.is_relative_to(top) or _is_lost(folder, trees, top, home))
        and not any(place.is_relative_to(folder) for place in (trees, top))
    )
