"""A git remote as sessions see it: what it has, fetched and pushed with explicit refs, and its refusals in plain words.

A session is the same refs at every remote, its saved state among them. A working copy, from where a session can be
pulled as well, saves that in a repository beside its refs.

The user's hooks do not run, nothing is followed or signed by their settings, and no ref is overwritten that has moved
since it was looked at. Their ways to log in (ssh, credential helpers, askpass) do work.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autoresearch.engine.git.git import Git, alternate
from autoresearch.state.session import Place, SessionError, find_place
from autoresearch.state.text import clean_line

INCOMING = "refs/autoresearch-incoming/"
"""Where a pulled session's refs wait until they are made its own."""
PORTION = 4000
"""Refs in one push: an argument list has an end."""
_ENVIRONMENT = re.compile(r"GIT_(SSH|SSL|HTTP|ASKPASS|PROXY|CURL|ALLOW_PROTOCOL|TRACE|CONFIG_(COUNT|KEY_|VALUE_))")
_ALLOWED = ("-c", "protocol.allow=user", "-c", "protocol.ext.allow=never")
_PUSH = (
    "-c", "push.gpgSign=false", "push", "--porcelain", "--progress", "--no-verify", "--no-follow-tags",
    "--recurse-submodules=no",
)  # fmt: skip
_FETCH = (
    "fetch", "--progress", "--no-filter", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
    "--no-auto-maintenance", "--refmap=", "--no-prune", "--stdin",
)  # fmt: skip


class Remote:
    """A remote of the repository by name, or any repository by URL or path."""

    def __init__(
        self, place: Place, name: str, start: Path, say: Callable[[str], None] | None = None, may_ask: bool = False
    ) -> None:
        env = {key: value for key, value in os.environ.items() if _ENVIRONMENT.match(key)}
        self._place = place
        self._git = Git(place.common_dir, place.top, {**env, "GIT_TERMINAL_PROMPT": "1" if may_ask else "0"})
        self._say = say
        self._beside: dict[str, str] = {}
        """Where state commits are that are not among its refs."""
        self._address = self._resolve(name, start)
        self.shown = re.sub(r"//[^/@]*@", "//", clean_line(name, 200))
        """Without a password in it."""

    def _resolve(self, name: str, start: Path) -> str:
        known = self._git.attempt("remote")[1].decode("utf-8", "replace").split("\n")
        if name in known and name:
            return name
        if name and (start / name).exists():
            return str((start / name).resolve())
        if ":" in name and not name.startswith("-"):
            return name
        there = ", ".join(filter(None, known)) or "none yet; `git remote add NAME URL` makes one"
        raise SessionError(
            f"There is no git remote or folder {clean_line(name, 200)!r} here (remotes: {there}); "
            "give a remote's name, a URL or a path."
        )

    def refs(self) -> dict[str, str]:
        """Every ref of sessions that it has, and its commit."""
        return self._refs(self._address, "refs/autoresearch/*", "refs/heads/autoresearch/*")

    def state_beside(self, name: str) -> str | None:
        """The state commit of a session in a working copy; None where there is none."""
        address = self._address_beside(name)
        if address is None:
            return None
        with contextlib.suppress(SessionError):
            for commit in self._refs(address, f"refs/autoresearch/{name}/state").values():
                self._beside[commit] = address
                return commit
        return None

    def _address_beside(self, name: str) -> str | None:
        code, out, _ = self._git.attempt("remote", "get-url", "--", self._address)
        url = self._address if code else out.decode("utf-8", "surrogateescape").split("\n")[0]
        below = f"{self._place.states_dir.name}/{name}.git"
        if (self._place.top / url).is_dir():
            try:
                return str(find_place(self._place.top / url).common_dir / below)
            except SessionError:
                return None
        return None if re.match(r"https?:", url) else f"{url.removesuffix('/').removesuffix('/.git')}/.git/{below}"

    def _refs(self, address: str, *patterns: str) -> dict[str, str]:
        answer = self._call("ls-remote", "--quiet", address, *patterns)
        found = {}
        for line in answer.splitlines():
            sha, _, name = line.partition("\t")
            if name.startswith(("refs/autoresearch/", "refs/heads/autoresearch/")) and re.fullmatch("[0-9a-f]+", sha):
                found[name] = sha
        return found

    def fetch(self, *refspecs: str) -> None:
        self._call(*_FETCH, self._address, stdin="".join(f"{refspec}\n" for refspec in refspecs))

    def fetch_objects(self, names: Sequence[str]) -> None:
        """These objects alone, as git itself gets what a partial clone was promised."""
        self._call("-c", "fetch.negotiationAlgorithm=noop", *_FETCH[:-1], "--filter=blob:none", "--stdin",
                   self._address, stdin="".join(f"{name}\n" for name in names))  # fmt: skip

    def fetch_state(self, commit: str, objects: Path) -> None:
        """Put a state commit that it has into this folder of objects, and nothing into the user's."""
        env = {"GIT_OBJECT_DIRECTORY": str(objects), **alternate(self._place.common_dir / "objects")}
        self._call(*_FETCH, self._beside.get(commit, self._address), stdin=f"{commit}\n", env=env)

    def push(
        self, changes: Mapping[str, str], gone: Sequence[str], had: Mapping[str, str], gate: str, objects: Path
    ) -> None:
        """Set `changes` and remove `gone`, where they stand as in `had`; `gate` is set with the last of them.

        What is not among the user's objects is in the folder `objects`. All at once where the remote can do that, so
        that a broken line leaves it whole; else the gate last.
        """
        env = alternate(objects)
        early = [ref for ref in changes if ref != gate][:-PORTION]
        for at in range(0, len(early), PORTION):
            self._push({ref: changes[ref] for ref in early[at : at + PORTION]}, (), had, env)
        late = {ref: sha for ref, sha in changes.items() if ref not in set(early)}
        try:
            self._push(late, gone, had, env, "--atomic")
        except NotAtomic:
            first = {ref: sha for ref, sha in late.items() if ref != gate}
            if first or gone:
                self._push(first, gone, had, env)
            if gate in late:
                self._push({gate: late[gate]}, (), had, env)

    def _push(
        self,
        changes: Mapping[str, str],
        gone: Sequence[str],
        had: Mapping[str, str],
        env: dict[str, str],
        *flags: str,
    ) -> None:
        guarded = [ref for ref in (*changes, *gone) if ref in had or ref.endswith("/state")]
        leases = [f"--force-with-lease={ref}:{had.get(ref, '')}" for ref in guarded]
        refspecs = [f"{sha}:{ref}" for ref, sha in changes.items()] + [f":{ref}" for ref in gone]
        self._call(*_PUSH, *flags, *leases, self._address, *refspecs, env=env)

    def _call(self, *args: str, stdin: str = "", env: dict[str, str] | None = None) -> str:
        code, out, err = self._git.talk(*_ALLOWED, *args, stdin=stdin, say=self._say, env=env)
        if code:
            raise self._error(out, err)
        return out

    def _error(self, out: str, err: str) -> Exception:
        """What went wrong, as a sentence with the fix."""
        if "does not support --atomic" in err:
            return NotAtomic()
        rejected = [line.split("\t") for line in out.splitlines() if line.startswith("!\t")]
        words = "; ".join(dict.fromkeys(parts[2] for parts in rejected if len(parts) > 2 and "atomic" not in parts[2]))
        lines = [line.removeprefix("fatal: ").removeprefix("error: ") for line in err.splitlines() if line.strip()]
        meant = [line for line in lines if not _NOISE.match(line)]
        said = clean_line(words or (meant or lines or ["git said nothing"])[0], 300).rstrip(".")
        for pattern, text, code in _TROUBLES:
            if pattern.search(f"{words}\n{err}"):
                return SessionError(text.format(remote=self.shown, said=said), code=code)
        return SessionError(f"{self.shown} and this repository could not agree: {said}.", code=1)


