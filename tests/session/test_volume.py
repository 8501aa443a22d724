"""The host sets the volume of its peers."""

from __future__ import annotations

import pytest

from phaselock.protocol.messages import VolumeCommand
from phaselock.session.commands import SetPeerVolume
from tests.support.session_harness import HarnessPeer, SessionHarness, error, ready


def report(harness: SessionHarness, peer: HarnessPeer, percent: int, *, muted: bool = False) -> None:
    """The output of the peer has this volume now."""
    peer.do(peer.core.volume(percent, muted, now_ns=peer.now_ns))
    harness.run(0.3)


def told(peer: HarnessPeer) -> list[tuple[object, object]]:
    return [(one.fields["volume_percent"], one.fields["muted"]) for one in peer.events("volume_set")]


def test_the_host_knows_the_volume_of_a_peer_at_once() -> None:
    harness, (ana, _) = ready()
    harness.run(10)  # reports come once a second now
    for percent, muted in ((35, False), (35, True)):
        report(harness, ana, percent, muted=muted)
        shown = harness.host.snapshot().peers[0]
        assert (shown.volume_percent, shown.muted) == (percent, muted)


def test_only_the_named_peer_is_told() -> None:
    harness, (ana, ben) = ready()
    harness.command(SetPeerVolume("BEN", 40, muted=False))
    harness.run(0.3)
    assert told(ben) == [(40, False)] and told(ana) == []


def test_muting_keeps_the_volume_that_was_set_just_before() -> None:
    harness, (ana, _) = ready()
    report(harness, ana, 35)
    harness.command(SetPeerVolume("Ana", 30), SetPeerVolume("Ana", muted=True), SetPeerVolume("Ana", 50))
    harness.run(0.3)
    assert told(ana) == [(30, False), (30, True), (50, True)]


def test_an_unknown_name_is_an_error() -> None:
    harness, peers = ready()
    harness.command(SetPeerVolume("Cleo", 40))
    harness.run(0.3)
    assert "Cleo" in str(error(harness.host)) and not any(map(told, peers))


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_value_out_of_range_becomes_the_nearest_one(percent: int) -> None:
    harness, (ana, _) = ready()
    harness.command(SetPeerVolume("Ana", percent, muted=False))
    harness.run(0.3)
    assert told(ana) == [(max(0, min(percent, 100)), False)]


def test_a_peer_without_host_ignores_it() -> None:
    harness, (ana, _) = ready()
    ana.do(ana.core.disconnected("cut", now_ns=ana.now_ns))
    ana.do(ana.core.received(VolumeCommand(10, True), now_ns=ana.now_ns))
    assert told(ana) == []
