"""What a measured command may touch: each protection refused when confined, and possible without."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from repos import TOML, git, make_target

from autoresearch.engine import process
from autoresearch.engine.agents import login_files
from autoresearch.engine.process import descendants
from autoresearch.engine.sandbox import (
    Confinement,
    Copied,
    Ground,
    Kernel,
    Layers,
    Overlaid,
    Role,
    Spawner,
    Stack,
    Unknown,
    View,
    confinement,
    kernel,
    opened,
    snapshot,
    watched,
)
from autoresearch.engine.sandbox.spawner import _MOST_TASKS
from autoresearch.state.config import config as configs
from autoresearch.state.session import Place, SessionError

pytestmark = pytest.mark.skipif(not kernel.LINUX, reason="Linux holds processes; other systems are named `none`")


class Box:
    """A repository with a session, and a stack of its commit on which commands run confined."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.repo = make_target(folder / "home" / "repo")
        self.session = self.repo / ".git" / "autoresearch" / "nov20"
        self.session.mkdir(parents=True)
        (self.session / "autoresearch.jsonl").write_text("the journal\n")
        self.trees = folder / "trees"
        self.checkout = self.trees / "checkout"
        git(folder, "clone", "-q", str(self.repo), str(self.checkout))
        shutil.rmtree(self.checkout / ".git")
        self.tree = self.trees / "tree"
        self.tree.mkdir()
        self.layers = Layers(self.trees / "layers")
        self.layers.begin()
        self.offered: Kernel | None = None
        self.settings: dict[str, object] = {}
        self.evaluates = False
        self.open: list[Confinement] = []

    def made(self) -> Confinement:
        config = configs.loads(TOML)
        if self.evaluates:
            config = configs.with_change(config, "measure.evaluate", "true", "test")
        for name, value in self.settings.items():
            config = configs.with_change(config, f"measure.{name}", value, "test")
        ground = Ground(
            place=Place(self.repo, self.repo / ".git", self.repo / ".git", ""),
            trees=self.trees,
            trees_of_all=self.trees,
            private=login_files({"HOME": str(self.home)}),
            environ={**os.environ, "HOME": str(self.home)},
        )
        self.open.append(Confinement(config, ground, self.offered))
        return self.open[-1]

    def run(self, script: str, role: Role = "run", made: Confinement | None = None) -> tuple[int | None, str]:
        """Exit code and output of a bash script on a stack of its own."""
        return self.call(("bash", "-c", script), role, made)

    def python(self, script: str, role: Role = "run") -> tuple[int | None, str]:
        return self.call((sys.executable, "-c", script), role)

    def call(
        self, argv: tuple[str, ...], role: Role = "run", made: Confinement | None = None
    ) -> tuple[int | None, str]:
        log = self.trees / "output.log"
        log.unlink(missing_ok=True)
        done = self.done(argv, log, role, made or self.made())
        assert done.survivors == ()
        return done.code, log.read_text()

    def done(
        self, argv: tuple[str, ...], log: Path, role: Role, made: Confinement, grace_s: float = 5.0
    ) -> process.Exit:
        stack = Stack(self.tree, self.layers.new(), self.checkout)
        maker = Overlaid() if made.has_views else Copied()
        maker.lay(stack)
        made.make_empty()
        command = process.Command(
            argv=argv,
            cwd=self.tree,
            env=made.environment(role, stack, "a-session"),
            output=log,
            timeout_s=30,
            grace_s=grace_s,
        )
        maker.begin(stack)
        done = process.run(command, None, made.spawn(role, stack))
        maker.end(stack)
        self.tree.mkdir(exist_ok=True)
        self.layers.drop(stack.layer)
        return done

    def refuses(self, script: str, role: Role = "run") -> None:
        """The script fails when confined, and works with `confine = "off"`."""
        code, output = self.run(script, role)
        assert code != 0, output
        self.allows_unconfined(script, role)

    def leaves_alone(self, script: str, role: Role = "run") -> None:
        """Whether it fails or not, nothing of it is there afterwards; it works with `confine = "off"`."""
        before = self.world()
        self.run(script, role)
        assert self.world() == before
        shutil.copytree(self.home, self.folder / "kept", symlinks=True)
        self.allows_unconfined(script, role)
        shutil.rmtree(self.home)
        (self.folder / "kept").rename(self.home)

    def allows_unconfined(self, script: str, role: Role) -> None:
        kept, self.settings["confine"] = self.settings.get("confine", "auto"), "off"
        code, output = self.run(script, role)
        self.settings["confine"] = kept
        assert code == 0, output

    def world(self) -> dict[str, object]:
        """What a command must not change: the user's files, and what lies below its own tree."""
        return {**snapshot(self.home), **snapshot(self.checkout)}


