"""The simulated homes behave as homes do: what comes in, and what a restart or another public address takes away."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.home_routers import INTERNET, Home, Homes, Uplink, unavailable

pytestmark = pytest.mark.slow

SERVER = """
import socket
server = socket.create_server(("::", 17404), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
while True:
    connection, address = server.accept()
    connection.sendall(address[0].removeprefix("::ffff:").encode())
    connection.close()
"""
CLIENT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5)
connection.settimeout(30)  # the server may be slow, but the kernel takes a connection at once
print(connection.recv(99).decode())
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    if reason := unavailable():
        pytest.skip(reason)
    if not shutil.which("natpmpc"):
        pytest.skip("it needs natpmpc")
    return tmp_path


@pytest.fixture
def homes(folder: pathlib.Path) -> Iterator[Homes]:
    """Hana serves the port 17404, and her router has mapped its port 17401 to it."""
    landlord = Home(("Bea",), uplink=Uplink.LANDLORD)
    with Homes(folder, Home(("Hana",), ipv6=True), Home(("Ana",), ipv6=True), landlord) as found:
        command = [*found.prefix("Hana"), sys.executable, "-c", SERVER]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout and server.stdout.readline()
            map_port(found)
            yield found
            server.kill()


def map_port(homes: Homes) -> None:
    asked = run(homes, "Hana", "natpmpc", "-a", "17401", "17404", "tcp", "120")
    assert "Mapped public port 17401" in asked.stdout, asked


def run(homes: Homes, name: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*homes.prefix(name), *command], capture_output=True, text=True, timeout=60)


def seen_from(homes: Homes, name: str, address: str, port: int = 17401) -> str:
    """The address at which the server sees this machine; empty if the machine does not reach it."""
    return run(homes, name, sys.executable, "-c", CLIENT, address, str(port)).stdout.strip()


def test_a_mapped_port_is_reached_and_all_others_are_not(homes: Homes) -> None:
    assert "17401" in homes.rules(1) and not homes.rules(2)
    for name, seen in (("Ana", homes.public(2)), ("Bea", homes.public(3)), (INTERNET, "45.32.0.1")):
        assert seen_from(homes, name, homes.public(1)) == seen
        assert not seen_from(homes, name, homes.public(1), 17404)
    assert not seen_from(homes, "Ana", "2a02:c207:1::2", 17404)
    assert seen_from(homes, "Hana", "2a02:c207:1::2", 17404)


def test_a_restart_takes_the_mapping_away(homes: Homes) -> None:
    homes.restart_router(1)
    assert not homes.rules(1)
    assert not seen_from(homes, "Ana", homes.public(1))
    map_port(homes)
    assert seen_from(homes, "Ana", homes.public(1))


def test_a_home_is_reached_only_at_its_new_address(homes: Homes) -> None:
    old = homes.public(1)
    homes.change_public(1)
    assert homes.public(1) != old
    assert not seen_from(homes, "Ana", old)
    assert seen_from(homes, "Ana", homes.public(1))
