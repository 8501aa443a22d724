"""A session of more peers than the usual five."""

from __future__ import annotations

import pytest

from phaselock.model.group import MAX_CALIBRATED, MAX_PEERS
from phaselock.model.turns import MAX_MACHINES
from phaselock.protocol import messages as m
from phaselock.session.commands import Add, Calibrate, Check, Play
from phaselock.session.host.budgets import MAX_JOINS
from tests.support.session_harness import SessionHarness, error
from tests.support.simulation import a_track


def crowd(number: int, ip: str = "") -> SessionHarness:
    """A session of this number of peers, which have joined at once."""
    harness = SessionHarness(max_peers=number)
    for one in range(number):
        harness.join(f"Peer {one}", ip=ip)
    harness.run(0.5)
    return harness


def test_a_full_room_joins_at_once_from_one_address() -> None:
    harness = crowd(MAX_PEERS, ip="10.0.0.1")
    assert MAX_PEERS > MAX_JOINS and len(harness.host.snapshot().peers) == MAX_PEERS
    harness.run(1)
    assert not harness.host.events("peer_left", "warning", "error")
    one_more = harness.join("Late")
    harness.run(0.5)
    assert one_more.ended is not None and one_more.ended.reason.detail == "Session is full."


def test_many_peers_are_counted_and_not_named_to_strangers() -> None:
    harness = SessionHarness(max_peers=7)
    told = []
    for one in range(7):
        peer = harness.join(f"Peer {one}")
        harness.run(0.1)
        told += peer.told(m.SessionInfo)
    assert told[5].peers == tuple(f"Peer {one}" for one in range(5)) and told[6].peers == ("?",) * 6
    assert {one.max_peers for one in told} == {7}


@pytest.mark.parametrize(("command", "most"), [(Calibrate(), MAX_CALIBRATED), (Check(), MAX_MACHINES)])
def test_more_machines_than_a_microphone_can_tell_apart_are_refused(command: Calibrate | Check, most: int) -> None:
    harness = crowd(most)
    harness.command(Add(a_track(1, 300.0)))
    harness.run(1)
    harness.command(Play(None))
    harness.run(1)
    harness.command(command)
    assert error(harness.host) == f"More than {most} machines play here: too many for one microphone."
