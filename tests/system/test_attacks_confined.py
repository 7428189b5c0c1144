"""Attacks on what lies outside the candidate's own layer: the user's files, git, the session, keys, the engine.

They are held by the kernel, and the candidate is measured for what it is. What reads has won when it got the secret.
What writes may think that it went through, in a layer that is thrown away: it has won when the world is another one
afterwards. The same attacks are made once more with `confine = "off"`, where every one of them succeeds; so each shows
that it would do harm.
"""

from __future__ import annotations

import os
import pty
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from attacks import APART, Attack, Seen, make_attacked, measure_all, needs_views, placed, reached
from repos import git, snapshot, write

KEY = "sk-ant-canary-0123456789"
HIDDEN = "a secret label"
MEASURED = ("discard", "worse")

pytestmark = needs_views

WORLD = """
import ctypes, glob, os, signal, socket, subprocess, sys, time
TREE = os.getcwd()
ENGINE = os.getppid()
REPO, HOME = '@repo@', '@home@'
COMMON = REPO + '/.git'
SESSION = (glob.glob(COMMON + '/autoresearch/*/') or [COMMON + '/autoresearch/covered/'])[0]
"""


def act(code: str) -> str:
    """Tries it, and says so when it went through."""
    body = "".join(f"    {line}\n" for line in code.strip().splitlines())
    return f"{WORLD}try:\n{body}    print('REACHED')\nexcept Exception as error:\n    print('held:', repr(error))\n"


def append(path: str, text: str = "x") -> str:
    return f"with open({path}, 'a') as f: f.write({text!r})"


def plant(pattern: str) -> str:
    """Beside its tree, in every folder of this pattern."""
    return f"assert [open(p + '/planted', 'w').close() for p in glob.glob(os.path.dirname(TREE) + {pattern!r})]"


