"""What a command wrote is in its layer, whichever way its tree was made, and nothing below has changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from repos import TOML, write

from autoresearch.engine import process
from autoresearch.engine.process import LINUX
from autoresearch.engine.sandbox import Confinement, Copied, Ground, Layers, Overlaid, Stack, confinement, make_above
from autoresearch.engine.sandbox import snapshot as seen
from autoresearch.state.config import config as configs
from autoresearch.state.session import Place

pytestmark = pytest.mark.skipif(not LINUX, reason="other systems have no overlays")
FILES = {"a.py": "a\n", "src/b.py": "b\n", "src/deep/c.py": "c\n", "run.sh": "echo\n", "data/in": "1\n"}


class Bed:
    """A checkout on which scripts are run, in both ways."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
        if way == "copied":
            monkeypatch.setattr(confinement, "overlays", lambda folder, offered: False)
        (folder / "home").mkdir()
        (folder / "user").mkdir()
        trees = folder / "trees"
        place = Place(folder / "user", folder / "user/.git", folder / "user/.git", "")
        ground = Ground(place, trees, trees, (), {**os.environ, "HOME": str(folder / "home")})
        self.confinement = Confinement(configs.loads(TOML), ground)
        if way == "mounted" and not self.confinement.has_views:
            pytest.skip("no overlays here")
        self.maker = Overlaid() if self.confinement.has_views else Copied()
        self.layers = Layers(trees / "layers")
        self.layers.begin()
        self.checkout = trees / "checkout"
        write(self.checkout, FILES)
        (self.checkout / "link").symlink_to("a.py")
        self.log = trees / "log"
        ground.root.mkdir()
        self.stack = Stack(ground.root, self.layers.new(), self.checkout)

    def run(self, script: str, stack: Stack | None = None, laid: Callable[[Path], object] = lambda path: None) -> Stack:
        """A script that must come to a good end."""
        stack = stack or replace(self.stack, layer=self.layers.new())
        laid(self.maker.lay(stack))
        self.maker.begin(stack)
        self.confinement.make_empty()
        stack.root.mkdir(exist_ok=True)
        env = self.confinement.environment("run", stack, "s")
        argv = ("bash", "-ec", script)
        command = process.Command(argv=argv, cwd=stack.root, env=env, output=self.log, timeout_s=30)
        done = process.run(command, None, self.confinement.spawn("run", stack))
        self.maker.end(stack)
        assert done.code == 0, self.log.read_text()
        return stack

    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture(params=["mounted", "copied"])
