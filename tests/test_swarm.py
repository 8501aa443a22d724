"""A song reaches several machines on a switch with slow ports: real processes in network namespaces."""

from __future__ import annotations

import pathlib
import random
import shutil
import subprocess
import time
import wave
from collections.abc import Iterator

import pytest

from tests.support.machines import Machines, unavailable
from tests.support.programs import Event, Program
from tests.support.recorded_machines import NAMES, SETTLED_S, RecordedMachines, assert_nobody_heard_it

pytestmark = pytest.mark.slow

PEERS = NAMES[1:]
PORT_MBIT = 20
SONG_BYTES = 8_000_000
"""Takes 3.2 s through one port."""


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> Iterator[Machines]:
    if reason := unavailable():
        pytest.skip(reason)
    if not shutil.which("tc"):
        pytest.skip("slow ports need tc")
    with Machines(tmp_path, *NAMES) as found:
        found.slow_ports(PORT_MBIT)
        yield found


@pytest.fixture
def song(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "noise.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(random.Random(5).randbytes(SONG_BYTES))
    return path


def sent_bytes(machines: Machines, name: str) -> int:
    """How much a machine has sent so far."""
    path = "/sys/class/net/lan0/statistics/tx_bytes"
    return int(subprocess.run([*machines.prefix(name), "cat", path], check=True, capture_output=True).stdout)


def clock_known(sync: Event) -> bool:
    return sync["offset_uncertainty_us"] is not None


def joined(machines: Machines, *names: str) -> tuple[Program, list[Program]]:
    """A host, and peers whose paths to it are measured."""
    host = machines.start("Hana", "host", "--bind", machines.address("Hana"))
    host.wait_for("session")
    peers = [machines.start(name, "join", machines.address("Hana")) for name in names]
    for peer in peers:
        peer.wait_for("sync", clock_known)
    for peer in peers:  # the next report to the host tells it
        for _ in range(3):
            peer.wait_for("sync", clock_known)
    return host, peers


def test_the_host_sends_a_song_hardly_more_than_once(machines: Machines, song: pathlib.Path) -> None:
    host, peers = joined(machines, *PEERS)
    before_bytes, began_s = sent_bytes(machines, "Hana"), time.monotonic()
    host.say(f"add {song}")
    for peer in peers:
        peer.wait_for("file_ready")
    took_s = time.monotonic() - began_s
    songs = (sent_bytes(machines, "Hana") - before_bytes) / SONG_BYTES
    print(f"{len(peers)} peers had the song after {took_s:.1f} s; the host sent it {songs:.2f} times")
    assert songs < 2


def test_a_peer_that_dies_while_it_passes_a_song_on_does_not_keep_the_others_from_it(
    machines: Machines, song: pathlib.Path
) -> None:
    host, peers = joined(machines, *PEERS)
    host.say(f"add {song}")
    host.wait_for("transfer", lambda event: event["state"] == "sending" and event["peer"] == "Ana")
    peers[0].process.kill()
    for peer in peers[1:]:
        peer.wait_for("file_ready")


def test_nobody_hears_that_a_song_is_passed_on(machines: Machines, song: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """It fills all ports while another one plays."""
    jam = RecordedMachines(machines, tmp_path)
    jam.open(*PEERS)
    jam.programs["Hana"].say(f"add {song}")
    for name in PEERS:
        jam.programs[name].wait_for("file_ready")
    time.sleep(1.5 * SETTLED_S)
    assert_nobody_heard_it(jam.played(*PEERS, "Hana"))
