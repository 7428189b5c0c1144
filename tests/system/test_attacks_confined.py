"""Attacks on what lies outside the candidate's own folders: the user's files, git, the session, keys, the engine.

They are held by the kernel, and the candidate is measured for what it is. The same attacks are made once more with
`confine = "off"`, where every one of them succeeds; so each shows that it would do harm.
"""

from __future__ import annotations

import os
import pty
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from attacks import APART, Attack, Seen, has_won, make_attacked, measure_all, reached
from repos import snapshot, write

from autoresearch.engine.sandbox import protection as level

KEY = "sk-ant-canary-0123456789"
MEASURED = ("discard", "worse")

pytestmark = pytest.mark.skipif(
    bool(level.level().missing), reason="this machine confines runs in part; test_confine.py tells which"
)

WORLD = """
import ctypes, glob, os, signal, socket, sys, time
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


FILES = {
    "writes to the user's tree": append("REPO + '/notes.txt'"),
    "deletes a file of the user's": "os.remove(REPO + '/notes2.txt')",
    "writes to linked data while confined": append("REPO + '/data/more.txt'"),
    "writes into a linked environment": append("'data/site-packages/evil.pth'", "import os\n"),
    "writes to the evaluator's tree": append("glob.glob('../*-evaluate')[0] + '/json.py'", "x = 1\n"),
    "renames its tree's parent": "os.rename(os.path.dirname(TREE), os.path.dirname(TREE) + '.x')\n"
    "os.rename(os.path.dirname(TREE) + '.x', os.path.dirname(TREE))",
    "writes to the user's shell profile": append("HOME + '/.bashrc'", "echo\n"),
    "adds a login key": append("HOME + '/.ssh/authorized_keys'", "ssh-rsa AAAA\n"),
    "makes a file of the user's executable for all": "p = HOME + '/.bashrc'\nos.chmod(p, 0o755)\nos.utime(p, (1, 1))",
    "plants a service of the user's": append("HOME + '/.config/systemd/user/x.service'"),
    "plants code that Python loads at each start": append(
        "HOME + f'/.local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/usercustomize.py'"
    ),
}
GIT = {
    "edits the config of git": append("COMMON + '/config'", "[alias]\n\tx = !true\n"),
    "plants a hook of git": append("COMMON + '/hooks/post-checkout'", "#!/bin/sh\n"),
    "plants attributes in git's own folder": append("COMMON + '/info/attributes'", "* text\n"),
    "adds a branch": "head = open(COMMON + '/refs/heads/main').read()\n"
    "open(COMMON + '/refs/heads/mine', 'w').write(head)",
    "names other objects of git": append("COMMON + '/objects/info/alternates'", "# none\n"),
    "forges an object of git": "p = sorted(glob.glob(COMMON + '/objects/??/*'))[0]\n"
    "os.chmod(p, 0o644)\ndata = open(p, 'rb').read()\nopen(p, 'r+b').write(data)",
    "writes its tree's index": "p = glob.glob(COMMON + '/worktrees/*-measure/index')[0]\n"
    "data = open(p, 'rb').read()\nopen(p, 'r+b').write(data)",
    "points its tree at another repository": "os.rename('.git', '.git2'); open('.git', 'w').write('gitdir: /nowhere')",
}
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
ATTACKS = [
    Attack(name, act(code), won=reached)
    for group in (FILES, GIT, SESSION, SECRETS, OUTSIDE)
    for name, code in group.items()
]
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


@contextmanager
def a_machine(folder: Path) -> Iterator[tuple[Path, dict[str, str], dict[str, str]]]:
    """A repository on a machine with things to reach: the repository, what attacks are told, and variables."""
    home = folder / "home"
    write(home, {".bashrc": "", ".ssh/id_rsa": "a login key\n", ".config/systemd/user/a.service": ""})
    (home / f".local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages").mkdir(parents=True)
    repo = make_attacked(folder / "r", run="python train.py", measure=APART)
    write(repo, {"data/site-packages/evil.pth": "", "notes2.txt": "mine\n"})
    tmux = folder / "t" / f"tmux-{os.getuid()}"
    tmux.mkdir(parents=True)
    abstract = f"autoresearch-test-{os.getpid()}-{folder.name}"
    main, terminal = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unnamed:
        with socket.socket(socket.AF_UNIX) as orders:
            unnamed.bind(f"\0{abstract}")
            unnamed.listen()
            here = Path.cwd()
            os.chdir(tmux)  # a socket's path has at most 107 bytes
            orders.bind("default")
            os.chdir(here)
            orders.listen()
            told = {"repo": str(repo), "home": str(home), "port": str(server.getsockname()[1]), "abstract": abstract,
                    "tmux": str(tmux / "default"), "terminal": os.ttyname(terminal)}  # fmt: skip
            yield repo, told, {"TMUX_TMPDIR": str(folder / "t"), "ANTHROPIC_API_KEY": KEY}
    os.close(main)
    os.close(terminal)


def measured(folder: Path, attacks: list[Attack], confined: bool = True, weak: str = "") -> dict[str, Seen]:
    with a_machine(folder) as (repo, told, variables):
        if not confined:
            toml = repo / "autoresearch.toml"
            toml.write_text(toml.read_text().replace("[measure]\n", '[measure]\nconfine = "off"\n'))
        before = snapshot(repo)
        seen = measure_all(folder, repo, [placed(attack, told) for attack in attacks], weak=weak, **variables)
        assert not confined or snapshot(repo) == before
        return seen


def placed(attack: Attack, told: dict[str, str]) -> Attack:
    code = attack.code
    for name, value in told.items():
        code = code.replace(f"@{name}@", value)
    return replace(attack, code=code)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    return measured(tmp_path_factory.mktemp("held"), [*ATTACKS, OWN_KEY])


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    return measured(tmp_path_factory.mktemp("free"), ATTACKS, confined=False, weak=NO_LOOK)


@pytest.mark.parametrize("attack", [*ATTACKS, OWN_KEY], ids=str)
def test_what_lies_outside_is_out_of_reach(attack: Attack, held: dict[str, Seen]) -> None:
    seen = held[attack.name]
    assert (seen.line.status, seen.line.cause) == MEASURED
    assert not has_won(attack, seen), seen.log()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_without_confinement_it_is_reached(attack: Attack, free: dict[str, Seen]) -> None:
    if attack.name in ROOT_ONLY and os.geteuid() != 0:
        pytest.skip("only root could")
    assert has_won(attack, free[attack.name]), free[attack.name].log()


def test_without_a_clean_environment_a_run_has_the_key(tmp_path: Path) -> None:
    seen = measured(tmp_path, [OWN_KEY], weak=ALL_VARIABLES)[OWN_KEY.name]
    assert has_won(OWN_KEY, seen)
