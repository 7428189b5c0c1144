"""New files of a candidate that a command which decides about it would take by their names.

Programs look for files that nobody has named: make takes a GNUmakefile before the Makefile, pytest reads a setup.cfg,
an `import click` deep in a library gets the click.py that lies beside the script. In a wide scope a candidate can write
such a file, and the evaluator or guard is the candidate's own. Which names those are depends on the programs, so they
are asked: the command is run on the candidate's parent with the new files added, all of them empty, and what it opens
is noted. Beside each lies a twin of another name. A linter opens that too; who opens one and not the other was led by
the name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_WORDS = re.compile(r"[._-]+")


@dataclass(frozen=True, slots=True)
class NewFiles:
    twins: Mapping[str, str]
    """Each new file, and the file of another name beside it."""
    editable: frozenset[str]
    """What was in scope before."""
    sha: str = ""
    """The commit to ask with: the candidate's parent and these files, empty."""

    def taken(self, opened: Collection[str]) -> list[str]:
        """Those that are opened for their names, by a command that opens these files of the asking commit.

        What it opens anyhow stays the candidate's: new files where it opens any file, those in scope too; and a file
        that is called like one in scope beside it, as a test is among tests.
        """
        held = [path for path in self.editable if path in opened]
        return [
            path for path, twin in self.twins.items() if _is_in(path, opened) and not _belongs(path, twin, held, opened)
        ]


def twin_of(path: str, name: str) -> str:
    """A file beside it, of the same kind and called `name`."""
    pure = PurePosixPath(path)
    return str(pure.with_name(f"{name}{pure.suffix}"))


def _is_in(path: str, opened: Collection[str]) -> bool:
    """Itself, or through it where it is a link to a folder."""
    return path in opened or any(each.startswith(f"{path}/") for each in opened)


def _belongs(path: str, twin: str, held: Iterable[str], opened: Collection[str]) -> bool:
    pure = PurePosixPath(path)
    kin = [each for each in map(PurePosixPath, held) if each.suffix == pure.suffix]
    if kin and twin in opened:
        return True
    return any(each.parent == pure.parent and _alike(each.stem, pure.stem) for each in kin)


def _alike(one: str, other: str) -> bool:
    """`test_speed` and `test_size`, `speed_test` and `size_test`: of several words, the first or last is the same."""
    words, others = (_WORDS.split(stem) for stem in (one, other))
    return min(len(words), len(others)) > 1 and (words[0] == others[0] or words[-1] == others[-1])
