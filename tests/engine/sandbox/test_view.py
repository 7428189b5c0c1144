"""What a command finds of the machine in a view of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from repos import TOML, write

from autoresearch.engine import process
from autoresearch.engine.sandbox import Confinement, Ground, Layers, Role, Stack, view
from autoresearch.state.config import config as configs
from autoresearch.state.session import Place

FILES = {"a.py": "a\n", "pack/core/index": "of the tree\n", ".env": "KEY=tracked\n", "held/labels": "answers\n"}
Found = Callable[..., str]


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Found]:
    """What a script prints on a stack; settings are those of `[measure]`, and `link`."""
    home, top, trees = tmp_path / "home", tmp_path / "home/repo", tmp_path / "home/.cache/autoresearch/trees/key/s"
    write(home, {"corpus/text": "words\n", ".ssh/id_rsa": "a key\n", ".cache/models/big": "weights\n"})
    write(top, {**FILES, "untracked": "the user's\n", ".git/config": "[core]\n"})
    write(trees / "checkout", FILES)
    (trees / "tree").mkdir()
    layers = Layers(trees / "layers")
    layers.begin()
    made: list[Confinement] = []

    def call(
        script: str,
        role: Role = "run",
        link: tuple[str, ...] = (),
        variables: dict[str, str] | None = None,
        **settings: object,
    ) -> str:
        config = configs.loads(TOML)
        for name, value in settings.items():
            config = configs.with_change(config, f"measure.{name}", value, "test")
        config = replace(config, scope=replace(config.scope, link=link))
        place = Place(top, top / ".git", top / ".git", "")
        ground = Ground(place, trees, trees.parent, (), {**os.environ, **(variables or {}), "HOME": str(home)})
        made.append(Confinement(config, ground))
        if not made[-1].has_views:
            pytest.skip("no overlays here")
        linked = {name: top / name for name in link}
        stack = Stack(trees / "tree", layers.new(), trees / "checkout", linked=linked)
        log = trees / "log"
        log.unlink(missing_ok=True)
        env = made[-1].environment(role, stack, "s")
        command = process.Command(argv=("bash", "-c", script), cwd=stack.root, env=env, output=log, timeout_s=30)
        process.run(command, None, made[-1].spawn(role, stack))
        layers.drop(stack.layer)
        return log.read_text()

    yield call
    for each in made:
        each.close()
    layers.close()


def test_the_users_checkout_leads_into_the_tree(found: Found, tmp_path: Path) -> None:
    top = tmp_path / "home/repo"
    assert found(f"ls -a {top}; echo new > {top}/new; cat new; cat {top}/untracked {top}/.git/config") == (
        f".\n..\n.env\na.py\nheld\npack\nnew\ncat: {top}/untracked: No such file or directory\n"
        f"cat: {top}/.git/config: No such file or directory\n"
    )
    assert not (top / "new").exists()


def test_home_is_the_users_copy_on_write_without_keys_and_trees(found: Found, tmp_path: Path) -> None:
    home = tmp_path / "home"
    said = found("cat ~/corpus/text; echo mine >> ~/corpus/text; cat ~/corpus/text; cat ~/.ssh/id_rsa; ls ~/.cache")
    assert said == f"words\nwords\nmine\ncat: {home}/.ssh/id_rsa: Permission denied\nautoresearch\nmodels\n"
    assert found("ls ~/.cache/autoresearch/trees/key ~/.cache/autoresearch/trees/key/s") == (
        f"{home}/.cache/autoresearch/trees/key:\ns\n\n{home}/.cache/autoresearch/trees/key/s:\ncaches\ntree\n"
    )
    assert (home / "corpus/text").read_text() == "words\n"


def test_home_with_something_mounted_in_it_is_a_folder_of_links(
    found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of such a folder the kernel makes no overlay for a user, and root's shows what lies below the mounts."""
    monkeypatch.setattr(view, "has_mounts_below", lambda folder: True)
    assert found("cat ~/corpus/text ~/.cache/models/big; cat ~/.ssh/id_rsa || ls -a ~; echo x > ~/left; cat a.py") == (
        f"words\nweights\ncat: {tmp_path}/home/.ssh/id_rsa: No such file or directory\n.\n..\n.cache\ncorpus\nrepo\na\n"
    )
    assert not (tmp_path / "home/left").exists()


def test_a_link_inside_what_is_linked_leads_into_the_tree(found: Found, tmp_path: Path) -> None:
    """As npm makes them for a workspace; and nothing there can be written."""
    modules = tmp_path / "home/repo/node_modules"
    modules.mkdir()
    (modules / "core").symlink_to("../pack/core")
    (tmp_path / "home/repo/pack/core/index").write_text("of the user\n")
    said = found("cat node_modules/core/index; touch node_modules/x", link=("node_modules",))
    assert said.startswith("of the tree\n")
    assert "Read-only" in said


def test_keys_and_hidden_files_of_the_target_are_covered(found: Found, tmp_path: Path) -> None:
    top = tmp_path / "home/repo"
    reads = f"cat .env held/labels {top}/held/labels; true"
    assert "tracked" not in found(reads, hidden=["held"])
    assert "answers" not in found(reads, hidden=["held"])
    assert "answers" in found(reads, "evaluate", hidden=["held"])
    assert found("cat .env", link=(".env",)) == "KEY=tracked\n", "seen where it is linked by its name"


def test_tmp_is_empty_but_for_what_the_config_names(found: Found, tmp_path: Path) -> None:
    named = tmp_path / "named"
    write(named, {"in": "data\n", "alone": "one\n"})
    assert found("echo x > /tmp/x; cat /var/tmp/x; echo $TMPDIR") == "x\n/tmp\n"
    assert found("cat /tmp/x") == "cat: /tmp/x: No such file or directory\n"
    assert "No such file" in found(f"cat {named}/in")
    run = f"cat {named}/in; echo more >> {named}/in; cat {named}/in {named}/alone"
    assert found(run, run=f"sh -c 'wc {named}'") == "data\ndata\nmore\none\n"
    assert (named / "in").read_text() == "data\n"
    assert found(f"cat {named}/alone", run=f"wc {named}/alone") == "one\n"


def test_what_is_declared_is_the_real_place(found: Found, tmp_path: Path) -> None:
    for place in (tmp_path / "results", tmp_path / "home/repo/results"):
        place.mkdir()
        found(f"echo x > {place}/file", writable=[str(place)])
        assert (place / "file").read_text() == "x\n"
    found("echo y > results/file", writable=["results"])
    assert (tmp_path / "home/repo/results/file").read_text() == "y\n"


def test_what_is_durable_is_mounted_so(found: Found) -> None:
    for durable in (False, True):
        said = found("grep -cw volatile /proc/self/mountinfo", durable=durable)
        assert (said != "0\n") is not durable


def test_what_a_variable_names_is_seen_wherever_it_lies(found: Found, tmp_path: Path) -> None:
    write(tmp_path / "tools", {"bin/tool": "#!/bin/sh\necho works\n"})
    (tmp_path / "tools/bin/tool").chmod(0o755)
    path = f"{tmp_path}/tools/bin:{os.environ['PATH']}"
    around = {"GIT_CEILING_DIRECTORIES": str(tmp_path), "CUDA_PATH": str(tmp_path)}
    assert found("tool; echo x > a.py; cat a.py", variables={"PATH": path, **around}) == "works\nx\n"