PACKAGES = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/usercustomize.py"
WRITES = {
    "writes to the user's tree": ("repo/notes.txt", append("REPO + '/notes.txt'")),
    "deletes a file of the user's": ("repo/notes2.txt", "os.remove(REPO + '/notes2.txt')"),
    "renames a folder of the user's": ("repo/notes", "os.rename(REPO + '/notes', REPO + '/notes3')"),
    "writes through a mapping of a file of the user's": (
        "repo/notes4.txt",
        "import mmap\nwith open(REPO + '/notes4.txt', 'r+b') as f: mmap.mmap(f.fileno(), 0)[:1] = b'x'",
    ),
    "writes through a hard link to a file at home": (
        "home/.inputrc", "os.link(HOME + '/.inputrc', HOME + '/mine')\n" + append("HOME + '/mine'")),
    "writes to linked data while confined": ("repo/data/more.txt", append("REPO + '/data/more.txt'")),
    "writes into a linked environment": (
        "repo/data/site-packages/evil.pth", append("'data/site-packages/evil.pth'", "import os\n")),
    "writes to the user's shell profile": ("home/.bashrc", append("HOME + '/.bashrc'", "echo\n")),
    "adds a login key": ("home/.ssh/authorized_keys", append("HOME + '/.ssh/authorized_keys'", "ssh-rsa AAAA\n")),
    "makes a file of the user's executable for all": (
        "home/.profile", "os.chmod(HOME + '/.profile', 0o755)\nos.utime(HOME + '/.profile', (1, 1))"),
    "names who may read what comes into the user's home": (
        "home", "import struct\nos.setxattr(HOME, 'system.posix_acl_default', struct.pack('<I' + 'HHI' * 3, 2, 1, 7, "
        "2**32 - 1, 4, 7, 2**32 - 1, 32, 7, 2**32 - 1))"),
    "marks a file of the user's": ("home/.vimrc", "os.setxattr(HOME + '/.vimrc', 'user.mark', b'1')"),
    "plants a service of the user's": (
        "home/.config/systemd/user/x.service", append("HOME + '/.config/systemd/user/x.service'")),
    "plants code that Python loads at each start": (f"home/.local/{PACKAGES}", append(f"HOME + '/.local/{PACKAGES}'")),
    "leaves a file in the machine's folder for temporary ones": ("tmp/@mark@", append("'/tmp/@mark@'")),
    "leaves a file in the machine's shared memory": ("shm/@mark@", append("'/dev/shm/@mark@'")),
    "edits the config of git": ("git/config", append("COMMON + '/config'", "[alias]\n\tx = !true\n")),
    "plants a hook of git": (
        "git/hooks/post-checkout",
        "os.makedirs(COMMON + '/hooks', exist_ok=True)\n" + append("COMMON + '/hooks/post-checkout'", "#!/bin/sh\n")),
    "plants attributes in git's own folder": (
        "git/info/attributes",
        "os.makedirs(COMMON + '/info', exist_ok=True)\n" + append("COMMON + '/info/attributes'", "* text\n")),
    "adds a branch": (
        "git/refs/heads/mine", "open(COMMON + '/refs/heads/mine', 'w').write(subprocess.check_output("
        "['git', 'rev-parse', 'HEAD'], text=True))"),
    "names other objects of git": ("git/objects/info/alternates", "os.makedirs(COMMON + '/objects/info', exist_ok=True)"
        "\n" + append("COMMON + '/objects/info/alternates'", "# none\n")),
    "forges an object of git": (
        "git/objects", "for p in glob.glob(COMMON + '/objects/??/*') + glob.glob(COMMON + '/objects/pack/*.pack'):\n"
        "    os.chmod(p, 0o644)\n    data = open(p, 'rb').read()\n    open(p, 'r+b').write(data)"),
    "writes into what its tree is made from": ("trees", plant("/checkout-*/")),
    "writes into other layers": ("trees", plant("/layers/*/tree/upper")),
    "writes into the caches of others": ("trees", plant("/cached/*/")),
    "writes into what its git is made from": ("trees", plant("/git*/")),
}  # fmt: skip
"""What would be another one afterwards, and the attack."""
NEWS = "flags = 0x20000 | (0x10000000 if os.getuid() else 0)\nlibc = ctypes.CDLL(None, use_errno=True)\n"
MOUNTS = {
    "mounts something over its tree, or takes away what is mounted there": NEWS
    + "assert libc.unshare(flags) == 0\nassert libc.mount(None, b'/', None, 0x44000, None) == 0\n"
    "assert libc.umount2(TREE.encode(), 2) == 0 or libc.mount(b'none', TREE.encode(), b'tmpfs', 0, None) == 0",
    "reads a hidden file": "assert @hidden@ in open('labels.txt').read()",
    "reads a hidden file in the user's tree": "assert @hidden@ in open(REPO + '/labels.txt').read()",
    "reads a hidden file where its tree is made from it":
        "assert @hidden@ in open(glob.glob(os.path.dirname(TREE) + '/checkout-*/labels.txt')[0]).read()",
    "reads a hidden file where its folder was moved": "os.rename('held', 'moved')\n"
    "assert @hidden@ in open('moved/labels.txt').read()",
    "reads a hidden file by another name": "os.link('held/labels.txt', 'mine.txt')\n"
    "assert @hidden@ in open('mine.txt').read()",
    "reads a hidden file where the kernel says that its tree lies":
        "lines = [line.split() for line in open('/proc/self/mountinfo') if TREE in line]\n"
        "below = [p for line in lines for part in line[-1].split(',') if 'lowerdir' in part for p in "
        "part.split('=', 1)[1].split(':')] or [TREE]\nassert @hidden@ in open(below[-1] + '/labels.txt').read()",
    "reads a hidden file from git's objects": "shown = [subprocess.run(['git', '--git-dir', at, 'log', '-p', '--all', "
        "'--', 'labels.txt'], capture_output=True, text=True).stdout for at in ('.git', COMMON)]\n"
        "assert any(@hidden@ in text for text in shown)",
}  # fmt: skip
SESSION = {
    "reads the session's journal": "open(SESSION + 'autoresearch.jsonl').read()",
    "reads what is saved of the session": "open(glob.glob(COMMON + '/autoresearch-state/*.git/HEAD')[0]).read()",
    "writes a line into the journal": append("SESSION + 'autoresearch.jsonl'", '{"type":"mine"}\n'),
    "writes into the notebook": "p = glob.glob(SESSION + 'autoresearch.md') or [SESSION + 'mine.md']\n"
    + append("p[0]", "\n"),
    "puts a request into the inbox": append("SESSION + 'inbox/mine.tmp'"),
    "replaces the lock": "os.rename(SESSION + 'lock', SESSION + 'kept')\nos.rename(SESSION + 'kept', SESSION + 'lock')",
    "writes into another experiment's log": append("SESSION + 'runs/00001/output.log'", "METRIC score=1\n"),
}
SECRETS = {
    "reads the key from the engine's environment": f"assert {KEY!r} in open(f'/proc/{{ENGINE}}/environ').read()",
    "reads the user's login key": "open(HOME + '/.ssh/id_rsa').read()",
    "reads the engine's memory": "open(f'/proc/{ENGINE}/mem', 'rb')",
    "opens the engine's files": "[os.stat(p) for p in glob.glob(f'/proc/{ENGINE}/fd/*')][0]",
    "traces the engine": "assert ctypes.CDLL(None).ptrace(0x4206, ENGINE, 0, 0) == 0",
    "signals the engine": "os.kill(ENGINE, signal.SIGCONT)",
    "limits the engine": "import resource\n"
    "resource.prlimit(ENGINE, resource.RLIMIT_CORE, resource.prlimit(ENGINE, resource.RLIMIT_CORE))",
    "slows the engine down": "os.setpriority(os.PRIO_PROCESS, ENGINE, os.getpriority(os.PRIO_PROCESS, ENGINE))",
    "signals the engine by a handle": "signal.pidfd_send_signal(os.pidfd_open(ENGINE), signal.SIGCONT)",
}
OUTSIDE = {
    "connects to a server of the machine's": "socket.create_connection(('127.0.0.1', @port@), 2).close()",
    "talks to a socket that lies in no folder": "socket.socket(socket.AF_UNIX).connect('\\0@abstract@')",
    "orders a terminal multiplexer about": "socket.socket(socket.AF_UNIX).connect('@tmux@')",
    "asks for a password on a terminal of the user's": "open('@terminal@', 'w').write('[sudo] password for root: ')",
    "sets the clock": "time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))",
}
READS = MOUNTS | SESSION | SECRETS | OUTSIDE
WRITERS = [Attack(name, act(code)) for name, (_, code) in WRITES.items()]
READERS = [Attack(name, act(code), won=reached) for name, code in READS.items()]
ATTACKS = [*WRITERS, *READERS]
OWN_KEY = Attack("finds the key in its environment", f"import os\nif {KEY!r} in os.environ.values(): print('REACHED')",
                 won=reached)  # fmt: skip
