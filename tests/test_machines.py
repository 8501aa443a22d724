"""Real processes in network namespaces, with cables to pull: discovery, lost networks, suspended processes."""

from __future__ import annotations

import json
import pathlib
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.support.machines import Machines, asleep, unavailable
from tests.support.mp3 import packets
from tests.support.programs import Event, Program, playing

pytestmark = pytest.mark.slow

LOST = "The host cannot be heard. Playing on, and looking for it."
IN_PHASE_US = 1000.0


@pytest.fixture
def machines(tmp_path: pathlib.Path) -> Iterator[Machines]:
    if reason := unavailable():
        pytest.skip(reason)
    with Machines(tmp_path, "Hana", "Ana", "Ben") as found:
        yield found


@pytest.fixture
def long_tune(tmp_path: pathlib.Path) -> pathlib.Path:
    """A song of two minutes."""
    path = tmp_path / "long.mp3"
    path.write_bytes(b"".join(packets(44100, 2, 120 * 44100)))
    return path


def in_phase(sync: Event) -> bool:
    known = sync["offset_uncertainty_us"] is not None and sync["dac_uncertainty_us"] is not None
    return playing(sync) and known and abs(sync["phase_error_us"]) < IN_PHASE_US


def playing_session(machines: Machines, file: pathlib.Path, *options: str) -> tuple[Program, Program, Program]:
    """A host and two peers that found it by name, playing in phase."""
    common = "--session", "Kitchen", "--wait-peers", "2", "--play"
    host = machines.start("Hana", "host", str(file), *common, *options)
    host.wait_for("session")
    ana, ben = (machines.start(name, "join", "--session", "kitchen") for name in ("Ana", "Ben"))
    for program in (host, ana, ben):
        program.wait_for("sync", in_phase)
    return host, ana, ben


def test_sessions_are_found_listed_and_joined_by_name(machines: Machines) -> None:
    kitchen = machines.start("Hana", "host", "--session", "Kitchen")
    assert kitchen.wait_for("session")["address"] == machines.address("Hana")
    other = machines.start("Ben", "host", "--session", "Kitchen", "--port", "17500")
    other.wait_for("session")
    listed = [json.loads(line) for line in machines.call("Ana", "sessions", "--json").stdout.splitlines()]
    assert sorted((one["session_name"], one["host_name"], one["peers"], one["address"]) for one in listed) == [
        ("Kitchen", "Ben", 0, f"{machines.address('Ben')}:17500"),
        ("Kitchen", "Hana", 0, machines.address("Hana")),
    ]
    several = machines.call("Ana", "join", "--session", "Kitchen", "--backend", "null")
    assert several.returncode == 1 and "There are several jams" in several.stderr
    other.say("quit")
    other.end()
    ana = machines.start("Ana", "join", "--session", "KITCHEN")
    assert ana.wait_for("joined")["host_name"] == "Hana"
    until = time.monotonic() + 30
    while '"peers": 1,' not in machines.call("Ben", "sessions", "--json", "--timeout", "1").stdout:
        assert time.monotonic() < until
    nothing = machines.call("Ana", "join", "--session", "Cellar", "--backend", "null")
    assert (nothing.returncode, nothing.stderr.startswith('No jam called "Cellar" was found.')) == (1, True)


def test_without_announcements_the_address_still_works(machines: Machines) -> None:
    host = machines.start("Hana", "host", "--session", "Kitchen", "--unlisted")
    host.wait_for("session")
    assert "phaselock join ADDRESS" in machines.call("Ana", "sessions", "--timeout", "1").stdout
    ana = machines.start("Ana", "join", machines.address("Hana"))
    assert ana.wait_for("joined")["session_name"] == "Kitchen"


def test_a_peer_comes_back_after_its_cable_was_pulled(machines: Machines, long_tune: pathlib.Path) -> None:
    host, ana, ben = playing_session(machines, long_tune)
    machines.cable("Ana", plugged=False)
    assert ana.wait_for("warning")["message"] == LOST
    assert host.wait_for("peer_left")["name"] == "Ana"
    for _ in range(5):
        ana.wait_for("sync", in_phase)
    machines.cable("Ana", plugged=True)
    assert ana.wait_for("joined")["again"] is True
    assert host.wait_for("peer_joined")["name"] == "Ana"
    for program in (host, ana, ben):
        program.wait_for("sync", in_phase)
    assert not [event for event in ana.told if event["event"] == "sync" and event["underruns"]]
    host.say("pause")
    assert len({program.wait_for("paused")["position_s"] for program in (host, ana, ben)}) == 1


def test_a_suspended_peer_comes_back(machines: Machines, long_tune: pathlib.Path) -> None:
    host, ana, ben = playing_session(machines, long_tune)
    with asleep(ana):
        assert host.wait_for("peer_left")["name"] == "Ana"
        ben.wait_for("sync", in_phase)
    assert ana.wait_for("joined")["again"] is True
    ana.wait_for("sync", in_phase)


def test_peers_wait_for_a_suspended_host(machines: Machines, long_tune: pathlib.Path) -> None:
    host, ana, ben = playing_session(machines, long_tune, "--no-succession")
    with asleep(host):
        for peer in (ana, ben):
            assert peer.wait_for("warning")["message"] == LOST
            peer.wait_for("sync", in_phase)
    for peer in (ana, ben):
        assert peer.wait_for("joined")["again"] is True
    for program in (host, ana, ben):
        program.wait_for("sync", in_phase)


def test_a_crashed_host_ends_the_session_and_a_crashed_peer_does_not(
    machines: Machines, long_tune: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    host, ana, ben = playing_session(machines, long_tune, "--no-succession")
    ana.process.kill()
    assert host.wait_for("peer_left")["name"] == "Ana"
    ana = machines.start("Ana", "join", machines.address("Hana"))
    assert ana.wait_for("joined")["name"] == "Ana"
    ana.wait_for("sync", in_phase)
    assert not [event for event in host.told if event["event"] == "transfer" and event["state"] == "sending"][8:]
    host.process.kill()
    for peer in (ana, ben):
        assert peer.end() == (1, "Host disconnected — session ended.")
    shutil.rmtree(tmp_path / "Ana")
