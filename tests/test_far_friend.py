"""Real processes, one of them behind a long and slow line: the others do not wait for it, and it joins in phase."""

from __future__ import annotations

import pathlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from phaselock.bench.lab.links import Link
from phaselock.bench.lab.relay import Relay
from tests.support.mp3 import song
from tests.support.programs import Event, Program, playing

pytestmark = pytest.mark.slow

ONE_WAY_MS = 40
WIRED = Link()
LONG_LINE = Link(ONE_WAY_MS * 1e3, 3000, 0, ONE_WAY_MS * 1e3, 3000, 0, busy=0.5)
UPLINK = Link(mbit=10)
"""The host's."""
IN_PHASE_US = 1000.0


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two that were free."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for one in (tcp, udp):
            one.bind(("127.0.0.1", 0))
        return tcp.getsockname()[1], udp.getsockname()[1]


@pytest.fixture
def start(ports: tuple[int, int], tmp_path: pathlib.Path) -> Iterator[Callable[[str], Program]]:
    """Starts the program of that name: the host Hana, Ana in its room, or Far."""
    started: list[Program] = []
    port, clock_port = map(str, ports)
    hosting = ("host", "--bind", "127.0.0.1", "--port", port, "--clock-port", clock_port, "--unlisted")
    with Relay("127.0.0.1", *ports, UPLINK, (WIRED, LONG_LINE), seed=1) as relay:
        words = {"Hana": hosting, "Ana": ("join", relay.address(0)), "Far": ("join", relay.address(1))}

        def start_one(name: str) -> Program:
            started.append(Program(*words[name], "--as", name, "--backend", "null", home=tmp_path / name))
            return started[-1]

        try:
            yield start_one
        finally:
            for program in started:
                program.close()


def in_phase(sync: Event) -> bool:
    known = sync["offset_uncertainty_us"] is not None and sync["dac_uncertainty_us"] is not None
    return playing(sync) and known and abs(sync["phase_error_us"]) < IN_PHASE_US


def test_the_room_does_not_wait_for_a_far_friend_which_joins_in_phase(
    start: Callable[[str], Program], tmp_path: pathlib.Path
) -> None:
    """The friend comes when the room has the song, and has it some seconds after the room begins."""
    tune = song(tmp_path, 500)
    host = start("Hana")
    host.wait_for("session")
    ana = start("Ana")
    ana.wait_for("joined")
    host.say(f"add {tune}")
    host.wait_for("transfer", lambda transfer: transfer["state"] == "done")
    far = start("Far")
    view = host.wait_for("peer_sync", lambda peer: peer["name"] == "Far" and peer["far"])
    assert ONE_WAY_MS <= view["away_ms"] < 2 * ONE_WAY_MS
    host.say("play")
    late = host.wait_for("warning", lambda warning: warning["code"] == "joins_later")
    assert late["message"] == f"Far is far away, and joins in as soon as it has received {tune.name}."
    began = host.wait_for("playing")
    ana.wait_for("sync", in_phase)
    ready = far.wait_for("file_ready")
    assert began["session_ns"] < ready["session_ns"]
    far.wait_for("sync", in_phase)
    near = host.wait_for("peer_sync", lambda peer: peer["name"] == "Ana")
    assert not near["far"]
    said_ns = time.monotonic_ns()
    host.say("pause")
    paused = [program.wait_for("paused") for program in (host, ana, far)]
    assert len({event["position_s"] for event in paused}) == 1
    print(f"a pause takes effect {(paused[0]['session_ns'] - said_ns) / 1e6:.0f} ms after it was typed")