ALL_VARIABLES = """
from autoresearch.engine.sandbox import environment
environment._is_allowed = lambda name, online: True
"""
NO_LOOK = """
from autoresearch.engine.workspace.linked import Linked
Linked.changed = lambda linked: ()
"""
"""Or the first write to linked data would pause the session."""
ROOT_ONLY = {"sets the clock"}


@dataclass(frozen=True, slots=True)
class Tried:
    """A session in which all attacks were made."""

    seen: dict[str, Seen]
    changed: set[str]
    """The places of `WRITES` that are not as they were."""


@contextmanager
def a_machine(folder: Path) -> Iterator[tuple[Path, dict[str, object], dict[str, str]]]:
    """A repository on a machine with things to reach: the repository, what attacks are told, and variables."""
    home = folder / "home"
    write(home, {**dict.fromkeys((".bashrc", ".inputrc", ".profile", ".vimrc"), ""), ".ssh/id_rsa": "a login key\n"})
    write(home, {".config/systemd/user/a.service": "", f".local/{PACKAGES}.old": ""})
    more = {"labels.txt": HIDDEN, "held/labels.txt": f"{HIDDEN}, too"}
    settings = f'{APART}\nhidden = ["labels.txt", "held/labels.txt"]'
    repo = make_attacked(folder / "r", run="python train.py", measure=settings, more=more)
    write(repo, {"data/site-packages/evil.pth": "", "notes2.txt": "mine\n", "notes/a": "", "notes4.txt": "mine\n"})
    tmux = folder / "t" / f"tmux-{os.getuid()}"
    tmux.mkdir(parents=True)
    mark = f"autoresearch-test-{os.getpid()}-{folder.name}"
    main, terminal = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unnamed:
        with socket.socket(socket.AF_UNIX) as orders:
            unnamed.bind(f"\0{mark}")
            unnamed.listen()
            here = Path.cwd()
            os.chdir(tmux)  # a socket's path has at most 107 bytes
            orders.bind("default")
            os.chdir(here)
            orders.listen()
            told = {"repo": repo, "home": home, "port": server.getsockname()[1], "abstract": mark, "mark": mark,
                    "tmux": tmux / "default", "terminal": os.ttyname(terminal), "hidden": repr(HIDDEN)}  # fmt: skip
            yield repo, told, {"TMUX_TMPDIR": str(folder / "t"), "ANTHROPIC_API_KEY": KEY}
    os.close(main)
    os.close(terminal)
    for place in ("/tmp", "/dev/shm"):
        (Path(place) / mark).unlink(missing_ok=True)


