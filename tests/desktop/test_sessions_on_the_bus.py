"""Real sessions without a window, controlled by playerctl over a real message bus."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from phaselock.desktop.bus import Bus
from phaselock.desktop.mpris import NAME, PATH, PLAYER, PROPERTIES
from phaselock.desktop.mpris import ROOT as ROOT_INTERFACE
from tests.support.message_bus import MessageBus
from tests.support.programs import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("playerctl") is None, reason="playerctl is not installed"),
]

TUNE = ROOT / "phaselock" / "data" / "tune.mp3"


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_host_and_a_peer(message_bus: MessageBus, tmp_path: pathlib.Path) -> None:
    def phaselock(*arguments: str) -> subprocess.Popen[str]:
        message_bus.environment["PHASELOCK_HOME"] = os.fspath(tmp_path / arguments[0])
        return message_bus.start(sys.executable, "-u", "-m", "phaselock", *arguments, "--backend", "null")

    def ctl(player: str, *arguments: str) -> str:
        done = subprocess.run(
            ["playerctl", f"--player={player}", *arguments], env=message_bus.environment, capture_output=True, text=True
        )
        return done.stdout.strip()

    address = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--unlisted")
    host = phaselock("host", os.fspath(TUNE), "--play", *address, "--json")
    assert host.stdout is not None
    until(lambda: ctl("phaselock", "status") == "Playing")
    assert ctl("phaselock", "metadata", "title") == "Phase"
    ctl("phaselock", "pause")
    until(lambda: ctl("phaselock", "status") == "Paused")
    ctl("phaselock", "position", "12")
    until(lambda: ctl("phaselock", "position").startswith("12.0"))
    ctl("phaselock", "volume", "0.25")
    until(lambda: ctl("phaselock", "volume") == "0.250000")
    ctl("phaselock", "loop", "Playlist")
    until(lambda: ctl("phaselock", "loop") == "Playlist")

    port = next(line for line in open_ports(host.pid))
    peer = phaselock("join", f"127.0.0.1:{port}", "--json")
    name = f"phaselock.instance{peer.pid}"
    until(lambda: ctl(name, "status") == "Paused")
    bus = Bus()
    # playerctl shows no metadata of a player that cannot play.
    found = bus.call(f"org.mpris.MediaPlayer2.{name}", PATH, PROPERTIES, "Get", "ss", (PLAYER, "Metadata")).body
    assert found[0][1]["xesam:title"] == ("s", "Phase")
    ctl(name, "play")
    ctl(name, "volume", "0.5")
    until(lambda: ctl(name, "volume") == "0.500000")
    assert ctl(name, "status") == ctl("phaselock", "status") == "Paused"
    bus.call(NAME, PATH, ROOT_INTERFACE, "Quit")
    assert host.wait(60) == 0
    bus.close()


def open_ports(pid: int) -> list[int]:
    """The TCP ports on which a process listens."""
    inodes = set()
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(os.readlink(link))
        except FileNotFoundError:
            continue
    found = []
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            found.append(int(fields[1].rpartition(":")[2], 16))
    return found
