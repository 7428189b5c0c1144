"""What leads imports back to a person's own folder, as installers leave it; other reasons why an edit is unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoresearch.engine.doctor import editables
from autoresearch.engine.doctor.traps import reason, site_packages
from autoresearch.state.config import Config
from autoresearch.state.config import config as configs
from autoresearch.state.session import Place


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src" / "mine").mkdir(parents=True)
    return folder


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "env" / "lib" / "python3.12" / "site-packages"
    folder.mkdir(parents=True)
    return folder


def config(run: str = "python bench.py", **more: object) -> Config:
    scope = {"edit": ["src/**"], **({"link": more.pop("link")} if "link" in more else {})}
    data = {"name": "t", "metric": {"name": "m"}, "scope": scope, "measure": {"run": run, **more}}
    return configs.from_dict(data, "autoresearch.toml")


def place(top: Path) -> Place:
    return Place(top=top, git_dir=top / ".git", common_dir=top / ".git", prefix="")


def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "env" / "bin").mkdir(parents=True, exist_ok=True)
    (tmp_path / "env" / "bin" / "python").touch()
    return {"PATH": f"/nowhere:{tmp_path / 'env' / 'bin'}"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("__editable__.mine-0.1.pth", "{top}/src\n"),
        ("_mine.pth", "{top}/src"),
        ("mine.pth", "# a comment\n\n{top}/src\n"),
        ("mine.egg-link", "{top}/src\n../"),
        ("easy-install.pth", "/elsewhere\n{top}/src\n"),
        ("__editable___mine_0_1_finder.py", "MAPPING: dict[str, str] = {{'mine': '{top}/src/mine'}}\n"),
        ("mine-0.1.dist-info/direct_url.json", json.dumps({"url": "file://TOP", "dir_info": {"editable": True}})),
    ],
)
def test_every_kind_of_editable_install_is_seen(top: Path, packages: Path, name: str, text: str) -> None:
    written = text.replace("TOP", str(top)) if name.endswith(".json") else text.format(top=top)
    (packages / name).parent.mkdir(exist_ok=True)
    (packages / name).write_text(written)
    (found,) = editables(top, [packages])
    assert found.by == packages / name
    assert found.folder.is_relative_to(top)
    assert found.package in ("mine", "src")
    assert editables(top.with_name("other"), [packages]) == []
    assert editables(top.with_name("proj"), [packages]) == []


def test_what_is_no_editable_install_is_left_alone(top: Path, packages: Path) -> None:
    (packages / "mine-0.1.dist-info").mkdir()
    (packages / "mine-0.1.dist-info" / "direct_url.json").write_text(
        json.dumps({"url": f"file://{top}", "dir_info": {}})
    )
    (packages / "odd.pth").write_bytes(b"\xff\xfe\x00 not text\n")
    (packages / "virtualenv.pth").write_text("import _virtualenv\n")
    own = top / ".venv" / "lib" / "python3.12" / "site-packages"
    own.mkdir(parents=True)
    (top / ".venv" / "pyvenv.cfg").touch()
    (own / "more.pth").write_text(f"{own}/vendored\n")
    assert editables(top, [packages, own]) == []


def test_the_measured_python_and_a_venv_beside_the_target_are_looked_at(tmp_path: Path, packages: Path) -> None:
    tree = tmp_path / "tree"
    own = tree / ".venv" / "lib" / "python3.11" / "site-packages"
    own.mkdir(parents=True)
    assert site_packages(environ(tmp_path), tree) == [own, packages]


def test_the_fix_for_an_editable_install_names_the_folder_that_imports_come_from(
    tmp_path: Path, top: Path, packages: Path
) -> None:
    (packages / "_mine.pth").write_text(f"{top}/src\n")
    why, fix = reason(place(top), config(), ["src/mine/a.py"], environ(tmp_path), top)
    assert f"leads imports to {top}/src" in why
    assert fix == 'Put the checkout first: run = "PYTHONPATH=src python bench.py"'


def test_an_installed_copy_is_named(tmp_path: Path, top: Path, packages: Path) -> None:
    (packages / "mine").mkdir()
    (packages / "mine" / "a.py").touch()
    why, fix = reason(place(top), config(), ["src/mine/a.py"], environ(tmp_path), top)
    assert f"installed at {packages}/mine/a.py" in why
    assert "PYTHONPATH=src" in fix


def test_other_reasons(tmp_path: Path, top: Path) -> None:
    env = environ(tmp_path)
    assert "scope.link shows your own src" in reason(place(top), config(link=["src"]), ["src/mine/a.py"], env, top)[0]
    absolute = config(run=f"python {top}/bench.py")
    assert f"names {top}/bench.py" in reason(place(top), absolute, ["src/mine/a.py"], env, top)[0]
    own_python = config(run=f"{top}/.venv/bin/python bench.py")
    assert "seems to read something else" in reason(place(top), own_python, ["src/mine/a.py"], env, top)[0]
    assert "measure.build is empty" in reason(place(top), config(run="./bench"), ["src/a.c"], env, top)[0]
    built = config(run="./bench", build="make")
    assert "seems to read something else" in reason(place(top), built, ["src/a.c"], env, top)[0]
