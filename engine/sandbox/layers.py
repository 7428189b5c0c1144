"""What measured commands write, in layers above what they find; thrown away unless something is to be built upon it.

A command finds a *stack*: the checkout of a commit, what `setup` left below it, what `build` made above it, and its own
layer on top, which alone is written. Where the kernel has overlays the stack is mounted for that command (`view`), and
its layer holds nothing but what it wrote. Elsewhere the stack is copied before and moved into the layer after, and what
changed is known by comparing: one interface, two ways to make a tree.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from autoresearch.engine.files import clear_way, remove, remove_below, strip

GIT = ".git"
"""The tree's own repository, which belongs to whoever runs in it."""
_DEEPEST = 3500
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


@dataclass(frozen=True, slots=True)
class Layer:
    """A folder on the trees' disk with what was written: in the tree, in HOME, in /tmp."""

    folder: Path

    @property
    def tree(self) -> Path:
        return self.folder / "tree" / "upper"

    @property
    def home(self) -> Path:
        return self.folder / "home" / "upper"

    @property
    def tmp(self) -> Path:
        return self.folder / "tmp"

    def make(self) -> Layer:
        self.tmp.mkdir(parents=True)
        self.tmp.chmod(0o1777)
        for part in (self.tree.parent, self.home.parent):
            make_above(part)
        return self


def make_above(folder: Path) -> None:
    """An empty layer's folder, as an overlay takes it."""
    (folder / "upper").mkdir(parents=True)


class Layers:
    """The layers of one slot. The next is made, and what is dropped is removed, beside whatever takes place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="make-layers")
        self._remover = ThreadPoolExecutor(1, thread_name_prefix="remove-layers")
        self._next: Future[Layer] | None = None

    def begin(self, keep: Collection[str] = ()) -> None:
        """Without what an engine before this one left behind, but for those layers."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for entry in list(os.scandir(self._folder)):
            if entry.name not in keep:
                self.drop(Layer(Path(entry.path)))

    def named(self, name: str) -> Layer:
        return Layer(self._folder / name)

    def new(self, name: str = "") -> Layer:
        try:
            layer = self._next.result() if self._next else self._make()
        except OSError:  # there was no room then
            layer = self._make()
        self._next = self._maker.submit(self._make)
        if not name:
            return layer
        layer.folder.rename(self._folder / name)
        return self.named(name)

    def _make(self) -> Layer:
        return Layer(self._folder / f"{os.getpid()}-{next(self._numbers)}").make()

    def drop(self, layer: Layer) -> None:
        """Gone from its place at once, from the disk soon."""
        gone = self._folder / f"gone-{os.getpid()}-{next(self._numbers)}"
        with contextlib.suppress(FileNotFoundError):
            layer.folder.rename(gone)
            self._remover.submit(remove, gone)

    def wait(self) -> None:
        """Until all that was dropped has made room."""
        self._remover.submit(lambda: None).result()

    def close(self) -> None:
        self._maker.shutdown()
        self._remover.shutdown()


@dataclass(frozen=True, slots=True)
class Stack:
    """What one command finds in its tree and in HOME, and where what it writes goes."""

    root: Path
    """Where it finds its tree."""
    layer: Layer
    checkout: Path
    prepared: Layer | None = None
    """What `setup` left; what the commit has of the same name is seen instead."""
    built: Layer | None = None
    linked: Mapping[str, Path] = field(default_factory=dict)
    """By path in the tree: what of the user's is found there."""
    caches: Layer | None = None
    """Of its commit's caches; None where it has none of its own."""
    kept: Mapping[str, Path] = field(default_factory=dict)
    """By path in the tree: layers that stay from run to run (`measure.cache`)."""

    @property
    def trees(self) -> list[Path]:
        """What lies below the layer, the topmost first."""
        return [
            *([self.built.tree] if self.built else []),
            self.checkout,
            *([self.prepared.tree] if self.prepared else []),
        ]

    @property
    def homes(self) -> list[Path]:
        return [layer.home for layer in (self.built, self.prepared) if layer]

    @property
    def protected(self) -> list[Path]:
        """Of these, what is not in scope must not be written."""
        return [self.checkout, *([self.prepared.tree] if self.prepared else [])]


class Overlaid:
    """The tree is mounted for each command, and nothing has to be made or put back."""

    def lay(self, stack: Stack) -> Path:
        """Returns where files can be laid that the command shall find in its tree."""
        return stack.layer.tree

    def begin(self, stack: Stack) -> None:
        """The command begins."""

    def end(self, stack: Stack) -> None:
        """The command has ended: what it wrote is in its layer."""

    def replaced(self, stack: Stack) -> Iterator[str]:
        """Paths of protected files, in scope or not, that the command wrote, removed or hid."""
        yield from _above(stack.layer.tree, stack.protected)
        for path, kept in stack.kept.items():
            below = [folder / path for folder in stack.protected if (folder / path).is_dir()]
            for inside in list(_above(kept / "upper", below)) if below else []:
                remove_below(kept / "upper", inside)  # or it would be there for the next run
                yield f"{path}/{inside}"

    def look_up(self, stack: Stack, path: str) -> Path:
        """The folder of the stack from which the command's tree has `path` now."""
        for folder in (stack.layer.tree, *stack.trees):
            if os.path.lexists(folder / path) or _ends_at(folder, path):
                return folder
        return stack.layer.tree


