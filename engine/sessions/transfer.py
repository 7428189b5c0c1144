"""Push and pull: a session moves between repositories as git refs, whole or not at all.

What moves is the state commit (journal, notebook, config) and what its journal names: the commits of experiments,
waiting proposals and the incumbent. The refs are taken from the journal rather than from the repository, so that a
session moves in one piece while its engine goes on. At the remote the state commit is one of the session's refs; here
it is in the repository of its saved state. Journals are only ever added to: whoever's journal begins with the
other's whole one is ahead, and two that go on differently are never mixed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import takewhile

from autoresearch.engine import workspace
from autoresearch.engine.git import INCOMING, Git, GitError, Remote
from autoresearch.state.faults import reach
from autoresearch.state.files import write_atomic
from autoresearch.state.journal import History
from autoresearch.state.session import (
    Place,
    Session,
    SessionError,
    half_deleted,
    is_name,
    note_pulled,
    open_session,
    show_to_people,
)

_JOURNAL = workspace.SAVED[0]
_MARK = ".pulling"
"""In a session's folder: the state commit that a pull is putting in its place."""
_OURS = re.compile(r"state|\d+|p\d+|lost-\d+-[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Moved:
    session: str
    remote: str
    did: str
    """pushed, pulled or nothing: the other side had it all."""
    refs: int
    """Set or removed by this call."""
    experiments: int
    """Of the session, all told."""
    new: int
    """Of them, those that the receiving side had not."""
    kept: int
    proposals: int
    """Waiting ones."""
    missing: int
    """Experiments whose commit the sending side does not have."""
    target: str
    """The folder in the repository."""
    left_out: tuple[str, ...] = ()
    """Of the lines that came, those that cannot be read, each with what is wrong with it."""


# -- push


def push(place: Place, session: Session, remote: Remote) -> Moved:
    """Bring the remote up to this session. Raises SessionError when it went on there, and when git or the line fails.

    An engine may run meanwhile: what is moved is the session up to the journal's last line now.
    """
    git, saved = Git(place.common_dir), workspace.SavedState(place, session.name)
    workspace.take_over_states(place)
    there = {
        name: sha for name, sha in remote.refs().items() if f"{name}/".startswith((session.refs, f"{session.branch}/"))
    }
    journal = _journal(session)
    last = there.get(saved.ref) or (remote.state_beside(session.name) if there else None)
    if last is not None:
        last = _fetched(place, saved, remote, last)
    theirs = saved.journal(last)
    _refuse_apart(session.name, remote.shown, journal, theirs, pushing=True)
    history = _history(journal)
    wanted, missing = _wanted(git, session, history)
    _refuse_foreign_branch(git, remote, session, wanted, there)
    state = saved.save(session, BytesIO(journal), "push\n", workspace.identity_of(place))
    if last is None or _tree(saved.git, last) != _tree(saved.git, state):
        wanted[saved.ref] = state
    changes = {ref: sha for ref, sha in wanted.items() if there.get(ref) != sha}
    proposals = re.compile(re.escape(session.refs) + r"p\d+")
    gone = [ref for ref in there if proposals.fullmatch(ref) and ref not in wanted]
    if changes or gone:
        remote.push(changes, gone, there, saved.ref, saved.objects)
    return _moved(session.name, remote, "pushed", len(changes) + len(gone), history, theirs, missing)


def _journal(session: Session) -> bytes:
    """The whole lines of the journal as it is now."""
    data = session.journal.read_bytes() if session.journal.is_file() else b""
    return data[: data.rfind(b"\n") + 1]


def _fetched(place: Place, saved: workspace.SavedState, remote: Remote, state: str) -> str:
    """A state commit of the remote, here, or what stands for it."""
    saved.make()
    if saved.holds(state):
        return state
    remote.fetch_state(state, saved.objects)
    # Git fetches nothing that an earlier version left among the user's objects.
    return saved.copy(state, workspace.identity_of(place))


def _wanted(git: Git, session: Session, history: History) -> tuple[dict[str, str], int]:
    """The refs that go with a journal, by name, and how many experiments have no commit here any more."""
    wanted = {f"{session.refs}{row.number}": row.sha for row in history.rows if row.sha}
    wanted |= {f"{session.refs}{opened.number}": opened.sha for opened in history.unfinished}
    wanted |= {f"{session.refs}p{waiting.id}": waiting.sha for waiting in history.waiting.values() if waiting.sha}
    held = git.refs(session.refs, session.branch)
    wanted |= {name: sha for name, sha in held.items() if name.startswith(f"{session.refs}lost-")}
    if history.incumbent is not None:
        wanted[session.branch] = history.incumbent.sha
    elif session.branch in held:
        wanted[session.branch] = held[session.branch]
    asked = "".join(f"{sha}^{{commit}}\n" for sha in wanted.values())
    answers = git("cat-file", "--batch-check=%(objecttype)", stdin=asked).splitlines() if wanted else []
    there = {ref: sha for (ref, sha), answer in zip(wanted.items(), answers, strict=True) if answer == "commit"}
    return there, len(wanted) - len(there)


def _refuse_foreign_branch(
    git: Git, remote: Remote, session: Session, wanted: Mapping[str, str], there: Mapping[str, str]
) -> None:
    found, ours = there.get(session.branch), wanted.get(session.branch)
    if found is None or found == ours:
        return
    if ours is None or git.attempt("merge-base", "--is-ancestor", found, ours)[0]:
        name = session.branch.removeprefix("refs/heads/")
        raise SessionError(
            f"The branch {name} at {remote.shown} stands at {found[:12]}, which this session did not put there; "
            f"move that work to a branch of another name, then push again.",
            code=1,
        )


def _tree(git: Git, commit: str) -> str | None:
    return git.resolve(f"{commit}^{{tree}}")


# -- pull


def pull(place: Place, remote: Remote, name: str | None) -> Moved:
    """Bring a session of the remote here, or the one here up to it. Raises SessionError, Locked beside an engine."""
    workspace.check_git()
    there = remote.refs()
    workspace.take_over_states(place)  # only now: another repository may have pushed to this one, which is pulled then
    chosen, state = _chosen(place, remote, there, name)
    session = Session(place.sessions_dir / chosen)
    if half_deleted(place, session.name).exists():
        raise SessionError(
            f"Session {session.name} is half deleted here; `autoresearch delete {session.name}` finishes that."
        )
    git, saved = Git(place.common_dir), workspace.SavedState(place, session.name)
    with session.lock() if session.journal.is_file() else contextlib.nullcontext():
        try:
            return _pull(place, git, remote, session, _fetched(place, saved, remote, state), session.branch in there)
        finally:
            if not (session.folder / _MARK).exists():  # else they are what the next call finishes it with
                _drop_incoming(git, session)
            if not session.folder.is_dir() and saved.last is None:
                saved.remove()


def _pull(place: Place, git: Git, remote: Remote, session: Session, state: str, has_branch: bool) -> Moved:
    """With the refs as they are now: those that a journal names stay with later ones."""
    incoming, saved = f"{INCOMING}{session.name}/", workspace.SavedState(place, session.name)
    branch = [f"+{session.branch}:{incoming}branch"] if has_branch else []
    remote.fetch(f"+{session.refs}*:{incoming}*", f"^{saved.ref}", *branch)
    reach("pull:fetched")
    theirs = saved.journal(state)
    history = _history(theirs)
    if history.header is None:
        raise SessionError(f"The journal of {session.name} at {remote.shown} does not begin as a session's; see there.")
    here = _journal(session) or saved.journal(saved.last)
    _refuse_apart(session.name, remote.shown, here, theirs, pushing=False)
    whole = session.journal.is_file() and not (session.folder / _MARK).exists()
    if len(here) > len(theirs) or (here == theirs and whole):
        return _moved(session.name, remote, "nothing", 0, _history(here), here, 0)
    workspace.refuse_held_branch(place, session)
    _refuse_users_branch(git, session, history, incoming)
    _refuse_users_commits(git, remote, session, history, incoming)
    note_pulled(place.common_dir, session.name, remote.shown)
    changed, missing = settle(place, session, state)
    return _moved(session.name, remote, "pulled", changed, history, here, missing)


def finish_pull(place: Place, session: Session) -> None:
    """Finish a pull that was killed between the refs and the files. Called with no engine on the session."""
    mark = session.folder / _MARK
    if mark.is_file():
        settle(place, session, mark.read_text(encoding="ascii").strip())


def settle(place: Place, session: Session, state: str) -> tuple[int, int]:
    """Make refs and folder what the state commit says; (refs changed, experiments without a commit).

    May be killed anywhere: the folder says so from the beginning until it is done.
    """
    git, saved = Git(place.common_dir), workspace.SavedState(place, session.name)
    if session.folder.is_dir():
        write_atomic(session.folder / _MARK, state.encode())
    else:
        saved.restore(state, **{_MARK: state.encode()})
    reach("pull:folder")
    files = saved.files(state)
    changed, missing = _take_refs(git, session, _history(files[_JOURNAL]))
    reach("pull:refs")
    session.notebook_base.unlink(missing_ok=True)  # what the engine there last wrote is not known here
    for name, data in files.items():
        write_atomic(session.folder / name, data)
        reach(f"pull:{name}")
    saved.join(state, workspace.identity_of(place))
    _drop_incoming(git, session)
    (session.folder / _MARK).unlink(missing_ok=True)
    show_to_people(place, session.folder)
    return changed, missing


def _take_refs(git: Git, session: Session, history: History) -> tuple[int, int]:
    """Set the session's refs and branch as its journal has them, in one transaction."""
    incoming = f"{INCOMING}{session.name}/"
    wanted, missing = _wanted(git, session, history)
    held = git.refs(incoming, session.refs)
    for name, sha in held.items():
        if name.startswith(f"{incoming}lost-") and _OURS.fullmatch(name.removeprefix(incoming)):
            wanted[session.refs + name.removeprefix(incoming)] = sha
    if history.incumbent is None and f"{incoming}branch" in held:
        wanted[session.branch] = held[f"{incoming}branch"]
    gone = [name for name in held if re.fullmatch(re.escape(session.refs) + r"p\d+", name) and name not in wanted]
    changes = {name: sha for name, sha in wanted.items() if held.get(name) != sha}
    lines = [f"update {name} {sha}\n" for name, sha in changes.items()] + [f"delete {name}\n" for name in gone]
    try:
        git("update-ref", "--no-deref", "--stdin", stdin="".join(lines))
    except GitError as error:
        raise SessionError(f"The session's refs cannot be written: {error.stderr}; nothing was moved.", 1) from error
    return len(changes) + len(gone), missing


def _drop_incoming(git: Git, session: Session) -> None:
    names = git.refs(f"{INCOMING}{session.name}")
    git("update-ref", "--no-deref", "--stdin", stdin="".join(f"delete {name}\n" for name in names))


def _refuse_users_branch(git: Git, session: Session, history: History, incoming: str) -> None:
    """A branch of that name that is not the session's must not be moved away under the user."""
    at = git.resolve(session.branch)
    goal = history.incumbent.sha if history.incumbent is not None else f"{incoming}branch"
    if at is not None and git.attempt("merge-base", "--is-ancestor", at, goal)[0]:
        name = session.branch.removeprefix("refs/heads/")
        raise SessionError(
            f"The branch {name} here holds commits that are not the session's; "
            f"rename it with `git branch -m {name} OTHER`, then pull again."
        )


def _refuse_users_commits(git: Git, remote: Remote, session: Session, history: History, incoming: str) -> None:
    """A journal can name any commit, also one that is in this repository and nowhere else.

    Such a one must not become the session's, from where the next push would publish it.
    """
    named = {row.sha: f"experiment {row.number}" for row in history.rows}
    for opened in history.unfinished:
        named |= {sha: f"experiment {opened.number}" for sha in (opened.parent, opened.sha)}
    for waiting in history.waiting.values():
        named |= {sha: f"proposal {waiting.id}" for sha in (waiting.base, waiting.sha)}
    if history.header is not None:
        named[history.header.base] = "its beginning"
    named.pop("", None)
    asked = "".join(f"{sha}^{{commit}}\n" for sha in named)
    kinds = git("cat-file", "--batch-check=%(objecttype)", stdin=asked).splitlines() if named else []
    here = [sha for sha, kind in zip(named, kinds, strict=True) if kind == "commit"]
    known = git(
        "for-each-ref", "--format=^%(objectname)", incoming.rstrip("/"), session.refs.rstrip("/"), "refs/remotes"
    )
    foreign = set(git("rev-list", "--stdin", stdin="\n".join(here) + f"\n{known}").split()) if here else set()
    found = [f"{what} ({sha[:12]})" for sha, what in named.items() if sha in foreign]
    if found:
        raise SessionError(
            f"The journal of {session.name} at {remote.shown} names commits of this repository that did not come with "
            f"it: {', '.join(found[:5])}; nothing was moved.",
            code=1,
        )


def _chosen(place: Place, remote: Remote, there: Mapping[str, str], name: str | None) -> tuple[str, str]:
    """The session to pull, with its state commit: the named one, the only one, or the latest one here if it is there.

    A working copy has states beside its refs.
    """
    names = {each: there[f"refs/autoresearch/{each}/state"] for each in _names(there, "state")}
    if name not in names:
        others = [each for each in _names(there, ".+") if each not in names]
        names |= {each: state for each in others if (state := remote.state_beside(each))}
    if name is None and len(names) == 1:
        name = next(iter(names))
    if name is None and names:
        with contextlib.suppress(SessionError):
            name = open_session(place).name
        name = name if name in names else None
    if name is not None and name in names:
        return name, names[name]
    listed = ", ".join(sorted(names)[:20]) or "none"
    if name is None and names:
        raise SessionError(f"{remote.shown} has several sessions; name one of them: {listed}.")
    what = f"session {name!r}" if name is not None else "session"
    raise SessionError(f"There is no {what} at {remote.shown} (there: {listed}); `autoresearch push` brings one there.")


def _names(there: Mapping[str, str], last: str) -> list[str]:
    """The sessions that have a ref with such a last part."""
    found = [re.fullmatch(rf"refs/autoresearch/([^/]+)/{last}", ref) for ref in there]
    return sorted({match[1] for match in found if match and is_name(match[1])})


# -- both ways


def _history(journal: bytes) -> History:
    history, at = History(), 0
    for line in journal.splitlines(keepends=True):
        history.feed(at, line.rstrip(b"\n"))
        at += len(line)
    return history


def _refuse_apart(name: str, remote: str, here: bytes, there: bytes, pushing: bool) -> None:
    """Raises SessionError when the receiving side has what the sending one has not."""
    if here.startswith(there) or (there.startswith(here) and not pushing):
        return
    same = _common(here, there)
    ours, theirs = _gain(here, same), _gain(there, same)
    if pushing and same == len(here):
        raise SessionError(
            f"Session {name} went on at {remote} ({theirs} that are not here); get it with `autoresearch pull`.", code=1
        )
    take = f"to go on with theirs, `autoresearch delete {name}` and pull; to go on with this one, remove theirs with "
    command = f"`git push REMOTE --delete refs/autoresearch/{name}/state refs/heads/autoresearch/{name}` and push"
    raise SessionError(
        f"Session {name} went on at both sides: {ours} here, {theirs} at {remote}; nothing was moved. "
        f"Choose one: {take}{command}.",
        code=1,
    )


def _common(one: bytes, other: bytes) -> int:
    """How many bytes both begin with, in whole lines."""
    lines = zip(BytesIO(one), BytesIO(other), strict=False)
    return sum(len(line) for line, _ in takewhile(lambda pair: pair[0] == pair[1], lines))


def _gain(journal: bytes, since: int) -> str:
    rows = [row for row in _history(journal).rows if row.line_at >= since]
    kept = sum(row.status == "keep" for row in rows)
    if not rows:
        count = journal.count(b"\n", since)
        return f"{count} line{'' if count == 1 else 's'} of the journal, no experiment"
    numbers = f"#{rows[0].number}" + (f" to #{rows[-1].number}" if len(rows) > 1 else "")
    return f"{len(rows)} experiment{'' if len(rows) == 1 else 's'} ({numbers}, {kept} kept)"


def _moved(name: str, remote: Remote, did: str, refs: int, history: History, before: bytes, missing: int) -> Moved:
    return Moved(
        session=name,
        remote=remote.shown,
        did=did if refs else "nothing",
        refs=refs,
        experiments=len(history.rows),
        new=len([row for row in history.rows if row.line_at >= len(before)]),
        kept=history.counts["keep"],
        proposals=len(history.waiting),
        missing=missing,
        target=history.header.target if history.header is not None else "",
        left_out=tuple(f"line {line}: {what}" for line, what in history.problems if line > before.count(b"\n")),
    )
