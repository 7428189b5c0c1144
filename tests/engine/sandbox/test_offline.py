"""A missing network is named where a command's words leave no other cause, and nowhere else."""

from __future__ import annotations

import socket

import pytest

from autoresearch.engine.sandbox import Network, network_hint, no_network

OUTSIDE = [
    "socket.gaierror: [Errno -3] Temporary failure in name resolution",
    "curl: (6) Could not resolve host: example.org",
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='example.org', port=443): Max retries exceeded",
    "OSError: [Errno 101] Network is unreachable",
    "dial tcp: lookup example.org: no such host",
    "dial tcp 93.184.216.34:443: connect: network is unreachable",
    "Error: getaddrinfo ENOTFOUND registry.example.org",
    "Error: connect EACCES 93.184.216.34:443",
    "urllib.error.URLError: <urlopen error [Errno 13] Permission denied>",
    "curl: (7) Failed to connect to example.org port 443: Couldn't connect to server",
]
TOLD = [
    "huggingface_hub.errors.OfflineModeIsEnabled: Cannot reach",
    "ERROR: No matching distribution found for numpy",
    "go: example.org/x@v1: module lookup disabled by GOPROXY=off",
    "npm ERR! code ENOTCACHED",
]
OTHER_CAUSES = [
    "ModuleNotFoundError: No module named 'helper'",
    "ValueError: 3",
    "FileNotFoundError: [Errno 2] No such file or directory: 'downloads/data.csv': the download of it failed",
    "RuntimeError: download failed: data/train.bin is missing",
    "ConnectionRefusedError: [Errno 111] Connection refused",
    "redis.exceptions.ConnectionError: Error 111 connecting to localhost:1. Connection refused.",
    "requests.exceptions.ConnectionError: HTTPConnectionPool(host='127.0.0.1', port=1): Max retries exceeded",
    "Error: connect ECONNREFUSED ::1:1",
    "    client.get('http://localhost:1/x')\nhttpx.ConnectError: [Errno 111] Connection refused",
    "dial unix /var/run/docker.sock: connect: permission denied",
    "torch.cuda.OutOfMemoryError",
]


@pytest.mark.parametrize("line", [*OUTSIDE, *TOLD])
def test_what_only_a_missing_network_says_is_named(line: str) -> None:
    assert 'set measure.network = "on"' in network_hint(f"Traceback\n{line}\nat the end\n", "loopback")
    assert network_hint(line, "on") == ""
    assert bool(network_hint(line, "loopback", held=False)) == (line in TOLD)


@pytest.mark.parametrize("output", OTHER_CAUSES)
def test_what_has_other_causes_too_is_not(output: str) -> None:
    assert network_hint(f"{output}\n", "loopback") == ""


def test_words_long_before_the_end_are_not_its_cause() -> None:
    assert network_hint(OUTSIDE[0] + "\nstep" * 50 + "\nZeroDivisionError", "loopback") == ""


@pytest.mark.parametrize("network", ["loopback", "off"])
def test_a_server_of_the_machine_is_named_by_its_port(network: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for output in (
            f"redis.exceptions.ConnectionError: Error 111 connecting to localhost:{port}. Connection refused.",
            f"    create_connection(('127.0.0.1', {port}), 5)\nConnectionRefusedError: [Errno 111] Connection refused",
        ):
            found = no_network(output, network)
            assert found is not None
            assert found.needs == "on"
            assert f"port {port}" in found.why


def test_a_server_of_its_own_needs_a_localhost() -> None:
    assert 'set measure.network = "loopback"' in network_hint("connect to localhost:1: Network is unreachable", "off")
