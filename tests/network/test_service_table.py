"""What false announcements and withdrawals can do to the list of sessions. Without a network, on a virtual clock."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

import pytest
import zeroconf

from phaselock.network.interfaces import Address
from phaselock.network.service_record import SERVICE_TYPE, FoundSession, instance_name, txt_record
from phaselock.network.service_table import (
    AAAA,
    GOODBYE_S,
    MAX_PER_SOURCE,
    MAX_SERVICES,
    MAX_SESSIONS,
    MAX_TTL_S,
    PTR,
    SRV,
    TXT,
    A,
    ServiceTable,
)

TRUE, EVIL = ipaddress.ip_address("192.0.2.7"), ipaddress.ip_address("192.0.2.66")
ID = bytes(range(16))
TTL_S = 30


def packet(
    name: str = "Kitchen",
    session_id: bytes = ID,
    addresses: Sequence[str] = ("192.0.2.7",),
    *,
    ttl: int = TTL_S,
    port: int = 17401,
    peers: int = 0,
    host_key: str = "",
) -> list[Any]:
    """The records of an announcement; `ttl` 0: of a goodbye."""
    service, server = instance_name(name, session_id), f"phaselock-{session_id.hex()[:16]}.local."
    text = txt_record(name, "Ada", peers, 5, session_id, 1, host_key=host_key)
    records: list[Any] = [
        zeroconf.DNSPointer(SERVICE_TYPE, PTR, 1, ttl, service),
        zeroconf.DNSService(service, SRV, 1, ttl, 0, 0, port, server),
        zeroconf.DNSText(service, TXT, 1, ttl, text),
    ]
    for one in addresses:
        family, kind = (socket.AF_INET6, AAAA) if ":" in one else (socket.AF_INET, A)
        data = socket.inet_pton(family, one)
        records.append(zeroconf.DNSAddress(server, kind, 1, ttl, data))
    return records


def number(at: int) -> bytes:
    return at.to_bytes(16, "big")


def where(table: ServiceTable, now_s: float = 0.0) -> list[tuple[str, ...]]:
    return [one.addresses for one in table.sessions((), now_s)]


def true_one(table: ServiceTable, now_s: float = 0.0) -> FoundSession:
    (found,) = (one for one in table.sessions((), now_s) if one.session_id == ID.hex())
    return found


def test_false_records_of_one_machine_do_not_push_out_the_true_one() -> None:
    table = ServiceTable()
    for at in range(40):
        table.take(EVIL, packet(f"False {at}", number(at + 1), ("192.0.2.66",)), 0.0)
    table.take(TRUE, packet(), 0.0)
    found = table.sessions((), 0.0)
    assert len(found) == MAX_PER_SOURCE + 1 and true_one(table).addresses == ("192.0.2.7",)


def test_this_computer_may_announce_more() -> None:
    table = ServiceTable()
    for at in range(5):
        table.take(TRUE, packet(f"Jam {at}", number(at + 1)), 0.0, is_own=True)
    assert len(table.sessions((), 0.0)) == 5


@pytest.mark.parametrize("version", [4, 6])
def test_forged_addresses_leave_place_for_a_session_that_answers(version: int) -> None:
    table = ServiceTable()
    first = int(ipaddress.ip_address("192.0.2.0" if version == 4 else "2001:db8::"))
    forged: list[Address] = [ipaddress.ip_address(first + at) for at in range(2 * MAX_SERVICES)]
    forged = [one for one in forged if one != TRUE]

    def flood(begin: int) -> None:
        for at, source in enumerate(forged[begin : begin + MAX_SERVICES]):
            table.take(source, packet(f"Aa {at}", number(begin + at + 1), (str(source),)), 0.0)

    flood(0)
    table.take(TRUE, packet(), 0.0)
    assert len(table.sessions((), 0.0)) == MAX_SESSIONS
    newest = table.doubtful((), 0.0)[0]
    assert newest.session_id == ID.hex(), "it is checked before the others"
    table.checked(newest, True, 0.0)
    flood(MAX_SERVICES)
    assert true_one(table) == newest
    assert len(table.sessions((), 0.0)) == MAX_SESSIONS and len(table.names(0.0)) == MAX_SERVICES


def test_a_flood_of_one_version_of_ip_leaves_the_sessions_of_the_other() -> None:
    table = ServiceTable()
    table.take(TRUE, packet(), 0.0)
    for at in range(2 * MAX_SERVICES):
        source = ipaddress.ip_address(int(ipaddress.ip_address("2001:db8::")) + at)
        table.take(source, packet(f"Aa {at}", number(at + 1), (str(source),)), 0.0)
    assert instance_name("Kitchen", ID) in table.names(0.0)


def test_a_fresher_record_of_another_machine_changes_nothing() -> None:
    table = ServiceTable()
    table.take(TRUE, packet(peers=2), 0.0)
    table.take(EVIL, packet(addresses=("192.0.2.66",), peers=4), 1.0)
    found = true_one(table, 1.0)
    assert (found.addresses, found.peers) == (("192.0.2.7",), 2)
    assert found.rivals == (("192.0.2.66", 17401),)


def test_of_two_machines_with_one_session_the_one_that_answers_counts() -> None:
    table = ServiceTable()
    table.take(EVIL, packet(addresses=("192.0.2.66",)), 0.0)
    table.take(TRUE, packet(), 0.0)
    assert true_one(table).addresses == ("192.0.2.66",) and len(table.doubtful((), 0.0)) == 2
    for one in table.doubtful((), 0.0):
        table.checked(one, one.addresses == ("192.0.2.7",), 0.0)
    assert table.doubtful((), 0.0) == []
    found = true_one(table)
    assert found.addresses == ("192.0.2.7",) and found.rivals == ()
    assert [one.addresses for one in table.doubtful((), 29.0 + 2)] == [], "both have expired"


def test_two_machines_that_both_answer_are_a_conflict() -> None:
    table = ServiceTable()
    table.take(TRUE, packet(), 0.0)
    table.take(EVIL, packet(addresses=("192.0.2.66",)), 0.0)
    for one in table.doubtful((), 0.0):
        table.checked(one, True, 0.0)
    found = true_one(table)
    assert found.addresses == ("192.0.2.7",) and found.rivals == (("192.0.2.66", 17401),)


def test_another_key_at_the_same_address_is_a_conflict() -> None:
    table = ServiceTable()
    table.take(TRUE, packet(host_key="0a" * 16), 0.0)
    table.take(EVIL, packet(host_key="0b" * 16), 0.0)
    found = true_one(table)
    assert found.host_key == "0a" * 16 and found.rivals == (("192.0.2.7", 17401),)


def test_a_host_on_two_interfaces_is_no_conflict() -> None:
    table = ServiceTable()
    table.take(TRUE, packet(addresses=("192.0.2.7", "2001:db8::7")), 0.0)
    table.take(ipaddress.ip_address("2001:db8::7"), packet(addresses=("2001:db8::7", "198.51.100.7")), 0.0)
    found = true_one(table)
    assert found.addresses == ("192.0.2.7", "2001:db8::7") and found.rivals == ()
    assert table.doubtful((), 0.0) == []


def test_a_goodbye_of_another_machine_removes_nothing() -> None:
    table = ServiceTable()
    table.take(TRUE, packet(), 0.0)
    assert not table.take(EVIL, packet(ttl=0), 1.0)
    assert where(table, 29.0) == [("192.0.2.7",)]


def test_a_session_that_answers_after_its_goodbye_stays() -> None:
    """The goodbye has a forged source address. It comes ten times a second, and the host answers every second."""
    table = ServiceTable()
    for tenth in range(100):
        if tenth % 10 == 0:
            table.take(TRUE, packet(), tenth / 10)
        assert table.take(TRUE, packet(ttl=0), tenth / 10), "the host is asked"
        assert where(table, tenth / 10) == [("192.0.2.7",)]
    assert where(table, 9.9 + GOODBYE_S) == []


def test_a_session_that_is_not_announced_again_expires() -> None:
    table = ServiceTable()
    table.take(TRUE, packet(), 0.0)
    table.take(EVIL, packet("Long", number(1), ("192.0.2.66",), ttl=4500), 0.0)
    assert len(where(table, TTL_S - 0.1)) == 2
    assert where(table, TTL_S + 0.1) == [("192.0.2.66",)]
    assert where(table, MAX_TTL_S + 0.1) == []


def test_the_records_of_a_service_may_come_in_several_packets() -> None:
    table = ServiceTable()
    for record in packet(addresses=("192.0.2.7", "2001:db8::7")):
        assert where(table) == [] or record.type == AAAA
        table.take(TRUE, [record], 0.0)
    assert where(table) == [("192.0.2.7", "2001:db8::7")]
    table.take(TRUE, packet(addresses=("192.0.2.8",)), 1.0)
    assert where(table, 1.0) == [("192.0.2.8", "2001:db8::7")], "the packet says nothing about the other version of IP"


def test_a_service_of_another_type_is_not_taken() -> None:
    table = ServiceTable()
    other = zeroconf.DNSPointer(SERVICE_TYPE, PTR, 1, TTL_S, "x._http._tcp.local.")
    table.take(TRUE, [other, zeroconf.DNSPointer("_http._tcp.local.", PTR, 1, 9, "y.local.")], 0.0)
    assert table.names(0.0) == frozenset()
