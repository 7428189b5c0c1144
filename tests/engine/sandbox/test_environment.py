from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autoresearch.engine.sandbox import environment


def base(places: dict[str, Path], source: dict[str, str] | None = None, **options: object) -> dict[str, str]:
    scratch = places["tree"].parent / "scratch"
    source = {"PATH": "/usr/bin:/bin", "HOME": str(places["home"]), **(source or {})}
    return environment.clean_environment(
        home=scratch / "home",
        tmp=scratch / "tmp",
        caches=scratch / "caches",
        bin=scratch / "bin",
        venvs=[(places[name] / ".venv", places[name] / ".venv") for name in ("tree", "user")],
        ceiling=scratch.parent,
        session="s",
        source=source,
        **options,  # type: ignore[arg-type]
    )


def fake_python(venv: Path) -> Path:
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").write_text(f"#!/bin/sh\necho {venv}\n")
    (venv / "bin/python").chmod(0o755)
    return venv


def which_python(env: dict[str, str]) -> str:
    return subprocess.run(
        ["sh", "-c", 'python -c "import sys; print(sys.executable)"'],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_only_what_is_allowed_or_named_is_passed(places: dict[str, Path]) -> None:
    source = {
        **{"LANG": "de_DE.UTF-8", "LC_TIME": "C", "TZ": "UTC", "CUDA_VISIBLE_DEVICES": "1", "LD_LIBRARY_PATH": "/x"},
        **{"ANTHROPIC_API_KEY": "k", "CUDA_SECRET": "k", "GITHUB_TOKEN": "k", "PGPASSWORD": "k", "FOO": "1"},
        **{"PYTHONPATH": "/user/tree", "GIT_DIR": "/user/.git", "https_proxy": "http://me:pw@proxy", "MY_KEY": "k"},
    }
    env = base(places, source, names=("MY_KEY", "ABSENT"))
    passed = {name: env[name] for name in source if name in env}
    wanted = {name: source[name] for name in ("LANG", "LC_TIME", "TZ", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")}
    assert passed == {**wanted, "MY_KEY": "k"}
    assert "ABSENT" not in env
    assert env["TERM"] == "dumb"


def test_caches_are_used_in_place_and_offline(places: dict[str, Path]) -> None:
    (places["home"] / ".cache/uv").mkdir(parents=True)
    env = base(places, {"HF_HOME": "/models"})
    assert env["UV_CACHE_DIR"] == str(places["home"] / ".cache/uv")
    assert env["HF_HOME"] == "/models"
    assert "CARGO_HOME" not in env
    assert (env["UV_OFFLINE"], env["HF_HUB_OFFLINE"]) == ("1", "1")
    assert str(places["home"]) not in env["TRITON_CACHE_DIR"]
    online = base(places, {"https_proxy": "http://p"}, online=True)
    assert "UV_OFFLINE" not in online
    assert online["https_proxy"] == "http://p"


def test_the_targets_own_environment_comes_first(places: dict[str, Path]) -> None:
    activated = fake_python(places["home"] / "conda")
    source = {"VIRTUAL_ENV": str(activated), "PATH": "/usr/bin:/bin"}
    assert which_python(base(places, source)) == str(activated)
    mine = fake_python(places["user"] / ".venv")
    assert which_python(base(places, source)) == str(mine)
    linked = places["tree"] / ".venv"
    linked.symlink_to(mine)
    env = base(places, source)
    assert env["VIRTUAL_ENV"] == str(linked)
    assert env["PATH"].split(":")[0] == str(linked / "bin")


def test_without_any_environment_the_engines_interpreter_is_python(places: dict[str, Path]) -> None:
    assert Path(which_python(base(places))).samefile(sys.executable)


def test_an_interpreter_that_is_only_called_python3_is_found_as_python(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sys.executable
    only = places["home"] / "only" / "python3"
    only.parent.mkdir()
    only.write_text(f'#!/bin/sh\nexec "{real}" "$@"\n')
    only.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(only))
    assert Path(which_python(base(places))).samefile(real)


def test_a_tools_private_interpreter_only_helps_out(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = fake_python(places["home"] / "theirs")
    monkeypatch.setattr(sys, "prefix", "/home/me/.local/share/pipx/venvs/autoresearch-tui")
    assert which_python(base(places, {"PATH": f"{theirs}/bin:/bin"})) == str(theirs)
    assert base(places, {"PATH": "/nowhere"})["PATH"].split(":")[-1] == str(Path(sys.executable).parent)


def test_each_run_knows_its_number_budget_and_seed() -> None:
    assert environment.run_variables(experiment=7, budget_s=300.0, seed=2) == {
        "AUTORESEARCH_RUN": "7",
        "AUTORESEARCH_BUDGET_S": "300",
        "AUTORESEARCH_SEED": "2",
    }


def test_a_string_goes_through_bash_and_a_list_does_not() -> None:
    assert environment.argv_of("a | b") == ("bash", "-c", "a | b")
    assert environment.argv_of(("a", "| b")) == ("a", "| b")