def bed(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    made = Bed(tmp_path, monkeypatch, request.param)
    yield made
    made.confinement.close()
    made.layers.close()


@pytest.mark.parametrize(
    ("script", "replaced"),
    [
        ("cat a.py; ls -R > /dev/null", []),
        ("echo new > new; mkdir -p src/more; echo x > src/more/x", []),
        ("echo x > a.py", ["a.py"]),
        ("rm src/b.py", ["src/b.py"]),
        ("chmod 755 run.sh", ["run.sh"]),
        ("touch -d 2001-01-01 a.py", ["a.py"]),
        ("cp -p a.py k; echo x > a.py; cp -p k a.py", ["a.py"]),
        ("rm -r src", ["src/b.py", "src/deep/c.py"]),
        ("rm -r src; mkdir -p src/deep; echo c > src/deep/c.py", ["src/b.py", "src/deep/c.py"]),
        ("rm -r src; ln -s /etc src", ["src/b.py", "src/deep/c.py"]),
        ("rm a.py; mkdir a.py", ["a.py"]),
        ("rm link; ln -s run.sh link", ["link"]),
        ("ln a.py hard; echo x > hard", ["a.py"]),
        ("mv src/deep src/other", ["src/deep/c.py"]),
        ("echo x > k; mv k a.py", ["a.py"]),
        ("mkdir shut; echo x > shut/x; chmod 000 shut", []),
    ],
)
def test_what_replaces_a_file_of_the_commit_is_told(bed: Bed, script: str, replaced: list[str]) -> None:
    before = seen(bed.checkout)
    stack = bed.run(script)
    told = {path for path in bed.maker.replaced(stack) if path != "hard"}
    assert told >= set(replaced)
    assert bool(told) == bool(replaced)
    assert seen(bed.checkout) == before
    bed.layers.drop(stack.layer)
    bed.layers.wait()
    assert not stack.layer.folder.exists()


def test_the_next_command_finds_the_commit_again(bed: Bed) -> None:
    bed.run("rm -r src; echo x > a.py; echo x > left; echo x > ~/left; echo x > $TMPDIR/left; chmod 700 data")
    bed.run("find . -type f | sort; cat a.py; ls ~ $TMPDIR")
    assert "left" not in bed.said()
    assert bed.said().endswith("a\n" + bed.said().rpartition("a\n")[2])
    assert all(f"./{name}\n" in bed.said() for name in FILES)


def test_layers_lie_above_each_other(bed: Bed) -> None:
    prepared = bed.run("mkdir made; echo setup > made/x; echo setup > a.py; echo home > ~/of-setup")
    (prepared.layer.tree / "a.py").unlink()
    below = replace(bed.stack, prepared=prepared.layer)
    built = bed.run(
        "cat made/x a.py; echo built > made/y; echo built > src/b.py", replace(below, layer=bed.layers.new())
    )
    above = replace(below, built=built.layer)
    stack = bed.run("cat made/x made/y src/b.py; echo mine > made/x", replace(above, layer=bed.layers.new()))
    assert bed.said() == "setup\na\nsetup\nbuilt\nbuilt\n"
    assert list(bed.maker.replaced(stack)) == ["made/x"]
    assert (bed.maker.look_up(stack, "made/y") / "made/y").read_text() == "built\n"
    bed.run("rm -r made; mkdir made", stack := replace(above, layer=bed.layers.new()))
    assert not (bed.maker.look_up(stack, "made/y") / "made/y").is_file()


def test_what_is_laid_is_found_and_what_is_linked_is_the_users(bed: Bed, tmp_path: Path) -> None:
    users = tmp_path / "user/linked"
    write(users, {"big": "data"})
    (users / "back").symlink_to("../src")
    stack = replace(bed.stack, linked={"linked": users})
    bed.run("cat artifact linked/big", stack, lambda tree: write(tree, {"artifact": "of the run "}))
    assert bed.said() == "of the run data"
    assert "artifact" not in set(bed.maker.replaced(stack))
    if bed.confinement.has_views:
        bed.run("cat linked/back/b.py", replace(stack, layer=bed.layers.new()))
        assert bed.said().endswith("b\n"), "a link inside leads into the tree"
    assert sorted(path.name for path in users.iterdir()) == ["back", "big"]


def test_a_folder_that_stays_keeps_what_the_commit_has_there(bed: Bed) -> None:
    kept = {path: bed.layers.named(f"kept-{name}").folder for name, path in (("a", "cache"), ("b", "src"))}
    for folder in kept.values():
        make_above(folder)

    def run(script: str) -> Stack:
        return bed.run(script, replace(bed.stack, layer=bed.layers.new(), kept=kept))

    assert list(bed.maker.replaced(run("echo 1 > cache/one; echo 2 > src/two; echo 3 > src/deep/three"))) == []
    stack = run("cat cache/one src/two src/deep/three src/b.py; echo x > src/b.py")
    assert bed.said() == "1\n2\n3\nb\n"
    assert list(bed.maker.replaced(stack)) == ["src/b.py"]
    run("cat src/b.py")
    assert bed.said().endswith("b\n")


def test_a_layer_is_removed_whatever_lies_in_it(bed: Bed) -> None:
    deep = "for i in $(seq 60); do mkdir $(printf 'x%.0s' $(seq 80)); cd x*; done; cd $OLDPWD"
    stack = bed.run(f"({deep}) || true; mkfifo pipe; mkdir shut; touch shut/x; chmod 000 shut")
    assert list(bed.maker.replaced(stack)) == []
    bed.layers.drop(stack.layer)
    bed.layers.wait()
    found = subprocess.run(["find", str(bed.checkout.parent), "-name", "pipe"], capture_output=True, check=True)
    assert found.stdout == b""