FULL = kernel.this_kernel()
VIEWS = {
    "full": FULL,
    "copied": FULL,
    "landlock alone": Kernel(landlock=FULL.landlock),
}
"""`copied`: the disk takes no overlays."""
NESTING = """
import ctypes, os, pathlib
libc = ctypes.CDLL(None, use_errno=True)
uid, gid = os.getuid(), os.getgid()
assert libc.unshare(0x10000000 | 0x20000) == 0, ctypes.get_errno()
pathlib.Path("/proc/self/setgroups").write_text("deny")
pathlib.Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
pathlib.Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
os.mkdir("private")
assert libc.mount(b"tmpfs", b"private", b"tmpfs", 0, None) == 0, ctypes.get_errno()
pathlib.Path("private/file").write_text("mine")
print("nested")
"""


@pytest.fixture(params=[name for name, offered in VIEWS.items() if offered.landlock])
def box(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    if request.param == "copied":
        monkeypatch.setattr(confinement, "overlays", lambda folder, offered: False)
    made = Box(tmp_path)
    made.offered = VIEWS[request.param]
    yield made
    for each in made.open:
        each.close()
    made.layers.close()


def quoted(path: Path) -> str:
    return shlex.quote(str(path))


def test_a_command_runs_with_its_environment_folder_output_and_code(box: Box) -> None:
    code, output = box.run("pwd; echo $HOME; echo err >&2; exit 7")
    home = box.home if box.made().has_views else box.trees / "scratch/home"
    assert (code, output.split()) == (7, [str(box.tree), str(home), "err"])


@pytest.mark.parametrize("role", ["run", "evaluate"])
def test_what_a_command_opens_is_told_in_a_view_too(role: Role, box: Box) -> None:
    code, output = box.call(watched(("bash", "-c", "(cat knob.py bench.py); exit 3"), "."), role)
    try:
        assert opened(output) >= {"knob.py", "bench.py"}
    except Unknown as why:
        pytest.skip(f"no command can be watched here: {why}")
    assert code == 3


def test_it_writes_its_tree_and_scratch_folders_and_devices(box: Box) -> None:
    script = """set -e
    echo x > new; mkdir d; mv new d/moved; ln d/moved d/hard; ln -s moved d/soft; rm -r d
    echo y >> knob.py; : > bench.py; mkfifo pipe
    echo z > $HOME/file; echo z > $TMPDIR/file; echo z > /dev/null; echo z > /dev/stderr
    echo z > /dev/shm/file-$$; rm /dev/shm/file-$$
    """
    code, output = box.run(script)
    assert (code, output) == (0, "z\n")


def test_the_users_files_cannot_be_written(box: Box) -> None:
    for name in ("knob.py", "new.txt", ".git/config", ".git/hooks/pre-commit", ".git/refs/heads/new",
                 ".git/objects/info/alternates"):  # fmt: skip
        box.leaves_alone(f"echo x >> {quoted(box.repo / name)}")
    box.leaves_alone(f"echo x > {quoted(box.home / 'file')}")
    box.leaves_alone(f"mv {quoted(box.repo / 'README.md')} {quoted(box.repo / 'README')}")


def test_the_session_can_be_neither_read_nor_written(box: Box) -> None:
    journal = box.session / "autoresearch.jsonl"
    box.refuses(f"cat {quoted(journal)}")
    box.refuses(f"echo x >> {quoted(journal)}")
    box.refuses(f"echo x > {quoted(box.session / 'lock')}")
    other = box.session.parent / "nov21"
    other.mkdir()
    (other / "autoresearch.jsonl").write_text("of another\n")
    box.refuses(f"cat {quoted(other / 'autoresearch.jsonl')}")


def test_keys_cannot_be_read(box: Box) -> None:
    (box.home / ".ssh").mkdir()
    (box.home / ".ssh" / "id_ed25519").write_text("a key\n")
    (box.home / ".netrc").write_text("machine login\n")
    box.refuses(f"cat {quoted(box.home / '.ssh' / 'id_ed25519')}")
    box.refuses(f"grep . {quoted(box.home / '.netrc')}")
    code, output = box.run("cat README.md")
    assert (code, output) == (0, "a user's project\n")


def test_a_key_that_is_replaced_stays_hidden(box: Box) -> None:
    key = box.home / ".netrc"
    key.write_text("old\n")
    made = box.made()
    assert box.run(f"grep . {quoted(key)}", made=made)[0] != 0
    (box.home / "fresh").write_text("new\n")
    (box.home / "fresh").rename(key)
    assert box.run(f"grep . {quoted(key)}", made=made)[0] != 0


@pytest.mark.skipif(os.getuid() != 0, reason="a disk is root's")
@pytest.mark.parametrize("role", ["run", "evaluate"])
def test_disks_cannot_be_read(role: Role, box: Box) -> None:
    disk = Path(f"/dev/autoresearch-test-{os.getpid()}")
    try:
        os.mknod(disk, 0o600 | stat.S_IFBLK, os.makedev(240, 0))
    except PermissionError:
        pytest.skip("not all of root: no devices can be made")
    # What it is is not there, which is said after all that may forbid to open it.
    opens = (
        f"import errno, os\ntry: os.open('{disk}', os.O_RDONLY)\nexcept OSError as e: assert e.errno == errno.ENXIO, e"
    )
    try:
        box.refuses(f"{sys.executable} -c {shlex.quote(opens)}", role)
    finally:
        disk.unlink()


def test_hidden_paths_are_for_the_evaluator_alone(box: Box) -> None:
    held = box.home / "heldout"
    held.mkdir()
    (held / "cat-17").write_text("a cat\n")
    box.settings["hidden"] = [str(held)]
    box.refuses(f"cat {quoted(held / 'cat-17')}")
    box.refuses(f"ls {quoted(held)}")
    box.evaluates = True
    code, output = box.run(f"cat {quoted(held / 'cat-17')}", "evaluate")
    assert (code, output) == (0, "a cat\n")


def test_what_is_hidden_in_the_repository_is_hidden_in_its_objects_too(box: Box) -> None:
    box.settings["hidden"] = ["README.md"]
    box.refuses(f"grep . {quoted(box.repo / 'README.md')}")
    box.refuses(f"git --git-dir={quoted(box.repo / '.git')} cat-file -p HEAD:README.md | grep .")
    if box.offered and box.offered.mounts:
        box.refuses("grep . README.md")


def test_what_lies_below_is_not_written(box: Box) -> None:
    for role in ("run", "evaluate"):
        box.leaves_alone(f"echo x > knob.py; echo x > {quoted(box.checkout / 'new')}; rm -r *; true", role)  # type: ignore[arg-type]
        box.checkout.joinpath("new").unlink(missing_ok=True)


def test_an_evaluator_may_confine_what_it_starts(box: Box) -> None:
    """An evaluator has untrusted processes of its own to hold; Landlock alone would forbid it to mount."""
    assert box.offered is not None
    box.evaluates = True
    code, output = box.python(NESTING, "evaluate")
    assert (code == 0) == box.offered.held, output
    box.leaves_alone(f"echo x > {quoted(box.home / 'file')}", "evaluate")
    box.leaves_alone(f"mv {quoted(box.repo / 'knob.py')} .", "evaluate")
    if os.getuid() == 0:
        box.refuses("echo $(cat /proc/sys/kernel/core_pattern) > /proc/sys/kernel/core_pattern", "evaluate")


def test_declared_paths_can_be_written(box: Box) -> None:
    declared = box.folder / "declared"
    declared.mkdir()
    assert box.run(f"echo x > {quoted(declared / 'file')}")[0] != 0
    box.settings["writable"] = [str(declared)]
    assert box.run(f"echo x > {quoted(declared / 'file')}")[0] == 0


@pytest.mark.parametrize("where", ["home/repo/.git", "home/repo", "trees", "home/repo/.git/autoresearch/nov20"])
def test_what_holds_the_session_cannot_be_declared(tmp_path: Path, where: str) -> None:
    box = Box(tmp_path)
    box.settings["writable"] = [str(tmp_path / where)]
    with pytest.raises(SessionError, match="name a folder beside them"):
        box.made()


def test_what_lies_in_shared_memory_is_said_not_to_be_there(box: Box) -> None:
    assert box.offered is not None
    if not box.offered.mounts:
        pytest.skip("runs see the machine's own")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        box.settings["writable"] = (folder,)
        with pytest.raises(SessionError, match="of their own"):
            box.made()
        box.settings["confine"] = "off"
        assert box.run(f"echo x > {folder}/file")[0] == 0


def test_the_engine_can_be_neither_signalled_nor_looked_into(box: Box) -> None:
    me = os.getpid()
    box.refuses(f"kill -0 {me}")
    box.refuses(f"tr '\\0' '\\n' < /proc/{me}/environ | grep -q PATH")
    box.refuses(f"head -c 0 /proc/{me}/mem")
    # Nor what starts the commands.
    script = f"for pid in $(cat /proc/{me}/task/*/children); do [ $pid = $$ ] || ! kill -9 $pid || exit 0; done; exit 1"
    made = box.made()
    assert box.run("true", made=made)[0] == 0
    assert box.run(script, made=made)[0] == 1
    assert box.run("true", made=made)[0] == 0


def test_no_privileges_are_left_and_none_can_be_had(box: Box) -> None:
    code, output = box.run("grep -E 'Cap(Eff|Prm|Bnd|Amb)|NoNewPrivs' /proc/self/status")
    assert code == 0
    found = dict(line.split(":\t") for line in output.splitlines())
    assert (found["CapEff"], found["CapPrm"], found["CapAmb"]) == ("0" * 16,) * 3
    assert found["NoNewPrivs"] == "1"


CONNECT = "import socket; socket.create_connection(('127.0.0.1', {port}), 2).close()"
LISTEN = "import socket; s = socket.create_server(('127.0.0.1', 0)); " \
         "socket.create_connection(s.getsockname(), 2).close()"  # fmt: skip


@pytest.mark.parametrize("network", ["off", "loopback"])
def test_no_connection_leaves_a_run(box: Box, network: str) -> None:
    import socket

    box.settings["network"] = network
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"{quoted(Path(sys.executable))} -c {shlex.quote(CONNECT.format(port=server.getsockname()[1]))}"
        box.refuses(connect)
        box.settings["network"] = "on"
        assert box.run(connect)[0] == 0


def test_loopback_works_inside_a_run_where_it_can(box: Box) -> None:
    assert box.offered is not None
    code, output = box.python(LISTEN)
    assert (code == 0) == box.offered.network, output
    said = str(box.made().level)
    assert ("loopback" in said) == (not box.offered.network)
    box.settings["network"] = "off"
    assert box.python(LISTEN)[0] != 0


def test_unix_sockets_pools_and_shared_memory_work(box: Box) -> None:
    script = """if True:
        import multiprocessing, multiprocessing.shared_memory as shm, socket, os, tempfile
        with multiprocessing.Pool(2) as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]
        block = shm.SharedMemory(create=True, size=100); block.close(); block.unlink()
        multiprocessing.Manager().dict()["a"] = 1
        s = socket.socket(socket.AF_UNIX); s.bind(os.path.join(tempfile.gettempdir(), "s")); s.listen()
        c = socket.socket(socket.AF_UNIX); c.connect(s.getsockname())
        print("all there")
    """
    assert box.python(script) == (0, "all there\n")


WORKERS = """
import multiprocessing, sys
def double(x): return 2 * x
if __name__ == "__main__":
    for way in ("fork", "spawn"):
        with multiprocessing.get_context(way).Pool(1) as pool: assert pool.map(double, [1, 2]) == [2, 4]
"""
DATABASE = """
import sqlite3
for path in ("a.db", ":memory:"):
    base = sqlite3.connect(path)
    base.execute("pragma journal_mode = wal")
    base.execute("create temp table t (a)")
    base.execute("create table u (a)")
    base.commit()
"""


def test_what_programs_usually_do_works(box: Box) -> None:
    """What confinement breaks first; torch's loaders and compiler, and pytest, were tried by hand."""
    (box.checkout / "workers.py").write_text(WORKERS)
    python, made = quoted(Path(sys.executable)), box.made()
    for script in (
        f"{python} workers.py",
        f"{python} -c {shlex.quote(DATABASE)}",
        f"{python} -m venv --without-pip new && new/bin/python -c 'import json'",
        f"{python} -c 'import os; os.nice(1); os.sched_setaffinity(0, os.sched_getaffinity(0))'",
    ):
        code, output = box.run(script, made=made)
        assert code == 0, f"{script}: {output}"


def test_a_program_that_is_missing_is_said_as_without_confinement(box: Box) -> None:
    log = box.session / "output.log"
    done = box.done(("no-such-program",), log, "run", box.made())
    assert (done.code, done.cause) == (127, "nonzero_exit")
    assert "no-such-program cannot be started" in done.detail


def test_commands_are_our_own_children_and_what_they_leave_is_ended(box: Box) -> None:
    log = box.session / "output.log"
    script = "setsid sleep 60 & sleep 60 & echo $PPID"
    done = box.done(("bash", "-c", script), log, "run", box.made(), grace_s=0.5)
    assert box.offered is not None
    assert log.read_text().split() == ["1" if box.offered.processes else str(os.getpid())]
    assert (done.leftovers, done.survivors) == (2, ())
    assert descendants.nothing_inherited()


def test_an_ended_spawner_is_started_again(box: Box) -> None:
    made = box.made()
    assert box.run("true", made=made)[0] == 0
    (spawner,) = made._spawners.values()
    assert spawner._child is not None
    spawner._child.kill()
    spawner._child.wait()
    assert box.run("echo here", made=made) == (0, "here\n")


def test_a_command_inherits_its_three_descriptors_and_no_more(box: Box) -> None:
    assert box.run("ls /proc/self/fd")[1].split() == ["0", "1", "2", "3"]  # the last is the listing's own


def test_what_a_command_leaves_in_shared_memory_is_not_for_the_next(box: Box) -> None:
    assert box.offered is not None
    if not box.offered.mounts:
        pytest.skip("named: /dev/shm is the machine's own")
    made = box.made()
    assert box.run("mkdir -m 000 /dev/shm/d; echo x > /dev/shm/left-here", made=made)[0] == 0
    assert box.run("ls /dev/shm", made=made) == (0, "")
    assert not Path("/dev/shm/left-here").exists()


def test_shared_memory_is_as_large_as_all_memory_may_be(box: Box) -> None:
    assert box.offered is not None
    if not box.offered.mounts:
        pytest.skip("named: /dev/shm is the machine's own")
    box.settings["memory_mb"] = 7.5
    code, said = box.run("stat -f -c '%b %S' /dev/shm; head -c 9000000 /dev/zero > /dev/shm/x")
    blocks, size = map(int, said.splitlines()[0].split())
    assert blocks * size == 8 * 2**20
    assert code != 0
    assert "No space left" in said


def test_nothing_of_a_command_is_held_open_when_it_has_ended(box: Box) -> None:
    made = box.made()
    assert box.run("true", made=made)[0] == 0
    box.layers.wait()
    before = len([*Path("/proc/self/fd").iterdir()])
    assert box.run("head -c 3000000 /dev/zero > /dev/shm/x; setsid sleep 60 & exit 3", made=made)[0] == 3
    box.layers.wait()
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_what_a_command_leaves_in_no_folder_is_not_for_the_next(box: Box) -> None:
    assert box.offered is not None
    if not box.offered.mounts:
        pytest.skip("named: shared memory is the machine's own")
    key = os.getpid()
    gets = f"c.shmget({key}, 64, FLAG), c.msgget({key}, FLAG), c.semget({key}, 1, FLAG)"
    script = f"import ctypes; c = ctypes.CDLL(None); print({gets})"
    made = box.made()
    code, output = box.call((sys.executable, "-c", script.replace("FLAG", "0o1600")), made=made)
    assert (code, "-1" in output) == (0, False), output
    code, output = box.call((sys.executable, "-c", script.replace("FLAG", "0")), made=made)
    assert (code, output) == (0, "-1 -1 -1\n")


def test_a_command_that_is_held_to_a_processor_does_not_hold_the_next(box: Box) -> None:
    mine = os.sched_getaffinity(0)
    if len(mine) < 2:
        pytest.skip("one processor is all there is")
    made = box.made()
    own = set(descendants.table())
    holds = f"import os; [os.sched_setaffinity(p, {{{min(mine)}}}) for p in PIDS]"
    assert box.run("true", made=made)[0] == 0
    new = [seen.pid for seen in descendants.table().values() if seen.parent == os.getpid() and seen.pid not in own]
    spawners = [pid for pid in new if b"spawner_program" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert spawners
    code, _ = box.call((sys.executable, "-c", holds.replace("PIDS", str(spawners))), made=made)
    assert box.offered is not None
    held = set() if box.offered.processes else {min(mine)}  # in a namespace of its own it does not even find them
    assert (code == 0, {*map(frozenset, map(os.sched_getaffinity, spawners))}) == (
        bool(held),
        {frozenset(held or mine)},
    )
    shows = "import os; print(sorted(os.sched_getaffinity(0)))"
    assert box.call((sys.executable, "-c", shows), made=made) == (0, f"{sorted(mine)}\n")


def test_modes_and_times_of_other_files_stay(box: Box) -> None:
    """Under root too, which owns nearly everything: a `chmod u+s` would make a door of a shell."""
    theirs = box.home / "theirs"
    theirs.touch(0o600)
    before = theirs.stat()
    own = "echo x > own && chmod 755 own && touch -d 2001-01-01 own"
    made = box.made()
    code, output = box.run(f"chmod 777 {theirs}; touch -d 2001-01-01 {theirs}; {own}", made=made)
    assert code == 0, output
    after = theirs.stat()
    same = (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert same is made.level.holds("modes")


STAND_IN = """
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int cuInit(unsigned flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/comm", (long)syscall(SYS_gettid));
    FILE *comm = fopen(path, "wb");
    if (!comm) return 304;
    fputs("stand-in", comm);
    return fclose(comm) ? 304 : 0;
}
"""
"""What libcuda does at its start: it names its thread, and gives up where it cannot."""


@pytest.mark.parametrize("role", ["run", "evaluate", "setup"])
def test_a_library_that_names_its_threads_starts(box: Box, role: Role) -> None:
    assert box.offered is not None
    (box.checkout / "stand_in.c").write_text(STAND_IN)
    compiler = ["cc", "-shared", "-fPIC", "-o", "libcuda.so.1", "stand_in.c"]
    built = subprocess.run(compiler, cwd=box.checkout, check=False)
    if built.returncode:
        pytest.skip("no C compiler")
    threads = "t = threading.Thread(target=lambda: print(c.cuInit(0))); t.start(); t.join()"
    code = f"import ctypes, threading; c = ctypes.CDLL('./libcuda.so.1'); print(c.cuInit(0)); {threads}"
    made = box.made()
    # Landlock allows all of /proc or nothing, so not where user 0 would write the machine's settings: that is named.
    refused = not box.offered.mounts and os.getuid() == 0
    answer = "304\n304\n" if refused and box.offered.landlock else "0\n0\n"
    for _ in range(2):
        assert box.call((sys.executable, "-c", code), role, made) == (0, answer)
    assert made.level.holds("processes") is box.offered.processes


def test_nothing_of_others_is_written_through_proc(box: Box) -> None:
    """Another process of the same user, the engine, the machine: also as root."""
    assert box.offered is not None
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        before = Path(f"/proc/{sleeper.pid}/oom_score_adj").read_text()
        paths = [
            f"/proc/{pid}/{file}"
            for pid in (sleeper.pid, os.getpid())
            for file in ("oom_score_adj", "timerslack_ns", "comm")
        ]
        paths += ["/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity"]
        script = "".join(f"(echo 900 > {path}) 2> /dev/null && echo wrote {path}\n" for path in paths)
        _, output = box.run(f"{script}true")
        allowed = [] if box.offered.processes else [f"wrote {path}" for path in paths[:6]]
        assert set(output.splitlines()) <= set(allowed)
        if box.offered.processes:
            assert Path(f"/proc/{sleeper.pid}/oom_score_adj").read_text() == before
            assert box.run("ls -d /proc/[0-9]* | wc -l")[1].strip() in ("3", "4")
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_command_limits_itself_and_nobody_else(box: Box) -> None:
    own = "import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0)); r.prlimit(0, r.RLIMIT_CORE, (0, 0))"
    assert box.python(f"{own}; import os; print(r.prlimit(os.getpid(), r.RLIMIT_CORE))")[0] == 0
    code, output = box.python(f"import resource as r; r.prlimit({os.getpid()}, r.RLIMIT_CORE, (0, 0))")
    assert code != 0
    assert "PermissionError" in output


_IOPRIO_SET = {"x86_64": 251}.get(os.uname().machine, 30)
_ADD_KEY = {"x86_64": 248}.get(os.uname().machine, 217)


@pytest.mark.parametrize(
    "change",
    [
        "os.setpriority(os.PRIO_PROCESS, {pid}, 19)",
        "os.setpriority(os.PRIO_USER, 0, 19)",
        "os.setpriority(os.PRIO_USER, os.getuid(), 19)",
        "os.sched_setscheduler({pid}, os.SCHED_OTHER, os.sched_param(0))",
        "os.sched_setparam({pid}, os.sched_param(0))",
        f"called({_IOPRIO_SET}, 1, {{pid}}, 2 << 13 | 4)",
        f"called({_IOPRIO_SET}, 3, os.getuid(), 2 << 13 | 4)",
    ],
)
def test_a_command_slows_itself_and_nobody_else(change: str, box: Box) -> None:
    head = (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "def called(*arguments):\n"
        "    if libc.syscall(*arguments) < 0: raise OSError(ctypes.get_errno(), 'refused')\n"
    )
    sleeper = subprocess.Popen(["sleep", "60"])  # one with no more rights than a command, which the kernel lets it slow
    try:
        code, output = box.python(head + change.format(pid=sleeper.pid))
    finally:
        sleeper.kill()
        sleeper.wait()
    assert code != 0
    assert "PermissionError" in output
    own = change.format(pid=0)
    if own != change:
        assert box.python(head + own) == (0, "")


def test_a_command_finds_no_keyring(box: Box) -> None:
    add = f"import ctypes; print(ctypes.CDLL(None).syscall({_ADD_KEY}, b'user', b'autoresearch-test', b'x', 1, -3))"
    assert box.python(add) == (0, "-1\n")


CLI = """
for path in {repo}/knob.py {repo}/new {repo}/.git/config {session}/autoresearch.jsonl {trees}/checkout/x {home}/.new
do
    (echo x >> $path) 2> /dev/null && echo wrote $path
done
mv {repo} {repo}2 2> /dev/null && echo moved
echo x > {home}/.cli.json && echo x > {home}/.cli/new && mv {home}/.cli/new {home}/.cli/old && echo x > new && echo kept
kill -0 $PPID 2> /dev/null || echo alone
"""


def test_an_agents_cli_is_held_by_rules_where_nothing_can_be_mounted(tmp_path: Path) -> None:
    box = Box(tmp_path)
    (box.home / ".cli").mkdir()
    (box.home / ".cli.json").touch()
    tree = box.tree
    view = View("on", held=(box.home, box.folder), guarded=(box.repo, box.repo / ".git", box.trees), inner=(tree,))
    spawner = Spawner(view, Kernel(landlock=FULL.landlock))
    script = CLI.format(repo=box.repo, session=box.session, trees=box.trees, home=box.home)

    def spawn(command: process.Command, env: Mapping[str, str], output: int) -> process.Child:
        return spawner.start(command, env, (output, output, output), ())

    log = tmp_path / "log"
    command = process.Command(
        argv=("bash", "-c", script), cwd=tree, env={"PATH": os.environ["PATH"]}, output=log, timeout_s=30
    )
    process.run(command, None, spawn)
    spawner.close()
    assert log.read_text() == "kept\nalone\n"


@pytest.mark.skipif(os.getuid() == 0, reason="no such limit binds root; another user tries it below")
def test_tasks_are_limited(box: Box) -> None:
    code, output = box.run("ulimit -u && ulimit -Hu")
    assert code == 0
    assert all(int(limit) <= _MOST_TASKS for limit in output.split())


# -- an ordinary user

_NAMED = (
    "nobody_else or session_can or users_files or signalled or privileges or leaves_a_run or evaluator_may "
    "or loopback_works or tasks_are"
)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user; the tests above were one already")
def test_an_ordinary_user_is_held_in_the_same_way() -> None:
    """The tests of this file again, as a user without privileges, whose namespaces need a user namespace."""
    python = next(
        (path for path in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}") if _usable(path)), ""
    )
    if not python:
        pytest.skip("no interpreter of this version that another user may call")
    with tempfile.TemporaryDirectory(prefix="ordinary-") as folder:
        os.chown(folder, 1000, 1000)
        tests = Path(__file__).resolve().parents[2]
        path = [
            str(tests.parent),
            str(tests / "support"),
            *(entry for entry in sys.path if entry.endswith("-packages")),
        ]
        done = subprocess.run(
            [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--basetemp",
             f"{folder}/t", "-k", f"full and ({_NAMED})", str(Path(__file__).resolve())],
            cwd=tests.parent, user=1000, group=1000, extra_groups=[], capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder, "PYTHONPATH": os.pathsep.join(path),
                 "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def _usable(python: str) -> bool:
    """Whether another user may call it, and it finds what the tests need."""
    code = "import sys; sys.path += sys.argv[1:]; import pytest, orjson, landlockpy, autoresearch"
    path = [str(Path(__file__).resolve().parents[3]), *(entry for entry in sys.path if entry.endswith("-packages"))]
    try:
        done = subprocess.run([python, "-c", code, *path], user=1000, group=1000, extra_groups=[], check=False,
                              capture_output=True, cwd="/", env={"PYTHONDONTWRITEBYTECODE": "1"})  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0
