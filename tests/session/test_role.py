"""The host sets which channels its peers play."""

from __future__ import annotations

import pytest

from phaselock.model.role import ROLES, Role
from phaselock.protocol.messages import RoleCommand
from phaselock.session.commands import SetPeerRole
from tests.support.session_harness import HarnessPeer, SessionHarness, error, ready


def told(peer: HarnessPeer) -> list[object]:
    return [one.fields["role"] for one in peer.events("role_set")]


def known(harness: SessionHarness) -> list[object]:
    """The roles of the peers as the host knows them."""
    return [peer.role for peer in harness.host.snapshot().peers]


@pytest.mark.parametrize("role", ROLES)
def test_only_the_named_peer_is_told(role: Role) -> None:
    harness, (ana, ben) = ready()
    harness.command(SetPeerRole("BEN", role))
    harness.run(0.3)
    assert told(ben) == [role] and told(ana) == []
    assert ben.events("role_set")[0].session_ns is not None


def test_the_host_knows_the_role_of_a_peer_at_once() -> None:
    harness, (_, ben) = ready()
    harness.run(10)  # reports come once a second now
    assert known(harness) == ["stereo", "stereo"]
    ben.do(ben.core.role("right", now_ns=ben.now_ns))
    harness.run(0.3)
    assert known(harness) == ["stereo", "right"]


def test_a_role_is_unknown_before_the_first_report() -> None:
    harness = SessionHarness()
    harness.join("Ana")
    while not harness.host.snapshot().peers:
        harness.run(0.0001)
    assert known(harness) == [None]


def test_an_unknown_name_is_an_error() -> None:
    harness, peers = ready()
    harness.command(SetPeerRole("Cleo", "left"))
    harness.run(0.3)
    assert "Cleo" in str(error(harness.host)) and not any(map(told, peers))


def test_a_peer_without_host_ignores_it() -> None:
    harness, (ana, _) = ready()
    ana.do(ana.core.disconnected("cut", now_ns=ana.now_ns))
    ana.do(ana.core.received(RoleCommand("left"), now_ns=ana.now_ns))
    assert told(ana) == []


def test_a_host_that_is_told_a_role_closes_the_connection() -> None:
    harness, (ana, _) = ready()
    harness.host.receive(ana.conn, RoleCommand("left"))
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
