"""What is in this folder: a suggested config, and sentences about it. Reads files, asks and writes nothing.

Two layouts are known whole: Karpathy's (`program.md`, `prepare.py`, `train.py`) and pi-autoresearch's. Elsewhere there
are only guesses, which `init` offers as the defaults of its questions.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from autoresearch.engine import doctor, measure
from autoresearch.state import foreign

UV_RUN = "uv run --no-sync --offline --no-cache"
"""Uses the linked `.venv` as it is: nothing is resolved, installed or downloaded, and no cache is needed.

Tried with uv 0.13 in a worktree: without `--no-cache` a cache that cannot be written ends the run with exit code 2.
"""

_READ_BYTES = 1 << 20
_HIGHER = re.compile(
    r"(^|[_./-])(acc|accuracy|score|reward|return|throughput|tok(ens)?_per_s(ec)?|per_s(ec)?|qps|rps|fps|mfu(_percent)?|"
    r"auc|auroc|f1|bleu|rouge|map|win_?rate|pass_?rate|passed|precision|recall|speedup|hits?|coverage)($|[_./-])",
    re.IGNORECASE,
)
ENVIRONMENTS = (".venv", "venv", "node_modules")
_PLAIN = re.compile(r"[\w.+-]+", re.ASCII)
"""Names that stand for themselves as a glob among others."""
_DATA = ("data", "datasets", "dataset")


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder suggests, by dotted config key."""

    kind: str = ""
    """karpathy, pi, or "" for anything else."""
    sure: dict[str, Any] = field(default_factory=dict)
    """Taken without asking, unless a flag says otherwise."""
    guesses: dict[str, Any] = field(default_factory=dict)
    """Defaults of questions."""
    sentences: tuple[str, ...] = ()
    history: Path | None = None
    """A file of earlier experiments that can be imported."""


def detect(folder: Path, tracked: Collection[str] = ()) -> Found:
    """`tracked` are the names in `folder` that git tracks or would track: what it ignores may have to be linked."""
    found = _karpathy(folder) or _pi(folder) or _plain(folder)
    links = [name for name in ENVIRONMENTS if (folder / name).is_dir()]
    links += [name for name in _DATA if (folder / name).is_dir() and name not in tracked]
    if found.kind == "karpathy" and _has_uv(folder) and ".venv" not in links:
        links.insert(0, ".venv")
    if links:
        found.sure["scope.link"] = links
    guesses = {key: value for key, value in found.guesses.items() if value}
    return Found(
        kind=found.kind,
        sure=found.sure,
        guesses=guesses,
        sentences=(*found.sentences, *_editable(folder, guesses)),
        history=found.history,
    )


def better_higher(metric: str) -> bool:
    """Whether a metric's name says that more is better."""
    return bool(_HIGHER.search(metric))


# -- Karpathy's


def _karpathy(folder: Path) -> Found | None:
    if not all((folder / name).is_file() for name in ("program.md", "prepare.py", "train.py")):
        return None
    train, prepare = _text(folder / "train.py"), _text(folder / "prepare.py")
    results = folder / "results.tsv"
    metric = "val_bpb" if "val_bpb" in train else foreign.results_metric(_text(results))
    sure: dict[str, Any] = {
        "program": "program.md",
        "scope.edit": ["train.py"],
        "measure.run": f"{UV_RUN} train.py" if _has_uv(folder) else "python train.py",
    }
    if metric:
        sure["metric.name"] = metric
    if metric == "val_bpb":
        sure |= {"metric.direction": "lower", "metric.unit": "bits/byte"}
    if "loss: {" in train:
        sure["measure.progress"] = {"loss": r"loss: ([0-9.]+)"}
    if "peak_vram_mb" in train:
        sure["constraints"] = {"peak_vram_mb": "1.2x"}
    if budget := re.search(r"^TIME_BUDGET\s*=\s*([0-9.]+)", prepare, re.MULTILINE):
        sure["measure.budget_s"] = float(budget[1])
    return Found("karpathy", sure, {}, tuple(_karpathy_words(folder, metric, prepare)), _history(results))


