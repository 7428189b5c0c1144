"""An agent that tries prepared changes: a folder of patches, or the commits of a git range.

Each change is put onto the incumbent by a three-way merge and left in the propose tree as the proposal. One that does
not merge, or is in the incumbent already, is answered as a problem, and the tree is as it was. What was tried is read
from the journal, so a resumed session goes on with the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from autoresearch.engine.agents.protocol import Exhausted, Proposal, Unavailable, Wanted
from autoresearch.engine.brief import Brief
from autoresearch.engine.git import Git, GitError
from autoresearch.engine.workspace import Scope
from autoresearch.state.journal import REPLAYED, History

_SUFFIXES = (".patch", ".diff")
_APPLY = ("-c", "apply.ignoreWhitespace=no", "apply", "--3way", "--whitespace=nowarn")
_BRACKETS = re.compile(r"^(?:\[[^\]]*\]\s*)+")
_DIFF = re.compile(rb"^(?:diff --git |--- |Index: )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    id: str
    """What the journal calls it: the file's name or the commit."""
    subject: str
    body: str
    path: Path | None = None
    parent: str = ""
    """For a commit: what it is compared with; empty for a root commit."""


class Replay:
    name = "replay"
    reads = False

    def __init__(self, source: str | Path, git: Git, prefix: str = "") -> None:
        """`source` is a folder, or `BASE..TIP` in the words of git; `git` is bound to the propose tree.

        `prefix` is the target's folder in the repository.

        `HEAD` in a range would be the propose tree's: resolve it first, with `fixed_range`. Raises Unavailable
        when `source` is neither.
        """
        self._source = str(source)
        self._git = git
        self._prefix = prefix
        if not Path(source).is_dir() and ".." not in self._source:
            raise Unavailable(f"--replay takes a folder of patches or a range BASE..TIP; {self._source!r} is neither.")
        self._changes: list[Change] | None = None
        self._seen = 0
        self._tried_rows: set[str] = set()
        """Ids in the history's rows so far: a night's are not walked again for each proposal."""
        self.notes: list[str] = []
        """What was left out and why, known after the first proposal."""

    @classmethod
    def made(cls, wanted: Wanted) -> Replay:
        if wanted.replay is None:
            raise Unavailable("The agent 'replay' needs --replay FOLDER or --replay BASE..TIP.")
        return cls(wanted.replay, wanted.git, wanted.prefix)

    async def propose(self, brief: Brief, tree: Path) -> Proposal:
        if self._changes is None:
            self._changes = list(self._read())
        tried = self._tried(brief.history)
        change = next((change for change in self._changes if change.id not in tried), None)
        if change is None:
            raise Exhausted(" ".join([self._all_tried(len(self._changes)), *self.notes]))
        problem, reason = self._apply(change, Scope(brief.config.scope.edit))
        return Proposal(
            description=change.subject,
            hypothesis=change.body,
            category=REPLAYED,
            params={REPLAYED: change.id},
            problem=problem,
            reason=reason,
        )

    def _tried(self, history: History) -> set[str]:
        """Ids of changes that were measured, are being measured or wait for it. A withdrawn one comes again."""
        self._tried_rows |= _ids(row.params for row in history.rows[self._seen :])
        self._seen = len(history.rows)
        waiting = [waiting.params for waiting in history.waiting.values()]
        waiting += [opened.waiting.params for opened in history.unfinished if opened.waiting is not None]
        return self._tried_rows | _ids(waiting)

    def _all_tried(self, count: int) -> str:
        if count == 0:
            return f"{self._source} holds no change to try: no *.patch or *.diff file, or no commit."
        if count == 1:
            return f"The only change of {self._source} has been tried."
        return f"All {count} changes of {self._source} have been tried."

    # -- the source

    def _read(self) -> Iterator[Change]:
        folder = Path(self._source)
        if folder.is_dir():
            for path in sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES):
                subject, body = _words_of_patch(path)
                yield Change(path.name, subject, body, path=path)
        else:
            yield from self._commits()

    def _commits(self) -> Iterator[Change]:
        try:
            listed = self._git(
                "log",
                "-z",
                "--reverse",
                "--first-parent",
                "--format=%H%n%P%n%B",
                "--end-of-options",
                self._source,
                "--",
            )
        except GitError as error:
            raise Exhausted(f"{self._source} is no range of this repository: {error.stderr}") from error
        merges = 0
        for entry in listed.split("\0"):
            sha, _, rest = entry.lstrip("\n").partition("\n")
            parents, _, message = rest.partition("\n")
            if len(parents.split()) > 1:
                merges += 1
            elif sha:
                subject, body = _words_of(message)
                yield Change(sha, subject, body, parent=parents.strip())
        if merges:
            self.notes.append(f"{merges} merge{'s' if merges > 1 else ''} left out.")

    # -- applying

    def _apply(self, change: Change, scope: Scope) -> tuple[str, str]:
        """(problem, reason), both empty when the change is in the tree; the tree is untouched otherwise."""
        patch = self._patch_of(change)
        if not _DIFF.search(patch):
            return "no_change", f"{change.subject!r} holds no diff."
        place = self._place(change, patch)
        failure = self._merge(patch, place)
        if failure:
            # Another loop's commits often hold its own records too, which conflict: the in-scope part may still merge.
            outside = [path for path in self._paths(patch, place) if not self._in_scope(path, scope)]
            if outside:
                failure = self._merge(patch, [*place, *(f"--exclude={_escaped(path)}" for path in outside)])
        if failure:
            if self._git.attempt("apply", "--check", "--reverse", *place, "-", stdin=patch)[0] == 0:
                return "no_change", "The incumbent holds it already."
            return "conflict", f"It does not merge onto the incumbent: {failure}"
        if self._git.attempt("diff-index", "--cached", "--quiet", "HEAD", "--")[0] == 0:
            return "no_change", "The incumbent holds it already."
        return "", ""

    def _merge(self, patch: bytes, place: list[str]) -> str:
        """Apply three-way to tree and index; the first line of what git said when it failed, after tidying up."""
        # Git compares times and sizes before it overwrites a file; a checkout within the same second looks changed.
        self._git.attempt("update-index", "-q", "--refresh")
        code, _, said = self._git.attempt(*_APPLY, *place, "-", stdin=patch)
        if not code:
            return ""
        self._git("read-tree", "--reset", "-u", "HEAD")
        errors = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith(("error:", "U "))]
        return errors[0] if errors else said.strip() or f"git apply ended with {code}"

    def _patch_of(self, change: Change) -> bytes:
        if change.path is not None:
            return change.path.read_bytes()
        ends = [change.parent, change.id] if change.parent else ["--root", change.id]
        return self._git.raw(
            "diff-tree", "-p", "-r", "-M", "--binary", "--full-index", "--no-commit-id", "--no-ext-diff",
            "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", *ends, "--",
        )  # fmt: skip

    def _place(self, change: Change, patch: bytes) -> list[str]:
        """Commits apply at the top; patch files in the target's folder, unless all their paths begin with it."""
        if change.path is None or not self._prefix:
            return []
        below = f"{self._prefix}/"
        return [] if all(path.startswith(below) for path in self._paths(patch, [])) else [f"--directory={self._prefix}"]

    def _paths(self, patch: bytes, place: list[str]) -> list[str]:
        """The files a patch touches, by their new names, from the repository's top."""
        code, listed, _ = self._git.attempt("apply", "--numstat", "-z", *place, "-", stdin=patch)
        if code:
            return []
        entries = listed.decode("utf-8", "surrogateescape").split("\0")
        return [entry.split("\t", 2)[2] for entry in entries if entry.count("\t") >= 2]

    def _in_scope(self, path: str, scope: Scope) -> bool:
        below = f"{self._prefix}/" if self._prefix else ""
        return path.startswith(below) and scope.contains(path.removeprefix(below))