class NotAtomic(Exception):
    """The remote cannot set several refs at once."""


_NOISE = re.compile(
    r"\s|remote: *$|Total |Delta compression|failed to push|To |hint: |and the repository|Could not read from"
    r"|Please make sure|warning: "
)
_TROUBLES = tuple(
    (re.compile(pattern, re.IGNORECASE), text, code)
    for pattern, text, code in (
        (r"no space left|disk quota|unable to write|write error|unpacker error",
         "A disk is full or cannot be written, here or at {remote} ({said}); nothing was moved: make room and call it "
         "again.", 1),
        (r"'refs/heads/autoresearch' exists",
         "A branch named autoresearch at {remote} leaves git no room for autoresearch/NAME; rename it there.", 1),
        (r"stale info|fetch first|cannot lock ref|failed to update ref|reference already exists|not our ref|"
         r"unadvertised object",
         "{remote} changed at this moment ({said}); nothing was moved: call it again.", 1),
        (r"permission denied|authentication failed|could not read (user|pass)|terminal prompts disabled|access denied|"
         r"host key verification|\b40[13]\b|not authori[sz]ed",
         "{remote} did not let us in ({said}); log in so that `git ls-remote` works on it by hand, then call it again.",
         1),
        (r"could not resolve|connection (refused|timed out|reset|closed)|unable to access|network is unreachable|"
         r"hung up|early eof|unexpected disconnect|operation timed out",
         "{remote} cannot be reached or the line broke ({said}); nothing is half moved: call it again.", 1),
        (r"does not appear to be a git repository|repository .*not found|does not exist|not a git repository|"
         r"not found",
         "There is no git repository at {remote} ({said}); give a remote's name, a URL or a path.", 2),
        (r"shallow",
         "A shallow clone lacks the history that {remote} wants ({said}); `git fetch --unshallow` gets it; "
         "then call it again.", 1),
        (r"refusing to update checked out branch",
         "The session's branch is checked out at {remote}; leave it there with `git switch -`, or push to a bare "
         "repository.", 1),
        (r"remote rejected|hook declined|deny|denied|pre-receive",
         "{remote} refused it ({said}); nothing was moved.", 1),
        (r"transport .* not allowed|unable to find remote helper",
         "{remote} names a way of transport that is not taken ({said}); use ssh, https, git or a path.", 2),
    )
)  # fmt: skip
