"""What confines the candidates of the nanogpt target: each layer by itself, and two candidates against each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TARGET = Path(__file__).resolve().parents[2] / "targets" / "nanogpt"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's")

LAYERS = {
    "shield": "shield",
    "privileges": "_drop_privileges",
    "namespaces": "_own_namespaces",
    "Landlock": "_landlock",
}


@dataclass(frozen=True)
class Confined:
    outputs: list[str]
    held: list[str]


DRIVER = """
import json, os, sys, tempfile
from pathlib import Path
import sandbox

def main():
    sandbox.shield()
    spec = json.loads(sys.argv[1])
    started, outputs, held = [], [], []
    for probe in spec["probes"]:
        ready, theirs = os.pipe()
        process, held = sandbox.start(
            [sys.executable, "-I", "-c", probe, str(os.getpid())],
            scratch=Path(tempfile.mkdtemp(dir=".")).resolve(), hidden=Path(spec["hidden"]) if spec["hidden"] else None,
            fds=[], env={"PATH": os.environ["PATH"]}, output=theirs)
        os.close(theirs)
        started.append(process)
        outputs.append(os.fdopen(ready).readline().strip())
    sandbox.end_descendants(started)
    print(json.dumps({"outputs": outputs, "held": held}))

main()
"""

ATTACK = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
evaluator, reached = int(sys.argv[1]), []
for path in ["mem", *(f"fd/{fd}" for fd in range(8))]:
    try:
        os.close(os.open(f"/proc/{evaluator}/{path}", os.O_WRONLY))
        reached.append(path)
    except OSError:
        pass
for path in ("environ", "maps"):
    try:
        if open(f"/proc/{evaluator}/{path}", "rb").read():
            reached.append(path)
    except OSError:
        pass
if libc.ptrace(0x4206, evaluator, None, None) == 0:
    reached.append("ptrace")
try:
    pidfd = os.pidfd_open(evaluator)
    if libc.syscall(438, pidfd, 1, 0) >= 0:
        reached.append("pidfd_getfd")
except OSError:
    pass
print(" ".join(reached) or "nothing", flush=True)
"""


def _confine(tmp_path: Path, *probes: str, without: tuple[str, ...] = (), hidden: Path | None = None) -> Confined:
    """Runs each probe confined, one started after another's first line, all alive until the end."""
    source = (TARGET / "sandbox.py").read_text()
    for layer in without:
        source, count = re.subn(
            rf"^(def {LAYERS[layer]}\(.*\) -> None:)$", r"\1\n    return", source, flags=re.MULTILINE
        )
        assert count == 1
    (tmp_path / "sandbox.py").write_text(source)
    (tmp_path / "driver.py").write_text(DRIVER)
    spec = json.dumps({"probes": probes, "hidden": str(hidden or "")})
    done = subprocess.run([sys.executable, "driver.py", spec], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return Confined(**json.loads(done.stdout))


@pytest.mark.parametrize("without", [(), ("namespaces",), ("namespaces", "Landlock")], ids=str)
def test_the_evaluator_is_out_of_reach(tmp_path: Path, without: tuple[str, ...]) -> None:
    assert _confine(tmp_path, ATTACK, without=without).outputs == ["nothing"]


def test_the_attack_succeeds_where_nothing_protects(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    if os.getuid() != 0 and yama.exists() and yama.read_text().strip() != "0":
        pytest.skip("this kernel lets nobody trace what they did not start")
    reached = _confine(tmp_path, ATTACK, without=("shield", "privileges", "namespaces", "Landlock")).outputs[0]
    assert {"mem", "fd/1", "environ", "ptrace"} <= set(reached.split())


def test_hidden_files_cannot_be_read(tmp_path: Path) -> None:
    hidden = tmp_path / "cache" / "heldout"
    hidden.mkdir(parents=True)
    (hidden / "text").write_text("the validation text")
    (tmp_path / "cache" / "other").write_text("training text")
    read = f"""
found = []
for path in ("{hidden}/text", "{tmp_path}/cache/other"):
    try:
        found.append(open(path).read())
    except PermissionError:
        found.append("denied")
import os
try:
    found.append(str(os.listdir("{hidden}")))
except PermissionError:
    found.append("denied")
print("|".join(found), flush=True)
"""
    confined = _confine(tmp_path, read, hidden=hidden)
    if not any(name.startswith("Landlock") for name in confined.held):
        pytest.skip("this kernel has no Landlock")
    assert confined.outputs == ["denied|training text|denied"]


LEAVE = """
import ctypes, os, socket, sys, threading
libc = ctypes.CDLL(None)
libc.prctl(15, b"rendezvous", 0, 0, 0)
kept = []
def attempt(what):
    try:
        kept.append(what())
    except OSError:
        pass
for place in ("/tmp", "/dev/shm", "/var/tmp", os.getcwd()):
    attempt(lambda: open(place + "/rendezvous-NUMBER", "w"))
def listen(family, kind, address):
    at = socket.socket(family, kind)
    at.bind(address)
    if kind == socket.SOCK_STREAM:
        at.listen()
    return at
attempt(lambda: listen(socket.AF_UNIX, socket.SOCK_STREAM, "\\0rendezvous-NUMBER"))
attempt(lambda: listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", PORT)))
attempt(lambda: listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", PORT)))
libc.shmget(PORT, 4096, 0o1666)
print("left", flush=True)
threading.Event().wait()
"""

FIND = """
import ctypes, glob, os, socket
libc = ctypes.CDLL(None)
places = ("/tmp", "/dev/shm", "/var/tmp", os.getcwd())
found = [place for place in places if os.path.exists(place + "/rendezvous-NUMBER")]
def attempt(name, what):
    try:
        what()
        found.append(name)
    except OSError:
        pass
attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\\0rendezvous-NUMBER"))
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", PORT), timeout=2))
def datagram():
    to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    to.connect(("127.0.0.1", PORT))
    to.send(b"x")
    to.send(b"x")
attempt("udp", datagram)
if (memory := libc.shmget(PORT, 4096, 0)) >= 0:
    found.append("shm")
    libc.shmctl(memory, 0, None)
for path in glob.glob("/proc/[0-9]*/comm"):
    try:
        if open(path).read().strip() == "rendezvous":
            found.append("comm")
    except OSError:
        pass
print(" ".join(found) or "nothing", flush=True)
"""


def _rendezvous(tmp_path: Path, without: tuple[str, ...]) -> Confined:
    number, port = str(os.getpid()), str(20_000 + os.getpid() % 12_000)
    probes = [text.replace("NUMBER", number).replace("PORT", port) for text in (LEAVE, FIND)]
    return _confine(tmp_path, *probes, without=without)


def test_two_candidates_cannot_talk(tmp_path: Path) -> None:
    confined = _rendezvous(tmp_path, ())
    if "own processes" not in confined.held:
        pytest.skip(f"this kernel or account gives only {confined.held}")
    assert confined.outputs == ["left", "nothing"]


def test_two_candidates_talk_where_nothing_keeps_them_apart(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    found = set(_rendezvous(tmp_path, ("namespaces", "Landlock")).outputs[1].split())
    for place in ("/tmp", "/dev/shm", "/var/tmp"):
        (Path(place) / f"rendezvous-{os.getpid()}").unlink(missing_ok=True)
    assert {"/tmp", "abstract", "tcp", "udp", "shm", "comm"} <= found