def _karpathy_words(folder: Path, metric: str, prepare: str) -> list[str]:
    said = ["This is Karpathy's layout: train.py is edited, prepare.py is protected, program.md goes to the agent."]
    score = metric or "score"
    said.append(
        f"train.py prints its own {score}: an experiment could print a better one than it reached. `measure.evaluate` "
        "closes that: a protected command that scores the model train.py saves."
    )
    if _has_uv(folder) and not (folder / ".venv").is_dir():
        said.append("There is no .venv yet, and measured runs install nothing: run `uv sync` first.")
    data = Path.home() / ".cache" / "autoresearch" / "data"
    if re.search(r"^CACHE_DIR\s*=.*autoresearch", prepare, re.MULTILINE) and not data.is_dir():
        runner = "uv run" if _has_uv(folder) else "python"
        said.append(f"There is no data in ~/.cache/autoresearch yet: run `{runner} prepare.py` first.")
    return said


# -- pi-autoresearch's


_PI_CURRENT = ("log.jsonl", "prompt.md", "ideas.md", "checks.sh", "measure.sh", "config.json")


def _pi(folder: Path) -> Found | None:
    """Its current layout (`.auto/`) hides the legacy one, as pi reads it."""
    auto = folder / ".auto"
    if any((auto / name).is_file() for name in _PI_CURRENT):
        script, checks, log, prompt = (auto / name for name in ("measure.sh", "checks.sh", "log.jsonl", "prompt.md"))
    else:
        script, checks, log, prompt = (
            folder / f"autoresearch{ending}" for ending in (".sh", ".checks.sh", ".jsonl", ".md")
        )
    if not script.is_file():
        return None
    shown = [path.relative_to(folder).as_posix() for path in (script, checks, prompt)]
    sure: dict[str, Any] = {"measure.run": f"bash {shown[0]}"}
    if checks.is_file():
        sure["guard"] = [{"run": f"bash {shown[1]}"}]
    if prompt.is_file():
        sure["program"] = shown[2]
    guesses: dict[str, Any] = {"scope.edit": _files_in_scope(folder, _text(prompt))}
    history = foreign.read_journal(_text(log, whole=True))
    header = history.segments[-1] if history.segments else history.config
    if header.metric:
        sure |= {"metric.name": header.metric, "metric.direction": header.direction or "lower"}
        if header.unit:
            sure["metric.unit"] = header.unit
    else:
        guesses["metric.name"] = measure.drafted_name(_text(script))
    said = f"This is a pi-autoresearch folder: {shown[0]} is run as it is" + (
        ", and its checks guard every gain." if checks.is_file() else "."
    )
    return Found("pi", sure, guesses, (said,), log if history.segments else None)


