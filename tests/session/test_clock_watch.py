"""UDP is blocked but TCP is not: the users of both machines are told, and the peer does not claim to play."""

from __future__ import annotations

import pytest

from phaselock.model.types import UNKNOWN_CLOCK, ClockStatus
from phaselock.session.commands import Add, Play
from tests.support.session_harness import HarnessPeer, SessionHarness, ready
from tests.support.simulation import a_track

AT_PEER = (
    "The host's clock does not answer on UDP port 17402, so this machine cannot play in time. A firewall or a VPN "
    "blocks it: open UDP port 17402 on the host's machine, or switch the VPN off."
)
AT_HOST = (
    "Ana cannot hear this machine's clock on UDP port 17402, so it cannot play in time. A firewall or a VPN blocks it: "
    "open UDP port 17402 on this machine, or switch the VPN off."
)


def warnings(node: object) -> list[str]:
    return [event.fields["message"] for event in node.events("warning")]  # type: ignore[attr-defined]


class Firewall:
    """Blocks the clock of a peer, from the start or later."""

    def __init__(self, peer: HarnessPeer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.blocks = True
        measured = peer.clock_status

        def status() -> ClockStatus:
            return UNKNOWN_CLOCK if self.blocks else measured()

        monkeypatch.setattr(peer, "clock_status", status)


def joined(monkeypatch: pytest.MonkeyPatch) -> tuple[SessionHarness, HarnessPeer, Firewall]:
    harness = SessionHarness()
    harness.command(Add(a_track()))
    ana = harness.join("Ana")
    return harness, ana, Firewall(ana, monkeypatch)


def test_both_users_are_told_within_five_seconds_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, ana, _ = joined(monkeypatch)
    harness.run(3.0)
    assert not warnings(ana) and not warnings(harness.host)
    harness.run(2.0)
    assert (warnings(ana), warnings(harness.host)) == ([AT_PEER], [AT_HOST])
    harness.run(60.0)
    assert (warnings(ana), warnings(harness.host)) == ([AT_PEER], [AT_HOST])
    assert ana.events("warning")[0].fields["code"] == "clock_silent"


def test_nothing_is_said_to_play_until_the_clock_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, ana, firewall = joined(monkeypatch)
    harness.run(6.0)
    harness.command(Play())
    harness.run(10.0)
    assert harness.host.events("playing") and not ana.events("playing")
    firewall.blocks = False
    harness.run(1.0)
    (playing,) = ana.events("playing")
    assert playing.session_ns == harness.host.events("playing")[0].session_ns


def test_a_port_that_is_blocked_later_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, ana, firewall = joined(monkeypatch)
    firewall.blocks = False
    harness.run(30.0)
    firewall.blocks = True
    harness.run(6.0)
    assert (warnings(ana), warnings(harness.host)) == ([AT_PEER], [AT_HOST])
    firewall.blocks = False
    harness.run(1.0)
    firewall.blocks = True
    harness.run(6.0)
    assert warnings(ana) == [AT_PEER] * 2


def test_a_cable_that_is_cut_is_no_firewall() -> None:
    harness, (ana, _) = ready()
    ana.cut(4.9)
    harness.run(20.0)
    ana.cut(20.0)
    harness.run(40.0)
    assert warnings(ana) == ["The host cannot be heard. Looking for it."]


def test_a_machine_that_was_suspended_hears_no_false_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, ana, firewall = joined(monkeypatch)
    firewall.blocks = False
    harness.run(10.0)
    ana.stall(4.0)
    harness.run(4.0)
    firewall.blocks = True  # a first report after the sleep, from before the first answer
    harness.run(1.0)
    firewall.blocks = False
    harness.run(10.0)
    assert AT_PEER not in warnings(ana)


def test_a_socket_that_the_system_refuses_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, ana, firewall = joined(monkeypatch)
    harness.run(0.5)
    for _ in range(5):
        ana.call(ana.core.clock_failed, "Permission denied")
    harness.run(8.0)
    assert warnings(ana) == [
        "This machine may not send to the host's clock on UDP port 17402 (Permission denied), so it cannot play in "
        "time. Its firewall or a VPN blocks it: allow UDP port 17402, or switch the VPN off."
    ]
    assert warnings(harness.host) == [AT_HOST]
    firewall.blocks = False
    harness.run(1.0)
    assert harness.host.snapshot().peers[0].clock_usable
