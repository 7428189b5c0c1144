"""The environment of measured commands: clean, without keys, and the same from one experiment to the next.

Only what is named here, or in `measure.env`, is passed. Package and model caches are switched to offline; compile
caches point into the session. `python` is always found.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

ALLOWED = frozenset(
    "LANG LANGUAGE TZ USER LOGNAME LD_LIBRARY_PATH LIBRARY_PATH CPATH PKG_CONFIG_PATH CC CXX CFLAGS CXXFLAGS LDFLAGS "
    "CONDA_PREFIX CONDA_DEFAULT_ENV JAVA_HOME CUDA_HOME CUDA_PATH CUDA_ROOT ROCM_PATH ROCM_HOME HIP_VISIBLE_DEVICES "
    "ROCR_VISIBLE_DEVICES OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS NUMEXPR_NUM_THREADS SSL_CERT_FILE "
    "SSL_CERT_DIR NIX_LD NIX_LD_LIBRARY_PATH LOCALE_ARCHIVE".split()
)
ALLOWED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "NCCL_", "PYTORCH_")
ALLOWED_ONLINE = frozenset(
    "HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy".split()
)
"""With the network on; a proxy's address often holds a password."""
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)

# What programs look for below HOME and the measured command may go on using: variable -> place below the user's home.
_IN_PLACE = {
    "UV_CACHE_DIR": ".cache/uv",
    "UV_PYTHON_INSTALL_DIR": ".local/share/uv/python",
    "PIP_CACHE_DIR": ".cache/pip",
    "HF_HOME": ".cache/huggingface",
    "TORCH_HOME": ".cache/torch",
    "PYTHONUSERBASE": ".local",
    "PYENV_ROOT": ".pyenv",
    "RUSTUP_HOME": ".rustup",
    "CARGO_HOME": ".cargo",
    "GOMODCACHE": "go/pkg/mod",
    "NVM_DIR": ".nvm",
    "npm_config_cache": ".npm",
}
_OFFLINE = {
    "UV_OFFLINE": "1",
    "PIP_NO_INDEX": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "CARGO_NET_OFFLINE": "true",
    "GOPROXY": "off",
    "npm_config_offline": "true",
    "WANDB_MODE": "offline",
}
_COMPILE_CACHES = {
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "CUDA_CACHE_PATH": "cuda",
    "GOCACHE": "go",
    "NUMBA_CACHE_DIR": "numba",
}


def argv_of(command: str | tuple[str, ...]) -> tuple[str, ...]:
    """A string goes through bash, a list is the argument vector."""
    return ("bash", "-c", command) if isinstance(command, str) else command


def clean_environment(
    *,
    home: Path,
    tmp: Path,
    caches: Path,
    bin: Path,
    venvs: Sequence[tuple[Path, Path]],
    ceiling: Path,
    session: str,
    names: Collection[str] = (),
    online: bool = False,
    source: Mapping[str, str] = os.environ,
    in_place: bool = True,
) -> dict[str, str]:
    """What all measured commands of a session share.

    `home`, `tmp` and `caches` as a command finds them. `bin` is a folder for `python`.
    `venvs` are (where it is, where a command finds it) of the environments that the target may have, the best first.
    git asked from inside a tree does not walk up beyond `ceiling`. `names` are passed whatever they are. `in_place`:
    HOME is not the user's own, so programs are told where their folders below that are.
    """
    users = Path(source.get("HOME") or Path.home())
    env = {name: value for name, value in source.items() if name in names or _is_allowed(name, online)}
    for name, place in _IN_PLACE.items():
        value = source.get(name) or str(users / place)
        if name not in env and (name in source or (in_place and Path(value).exists())):
            env[name] = value
    if not online:
        env |= {name: value for name, value in _OFFLINE.items() if name not in names}
    env |= {name: str(caches / place) for name, place in _COMPILE_CACHES.items() if name not in names}
    env |= _python(venvs, bin, source)
    if os.getuid() == 0:
        env["TAR_OPTIONS"] = "--no-same-owner"  # root without its privileges cannot give files away
    return env | {
        "HOME": str(home),
        "TMPDIR": str(tmp),
        "TERM": "dumb",
        "SHELL": "/bin/sh",
        "PYTHONUNBUFFERED": "1",
        # A .pyc is taken as valid when its source's second and size agree: two candidates can share both.
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CEILING_DIRECTORIES": str(ceiling),
        "AUTORESEARCH_SESSION": session,
    }


def in_place_caches(source: Mapping[str, str]) -> list[Path]:
    """The folders of package and model caches that measured commands use in place."""
    home = Path(source.get("HOME") or Path.home())
    return [Path(source.get(name) or home / place) for name, place in _IN_PLACE.items()]


def run_variables(*, experiment: int | None, budget_s: float, seed: int) -> dict[str, str]:
    """What differs from run to run."""
    return {
        "AUTORESEARCH_RUN": "" if experiment is None else str(experiment),
        "AUTORESEARCH_BUDGET_S": f"{budget_s:g}",
        "AUTORESEARCH_SEED": str(seed),
    }


def _is_allowed(name: str, online: bool) -> bool:
    if SECRET.search(name):
        return False
    return name in ALLOWED or name.startswith(ALLOWED_PREFIXES) or (online and name in ALLOWED_ONLINE)


def _python(venvs: Sequence[tuple[Path, Path]], bin: Path, source: Mapping[str, str]) -> dict[str, str]:
    """PATH, and VIRTUAL_ENV where the target has one.

    First an environment of the target's own. Without one, an environment that the user has activated stands first in
    PATH already; else the interpreter that runs the engine is put there, unless it is a tool's private one (pipx, uv
    tool), which only helps out when there is no `python` at all.
    """
    path = [entry for entry in source.get("PATH", os.defpath).split(os.pathsep) if entry]
    for venv, seen in venvs:
        if (venv / "bin" / "python").exists():
            return {"PATH": os.pathsep.join([str(seen / "bin"), *path]), "VIRTUAL_ENV": str(seen)}
    activated = source.get("VIRTUAL_ENV") or source.get("CONDA_PREFIX")
    ours = _folder_with_python(bin)
    if activated and (Path(activated) / "bin" / "python").exists():
        path.insert(0, str(Path(activated) / "bin"))
        extra = {"VIRTUAL_ENV": activated} if source.get("VIRTUAL_ENV") else {}
        return {"PATH": os.pathsep.join(path), **extra}
    if _is_private_tool(Path(sys.prefix)):
        path.append(ours)
    else:
        path.insert(0, ours)
    return {"PATH": os.pathsep.join(path)}


def _folder_with_python(bin: Path) -> str:
    """A folder in which the engine's interpreter is called `python`.

    Its own, where it is. Else a folder of ours with a script that becomes it: through a link, an interpreter would look
    for its environment in the wrong place.
    """
    interpreter = Path(sys.executable)
    if (interpreter.parent / "python").exists():
        return str(interpreter.parent)
    script = bin / "python"
    content = f'#!/bin/sh\nexec "{interpreter}" "$@"\n'
    if not script.exists() or script.read_text() != content:
        bin.mkdir(parents=True, exist_ok=True)
        script.write_text(content)
        script.chmod(0o755)
    return str(bin)


def _is_private_tool(prefix: Path) -> bool:
    parts = prefix.parts
    return "pipx" in parts or ("uv" in parts and "tools" in parts)