def _files_in_scope(folder: Path, prompt: str) -> list[str]:
    """The existing paths named under its prompt's "Files in Scope" heading."""
    section = re.search(r"^#+ *Files in Scope[^\n]*\n(.*?)(?=^#|\Z)", prompt, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    named = re.findall(r"`([^`\s]+)`", section[1]) if section else []
    globs = []
    for name in named:
        path = name.removeprefix("./").rstrip("/")
        if path and ".." not in path and (folder / path).exists():
            globs.append(f"{path}/**" if (folder / path).is_dir() else path)
    return list(dict.fromkeys(globs))


# -- anything else


def _plain(folder: Path) -> Found:
    package = _json(folder / "package.json")
    scripts = package.get("scripts") if isinstance(package.get("scripts"), dict) else {}
    assert isinstance(scripts, dict)
    targets = set(re.findall(r"^([A-Za-z][\w-]*)\s*:(?!=)", _text(folder / "Makefile"), re.MULTILINE))
    python = f"{UV_RUN} python" if _has_uv(folder) else "python"
    script = next((name for name in ("bench.py", "benchmark.py", "train.py") if (folder / name).is_file()), "")
    choices = {
        "npm run --silent bench": "bench" in scripts,
        "npm run --silent benchmark": "benchmark" in scripts,
        "make bench": "bench" in targets,
        "make benchmark": "benchmark" in targets,
        f"{python} {script}": bool(script),
    }
    run = next((command for command, there in choices.items() if there), "")
    guesses: dict[str, Any] = {"measure.run": run, "scope.edit": _sources(folder, script)}
    if script:
        guesses["metric.name"] = measure.drafted_name(_text(folder / script))
    if guard := _tests(folder, python, scripts, targets):
        guesses["guard"] = [{"run": guard}]
    results = folder / "results.tsv"
    guesses["metric.name"] = foreign.results_metric(_text(results)) or guesses.get("metric.name", "")
    return Found("", {}, guesses, (), _history(results))


def _tests(folder: Path, python: str, scripts: dict[str, Any], targets: Collection[str]) -> str:
    if _has_pytest(folder):
        return f"{python} -m pytest -q"
    if "test" in scripts and "no test specified" not in str(scripts["test"]):
        return "npm test --silent"
    return "make test" if "test" in targets else ""


def _has_pytest(folder: Path) -> bool:
    if any((folder / name).is_file() for name in ("pytest.ini", "conftest.py", "tests/conftest.py")):
        return True
    try:
        project = tomllib.loads(_text(folder / "pyproject.toml"))
    except tomllib.TOMLDecodeError:
        project = {}
    tool = project.get("tool")
    if isinstance(tool, dict) and "pytest" in tool:
        return True
    return any(next((folder / place).glob("test_*.py"), None) is not None for place in ("tests", "test", "."))


def _sources(folder: Path, script: str) -> list[str]:
    """What is probably to be edited: `src`, the one package, the training script, or the one file beside the bench."""
    if (folder / "src").is_dir():
        return ["src/**"]
    packages = sorted(path.parent.name for path in folder.glob("*/__init__.py"))
    packages = [name for name in packages if name not in ("tests", "test") and _PLAIN.fullmatch(name)]
    if len(packages) == 1:
        return [f"{packages[0]}/**"]
    if script == "train.py":
        return [script]
    others = [path.name for path in folder.glob("*.py") if path.name not in (script, "setup.py", "conftest.py")]
    others = [name for name in others if not (name.startswith("test_") or name.endswith("_test.py"))]
    others = [name for name in others if _PLAIN.fullmatch(name)]
    return others if script and len(others) == 1 else []


def _editable(folder: Path, guesses: dict[str, Any]) -> list[str]:
    """A `.venv` in which this very project is installed editable would import the person's files, not the measured.

    Guessed commands get the cure at once, and where the checkout's `src` is on no path at all; what is said stays, for
    a command of the person's own.
    """
    found = doctor.editables(folder, (folder / ".venv").glob("lib/python3*/site-packages"))
    root = doctor.import_root(folder.resolve(), found[0]) if found else "src"
    if found or any(folder.glob("src/*/__init__.py")):
        for command in (guesses, *guesses.get("guard", ())):
            key = "measure.run" if command is guesses else "run"
            if str(command.get(key, "")).startswith("python "):
                command[key] = f"PYTHONPATH={root} {command[key]}"
    if not found:
        return []
    return [
        f".venv has {found[0].package} installed as editable, so it would be imported from here, not from the measured "
        f'checkout: put the checkout first, e.g. run = "PYTHONPATH={root} python bench.py".'
    ]


# -- reading


def _has_uv(folder: Path) -> bool:
    return (folder / "uv.lock").is_file()


def _history(results: Path) -> Path | None:
    """The results.tsv when it holds an experiment; Karpathy's begins with a header row alone."""
    try:
        return results if results.is_file() and foreign.read_results(_text(results, whole=True)).segments else None
    except ValueError:
        return None


def _text(path: Path, whole: bool = False) -> str:
    """A file's text, at most a megabyte of it; "" when there is none to read."""
    try:
        with path.open("rb") as file:
            return file.read(-1 if whole else _READ_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        data = orjson.loads(_text(path))
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}
