"""Git as we call it: never by discovery, never through the user's hooks, signing or background maintenance.

A repository that came in an archive has a config of somebody else's, which can name programs. None of them is run: what
has a fixed name is set here; the calls that would run a textconv or an external diff say that they do not want it; no
transport is allowed, so that a missing object is not fetched; filters are left to the trees in which commands run.

Every call names the git directory and the work tree: a tree that lost its `.git` file made `reset --hard` walk up and
wipe a user's file in a trial. GitPython serves people's commands; a process per question is too slow for the loop, so
references and objects go through long-lived batch processes.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from autoresearch.engine.process import claim, release, starting_child

SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=:",
    "log.showSignature=false",
    "core.untrackedCache=false",
    "core.abbrev=40",
    "core.quotePath=false",
    "core.autocrlf=false",
    "core.safecrlf=false",
    # A user's weaker settings would let git overlook a file that a run changed.
    "core.trustctime=true",
    "core.checkStat=default",
    "core.ignoreStat=false",
    "core.fsync=loose-object,reference",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "advice.detachedHead=false",
    "submodule.recurse=false",
    "diff.renames=true",
    "diff.external=",
    "status.renames=true",
    "merge.conflictStyle=merge",
    "protocol.allow=never",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "worktree.useRelativePaths=false",
)
_FLAGS = tuple(part for setting in SETTINGS for part in ("-c", setting))
_KEPT = frozenset(
    {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR"}
)
"""Of the variables git reads. Any other may turn a call into a different one: GIT_INDEX_VERSION=4 made an index that we
cannot read, GIT_COMMITTER_DATE a commit that is another's."""
_UNSET = frozenset({"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS"})
TIMEOUT_S = 900.0
"""Only a hanging file system or filter needs longer; the engine can obey nobody while it waits."""
_PROGRESS = re.compile(r"(?:remote: )?[A-Z][a-z]+ [a-z]+: +\d+%|(?:remote: )?\w+ objects: \d+")
OUR_NAME = "autoresearch"
OUR_EMAIL = "autoresearch@localhost"


class GitError(Exception):
    """A git call failed; carries git's own words."""

    def __init__(self, args: Sequence[str], code: int, stderr: str) -> None:
        self.stderr = stderr.strip()
        command = next((arg for arg in args if not arg.startswith("-")), "")
        super().__init__(f"git {command} failed ({code}): {self.stderr or 'no message'}")


