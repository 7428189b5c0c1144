"""Who finds what a candidate's runs cached: its own runs, all once it is kept, an evaluator never."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from repos import TOML, write

from autoresearch.engine import process
from autoresearch.engine.sandbox import Confinement, Ground, Layer, Layers, Role, Stack, caches
from autoresearch.engine.sandbox.caches import Caches
from autoresearch.state.config import config as configs
from autoresearch.state.session import Place


class Bed:
    def __init__(self, folder: Path) -> None:
        trees, self.home = folder / "trees", folder / "home"
        write(self.home, {".cache/models/big": "the user's\n"})
        place = Place(folder, folder / ".git", folder / ".git", "")
        ground = Ground(place, trees, trees, (), {**os.environ, "HOME": str(self.home)})
        self.confinement = Confinement(configs.loads(TOML), ground)
        if not self.confinement.has_views:
            pytest.skip("no overlays here: all runs of a session share one folder")
        self.layers = Layers(trees / "layers")
        self.layers.begin()
        (trees / "checkout").mkdir()
        ground.root.mkdir()
        self.stack = Stack(ground.root, self.layers.new(), trees / "checkout")
        self.log = trees / "log"

    def found(self, script: str, candidate: Layer | None = None, role: Role = "run") -> str:
        stack = replace(self.stack, layer=self.layers.new(), caches=candidate)
        env = self.confinement.environment(role, stack, "s")
        argv = ("bash", "-c", script)
        command = process.Command(argv=argv, cwd=stack.root, env=env, output=self.log, timeout_s=30)
        self.log.unlink(missing_ok=True)
        process.run(command, None, self.confinement.spawn(role, stack))
        return self.log.read_text()


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path)
    yield made
    made.confinement.close()
    made.layers.close()


WRITES = "mkdir -p $TRITON_CACHE_DIR ~/.cache/mine; echo compiled > $TRITON_CACHE_DIR/k; echo data > ~/.cache/mine/d"
READS = "cat $TRITON_CACHE_DIR/k ~/.cache/mine/d 2> /dev/null; cat ~/.cache/models/big"


def test_a_candidates_caches_are_its_own_until_it_is_kept(bed: Bed) -> None:
    one, other = bed.layers.new(), bed.layers.new()
    bed.found(WRITES, one)
    assert bed.found(READS, one) == "compiled\ndata\nthe user's\n"
    for role in ("guard", "evaluate", "holdout"):
        assert bed.found(READS, one, role) == "the user's\n"  # type: ignore[arg-type]
    assert bed.found(READS, other) == "the user's\n"
    bed.found("rm ~/.cache/models/big; echo worse > $TRITON_CACHE_DIR/k", other)
    bed.confinement.caches.keep(one)
    assert bed.found(READS, bed.layers.new()) == "compiled\ndata\nthe user's\n"
    for role in ("guard", "evaluate"):
        assert bed.found(READS, bed.layers.new(), role) == "the user's\n"  # type: ignore[arg-type]
    assert [path.name for path in (bed.home / ".cache").iterdir()] == ["models"]


def test_an_evaluator_keeps_its_cache_and_a_guard_only_reads_it(bed: Bed) -> None:
    bed.found("mkdir -p $TRITON_CACHE_DIR; echo judged > $TRITON_CACHE_DIR/k", role="evaluate")
    assert bed.found("cat $TRITON_CACHE_DIR/k; echo worse > $TRITON_CACHE_DIR/k", role="guard") == "judged\n"
    assert bed.found("cat $TRITON_CACHE_DIR/k", role="evaluate") == "judged\n"


def test_what_a_kept_layer_removed_or_replaced_is_so_for_all(bed: Bed) -> None:
    first, second = bed.layers.new(), bed.layers.new()
    bed.found("mkdir -p $GOCACHE/a; echo 1 > $GOCACHE/a/x; echo 1 > $GOCACHE/gone; echo 1 > $GOCACHE/a/stays", first)
    bed.confinement.caches.keep(first)
    bed.found("rm $GOCACHE/gone; echo 2 > $GOCACHE/a/x; ln -s /etc/passwd $GOCACHE/link", second)
    bed.confinement.caches.keep(second)
    assert bed.found("cd $GOCACHE; ls; ls a; cat a/x", bed.layers.new()) == "a\nlink\nstays\nx\n2\n"


def test_the_oldest_goes_first_when_there_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Caches(tmp_path / "cached", tmp_path / "seen", has_views=True)
    kept, other = tmp_path / "cached/kept/compile", tmp_path / "other"
    now = time.time()
    for age, path in enumerate((kept / "new", other / "middle", kept / "old")):
        write(path.parent, {path.name: "x" * 1_000_000})
        os.utime(path, (now - 1000 * age, now - 1000 * age))
    monkeypatch.setattr(caches, "LARGEST_MB", 2.5)
    made.limit([other])
    assert (kept / "new").exists()
    assert (other / "middle").exists()
    assert not (kept / "old").exists()