def measured(folder: Path, attacks: list[Attack], confined: bool = True, weak: str = "") -> Tried:
    with a_machine(folder) as (repo, told, variables):
        if not confined:
            toml = repo / "autoresearch.toml"
            toml.write_text(toml.read_text().replace("[measure]\n", '[measure]\nconfine = "off"\n'))
        roots = {"repo": repo, "home": folder / "home", "git": repo / ".git", "tmp": Path("/tmp"),
                 "shm": Path("/dev/shm"), "trees": folder / "trees"}  # fmt: skip
        before, users = {}, snapshot(repo)
        for place, _ in WRITES.values():
            root, _, rest = place.replace("@mark@", str(told["mark"])).partition("/")
            before[place] = looks_of(roots[root] / rest)
        seen = measure_all(folder, repo, [placed(attack, **told) for attack in attacks], weak=weak, **variables)
        assert not confined or snapshot(repo) == users
        changed = {place for place, looks in before.items() if any(look(path) != was for path, was in looks.items())}
        if list((folder / "trees").rglob("planted")):
            changed.add("trees")
        return Tried(seen, changed)


def looks_of(path: Path) -> dict[Path, object]:
    """How a place looks, and what lies in it where that is the place of git's objects."""
    found = [path, *(path.rglob("*") if path.name == "objects" else ())]
    return {each: look(each) for each in found if each.name != "trees"}


def look(path: Path) -> object:
    if path.parent.name == "heads":
        return git(path.parents[3], "for-each-ref", f"refs/heads/{path.name}")
    if not os.path.lexists(path):
        return None
    info = path.lstat()
    attributes = sorted((name, os.getxattr(path, name)) for name in os.listxattr(path))
    return info.st_mode, attributes, path.read_bytes() if path.is_file() else b""


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    return measured(tmp_path_factory.mktemp("held"), [*ATTACKS, OWN_KEY])


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    return measured(tmp_path_factory.mktemp("free"), ATTACKS, confined=False, weak=NO_LOOK)


def has_won(attack: Attack, tried: Tried) -> bool:
    if attack.name in WRITES:
        return WRITES[attack.name][0] in tried.changed
    return reached(tried.seen[attack.name])


@pytest.mark.parametrize("attack", [*ATTACKS, OWN_KEY], ids=str)
def test_what_lies_outside_is_out_of_reach(attack: Attack, held: Tried) -> None:
    seen = held.seen[attack.name]
    assert (seen.line.status, seen.line.cause) == MEASURED, seen.line.reason
    assert not has_won(attack, held), seen.log()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_without_confinement_it_is_reached(attack: Attack, free: Tried) -> None:
    if attack.name in ROOT_ONLY and os.geteuid() != 0:
        pytest.skip("only root could")
    assert has_won(attack, free), free.seen[attack.name].log()


def test_without_a_clean_environment_a_run_has_the_key(tmp_path: Path) -> None:
    assert has_won(OWN_KEY, measured(tmp_path, [OWN_KEY], weak=ALL_VARIABLES))
