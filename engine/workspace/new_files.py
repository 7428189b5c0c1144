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
from collections.abc import Collection, Mapping, Sequence
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
        # Also what is opened through a link to a folder.
        reached = {*opened, *(str(folder) for path in opened for folder in PurePosixPath(path).parents)}
        kin: dict[str, list[PurePosixPath]] = {}
        for path in map(PurePosixPath, self.editable.intersection(opened)):
            kin.setdefault(path.suffix, []).append(path)
        return [
            path
            for path, twin in self.twins.items()
            if path in reached and not _belongs(PurePosixPath(path), twin in opened, kin)
        ]


def twin_of(path: str, name: str) -> str:
    """A file beside it, of the same kind and called `name`."""
    pure = PurePosixPath(path)
    return str(pure.with_name(f"{name}{pure.suffix}"))


def _belongs(path: PurePosixPath, twin_opened: bool, kin: Mapping[str, Sequence[PurePosixPath]]) -> bool:
    """`kin` are the files in scope that are opened, by their kind."""
    own = kin.get(path.suffix, ())
    return bool(own) and (twin_opened or any(p.parent == path.parent and _alike(p.stem, path.stem) for p in own))


def _alike(one: str, other: str) -> bool:
    """`test_speed` and `test_size`, `speed_test` and `size_test`: of several words, the first or last is the same."""
    words, others = (_WORDS.split(stem) for stem in (one, other))
    return min(len(words), len(others)) > 1 and (words[0] == others[0] or words[-1] == others[-1])