class Copied:
    """The tree is copied for each command, and moved into its layer afterwards; a built layer holds a whole tree."""

    def __init__(self) -> None:
        self._before: dict[Path, dict[str, tuple[int, ...]]] = {}
        self._after: dict[Path, dict[str, tuple[int, ...]]] = {}

    def lay(self, stack: Stack) -> Path:
        # The folder itself stays the same one: what is allowed or mounted there is so for the folder, not for its name.
        if stack.root.is_symlink() or not stack.root.is_dir():
            remove(stack.root)
            stack.root.mkdir(parents=True)
        stack.root.chmod(0o755)
        strip(stack.root)
        for entry in _entries(stack.root):
            remove(Path(entry.path))
        for folder in reversed([stack.built.tree] if stack.built else stack.trees):
            command = ["cp", "-a", "--reflink=auto", f"{folder}/.", str(stack.root)]
            subprocess.run(command, check=True, capture_output=True)
        for path, source in stack.linked.items():
            clear_way(stack.root, path)
            remove(stack.root / path)
            (stack.root / path).parent.mkdir(parents=True, exist_ok=True)
            (stack.root / path).symlink_to(source)
        for path, place in stack.kept.items():
            clear_way(stack.root, path)
            (stack.root / path).mkdir(parents=True, exist_ok=True)
            _move_beyond(place / "upper", stack.root / path, stack.root / path)
        return stack.root

    def begin(self, stack: Stack) -> None:
        self._before[stack.layer.folder] = snapshot(stack.root)

    def end(self, stack: Stack) -> None:
        # Before anything is moved: many file systems note that as a change of the file.
        self._after[stack.layer.folder] = {} if stack.root.is_symlink() else snapshot(stack.root)
        for path, place in stack.kept.items():
            clear_way(stack.root, path)
            if (stack.root / path).is_dir() and not (stack.root / path).is_symlink():
                _move_beyond(stack.root / path, place / "upper", stack.checkout / path)
        if stack.root.is_dir() and not stack.root.is_symlink():
            _open(stack.root)
            for entry in _entries(stack.root):
                _move(entry, stack.layer.tree / entry.name)

    def replaced(self, stack: Stack) -> Iterator[str]:
        before = self._before.pop(stack.layer.folder, {})
        now = self._after.pop(stack.layer.folder, {})
        for path, seen in before.items():
            known = path in stack.linked or any(os.path.lexists(folder / path) for folder in stack.protected)
            if known and now.get(path) != seen:
                yield path

    def look_up(self, stack: Stack, path: str) -> Path:
        return stack.layer.tree


def _above(layer: Path, below: Sequence[Path]) -> Iterator[str]:
    """The files of the folders below that a layer replaces or hides."""
    for path, entry, info in _walk(layer):
        if stat.S_ISDIR(info.st_mode) and not _is_opaque(entry.path):
            yield from (path for folder in below if _is_file(folder / path))
        else:
            yield from _files(below, path)


def _move_beyond(source: Path, target: Path, known: Path) -> None:
    """All of a folder that is not known, into another."""
    target.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        _open(source)
    for entry in _entries(source):
        if not os.path.lexists(known / entry.name):
            remove(target / entry.name)
            _move(entry, target / entry.name)
        elif entry.is_dir(follow_symlinks=False) and (known / entry.name).is_dir():
            _move_beyond(Path(entry.path), target / entry.name, known / entry.name)


def _move(entry: os.DirEntry[str], target: Path) -> None:
    if entry.is_dir(follow_symlinks=False):
        _open(Path(entry.path))
    Path(entry.path).rename(target)


def _open(folder: Path) -> None:
    """For an ordinary user, who moves neither what is in a folder that was closed nor the folder."""
    folder.chmod(folder.stat().st_mode & 0o7777 | 0o700)


def snapshot(root: Path) -> dict[str, tuple[int, ...]]:
    """What the kernel says of every file below `root`; a process may set every time of a file but the last (ctime)."""
    return {
        path: (info.st_mode, info.st_size, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)
        for path, _, info in _walk(root)
        if not stat.S_ISDIR(info.st_mode)
    }


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str], os.stat_result]]:
    """Everything below `root` but the tree's own repository, by path, folders before what is in them."""
    folders = [""]
    while folders:
        prefix = folders.pop()
        for entry in _entries(root / prefix):
            path = prefix + entry.name
            if path == GIT:
                continue
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                folders.append(path + "/")
            yield path, entry, info


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """A run may have taken its owner's permissions from a folder: an ordinary user cannot pass over that.

    So deep that the kernel could not take the paths of what is in it, nothing of a commit lies.
    """
    if len(str(folder)) > _DEEPEST:
        return []
    try:
        return list(os.scandir(folder))
    except PermissionError:
        folder.chmod(0o700)
        return list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_opaque(folder: str) -> bool:
    """Nothing of the same name below is seen through it. Root's mark and a user's; the other's may be a forgery."""
    name = _OPAQUE[0] if os.getuid() == 0 else _OPAQUE[1]
    with contextlib.suppress(OSError):
        return os.getxattr(folder, name, follow_symlinks=False) == b"y"
    return False


def _ends_at(folder: Path, path: str) -> bool:
    """Whether a layer hides what lower ones have at `path`: by a folder made anew, or a file, on the way to it."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        above = folder / "/".join(parts[:depth])
        if os.path.lexists(above) and (above.is_symlink() or not above.is_dir() or _is_opaque(str(above))):
            return True
    return False


def _is_file(path: Path) -> bool:
    return os.path.lexists(path) and (path.is_symlink() or not path.is_dir())


def _files(below: Sequence[Path], path: str) -> Iterator[str]:
    """The file at `path` in any of these folders, or the files below it."""
    for folder in below:
        if _is_file(folder / path):
            yield path
            continue
        for parent, folders, names in os.walk(folder / path):
            inside = os.path.relpath(parent, folder)
            links = [name for name in folders if Path(parent, name).is_symlink()]
            yield from (f"{inside}/{name}" for name in (*names, *links))