def _ids(params: Iterable[dict[str, Any] | None]) -> set[str]:
    return {str(entry[REPLAYED]) for entry in params if entry and REPLAYED in entry}


def _escaped(path: str) -> str:
    return re.sub(r"([*?\[\\])", r"\\\1", path)


def _words_of_patch(path: Path) -> tuple[str, str]:
    """(subject, first paragraph) of a mailed patch, or of whatever stands before a plain diff."""
    data = path.read_bytes()
    first = _DIFF.search(data)
    head = data[: first.start()] if first else data
    if re.match(rb"(?:From |[A-Z][\w-]*: )", head):
        mail = message_from_bytes(re.sub(rb"\AFrom .*\n", b"", head), policy=policy.default)
        subject = _BRACKETS.sub("", " ".join(str(mail["Subject"] or "").split()))
        body = mail.get_payload(decode=True)
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else ""
        return subject or path.stem, _paragraph(re.split(r"^---\s*$", text, maxsplit=1, flags=re.MULTILINE)[0])
    subject, body_text = _words_of(head.decode("utf-8", "replace"))
    return subject or path.stem, body_text


def _words_of(message: str) -> tuple[str, str]:
    subject, _, body = message.strip().partition("\n")
    return subject.strip(), _paragraph(body)


def _paragraph(text: str) -> str:
    return " ".join(re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0].split())
