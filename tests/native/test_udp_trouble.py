"""The clock threads on a hostile or broken network, simulated by a preloaded recvmsg and poll."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import platform
import shutil
import subprocess
import sys

import pytest

from tests.support.preload import preloading

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
MEASURED = """
clock.allow(1, "127.0.0.1", bytes(16))
peer = PeerClock(*address, peer_id=1, key=bytes(16))
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
CLOSED = """
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


@pytest.mark.parametrize(
    ("what", "program"), [("refused", MEASURED), ("down", MEASURED), ("flood", FLOOD), ("closed", CLOSED)]
)
def test_the_clock_threads_survive(shim: pathlib.Path, what: str, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program],
        env={**os.environ, **preloading(shim), "UDP_SHIM": what, "PYTHONPATH": str(HERE.parent.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


FATAL = {
    "WSA_INVALID_HANDLE",
    "WSAEBADF",
    "WSAEFAULT",
    "WSAEINVAL",
    "WSAENOTSOCK",
    "WSAENOTCONN",
    "WSAESHUTDOWN",
    "WSANOTINITIALISED",
}
"""The socket will not work again."""
PASSING = {
    "WSAEACCES",
    "WSAEADDRNOTAVAIL",
    "WSAECONNABORTED",
    "WSAECONNREFUSED",
    "WSAECONNRESET",
    "WSAEHOSTDOWN",
    "WSAEHOSTUNREACH",
    "WSAEINTR",
    "WSAEMSGSIZE",
    "WSAENETDOWN",
    "WSAENETRESET",
    "WSAENETUNREACH",
    "WSAENOBUFS",
    "WSAETIMEDOUT",
    "WSAEWOULDBLOCK",
}
"""Errors of a network that is away for a moment, of a router or of a firewall."""


@pytest.mark.slow
def test_on_windows_only_an_unusable_socket_ends_the_clock(tmp_path: pathlib.Path) -> None:
    """The function itself, compiled for Windows and run by wine."""
    wine = shutil.which("wine")
    if wine is None or "WINEPREFIX" not in os.environ or importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs wine with a folder, and zig as a compiler for Windows")
    lines = [f'if (is_temporary({name})) puts("{name}");' for name in sorted(FATAL | PASSING)]
    source = tmp_path / "names.c"
    source.write_text(
        '#include <stdio.h>\n#include <stdlib.h>\n#include "pl_datagram.c"\n'
        "int64_t pl_now_ns_rt(void) { return 0; }\n"
        "void begin(void) {\n" + "\n".join(lines) + "\nexit(0);\n}\n",
        "utf-8",
    )
    compiled, program = tmp_path / "names.o", tmp_path / "names.exe"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-windows-gnu"]
    # Without -O1, zig inserts calls of its checks. For programs it makes a C library, which takes minutes: this one
    # needs none, because it calls functions of Windows only.
    flags = ["-std=c11", "-O1", "-I", HERE.parent.parent / "ext"]
    subprocess.run([*compiler, *flags, "-c", source, "-o", compiled], check=True)
    link = [*compiler, "-nostdlib", "-Wl,-e,begin", compiled, "-lws2_32", "-lucrtbase", "-o", program]
    subprocess.run(link, check=True)
    done = subprocess.run([wine, program], env=os.environ | {"WINEDEBUG": "-all"}, stdout=subprocess.PIPE, timeout=200)
    assert done.returncode == 0
    assert set(done.stdout.decode().split()) == PASSING