def clean_environment(identity: Mapping[str, str] | None = None) -> dict[str, str]:
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in _UNSET and (not key.startswith("GIT_") or key in _KEPT)
    }
    env.update(GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0", GIT_NO_REPLACE_OBJECTS="1", GIT_ADVICE="0", LC_ALL="C")
    env["GIT_ALLOW_PROTOCOL"] = ""  # none, whatever the repository's config allows: a partial clone would fetch
    env.update(identity or {})
    return env


class Git:
    """Git on one git directory and (unless for plumbing alone) one work tree."""

    def __init__(self, git_dir: Path, work_tree: Path | None = None, identity: Mapping[str, str] | None = None) -> None:
        self.git_dir = git_dir
        self.work_tree = work_tree
        self._env = clean_environment(identity)
        place = ["git", f"--git-dir={git_dir}"]
        if work_tree is not None:
            place.append(f"--work-tree={work_tree}")
        self._prefix = (*place, *_FLAGS)

    def __call__(self, *args: str, stdin: bytes | str | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run one git command and return its output as text. Raises GitError with git's words."""
        return self.raw(*args, stdin=stdin, env=env).decode("utf-8", "surrogateescape")

    def raw(self, *args: str, stdin: bytes | str | None = None, env: Mapping[str, str] | None = None) -> bytes:
        code, out, err = self.attempt(*args, stdin=stdin, env=env)
        if code:
            raise GitError(args, code, err)
        return out

    def resolve(self, name: str) -> str | None:
        """The object that a name means; None when there is none. For those who ask often there is `Refs`."""
        code, out, _ = self.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return None if code else out.decode().split()[-1]

    def refs(self, *places: str) -> dict[str, str]:
        """The refs at or below these places, and the objects that they name."""
        listed = self("for-each-ref", "--format=%(refname) %(objectname)", *(place.rstrip("/") for place in places))
        return dict(line.split(" ") for line in listed.splitlines())

    def files_of(self, commit: str) -> Iterator[tuple[str, str]]:
        """("mode kind object", path) of every file of a commit."""
        for entry in filter(None, self("ls-tree", "-r", "-z", commit).split("\0")):
            facts, _, path = entry.partition("\t")
            yield facts, path

    def attempt(
        self, *args: str, stdin: bytes | str | None = None, env: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, str]:
        """(exit code, output, stderr) of one git command, for those whose failure is an answer."""
        data = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
        with subprocess.Popen(
            (*self._prefix, *args),
            stdin=subprocess.PIPE if data is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.work_tree if self.work_tree is not None and self.work_tree.is_dir() else self.git_dir,
            env={**self._env, **env} if env else self._env,
        ) as child:
            claim(child.pid)
            try:
                out, err = child.communicate(data, TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                return 124, b"", f"it did not end within {TIMEOUT_S:g} s"
            finally:
                release(child.pid)
        return child.returncode, out, err.decode("utf-8", "replace")

    def talk(
        self,
        *args: str,
        stdin: str = "",
        say: Callable[[str], None] | None = None,
        env: dict[str, str] | None = None,
    ) -> tuple[int, str, str]:
        """(exit code, output, stderr) of a call to another machine: as long as it takes, `say` getting its progress."""
        world = {key: value for key, value in self._env.items() if value or key != "GIT_ALLOW_PROTOCOL"} | (env or {})
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as taken:
            given.write(stdin.encode("utf-8", "surrogateescape"))
            given.seek(0)
            with subprocess.Popen(
                (*self._prefix, *args),
                stdin=given,
                stdout=taken,
                stderr=subprocess.PIPE,
                cwd=self.work_tree if self.work_tree is not None and self.work_tree.is_dir() else self.git_dir,
                env=world,
            ) as child:
                assert child.stderr is not None
                said: list[str] = []
                for line in io.TextIOWrapper(child.stderr, "utf-8", "replace", newline=None):
                    if not _PROGRESS.match(line):
                        said.append(line)
                    elif say is not None:
                        say(line.strip())
            taken.seek(0)
            return child.returncode, taken.read().decode("utf-8", "surrogateescape"), "".join(said)

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """A long-lived process, known as ours so that no clean-up takes it for a leftover."""
        with starting_child():  # a sweep would take it for a leftover between its start and its claim
            child = subprocess.Popen(
                (*self._prefix, *args),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self.work_tree or self.git_dir,
                env=self._env,
                start_new_session=True,
            )
            claim(child.pid)
        return child


class Batch:
    """A process of git that answers one question after another; started when first asked, and again when it ended."""

    def __init__(self, git: Git, *args: str) -> None:
        self._git = git
        self._args = args
        self._child: subprocess.Popen[bytes] | None = None

    def ask(self, said: bytes) -> str:
        """The first line of the answer; "" when the process ended instead."""
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._child = self._git.start(*self._args)
        assert self._child.stdin is not None
        answer = b""
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(said)
            self._child.stdin.flush()
            answer = self.line()
        if not answer:
            self.close()
        return answer.decode("utf-8", "replace").rstrip("\n")

    def line(self) -> bytes:
        """The next line of the answer; b"" when the process has ended."""
        return self._child.stdout.readline() if self._child is not None and self._child.stdout is not None else b""

    def read(self, size: int) -> bytes:
        return self._child.stdout.read(size) if self._child is not None and self._child.stdout is not None else b""

    def ended(self) -> GitError:
        return GitError(self._args, 1, "it ended instead of answering")

    def close(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            child.wait(timeout=2)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        release(child.pid)


_PATCH_BYTES = 4 << 20


class Refs:
    """Questions and moves that the loop makes often, through long-lived batch processes instead of one each."""

    def __init__(self, git: Git) -> None:
        self._git = git
        flags = ("-r", "--no-renames")
        shown = ("-p", "-U0", "--no-color", "--no-ext-diff", "--no-textconv")
        self._updates = Batch(git, "update-ref", "--no-deref", "--stdin")
        self._reads = Batch(git, "cat-file", "--batch-check=%(objectname) %(objecttype)")
        self._diffs = Batch(git, "diff-tree", "--stdin", *flags, "--numstat")
        self._patches = Batch(git, "diff-tree", "--stdin", *flags, *shown)

    def lines_between(self, before: str, after: str) -> tuple[int, int]:
        """(lines added, lines removed) between two trees; binary files count none."""
        added = removed = 0
        for line in self._compared(self._diffs, before, after):
            plus, minus, _ = line.split(b"\t", 2)
            added += int(plus) if plus.isdigit() else 0
            removed += int(minus) if minus.isdigit() else 0
        return added, removed

    def patch_between(self, before: str, after: str) -> str:
        """The unified diff of two trees without context lines, its beginning at least; binary files are only named."""
        lines, room = list[bytes](), _PATCH_BYTES
        for line in self._compared(self._patches, before, after):
            if room > 0:
                lines.append(line)
                room -= len(line)
        return b"".join(lines).decode("utf-8", "replace")

    def _compared(self, batch: Batch, before: str, after: str) -> Iterator[bytes]:
        """The lines of a comparison, without the first, which repeats the question."""
        # A line that names no object is handed back as it is, after all that came before it: the end mark.
        batch.ask(f"{before} {after}\nend\n".encode())
        while (line := batch.line()) != b"end\n":
            if not line:
                raise batch.ended()
            yield line

    def resolve(self, name: str) -> str | None:
        """The commit a name points at, None when it does not exist."""
        # A process that has just died says nothing, which is no answer: ask another.
        answer = self._reads.ask(f"{name}\n".encode()) or self._reads.ask(f"{name}\n".encode())
        if not answer:
            raise self._reads.ended()
        word, _, kind = answer.partition(" ")
        return None if kind in ("missing", "ambiguous") or not kind else word

    def update(self, *changes: tuple[str, str, str | None]) -> None:
        """Move references in one transaction: (ref, new commit or "" to delete, old commit, "" for none, None for any).

        Raises GitError when one is not where it was expected or cannot be written; then none has moved.
        """
        lines = ["start"]
        for ref, new, old in changes:
            if new:
                lines.append(f"update {ref} {new}" + ("" if old is None else f" {old or '0' * len(new)}"))
            else:
                lines.append(f"delete {ref}" + (f" {old}" if old else ""))
        lines += ["prepare", "commit", ""]
        script = "\n".join(lines).encode()
        answers = [self._updates.ask(script), *(self._updates.line().decode().rstrip("\n") for _ in range(2))]
        if answers != ["start: ok", "prepare: ok", "commit: ok"]:
            self._updates.close()
            # Ask once more in a process of its own, whose words a person can be told.
            self._git("update-ref", "--no-deref", "--stdin", stdin=script)

    def close(self) -> None:
        for batch in (self._updates, self._reads, self._diffs, self._patches):
            batch.close()


def alternate(objects: Path) -> dict[str, str]:
    """The environment in which git finds the objects in this folder too."""
    quoted = re.sub(r'(["\\])', r"\\\1", str(objects))
    return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{quoted}"'}


def fixed_range(git: Git, source: str) -> str:
    """A range with its ends as commits, resolved where the person stands; what git refuses, as it is."""
    if ".." not in source:
        return source
    base, _, tip = source.partition("..")
    shas = [git.resolve(f"{name or 'HEAD'}^{{commit}}") for name in (base, tip)]
    return source if None in shas else "..".join(filter(None, shas))
