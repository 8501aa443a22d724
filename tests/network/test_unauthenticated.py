"""Which connection is closed when a limit is reached."""

from __future__ import annotations

import itertools

import pytest

from phaselock.network.host import OUTSIDE_PAUSE_S
from phaselock.network.unauthenticated import (
    MAX_OF_GROUP,
    MAX_OUTSIDE,
    MAX_UNAUTHENTICATED,
    UnauthenticatedConnections,
)


class Connections:
    """The unauthenticated connections, and the numbers of those that were closed for others."""

    def __init__(self, *member_ips: str) -> None:
        self.known = UnauthenticatedConnections(member_ips)
        self.gone: list[int] = []
        self._numbers = itertools.count(1)

    def come(self, ip: str, *, spoken: bool = False, refused: bool = False, outside: bool = False) -> int:
        """A connection comes. Returns its number, or 0 if there is no room."""
        if not self.known.make_room(ip, outside):
            return 0
        conn = next(self._numbers)
        self.known.add(conn, ip, lambda _reason: self.gone.append(conn), outside)
        if spoken or refused:
            self.known.has_spoken(conn)
        if refused:
            self.known.is_closing(conn, ip, lambda _reason: self.gone.append(conn), outside)
        return conn


def test_a_refused_connection_goes_before_a_silent_one_and_the_oldest_of_them() -> None:
    connections = Connections()
    connections.come("10.0.0.1")
    refused = [connections.come("10.0.0.1", refused=True) for _ in range(MAX_OF_GROUP - 1)]
    for _ in refused:
        assert connections.come("10.0.0.1", spoken=True)
    assert connections.gone == refused
    assert connections.come("10.0.0.1", spoken=True) and connections.gone[-1] == 1
    assert connections.come("10.0.0.1") == 0


def test_two_addresses_do_not_keep_a_third_out() -> None:
    connections = Connections()
    for _ in range(50):
        for ip in ("10.0.0.1", "10.0.0.2"):
            assert connections.come(ip, refused=True)
    newcomer = connections.come("10.0.0.3")
    assert newcomer
    for _ in range(50):
        for ip in ("10.0.0.1", "10.0.0.2"):
            assert connections.come(ip, refused=True)
    assert newcomer not in connections.gone and newcomer in connections.known


def test_an_ipv6_machine_is_one_address() -> None:
    connections = Connections()
    first = connections.come("2001:db8::1")
    for number in range(2, MAX_OF_GROUP + 1):
        assert connections.come(f"2001:db8::{number:x}:1")
    assert connections.come("2001:db8::ffff") and connections.gone == [first]
    assert connections.come("fe80::1%eth0") and connections.gone == [first]


def test_the_internet_does_not_keep_the_house_out() -> None:
    connections = Connections()
    for number in range(MAX_OUTSIDE):
        assert connections.come(f"45.32.0.{number}", spoken=True, outside=True)
    assert not connections.come("45.32.1.1", outside=True)
    assert connections.come("10.0.0.1") and connections.gone == []


def test_a_friend_has_a_second_to_speak_beside_a_crowd() -> None:
    connections = Connections()
    friend = connections.come("45.40.1.1", outside=True)
    for number in range(int(1.0 / OUTSIDE_PAUSE_S)):
        assert connections.come(f"45.32.0.{number}", outside=True)
    assert friend not in connections.gone


def test_members_have_places_of_their_own() -> None:
    connections = Connections("10.0.0.9")
    for number in range(MAX_UNAUTHENTICATED):
        assert connections.come(f"10.0.1.{number}", spoken=True)
    assert connections.come("10.0.0.1") == 0
    for _ in range(MAX_OF_GROUP):
        assert connections.come("10.0.0.9", spoken=True)
    assert connections.gone == [] and connections.come("10.0.0.9") == 0


@pytest.mark.parametrize("was_member", [True, False])
def test_a_former_member_counts_until_it_is_closed(was_member: bool) -> None:
    connections = Connections()
    conn = connections.come("10.0.0.1")
    if was_member:
        connections.known.remove(conn)
    connections.known.is_closing(conn, "10.0.0.1", lambda _reason: connections.gone.append(conn))
    for _ in range(MAX_OF_GROUP):
        connections.come("10.0.0.1")
    assert connections.gone == [conn]
