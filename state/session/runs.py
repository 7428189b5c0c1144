"""Where the files of an experiment lie."""

from __future__ import annotations

from pathlib import Path

_LOGS = ("guard.log", "evaluate.log", "output.log", "build.log")


def logs_of(folder: Path) -> list[Path]:
    """The logs of an experiment's commands, the one written last first: of a failure, that is the one that tells."""
    logs = [path for name in _LOGS if (path := folder / name).is_file() and not path.is_symlink()]
    return sorted(logs, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def proposal_folder(runs: Path, id: int) -> Path:
    return runs / f"p{id:05d}"
