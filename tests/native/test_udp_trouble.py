"""The clock threads on a hostile or broken network, simulated by a preloaded recvmsg."""

from __future__ import annotations

import os
import pathlib
import platform
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent

BEGIN = """
import socket
from phaselock import _native
from phaselock.sync.clock import HostClock, PeerClock
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("127.0.0.1", 0))
address = listener.getsockname()
clock = HostClock(listener)
"""
REFUSED = """
clock.allow(1, "127.0.0.1")
peer = PeerClock(*address, peer_id=1)
while clock._thread.is_alive() and peer._thread.is_alive() and not peer._pinger.status().samples:
    peer._thread.join(0.01)
assert peer._pinger.status().samples
peer.close()
clock.close()
"""
FLOOD = """
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.sendto(b"x", address)
while not clock._responder.counts[1]:
    clock._thread.join(0.01)
clock._responder.stop()
clock._thread.join(20)
assert not clock._thread.is_alive()
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if platform.libc_ver()[0] != "glibc" or compiler is None:
        pytest.skip("needs the GNU C library and a C compiler")
    library = tmp_path_factory.mktemp("shim") / "udp_shim.so"
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run([compiler, *flags, HERE / "udp_shim.c", "-o", library, "-ldl"], check=True)
    return library


@pytest.mark.parametrize(("what", "program"), [("refused", REFUSED), ("flood", FLOOD)])
def test_the_clock_threads_survive(shim: pathlib.Path, what: str, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program],
        env={**os.environ, "LD_PRELOAD": str(shim), "UDP_SHIM": what, "PYTHONPATH": str(HERE.parent.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
